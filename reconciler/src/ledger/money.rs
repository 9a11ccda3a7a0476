//! What one transaction did with money: its transfers, and what its events say.

use stxworx_clarity::codec::Principal;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::security::SecurityEvent;
use stxworx_clarity::events::{self, Event as Typed};

use super::account::name_of;

/// A transfer, of an asset by its name in the books: `STX`, or the id of a token's contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Place among the transaction's events.
    pub ordinal: i32,
    /// The asset.
    pub asset: String,
    /// Whom it left.
    pub from: String,
    /// Whom it reached.
    pub to: String,
    /// Base units.
    pub amount: u128,
}

/// An event that tells of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Place among the transaction's events.
    pub ordinal: i32,
    /// Who printed it.
    pub contract: String,
    /// What it says.
    pub says: Says,
}

/// What an event says of money; amounts in base units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// A project's whole amount came in.
    Opened {
        /// Its number.
        project: u128,
        /// Who pays.
        client: String,
        /// In what.
        asset: String,
        /// All of it.
        total: u128,
    },
    /// What was left went back.
    Cancelled {
        /// Its number.
        project: u128,
        /// In what.
        asset: String,
        /// How much.
        refunded: u128,
    },
    /// A milestone was paid out.
    Settled {
        /// Its project.
        project: u128,
        /// In what.
        asset: String,
        /// What was locked for it.
        amount: u128,
        /// To the freelancer.
        payout: u128,
        /// To the treasury.
        fee: u128,
        /// To the client.
        refund: u128,
        /// The treasury of that moment.
        treasury: String,
    },
    /// A token was admitted, after one unit came and went.
    Admitted {
        /// Which.
        asset: String,
    },
    /// The governed treasury paid.
    Spent {
        /// In what.
        asset: String,
        /// How much.
        amount: u128,
        /// Whom.
        to: String,
    },
}

/// All that one transaction did with money.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Money {
    /// The transaction.
    pub txid: [u8; 32],
    /// Its transfers, mints and burns, in order.
    pub transfers: Vec<Transfer>,
    /// Its events, in order.
    pub told: Vec<Told>,
    /// Who among the treasuries paid for it, and how many micro-STX.
    pub fee: Option<(String, u128)>,
}

fn asset_name(asset: Option<&Principal>) -> String {
    asset.map_or_else(|| "STX".to_owned(), ToString::to_string)
}

/// What a print of a contract that holds money says of it; none where it says nothing of money, or nothing known.
pub fn says(contract: &str, raw: &[u8]) -> Option<Says> {
    let envelope = events::decode(name_of(contract), raw).ok()?;
    Some(match envelope.event {
        Typed::Logic(LogicEvent::ProjectOpened(e)) => Says::Opened {
            project: e.project.0,
            client: e.client.to_string(),
            asset: asset_name(e.asset.as_ref()),
            total: e.total.0,
        },
        Typed::Logic(LogicEvent::ProjectCancelled(e)) => Says::Cancelled {
            project: e.project.0,
            asset: asset_name(e.asset.as_ref()),
            refunded: e.refunded.0,
        },
        Typed::Logic(LogicEvent::MilestoneSettled(e)) => Says::Settled {
            project: e.project.0,
            asset: asset_name(e.asset.as_ref()),
            amount: e.amount.0,
            payout: e.payout.0,
            fee: e.fee.0,
            refund: e.refund.0,
            treasury: e.treasury.to_string(),
        },
        Typed::Logic(LogicEvent::AssetSet(e)) if e.enabled && e.asset.is_some() => Says::Admitted {
            asset: asset_name(e.asset.as_ref()),
        },
        Typed::Security(SecurityEvent::Spent(e)) => Says::Spent {
            asset: asset_name(e.asset.as_ref()),
            amount: e.amount.0,
            to: e.to.to_string(),
        },
        _ => return None,
    })
}
