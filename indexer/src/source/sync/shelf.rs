//! What the mirror and its inbox are to those who fill them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::model::handover::Facts;
use crate::model::{BurnBlockHash, IndexBlockHash};
use crate::source::pull::{BURN_BLOCKS, Fetched};
use crate::store::inbox::{self, Provenance, Stored};
use crate::store::sync::gaps::{self, Gap};
use crate::store::sync::jobs::{self, Job};
use crate::store::sync::{self as store, Span, Standing};
use crate::store::{StoreError, read};

/// What is there, and a place to put what is not.
pub trait Shelf: Send + Sync {
    /// The ends of the canonical chain; none while the mirror is empty.
    fn span(&self) -> impl Future<Output = Result<Option<Span>, StoreError>> + Send;

    /// How each of these blocks stands, in their order.
    fn standing(
        &self,
        ids: &[IndexBlockHash],
    ) -> impl Future<Output = Result<Vec<Standing>, StoreError>> + Send;

    /// The canonical block of a height.
    fn canonical_at(
        &self,
        height: u32,
    ) -> impl Future<Output = Result<Option<IndexBlockHash>, StoreError>> + Send;

    /// The Bitcoin height of the tenure of a mirrored block's highest canonical ancestor, itself included.
    fn trunk_burn_height(
        &self,
        id: IndexBlockHash,
    ) -> impl Future<Output = Result<Option<u32>, StoreError>> + Send;

    /// Is this Bitcoin block mirrored?
    fn knows_burn_block(
        &self,
        hash: &BurnBlockHash,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Stores a block's payload; true when these bytes were not there.
    fn put_block(
        &self,
        from: Provenance,
        block: &Fetched,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Stores a Bitcoin block's payload; true when these bytes were not there.
    fn put_burn_block(
        &self,
        from: Provenance,
        body: &[u8],
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Tells the pipeline that there is something to do.
    fn wake(&self);

    /// Blocks for which blocks above a height wait.
    fn gaps(
        &self,
        grace: Duration,
        above: u32,
    ) -> impl Future<Output = Result<Vec<Gap>, StoreError>> + Send;

    /// Is the pipeline behind by more than this?
    fn is_behind(&self, grace: Duration) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Writes down how far a gap has come.
    fn note_gap(
        &self,
        was: &IndexBlockHash,
        gap: &Gap,
        pause: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Forgets gaps that are none any more.
    fn close_filled(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Backfills that are not done.
    fn jobs(&self) -> impl Future<Output = Result<Vec<Job>, StoreError>> + Send;

    /// Is a backfill under way?
    fn is_backfilling(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Writes down how far a backfill has come.
    fn note_job(&self, job: &Job) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the state of the hand-over follows from.
    fn facts(&self) -> impl Future<Output = Result<Facts, StoreError>> + Send;
}

/// The database.
#[derive(Debug, Clone)]
pub struct PgShelf {
    /// Writes the inbox and the journal.
    pub pool: PgPool,
    /// Wakes the pipeline of this process, if there is one.
    pub wake: Arc<Notify>,
}

impl Shelf for PgShelf {
    async fn span(&self) -> Result<Option<Span>, StoreError> {
        store::span(&self.pool).await
    }

    async fn standing(&self, ids: &[IndexBlockHash]) -> Result<Vec<Standing>, StoreError> {
        store::standing(&self.pool, ids).await
    }

    async fn canonical_at(&self, height: u32) -> Result<Option<IndexBlockHash>, StoreError> {
        store::canonical_at(&self.pool, height).await
    }

    async fn trunk_burn_height(&self, id: IndexBlockHash) -> Result<Option<u32>, StoreError> {
        store::trunk_burn_height(&self.pool, id).await
    }

    async fn knows_burn_block(&self, hash: &BurnBlockHash) -> Result<bool, StoreError> {
        store::knows_burn_block(&self.pool, hash).await
    }

    async fn put_block(&self, from: Provenance, block: &Fetched) -> Result<bool, StoreError> {
        store::put_block(&self.pool, from, block.block, block.parent, &block.body).await
    }

    async fn put_burn_block(&self, from: Provenance, body: &[u8]) -> Result<bool, StoreError> {
        let stored = inbox::put(&self.pool, BURN_BLOCKS, from, body).await?;
        Ok(matches!(stored, Stored::New(_)))
    }

    fn wake(&self) {
        self.wake.notify_one();
    }

    async fn gaps(&self, grace: Duration, above: u32) -> Result<Vec<Gap>, StoreError> {
        gaps::gaps(&self.pool, grace, Some(above)).await
    }

    async fn is_behind(&self, grace: Duration) -> Result<bool, StoreError> {
        gaps::is_behind(&self.pool, grace).await
    }

    async fn note_gap(
        &self,
        was: &IndexBlockHash,
        gap: &Gap,
        pause: Duration,
    ) -> Result<(), StoreError> {
        gaps::note(&self.pool, was, gap, pause).await
    }

    async fn close_filled(&self) -> Result<(), StoreError> {
        gaps::close_filled(&self.pool).await.map(|_| ())
    }

    async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        jobs::unfinished(&self.pool).await
    }

    async fn is_backfilling(&self) -> Result<bool, StoreError> {
        jobs::is_running(&self.pool).await
    }

    async fn note_job(&self, job: &Job) -> Result<(), StoreError> {
        jobs::note(&self.pool, job).await
    }

    async fn facts(&self) -> Result<Facts, StoreError> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(StoreError::db("connect"))?;
        read::sync::facts(&mut connection).await
    }
}
