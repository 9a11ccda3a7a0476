//! A transaction: where it stands, its events, and what they changed.

use super::lineage::changes;
use super::{Audit, BlockView, EventView, ExplainError, Touched, TransactionView};
use crate::model::TxId;
use crate::store::read::explain::{self as read, Standing};
use crate::store::read::{Snapshot, completeness};

pub(super) async fn explain(
    snapshot: &mut Snapshot,
    txid: TxId,
    finality_burn_blocks: u32,
) -> Result<Vec<TransactionView>, ExplainError> {
    let Some(tip) = &snapshot.tip else {
        return Err(ExplainError::Empty);
    };
    let (tip, burn_tip) = (tip.id.to_string(), tip.burn_height);
    let standings = read::standings(snapshot.connection(), txid.as_bytes()).await?;
    if standings.is_empty() {
        return Err(ExplainError::Nothing {
            subject: format!("transaction {txid}"),
            block: tip,
            hint: "; it may not touch what is followed, or not be mined",
        });
    }
    let mut views = Vec::new();
    for standing in standings {
        let rows = read::origins(snapshot.connection(), &[standing.block_id]).await?;
        let Some(row) = rows.into_iter().next() else {
            continue;
        };
        let block = BlockView::new(row, burn_tip, finality_burn_blocks);
        views.push(view(snapshot, txid, standing, block).await?);
    }
    Ok(views)
}

async fn view(
    snapshot: &mut Snapshot,
    txid: TxId,
    standing: Standing,
    block: BlockView,
) -> Result<TransactionView, ExplainError> {
    let place = (standing.block_id, standing.tx_index);
    let events = read::causes(snapshot.connection(), &[place]).await?;
    let mut touched = Vec::new();
    for made in read::made_by(snapshot.connection(), place.0, place.1).await? {
        let before = read::versions(
            snapshot.connection(),
            &standing.block.0,
            (&made.projection, &made.entity),
            (standing.height, made.position),
            1,
        )
        .await?;
        touched.push(Touched {
            fields: changes(before.first().map(|v| &v.state), &made.state),
            projection: made.projection,
            entity: made.entity,
        });
    }
    let mut contracts: Vec<String> = events.iter().filter_map(|e| e.contract.clone()).collect();
    contracts.sort_unstable();
    contracts.dedup();
    let proofs = completeness::proofs(snapshot.connection(), &contracts).await?;
    let audits = proofs
        .iter()
        .map(|proof| Audit::new(proof.contract.clone(), Some(proof)));
    Ok(TransactionView {
        txid: txid.to_string(),
        block,
        tx_index: standing.tx_index,
        kind: standing.kind,
        status: standing.status,
        sender: standing.sender,
        contract: standing.contract,
        function: standing.function,
        events: events.iter().map(EventView::new).collect(),
        touched,
        audits: audits.collect(),
    })
}
