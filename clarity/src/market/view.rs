//! What the marketplace looks up before it acts, read from the contracts' maps without the machine.

use crate::codec::{ContractId, Principal, Value};
use crate::simnet::{BlockId, Simnet};

use super::Actor;

/// The contracts of a devnet.
#[derive(Debug, Clone)]
pub struct Contracts {
    /// freelance-data
    pub data: ContractId,
    /// freelance-logic
    pub logic: ContractId,
    /// freelance-badges
    pub badges: ContractId,
    /// freelance-security
    pub security: ContractId,
    /// test-token
    pub token: ContractId,
}

impl Contracts {
    /// Those that the deployer deploys.
    pub fn of(deployer: &Actor) -> Self {
        Self {
            data: deployer.contract("freelance-data"),
            logic: deployer.contract("freelance-logic"),
            badges: deployer.contract("freelance-badges"),
            security: deployer.contract("freelance-security"),
            token: deployer.contract("test-token"),
        }
    }
}

/// The chain as of one block.
pub struct View<'a> {
    chain: &'a Simnet,
    at: BlockId,
    contracts: &'a Contracts,
    /// Burn height that the next transaction sees.
    pub burn_height: u128,
}

/// A project, as far as the actors care.
#[derive(Debug, Clone)]
pub struct Project {
    pub id: u128,
    pub client: Principal,
    pub freelancer: Principal,
    pub arbiter: Principal,
    pub asset: Option<Principal>,
    pub total: u128,
    pub status: u128,
    pub accept_until: u128,
    pub grace: u128,
}

/// A milestone, as far as the actors care.
#[derive(Debug, Clone)]
pub struct Milestone {
    pub m: u128,
    pub amount: u128,
    pub due: u128,
    pub status: u128,
    pub rev: u128,
    pub review_until: u128,
    pub resolve_until: u128,
}

/// A governed action, as far as the signers care.
#[derive(Debug, Clone)]
pub struct Action {
    pub class: u128,
    pub kind: String,
    pub eta: u128,
    pub expires: u128,
    pub epoch: u128,
    pub approvals: u128,
    pub status: u128,
    /// First number of its arguments.
    pub n1: u128,
    /// First principal of its arguments: the asset of a `set-asset`.
    pub p1: Option<Principal>,
    /// Second principal of its arguments: the asset of a payment.
    pub p2: Option<Principal>,
}

fn uint(tuple: &Value, field: &str) -> Option<u128> {
    tuple.get(field)?.as_u128()
}

fn who(tuple: &Value, field: &str) -> Option<Principal> {
    match tuple.get(field)? {
        Value::Principal(principal) => Some(principal.clone()),
        _ => None,
    }
}

fn optional(tuple: &Value, field: &str) -> Option<Principal> {
    match tuple.get(field)? {
        Value::Some(inner) => inner.as_principal().cloned(),
        _ => None,
    }
}

fn pair(p: u128, m: u128) -> Value {
    Value::tuple([("p", Value::UInt(p)), ("m", Value::UInt(m))]).unwrap_or(Value::None)
}

impl<'a> View<'a> {
    /// The tip.
    pub fn new(chain: &'a Simnet, contracts: &'a Contracts) -> Self {
        Self {
            chain,
            at: chain.tip().header.id,
            contracts,
            burn_height: u128::from(chain.burn_tip().height),
        }
    }

    fn entry(&self, contract: &ContractId, map: &str, key: &Value) -> Option<Value> {
        let raw = self.chain.map_entry(&self.at, contract, map, key).ok()??;
        match Value::decode_exact(&raw).ok()? {
            Value::Some(inner) => Some(*inner),
            Value::None => None,
            plain => Some(plain),
        }
    }

    fn number(&self, contract: &ContractId, variable: &str) -> u128 {
        let raw = self
            .chain
            .data_var(&self.at, contract, variable)
            .ok()
            .flatten();
        raw.and_then(|r| Value::decode_exact(&r).ok()?.as_u128())
            .unwrap_or(0)
    }

    /// Whether the contracts are there.
    pub fn is_deployed(&self) -> bool {
        self.chain
            .source(&self.at, &self.contracts.security)
            .is_ok_and(|s| s.is_some())
    }

    pub fn last_project(&self) -> u128 {
        self.number(&self.contracts.logic, "last-project")
    }

    pub fn last_action(&self) -> u128 {
        self.number(&self.contracts.security, "last-action")
    }

    pub fn epoch(&self) -> u128 {
        self.number(&self.contracts.security, "epoch")
    }

    pub fn project(&self, id: u128) -> Option<Project> {
        let t = self.entry(&self.contracts.logic, "projects", &Value::UInt(id))?;
        let asset = optional(&t, "asset");
        Some(Project {
            id,
            client: who(&t, "client")?,
            freelancer: who(&t, "freelancer")?,
            arbiter: who(&t, "arbiter")?,
            asset,
            total: uint(&t, "total")?,
            status: uint(&t, "status")?,
            accept_until: uint(&t, "accept-until")?,
            grace: uint(&t, "grace")?,
        })
    }

    pub fn milestone(&self, p: u128, m: u128) -> Option<Milestone> {
        let t = self.entry(&self.contracts.logic, "milestones", &pair(p, m))?;
        Some(Milestone {
            m,
            amount: uint(&t, "amount")?,
            due: uint(&t, "due")?,
            status: uint(&t, "status")?,
            rev: uint(&t, "rev")?,
            review_until: uint(&t, "review-until")?,
            resolve_until: uint(&t, "resolve-until")?,
        })
    }

    /// A live offer: who made it, and its share.
    pub fn offer(&self, p: u128, m: u128) -> Option<(Principal, u128)> {
        let t = self.entry(&self.contracts.logic, "offers", &pair(p, m))?;
        (uint(&t, "until")? >= self.burn_height).then_some(())?;
        Some((who(&t, "by")?, uint(&t, "bps")?))
    }

    pub fn action(&self, id: u128) -> Option<Action> {
        let t = self.entry(&self.contracts.security, "actions", &Value::UInt(id))?;
        let kind = match t.get("kind")? {
            Value::Ascii(text) => text.as_str().to_owned(),
            _ => return None,
        };
        Some(Action {
            class: uint(&t, "class")?,
            kind,
            eta: uint(&t, "eta")?,
            expires: uint(&t, "expires")?,
            epoch: uint(&t, "epoch")?,
            approvals: uint(&t, "approvals")?,
            status: uint(&t, "status")?,
            n1: uint(t.get("args")?, "n1")?,
            p1: optional(t.get("args")?, "p1"),
            p2: optional(t.get("args")?, "p2"),
        })
    }

    /// Whether new projects may use an asset.
    pub fn is_enabled(&self, asset: Option<&Principal>) -> bool {
        let key = asset.map_or(Value::None, |a| {
            Value::Some(Box::new(Value::Principal(a.clone())))
        });
        self.entry(&self.contracts.logic, "assets", &key)
            .is_some_and(|t| t.get("enabled") == Some(&Value::Bool(true)))
    }

    /// Micro-STX of the multisig.
    pub fn treasury(&self) -> u128 {
        let who = Principal::Contract(self.contracts.security.clone());
        self.chain
            .account(&self.at, &who)
            .map_or(0, |account| account.balance)
    }

    pub fn badge_exists(&self, id: u128) -> bool {
        self.entry(&self.contracts.badges, "badges", &Value::UInt(id))
            .is_some()
    }

    pub fn approved(&self, id: u128, who: &Principal) -> bool {
        let key = Value::tuple([
            ("id", Value::UInt(id)),
            ("who", Value::Principal(who.clone())),
        ]);
        key.is_ok_and(|k| {
            self.entry(&self.contracts.security, "approved", &k)
                .is_some()
        })
    }

    pub fn is_signer(&self, who: &Principal) -> bool {
        self.entry(
            &self.contracts.security,
            "signers",
            &Value::Principal(who.clone()),
        )
        .is_some()
    }

    pub fn has_profile(&self, who: &Principal) -> bool {
        self.entry(
            &self.contracts.data,
            "profiles",
            &Value::Principal(who.clone()),
        )
        .is_some()
    }

    /// Last burn height of an attestation.
    pub fn x_until(&self, who: &Principal) -> Option<u128> {
        let t = self.entry(
            &self.contracts.data,
            "x-accounts",
            &Value::Principal(who.clone()),
        )?;
        uint(&t, "expires")
    }

    pub fn is_attestor(&self, who: &Principal) -> bool {
        self.entry(
            &self.contracts.data,
            "attestors",
            &Value::Principal(who.clone()),
        ) == Some(Value::Bool(true))
    }

    /// Completed projects, sum and number of ratings.
    pub fn stats(&self, who: &Principal) -> (u128, u128, u128) {
        let Some(t) = self.entry(
            &self.contracts.data,
            "stats",
            &Value::Principal(who.clone()),
        ) else {
            return (0, 0, 0);
        };
        let get = |f| uint(&t, f).unwrap_or(0);
        (get("completed"), get("rating-sum"), get("rating-count"))
    }

    pub fn has_rated(&self, project: u128, from: &Principal) -> bool {
        let key = Value::tuple([
            (
                "writer",
                Value::Principal(Principal::Contract(self.contracts.logic.clone())),
            ),
            ("project", Value::UInt(project)),
            ("from", Value::Principal(from.clone())),
        ]);
        key.is_ok_and(|k| self.entry(&self.contracts.data, "ratings", &k).is_some())
    }

    pub fn holds_badge(&self, user: &Principal, kind: u128) -> bool {
        let key = |u: &Principal| {
            Value::tuple([
                ("user", Value::Principal(u.clone())),
                ("kind", Value::UInt(kind)),
            ])
        };
        let held =
            |map| key(user).is_ok_and(|k| self.entry(&self.contracts.badges, map, &k).is_some());
        held("owned") || held("barred")
    }

    /// Projects, rating times 100, and whether an X account is asked for.
    pub fn kind(&self, kind: u128) -> Option<(u128, u128, bool)> {
        let t = self.entry(&self.contracts.badges, "kinds", &Value::UInt(kind))?;
        Some((
            uint(&t, "projects")?,
            uint(&t, "rating")?,
            *t.get("needs-x")? == Value::Bool(true),
        ))
    }
}
