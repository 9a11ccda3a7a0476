//! Projects with their milestones, as freelance-logic tells of them.

use serde::{Deserialize, Serialize};
use stxworx_clarity::events::Event as Typed;
use stxworx_clarity::events::logic::LogicEvent;
use utoipa::ToSchema;

use super::{Units, asset_name, hex0x, seen, small};
use crate::model::{Block, FollowSet, TxId};
use crate::project::{Fact, Projection, Violation};

/// Projection `projects`; the entity is `CONTRACT/ID`.
#[derive(Debug)]
pub struct Projects;

/// Where a project stands; the numbers are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectStatus {
    /// Locked, not accepted yet.
    #[default]
    Open,
    /// Accepted.
    Active,
    /// Every milestone was paid in full.
    Completed,
    /// Everything went back.
    Refunded,
    /// Some of both.
    Settled,
    /// Ended before it was accepted.
    Cancelled,
}

/// Where a milestone stands; the numbers are the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MilestoneStatus {
    /// Work is to be handed in.
    #[default]
    Funded,
    /// Work was handed in.
    Submitted,
    /// The arbiter was called.
    Disputed,
    /// Paid in full.
    Released,
    /// Given back.
    Refunded,
    /// Divided.
    Split,
}

/// A project.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectState {
    /// Its number at the contract.
    pub id: u64,
    /// The contract's id.
    pub contract: String,
    /// Who pays.
    pub client: String,
    /// Who works.
    pub freelancer: String,
    /// Who rules.
    pub arbiter: String,
    /// `STX` or the token's contract.
    pub asset: String,
    /// Where it stands.
    pub status: ProjectStatus,
    /// Base units locked at the start.
    pub total: Units,
    /// Base units that the freelancer received.
    pub paid: Units,
    /// Base units that the treasury received.
    pub fees: Units,
    /// Base units that went back.
    pub refunded: Units,
    /// Fee in basis points.
    pub fee_bps: u64,
    /// The freelancer's share of a stale dispute, in basis points.
    pub split_bps: u64,
    /// Last burn height of acceptance.
    pub accept_until: u64,
    /// Burn blocks for a review.
    pub review: u64,
    /// Burn blocks for a ruling.
    pub resolve: u64,
    /// Burn blocks after a due date.
    pub grace: u64,
    /// Hash of the description.
    pub meta: String,
    /// The transaction that opened it.
    #[schema(value_type = Option<String>)]
    pub opened: Option<TxId>,
    /// Height of the block that opened it.
    pub opened_height: u32,
    /// The transaction that ended it.
    #[schema(value_type = Option<String>)]
    pub closed: Option<TxId>,
    /// How it ended before it was accepted: `cancelled` by the client or `declined` by the freelancer.
    pub cancelled: Option<String>,
    /// Its milestones, from 1. As in the contract, those of a cancelled project stay `funded`.
    pub milestones: Vec<Milestone>,
    /// The mirror began after the project was opened, so that only its later events are here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// What this very event broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub violation: Option<String>,
}

/// A milestone.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Milestone {
    /// Its number, from 1.
    pub m: u64,
    /// Base units.
    pub amount: Units,
    /// Burn height until which work is to be handed in.
    pub due: u64,
    /// Where it stands.
    pub status: MilestoneStatus,
    /// Times it was sent back.
    pub rev: u64,
    /// Last burn height of the review, once handed in.
    pub review_until: Option<u64>,
    /// Last burn height for a ruling, once disputed.
    pub resolve_until: Option<u64>,
    /// Who called the arbiter: `client` or `freelancer`.
    pub disputed_by: Option<String>,
    /// A live offer to settle.
    pub offer: Option<Offer>,
    /// How it ended: release, timeout, expired, ruling, stale, settle.
    pub cause: Option<String>,
    /// Base units to the freelancer.
    pub payout: Units,
    /// Base units to the treasury.
    pub fee: Units,
    /// Base units back to the client.
    pub refund: Units,
    /// The transaction that settled it.
    #[schema(value_type = Option<String>)]
    pub settled: Option<TxId>,
}

/// An offer to settle.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// Who offers.
    pub by: String,
    /// The freelancer's share, basis points.
    pub bps: u64,
    /// Last burn height.
    pub until: u64,
}

/// An event of a project.
#[derive(Debug)]
pub struct ProjectFact {
    contract: String,
    txid: TxId,
    by: String,
    event: LogicEvent,
}

fn project_of(event: &LogicEvent) -> Option<u128> {
    Some(match event {
        LogicEvent::ProjectOpened(e) => e.project.0,
        LogicEvent::ProjectAccepted(e) => e.project.0,
        LogicEvent::ProjectCancelled(e) => e.project.0,
        LogicEvent::MilestoneSubmitted(e) => e.project.0,
        LogicEvent::MilestoneRejected(e) => e.project.0,
        LogicEvent::DueExtended(e) => e.project.0,
        LogicEvent::DisputeOpened(e) => e.project.0,
        LogicEvent::SettlementOffered(e) => e.project.0,
        LogicEvent::SettlementWithdrawn(e) => e.project.0,
        LogicEvent::MilestoneSettled(e) => e.project.0,
        _ => return None,
    })
}

impl Projection for Projects {
    type State = ProjectState;
    type Fact = ProjectFact;

    const ID: i16 = 10;
    const NAME: &'static str = "projects";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<ProjectFact>> {
        seen(block, follow, LogicEvent::CONTRACT)
            .filter_map(|seen| {
                let Typed::Logic(event) = &seen.envelope.event else {
                    return None;
                };
                Some(Fact {
                    entity: seen.entity(&project_of(event)?),
                    position: seen.position(),
                    fact: ProjectFact {
                        contract: seen.contract.to_owned(),
                        txid: seen.txid,
                        by: seen.envelope.by.to_string(),
                        event: event.clone(),
                    },
                })
            })
            .collect()
    }

    fn fold(
        &self,
        state: &mut ProjectState,
        block: &Block,
        fact: &ProjectFact,
    ) -> Result<(), String> {
        state.violation = None;
        state.apply(block, fact)?;
        state.violation = state.unbalanced();
        Ok(())
    }

    fn violation(state: &ProjectState) -> Option<Violation> {
        let detail = format!(
            "project {} of {}: {}",
            state.id,
            state.contract,
            state.violation.as_ref()?
        );
        Some(Violation { id: "MO-1", detail })
    }
}

impl ProjectState {
    fn milestone(&mut self, m: u128) -> Option<&mut Milestone> {
        let place = usize::try_from(m).ok()?.checked_sub(1)?;
        let found = self.milestones.get_mut(place);
        if found.is_none() {
            self.partial = true;
        }
        found
    }

    fn apply(&mut self, block: &Block, fact: &ProjectFact) -> Result<(), String> {
        if self.opened.is_none() && !matches!(fact.event, LogicEvent::ProjectOpened(_)) {
            self.partial = true;
            self.contract.clone_from(&fact.contract);
            self.id = project_of(&fact.event).map_or(0, small);
        }
        match &fact.event {
            LogicEvent::ProjectOpened(e) => {
                *self = Self {
                    id: small(e.project.0),
                    contract: fact.contract.clone(),
                    client: e.client.to_string(),
                    freelancer: e.freelancer.to_string(),
                    arbiter: e.arbiter.to_string(),
                    asset: asset_name(e.asset.as_ref()),
                    total: Units(e.total.0),
                    fee_bps: small(e.fee_bps.0),
                    split_bps: small(e.split_bps.0),
                    accept_until: small(e.accept_until.0),
                    review: small(e.review.0),
                    resolve: small(e.resolve.0),
                    grace: small(e.grace.0),
                    meta: hex0x(&e.meta.0),
                    opened: Some(fact.txid),
                    opened_height: block.header.height,
                    milestones: (1..)
                        .zip(&e.milestones)
                        .map(|(m, terms)| Milestone {
                            m,
                            amount: Units(terms.amount.0),
                            due: small(terms.due.0),
                            ..Milestone::default()
                        })
                        .collect(),
                    ..Self::default()
                };
            }
            LogicEvent::ProjectAccepted(_) => self.status = ProjectStatus::Active,
            LogicEvent::ProjectCancelled(e) => {
                self.status = ProjectStatus::Cancelled;
                self.closed = Some(fact.txid);
                self.refunded.add(e.refunded.0)?;
                self.cancelled = Some(e.cause.0.clone());
            }
            other => self.apply_to_milestone(fact, other)?,
        }
        Ok(())
    }

    fn apply_to_milestone(&mut self, fact: &ProjectFact, event: &LogicEvent) -> Result<(), String> {
        match event {
            LogicEvent::MilestoneSubmitted(e) => {
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.status = MilestoneStatus::Submitted;
                    ms.review_until = Some(small(e.review_until.0));
                }
            }
            LogicEvent::MilestoneRejected(e) => {
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.status = MilestoneStatus::Funded;
                    ms.rev = small(e.rev.0);
                    ms.due = small(e.due.0);
                }
            }
            LogicEvent::DueExtended(e) => {
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.due = small(e.new.0);
                }
            }
            LogicEvent::DisputeOpened(e) => {
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.status = MilestoneStatus::Disputed;
                    ms.resolve_until = Some(small(e.resolve_until.0));
                    ms.disputed_by = Some(e.role.0.clone());
                }
            }
            LogicEvent::SettlementOffered(e) => {
                let offer = Offer {
                    by: fact.by.clone(),
                    bps: small(e.bps.0),
                    until: small(e.until.0),
                };
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.offer = Some(offer);
                }
            }
            LogicEvent::SettlementWithdrawn(e) => {
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.offer = None;
                }
            }
            LogicEvent::MilestoneSettled(e) => {
                self.paid.add(e.payout.0)?;
                self.fees.add(e.fee.0)?;
                self.refunded.add(e.refund.0)?;
                self.status = project_status(e.project_status.0);
                if self.status != ProjectStatus::Active {
                    self.closed = Some(fact.txid);
                }
                if let Some(ms) = self.milestone(e.m.0) {
                    ms.status = milestone_status(e.status.0);
                    ms.cause = Some(e.cause.0.clone());
                    (ms.payout, ms.fee, ms.refund) =
                        (Units(e.payout.0), Units(e.fee.0), Units(e.refund.0));
                    ms.offer = None;
                    ms.settled = Some(fact.txid);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Base units that are still locked.
    pub fn locked(&self) -> Option<u128> {
        if self.status == ProjectStatus::Cancelled {
            return Some(0);
        }
        let open: Vec<Units> = self
            .milestones
            .iter()
            .filter(|m| m.settled.is_none())
            .map(|m| m.amount)
            .collect();
        Units::sum(&open)
    }

    /// What is wrong with the project's money, if something is.
    fn unbalanced(&self) -> Option<String> {
        if self.partial {
            return None;
        }
        let locked = self.locked().map(Units)?;
        let accounted = Units::sum(&[locked, self.paid, self.fees, self.refunded]);
        (accounted != Some(self.total.0)).then(|| {
            format!(
                "{} were locked at the start; {locked} are locked, {} paid, {} fees, {} refunded",
                self.total, self.paid, self.fees, self.refunded
            )
        })
    }
}

fn project_status(code: u128) -> ProjectStatus {
    match code {
        0 => ProjectStatus::Open,
        1 => ProjectStatus::Active,
        2 => ProjectStatus::Completed,
        3 => ProjectStatus::Refunded,
        5 => ProjectStatus::Cancelled,
        _ => ProjectStatus::Settled,
    }
}

fn milestone_status(code: u128) -> MilestoneStatus {
    match code {
        0 => MilestoneStatus::Funded,
        1 => MilestoneStatus::Submitted,
        2 => MilestoneStatus::Disputed,
        3 => MilestoneStatus::Released,
        4 => MilestoneStatus::Refunded,
        _ => MilestoneStatus::Split,
    }
}
