//! Messages about mints, as those who are told read them. A message never changes, and stands on no block: no snapshot of
//! the mirror is needed.

use sqlx::PgPool;

use super::ReadError;

/// A message.
#[derive(Debug, Clone)]
pub struct MessageRow {
    /// Its place, from 1.
    pub seq: i64,
    /// Eight hexadecimal digits, by chance.
    pub tag: String,
    /// Its kind.
    pub kind: String,
    /// The badges' contract; none where it is about all.
    pub contract: Option<String>,
    /// Who earned the badge; none for a pause.
    pub recipient: Option<String>,
    /// About a pause, and not about a mint.
    pub pause: bool,
    /// What is told, JSON.
    pub body: String,
    /// When it was written, Unix milliseconds.
    pub at_ms: i64,
}

macro_rules! message_query {
    ($fetch:ident, $pool:expr, $tail:literal $(, $args:expr)*) => {
        sqlx::query_as!(
            MessageRow,
            r#"
            select seq, tag, kind, contract, recipient, intent_id is null as "pause!", body::text as "body!",
                   (extract(epoch from at) * 1000)::bigint as "at_ms!"
            from mint_message "# + $tail,
            $($args),*
        )
        .$fetch($pool)
        .await
        .map_err(ReadError::reading("messages about mints"))
    };
}

/// The messages from a place on, itself included, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn from(pool: &PgPool, seq: i64, limit: i64) -> Result<Vec<MessageRow>, ReadError> {
    message_query!(
        fetch_all,
        pool,
        "where seq >= $1 order by seq limit $2",
        seq,
        limit
    )
}

/// One message.
///
/// # Errors
/// When the database cannot be read.
pub async fn one(pool: &PgPool, seq: i64) -> Result<Option<MessageRow>, ReadError> {
    message_query!(fetch_optional, pool, "where seq = $1", seq)
}

/// The newest message.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest(pool: &PgPool) -> Result<Option<MessageRow>, ReadError> {
    message_query!(fetch_optional, pool, "order by seq desc limit 1")
}
