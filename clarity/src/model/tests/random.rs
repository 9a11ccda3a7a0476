//! Any calls by anybody, with arguments at the edges, at any time and under any post-conditions.

use proptest::prelude::*;

use super::*;
use crate::codec::ClarityName;
use crate::codec::transaction::{
    Asset as ConditionAsset, ConditionPrincipal, FungibleCode, NonFungibleCode, PostCondition,
};
use crate::codec::value::EncodedValue;
use crate::market::{Conditions, SOURCES, call, deploy};
use crate::rng::SeededRng;
use crate::simnet::SimnetConfig;

const FEE: u64 = 1_000;
const STX: u128 = 1_000_000_000_000;
const USERS: [&str; 5] = [
    "client-1",
    "client-2",
    "freelancer-1",
    "freelancer-2",
    "keeper",
];
const OTHERS: [&str; 9] = [
    "deployer", "arbiter", "attestor", "minter", "signer-1", "signer-2", "signer-3", "signer-4",
    "signer-5",
];
const KINDS: [&str; 20] = [
    "set-fee",
    "set-treasury",
    "set-arbiter",
    "set-asset",
    "disable-asset",
    "set-params",
    "pause",
    "unpause",
    "set-writer",
    "set-attestor",
    "set-category",
    "set-minter",
    "set-kind",
    "set-uri",
    "revoke-badge",
    "migrate-badge",
    "swap-signer",
    "set-budget",
    "spend",
    "no-such-kind",
];

/// What an argument is about.
#[derive(Debug, Clone, Copy)]
enum Arg {
    Who,
    MaybeWho,
    Project,
    Milestone,
    Bps,
    Height,
    Hash,
    Token,
    Flag,
    MaybeFlag,
    Number,
    Stars,
    Text(&'static [&'static str]),
    Terms,
    Kind,
    Action,
    ActionKind,
    ActionArgs,
    Badge,
    Memo,
}

use Arg::*;

const HANDLES: &[&str] = &["ab", "abc", "abd", "a handle of some length"];
const NAMES: &[&str] = &["", "one", "two"];

/// Every public function.
const FUNCTIONS: &[(&str, &str, &[Arg])] = &[
    (
        "logic",
        "open-project",
        &[Who, MaybeWho, Terms, Bps, Hash, Token],
    ),
    ("logic", "accept-project", &[Project]),
    ("logic", "cancel-unaccepted", &[Project, Token]),
    ("logic", "decline", &[Project, Token]),
    ("logic", "submit", &[Project, Milestone, Hash]),
    ("logic", "reject", &[Project, Milestone, Hash]),
    ("logic", "extend-due", &[Project, Milestone, Height]),
    ("logic", "open-dispute", &[Project, Milestone, Hash]),
    (
        "logic",
        "offer-settlement",
        &[Project, Milestone, Bps, Height],
    ),
    ("logic", "withdraw-settlement", &[Project, Milestone]),
    ("logic", "release", &[Project, Milestone, Token]),
    ("logic", "claim-timeout", &[Project, Milestone, Token]),
    ("logic", "reclaim-expired", &[Project, Milestone, Token]),
    ("logic", "resolve", &[Project, Milestone, Bps, Token]),
    ("logic", "claim-stale-dispute", &[Project, Milestone, Token]),
    (
        "logic",
        "accept-settlement",
        &[Project, Milestone, Bps, Token],
    ),
    ("logic", "set-fee", &[Bps]),
    ("logic", "set-treasury", &[Who]),
    ("logic", "set-arbiter", &[Who]),
    ("logic", "set-asset", &[Token, Flag, Number, Kind]),
    ("logic", "set-params", &[Number, Number, Number, Number]),
    ("logic", "set-paused", &[Flag, Height]),
    ("data", "set-writer", &[Who, Flag]),
    ("data", "set-attestor", &[Who, Flag]),
    ("data", "set-category", &[Kind, Text(NAMES), Flag]),
    ("data", "set-profile", &[Text(HANDLES), Hash]),
    ("data", "rate", &[Who, Project, Stars, Hash]),
    ("data", "attest-x", &[Who, Hash, Height]),
    ("data", "revoke-x", &[Who]),
    (
        "data",
        "publish-leaderboard",
        &[Kind, Text(NAMES), Hash, Number, Text(NAMES), Height, Height],
    ),
    (
        "data",
        "record-paid",
        &[
            Who,
            Who,
            Token,
            Number,
            Project,
            Milestone,
            Text(NAMES),
            MaybeFlag,
            MaybeWho,
        ],
    ),
    ("data", "record-dispute", &[Who, Who, Project, Milestone]),
    ("badges", "mint", &[Who, Kind]),
    ("badges", "claim", &[Kind]),
    ("badges", "set-minter", &[Who, Flag]),
    (
        "badges",
        "set-kind",
        &[Kind, Text(NAMES), Number, Number, Flag],
    ),
    ("badges", "set-uri", &[Text(NAMES)]),
    ("badges", "revoke", &[Badge, Hash]),
    ("badges", "migrate", &[Badge, Who]),
    ("badges", "transfer", &[Badge, Who, Who]),
    ("security", "propose", &[ActionKind, ActionArgs]),
    ("security", "approve", &[Action]),
    ("security", "approve", &[Action]),
    ("security", "revoke-approval", &[Action]),
    ("security", "reject", &[Action]),
    ("security", "cancel", &[Action]),
    ("security", "execute", &[Action, Token]),
    ("security", "execute", &[Action, Token]),
    ("token", "mint", &[Number, Who]),
    ("token", "transfer", &[Number, Who, Who, Memo]),
];

/// A chain in which governance has set everything up, and its shadow.
struct Bench {
    chain: Simnet,
    shadow: Shadow,
}

impl Bench {
    fn new() -> Self {
        let genesis: Vec<_> = USERS
            .iter()
            .chain(&OTHERS)
            .map(|role| (Actor::of(role).principal(), STX))
            .collect();
        let chain = Simnet::new(SimnetConfig {
            genesis: genesis.clone(),
            ..SimnetConfig::default()
        })
        .expect("a chain");
        let shadow = Shadow::new(&chain, &genesis);
        let mut bench = Self { chain, shadow };
        bench.chain.burn(1);
        let deployer = Actor::of("deployer");
        for (name, source) in SOURCES {
            bench.send(&deployer, deploy(name, source), Conditions::None);
        }
        bench.mine();
        bench.set_up();
        bench
    }

    fn model(&self) -> &Model {
        self.shadow.model(&self.chain.tip().header.id)
    }

    fn burn_height(&self) -> u128 {
        u128::from(self.chain.burn_tip().height)
    }

    fn send(&mut self, who: &Actor, payload: Payload, conditions: Conditions) {
        let nonce = self.chain.next_nonce(&who.principal());
        let tx = who.sign(nonce, FEE, payload, conditions);
        self.chain
            .submit(&tx.encode())
            .expect("a sound transaction");
    }

    fn mine(&mut self) {
        let block = self.chain.mine(100).expect("a block");
        self.shadow.follow(&self.chain, &block);
    }

    fn set_up(&mut self) {
        let who = |role: &str| Some(Actor::of(role).principal());
        let token = self.model().contracts.token.clone();
        let security = self.model().contracts.security.clone();
        let on = |role| super::ActionArgs {
            p1: who(role),
            b: true,
            ..super::ActionArgs::default()
        };
        let numbers = |p1, n: [u128; 4], b| super::ActionArgs {
            p1,
            n1: n[0],
            n2: n[1],
            n3: n[2],
            n4: n[3],
            b,
            ..super::ActionArgs::default()
        };
        let actions = [
            (
                "set-asset",
                numbers(Some(token.clone()), [STX, 8, 0, 0], true),
            ),
            ("set-params", numbers(None, [6, 6, 6, 6], false)),
            ("set-attestor", on("attestor")),
            ("set-minter", on("minter")),
            ("set-writer", on("keeper")),
            ("set-arbiter", on("arbiter")),
            ("set-kind", numbers(None, [1, 1, 200, 0], false)),
            ("set-budget", numbers(None, [5_000, 50, 0, 0], false)),
        ];
        let target = contract(&security).clone();
        let signers = [1, 2, 3].map(|n| Actor::of(&format!("signer-{n}")));
        for (kind, args) in &actions {
            let kind = Value::ascii(*kind).expect("a kind");
            let args = [kind, args.to_value().expect("arguments")];
            self.send(
                &signers[0],
                call(&target, "propose", &args),
                Conditions::None,
            );
        }
        self.mine();
        for id in 1..=actions.len() {
            let id = [Value::UInt(id as u128)];
            for signer in &signers[1..] {
                self.send(signer, call(&target, "approve", &id), Conditions::None);
            }
        }
        for role in ["client-1", "client-2"] {
            let args = [
                Value::UInt(STX),
                Value::Principal(Actor::of(role).principal()),
            ];
            let mint = call(contract(&token), "mint", &args);
            self.send(&Actor::of(role), mint, Conditions::None);
        }
        self.mine();
        self.chain.burn(144);
        for id in 1..=actions.len() {
            let args = [Value::UInt(id as u128), Value::None];
            self.send(
                &signers[0],
                call(&target, "execute", &args),
                Conditions::None,
            );
        }
        self.mine();
        let model = self.model();
        assert!(
            model
                .security
                .actions
                .values()
                .all(|a| a.status == ActionStatus::Executed)
        );
    }

    /// One random call.
    fn step(&mut self, seed: u64) {
        let mut rng = SeededRng::new(seed);
        if rng.percent(25) {
            let blocks = [1, 1, 2, 7, 25, 150][rng.index(6)];
            self.chain.burn(blocks);
        }
        let (place, function, kinds) = self.choose(&mut rng);
        let model = self.model().clone();
        let at = &model.contracts;
        let target = match place {
            "logic" => &at.logic,
            "data" => &at.data,
            "badges" => &at.badges,
            "security" => &at.security,
            _ => &at.token,
        };
        let mut args: Vec<_> = kinds
            .iter()
            .map(|kind| self.value(&mut rng, *kind))
            .collect();
        let role = self.fit(&mut rng, function, &mut args);
        let who = Actor::of(&role);
        let call_now = Call {
            caller: who.principal(),
            burn_height: self.burn_height(),
        };
        let mut trial = model.clone();
        let moved = trial.call(&call_now, target, function, &args).is_ok();
        let conditions = if moved && rng.percent(70) {
            exactly(&mut rng, trial.movements())
        } else {
            Conditions::None
        };
        self.send(&who, call(contract(target), function, &args), conditions);
        self.mine();
    }

    /// Mostly calls that drive projects and actions on.
    fn choose(&self, rng: &mut SeededRng) -> (&'static str, &'static str, &'static [Arg]) {
        let favourites = [
            "open-project",
            "accept-project",
            "submit",
            "release",
            "execute",
            "rate",
        ];
        let name = favourites[rng.index(favourites.len())];
        let favoured = FUNCTIONS.iter().find(|(_, function, _)| *function == name);
        match favoured {
            Some(found) if rng.percent(45) => *found,
            _ => FUNCTIONS[rng.index(FUNCTIONS.len())],
        }
    }

    /// Mostly the right caller and the right token for what was drawn; otherwise anybody.
    fn fit(&self, rng: &mut SeededRng, function: &str, args: &mut [Value]) -> String {
        let any: Vec<_> = USERS.iter().chain(&OTHERS).copied().collect();
        let anybody = any[rng.index(any.len())];
        if rng.percent(15) {
            return anybody.to_owned();
        }
        let is = |who: &Principal| any.iter().find(|role| Actor::of(role).principal() == *who);
        let model = self.model();
        let project = args.first().and_then(Value::as_u128);
        let project = project.and_then(|p| model.logic.projects.get(&p));
        if let (Some(project), false) = (project, function == "approve") {
            if let Some(last @ (Value::None | Value::Some(_))) = args.last_mut()
                && rng.percent(90)
            {
                *last = maybe(&project.asset);
            }
            let who = match function {
                "accept-project" | "decline" | "submit" => &project.freelancer,
                "resolve" => &project.arbiter,
                "open-dispute"
                | "offer-settlement"
                | "accept-settlement"
                | "withdraw-settlement"
                | "claim-stale-dispute"
                    if rng.percent(50) =>
                {
                    &project.freelancer
                }
                _ => &project.client,
            };
            if let Some(role) = is(who) {
                return (*role).to_owned();
            }
        }
        match function {
            "open-project" => format!("client-{}", rng.between(1, 2)),
            "attest-x" | "revoke-x" | "publish-leaderboard" => "attestor".to_owned(),
            "mint" => "minter".to_owned(),
            "record-paid" | "record-dispute" => "keeper".to_owned(),
            "propose" | "approve" | "execute" | "reject" | "cancel" | "revoke-approval" => {
                format!("signer-{}", rng.between(1, 5))
            }
            _ => USERS[rng.index(USERS.len())].to_owned(),
        }
    }

    fn value(&self, rng: &mut SeededRng, kind: Arg) -> Value {
        let model = self.model();
        let token = || Some(model.contracts.token.clone());
        match kind {
            Who => Value::Principal(self.who(rng)),
            MaybeWho if rng.percent(60) => Value::None,
            MaybeWho => Value::some(Value::Principal(self.who(rng))),
            Project => number_up_to(rng, model.logic.last_project),
            Milestone => {
                Value::UInt(u128::from(rng.between(0, 3)).max(u128::from(rng.percent(90))))
            }
            Bps => pick(
                rng,
                &[0, 1, 3_333, 5_000, 10_000, 10_000, 10_001, u128::MAX],
            ),
            Height => {
                let now = self.burn_height();
                let spans = [0, 1, 6, 20, 1_008, 4_320, 4_321, 52_560, 52_561];
                let span = spans[rng.index(spans.len())];
                let value = if rng.percent(10) {
                    now.saturating_sub(span)
                } else {
                    now + span
                };
                Value::UInt(if rng.percent(2) { u128::MAX } else { value })
            }
            Hash => Value::Buffer(vec![[0, 1, 2][rng.index(3)]; [0, 32, 32][rng.index(3)]]),
            Token => maybe(&token().filter(|_| rng.percent(35))),
            Flag => Value::Bool(rng.percent(50)),
            MaybeFlag if rng.percent(30) => Value::None,
            MaybeFlag => Value::some(Value::Bool(rng.percent(50))),
            Number => amount(rng),
            Stars => pick(rng, &[0, 1, 4, 5, 5, 5, 6]),
            Text(texts) => Value::ascii(texts[rng.index(texts.len())]).expect("ASCII"),
            Terms => self.terms(rng),
            Kind => pick(rng, &[0, 1, 1, 1, 2, 5, 5, 6, 18, 19]),
            Action => number_up_to(rng, model.security.last_action),
            ActionKind => Value::ascii(KINDS[rng.index(KINDS.len())]).expect("ASCII"),
            ActionArgs => self.action_args(rng),
            Badge => number_up_to(rng, model.badges.last_id),
            Memo if rng.percent(50) => Value::None,
            Memo => Value::some(Value::Buffer(vec![1; 34])),
        }
    }

    fn who(&self, rng: &mut SeededRng) -> Principal {
        let at = &self.model().contracts;
        match rng.below(20) {
            0 => at.logic.clone(),
            1 => at.security.clone(),
            2 => at.token.clone(),
            3..=5 => Actor::of(OTHERS[rng.index(OTHERS.len())]).principal(),
            6 => Actor::of("nobody").principal(),
            7 => at.logic.clone(),
            _ => Actor::of(USERS[rng.index(USERS.len())]).principal(),
        }
    }

    fn terms(&self, rng: &mut SeededRng) -> Value {
        let count = [0, 1, 1, 1, 2, 3, 10][rng.index(7)];
        let mut list = Vec::new();
        for _ in 0..count {
            let odd = rng.percent(5);
            let value = if odd {
                amount(rng)
            } else {
                Value::UInt(rng.between(1_000, 9_999).into())
            };
            let due = self.burn_height() + u128::from(rng.between(1, 30));
            let due = if rng.percent(5) {
                self.value(rng, Height)
            } else {
                Value::UInt(due)
            };
            list.push(Value::tuple([("amount", value), ("due", due)]).expect("a tuple"));
        }
        Value::List(list)
    }

    fn action_args(&self, rng: &mut SeededRng) -> Value {
        let numbers = |rng: &mut SeededRng, bench: &Self| {
            let kind = [Bps, Height, Number, Badge, Kind][rng.index(5)];
            bench.value(rng, kind).as_u128().unwrap_or_default()
        };
        let args = super::ActionArgs {
            p1: Some(self.who(rng)).filter(|_| rng.percent(80)),
            p2: Some(self.who(rng)).filter(|_| rng.percent(40)),
            n1: numbers(rng, self),
            n2: numbers(rng, self),
            n3: numbers(rng, self),
            n4: numbers(rng, self),
            b: rng.percent(50),
            h: vec![7; 32],
            s: "s".repeat([0, 10, 24, 25, 50, 51, 80][rng.index(7)]),
        };
        args.to_value().expect("a tuple")
    }
}

fn maybe(asset: &Asset) -> Value {
    match asset {
        None => Value::None,
        Some(who) => Value::some(Value::Principal(who.clone())),
    }
}

fn pick(rng: &mut SeededRng, from: &[u128]) -> Value {
    Value::UInt(from[rng.index(from.len())])
}

fn amount(rng: &mut SeededRng) -> Value {
    let top = 1_000_000_000_000_000_000;
    pick(
        rng,
        &[
            0,
            1,
            5,
            6,
            100,
            999,
            1_000,
            1_001,
            4_320,
            4_321,
            STX,
            top,
            top + 1,
            u128::MAX,
        ],
    )
}

/// Mostly one of the newest.
fn number_up_to(rng: &mut SeededRng, last: u128) -> Value {
    match rng.below(20) {
        0 => Value::UInt(0),
        1 => Value::UInt(last + 1),
        2 => Value::UInt(u128::MAX),
        _ => Value::UInt(last.saturating_sub(u128::from(rng.below(5))).max(1)),
    }
}

/// Conditions for what would move: exact, off by one, or one of them missing.
fn exactly(rng: &mut SeededRng, movements: &[Movement]) -> Conditions {
    let mut sums: BTreeMap<(Asset, Principal), u128> = BTreeMap::new();
    let mut conditions = Vec::new();
    for movement in movements {
        match movement {
            Movement::Fungible {
                asset,
                from,
                amount,
            } => {
                *sums.entry((asset.clone(), from.clone())).or_default() += amount;
            }
            Movement::Badge { id, from } => conditions.push(PostCondition::NonFungible {
                principal: condition_principal(from),
                asset: ConditionAsset {
                    contract: Actor::of("deployer").contract("freelance-badges"),
                    name: ClarityName::new("badge").expect("a name"),
                },
                id: EncodedValue::try_from(&Value::UInt(*id)).expect("a value"),
                code: if rng.percent(80) {
                    NonFungibleCode::Sent
                } else {
                    NonFungibleCode::NotSent
                },
            }),
        }
    }
    for ((asset, from), sum) in sums {
        let amount = u64::try_from(sum).unwrap_or(u64::MAX);
        let amount = if rng.percent(10) {
            amount.saturating_sub(1)
        } else {
            amount
        };
        let codes = [
            FungibleCode::Equal,
            FungibleCode::Equal,
            FungibleCode::Equal,
            FungibleCode::LessOrEqual,
            FungibleCode::GreaterOrEqual,
            FungibleCode::Greater,
            FungibleCode::Less,
        ];
        let code = codes[rng.index(codes.len())];
        let principal = condition_principal(&from);
        conditions.push(match asset {
            None => PostCondition::Stx {
                principal,
                code,
                amount,
            },
            Some(token) => PostCondition::Fungible {
                principal,
                asset: ConditionAsset {
                    contract: contract(&token).clone(),
                    name: ClarityName::new("test-token").expect("a name"),
                },
                code,
                amount,
            },
        });
    }
    if rng.percent(8) {
        conditions.pop();
    }
    Conditions::Exactly(conditions)
}

fn condition_principal(who: &Principal) -> ConditionPrincipal {
    match who {
        Principal::Standard(address) => ConditionPrincipal::Standard(*address),
        Principal::Contract(contract) => ConditionPrincipal::Contract(contract.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_calls_end_as_the_model_says(seeds in prop::collection::vec(any::<u64>(), 120)) {
        let mut bench = Bench::new();
        for seed in seeds {
            bench.step(seed);
        }
        let tip = bench.chain.tip().header.id;
        let model = bench.shadow.model(&tip).clone();
        compare(&bench.chain, &tip, &Image::new(), &model);
        compare_balances(&mut bench.chain, &tip, &model);
    }
}
