//! Removes what no rerun needs any more.

use stxworx_indexer::store::Pool;
use stxworx_indexer::store::reconcile::prune as store;

use super::error::EngineError;

/// What is removed by one statement, and statements of a pass.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Rows, or runs.
    pub batch: u32,
    /// Of each kind.
    pub batches: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            batch: 2_000,
            batches: 10,
        }
    }
}

/// What a pass removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows of the platform as old runs saw them.
    pub rows: u64,
    /// Runs that cannot be carried out again any more; they stay while something names them.
    pub emptied: u64,
    /// Runs.
    pub runs: u64,
    /// The pass came to its bounds: there is more to remove.
    pub more: bool,
}

/// Removes what is older than so many days and needed by no rerun within them, nor by a break that is not over. A pass is
/// bounded; what is left is the next one's.
///
/// # Errors
/// When the database fails. What was removed until then stays removed.
pub async fn prune(pool: &Pool, days: u32, bounds: Bounds) -> Result<Pruned, EngineError> {
    let mut pruned = Pruned::default();
    let Some(oldest) = store::oldest_kept(pool, days).await? else {
        return Ok(pruned);
    };
    let limit = i64::from(bounds.batch);
    let full = u64::from(bounds.batch);
    for part in [Part::Rows, Part::Emptied, Part::Runs] {
        let mut is_done = false;
        for _ in 0..bounds.batches {
            let (sum, count) = match part {
                Part::Rows => (&mut pruned.rows, store::rows(pool, oldest, limit).await?),
                Part::Emptied => (
                    &mut pruned.emptied,
                    store::empty(pool, oldest, limit).await?,
                ),
                Part::Runs => (&mut pruned.runs, store::runs(pool, oldest, limit).await?),
            };
            *sum += count;
            is_done = count < full;
            if is_done {
                break;
            }
        }
        pruned.more |= !is_done;
    }
    Ok(pruned)
}

#[derive(Clone, Copy)]
enum Part {
    Rows,
    Emptied,
    Runs,
}
