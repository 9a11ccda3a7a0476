//! `freelance-security`: the signers, their actions and the treasury.

use imbl::OrdMap;

use crate::codec::Principal;

use super::args::{Args, Fields};
use super::badges::Kind;
use super::data::number;
use super::escrow::Target;
use super::logic::AssetTerms;
use super::{Asset, Call, Failure, Model, Outcome, ensure, yes};

const NOT_SIGNER: u128 = 1500;
const UNKNOWN_KIND: u128 = 1501;
const UNKNOWN_ACTION: u128 = 1502;
const NOT_PENDING: u128 = 1503;
const APPROVED: u128 = 1504;
const NOT_APPROVED: u128 = 1505;
const REJECTED: u128 = 1506;
const NOT_PROPOSER: u128 = 1507;
const TOO_FEW: u128 = 1508;
const TIMELOCK: u128 = 1509;
const ARGUMENT: u128 = 1510;
const SIGNERS: u128 = 1511;
const BUDGET: u128 = 1512;
const STX_TRANSFER: u128 = 1590;
const FT_TRANSFER: u128 = 1591;
const LIFETIME: u128 = 2_016;
const REJECTIONS: u128 = 3;

/// How much it takes to carry out an action; the number is the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Three signers and 144 burn blocks.
    Critical = 1,
    /// Two signers and 24 burn blocks.
    Routine = 2,
    /// Two signers, at once.
    Emergency = 3,
}

impl Class {
    /// The class of a kind of action, none for an unknown kind.
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "set-fee" | "set-treasury" | "set-asset" | "set-params" | "set-writer"
            | "set-attestor" | "set-minter" | "set-kind" | "revoke-badge" | "migrate-badge"
            | "swap-signer" | "set-budget" | "spend" => Self::Critical,
            "set-arbiter" | "set-category" | "set-uri" | "unpause" | "resolve" => Self::Routine,
            "pause" | "disable-asset" => Self::Emergency,
            _ => return None,
        })
    }

    /// Approvals that are needed.
    pub fn threshold(self) -> u128 {
        match self {
            Self::Critical => 3,
            Self::Routine | Self::Emergency => 2,
        }
    }

    /// Burn blocks to wait.
    pub fn delay(self) -> u128 {
        match self {
            Self::Critical => 144,
            Self::Routine => 24,
            Self::Emergency => 0,
        }
    }

    /// The contract's number.
    pub fn code(self) -> u128 {
        self as u128
    }
}

/// The arguments of an action; what they mean depends on its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionArgs {
    /// First principal.
    pub p1: Option<Principal>,
    /// Second principal.
    pub p2: Option<Principal>,
    /// First number.
    pub n1: u128,
    /// Second number.
    pub n2: u128,
    /// Third number.
    pub n3: u128,
    /// Fourth number.
    pub n4: u128,
    /// A switch.
    pub b: bool,
    /// A hash, at most 32 bytes.
    pub h: Vec<u8>,
    /// A text, at most 80 characters.
    pub s: String,
}

/// Where an action stands; the number is the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActionStatus {
    /// Waits.
    Pending = 0,
    /// Carried out.
    Executed = 1,
    /// Taken back or rejected.
    Cancelled = 2,
}

impl ActionStatus {
    /// The contract's number.
    pub fn code(self) -> u128 {
        self as u128
    }
}

/// A proposed action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What it does.
    pub kind: String,
    /// How much it takes.
    pub class: Class,
    /// Who proposed it.
    pub proposer: Principal,
    /// The signers' epoch in which it was proposed.
    pub epoch: u128,
    /// First burn height at which it may run.
    pub eta: u128,
    /// Last burn height at which it may run.
    pub expires: u128,
    /// Approvals so far.
    pub approvals: u128,
    /// Rejections so far.
    pub rejections: u128,
    /// Where it stands.
    pub status: ActionStatus,
    /// Its arguments.
    pub args: ActionArgs,
}

/// What the treasury may pay in an asset; amounts in base units, times in burn blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Most per period.
    pub amount: u128,
    /// Length of a period.
    pub period: u128,
    /// Burn height at which the period began.
    pub since: u128,
    /// Spent in this period.
    pub spent: u128,
}

/// State of `freelance-security`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// Sequence number of the last event.
    pub seq: u128,
    /// The signers' epoch.
    pub epoch: u128,
    /// Id of the last action.
    pub last_action: u128,
    /// Who signs.
    pub signers: OrdMap<Principal, bool>,
    /// Actions by id.
    pub actions: OrdMap<u128, Action>,
    /// Approvals by action and signer.
    pub approved: OrdMap<(u128, Principal), bool>,
    /// Rejections by action and signer.
    pub rejected: OrdMap<(u128, Principal), bool>,
    /// Budgets by asset.
    pub budgets: OrdMap<Asset, Budget>,
}

impl Security {
    /// As deployed, with the first signers.
    pub(super) fn deployed(signers: &[Principal]) -> Self {
        Self {
            seq: 1,
            epoch: 1,
            last_action: 0,
            signers: signers.iter().map(|who| (who.clone(), true)).collect(),
            actions: OrdMap::new(),
            approved: OrdMap::new(),
            rejected: OrdMap::new(),
            budgets: OrdMap::new(),
        }
    }

    /// Whether a principal signs.
    pub fn is_signer(&self, who: &Principal) -> bool {
        self.signers.contains_key(who)
    }

    fn action(&self, id: u128) -> Result<Action, Failure> {
        let action = self.actions.get(&id).cloned();
        action.ok_or(Failure::Code(UNKNOWN_ACTION))
    }

    fn check(&self, call: &Call, action: &Action) -> Result<(), Failure> {
        ensure(self.is_signer(&call.caller), NOT_SIGNER)?;
        let live = action.status == ActionStatus::Pending
            && action.epoch == self.epoch
            && call.burn_height <= action.expires;
        ensure(live, NOT_PENDING)
    }

    fn put(&mut self, id: u128, action: Action) {
        self.actions.insert(id, action);
        self.seq += 1;
    }

    fn propose(&mut self, call: &Call, kind: String, args: ActionArgs) -> Outcome {
        let class = Class::of(&kind).ok_or(Failure::Code(UNKNOWN_KIND))?;
        ensure(self.is_signer(&call.caller), NOT_SIGNER)?;
        let id = self.last_action + 1;
        let eta = call.burn_height + class.delay();
        let action = Action {
            kind,
            class,
            proposer: call.caller.clone(),
            epoch: self.epoch,
            eta,
            expires: eta + LIFETIME,
            approvals: 1,
            rejections: 0,
            status: ActionStatus::Pending,
            args,
        };
        self.last_action = id;
        self.approved.insert((id, call.caller.clone()), true);
        self.put(id, action);
        number(id)
    }

    fn approve(&mut self, call: &Call, id: u128) -> Outcome {
        let mut action = self.action(id)?;
        self.check(call, &action)?;
        let key = (id, call.caller.clone());
        ensure(!self.approved.contains_key(&key), APPROVED)?;
        self.approved.insert(key, true);
        action.approvals += 1;
        let approvals = action.approvals;
        self.put(id, action);
        number(approvals)
    }

    fn revoke(&mut self, call: &Call, id: u128) -> Outcome {
        let mut action = self.action(id)?;
        self.check(call, &action)?;
        let removed = self.approved.remove(&(id, call.caller.clone()));
        ensure(removed.is_some(), NOT_APPROVED)?;
        let approvals = action.approvals.checked_sub(1).ok_or(Failure::Aborted)?;
        action.approvals = approvals;
        self.put(id, action);
        number(approvals)
    }

    fn reject(&mut self, call: &Call, id: u128) -> Outcome {
        let mut action = self.action(id)?;
        self.check(call, &action)?;
        let key = (id, call.caller.clone());
        ensure(!self.rejected.contains_key(&key), REJECTED)?;
        self.rejected.insert(key, true);
        action.rejections += 1;
        if action.rejections >= REJECTIONS {
            action.status = ActionStatus::Cancelled;
        }
        let rejections = action.rejections;
        self.put(id, action);
        number(rejections)
    }

    fn cancel(&mut self, call: &Call, id: u128) -> Outcome {
        let mut action = self.action(id)?;
        self.check(call, &action)?;
        ensure(call.caller == action.proposer, NOT_PROPOSER)?;
        action.status = ActionStatus::Cancelled;
        self.put(id, action);
        yes()
    }
}

fn read_args(mut fields: Fields<'_>) -> Result<ActionArgs, Failure> {
    let args = ActionArgs {
        p1: fields.maybe_principal("p1")?,
        p2: fields.maybe_principal("p2")?,
        n1: fields.uint("n1")?,
        n2: fields.uint("n2")?,
        n3: fields.uint("n3")?,
        n4: fields.uint("n4")?,
        b: fields.flag("b")?,
        h: fields.buffer("h", 32)?,
        s: fields.ascii("s", 80)?,
    };
    fields.end()?;
    Ok(args)
}

impl Model {
    pub(super) fn call_security(
        &mut self,
        call: &Call,
        function: &str,
        mut args: Args<'_>,
    ) -> Outcome {
        if function == "propose" {
            let kind = args.ascii(24)?;
            let action = read_args(args.tuple()?)?;
            args.end()?;
            return self.security.propose(call, kind, action);
        }
        let id = args.uint()?;
        if function == "execute" {
            let token = args.token()?;
            args.end()?;
            return self.execute(call, id, &token);
        }
        args.end()?;
        match function {
            "approve" => self.security.approve(call, id),
            "revoke-approval" => self.security.revoke(call, id),
            "reject" => self.security.reject(call, id),
            "cancel" => self.security.cancel(call, id),
            _ => Err(Failure::Aborted),
        }
    }

    fn execute(&mut self, call: &Call, id: u128, token: &Asset) -> Outcome {
        let mut action = self.security.action(id)?;
        self.security.check(call, &action)?;
        ensure(action.approvals >= action.class.threshold(), TOO_FEW)?;
        ensure(call.burn_height >= action.eta, TIMELOCK)?;
        action.status = ActionStatus::Executed;
        let (kind, args) = (action.kind.clone(), action.args.clone());
        self.security.put(id, action);
        self.run(call, &kind, args, token)
    }

    fn run(&mut self, call: &Call, kind: &str, a: ActionArgs, token: &Asset) -> Outcome {
        let me = self.contracts.security.clone();
        let who = a.p1.clone().ok_or(Failure::Code(ARGUMENT));
        let text = |limit: usize| {
            ensure(a.s.len() <= limit, ARGUMENT)?;
            Ok::<_, Failure>(a.s.clone())
        };
        match kind {
            "set-fee" => self.set_fee(&me, a.n1),
            "set-treasury" => self.set_person(&me, true, who?),
            "set-arbiter" => self.set_person(&me, false, who?),
            "set-asset" => {
                let terms = AssetTerms {
                    enabled: a.b,
                    max: a.n1,
                    decimals: a.n2,
                };
                self.set_asset(&me, a.p1, terms, &call.caller, token)
            }
            "disable-asset" => {
                let terms = self.logic.assets.get(&a.p1).cloned();
                let mut terms = terms.ok_or(Failure::Code(ARGUMENT))?;
                terms.enabled = false;
                self.set_asset(&me, a.p1, terms, &call.caller, &None)
            }
            "resolve" => {
                let target = Target {
                    p: a.n1,
                    m: a.n2,
                    token: token.clone(),
                };
                let ours = Call {
                    caller: me,
                    ..call.clone()
                };
                self.resolve(&ours, &target, a.n3)
            }
            "set-params" => self.set_params(&me, [a.n1, a.n2, a.n3, a.n4]),
            "pause" => self.set_paused(call, &me, true, a.n1),
            "unpause" => self.set_paused(call, &me, false, 0),
            "set-writer" => self.set_writer(&me, who?, a.b),
            "set-attestor" => self.set_attestor(&me, who?, a.b),
            "set-category" => self.set_category(&me, a.n1, text(50)?, a.b),
            "set-minter" => self.set_minter(&me, who?, a.b),
            "set-kind" => {
                let kind = Kind {
                    name: text(24)?,
                    projects: a.n2,
                    rating: a.n3,
                    needs_x: a.b,
                };
                self.set_kind(&me, a.n1, kind)
            }
            "set-uri" => self.set_uri(&me, a.s),
            "revoke-badge" => self.revoke_badge(&me, a.n1),
            "migrate-badge" => self.migrate_badge(&me, a.n1, who?),
            "swap-signer" => {
                let new = a.p2.ok_or(Failure::Code(ARGUMENT));
                self.swap_signer(&who?, new?)
            }
            "set-budget" => self.set_budget(call, a.p1, a.n1, a.n2),
            "spend" => self.spend(call, &who?, &a.p2, a.n1, token),
            _ => Err(Failure::Code(UNKNOWN_KIND)),
        }
    }

    fn swap_signer(&mut self, old: &Principal, new: Principal) -> Outcome {
        let seats = &mut self.security;
        let fits = seats.is_signer(old) && !seats.is_signer(&new);
        ensure(fits && new != self.contracts.security, SIGNERS)?;
        seats.signers.remove(old);
        seats.signers.insert(new, true);
        seats.epoch += 1;
        seats.seq += 1;
        yes()
    }

    fn set_budget(&mut self, call: &Call, asset: Asset, amount: u128, period: u128) -> Outcome {
        ensure(period > 0, ARGUMENT)?;
        let budget = Budget {
            amount,
            period,
            since: call.burn_height,
            spent: 0,
        };
        self.security.budgets.insert(asset, budget);
        self.security.seq += 1;
        yes()
    }

    fn spend(
        &mut self,
        call: &Call,
        to: &Principal,
        asset: &Asset,
        amount: u128,
        token: &Asset,
    ) -> Outcome {
        let treasury = self.contracts.security.clone();
        let budget = self.security.budgets.get(asset).cloned();
        let mut budget = budget.ok_or(Failure::Code(BUDGET))?;
        let end = budget
            .since
            .checked_add(budget.period)
            .ok_or(Failure::Aborted)?;
        if call.burn_height >= end {
            budget.since = call.burn_height;
            budget.spent = 0;
        }
        budget.spent = budget.spent.checked_add(amount).ok_or(Failure::Aborted)?;
        ensure(asset == token, ARGUMENT)?;
        ensure(*to != treasury, ARGUMENT)?;
        ensure(budget.spent <= budget.amount, BUDGET)?;
        let code = if asset.is_some() {
            FT_TRANSFER
        } else {
            STX_TRANSFER
        };
        self.ledger
            .transfer(asset, amount, &treasury, to)
            .map_err(|failure| failure.or_code(code))?;
        self.security.budgets.insert(asset.clone(), budget);
        self.security.seq += 1;
        yes()
    }
}
