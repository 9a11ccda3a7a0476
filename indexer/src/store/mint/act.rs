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
            Self::Retry => &["held", "review", "dead", "cancelled"],
            Self::Cancel => &[
                "eligible",
                "queued",
                "submitting",
                "included",
                "held",
                "review",
                "final_failed",
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
            "update mint_intent set cancel_by = $2, failures = case when $2::text is null then 0 else failures end
             where id = $1",
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

/// Accepts that a nonce is gone, though no transaction shows it: the lane's next one, or that of an open slot of which
/// nothing is in a block. Its intent is queued again.
///
/// # Errors
/// When the database fails or a guard refuses.
pub async fn accept(
    pool: &PgPool,
    sender: &str,
    nonce: u64,
    who: &str,
    really: bool,
) -> Result<Acted, StoreError> {
    let nonce = super::nonce_of(nonce)?;
    let mut tx = crate::store::begin(pool, "begin")
        .await
        .map_err(StoreError::db("begin"))?;
    as_person(&mut tx, who).await?;
    let next = sqlx::query_scalar!(
        r#"select next_nonce = $2 as "next!" from mint_lane where sender = $1 and base_nonce is not null for update"#,
        sender,
        nonce
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("look at a lane"))?;
    let slot = sqlx::query!(
        r#"select state, intent_id, by_txid is not null as "seen!" from nonce_slot where sender = $1 and nonce = $2"#,
        sender,
        nonce
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(StoreError::db("look at a slot"))?;
    match (next, slot) {
        (Some(true), None) => {
            sqlx::query!(
                "update mint_lane set next_nonce = next_nonce + 1 where sender = $1",
                sender
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::db("accept a nonce"))?;
            sqlx::query!(
                "insert into nonce_slot (sender, nonce, epoch, state, died_of, accepted_by)
                 select sender, $2, epoch, 'dead', 'accepted', $3 from mint_lane where sender = $1",
                sender,
                nonce,
                who
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::db("accept a slot"))?;
        }
        (_, Some(slot)) if slot.state == "consumed" || slot.state == "dead" || slot.seen => {
            let seen = if slot.seen { ", and in a block" } else { "" };
            return Ok(Acted::Refused(format!("{}{seen}", slot.state)));
        }
        (_, Some(slot)) => {
            sqlx::query!(
                "update nonce_slot set state = 'dead', died_of = 'accepted', accepted_by = $3
                 where sender = $1 and nonce = $2",
                sender,
                nonce,
                who
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::db("accept the end of a slot"))?;
            if let Some(intent) = slot.intent_id {
                sqlx::query!(
                    "update mint_intent set state = 'queued', reason = 'nonce_taken',
                         note = 'its nonce was used by somebody else, as a person accepted'
                     where id = $1 and state in ('submitting', 'included')",
                    intent
                )
                .execute(&mut *tx)
                .await
                .map_err(StoreError::db("queue an intent again"))?;
            }
        }
        (_, None) => return Ok(Acted::Missing),
    }
    if really {
        tx.commit()
            .await
            .map_err(StoreError::db("commit an acceptance"))?;
    }
    Ok(Acted::Done("dead".to_owned()))
}
