//! What operators do with intents. They hold no lease: what they change, the minter sees at its next step.

use sqlx::PgPool;

use super::{Change, as_person};
use crate::store::StoreError;

/// What came of an operator's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// Done; the state afterwards.
    Done(String),
    /// It makes no sense in this state.
    Refused(String),
    /// There is no such intent.
    Missing,
}

/// What an operator wishes of an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Mint it, though its kind is new.
    Approve,
    /// Try again: what is held, in review, dead or cancelled.
    Retry,
    /// Give it up. What is signed already may still win.
    Cancel,
}

impl Wish {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
        }
    }

    /// States in which it makes sense.
    pub fn from_states(self) -> &'static [&'static str] {
        match self {
            Self::Approve => &["eligible"],
            Self::Retry => &["held", "review", "final_failed", "dead", "cancelled"],
            Self::Cancel => &[
                "eligible",
                "queued",
                "submitting",
                "included",
                "held",
                "review",
                "final_failed",
                "dead",
            ],
        }
    }
}

/// Carries out a wish, or only says what it would come to.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn act(
    pool: &PgPool,
    intent: i64,
    wish: Wish,
    who: &str,
    note: &str,
    really: bool,
) -> Result<Acted, StoreError> {
    let mut tx = crate::store::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    as_person(&mut tx, who).await?;
    let state = sqlx::query_scalar!(
        "select state from mint_intent where id = $1 for update",
        intent
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("look at an intent"))?;
    let Some(state) = state else {
        return Ok(Acted::Missing);
    };
    if !wish.from_states().contains(&state.as_str()) {
        return Ok(Acted::Refused(state));
    }
    let has_slot = state == "submitting" || state == "included";
    let after = match wish {
        Wish::Approve | Wish::Retry => "queued",
        Wish::Cancel if has_slot => &state,
        Wish::Cancel => "cancelled",
    };
    if wish == Wish::Approve {
        sqlx::query!(
            "insert into mint_approval (intent_id, author) values ($1, $2)",
            intent,
            who
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("approve an intent"))?;
    }
    if wish == Wish::Cancel || wish == Wish::Retry {
        sqlx::query!(
            "update mint_intent set cancel_by = $2 where id = $1",
            intent,
            (wish == Wish::Cancel).then_some(who)
        )
        .execute(&mut *tx)
        .await
        .map_err(StoreError::db("note that an intent is given up"))?;
    }
    if after != state {
        let step = Change {
            intent,
            from: &state,
            to: after,
            reason: (wish == Wish::Cancel).then_some("operator"),
            note,
            failed: false,
        };
        super::intent::change(&mut tx, &step).await?;
    }
    let after = after.to_owned();
    if really {
        tx.commit()
            .await
            .map_err(StoreError::db("commit an operator's wish"))?;
    }
    Ok(Acted::Done(after))
}
