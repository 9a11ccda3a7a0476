//! What the contracts do, written a second time in plain Rust.
//!
//! The model folds over calls (who, what, with which arguments, at which burn height), never over
//! events, so it is a second opinion on both the contracts and on everything that mirrors them.
//! Each check stands in the contract's order: the code of a refused call is part of the answer.
//!
//! Clones share their structure, so keeping the state of every block is cheap.
//!
//! Out of its reach: contracts other than the five, read-only functions, and the hash chain of the
//! events (it counts them).

mod args;
mod badges;
mod data;
mod escrow;
mod ledger;
mod logic;
mod opening;
mod security;
mod tables;
mod transaction;

pub use badges::{Badge, Badges, Kind};
pub use data::{Anchor, Category, Data, Parties, Profile, Stats, XAccount};
pub use ledger::{Ledger, Movement};
pub use logic::{
    AssetTerms, Config, Logic, Milestone, MilestoneStatus, Offer, Project, ProjectStatus,
};
pub use security::{Action, ActionArgs, ActionStatus, Budget, Class, Security};
pub use tables::{Entry, Variable};
pub use transaction::Verdict;

use imbl::OrdMap;

use crate::codec::{ContractName, Principal, StandardPrincipal, Value};

use args::Args;

/// `None` is STX, anything else the contract of a token.
pub type Asset = Option<Principal>;

/// The contracts of one deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contracts {
    /// `freelance-traits`
    pub traits: Principal,
    /// `test-token`
    pub token: Principal,
    /// `freelance-data`
    pub data: Principal,
    /// `freelance-logic`
    pub logic: Principal,
    /// `freelance-badges`
    pub badges: Principal,
    /// `freelance-security`
    pub security: Principal,
}

impl Contracts {
    /// The contracts that an account deployed.
    pub fn of(deployer: StandardPrincipal) -> Self {
        let contract = |name: &str| {
            Principal::Contract(crate::codec::ContractId {
                issuer: deployer,
                name: ContractName::checked(name),
            })
        };
        Self {
            traits: contract("freelance-traits"),
            token: contract("test-token"),
            data: contract("freelance-data"),
            logic: contract("freelance-logic"),
            badges: contract("freelance-badges"),
            security: contract("freelance-security"),
        }
    }
}

/// Why a call failed. Either way it changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The function answered `(err code)`.
    Code(u128),
    /// The call broke: an argument of the wrong type, an unknown function, or a number out of range.
    /// The node reports `(err none)`.
    Aborted,
}

impl Failure {
    /// The same failure with a contract's own code for it.
    fn or_code(self, code: u128) -> Self {
        match self {
            Self::Code(_) => Self::Code(code),
            Self::Aborted => Self::Aborted,
        }
    }
}

/// The value inside `(ok …)`, or why there is none.
pub type Outcome = Result<Value, Failure>;

/// Who calls, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The caller: the transaction's origin.
    pub caller: Principal,
    /// `burn-block-height` during the call.
    pub burn_height: u128,
}

/// The state of the contracts and of everyone's balances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Where the contracts are.
    pub contracts: Contracts,
    /// Balances.
    pub ledger: Ledger,
    /// `freelance-data`
    pub data: Data,
    /// `freelance-logic`
    pub logic: Logic,
    /// `freelance-badges`
    pub badges: Badges,
    /// `freelance-security`
    pub security: Security,
}

impl Model {
    /// The state right after the contracts were deployed, with nobody owning anything.
    pub fn deployed(contracts: Contracts, signers: &[Principal]) -> Self {
        let security = contracts.security.clone();
        let stx = AssetTerms {
            enabled: true,
            max: 1_000_000_000_000,
            decimals: 6,
        };
        Self {
            data: Data {
                seq: 1,
                writers: OrdMap::unit(contracts.logic.clone(), true),
                ..Data::default()
            },
            logic: Logic {
                seq: 2,
                last_project: 0,
                config: Config {
                    fee_bps: 1_000,
                    treasury: security.clone(),
                    arbiter: security,
                    accept: 1_008,
                    review: 432,
                    resolve: 1_008,
                    grace: 144,
                    paused_until: 0,
                },
                projects: OrdMap::new(),
                milestones: OrdMap::new(),
                offers: OrdMap::new(),
                assets: OrdMap::unit(None, stx),
                locked: OrdMap::new(),
            },
            badges: Badges::deployed(),
            security: Security::deployed(signers),
            ledger: Ledger::default(),
            contracts,
        }
    }

    /// Carries out the call of a public function. A call that fails changes nothing. What moved is
    /// in [`Model::movements`] until the next call.
    ///
    /// # Errors
    /// The function refuses, or the call breaks.
    pub fn call(
        &mut self,
        call: &Call,
        contract: &Principal,
        function: &str,
        arguments: &[Value],
    ) -> Outcome {
        let before = self.clone();
        self.ledger.movements.clear();
        let contracts = self.contracts.clone();
        let args = Args::new(arguments, &contracts);
        let outcome = match contract {
            at if *at == contracts.data => self.call_data(call, function, args),
            at if *at == contracts.logic => self.call_logic(call, function, args),
            at if *at == contracts.badges => self.call_badges(call, function, args),
            at if *at == contracts.security => self.call_security(call, function, args),
            at if *at == contracts.token => self.call_token(call, function, args),
            _ => Err(Failure::Aborted),
        };
        if outcome.is_err() {
            *self = before;
            self.ledger.movements.clear();
        }
        outcome
    }

    /// What left whom in the last call or transfer, in order.
    pub fn movements(&self) -> &[Movement] {
        &self.ledger.movements
    }

    /// Balance of an asset.
    pub fn balance(&self, asset: &Asset, who: &Principal) -> u128 {
        self.ledger.balance(asset, who)
    }

    /// What the escrow holds beyond what it owes: gifts.
    pub fn unattributed(&self, asset: &Asset) -> Option<u128> {
        let held = self.ledger.balance(asset, &self.contracts.logic);
        held.checked_sub(self.logic.locked_of(asset))
    }

    fn call_token(&mut self, call: &Call, function: &str, mut args: Args<'_>) -> Outcome {
        const NOT_OWNER: u128 = 4001;
        let token = self.contracts.token.clone();
        match function {
            "mint" => {
                let (amount, to) = (args.uint()?, args.principal()?);
                args.end()?;
                self.ledger.mint(&token, amount, &to)?;
            }
            "transfer" => {
                let amount = args.uint()?;
                let (from, to) = (args.principal()?, args.principal()?);
                args.maybe_buffer(34)?;
                args.end()?;
                ensure(call.caller == from, NOT_OWNER)?;
                self.ledger.transfer(&Some(token), amount, &from, &to)?;
            }
            _ => return Err(Failure::Aborted),
        }
        yes()
    }
}

/// The contract's `asserts!`.
fn ensure(holds: bool, code: u128) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::Code(code))
    }
}

/// `(ok true)`
fn yes() -> Outcome {
    Ok(Value::Bool(true))
}

#[cfg(test)]
mod tests;
