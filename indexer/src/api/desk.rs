//! What operators may decide about breaks. Who carries it out is not known here: the reconciler stands above the API.

use std::future::Future;
use std::pin::Pin;

use serde::Deserialize;
use sqlx::PgPool;
use utoipa::ToSchema;

use crate::model::access::Caller;
use crate::store::reconcile::breaks::StoredBreak;

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// Looks at it.
    Acknowledge,
    /// Lives with it for a time; it opens again after that, or when its amount changes.
    Accept {
        /// Why.
        #[schema(min_length = 1)]
        note: String,
        /// For how long, seconds.
        #[schema(minimum = 1, maximum = 315_360_000)]
        for_seconds: u64,
    },
    /// Says that it is over. The rule opens it again if it is not.
    Resolve {
        /// What was done.
        #[schema(min_length = 1)]
        note: String,
        /// It was done on the chain, not on the platform.
        #[serde(default)]
        onchain: bool,
    },
    /// Says that the rule is wrong; a later version of it may open it again.
    FalsePositive {
        /// Why.
        #[schema(min_length = 1)]
        note: String,
    },
    /// Takes an acceptance or a resolution back.
    Reopen,
}

/// Longest acceptance: ten years.
pub const LONGEST_S: u64 = 315_360_000;

impl Decision {
    /// As the log of administrative actions names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Acknowledge => "break.acknowledge",
            Self::Accept { .. } => "break.accept",
            Self::Resolve { .. } => "break.resolve",
            Self::FalsePositive { .. } => "break.false_positive",
            Self::Reopen => "break.reopen",
        }
    }
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum Undecided {
    /// No break begins so.
    #[error("no such break")]
    Unknown,
    /// Several do.
    #[error("several breaks begin like this")]
    Ambiguous,
    /// It makes no sense there.
    #[error("{0}")]
    Refused(String),
    /// The database.
    #[error("{0}")]
    Failed(String),
}

/// What becomes of a decision: the break afterwards.
pub type Deciding<'a> = Pin<Box<dyn Future<Output = Result<StoredBreak, Undecided>> + Send + 'a>>;

/// Carries decisions out, and notes them in the log of administrative actions, both or none.
pub trait BreakDesk: Send + Sync {
    /// Decides about the break whose identity begins so.
    fn decide<'a>(
        &'a self,
        pool: &'a PgPool,
        caller: &'a Caller,
        id: &'a str,
        decision: &'a Decision,
    ) -> Deciding<'a>;
}
