//! `freelance-logic`: the ways out of the escrow, and its governor.

use crate::codec::Principal;

use super::args::Args;
use super::data::Paid;
use super::logic::{
    ASSET, AssetTerms, BAD_BPS, BPS, Config, FT_TRANSFER, MILESTONE_STATUS, MilestoneStatus,
    NO_OFFER, NOT_CLIENT, NOT_FREELANCER, NOT_PARTY, OFFER, PAUSED, PROJECT_STATUS, Project,
    ProjectStatus, STX_TRANSFER, TOO_LATE, unless_aborted,
};
use super::{Asset, Call, Failure, Model, Outcome, ensure, yes};

const NOT_GOVERNOR: u128 = 1200;
const NOT_ARBITER: u128 = 1204;
const TOO_EARLY: u128 = 1215;
const PARAMS: u128 = 1229;
const MAX_FEE_BPS: u128 = 1_000;
const LEAST_MAX: u128 = 1_000;
const MOST_MAX: u128 = 1_000_000_000_000_000_000;
const MOST_DECIMALS: u128 = 18;
const MAX_PAUSE: u128 = 1_008;
const EVEN: u128 = 5_000;

/// Which milestone, and in what it is paid according to the caller.
pub(super) struct Target {
    pub(super) p: u128,
    pub(super) m: u128,
    pub(super) token: Asset,
}

/// Why a milestone ends, as far as it matters to the state.
#[derive(PartialEq, Eq)]
enum Cause {
    Ruling,
    Other,
}

impl Model {
    pub(super) fn call_way_out(
        &mut self,
        call: &Call,
        function: &str,
        mut args: Args<'_>,
    ) -> Outcome {
        if matches!(function, "cancel-unaccepted" | "decline") {
            let (p, token) = (args.uint()?, args.token()?);
            args.end()?;
            return self.cancel_project(call, function == "decline", p, &token);
        }
        let (p, m) = (args.uint()?, args.uint()?);
        let with_bps = matches!(function, "resolve" | "accept-settlement");
        let bps = if with_bps { args.uint()? } else { 0 };
        let token = args.token()?;
        args.end()?;
        let target = Target { p, m, token };
        match function {
            "release" => self.release(call, &target),
            "claim-timeout" => self.claim_timeout(call, &target),
            "reclaim-expired" => self.reclaim_expired(call, &target),
            "claim-stale-dispute" => self.claim_stale(call, &target),
            "resolve" => self.resolve(call, &target, bps),
            "accept-settlement" => self.accept_settlement(call, &target, bps),
            _ => Err(Failure::Aborted),
        }
    }

    fn cancel_project(&mut self, call: &Call, declined: bool, p: u128, token: &Asset) -> Outcome {
        let mut project = self.logic.project(p)?;
        if declined {
            ensure(call.caller == project.freelancer, NOT_FREELANCER)?;
        } else {
            ensure(call.caller == project.client, NOT_CLIENT)?;
        }
        ensure(project.status == ProjectStatus::Open, PROJECT_STATUS)?;
        ensure(project.asset == *token, ASSET)?;
        let locked = self.logic.locked_of(&project.asset);
        let locked = locked.checked_sub(project.total).ok_or(Failure::Aborted)?;
        project.status = ProjectStatus::Cancelled;
        project.refunded = project.total;
        project.open = 0;
        self.pay(token, project.total, &project.client)?;
        self.logic.locked.insert(token.clone(), locked);
        self.logic.projects.insert(p, project);
        self.logic.seq += 1;
        yes()
    }

    fn release(&mut self, call: &Call, target: &Target) -> Outcome {
        let (project, milestone) = self.logic.pair(target.p, target.m)?;
        ensure(call.caller == project.client, NOT_CLIENT)?;
        ensure(
            milestone.status <= MilestoneStatus::Submitted,
            MILESTONE_STATUS,
        )?;
        self.settle(target, BPS, Cause::Other)
    }

    fn claim_timeout(&mut self, call: &Call, target: &Target) -> Outcome {
        let (_, milestone) = self.logic.pair(target.p, target.m)?;
        ensure(
            milestone.status == MilestoneStatus::Submitted,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height > milestone.review_until, TOO_EARLY)?;
        self.settle(target, BPS, Cause::Other)
    }

    fn reclaim_expired(&mut self, call: &Call, target: &Target) -> Outcome {
        let (project, milestone) = self.logic.pair(target.p, target.m)?;
        ensure(call.caller == project.client, NOT_CLIENT)?;
        ensure(
            milestone.status == MilestoneStatus::Funded,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height > milestone.due + project.grace, TOO_EARLY)?;
        self.settle(target, 0, Cause::Other)
    }

    pub(super) fn resolve(&mut self, call: &Call, target: &Target, bps: u128) -> Outcome {
        let (project, milestone) = self.logic.pair(target.p, target.m)?;
        ensure(call.caller == project.arbiter, NOT_ARBITER)?;
        ensure(call.burn_height > self.logic.config.paused_until, PAUSED)?;
        ensure(
            milestone.status == MilestoneStatus::Disputed,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height <= milestone.resolve_until, TOO_LATE)?;
        ensure(bps <= BPS, BAD_BPS)?;
        self.settle(target, bps, Cause::Ruling)
    }

    fn claim_stale(&mut self, call: &Call, target: &Target) -> Outcome {
        let (project, milestone) = self.logic.pair(target.p, target.m)?;
        ensure(is_party(&project, &call.caller), NOT_PARTY)?;
        ensure(
            milestone.status == MilestoneStatus::Disputed,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height > milestone.resolve_until, TOO_EARLY)?;
        self.settle(target, project.split_bps, Cause::Other)
    }

    fn accept_settlement(&mut self, call: &Call, target: &Target, bps: u128) -> Outcome {
        let (project, milestone) = self.logic.pair(target.p, target.m)?;
        let offer = self.logic.offers.get(&(target.p, target.m)).cloned();
        let offer = offer.ok_or(Failure::Code(NO_OFFER))?;
        let answers = is_party(&project, &call.caller) && call.caller != offer.by;
        ensure(answers, NOT_PARTY)?;
        ensure(
            milestone.status <= MilestoneStatus::Disputed,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height <= offer.until, TOO_LATE)?;
        ensure(bps == offer.bps, OFFER)?;
        self.settle(target, bps, Cause::Other)
    }

    fn settle(&mut self, target: &Target, bps: u128, cause: Cause) -> Outcome {
        let (mut project, mut milestone) = self.logic.pair(target.p, target.m)?;
        let (amount, asset) = (milestone.amount, project.asset.clone());
        let gross = share(amount, bps)?;
        milestone.fee = share(gross, project.fee_bps)?;
        milestone.payout = gross - milestone.fee;
        milestone.refund = amount - gross;
        ensure(project.status == ProjectStatus::Active, PROJECT_STATUS)?;
        ensure(asset == target.token, ASSET)?;
        let locked = self.logic.locked_of(&asset).checked_sub(amount);
        let locked = locked.ok_or(Failure::Aborted)?;
        let open = project.open.checked_sub(1).ok_or(Failure::Aborted)?;
        milestone.status = match (gross, milestone.refund) {
            (_, 0) => MilestoneStatus::Released,
            (0, _) => MilestoneStatus::Refunded,
            _ => MilestoneStatus::Split,
        };
        project.open = open;
        project.paid += gross;
        project.refunded += milestone.refund;
        project.status = match (open, project.paid, project.refunded) {
            (1.., _, _) => ProjectStatus::Active,
            (0, _, 0) => ProjectStatus::Completed,
            (0, 0, _) => ProjectStatus::Refunded,
            _ => ProjectStatus::Settled,
        };
        let treasury = self.logic.config.treasury.clone();
        self.pay(&asset, milestone.payout, &project.freelancer)?;
        self.pay(&asset, milestone.fee, &treasury)?;
        self.pay(&asset, milestone.refund, &project.client)?;
        let lost = match (cause, bps.cmp(&EVEN)) {
            (Cause::Ruling, std::cmp::Ordering::Less) => Some(project.freelancer.clone()),
            (Cause::Ruling, std::cmp::Ordering::Greater) => Some(project.client.clone()),
            _ => None,
        };
        let paid = Paid {
            user: project.freelancer.clone(),
            client: project.client.clone(),
            asset: asset.clone(),
            gross,
            project: target.p,
            end: (open == 0).then_some(project.status == ProjectStatus::Completed),
            lost,
        };
        let escrow = self.contracts.logic.clone();
        unless_aborted(self.data.record_paid(&escrow, paid))?;
        self.logic.locked.insert(asset, locked);
        self.logic.projects.insert(target.p, project);
        self.logic
            .milestones
            .insert((target.p, target.m), milestone);
        self.logic.offers.remove(&(target.p, target.m));
        self.logic.seq += 1;
        yes()
    }

    fn pay(&mut self, asset: &Asset, amount: u128, to: &Principal) -> Result<(), Failure> {
        if amount == 0 {
            return Ok(());
        }
        let escrow = self.contracts.logic.clone();
        let code = if asset.is_some() {
            FT_TRANSFER
        } else {
            STX_TRANSFER
        };
        self.ledger
            .transfer(asset, amount, &escrow, to)
            .map_err(|failure| failure.or_code(code))
    }

    pub(super) fn call_logic_governance(
        &mut self,
        call: &Call,
        function: &str,
        mut args: Args<'_>,
    ) -> Outcome {
        match function {
            "set-fee" => {
                let bps = args.uint()?;
                args.end()?;
                self.set_fee(&call.caller, bps)
            }
            "set-treasury" | "set-arbiter" => {
                let who = args.principal()?;
                args.end()?;
                self.set_person(&call.caller, function == "set-treasury", who)
            }
            "set-asset" => {
                let (asset, enabled) = (args.maybe_principal()?, args.flag()?);
                let (max, decimals) = (args.uint()?, args.uint()?);
                let (who, token) = (args.principal()?, args.maybe_principal()?);
                args.end()?;
                let terms = AssetTerms {
                    enabled,
                    max,
                    decimals,
                };
                self.set_asset(&call.caller, asset, terms, &who, &token)
            }
            "set-params" => {
                let windows = [args.uint()?, args.uint()?, args.uint()?, args.uint()?];
                args.end()?;
                self.set_params(&call.caller, windows)
            }
            "set-paused" => {
                let (paused, until) = (args.flag()?, args.uint()?);
                args.end()?;
                self.set_paused(call, &call.caller, paused, until)
            }
            _ => Err(Failure::Aborted),
        }
    }

    fn governs(&self, caller: &Principal) -> Result<(), Failure> {
        ensure(*caller == self.contracts.security, NOT_GOVERNOR)
    }

    fn configure(&mut self, change: impl FnOnce(&mut Config)) -> Outcome {
        change(&mut self.logic.config);
        self.logic.seq += 1;
        yes()
    }

    pub(super) fn set_fee(&mut self, caller: &Principal, bps: u128) -> Outcome {
        self.governs(caller)?;
        ensure(bps <= MAX_FEE_BPS, PARAMS)?;
        self.configure(|config| config.fee_bps = bps)
    }

    pub(super) fn set_person(
        &mut self,
        caller: &Principal,
        treasury: bool,
        who: Principal,
    ) -> Outcome {
        self.governs(caller)?;
        ensure(who != self.contracts.logic, PARAMS)?;
        self.configure(|config| {
            if treasury {
                config.treasury = who;
            } else {
                config.arbiter = who;
            }
        })
    }

    pub(super) fn set_asset(
        &mut self,
        caller: &Principal,
        asset: Asset,
        terms: AssetTerms,
        who: &Principal,
        token: &Asset,
    ) -> Outcome {
        self.governs(caller)?;
        let fits = (LEAST_MAX..=MOST_MAX).contains(&terms.max) && terms.decimals <= MOST_DECIMALS;
        ensure(fits, PARAMS)?;
        if terms.enabled {
            self.try_token(who, &asset, token)?;
        }
        self.logic.assets.insert(asset, terms);
        self.logic.seq += 1;
        yes()
    }

    fn try_token(&mut self, who: &Principal, asset: &Asset, token: &Asset) -> Result<(), Failure> {
        ensure(asset == token, ASSET)?;
        if token.is_none() {
            return Ok(());
        }
        let escrow = self.contracts.logic.clone();
        self.ledger
            .transfer(token, 1, who, &escrow)
            .and_then(|()| self.ledger.transfer(token, 1, &escrow, who))
            .map_err(|failure| failure.or_code(FT_TRANSFER))
    }

    pub(super) fn set_params(&mut self, caller: &Principal, windows: [u128; 4]) -> Outcome {
        self.governs(caller)?;
        let fits = windows.iter().all(|blocks| (6..=4_320).contains(blocks));
        ensure(fits, PARAMS)?;
        let [accept, review, resolve, grace] = windows;
        self.configure(|config| {
            config.accept = accept;
            config.review = review;
            config.resolve = resolve;
            config.grace = grace;
        })
    }

    pub(super) fn set_paused(
        &mut self,
        call: &Call,
        caller: &Principal,
        paused: bool,
        until: u128,
    ) -> Outcome {
        self.governs(caller)?;
        let bh = call.burn_height;
        let fits = if paused {
            (bh..=bh + MAX_PAUSE).contains(&until)
        } else {
            until == 0
        };
        ensure(fits, PARAMS)?;
        self.configure(|config| config.paused_until = until)
    }
}

fn is_party(project: &Project, who: &Principal) -> bool {
    *who == project.client || *who == project.freelancer
}

/// A share of an amount in basis points, rounded down.
fn share(amount: u128, bps: u128) -> Result<u128, Failure> {
    Ok(amount.checked_mul(bps).ok_or(Failure::Aborted)? / BPS)
}
