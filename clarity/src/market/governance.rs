//! The signers: what they set up, and what they do from time to time.

use super::view::View;
use super::{Actor, Marketplace, call};
use crate::codec::value::AsciiString;
use crate::codec::{Principal, Value};
use crate::simnet::Simnet;

/// What an action is given.
#[derive(Debug, Clone, Default)]
pub(super) struct Args {
    p1: Option<Principal>,
    p2: Option<Principal>,
    n: [u128; 4],
    b: bool,
    h: [u8; 32],
    s: &'static str,
}

fn ascii(text: &str) -> Value {
    AsciiString::new(text).map_or(Value::None, Value::Ascii)
}

fn optional(principal: Option<&Principal>) -> Value {
    principal.map_or(Value::None, |p| {
        Value::Some(Box::new(Value::Principal(p.clone())))
    })
}

impl Args {
    fn value(&self) -> Value {
        let [n1, n2, n3, n4] = self.n.map(Value::UInt);
        let fields = [
            ("p1", optional(self.p1.as_ref())),
            ("p2", optional(self.p2.as_ref())),
            ("n1", n1),
            ("n2", n2),
            ("n3", n3),
            ("n4", n4),
            ("b", Value::Bool(self.b)),
            ("h", Value::Buffer(self.h.to_vec())),
            ("s", ascii(self.s)),
        ];
        Value::tuple(fields).unwrap_or(Value::None)
    }
}

/// Windows of projects on a devnet, in burn blocks: short, so that something happens.
const WINDOW: u128 = 6;
/// Milestone of at most 10,000 tokens of 8 digits.
const TOKEN_MAX: u128 = 1_000_000_000_000;
/// Burn blocks for which the signers try to carry out an action that fails.
const PATIENCE: u128 = 160;

impl Marketplace {
    /// What the signers decide first, in this order: action 1 is the first.
    pub(super) fn setup(&self) -> Vec<(&'static str, Args)> {
        let of = |role: &str| Some(Actor::of(role).principal());
        let token = Some(Principal::Contract(self.contracts.token.clone()));
        let on = |p1| Args {
            p1,
            b: true,
            ..Args::default()
        };
        let category = |n, s| Args {
            n: [n, 0, 0, 0],
            s,
            b: true,
            ..Args::default()
        };
        vec![
            (
                "set-asset",
                Args {
                    p1: token.clone(),
                    b: true,
                    n: [TOKEN_MAX, 8, 0, 0],
                    ..Args::default()
                },
            ),
            (
                "set-params",
                Args {
                    n: [WINDOW * 4, WINDOW, WINDOW, WINDOW],
                    ..Args::default()
                },
            ),
            ("set-attestor", on(of("attestor"))),
            ("set-minter", on(of("minter"))),
            (
                "set-budget",
                Args {
                    n: [50_000_000_000, 1_000, 0, 0],
                    ..Args::default()
                },
            ),
            (
                "set-budget",
                Args {
                    p1: token,
                    n: [TOKEN_MAX, 1_000, 0, 0],
                    ..Args::default()
                },
            ),
            (
                "set-kind",
                Args {
                    n: [1, 3, 350, 0],
                    s: "bronze",
                    ..Args::default()
                },
            ),
            (
                "set-kind",
                Args {
                    n: [2, 6, 350, 0],
                    s: "silver",
                    b: true,
                    ..Args::default()
                },
            ),
            ("set-writer", on(of("keeper"))),
            (
                "set-arbiter",
                Args {
                    p1: of("arbiter"),
                    ..Args::default()
                },
            ),
            ("set-category", category(1, "development")),
            ("set-category", category(2, "design")),
            (
                "set-uri",
                Args {
                    s: "ipfs://stxworx-devnet-badges/{id}.json",
                    ..Args::default()
                },
            ),
            (
                "set-fee",
                Args {
                    n: [500, 0, 0, 0],
                    ..Args::default()
                },
            ),
            (
                "set-treasury",
                Args {
                    p1: Some(Principal::Contract(self.contracts.security.clone())),
                    ..Args::default()
                },
            ),
            // The next wait until there is something to spend or a badge to take, and the last for all.
            (
                "spend",
                Args {
                    p1: of("keeper"),
                    n: [1_000, 0, 0, 0],
                    h: [2; 32],
                    ..Args::default()
                },
            ),
            (
                "revoke-badge",
                Args {
                    n: [1, 0, 0, 0],
                    h: [1; 32],
                    ..Args::default()
                },
            ),
            (
                "migrate-badge",
                Args {
                    n: [2, 0, 0, 0],
                    p1: of("freelancer-40"),
                    ..Args::default()
                },
            ),
            (
                "swap-signer",
                Args {
                    p1: of("signer-5"),
                    p2: of("signer-6"),
                    ..Args::default()
                },
            ),
        ]
    }

    /// How many burn blocks the signers would like to pass now: while the setup waits for its time.
    pub fn patience(&self, chain: &Simnet) -> u32 {
        let view = View::new(chain, &self.contracts);
        let last = view.last_action();
        if !view.is_deployed() || last < self.setup_length || last > self.setup_length {
            return 0;
        }
        let waits = (1..=last)
            .filter_map(|id| view.action(id))
            .find(|a| a.status == 0 && a.approvals >= 3);
        let ahead = waits.map_or(0, |a| a.eta.saturating_sub(view.burn_height));
        u32::try_from(ahead).unwrap_or(0)
    }

    pub(super) fn govern(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let view = View::new(chain, &self.contracts);
        let last = view.last_action();
        let setup = self.setup();
        let done = usize::try_from(last).unwrap_or(usize::MAX);
        if done < setup.len() {
            if self.waits(chain, "signer-1") {
                return;
            }
            for (kind, args) in &setup[done..] {
                self.propose(chain, "signer-1", kind, args, out);
            }
            return;
        }
        self.settle_actions(chain, last, out);
        if self.rng.percent(4) {
            self.new_action(chain, out);
        }
    }

    /// Approves, executes and sometimes withdraws what is pending among the newest actions.
    fn settle_actions(&mut self, chain: &mut Simnet, last: u128, out: &mut Vec<Vec<u8>>) {
        let mut earlier_waits = false;
        for id in last.saturating_sub(20).max(1)..=last {
            let view = View::new(chain, &self.contracts);
            let Some(action) = view.action(id) else {
                continue;
            };
            if action.status != 0
                || action.expires < view.burn_height
                || action.epoch != view.epoch()
            {
                continue;
            }
            let needed = if action.class == 1 { 3 } else { 2 };
            let ready = match action.kind.as_str() {
                "revoke-badge" | "migrate-badge" => view.badge_exists(action.n1),
                "spend" => action.p2.is_some() || view.treasury() >= action.n1,
                // Other signers mean that everything pending lapses.
                "swap-signer" => !earlier_waits || id > self.setup_length,
                _ => true,
            };
            earlier_waits = true;
            let due = action.eta <= view.burn_height && ready;
            // What was due long ago fails for a reason that will not go away.
            let hopeless = ready && action.eta + PATIENCE < view.burn_height;
            let number = Value::UInt(id);
            if self.doomed(id) || hopeless {
                self.oppose(chain, id, out);
            } else if action.approvals < needed {
                let next = self.signers(chain).into_iter().find(|role| {
                    !View::new(chain, &self.contracts).approved(id, &Actor::of(role).principal())
                });
                if let Some(role) = next {
                    let payload = call(&self.contracts.security, "approve", &[number]);
                    self.send(chain, &Actor::of(&role), payload, None, out);
                }
            } else if due
                && (action.eta + 2 >= view.burn_height || self.rng.percent(25))
                && let Some(role) = self.signers(chain).first()
            {
                // A payment in tokens names its token, and so does what switches one on; what needs none ignores it.
                let asset = match action.kind.as_str() {
                    "spend" => action.p2.as_ref(),
                    "set-asset" => action.p1.as_ref(),
                    _ => None,
                };
                let token = optional(asset);
                let payload = call(&self.contracts.security, "execute", &[number, token]);
                self.send(chain, &Actor::of(role), payload, None, out);
            }
        }
    }

    /// Some actions after the setup are not meant to pass.
    fn doomed(&self, id: u128) -> bool {
        id > self.setup_length && id % 5 == 3
    }

    fn oppose(&mut self, chain: &mut Simnet, id: u128, out: &mut Vec<Vec<u8>>) {
        let number = [Value::UInt(id)];
        let signers = self.signers(chain);
        let proposer = signers
            .iter()
            .find(|r| View::new(chain, &self.contracts).approved(id, &Actor::of(r).principal()))
            .cloned();
        match (self.rng.below(3), proposer) {
            (0, Some(role)) => self.send(
                chain,
                &Actor::of(&role),
                call(&self.contracts.security, "cancel", &number),
                None,
                out,
            ),
            (1, Some(role)) => self.send(
                chain,
                &Actor::of(&role),
                call(&self.contracts.security, "revoke-approval", &number),
                None,
                out,
            ),
            _ => {
                for role in signers.iter().take(3) {
                    self.send(
                        chain,
                        &Actor::of(role),
                        call(&self.contracts.security, "reject", &number),
                        None,
                        out,
                    );
                }
            }
        }
    }

    /// Roles that sign now; swaps bring in `signer-6` and later ones.
    fn signers(&self, chain: &Simnet) -> Vec<String> {
        let view = View::new(chain, &self.contracts);
        (1..=9)
            .map(|n| format!("signer-{n}"))
            .filter(|r| view.is_signer(&Actor::of(r).principal()))
            .collect()
    }

    fn new_action(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let signers = self.signers(chain);
        let Some(role) = self.rng.pick(&signers).cloned() else {
            return;
        };
        let view = View::new(chain, &self.contracts);
        let burn = view.burn_height;
        let of = |role: &str| Some(Actor::of(role).principal());
        let token = Some(Principal::Contract(self.contracts.token.clone()));
        let outsider = (1..=9)
            .map(|n| format!("signer-{n}"))
            .find(|r| !signers.contains(r));
        let h = self.rng.bytes();
        let (kind, args) = match self.rng.below(12) {
            0 => (
                "set-fee",
                Args {
                    n: [self.rng.between(100, 1_000).into(), 0, 0, 0],
                    ..Args::default()
                },
            ),
            1 => (
                "pause",
                Args {
                    n: [burn + 3, 0, 0, 0],
                    ..Args::default()
                },
            ),
            2 => ("unpause", Args::default()),
            3 if view.is_enabled(token.as_ref()) => (
                "disable-asset",
                Args {
                    p1: token,
                    ..Args::default()
                },
            ),
            3 | 4 => (
                "set-asset",
                Args {
                    p1: token,
                    b: true,
                    n: [TOKEN_MAX, 8, 0, 0],
                    ..Args::default()
                },
            ),
            5 => (
                "swap-signer",
                Args {
                    p1: of(&role),
                    p2: outsider.and_then(|r| of(&r)),
                    ..Args::default()
                },
            ),
            6 => (
                "revoke-badge",
                Args {
                    n: [self.rng.between(1, 6).into(), 0, 0, 0],
                    h,
                    ..Args::default()
                },
            ),
            7 => (
                "migrate-badge",
                Args {
                    n: [self.rng.between(1, 6).into(), 0, 0, 0],
                    p1: of("freelancer-40"),
                    ..Args::default()
                },
            ),
            8 => (
                "set-treasury",
                Args {
                    p1: Some(Principal::Contract(self.contracts.security.clone())),
                    ..Args::default()
                },
            ),
            9 => (
                "set-category",
                Args {
                    n: [3, 0, 0, 0],
                    s: "writing",
                    b: true,
                    ..Args::default()
                },
            ),
            _ => {
                let p2 = token.filter(|_| self.rng.percent(50));
                (
                    "spend",
                    Args {
                        p1: of("keeper"),
                        p2,
                        n: [self.rng.between(1_000, 100_000).into(), 0, 0, 0],
                        h,
                        ..Args::default()
                    },
                )
            }
        };
        self.propose(chain, &role, kind, &args, out);
    }

    fn propose(
        &mut self,
        chain: &mut Simnet,
        role: &str,
        kind: &str,
        args: &Args,
        out: &mut Vec<Vec<u8>>,
    ) {
        let payload = call(
            &self.contracts.security,
            "propose",
            &[ascii(kind), args.value()],
        );
        self.send(chain, &Actor::of(role), payload, None, out);
    }
}
