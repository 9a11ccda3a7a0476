//! Whether a backfill makes sense, before it begins.

use super::SyncError;
use super::shelf::Shelf;
use crate::model::{BlockRef, FollowSet, IndexBlockHash};
use crate::source::http::FetchError;
use crate::source::pull::{Pull, Tip};
use crate::store::sync::jobs::Order;

/// Why a backfill is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The range is none.
    #[error("--from {from} lies after --to {to}: there is nothing between them")]
    Backwards {
        /// First height.
        from: u32,
        /// Last height.
        to: u32,
    },
    /// The source does not reach there.
    #[error(
        "height {height} lies beyond the end of {source_name}, which is at {tip}; take --to tip, or wait until it is there"
    )]
    Beyond {
        /// The height.
        height: u32,
        /// Who.
        source_name: String,
        /// Where it ends.
        tip: u32,
    },
    /// The source is of another chain.
    #[error(
        "{source_name} is of another network: at height {height} it has block {theirs}, and the mirror has {ours}"
    )]
    OtherNetwork {
        /// Who.
        source_name: String,
        /// Where they differ.
        height: u32,
        /// Its block.
        theirs: IndexBlockHash,
        /// Ours.
        ours: IndexBlockHash,
    },
    /// The source leaves out what the mirror needs.
    #[error(
        "{source_name} brings only what another follow set needs; what the mirror follows would be missing from it"
    )]
    OtherScope {
        /// Who.
        source_name: String,
    },
    /// It could not be found out.
    #[error("it cannot be checked whether the source fits the mirror")]
    Unknown(#[from] SyncError),
}

/// Checks an order against the source and the mirror. `landmark` is a block of the mirror to compare, none while it
/// is empty.
///
/// # Errors
/// With the reason why the backfill must not begin.
pub async fn check<P: Pull, S: Shelf>(
    source: &P,
    shelf: &S,
    order: &Order,
    follow: &FollowSet,
    landmark: Option<BlockRef>,
) -> Result<Tip, Refused> {
    let from = order.from_inclusive;
    if let Some(to) = order.to_inclusive
        && from > to
    {
        return Err(Refused::Backwards { from, to });
    }
    let source_name = source.name().to_owned();
    if source.scope().is_some_and(|scope| scope != follow.hash()) {
        return Err(Refused::OtherScope { source_name });
    }
    let tip = source.tip().await.map_err(SyncError::from)?;
    let height = order.to_inclusive.unwrap_or(from).max(from);
    if height > tip.block.height {
        let tip = tip.block.height;
        return Err(Refused::Beyond {
            height,
            source_name,
            tip,
        });
    }
    let compared = match landmark {
        Some(landmark) if landmark.height <= tip.block.height => Some(landmark),
        // It is far behind: compare where it ends.
        Some(_) => shelf
            .canonical_at(tip.block.height)
            .await
            .map_err(SyncError::from)?
            .map(|id| BlockRef {
                id,
                height: tip.block.height,
            }),
        None => Some(BlockRef {
            id: IndexBlockHash::GENESIS,
            height: 0,
        }),
    };
    if let Some(ours) = compared {
        compare(source, ours, landmark.is_none(), source_name).await?;
    }
    Ok(tip)
}

async fn compare<P: Pull>(
    source: &P,
    ours: BlockRef,
    may_be_absent: bool,
    source_name: String,
) -> Result<(), Refused> {
    let found = match source.range(ours.height, ours.height).await {
        Ok(found) => found,
        // Not every source begins with genesis.
        Err(FetchError::NotFound { .. } | FetchError::NotOffered { .. }) if may_be_absent => {
            return Ok(());
        }
        Err(error) => return Err(SyncError::from(error).into()),
    };
    match found.first() {
        Some(theirs) if theirs.block.id != ours.id => Err(Refused::OtherNetwork {
            source_name,
            height: ours.height,
            theirs: theirs.block.id,
            ours: ours.id,
        }),
        _ => Ok(()),
    }
}
