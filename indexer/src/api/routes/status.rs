//! What this mirror is, where it stands, and what it waits for.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::reorgs::ReorgView;
use super::sync::SyncView;
use crate::api::error::{Early, Problems};
use crate::api::params::Params;
use crate::api::reader::Reader;
use crate::api::state::{ApiState, Blocked, Live};
use crate::api::view::{Answer, hex, raw_json};
use crate::store::read::status::{MirrorRow, WaitingRow};
use crate::store::read::{reorg, status};

/// The mirror and its daemon. The tip, Bitcoin's height, finality, digest and generation are in `as_of`.
#[derive(Debug, Serialize, ToSchema)]
struct StatusView {
    /// Version of the software.
    version: &'static str,
    /// The network, for instance `mainnet`.
    network: String,
    /// What is followed.
    #[schema(value_type = Object)]
    follow: Box<RawValue>,
    /// Index block hash of the lowest mirrored block.
    origin: Option<String>,
    /// When this mirror was begun, RFC 3339.
    created_at: String,
    /// Bitcoin blocks that make a block final.
    finality_burn_blocks: u32,
    /// What waits to be processed.
    inbox: InboxView,
    /// The first payloads that could not be decoded.
    quarantined: Vec<QuarantinedView>,
    /// The first blocks whose parent is missing.
    detached: Vec<DetachedView>,
    /// How the mirror is being filled, and by whom.
    sync: SyncView,
    /// The mempool as the node told it.
    mempool: MempoolView,
    /// The latest change of the canonical chain; `as_of.generation` counts them.
    last_reorg: Option<ReorgView>,
    /// The projections and the versions of their rules.
    projections: BTreeMap<String, u32>,
    /// The process that answered.
    process: ProcessView,
}

/// Payloads by what became of them.
#[derive(Debug, Serialize, ToSchema)]
struct InboxView {
    /// Received, not yet processed: the backlog.
    received: u64,
    /// Blocks whose parent is missing.
    detached: u64,
    /// Could not be decoded; kept for a later version that can.
    quarantined: u64,
    /// Seconds since the oldest unprocessed payload arrived.
    oldest_received_seconds: Option<u64>,
    /// Every payload up to this number has been processed.
    watermark: u64,
    /// The highest number given out.
    last: u64,
}

impl InboxView {
    fn new(mirror: &MirrorRow, waiting: &WaitingRow) -> Self {
        Self {
            received: waiting.received.0,
            detached: waiting.detached.0,
            quarantined: waiting.quarantined.0,
            oldest_received_seconds: waiting.oldest_received_seconds.map(|age| age.0),
            watermark: mirror.inbox_watermark.0,
            last: mirror.inbox_last.0,
        }
    }
}

/// A payload that could not be decoded.
#[derive(Debug, Serialize, ToSchema)]
struct QuarantinedView {
    /// Its number.
    inbox_id: u64,
    /// Where the node sent it.
    endpoint: &'static str,
    /// Why it could not be decoded.
    error: Option<String>,
    /// RFC 3339.
    received_at: String,
}

/// A block whose parent is missing.
#[derive(Debug, Serialize, ToSchema)]
struct DetachedView {
    /// Number of its payload.
    inbox_id: u64,
    /// The block.
    index_block_hash: Option<String>,
    /// The parent it waits for.
    missing_parent: Option<String>,
}

/// Mempool sightings; at most 100000 are counted.
#[derive(Debug, Serialize, ToSchema)]
struct MempoolView {
    /// Seen and not dropped.
    seen: u64,
    /// Dropped by the node.
    dropped: u64,
}

/// What the process knows about itself.
#[derive(Debug, Serialize, ToSchema)]
struct ProcessView {
    /// Payloads received since it began.
    received: u64,
    /// Seconds since the last payload; null before the first.
    seconds_since_last_payload: Option<u64>,
    /// The stage that stands still; null while all move.
    stall: Option<StallView>,
    /// Violations of invariants since it began, by invariant.
    invariant_violations: BTreeMap<String, u64>,
}

/// A stage that stands still.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StallView {
    /// The stage.
    stage: String,
    /// For how long.
    seconds: u64,
}

impl From<Blocked> for StallView {
    fn from(blocked: Blocked) -> Self {
        Self {
            stage: blocked.stage,
            seconds: blocked.seconds,
        }
    }
}

/// Seconds since the last payload of this process.
pub(super) fn silence(live: &Live) -> Option<u64> {
    // A clock that was set back reads as no silence at all.
    live.last_received_at
        .map(|at| at.elapsed().unwrap_or_default().as_secs())
}

/// The node's path for a code of the inbox.
fn endpoint(code: i16) -> &'static str {
    match code {
        1 => "new_block",
        2 => "new_burn_block",
        3 => "new_mempool_tx",
        4 => "drop_mempool_tx",
        5 => "new_microblocks",
        6 => "attachments/new",
        7 => "stackerdb_chunks",
        8 => "proposal_response",
        9 => "mined_block",
        10 => "mined_microblock",
        11 => "mined_nakamoto_block",
        _ => "unknown",
    }
}

/// The mirror, its position, and what it waits for.
#[utoipa::path(
    get, path = "/v1/status", tag = "mirror", operation_id = "status",
    responses((status = 200, description = "The status", body = Answer<StatusView>), Problems)
)]
pub(super) async fn status(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[])?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let network = reader.snapshot().network.clone();
    let connection = reader.connection();
    let mirror = status::mirror(connection).await?;
    let waiting = status::waiting(connection).await?;
    let quarantined = status::quarantined(connection).await?;
    let detached = status::detached(connection).await?;
    let sync = SyncView::read(connection).await?;
    let mempool = status::mempool(connection).await?;
    let last_reorg = reorg::page(connection, i64::MAX, 1)
        .await?
        .rows
        .pop()
        .map(Into::into);
    let projections = status::projections(connection).await?;
    let live = state.live.live();
    Ok(reader.answer(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        network,
        origin: hex(mirror.origin.as_ref()),
        inbox: InboxView::new(&mirror, &waiting),
        created_at: mirror.created_at,
        follow: raw_json(mirror.follow)?,
        finality_burn_blocks: state.finality_burn_blocks,
        quarantined: quarantined
            .into_iter()
            .map(|row| QuarantinedView {
                inbox_id: row.inbox_id.0,
                endpoint: endpoint(row.endpoint),
                error: row.error,
                received_at: row.received_at,
            })
            .collect(),
        detached: detached
            .into_iter()
            .map(|row| DetachedView {
                inbox_id: row.inbox_id.0,
                index_block_hash: hex(row.id.as_ref()),
                missing_parent: hex(row.parent.as_ref()),
            })
            .collect(),
        sync,
        mempool: MempoolView {
            seen: mempool.seen.0,
            dropped: mempool.dropped.0,
        },
        last_reorg,
        projections: projections
            .into_iter()
            .map(|row| (row.name, row.version.0))
            .collect(),
        process: ProcessView {
            received: live.received,
            seconds_since_last_payload: silence(&live),
            stall: live.blocked.map(Into::into),
            invariant_violations: live.invariant_violations,
        },
    }))
}
