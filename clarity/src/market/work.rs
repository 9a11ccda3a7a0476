//! Clients, freelancers and arbiters at work.

use super::view::{Milestone, Project, View};
use super::{Actor, Marketplace, call};
use crate::codec::transaction::{Asset, ConditionPrincipal, FungibleCode, PostCondition};
use crate::codec::{ClarityName, Principal, Value};
use crate::simnet::Simnet;

/// Projects that are looked at in one go.
const WATCHED: u128 = 24;

fn uint(n: u128) -> Value {
    Value::UInt(n)
}

impl Marketplace {
    fn token_value(&self, asset: Option<&Principal>) -> Value {
        asset.map_or(Value::None, |a| {
            Value::Some(Box::new(Value::Principal(a.clone())))
        })
    }

    /// Exactly this amount leaves, from the caller or from the escrow.
    fn exactly(
        &self,
        from: ConditionPrincipal,
        asset: Option<&Principal>,
        amount: u128,
    ) -> Option<Vec<PostCondition>> {
        let amount = u64::try_from(amount).ok()?;
        let code = FungibleCode::Equal;
        Some(vec![match asset {
            None => PostCondition::Stx {
                principal: from,
                code,
                amount,
            },
            Some(token) => {
                let asset = Asset {
                    contract: token.as_contract()?.clone(),
                    name: ClarityName::new("test-token").ok()?,
                };
                PostCondition::Fungible {
                    principal: from,
                    asset,
                    code,
                    amount,
                }
            }
        }])
    }

    fn escrow_pays(&self, asset: Option<&Principal>, amount: u128) -> Option<Vec<PostCondition>> {
        self.exactly(
            ConditionPrincipal::Contract(self.contracts.logic.clone()),
            asset,
            amount,
        )
    }

    /// A client opens a project.
    pub(super) fn open_project(&mut self, chain: &mut Simnet, out: &mut Vec<Vec<u8>>) {
        let client = Actor::of(&format!("client-{}", self.rng.between(1, self.clients)));
        // A few freelancers get most of the work.
        let worker = if self.rng.percent(60) {
            self.rng.between(1, 3)
        } else {
            self.rng.between(1, self.freelancers)
        };
        let burn = u64::from(chain.burn_tip().height);
        let asset = self
            .rng
            .percent(35)
            .then(|| Principal::Contract(self.contracts.token.clone()));
        // Few try what is switched off.
        if !View::new(chain, &self.contracts).is_enabled(asset.as_ref()) && !self.rng.percent(5) {
            return;
        }
        let milestones: Vec<(u128, u128)> = (0..self.rng.between(1, 3))
            .map(|_| {
                (
                    self.rng.between(1_000, 40_000_000).into(),
                    u128::from(burn + self.rng.between(4, 40)),
                )
            })
            .collect();
        let total = milestones.iter().map(|(amount, _)| amount).sum();
        let terms = milestones
            .iter()
            .filter_map(|(amount, due)| {
                Value::tuple([("amount", uint(*amount)), ("due", uint(*due))]).ok()
            })
            .collect();
        let arguments = [
            Value::Principal(Actor::of(&format!("freelancer-{worker}")).principal()),
            Value::None,
            Value::List(terms),
            uint([0, 2_500, 5_000, 10_000][self.rng.index(4)]),
            Value::Buffer(self.rng.bytes::<32>().to_vec()),
            self.token_value(asset.as_ref()),
        ];
        // Now and then a wallet would not let go of all of it, and nothing happens.
        let allowed = if self.rng.percent(3) {
            total - 1
        } else {
            total
        };
        let conditions = self.exactly(ConditionPrincipal::Origin, asset.as_ref(), allowed);
        self.send(
            chain,
            &client,
            call(&self.contracts.logic, "open-project", &arguments),
            conditions,
            out,
        );
    }

    /// Somebody does something about each of some projects.
    pub(super) fn work(&mut self, chain: &mut Simnet, budget: usize, out: &mut Vec<Vec<u8>>) {
        let last = View::new(chain, &self.contracts).last_project();
        let newest = last.saturating_sub(WATCHED);
        let mut ids: Vec<u128> = (newest + 1..=last).collect();
        // Old ones must come to an end, too.
        for _ in 0..6 {
            if newest > 0 {
                ids.push(u128::from(self.rng.below(u64::try_from(newest).unwrap_or(1))) + 1);
            }
        }
        let start = self.rng.index(ids.len());
        ids.rotate_left(start);
        for id in ids {
            if out.len() >= budget {
                return;
            }
            let Some(project) = View::new(chain, &self.contracts).project(id) else {
                continue;
            };
            match project.status {
                0 => self.unaccepted(chain, &project, out),
                1 => self.active(chain, &project, out),
                2..=4 => self.closed(chain, &project, out),
                _ => {}
            }
        }
    }

    fn unaccepted(&mut self, chain: &mut Simnet, project: &Project, out: &mut Vec<Vec<u8>>) {
        let token = self.token_value(project.asset.as_ref());
        let back = self.escrow_pays(project.asset.as_ref(), project.total);
        let late = u128::from(chain.burn_tip().height) > project.accept_until;
        let logic = self.contracts.logic.clone();
        match self.rng.below(100) {
            0..=64 if !late => {
                self.act_as(
                    chain,
                    &project.freelancer,
                    call(&logic, "accept-project", &[uint(project.id)]),
                    None,
                    out,
                );
            }
            65..=70 => self.act_as(
                chain,
                &project.freelancer,
                call(&logic, "decline", &[uint(project.id), token]),
                back,
                out,
            ),
            71..=76 => self.act_as(
                chain,
                &project.client,
                call(&logic, "cancel-unaccepted", &[uint(project.id), token]),
                back,
                out,
            ),
            _ if late => self.act_as(
                chain,
                &project.client,
                call(&logic, "cancel-unaccepted", &[uint(project.id), token]),
                back,
                out,
            ),
            _ => {}
        }
    }

    fn active(&mut self, chain: &mut Simnet, project: &Project, out: &mut Vec<Vec<u8>>) {
        for m in 1..=10 {
            let view = View::new(chain, &self.contracts);
            let Some(ms) = view.milestone(project.id, m) else {
                return;
            };
            if ms.status > 2 {
                continue;
            }
            let offer = view.offer(project.id, m);
            let burn = view.burn_height;
            if let Some((by, bps)) = offer
                && self.rng.percent(60)
            {
                return self.answer_offer(chain, project, &ms, &by, bps, out);
            }
            return match ms.status {
                0 => self.funded(chain, project, &ms, burn, out),
                1 => self.submitted(chain, project, &ms, burn, out),
                _ => self.disputed(chain, project, &ms, burn, out),
            };
        }
    }

    fn settle(
        &mut self,
        chain: &mut Simnet,
        who: &Principal,
        function: &str,
        (project, ms): (&Project, &Milestone),
        more: &[Value],
        out: &mut Vec<Vec<u8>>,
    ) {
        let mut arguments = vec![uint(project.id), uint(ms.m)];
        arguments.extend_from_slice(more);
        arguments.push(self.token_value(project.asset.as_ref()));
        let conditions = self.escrow_pays(project.asset.as_ref(), ms.amount);
        let payload = call(&self.contracts.logic, function, &arguments);
        self.act_as(chain, who, payload, conditions, out);
    }

    fn say(
        &mut self,
        chain: &mut Simnet,
        who: &Principal,
        function: &str,
        (project, ms): (&Project, &Milestone),
        last: Value,
        out: &mut Vec<Vec<u8>>,
    ) {
        let payload = call(
            &self.contracts.logic,
            function,
            &[uint(project.id), uint(ms.m), last],
        );
        self.act_as(chain, who, payload, None, out);
    }

    fn answer_offer(
        &mut self,
        chain: &mut Simnet,
        project: &Project,
        ms: &Milestone,
        by: &Principal,
        bps: u128,
        out: &mut Vec<Vec<u8>>,
    ) {
        if self.rng.percent(30) {
            let payload = call(
                &self.contracts.logic,
                "withdraw-settlement",
                &[uint(project.id), uint(ms.m)],
            );
            return self.act_as(chain, by, payload, None, out);
        }
        let other = if *by == project.client {
            &project.freelancer
        } else {
            &project.client
        };
        self.settle(
            chain,
            other,
            "accept-settlement",
            (project, ms),
            &[uint(bps)],
            out,
        );
    }

    fn funded(
        &mut self,
        chain: &mut Simnet,
        project: &Project,
        ms: &Milestone,
        burn: u128,
        out: &mut Vec<Vec<u8>>,
    ) {
        let hash = Value::Buffer(self.rng.bytes::<32>().to_vec());
        if burn > ms.due + project.grace {
            return self.settle(
                chain,
                &project.client,
                "reclaim-expired",
                (project, ms),
                &[],
                out,
            );
        }
        match self.rng.below(100) {
            0..=59 => self.say(
                chain,
                &project.freelancer,
                "submit",
                (project, ms),
                hash,
                out,
            ),
            60..=63 => self.say(
                chain,
                &project.client,
                "extend-due",
                (project, ms),
                uint(ms.due + 5),
                out,
            ),
            64..=67 => self.offer(chain, project, ms, burn, out),
            68..=70 if ms.rev > 0 => self.say(
                chain,
                &project.freelancer,
                "open-dispute",
                (project, ms),
                hash,
                out,
            ),
            71..=72 => self.settle(chain, &project.client, "release", (project, ms), &[], out),
            // Too early, or not theirs: refused by the contract.
            73 => self.settle(
                chain,
                &project.client,
                "reclaim-expired",
                (project, ms),
                &[],
                out,
            ),
            74 => self.settle(
                chain,
                &project.freelancer,
                "release",
                (project, ms),
                &[],
                out,
            ),
            _ => {}
        }
    }

    fn submitted(
        &mut self,
        chain: &mut Simnet,
        project: &Project,
        ms: &Milestone,
        burn: u128,
        out: &mut Vec<Vec<u8>>,
    ) {
        let hash = Value::Buffer(self.rng.bytes::<32>().to_vec());
        if burn > ms.review_until {
            return self.settle(
                chain,
                &Actor::of("keeper").principal(),
                "claim-timeout",
                (project, ms),
                &[],
                out,
            );
        }
        match self.rng.below(100) {
            0..=54 => self.settle(chain, &project.client, "release", (project, ms), &[], out),
            55..=64 => self.say(chain, &project.client, "reject", (project, ms), hash, out),
            65..=70 => self.say(
                chain,
                &project.client,
                "open-dispute",
                (project, ms),
                hash,
                out,
            ),
            71..=74 => self.offer(chain, project, ms, burn, out),
            _ => {}
        }
    }

    fn disputed(
        &mut self,
        chain: &mut Simnet,
        project: &Project,
        ms: &Milestone,
        burn: u128,
        out: &mut Vec<Vec<u8>>,
    ) {
        if burn > ms.resolve_until {
            let who = if self.rng.percent(50) {
                &project.client
            } else {
                &project.freelancer
            };
            return self.settle(chain, who, "claim-stale-dispute", (project, ms), &[], out);
        }
        match self.rng.below(100) {
            0..=39 => {
                let share = uint([0, 3_333, 5_000, 10_000][self.rng.index(4)]);
                self.settle(
                    chain,
                    &project.arbiter,
                    "resolve",
                    (project, ms),
                    &[share],
                    out,
                );
            }
            40..=44 => self.offer(chain, project, ms, burn, out),
            _ => {}
        }
    }

    fn offer(
        &mut self,
        chain: &mut Simnet,
        project: &Project,
        ms: &Milestone,
        burn: u128,
        out: &mut Vec<Vec<u8>>,
    ) {
        let who = if self.rng.percent(50) {
            &project.client
        } else {
            &project.freelancer
        };
        let arguments = [
            uint(project.id),
            uint(ms.m),
            uint(self.rng.below(10_001).into()),
            uint(burn + 4),
        ];
        let payload = call(&self.contracts.logic, "offer-settlement", &arguments);
        self.act_as(chain, who, payload, None, out);
    }

    fn closed(&mut self, chain: &mut Simnet, project: &Project, out: &mut Vec<Vec<u8>>) {
        let from = if self.rng.percent(70) {
            &project.client
        } else {
            &project.freelancer
        };
        if View::new(chain, &self.contracts).has_rated(project.id, from) {
            return;
        }
        let stars = if self.rng.percent(80) {
            5
        } else {
            self.rng.between(1, 6)
        };
        let arguments = [
            Value::Principal(Principal::Contract(self.contracts.logic.clone())),
            uint(project.id),
            uint(stars.into()),
            Value::Buffer(self.rng.bytes::<32>().to_vec()),
        ];
        self.act_as(
            chain,
            from,
            call(&self.contracts.data, "rate", &arguments),
            None,
            out,
        );
    }
}
