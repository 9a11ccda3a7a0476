//! A marketplace on a devnet: its actors, their contracts, and what they do.
//!
//! [`Marketplace::act`] is asked before each block. It decides from what the chain says at its tip, not
//! from what it remembers, so that it goes on sensibly after a fork. The same seed on the same chain
//! does the same.

mod governance;
mod keys;
mod people;
#[cfg(test)]
mod tests;
mod view;
mod work;

pub use crate::contracts::SOURCES;
pub(crate) use keys::secret_key;
pub use keys::{Actor, Conditions, call, deploy};
pub use view::Contracts;

use crate::codec::transaction::{Payload, PostCondition};
use crate::codec::{Principal, Value};
use crate::rng::SeededRng;
use crate::simnet::Simnet;
use view::View;

/// Fee of every transaction, micro-STX.
const FEE: u64 = 1_000;
/// Tokens of a client at the start, base units: 10,000 of 8 digits.
const CLIENT_TOKENS: u128 = 1_000_000_000_000;
/// Tokens of a signer, base units.
const SIGNER_TOKENS: u128 = 1_000;
/// Fee of a deployment, micro-STX.
const DEPLOY_FEE: u64 = 50_000;

/// The actors of a devnet and what drives them.
#[derive(Debug)]
pub struct Marketplace {
    contracts: Contracts,
    rng: SeededRng,
    clients: u64,
    freelancers: u64,
    /// Actions of the signers with which a devnet begins.
    setup_length: u128,
    /// Somebody else has the minter's key.
    minter_apart: bool,
    /// Who is who, for a principal that is found on the chain.
    names: std::collections::HashMap<Principal, String>,
}

impl Marketplace {
    /// A marketplace of the usual size.
    pub fn new(seed: u64) -> Self {
        let (clients, freelancers) = (8, 12);
        let mut marketplace = Self {
            contracts: Contracts::of(&Actor::of("deployer")),
            rng: SeededRng::new(seed),
            clients,
            freelancers,
            setup_length: 0,
            minter_apart: false,
            names: std::collections::HashMap::new(),
        };
        marketplace.setup_length = u128::try_from(marketplace.setup().len()).unwrap_or(0);
        let roles = marketplace.roles();
        marketplace.names = roles
            .into_iter()
            .map(|r| (Actor::of(&r).principal(), r))
            .collect();
        marketplace
    }

    /// Leaves the key of the role `minter` to somebody outside, and most badges, too: only every fourth freelancer
    /// claims his own. The signers make it a minter all the same, and it has its money.
    #[must_use]
    pub fn with_the_minter_apart(mut self) -> Self {
        self.minter_apart = true;
        self
    }

    /// Every role that acts.
    pub fn roles(&self) -> Vec<String> {
        let single = ["deployer", "arbiter", "attestor", "minter", "keeper"].map(str::to_owned);
        let signers = (1..=9).map(|n| format!("signer-{n}"));
        let clients = (1..=self.clients).map(|n| format!("client-{n}"));
        let freelancers = (1..=self.freelancers).map(|n| format!("freelancer-{n}"));
        single
            .into_iter()
            .chain(signers)
            .chain(clients)
            .chain(freelancers)
            .collect()
    }

    /// What every role owns at the start: 10 million STX.
    pub fn genesis(&self) -> Vec<(Principal, u128)> {
        self.roles()
            .iter()
            .map(|r| (Actor::of(r).principal(), 10_000_000_000_000))
            .collect()
    }

    /// The contracts that it uses.
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// Puts about `budget` transactions into the mempool, and returns those that it took.
    pub fn act(&mut self, chain: &mut Simnet, budget: usize) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        // What a fork left waiting is mined first; piling more on it would only fail.
        if chain.waiting() > budget * 4 {
            return out;
        }
        if !View::new(chain, &self.contracts).is_deployed() {
            self.deploy_all(chain, &mut out);
            return out;
        }
        if View::new(chain, &self.contracts).last_action() == 0 && !self.waits(chain, "deployer") {
            self.hand_out_tokens(chain, &mut out);
        }
        self.govern(chain, &mut out);
        if View::new(chain, &self.contracts).last_action() < self.setup_length {
            return out;
        }
        let work = budget.saturating_mul(2) / 3;
        self.work(chain, work.max(1), &mut out);
        while out.len() < budget {
            let before = out.len();
            match self.rng.below(10) {
                0..=4 => self.open_project(chain, &mut out),
                5..=7 => self.person(chain, &mut out),
                _ => self.noise(chain, &mut out),
            }
            if out.len() == before && self.rng.percent(30) {
                break;
            }
        }
        out
    }

    fn deploy_all(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        if self.waits(chain, "deployer") {
            return;
        }
        let deployer = Actor::of("deployer");
        for (name, source) in SOURCES {
            self.send(chain, &deployer, deploy(name, source), None, out);
        }
    }

    /// Every client is given tokens to pay with, and every signer some to try the token with.
    fn hand_out_tokens(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let deployer = Actor::of("deployer");
        let clients = (1..=self.clients).map(|n| (format!("client-{n}"), CLIENT_TOKENS));
        let signers = (1..=9).map(|n| (format!("signer-{n}"), SIGNER_TOKENS));
        for (role, amount) in clients.chain(signers) {
            let owner = Actor::of(&role).principal();
            let arguments = [Value::UInt(amount), Value::Principal(owner)];
            let payload = call(&self.contracts.token, "mint", &arguments);
            self.send(chain, &deployer, payload, None, out);
        }
    }

    /// Whether a role has transactions waiting.
    fn waits(&self, chain: &Simnet, role: &str) -> bool {
        let who = Actor::of(role).principal();
        let mined = chain
            .account(&chain.tip().header.id, &who)
            .map_or(0, |a| a.nonce);
        chain.next_nonce(&who) > mined
    }

    fn act_as(
        &mut self,
        chain: &mut Simnet,
        who: &Principal,
        payload: Payload,
        conditions: Option<Vec<PostCondition>>,
        out: &mut Vec<Vec<u8>>,
    ) {
        if let Some(role) = self.names.get(who) {
            let actor = Actor::of(role);
            self.send(chain, &actor, payload, conditions, out);
        }
    }

    fn send(
        &mut self,
        chain: &mut Simnet,
        who: &Actor,
        payload: Payload,
        conditions: Option<Vec<PostCondition>>,
        out: &mut Vec<Vec<u8>>,
    ) {
        let fee = if matches!(payload, Payload::SmartContract { .. }) {
            DEPLOY_FEE
        } else {
            FEE
        };
        let conditions = conditions.map_or(Conditions::None, Conditions::Exactly);
        let nonce = chain.next_nonce(&who.principal());
        let tx = who.sign(nonce, fee, payload, conditions).encode();
        // A refusal is the mempool's right; the actor tries again or not, as it goes.
        if chain.submit(&tx).is_ok() {
            out.push(tx);
        }
    }
}
