//! `freelance-logic`: state, and what does not move money out.

use imbl::OrdMap;

use crate::codec::{Principal, Value};

use super::args::Args;
use super::opening::Opening;
use super::{Asset, Call, Failure, Model, Outcome, ensure, yes};

pub(super) const BPS: u128 = 10_000;
const MAX_WINDOW: u128 = 4_320;
pub(super) const MAX_DUE: u128 = 52_560;
const MAX_REVISIONS: u128 = 2;

pub(super) const NOT_CLIENT: u128 = 1201;
pub(super) const NOT_FREELANCER: u128 = 1202;
pub(super) const NOT_PARTY: u128 = 1203;
const NO_PROJECT: u128 = 1210;
const NO_MILESTONE: u128 = 1211;
pub(super) const PROJECT_STATUS: u128 = 1212;
pub(super) const MILESTONE_STATUS: u128 = 1213;
pub(super) const PAUSED: u128 = 1214;
pub(super) const TOO_LATE: u128 = 1216;
pub(super) const DUE: u128 = 1222;
pub(super) const ASSET: u128 = 1224;
pub(super) const BAD_BPS: u128 = 1225;
const REVISIONS: u128 = 1226;
pub(super) const NO_OFFER: u128 = 1227;
pub(super) const OFFER: u128 = 1228;
pub(super) const STX_TRANSFER: u128 = 1290;
pub(super) const FT_TRANSFER: u128 = 1291;

/// Where a project stands; the number is the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ProjectStatus {
    /// Funded, not accepted yet.
    Open = 0,
    /// Accepted.
    Active = 1,
    /// Everything went to the freelancer.
    Completed = 2,
    /// Everything went back.
    Refunded = 3,
    /// Some of each.
    Settled = 4,
    /// Ended before it was accepted.
    Cancelled = 5,
}

/// Where a milestone stands; the number is the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MilestoneStatus {
    /// The money is there, the work is not.
    Funded = 0,
    /// Work was handed in.
    Submitted = 1,
    /// The arbiter was called.
    Disputed = 2,
    /// All to the freelancer.
    Released = 3,
    /// All back to the client.
    Refunded = 4,
    /// Some to each.
    Split = 5,
}

/// Parameters; windows in burn blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Fee of projects opened from now on, in basis points.
    pub fee_bps: u128,
    /// Who receives fees.
    pub treasury: Principal,
    /// Who arbitrates where no one is named.
    pub arbiter: Principal,
    /// Window to accept a project.
    pub accept: u128,
    /// Window to review a milestone.
    pub review: u128,
    /// Window for the arbiter.
    pub resolve: u128,
    /// Grace after a due date.
    pub grace: u128,
    /// Last burn height of the pause.
    pub paused_until: u128,
}

/// A project; amounts in base units of its asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Who pays.
    pub client: Principal,
    /// Who works.
    pub freelancer: Principal,
    /// Who rules.
    pub arbiter: Principal,
    /// In what is paid; none is STX.
    pub asset: Asset,
    /// Sum of the milestones.
    pub total: u128,
    /// Gross amount that went to the freelancer's side.
    pub paid: u128,
    /// Amount that went back.
    pub refunded: u128,
    /// Milestones that are not settled.
    pub open: u128,
    /// Fee in basis points.
    pub fee_bps: u128,
    /// Share of the freelancer if the arbiter keeps silent, in basis points.
    pub split_bps: u128,
    /// Last burn height to accept.
    pub accept_until: u128,
    /// Review window in burn blocks.
    pub review: u128,
    /// Arbiter's window in burn blocks.
    pub resolve: u128,
    /// Grace after due dates in burn blocks.
    pub grace: u128,
    /// Where it stands.
    pub status: ProjectStatus,
    /// Hash of the description.
    pub meta: Vec<u8>,
}

/// A milestone; amounts in base units of the project's asset, times are burn heights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Milestone {
    /// What is locked for it.
    pub amount: u128,
    /// When it is due.
    pub due: u128,
    /// Where it stands.
    pub status: MilestoneStatus,
    /// How often it was sent back.
    pub rev: u128,
    /// Last burn height of the review.
    pub review_until: u128,
    /// Last burn height for the arbiter.
    pub resolve_until: u128,
    /// What the freelancer received.
    pub payout: u128,
    /// What the treasury received.
    pub fee: u128,
    /// What the client received.
    pub refund: u128,
}

/// An offer to settle a milestone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Who offers.
    pub by: Principal,
    /// The freelancer's share in basis points.
    pub bps: u128,
    /// Last burn height to accept it.
    pub until: u128,
}

/// What the escrow takes of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetTerms {
    /// Whether new projects may use it.
    pub enabled: bool,
    /// Most per milestone, in base units.
    pub max: u128,
    /// Decimals.
    pub decimals: u128,
}

/// State of `freelance-logic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logic {
    /// Sequence number of the last event.
    pub seq: u128,
    /// Id of the last project.
    pub last_project: u128,
    /// Parameters.
    pub config: Config,
    /// Projects by id.
    pub projects: OrdMap<u128, Project>,
    /// Milestones by project and number, from 1.
    pub milestones: OrdMap<(u128, u128), Milestone>,
    /// Standing offers by project and milestone.
    pub offers: OrdMap<(u128, u128), Offer>,
    /// Assets.
    pub assets: OrdMap<Asset, AssetTerms>,
    /// What the escrow owes, by asset.
    pub locked: OrdMap<Asset, u128>,
}

impl Logic {
    /// What the escrow owes in an asset.
    pub fn locked_of(&self, asset: &Asset) -> u128 {
        self.locked.get(asset).copied().unwrap_or_default()
    }

    pub(super) fn project(&self, p: u128) -> Result<Project, Failure> {
        self.projects
            .get(&p)
            .cloned()
            .ok_or(Failure::Code(NO_PROJECT))
    }

    /// A project and one of its milestones.
    pub(super) fn pair(&self, p: u128, m: u128) -> Result<(Project, Milestone), Failure> {
        let project = self.project(p)?;
        let milestone = self.milestones.get(&(p, m)).cloned();
        Ok((project, milestone.ok_or(Failure::Code(NO_MILESTONE))?))
    }

    fn put(&mut self, key: (u128, u128), milestone: Milestone) {
        self.milestones.insert(key, milestone);
        self.seq += 1;
    }
}

impl Model {
    pub(super) fn call_logic(
        &mut self,
        call: &Call,
        function: &str,
        mut args: Args<'_>,
    ) -> Outcome {
        match function {
            "open-project" => self.open_project(call, &Opening::read(args)?),
            "accept-project" => {
                let p = args.uint()?;
                args.end()?;
                self.accept_project(call, p)
            }
            "submit" | "reject" | "open-dispute" => {
                let (p, m) = (args.uint()?, args.uint()?);
                args.buffer(32)?;
                args.end()?;
                match function {
                    "submit" => self.submit(call, p, m),
                    "reject" => self.reject(call, p, m),
                    _ => self.open_dispute(call, p, m),
                }
            }
            "extend-due" => {
                let (p, m, due) = (args.uint()?, args.uint()?, args.uint()?);
                args.end()?;
                self.extend_due(call, p, m, due)
            }
            "offer-settlement" => {
                let (p, m) = (args.uint()?, args.uint()?);
                let (bps, until) = (args.uint()?, args.uint()?);
                args.end()?;
                self.offer_settlement(call, p, m, bps, until)
            }
            "withdraw-settlement" => {
                let (p, m) = (args.uint()?, args.uint()?);
                args.end()?;
                self.withdraw_settlement(call, p, m)
            }
            name if name.starts_with("set-") => self.call_logic_governance(call, name, args),
            _ => self.call_way_out(call, function, args),
        }
    }

    fn accept_project(&mut self, call: &Call, p: u128) -> Outcome {
        let mut project = self.logic.project(p)?;
        ensure(call.caller == project.freelancer, NOT_FREELANCER)?;
        ensure(project.status == ProjectStatus::Open, PROJECT_STATUS)?;
        ensure(call.burn_height <= project.accept_until, TOO_LATE)?;
        project.status = ProjectStatus::Active;
        self.logic.projects.insert(p, project);
        self.logic.seq += 1;
        yes()
    }

    fn submit(&mut self, call: &Call, p: u128, m: u128) -> Outcome {
        let (project, mut milestone) = self.logic.pair(p, m)?;
        ensure(call.caller == project.freelancer, NOT_FREELANCER)?;
        ensure(project.status == ProjectStatus::Active, PROJECT_STATUS)?;
        ensure(
            milestone.status == MilestoneStatus::Funded,
            MILESTONE_STATUS,
        )?;
        milestone.status = MilestoneStatus::Submitted;
        milestone.review_until = call.burn_height + project.review;
        self.logic.put((p, m), milestone);
        yes()
    }

    fn reject(&mut self, call: &Call, p: u128, m: u128) -> Outcome {
        let (project, mut milestone) = self.logic.pair(p, m)?;
        ensure(call.caller == project.client, NOT_CLIENT)?;
        ensure(
            milestone.status == MilestoneStatus::Submitted,
            MILESTONE_STATUS,
        )?;
        ensure(call.burn_height <= milestone.review_until, TOO_LATE)?;
        ensure(milestone.rev < MAX_REVISIONS, REVISIONS)?;
        milestone.status = MilestoneStatus::Funded;
        milestone.rev += 1;
        milestone.due = milestone.due.max(call.burn_height + project.review);
        self.logic.put((p, m), milestone);
        yes()
    }

    fn extend_due(&mut self, call: &Call, p: u128, m: u128, due: u128) -> Outcome {
        let (project, mut milestone) = self.logic.pair(p, m)?;
        ensure(call.caller == project.client, NOT_CLIENT)?;
        ensure(project.status <= ProjectStatus::Active, PROJECT_STATUS)?;
        ensure(
            milestone.status == MilestoneStatus::Funded,
            MILESTONE_STATUS,
        )?;
        let later = due > milestone.due && due <= call.burn_height + MAX_DUE;
        ensure(later, DUE)?;
        milestone.due = due;
        self.logic.put((p, m), milestone);
        yes()
    }

    fn open_dispute(&mut self, call: &Call, p: u128, m: u128) -> Outcome {
        let (project, mut milestone) = self.logic.pair(p, m)?;
        let by_client = call.caller == project.client;
        let submitted = milestone.status == MilestoneStatus::Submitted;
        let sent_back = milestone.status == MilestoneStatus::Funded && milestone.rev > 0;
        ensure(by_client || call.caller == project.freelancer, NOT_PARTY)?;
        ensure(submitted || sent_back, MILESTONE_STATUS)?;
        let late = by_client && submitted && call.burn_height > milestone.review_until;
        ensure(!late, TOO_LATE)?;
        milestone.status = MilestoneStatus::Disputed;
        milestone.resolve_until = call.burn_height + project.resolve;
        self.logic.put((p, m), milestone);
        let escrow = self.contracts.logic.clone();
        let recorded = self
            .data
            .record_dispute(&escrow, &project.client, &project.freelancer);
        unless_aborted(recorded)?;
        yes()
    }

    fn offer_settlement(
        &mut self,
        call: &Call,
        p: u128,
        m: u128,
        bps: u128,
        until: u128,
    ) -> Outcome {
        let (project, milestone) = self.logic.pair(p, m)?;
        let bh = call.burn_height;
        let party = call.caller == project.client || call.caller == project.freelancer;
        ensure(party, NOT_PARTY)?;
        ensure(project.status == ProjectStatus::Active, PROJECT_STATUS)?;
        ensure(
            milestone.status <= MilestoneStatus::Disputed,
            MILESTONE_STATUS,
        )?;
        ensure(bps <= BPS, BAD_BPS)?;
        ensure((bh..=bh + MAX_WINDOW).contains(&until), OFFER)?;
        let standing = self.logic.offers.get(&(p, m));
        let answerable = standing.is_some_and(|offer| offer.by != call.caller && bh <= offer.until);
        ensure(!answerable, OFFER)?;
        let by = call.caller.clone();
        self.logic.offers.insert((p, m), Offer { by, bps, until });
        self.logic.seq += 1;
        yes()
    }

    fn withdraw_settlement(&mut self, call: &Call, p: u128, m: u128) -> Outcome {
        let offer = self
            .logic
            .offers
            .get(&(p, m))
            .ok_or(Failure::Code(NO_OFFER))?;
        ensure(call.caller == offer.by, NOT_PARTY)?;
        self.logic.offers.remove(&(p, m));
        self.logic.seq += 1;
        yes()
    }
}

/// The escrow passes over a refusal of `freelance-data`, but not over a call that broke.
/// Returns whether it was recorded.
pub(super) fn unless_aborted(recorded: Result<(), Failure>) -> Result<bool, Failure> {
    match recorded {
        Ok(()) => Ok(true),
        Err(Failure::Code(_)) => Ok(false),
        Err(Failure::Aborted) => Err(Failure::Aborted),
    }
}

impl ProjectStatus {
    /// The contract's number.
    pub fn code(self) -> u128 {
        self as u128
    }
}

impl MilestoneStatus {
    /// The contract's number.
    pub fn code(self) -> u128 {
        self as u128
    }
}

impl From<ProjectStatus> for Value {
    fn from(status: ProjectStatus) -> Self {
        Value::UInt(status.code())
    }
}

impl From<MilestoneStatus> for Value {
    fn from(status: MilestoneStatus) -> Self {
        Value::UInt(status.code())
    }
}
