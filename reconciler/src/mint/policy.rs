//! What an operator allows.

use super::types::{Call, Fee, UnsignedMint};

/// The limits within which mints are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The treasury contract to which a noop sends one micro-STX.
    pub treasury: String,
    /// Kinds that are minted by themselves; empty: all.
    pub kinds: Vec<u64>,
    /// No fee is lower, micro-STX.
    pub fee_floor: Fee,
    /// No fee is higher, micro-STX.
    pub fee_cap: Fee,
    /// Fees in any 24 hours, micro-STX. The last tenth is kept for the head of the line.
    pub fee_budget_per_day: u128,
    /// Mints begun in any hour.
    pub per_hour: u32,
    /// Mints begun for one recipient in any 24 hours.
    pub per_recipient_per_day: u32,
    /// Open slots at most; a node refuses what is more than 25 above its account's nonce.
    pub in_flight: u32,
    /// So many first awards of each kind wait for a person's approval.
    pub approve_first: u32,
    /// How long a transaction that was sent may be unseen before it is sent again.
    pub grace_s: u64,
    /// How long the head of the line may wait before its fee rises.
    pub bump_after_s: u64,
    /// How long nonces may be unexplained before the key counts as used by somebody else.
    pub unexplained_s: u64,
    /// A node whose Bitcoin height is so far behind the mirror's is not listened to.
    pub behind_burn_blocks: u32,
    /// After so many failures on the chain a person must look.
    pub max_failures: u32,
    /// Users looked at in one pass of the walk over all.
    pub page: u32,
    /// Do everything but send.
    pub dry_run: bool,
}

/// Most open slots that any policy may allow: below the nodes' own limit of 25, with room for what they have not seen.
pub const MOST_IN_FLIGHT: u32 = 20;
/// Most attempts of one slot.
pub const MOST_ATTEMPTS: usize = 24;

impl Policy {
    /// A careful one, for this treasury.
    pub fn careful(treasury: &str) -> Self {
        Self {
            treasury: treasury.to_owned(),
            kinds: Vec::new(),
            fee_floor: 1_000,
            fee_cap: 500_000,
            fee_budget_per_day: 20_000_000,
            per_hour: 60,
            per_recipient_per_day: 5,
            in_flight: MOST_IN_FLIGHT,
            approve_first: 0,
            grace_s: 60,
            bump_after_s: 900,
            unexplained_s: 600,
            behind_burn_blocks: 2,
            max_failures: 3,
            page: 500,
            dry_run: false,
        }
    }

    /// Is this kind minted by itself?
    pub fn mints(&self, kind: u64) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    /// The list of what may be signed: `mint` of this contract, and the noop.
    pub fn allows(&self, contract: &str, unsigned: &UnsignedMint) -> bool {
        let named = match &unsigned.call {
            Call::Mint { .. } => unsigned.contract == contract,
            Call::Noop { treasury } => *treasury == self.treasury,
        };
        named && unsigned.fee >= 1 && unsigned.fee <= self.fee_cap
    }

    /// A fee within the limits.
    pub fn within(&self, fee: Fee) -> Fee {
        fee.max(self.fee_floor).min(self.fee_cap)
    }

    /// What new mints may spend: the budget without the part that is kept for the head of the line.
    pub fn budget_for_new(&self) -> u128 {
        self.fee_budget_per_day - self.fee_budget_per_day / 10
    }
}
