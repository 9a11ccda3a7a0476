//! Why a run ends without a result.

use stxworx_indexer::store::StoreError;
use stxworx_indexer::store::read::ReadError;
use stxworx_indexer::store::reconcile::mirror::MirrorError;

use crate::evidence::NotCanonical;
use crate::platform::postgres::PlatformError;

/// Why a run failed. Nothing of it was stored but the fact.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another run is at work.
    #[error("another process reconciles at this moment; wait for it, or look at its run")]
    Busy,
    /// The mirror's database.
    #[error("the mirror's database failed")]
    Store(#[from] StoreError),
    /// The mirror's database.
    #[error("the mirror cannot be read")]
    Read(#[from] ReadError),
    /// The platform's database.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// No blocks.
    #[error("the mirror is empty: there is nothing to compare with")]
    Empty,
    /// No contract.
    #[error("{wanted} is not mirrored; these are: {known}. Set platform.contract to one of them")]
    NoContract {
        /// What was configured.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// Several contracts.
    #[error(
        "several contracts could be meant by the platform's numbers: {known}. Set platform.contract to one of them"
    )]
    Ambiguous {
        /// What there is.
        known: String,
    },
    /// No such block.
    #[error("block {0} is not in the mirror")]
    NoBlock(String),
    /// No such run, or none that can be repeated.
    #[error("run {run} cannot be repeated: {why}")]
    NotRepeatable {
        /// Which.
        run: i64,
        /// Why.
        why: String,
    },
    /// Too many differences to hold at once.
    #[error(
        "run {run} has more than {limit} differences; a comparison of two such runs does not fit in memory"
    )]
    TooMany {
        /// Which.
        run: i64,
        /// The limit.
        limit: usize,
    },
    /// A rule's facts.
    #[error("rule {rule} made evidence without a canonical form: an error of this program")]
    Evidence {
        /// Which.
        rule: String,
        /// What.
        source: NotCanonical,
    },
    /// What is stored is not what this program wrote.
    #[error("{what} is stored in a form that cannot be read: {detail}")]
    Stored {
        /// What.
        what: String,
        /// Why.
        detail: String,
    },
}

impl From<MirrorError> for EngineError {
    fn from(error: MirrorError) -> Self {
        match error {
            MirrorError::Read(error) => Self::Read(error),
            MirrorError::Store(error) => Self::Store(error),
        }
    }
}

impl EngineError {
    pub(super) fn stored(what: &str) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.to_owned();
        move |error| Self::Stored {
            what,
            detail: error.to_string(),
        }
    }
}
