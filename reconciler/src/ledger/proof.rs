//! The books against the mirror, told another way, and against a node.

use stxworx_clarity::codec::{Principal, Value};
use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_indexer::model::{IndexBlockHash, Mirror};
use stxworx_indexer::store::ledger::prove::{self, Held, Locked, Sides};
use stxworx_indexer::store::ledger::read;
use stxworx_indexer::store::{Pool, StoreError};

use std::collections::BTreeSet;

use stxworx_indexer::store::ledger::proof::{self as store, Pair, Place};
use stxworx_indexer::store::ledger::{Net, Side};

use super::account::{HOLDING, Holders};

/// A holder's balance of an asset, told three times.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Told {
    /// The escrow or the treasury.
    pub holder: String,
    /// `STX`, or the id of a token's contract.
    pub asset: String,
    /// By the books, base units.
    pub booked: String,
    /// By all transfers of the mirror, base units.
    pub counted: String,
    /// By the node at the same block, base units; none without a node, where the token does not tell, or where the
    /// mirror need not have all that the holder did.
    pub node: Option<String>,
    /// What the holder had from before the mirror's first block ended, which no booking tells of; base units, zero where
    /// no node was asked.
    pub opening: String,
}

impl Told {
    /// What the bookings must sum up to by the node: its balance less the opening.
    pub fn by_node(&self) -> Option<String> {
        let mut net = Net::from_decimal(self.node.as_ref()?)?;
        net.merge(Net::from_decimal(&self.opening)?.negated());
        Some(net.to_string())
    }

    /// Do all that speak say the same?
    pub fn agrees(&self) -> bool {
        let told = self.by_node();
        self.booked == self.counted && (self.node.is_none() || told.as_ref() == Some(&self.booked))
    }
}

/// The sum of two numbers in decimal digits; none where one is no number.
pub(super) fn sum(parts: [&str; 2]) -> Option<String> {
    let mut net = Net::default();
    for part in parts {
        net.merge(Net::from_decimal(part)?);
    }
    Some(net.to_string())
}

/// What the proof came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Proof {
    /// The block at which everybody was asked, with 0x; none while there is none.
    pub block: Option<String>,
    /// Its height.
    pub height: Option<i32>,
    /// Assets whose debits are not their credits, with the difference.
    pub trial_balance: Vec<(String, String)>,
    /// Projects whose account is not what the mirror says is locked.
    pub projects: Vec<Locked>,
    /// How many projects were compared.
    pub projects_compared: i64,
    /// Each holder and asset.
    pub holders: Vec<Told>,
    /// Lines of the outbox that are not booked: then nothing need agree.
    pub unbooked: i64,
}

impl Proof {
    /// Does everything agree?
    pub fn holds(&self) -> bool {
        self.trial_balance.is_empty()
            && self.projects.is_empty()
            && self.holders.iter().all(Told::agrees)
    }
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The mirror or the books.
    #[error("the books cannot be read")]
    Store(#[from] StoreError),
    /// The node.
    #[error(
        "the node cannot be asked for balances; without --node the proof is against the mirror alone"
    )]
    Node(#[from] NodeError),
}

/// The holders of a mirror, from what it follows.
///
/// # Errors
/// When the database fails.
pub async fn holders(pool: &Pool) -> Result<Holders, StoreError> {
    let names = HOLDING.map(str::to_owned);
    let Some(followed) = prove::followed(pool, &names).await? else {
        return Ok(Holders::default());
    };
    let follow = &followed.follow;
    let named = follow.contracts.iter().chain(&followed.known);
    let named = named.map(String::as_str);
    Ok(Holders::of(follow, named, &followed.fee_payers))
}

/// Minters of whom the mirror need not have every transaction: what they did elsewhere is not there.
pub(super) async fn seen_in_part(pool: &Pool) -> Result<BTreeSet<String>, StoreError> {
    let Some(followed) = prove::followed(pool, &[]).await? else {
        return Ok(BTreeSet::new());
    };
    let follow = followed.follow;
    let mut payers = followed.fee_payers;
    payers.retain(|who| follow.mirror != Mirror::All && !follow.watches(who));
    Ok(payers.into_iter().collect())
}

/// What a holder had before the mirror's first block ended, and no booking tells of: what the node says he had as of
/// that block, less what is booked up to there.
pub(super) async fn opening(
    node: &NodeReader,
    pair: &Pair,
    origin: &Place,
    booked: &str,
) -> Result<Option<String>, NodeError> {
    let (who, asset) = pair;
    // The chain's own first blocks are before every contract.
    if origin.height <= 1 && who.contains('.') {
        return Ok(Some("0".to_owned()));
    }
    let block = IndexBlockHash(origin.block);
    let had = balance(node, who, asset, &block).await?.unwrap_or(0);
    let Some(mut net) = Net::from_decimal(booked) else {
        return Ok(None);
    };
    net = net.negated();
    net.add(Side::Debit, had);
    Ok(Some(net.to_string()))
}

/// Base units of an asset that somebody has at a block; none where the token cannot be asked.
pub(super) async fn balance(
    node: &NodeReader,
    who: &str,
    asset: &str,
    tip: &IndexBlockHash,
) -> Result<Option<u128>, NodeError> {
    if asset == "STX" {
        return node.balance(who, tip).await.map(Some);
    }
    let Ok(principal) = who.parse::<Principal>() else {
        return Ok(None);
    };
    let who = [Value::Principal(principal)];
    match node.call_read(asset, "get-balance", &who, tip).await {
        Ok(told) => Ok(told
            .as_response()
            .and_then(|r| r.ok())
            .and_then(Value::as_u128)),
        Err(NodeError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Proves the books at the canonical tip, or at a height: then projects are left out, for the mirror knows only what is
/// locked now.
///
/// # Errors
/// When mirror or node cannot be asked. What differs is no error.
pub async fn prove(
    pool: &Pool,
    node: Option<&NodeReader>,
    at: Option<i32>,
) -> Result<Proof, ProofError> {
    let holders = holders(pool).await?.all();
    let Sides {
        tip,
        unbooked,
        held,
        locked,
        projects,
    } = prove::sides(pool, &holders, at).await?;
    let block = match &tip {
        Some((_, hash)) => IndexBlockHash::from_slice(hash).ok(),
        None => None,
    };
    let in_part = seen_in_part(pool).await?;
    let before = store::before(pool, &held.iter().map(Held::pair).collect()).await?;
    let mut told = Vec::new();
    for held in held {
        let pair = held.pair();
        let (mut asked, mut opens) = (None, "0".to_owned());
        if let (Some(node), Some(block)) = (node, &block)
            && !in_part.contains(&held.holder)
        {
            asked = balance(node, &held.holder, &held.asset, block).await?;
            if let Some((origin, booked)) = &before {
                let booked = booked.get(&pair).map_or("0", String::as_str);
                opens = opening(node, &pair, origin, booked).await?.unwrap_or(opens);
            }
        }
        told.push(Told {
            holder: held.holder,
            asset: held.asset,
            booked: held.booked,
            counted: held.counted,
            node: asked.map(|a| a.to_string()),
            opening: opens,
        });
    }
    let mut trial_balance = read::trial_balance(pool).await?;
    trial_balance.retain(|(_, off)| off != "0");
    Ok(Proof {
        block: tip
            .as_ref()
            .map(|(_, hash)| format!("0x{}", hex::encode(hash))),
        height: tip.map(|(height, _)| height),
        trial_balance,
        projects: if at.is_none() { locked } else { Vec::new() },
        projects_compared: if at.is_none() { projects } else { 0 },
        holders: told,
        unbooked,
    })
}
