//! A chain with the contracts on it, and short words for what people do there.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use stxworx_clarity::codec::value::AsciiString;
use stxworx_clarity::codec::{ContractId, Principal, Value};
use stxworx_clarity::events;
use stxworx_clarity::market::{Actor, Conditions, SOURCES, call, deploy};
use stxworx_clarity::simnet::{BlockId, Receipt, SimEvent, Simnet, SimnetConfig, TxStatus};

pub const ROLES: [&str; 14] = [
    "deployer",
    "client",
    "freelancer",
    "arbiter",
    "stranger",
    "attestor",
    "minter",
    "other-client",
    "signer-1",
    "signer-2",
    "signer-3",
    "signer-4",
    "signer-5",
    "signer-6",
];

/// The contracts that tell of what they do.
pub const CONTRACTS: [&str; 4] = [
    "freelance-data",
    "freelance-logic",
    "freelance-badges",
    "freelance-security",
];

/// The source of a contract.
pub fn source(name: &str) -> &'static str {
    SOURCES
        .iter()
        .find(|(n, _)| *n == name)
        .expect("a contract")
        .1
}

pub struct World {
    pub chain: Simnet,
    /// Every error code that a call has returned.
    pub seen: std::collections::BTreeSet<u128>,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Ok(Value),
    Err(u128),
    /// Stopped by the machine.
    Abort(String),
}

pub fn u(n: u128) -> Value {
    Value::UInt(n)
}

pub fn who(role: &str) -> Principal {
    Actor::of(role).principal()
}

pub fn p(role: &str) -> Value {
    Value::Principal(who(role))
}

pub fn hash(n: u8) -> Value {
    Value::Buffer(vec![n; 32])
}

pub fn ascii(text: &str) -> Value {
    Value::Ascii(AsciiString::new(text).expect("ascii"))
}

pub fn some(value: Value) -> Value {
    Value::Some(Box::new(value))
}

pub fn tuple(fields: &[(&str, Value)]) -> Value {
    Value::tuple(fields.iter().map(|(n, v)| (*n, v.clone()))).expect("a tuple")
}

pub fn contract(name: &str) -> ContractId {
    Actor::of("deployer").contract(name)
}

pub fn escrow() -> Principal {
    Principal::Contract(contract("freelance-logic"))
}

pub fn token(name: &str) -> Value {
    Value::Principal(Principal::Contract(contract(name)))
}

/// A governed action's arguments.
#[derive(Clone, Default)]
pub struct Args {
    pub p1: Option<Principal>,
    pub p2: Option<Principal>,
    pub n: [u128; 4],
    pub b: bool,
    pub s: &'static str,
}

impl Args {
    pub fn value(&self) -> Value {
        let principal =
            |p: &Option<Principal>| p.clone().map_or(Value::None, |p| some(Value::Principal(p)));
        tuple(&[
            ("p1", principal(&self.p1)),
            ("p2", principal(&self.p2)),
            ("n1", u(self.n[0])),
            ("n2", u(self.n[1])),
            ("n3", u(self.n[2])),
            ("n4", u(self.n[3])),
            ("b", Value::Bool(self.b)),
            ("h", hash(1)),
            ("s", ascii(self.s)),
        ])
    }
}

impl World {
    /// The contracts as they are deployed.
    pub fn bare() -> Self {
        let genesis = ROLES
            .iter()
            .map(|r| (who(r), 100_000_000_000_000))
            .collect();
        let mut chain = Simnet::new(SimnetConfig {
            genesis,
            ..SimnetConfig::default()
        })
        .expect("a chain");
        chain.burn(1);
        let mut world = Self {
            chain,
            seen: Default::default(),
        };
        for (name, source) in SOURCES {
            world.deploy(name, source);
        }
        world
    }

    pub fn deploy(&mut self, name: &str, source: &str) {
        let receipt = self.try_deploy("deployer", name, source);
        assert_eq!(
            receipt.status,
            TxStatus::Success,
            "{name}: {:?}",
            receipt.vm_error
        );
    }

    pub fn try_deploy(&mut self, role: &str, name: &str, source: &str) -> Receipt {
        let actor = Actor::of(role);
        let nonce = self.chain.next_nonce(&actor.principal());
        let tx = actor.sign(nonce, 50_000, deploy(name, source), Conditions::None);
        self.chain
            .submit(&tx.encode())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        self.mined()
    }

    fn mined(&mut self) -> Receipt {
        let block = self.chain.mine(10).expect("a block");
        block.receipts.last().expect("a receipt").clone()
    }

    /// With a token, an arbiter, an attestor and a minter, and short windows.
    pub fn ready() -> Self {
        let mut world = Self::bare();
        let on = |p1| Args {
            p1: Some(p1),
            b: true,
            ..Args::default()
        };
        let token = Principal::Contract(contract("test-token"));
        world.ok("signer-4", "test-token", "mint", &[u(1_000), p("signer-4")]);
        world.governed(
            "set-asset",
            Args {
                p1: Some(token),
                b: true,
                n: [1_000_000_000, 8, 0, 0],
                ..Args::default()
            },
        );
        world.governed(
            "set-params",
            Args {
                n: [10, 6, 8, 6],
                ..Args::default()
            },
        );
        world.governed(
            "set-arbiter",
            Args {
                p1: Some(who("arbiter")),
                ..Args::default()
            },
        );
        world.governed("set-attestor", on(who("attestor")));
        world.governed("set-minter", on(who("minter")));
        world.ok(
            "client",
            "test-token",
            "mint",
            &[u(1_000_000_000), p("client")],
        );
        world
    }

    pub fn tip(&self) -> BlockId {
        self.chain.tip().header.id
    }

    pub fn burn_height(&self) -> u128 {
        self.chain.burn_tip().height.into()
    }

    /// Bitcoin goes on.
    pub fn burn(&mut self, blocks: u128) {
        self.chain.burn(u32::try_from(blocks).expect("few blocks"));
    }

    /// What each contract keeps, but for its place in the chain of events.
    fn kept(&self) -> [BTreeMap<String, String>; 4] {
        CONTRACTS.map(|name| {
            let data = self.chain.contract_data(&self.tip(), &contract(name));
            let mut data = data.expect("a state");
            data.retain(|key, _| !key.ends_with("::seq") && !key.ends_with("::head"));
            data
        })
    }

    /// A contract prints once for each change that it keeps, and not at all when a call fails.
    fn check_prints(
        &self,
        receipt: &Receipt,
        function: &str,
        before: &[BTreeMap<String, String>; 4],
    ) {
        let prints: Vec<_> = receipt.events.iter().filter_map(SimEvent::print).collect();
        for ((name, before), after) in CONTRACTS.iter().zip(before).zip(self.kept()) {
            let id = contract(name).to_string();
            let printed = prints.iter().filter(|(by, _)| *by == id).count();
            let changed = *before != after;
            if receipt.status != TxStatus::Success {
                assert_eq!((changed, printed), (false, 0), "{name} {function}");
                continue;
            }
            // An action that concerns the multisig itself is told of twice: that it ran, and what it did.
            let most = if function == "execute" && *name == "freelance-security" {
                2
            } else {
                1
            };
            assert!(printed <= most, "{name} {function} prints {printed} times");
            assert!(
                printed > 0 || !changed,
                "{name} {function} changes silently"
            );
        }
    }

    /// One call in a block of its own.
    pub fn receipt(
        &mut self,
        role: &str,
        name: &str,
        function: &str,
        arguments: &[Value],
        conditions: Conditions,
    ) -> Receipt {
        let actor = Actor::of(role);
        let nonce = self.chain.next_nonce(&actor.principal());
        let tx = actor.sign(
            nonce,
            1_000,
            call(&contract(name), function, arguments),
            conditions,
        );
        let before = self.kept();
        self.chain
            .submit(&tx.encode())
            .unwrap_or_else(|e| panic!("{name} {function}: {e}"));
        let receipt = self.mined();
        self.check_prints(&receipt, function, &before);
        receipt
    }

    pub fn try_call(
        &mut self,
        role: &str,
        name: &str,
        function: &str,
        arguments: &[Value],
    ) -> Outcome {
        let receipt = self.receipt(role, name, function, arguments, Conditions::None);
        if let Some(error) = receipt.vm_error {
            return Outcome::Abort(error);
        }
        match Value::decode_exact(&receipt.raw_result).expect("a result") {
            Value::Ok(value) => Outcome::Ok(*value),
            Value::Err(code) => {
                let code = code.as_u128().expect("a code");
                self.seen.insert(code);
                Outcome::Err(code)
            }
            other => panic!("{function} returned {other}"),
        }
    }

    pub fn ok(&mut self, role: &str, name: &str, function: &str, arguments: &[Value]) -> Value {
        match self.try_call(role, name, function, arguments) {
            Outcome::Ok(value) => value,
            other => panic!("{role} {name} {function}: {other:?}"),
        }
    }

    #[track_caller]
    pub fn fails(
        &mut self,
        code: u128,
        role: &str,
        name: &str,
        function: &str,
        arguments: &[Value],
    ) {
        let outcome = self.try_call(role, name, function, arguments);
        assert_eq!(outcome, Outcome::Err(code), "{role} {name} {function}");
    }

    /// Calls of the escrow.
    pub fn does(&mut self, role: &str, function: &str, arguments: &[Value]) -> Value {
        self.ok(role, "freelance-logic", function, arguments)
    }

    #[track_caller]
    pub fn cannot(&mut self, code: u128, role: &str, function: &str, arguments: &[Value]) {
        self.fails(code, role, "freelance-logic", function, arguments);
    }

    /// Three signers propose, approve, wait and execute.
    pub fn governed(&mut self, kind: &str, args: Args) {
        let asset = args.p1.clone().filter(|_| kind == "set-asset" && args.b);
        let token = asset.map_or(Value::None, |id| some(Value::Principal(id)));
        let outcome = self.try_governed(kind, args, token);
        assert!(matches!(outcome, Outcome::Ok(_)), "{kind}: {outcome:?}");
    }

    pub fn try_governed(&mut self, kind: &str, args: Args, token: Value) -> Outcome {
        let id = self.ok(
            "signer-1",
            "freelance-security",
            "propose",
            &[ascii(kind), args.value()],
        );
        self.ok(
            "signer-2",
            "freelance-security",
            "approve",
            std::slice::from_ref(&id),
        );
        self.ok(
            "signer-3",
            "freelance-security",
            "approve",
            std::slice::from_ref(&id),
        );
        self.burn(145);
        self.try_call("signer-4", "freelance-security", "execute", &[id, token])
    }

    pub fn read(&self, name: &str, function: &str, arguments: &[Value]) -> Value {
        self.chain
            .call_read(
                &self.tip(),
                &who("stranger"),
                &contract(name),
                function,
                arguments,
            )
            .unwrap_or_else(|e| panic!("{name} {function}: {e}"))
    }

    pub fn field(&self, name: &str, function: &str, arguments: &[Value], field: &str) -> Value {
        let value = match self.read(name, function, arguments) {
            Value::Some(inner) => *inner,
            plain => plain,
        };
        value
            .get(field)
            .unwrap_or_else(|| panic!("{function} has no {field}"))
            .clone()
    }

    /// Micro-STX.
    pub fn stx(&self, who: &Principal) -> u128 {
        self.chain
            .account(&self.tip(), who)
            .expect("an account")
            .balance
    }

    pub fn tokens(&self, who: &Principal) -> u128 {
        self.tokens_of("test-token", who)
    }

    pub fn tokens_of(&self, token: &str, who: &Principal) -> u128 {
        match self.read(token, "get-balance", &[Value::Principal(who.clone())]) {
            Value::Ok(n) => n.as_u128().expect("a balance"),
            other => panic!("{other}"),
        }
    }

    pub fn locked(&self) -> u128 {
        self.read("freelance-logic", "get-locked", &[Value::None])
            .as_u128()
            .expect("an amount")
    }

    /// A project in STX; `due` is in burn blocks from now. Returns its number.
    pub fn open(&mut self, amounts: &[u128], due: u128) -> Value {
        let arguments = self.opening(amounts, due, Value::None);
        self.does("client", "open-project", &arguments)
    }

    pub fn opening(&self, amounts: &[u128], due: u128, token: Value) -> [Value; 6] {
        let due = u(self.burn_height() + due);
        let terms = amounts
            .iter()
            .map(|a| tuple(&[("amount", u(*a)), ("due", due.clone())]))
            .collect();
        [
            p("freelancer"),
            Value::None,
            Value::List(terms),
            u(2_500),
            hash(7),
            token,
        ]
    }

    pub fn active(&mut self, amounts: &[u128]) -> Value {
        let id = self.open(amounts, 20);
        self.does("freelancer", "accept-project", std::slice::from_ref(&id));
        id
    }

    pub fn submitted(&mut self) -> Value {
        let id = self.active(&[10_000]);
        self.does("freelancer", "submit", &[id.clone(), u(1), hash(1)]);
        id
    }

    pub fn disputed(&mut self) -> Value {
        let id = self.submitted();
        self.does("client", "open-dispute", &[id.clone(), u(1), hash(2)]);
        id
    }

    pub fn milestone(&self, id: &Value, m: u128, field: &str) -> u128 {
        self.field(
            "freelance-logic",
            "get-milestone",
            &[id.clone(), u(m)],
            field,
        )
        .as_u128()
        .expect("a number")
    }

    pub fn project(&self, id: &Value, field: &str) -> u128 {
        self.field(
            "freelance-logic",
            "get-project",
            std::slice::from_ref(id),
            field,
        )
        .as_u128()
        .expect("a number")
    }
}

/// Each contract's chain of events over all blocks, checked; and compared with its cursor.
pub fn check_chains(world: &World) {
    let mut chains: BTreeMap<String, (u128, [u8; 32])> = BTreeMap::new();
    for height in 1..=world.chain.tip().header.height {
        let block = world.chain.at_height(height).expect("a block");
        for (contract, raw) in block
            .receipts
            .iter()
            .flat_map(|r| &r.events)
            .filter_map(SimEvent::print)
        {
            let name = contract.split_once('.').expect("a contract").1;
            if !events::is_known(name) {
                continue;
            }
            let envelope = events::decode(name, &raw).unwrap_or_else(|e| panic!("{name}: {e}"));
            let (seq, head) = chains.entry(name.to_owned()).or_default();
            assert_eq!((envelope.seq, envelope.prev), (*seq + 1, *head), "{name}");
            *seq += 1;
            *head = Sha256::digest(&raw).into();
        }
    }
    for (name, (seq, head)) in chains {
        let cursor = world.read(&name, "get-cursor", &[]);
        assert_eq!(
            cursor,
            tuple(&[("seq", u(seq)), ("head", Value::Buffer(head.to_vec()))]),
            "{name}"
        );
    }
}
