//! Random arguments and post-conditions.

use super::table::Arg::{self, *};
use super::table::KINDS;
use super::*;

impl Bench {
    pub(super) fn value(&self, rng: &mut SeededRng, kind: Arg) -> Value {
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

pub(super) fn maybe(asset: &Asset) -> Value {
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
pub(super) fn exactly(rng: &mut SeededRng, movements: &[Movement]) -> Conditions {
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
