//! What came to treasuries and went from them, judged.

use std::collections::{BTreeMap, BTreeSet};

use stxworx_indexer::model::TxId;
use stxworx_indexer::store::read::market::TREASURY;
use stxworx_indexer::store::reconcile::moves::{self, MoveRow};
use stxworx_indexer::store::reconcile::states;

use super::error::EngineError;
use super::escrow::claim;
use super::ground::Ground;
use super::groups::{Group, Held, Holder};
use super::inputs::Inputs;
use super::judge::{Judge, Judged};
use super::people::{mark, verdict, walk};
use super::session::Session;
use super::stream::RowSource;
use super::subjects::{all_states, asset_states, sibling};
use crate::platform::PlatformTransfer;
use crate::platform::postgres::Entity;
use crate::rule::Subject;
use crate::rules::{Claims, Move, TransferCase, transfer_rules};

/// Kind of the subject: a transaction, at the treasury's contract.
pub(super) const KIND: &str = "treasury_tx";
/// Kind of a row that names no transaction.
pub(super) const ALONE: &str = "platform_transfer";

/// The contract that subjects are named by: the treasury of the escrow's own deployment.
pub(super) fn contract(ground: &Ground) -> String {
    sibling(&ground.contract, "freelance-security")
}

/// Everybody who ever received a fee or paid by a decision, and the treasury itself.
pub(super) async fn treasuries(ground: &mut Ground) -> Result<Vec<String>, EngineError> {
    let mut known = BTreeSet::from([contract(ground)]);
    for (entity, _) in all_states(ground, TREASURY.id, "").await? {
        known.extend(entity.split_once('|').map(|(who, _)| who.to_owned()));
    }
    Ok(known.into_iter().collect())
}

/// A transfer as a state of the chain.
pub(super) fn held(row: MoveRow) -> Held {
    let text = Option::unwrap_or_default;
    let it = Move {
        ordinal: row.ordinal,
        from: text(row.sender),
        to: text(row.recipient),
        asset: text(row.asset),
        amount: text(row.amount),
        owed: row.owed,
    };
    Held {
        holder: row.txid,
        entity: format!("{} {}", it.from, it.to),
        // Text, whole numbers and truth values serialise.
        state: serde_json::to_string(&it).unwrap_or_default(),
    }
}

/// The bytes of transactions.
pub(super) fn bytes(txids: &[String]) -> Vec<Vec<u8>> {
    let ids = txids.iter().filter_map(|text| text.parse::<TxId>().ok());
    ids.map(|id| id.as_bytes().to_vec()).collect()
}

/// The transfers of a run.
pub(super) async fn transfers(
    session: &mut Session<'_>,
    ground: &mut Ground,
    rows: &mut RowSource<'_>,
    groups: Option<&[String]>,
    inputs: &Inputs,
) -> Result<(), EngineError> {
    let contract = contract(ground);
    let treasuries = treasuries(ground).await?;
    let assets = asset_states(ground).await?;
    let is_whole = assets.iter().all(|asset| !asset.state.partial);
    let at = ground.at.clone();
    let of = (Entity::Transfers, Holder::Moves(treasuries.clone()));
    let extra = inputs.transfers.clone();
    let mut walk = walk(ground, rows, of, (groups, extra), session.keeps()).await?;
    while let Some(mut page) = walk.page().await? {
        // Of what rows name and the treasury's events do not, the chain is asked.
        let named: Vec<_> = page
            .groups
            .iter()
            .filter(|group| group.held.is_empty() && !group.holder.is_empty())
            .map(|group| group.holder.clone())
            .collect();
        let mut claims = Claims::new();
        if !named.is_empty() {
            let (connection, ids) = (walk.snapshot.connection(), bytes(&named));
            let mut moved = BTreeMap::<String, Vec<Held>>::new();
            for row in moves::moves(connection, &ids, &treasuries, &at).await? {
                let held = held(row);
                moved.entry(held.holder.clone()).or_default().push(held);
            }
            let rows = states::claimed(walk.snapshot.connection(), &ids, &at).await?;
            claims = rows.into_iter().filter_map(claim).collect();
            for group in &mut page.groups {
                group
                    .held
                    .extend(moved.remove(&group.holder).unwrap_or_default());
            }
        }
        let mut all = Vec::with_capacity(page.groups.len());
        for group in page.groups {
            let judged = transfer(&session.judge, &contract, group, (&claims, is_whole))?;
            session.judge.note(&judged);
            all.push(judged);
        }
        let name = Entity::Transfers.name();
        session.take(name, &all, page.marks).await?;
    }
    Ok(())
}

fn transfer(
    judge: &Judge,
    contract: &str,
    group: Group,
    (claims, is_whole): (&Claims, bool),
) -> Result<Judged, EngineError> {
    let held: Vec<&Held> = group.held.iter().collect();
    let chain: Vec<Move> = held
        .iter()
        .map(|held| super::people::read(held))
        .collect::<Result<_, _>>()?;
    let rows = group.rows.into_iter();
    let platform: Vec<_> = rows.filter_map(PlatformTransfer::read).collect();
    let txid: Option<TxId> = group.holder.parse().ok();
    let is_found = txid.is_some();
    let subject = match platform.first() {
        Some(row) if !is_found => Subject::new(ALONE, row.key.clone()),
        _ => Subject::new(KIND, format!("{contract}/{}", group.holder)),
    };
    let case = TransferCase {
        anchor: &judge.anchor,
        txid: txid.as_ref(),
        chain: &chain,
        platform: &platform,
        assets: &judge.assets,
        claim: txid.as_ref().and_then(|txid| claims.get(txid)),
        is_whole,
    };
    let verdicts = transfer_rules()
        .into_iter()
        .map(|rule| verdict(judge, &held, rule.info(), || rule.judge(&case)))
        .collect();
    let marks = platform.iter().map(|row| mark(ALONE, &row.key, &row.row));
    Ok(Judged {
        entity: Entity::Transfers.name(),
        subject,
        chain_hash: Group::chain_hash(&held),
        is_found,
        rows: marks.collect(),
        cut: group.cut,
        money: None,
        verdicts,
    })
}
