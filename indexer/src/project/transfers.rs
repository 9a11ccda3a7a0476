//! What watched principals received and sent, per asset, transfer by transfer.
//!
//! Mints count as received, burns as sent. Fees, mining rewards and unlocking leave no event on
//! Stacks, so `received - sent` is the flow of transfers and not a balance.

use serde::{Deserialize, Serialize};

use super::{Fact, Projection, sum};
use crate::model::change::position;
use crate::model::{Block, EventBody, EventKind, FollowSet, TxId};

/// Projection `transfers`; the entity is `PRINCIPAL|ASSET`, the asset being `STX` or `CONTRACT::name`.
#[derive(Debug)]
pub struct Transfers;

/// Totals, and the transfer that led to them.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransfersState {
    /// Base units received so far; pieces for non-fungible tokens.
    pub received: String,
    /// Base units sent so far.
    pub sent: String,
    /// Transfers so far.
    pub count: u64,
    /// The last one.
    pub last: Option<Transfer>,
}

/// One transfer, as the principal sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Transaction.
    pub txid: TxId,
    /// `in` or `out`.
    pub direction: Direction,
    /// Base units; 1 for a non-fungible token.
    pub amount: String,
    /// The other side; none for a mint or a burn.
    pub counterparty: Option<String>,
    /// Serialised id of a non-fungible token, hexadecimal.
    pub token: Option<String>,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the principal.
    In,
    /// From the principal.
    Out,
}

fn asset(body: &EventBody) -> Option<String> {
    match body.kind {
        EventKind::StxTransfer | EventKind::StxMint | EventKind::StxBurn => Some("STX".to_owned()),
        EventKind::Contract | EventKind::StxLock | EventKind::Other => None,
        _ => Some(format!(
            "{}::{}",
            body.contract.as_deref()?,
            body.asset.as_deref()?
        )),
    }
}

fn is_nft(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::NftTransfer | EventKind::NftMint | EventKind::NftBurn
    )
}

impl Projection for Transfers {
    type State = TransfersState;
    type Fact = Transfer;

    const ID: i16 = 3;
    const NAME: &'static str = "transfers";
    const VERSION: i32 = 1;

    fn facts(&self, block: &Block, follow: &FollowSet) -> Vec<Fact<Transfer>> {
        let mut facts = Vec::new();
        let mut transactions = block.transactions.iter().peekable();
        for event in &block.events {
            let Some(asset) = asset(&event.body) else {
                continue;
            };
            while transactions
                .next_if(|t| t.tx_index < event.tx_index)
                .is_some()
            {}
            let Some(transaction) = transactions.peek() else {
                break;
            };
            let sides = [
                (&event.body.sender, &event.body.recipient, Direction::Out),
                (&event.body.recipient, &event.body.sender, Direction::In),
            ];
            for (side, (principal, counterparty, direction)) in (0u32..).zip(sides) {
                let Some(principal) = principal.as_deref().filter(|p| follow.watches(p)) else {
                    continue;
                };
                let nft = is_nft(event.body.kind);
                let amount = if nft {
                    1
                } else {
                    event.body.amount.unwrap_or(0)
                };
                facts.push(Fact {
                    entity: format!("{principal}|{asset}"),
                    // Both sides may be one principal, so each has its place.
                    position: position(
                        event.tx_index,
                        event.ordinal.saturating_mul(2).saturating_add(side),
                    ),
                    fact: Transfer {
                        txid: transaction.txid,
                        direction,
                        amount: amount.to_string(),
                        counterparty: counterparty.clone(),
                        token: event.body.value.as_ref().filter(|_| nft).map(hex::encode),
                    },
                });
            }
        }
        facts
    }

    fn fold(&self, state: &mut TransfersState, _: &Block, fact: &Transfer) -> Result<(), String> {
        let amount = fact
            .amount
            .parse()
            .map_err(|_| format!("{:?} is not an amount", fact.amount))?;
        for (total, direction) in [
            (&mut state.received, Direction::In),
            (&mut state.sent, Direction::Out),
        ] {
            sum(
                total,
                if fact.direction == direction {
                    amount
                } else {
                    0
                },
            )?;
        }
        state.count += 1;
        state.last = Some(fact.clone());
        Ok(())
    }
}
