//! Any calls by anybody, with arguments at the edges, at any time and under any post-conditions.

mod draw;
mod guided;
mod table;

use proptest::prelude::*;

use draw::{exactly, maybe};
use table::{FUNCTIONS, REACHED};

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
        for role in ["client-1", "client-2", "signer-1", "signer-2", "signer-3"] {
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
            // The first one enables the token.
            let asset = (id == 1).then(|| token.clone());
            let args = [Value::UInt(id as u128), maybe(&asset)];
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
        // Mostly few blocks, so that windows stay open; now and then enough for every delay.
        match rng.below(100) {
            0..12 => self.chain.burn([1, 1, 2, 3, 7][rng.index(5)]),
            12..15 => self.chain.burn([25, 150][rng.index(2)]),
            _ => Vec::new(),
        };
        let plan = if rng.percent(65) {
            self.plan(&mut rng)
        } else {
            None
        };
        let wanted =
            |entry: &&(&str, &str, _)| plan.as_ref().is_some_and(|p| p.function == entry.1);
        let drawn = &FUNCTIONS[rng.index(FUNCTIONS.len())];
        let (place, function, kinds) = *FUNCTIONS.iter().find(wanted).unwrap_or(drawn);
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
        let mut who = self.caller(&mut rng, function);
        if let Some(plan) = plan {
            for (given, value) in args.iter_mut().zip(plan.first) {
                *given = value;
            }
            if let (Some(given), Some(value)) = (args.last_mut(), plan.last) {
                *given = value;
            }
            who = self.actor_of(&plan.who).unwrap_or(who);
        }
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

    fn actor_of(&self, who: &Principal) -> Option<Actor> {
        let mut everybody = USERS.iter().chain(&OTHERS).map(|role| Actor::of(role));
        everybody.find(|actor| actor.principal() == *who)
    }

    /// Mostly somebody who may.
    fn caller(&self, rng: &mut SeededRng, function: &str) -> Actor {
        let everybody: Vec<_> = USERS.iter().chain(&OTHERS).copied().collect();
        let role = match function {
            _ if rng.percent(20) => everybody[rng.index(everybody.len())],
            "attest-x" | "revoke-x" | "publish-leaderboard" => "attestor",
            "mint" => "minter",
            "record-paid" | "record-dispute" => "keeper",
            _ => USERS[rng.index(USERS.len())],
        };
        Actor::of(role)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 60, ..ProptestConfig::default() })]

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

/// Worlds that are played at most until everything was met.
const WORLDS: u32 = 20;

#[test]
fn random_calls_reach_what_they_are_meant_to_reach() {
    let mut seen = std::collections::BTreeSet::new();
    let mut rng = SeededRng::new(1);
    let mut missing: Vec<_> = REACHED
        .iter()
        .flat_map(|(name, ends)| ends.split(' ').map(move |end| (*name, end)))
        .collect();
    for _ in 0..WORLDS {
        let mut bench = Bench::new();
        for _ in 0..500 {
            bench.step(rng.next_u64());
        }
        seen.extend(bench.shadow.seen.into_keys());
        missing.retain(|(name, end)| !seen.contains(&((*name).to_owned(), (*end).to_owned())));
        if missing.is_empty() {
            return;
        }
    }
    panic!("never reached: {missing:?}; seen: {seen:?}");
}
