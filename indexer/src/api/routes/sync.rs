//! How the mirror is being filled: part of the status.

use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::api::error::Early;
use crate::api::view::hex;
use crate::model::handover::HandOver;
use crate::store::read::{ReadError, sync};

/// How the mirror is being filled, and by whom.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SyncView {
    /// `idle`, `backfilling`, `overlapping`, `following`, `gap` or `repairing`.
    state: &'static str,
    /// The next height of a backfill that is under way.
    backfilling_at: Option<u32>,
    /// Blocks within the mirror's range that others wait for.
    gaps: u32,
    /// Those of them that every source failed to bring; they are tried again later.
    gaps_given_up: u32,
    /// The first gaps for which sources were asked.
    repairs: Vec<RepairView>,
    /// Backfills that are not over.
    backfills: Vec<BackfillView>,
    /// Payloads that tell other facts of a block than the one that is mirrored.
    disagreements: u64,
    /// The newest of them.
    last_disagreements: Vec<DisagreementView>,
    /// Who writes; null before anybody did.
    lease: Option<LeaseView>,
}

/// A gap for which sources were asked.
#[derive(Debug, Serialize, ToSchema)]
struct RepairView {
    /// The block that is missing.
    missing: Option<String>,
    /// The lowest block above it.
    waiting: Option<String>,
    /// Its height.
    waiting_height: Option<u32>,
    /// `open` or `given_up`.
    state: String,
    /// Attempts at this block.
    attempts: u32,
    /// Blocks fetched for the gap so far.
    fetched: u32,
    /// For how long, in seconds.
    seconds: u64,
    /// Why the last attempt failed.
    error: Option<String>,
}

/// A backfill that is not over.
#[derive(Debug, Serialize, ToSchema)]
struct BackfillView {
    /// Its number.
    id: u64,
    /// Who is asked: `node`, `api` or `archive`.
    source: String,
    /// First height.
    from: u32,
    /// Last height; null for the tip.
    to: Option<u32>,
    /// The next height.
    next: u32,
    /// `running`, `stopped` or `overlapping`.
    state: String,
    /// RFC 3339.
    started_at: String,
    /// Why it stopped.
    error: Option<String>,
}

/// Two sources that tell different facts of one block. The first one stays.
#[derive(Debug, Serialize, ToSchema)]
struct DisagreementView {
    /// The block.
    index_block_hash: Option<String>,
    /// Its height.
    height: u32,
    /// The payload that is mirrored, and who delivered it.
    applied: TellingView,
    /// The payload that says otherwise, and who delivered it.
    other: TellingView,
    /// What differs, the mirrored value first.
    differences: String,
}

/// A payload and who delivered it.
#[derive(Debug, Serialize, ToSchema)]
struct TellingView {
    /// Number of the payload.
    inbox_id: u64,
    /// `observer`, `node`, `api` or `archive`.
    source: &'static str,
}

/// The process that writes the mirror.
#[derive(Debug, Serialize, ToSchema)]
struct LeaseView {
    /// Host, process and number.
    holder: String,
    /// Its epoch: rises with each that takes over.
    epoch: u64,
    /// RFC 3339.
    taken_at: String,
    /// Milliseconds since it was renewed.
    renewed_ms_ago: u64,
    /// False when it has run out or was released: then nobody writes.
    held: bool,
}

fn source(code: i16) -> &'static str {
    crate::store::inbox::Source::from_code(code).map_or("unknown", |s| s.as_str())
}

impl SyncView {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, Early> {
        let facts = sync::facts(connection).await.map_err(ReadError::from)?;
        let repairs = sync::repairs(connection).await?;
        let jobs = sync::jobs(connection).await?;
        let (disagreements, newest) = sync::disagreements(connection).await?;
        let lease = sync::lease(connection).await?;
        Ok(Self {
            state: HandOver::of(&facts).as_str(),
            backfilling_at: facts.backfilling_at,
            gaps: facts.gaps,
            gaps_given_up: facts.given_up,
            repairs: repairs.into_iter().map(repair).collect(),
            backfills: jobs.into_iter().map(backfill).collect(),
            disagreements,
            last_disagreements: newest.into_iter().map(disagreement).collect(),
            lease: lease.map(|row| LeaseView {
                holder: row.holder,
                epoch: row.epoch.0,
                taken_at: row.taken_at,
                renewed_ms_ago: row.renewed_ms_ago.0,
                held: row.is_held,
            }),
        })
    }
}

fn repair(row: sync::RepairRow) -> RepairView {
    RepairView {
        missing: hex(Some(&row.missing)),
        waiting: hex(Some(&row.waiting)),
        waiting_height: row.waiting_height.map(|h| h.0),
        state: row.state,
        attempts: row.attempts.0,
        fetched: row.fetched.0,
        seconds: row.seconds.0,
        error: row.last_error,
    }
}

fn backfill(row: sync::JobRow) -> BackfillView {
    BackfillView {
        id: row.id.0,
        source: row.source,
        from: row.from_height.0,
        to: row.to_height.map(|h| h.0),
        next: row.next_height.0,
        state: row.state,
        started_at: row.started_at,
        error: row.error,
    }
}

fn disagreement(row: sync::DisagreementRow) -> DisagreementView {
    DisagreementView {
        index_block_hash: hex(Some(&row.index_block_hash)),
        height: row.height.0,
        applied: TellingView {
            inbox_id: row.applied_inbox_id.0,
            source: source(row.applied_source),
        },
        other: TellingView {
            inbox_id: row.other_inbox_id.0,
            source: source(row.other_source),
        },
        differences: row.differences,
    }
}
