//! Calls that make sense in the state at hand, so that random ones reach the deep ends.

use super::table::KINDS;
use super::*;
use crate::model::{Action, Milestone, Project};

/// A call to make: who, which function, and the first arguments; the others are drawn.
pub(super) struct Plan {
    pub(super) who: Principal,
    pub(super) function: &'static str,
    pub(super) first: Vec<Value>,
    /// The last argument, where it matters.
    pub(super) last: Option<Value>,
}

/// The asset that an action is about, where a token is to be handed over with it.
fn asset_of(action: &Action) -> &Asset {
    if action.kind == "set-asset" {
        &action.args.p1
    } else {
        &action.args.p2
    }
}

impl Plan {
    fn new(who: &Principal, function: &'static str, first: &[u128]) -> Self {
        Self {
            who: who.clone(),
            function,
            first: first.iter().map(|n| Value::UInt(*n)).collect(),
            last: None,
        }
    }

    fn paid_in(mut self, asset: &Asset) -> Self {
        self.last = Some(maybe(asset));
        self
    }
}

impl Bench {
    /// Something that somebody would do now.
    pub(super) fn plan(&self, rng: &mut SeededRng) -> Option<Plan> {
        match rng.below(10) {
            0..5 => self.project_plan(rng),
            5..9 => self.action_plan(rng),
            _ if rng.percent(50) => self.badge_plan(rng),
            _ => self.rating_plan(rng),
        }
    }

    fn project_plan(&self, rng: &mut SeededRng) -> Option<Plan> {
        let model = self.model();
        let alive = |(_, project): &(&u128, &Project)| project.status <= ProjectStatus::Active;
        let live: Vec<_> = model.logic.projects.iter().filter(alive).collect();
        if live.len() < 4 && rng.percent(50) {
            let client = Actor::of(["client-1", "client-2"][rng.index(2)]).principal();
            let mut plan = Plan::new(&client, "open-project", &[]);
            let worker = Actor::of(["freelancer-1", "freelancer-2"][rng.index(2)]).principal();
            plan.first = vec![Value::Principal(worker), Value::None];
            return Some(plan);
        }
        let (p, project) = *rng.pick(&live)?;
        if project.status == ProjectStatus::Open {
            let plan = match rng.below(10) {
                0 => Plan::new(&project.client, "cancel-unaccepted", &[*p]).paid_in(&project.asset),
                1 => Plan::new(&project.freelancer, "decline", &[*p]).paid_in(&project.asset),
                2 => Plan::new(&project.client, "extend-due", &[*p, 1]),
                _ => Plan::new(&project.freelancer, "accept-project", &[*p]),
            };
            return Some(plan);
        }
        let open: Vec<_> = (1..=10)
            .filter_map(|m| Some((m, model.logic.milestones.get(&(*p, m))?)))
            .filter(|(_, milestone)| milestone.status <= MilestoneStatus::Disputed)
            .collect();
        let (m, milestone) = *rng.pick(&open)?;
        self.milestone_plan(rng, (*p, m), project, milestone)
    }

    fn milestone_plan(
        &self,
        rng: &mut SeededRng,
        (p, m): (u128, u128),
        project: &Project,
        milestone: &Milestone,
    ) -> Option<Plan> {
        let (client, freelancer) = (&project.client, &project.freelancer);
        let party = if rng.percent(50) { client } else { freelancer };
        if let Some(offer) = self.model().logic.offers.get(&(p, m))
            && rng.percent(70)
        {
            let other = if offer.by == *client {
                freelancer
            } else {
                client
            };
            let plan = match rng.below(8) {
                0 => Plan::new(other, "offer-settlement", &[p, m]),
                1 | 2 => Plan::new(&offer.by, "withdraw-settlement", &[p, m]),
                3 => Plan::new(&offer.by, "accept-settlement", &[p, m, offer.bps]),
                _ => Plan::new(other, "accept-settlement", &[p, m, offer.bps]),
            };
            let pays = plan.function == "accept-settlement";
            return Some(if pays {
                plan.paid_in(&project.asset)
            } else {
                plan
            });
        }
        let choices: &[(&Principal, &'static str)] = match milestone.status {
            MilestoneStatus::Funded => &[
                (freelancer, "submit"),
                (freelancer, "submit"),
                (party, "offer-settlement"),
                (client, "extend-due"),
                (client, "reclaim-expired"),
                (client, "release"),
                (party, "open-dispute"),
            ],
            MilestoneStatus::Submitted => &[
                (client, "release"),
                (client, "reject"),
                (client, "reject"),
                (freelancer, "claim-timeout"),
                (party, "open-dispute"),
                (party, "offer-settlement"),
            ],
            _ => &[
                (&project.arbiter, "resolve"),
                (&project.arbiter, "resolve"),
                (party, "claim-stale-dispute"),
                (party, "offer-settlement"),
                (client, "release"),
            ],
        };
        let (who, function) = *rng.pick(choices)?;
        let plan = Plan::new(who, function, &[p, m]);
        let pays = !matches!(
            function,
            "submit" | "offer-settlement" | "extend-due" | "open-dispute" | "reject"
        );
        let right = rng.percent(95);
        Some(if pays && right {
            plan.paid_in(&project.asset)
        } else {
            plan
        })
    }

    fn action_plan(&self, rng: &mut SeededRng) -> Option<Plan> {
        let security = &self.model().security;
        let pending: Vec<_> = security
            .actions
            .iter()
            .filter(|(_, action)| action.status == ActionStatus::Pending)
            .collect();
        let mut signers: Vec<_> = security.signers.keys().collect();
        let signer = *rng.pick(&signers)?;
        if pending.len() < 6 && rng.percent(40) {
            let kind = KINDS[rng.index(KINDS.len())];
            let args = self.sound_args(rng, kind).to_value().ok()?;
            let mut plan = Plan::new(signer, "propose", &[]);
            plan.first = vec![Value::ascii(kind).ok()?, args];
            return Some(plan);
        }
        let (id, action) = *rng.pick(&pending)?;
        let ready = action.approvals >= action.class.threshold();
        let plan = match rng.below(10) {
            0 => Plan::new(signer, "reject", &[*id]),
            1 => Plan::new(signer, "revoke-approval", &[*id]),
            2 => Plan::new(&action.proposer, "revoke-approval", &[*id]),
            3 if rng.percent(30) => Plan::new(&action.proposer, "cancel", &[*id]),
            _ if ready => Plan::new(signer, "execute", &[*id]).paid_in(asset_of(action)),
            _ => {
                let voted = |who: &Principal| security.approved.contains_key(&(*id, who.clone()));
                signers.retain(|who| !voted(who));
                Plan::new(rng.pick(&signers).unwrap_or(&signer), "approve", &[*id])
            }
        };
        // A principal that is no token cannot be handed over as one.
        let token = Some(self.model().contracts.token.clone());
        let sound = plan.function != "execute" || *asset_of(action) == token;
        Some(if sound {
            plan
        } else {
            Plan {
                last: Some(Value::None),
                ..plan
            }
        })
    }

    /// Arguments with which a kind of action mostly can be carried out.
    fn sound_args(&self, rng: &mut SeededRng, kind: &str) -> super::ActionArgs {
        let model = self.model();
        let token = Some(model.contracts.token.clone());
        let user = Some(Actor::of(USERS[rng.index(USERS.len())]).principal());
        let small = u128::from(rng.between(1, 12));
        let badge = self.value(rng, table::Arg::Badge).as_u128();
        let mut args = super::ActionArgs {
            p1: user.clone(),
            n1: small,
            n2: small,
            n3: 6,
            n4: 6,
            b: rng.percent(70),
            h: vec![7; 32],
            s: "a name".to_owned(),
            ..super::ActionArgs::default()
        };
        match kind {
            "set-asset" | "disable-asset" | "set-budget" => {
                args.p1 = token.filter(|_| rng.percent(50));
                args.n1 = 50_000;
            }
            "resolve" => {
                args.n1 = model.logic.last_project;
                args.n2 = 1;
                args.n3 = 5_000;
            }
            "set-params" => {
                args.n1 = 6 + small;
                args.n2 = 6;
            }
            "pause" => args.n1 = self.burn_height() + small * 40,
            "revoke-badge" | "migrate-badge" => args.n1 = badge.unwrap_or_default(),
            "swap-signer" => {
                let seated: Vec<_> = model.security.signers.keys().cloned().collect();
                args.p1 = rng.pick(&seated).cloned();
                args.p2 = user;
            }
            "spend" => args.p2 = token.filter(|_| rng.percent(30)),
            _ => {}
        }
        args
    }

    fn badge_plan(&self, rng: &mut SeededRng) -> Option<Plan> {
        let users: Vec<_> = self.model().data.stats.keys().collect();
        let who = *rng.pick(&users)?;
        let kind = [1, 5][rng.index(2)];
        if kind == 5 && !self.model().data.x_valid(who, self.burn_height()) {
            let mut plan = Plan::new(&Actor::of("attestor").principal(), "attest-x", &[]);
            plan.first = vec![Value::Principal(who.clone())];
            return Some(plan);
        }
        Some(Plan::new(who, "claim", &[kind]))
    }

    fn rating_plan(&self, rng: &mut SeededRng) -> Option<Plan> {
        let closed: Vec<_> = self.model().data.closed.iter().collect();
        let ((writer, project), parties) = *rng.pick(&closed)?;
        let who = if rng.percent(70) {
            &parties.client
        } else {
            &parties.freelancer
        };
        let mut plan = Plan::new(who, "rate", &[]);
        plan.first = vec![Value::Principal(writer.clone()), Value::UInt(*project)];
        Some(plan)
    }
}
