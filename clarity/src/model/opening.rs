//! `freelance-logic`: opening a project.

use crate::codec::Principal;

use super::args::{Args, Fields};
use super::data::number;
use super::logic::{
    ASSET, BAD_BPS, BPS, DUE, FT_TRANSFER, MAX_DUE, Milestone, MilestoneStatus, PAUSED, Project,
    ProjectStatus, STX_TRANSFER,
};
use super::{Asset, Call, Failure, Model, Outcome, ensure};

const MIN_MILESTONE: u128 = 1_000;
const MOST_MILESTONES: usize = 10;
const MILESTONES: u128 = 1220;
const AMOUNT: u128 = 1221;
const PARTIES: u128 = 1223;
const FT_BALANCE: u128 = 1292;

/// The arguments of `open-project`.
pub(super) struct Opening {
    freelancer: Principal,
    arbiter: Option<Principal>,
    /// Amount and due height of each milestone.
    terms: Vec<(u128, u128)>,
    split_bps: u128,
    meta: Vec<u8>,
    token: Asset,
}

impl Opening {
    pub(super) fn read(mut args: Args<'_>) -> Result<Self, Failure> {
        let (freelancer, arbiter) = (args.principal()?, args.maybe_principal()?);
        let mut terms = Vec::new();
        for element in args.list(MOST_MILESTONES)? {
            let mut fields = Fields::of(element)?;
            terms.push((fields.uint("amount")?, fields.uint("due")?));
            fields.end()?;
        }
        let (split_bps, meta, token) = (args.uint()?, args.buffer(32)?, args.token()?);
        args.end()?;
        Ok(Self {
            freelancer,
            arbiter,
            terms,
            split_bps,
            meta,
            token,
        })
    }
}

impl Model {
    pub(super) fn open_project(&mut self, call: &Call, opening: &Opening) -> Outcome {
        let escrow = self.contracts.logic.clone();
        let config = self.logic.config.clone();
        let bh = call.burn_height;
        let (client, freelancer) = (&call.caller, &opening.freelancer);
        let judge = opening.arbiter.as_ref().unwrap_or(&config.arbiter);
        let terms = self
            .logic
            .assets
            .get(&opening.token)
            .ok_or(Failure::Code(ASSET))?;
        let fits = |amount: u128| (MIN_MILESTONE..=terms.max).contains(&amount);
        let fitting = opening
            .terms
            .iter()
            .map(|(amount, _)| *amount)
            .filter(|amount| fits(*amount));
        let total: u128 = fitting.sum();
        let locked = self.logic.locked_of(&opening.token) + total;
        ensure(bh > config.paused_until, PAUSED)?;
        ensure(terms.enabled, ASSET)?;
        let people = [client, freelancer, judge];
        let apart = client != freelancer && judge != client && judge != freelancer;
        ensure(apart && people.iter().all(|who| **who != escrow), PARTIES)?;
        ensure(!opening.terms.is_empty(), MILESTONES)?;
        ensure(
            opening.terms.iter().all(|(amount, _)| fits(*amount)),
            AMOUNT,
        )?;
        let in_time = |due: u128| due > bh && due <= bh + MAX_DUE;
        ensure(opening.terms.iter().all(|(_, due)| in_time(*due)), DUE)?;
        ensure(opening.split_bps <= BPS, BAD_BPS)?;
        let id = self.logic.last_project + 1;
        self.pull(&opening.token, total, client, &escrow, locked)?;
        let project = Project {
            client: client.clone(),
            freelancer: freelancer.clone(),
            arbiter: judge.clone(),
            asset: opening.token.clone(),
            total,
            paid: 0,
            refunded: 0,
            open: opening.terms.len() as u128,
            fee_bps: config.fee_bps,
            split_bps: opening.split_bps,
            accept_until: bh + config.accept,
            review: config.review,
            resolve: config.resolve,
            grace: config.grace,
            status: ProjectStatus::Open,
            meta: opening.meta.clone(),
        };
        self.logic.last_project = id;
        self.logic.locked.insert(opening.token.clone(), locked);
        self.logic.projects.insert(id, project);
        for (m, (amount, due)) in (1..).zip(&opening.terms) {
            self.logic.milestones.insert((id, m), fresh(*amount, *due));
        }
        self.logic.seq += 1;
        number(id)
    }

    fn pull(
        &mut self,
        token: &Asset,
        amount: u128,
        from: &Principal,
        escrow: &Principal,
        locked: u128,
    ) -> Result<(), Failure> {
        let code = if token.is_some() {
            FT_TRANSFER
        } else {
            STX_TRANSFER
        };
        self.ledger
            .transfer(token, amount, from, escrow)
            .map_err(|failure| failure.or_code(code))?;
        let held = self.ledger.balance(token, escrow);
        ensure(token.is_none() || held >= locked, FT_BALANCE)
    }
}

fn fresh(amount: u128, due: u128) -> Milestone {
    Milestone {
        amount,
        due,
        status: MilestoneStatus::Funded,
        rev: 0,
        review_until: 0,
        resolve_until: 0,
        payout: 0,
        fee: 0,
        refund: 0,
    }
}
