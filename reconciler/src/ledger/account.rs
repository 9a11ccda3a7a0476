//! Names of accounts. A debit adds to what an account holds; what a holder has is the sum of its accounts.

use std::collections::BTreeSet;

use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::security::SecurityEvent;
use stxworx_indexer::model::FollowSet;

/// What is locked for a project.
pub fn project(escrow: &str, project: u128) -> String {
    format!("escrow:{escrow}:{project}")
}

/// What came to an escrow and belongs to no project.
pub fn unattributed(escrow: &str) -> String {
    format!("escrow:{escrow}:unattributed")
}

/// A treasury.
pub fn treasury(who: &str) -> String {
    format!("treasury:{who}")
}

/// Somebody whose network fees are the DAO's expense: who mints its badges.
pub fn minter(who: &str) -> String {
    format!("minter:{who}")
}

/// Everybody else.
pub fn external(who: &str) -> String {
    format!("external:{who}")
}

/// What an event says and no transfer shows, or the other way round; it counts with the holder's money.
pub fn suspense(holder: &str) -> String {
    format!("suspense:{holder}")
}

/// Where tokens come from that are made, and go that are destroyed.
pub const SUPPLY: &str = "supply";
/// Whom transactions are paid to.
pub const MINERS: &str = "miners";

/// The name in a contract's id.
pub fn name_of(contract: &str) -> &str {
    contract.split_once('.').map_or("", |(_, name)| name)
}

/// Whose every transfer the mirror has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Followed contracts that hold what is locked.
    pub escrows: BTreeSet<String>,
    /// Followed governed treasuries, and other principals that are followed.
    pub treasuries: BTreeSet<String>,
    /// Those whose network fees are booked. Of these the mirror may have only what touches something that is followed.
    pub minters: BTreeSet<String>,
}

/// Names of contracts that hold money.
pub const HOLDING: [&str; 2] = [LogicEvent::CONTRACT, SecurityEvent::CONTRACT];

impl Holders {
    /// The holders of a follow set; `known` are contracts whose names say that they hold money, `minters` those whose
    /// network fees are booked.
    pub fn of<'a>(
        follow: &FollowSet,
        known: impl IntoIterator<Item = &'a str>,
        minters: &[String],
    ) -> Self {
        let mut holders = Self {
            minters: minters.iter().cloned().collect(),
            ..Self::default()
        };
        for contract in known.into_iter().filter(|c| follow.follows_contract(c)) {
            match name_of(contract) {
                LogicEvent::CONTRACT => holders.escrows.insert(contract.to_owned()),
                SecurityEvent::CONTRACT => holders.treasuries.insert(contract.to_owned()),
                _ => false,
            };
        }
        let platform = |who: &str| name_of(who).starts_with("freelance-");
        let others = follow.principals.iter().filter(|p| !platform(p));
        let others = others.filter(|p| !holders.minters.contains(*p)).cloned();
        let others: Vec<_> = others.collect();
        holders.treasuries.extend(others);
        holders
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        let all = self.escrows.union(&self.treasuries).chain(&self.minters);
        all.cloned().collect()
    }

    /// Those who may pay for transactions: treasuries, of which some are accounts, and minters.
    pub fn payers(&self) -> Vec<String> {
        self.treasuries.union(&self.minters).cloned().collect()
    }

    /// Is it one of them?
    pub fn holds(&self, who: &str) -> bool {
        self.escrows.contains(who) || self.treasuries.contains(who) || self.minters.contains(who)
    }

    /// The account to which money goes that no event speaks of.
    pub fn into(&self, who: &str) -> String {
        if self.escrows.contains(who) {
            unattributed(who)
        } else if self.minters.contains(who) {
            minter(who)
        } else if self.treasuries.contains(who) {
            treasury(who)
        } else {
            external(who)
        }
    }

    /// The account from which money goes that no event speaks of. A contract tells of all its payments, so that such
    /// a one is suspect; an account that is somebody's own may pay without a word.
    pub fn out_of(&self, who: &str) -> String {
        if self.escrows.contains(who) || self.is_governed(who) {
            suspense(who)
        } else if self.minters.contains(who) {
            minter(who)
        } else if self.treasuries.contains(who) {
            treasury(who)
        } else {
            external(who)
        }
    }

    /// Is it a treasury that tells of all its payments?
    pub fn is_governed(&self, who: &str) -> bool {
        self.treasuries.contains(who) && name_of(who) == SecurityEvent::CONTRACT
    }
}
