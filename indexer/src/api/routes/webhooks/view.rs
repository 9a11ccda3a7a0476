//! How webhooks and their deliveries are shown, and what is asked of them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::{ApiError, ErrorCode};
use crate::api::state::ApiState;
use crate::api::stream::bookmark::{Bookmark, MintPlace};
use crate::api::stream::filter::Filter;
use crate::api::stream::mints;
use crate::api::stream::position::Position;
use crate::api::stream::source::depth_of;
use crate::store::webhook::delivery::DeliveryRow;
use crate::store::webhook::{WebhookRow, Wish};
use crate::webhook::{event_id, guard};

/// Attempts unless something else is asked for: some two hours with the default pauses.
const ATTEMPTS: i32 = 20;
const MAX_ATTEMPTS: i32 = 1_000;

/// A webhook. Its secrets are shown when they are made, and never again.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its number.
    id: i64,
    /// Whom it calls.
    url: String,
    /// What is told.
    filter: Filter,
    /// `seen`, `burn_n` or `final`: how deep a block must lie before it is told.
    min_finality: String,
    /// `skip`: a delivery that is given up becomes a dead letter, and the next one follows. `pause`: it becomes a
    /// dead letter, and the webhook stops until it is set to `active`.
    on_failure: String,
    /// Attempts before a delivery is given up.
    max_attempts: i32,
    /// `active`, `paused` or `disabled`.
    state: String,
    /// Why the service paused it.
    reason: Option<String>,
    /// The stream's position up to which everything is told, or given up.
    position: String,
    /// How often the mirror was made anew under it.
    resets: i32,
    /// Secrets that sign now: two while one is being replaced.
    secrets: i64,
    /// Who made it.
    owner: String,
    /// RFC 3339.
    created_at: String,
    /// RFC 3339.
    changed_at: String,
}

impl From<WebhookRow> for WebhookView {
    fn from(row: WebhookRow) -> Self {
        Self {
            id: row.id,
            url: row.url,
            filter: serde_json::from_value(row.filter).unwrap_or_default(),
            min_finality: row.min_finality,
            on_failure: row.on_failure,
            max_attempts: row.max_attempts,
            state: row.state,
            reason: row.reason,
            position: row.position,
            resets: row.resets,
            secrets: row.secrets,
            owner: row.owner,
            created_at: row.created_at,
            changed_at: row.changed_at,
        }
    }
}

/// What the log of actions keeps of a webhook: of its address only the host, because the rest may be a secret.
pub fn logged(row: &WebhookRow) -> Value {
    let host = row.url.split('/').take(3).collect::<Vec<_>>().join("/");
    serde_json::json!({
        "url": host, "filter": row.filter, "min_finality": row.min_finality, "on_failure": row.on_failure,
        "max_attempts": row.max_attempts, "state": row.state,
    })
}

/// A webhook with the secret that was just made for it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WithSecret {
    /// The webhook.
    pub webhook: WebhookView,
    /// The key of its signatures. It is not shown again.
    pub secret: String,
}

/// One thing that no block makes true.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plain<T> {
    /// The thing.
    pub data: T,
}

/// A page of things that no block makes true.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlainPage<T> {
    /// The things, in order.
    pub data: Vec<T>,
    /// Continues behind the last one, as `cursor`; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its name among the webhook's deliveries: line of the outbox and part; number of a message about a mint, and 0; 0 for
    /// a reset, -1 for a test.
    pub delivery: String,
    /// The id that the receiver gets with every attempt, in `Stxworx-Event-Id`.
    event_id: String,
    /// `frame`, `mint`, `reset` or `test`.
    kind: String,
    /// `pending`, `delivered` or `dead`.
    state: String,
    /// Is it a dead letter that is sent again?
    redriven: bool,
    /// Attempts so far.
    attempts: i32,
    /// RFC 3339.
    created_at: String,
    /// While it is pending: not before, RFC 3339.
    next_attempt_at: Option<String>,
    /// When it was delivered, or given up; RFC 3339.
    ended_at: Option<String>,
    /// HTTP status of the last answer; null when there was none.
    response_code: Option<i32>,
    /// Why the last attempt failed, cut.
    last_error: Option<String>,
}

impl DeliveryView {
    /// A delivery of a webhook that was reset so often.
    pub fn new(row: DeliveryRow, resets: i32) -> Self {
        Self {
            delivery: format!("{}.{}", row.line, row.part),
            event_id: event_id(row.webhook_id, resets, &row),
            next_attempt_at: (row.state == "pending").then_some(row.next_attempt_at),
            kind: row.kind,
            state: row.state,
            redriven: row.redriven,
            attempts: row.attempts,
            created_at: row.created_at,
            ended_at: row.ended_at,
            response_code: row.response_code,
            last_error: row.last_error,
        }
    }
}

/// A delivery's name, from a path or a cursor.
pub fn delivery_name(name: &str, text: &str) -> Result<(i64, i32), ApiError> {
    text.split_once('.')
        .and_then(|(line, part)| Some((line.parse().ok()?, part.parse().ok()?)))
        .ok_or_else(|| ApiError::parameter(name, text, "LINE.PART, as a delivery has it"))
}

/// Where a new webhook begins.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Beginning {
    /// With what comes next.
    #[default]
    Now,
    /// With the first line of the mirror.
    Start,
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Whom it calls: `https://HOST/PATH`.
    url: String,
    /// What is told; everything without it.
    #[serde(default)]
    filter: Filter,
    /// `seen` (the default), `burn_n` or `final`.
    #[serde(default)]
    min_finality: Option<String>,
    /// `skip` (the default) or `pause`.
    #[serde(default)]
    #[schema(pattern = "^(skip|pause)$")]
    on_failure: Option<String>,
    /// Attempts before a delivery is given up; 20 without it.
    #[serde(default, deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<i32>,
    /// `now` (the default): begins with what comes next. `start`: with the first line of the mirror, and the first message.
    #[serde(default)]
    from: Beginning,
}

/// A change of a webhook; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangedWebhook {
    /// Whom it calls.
    url: Option<String>,
    /// What is told from now on.
    filter: Option<Filter>,
    /// `skip` or `pause`.
    #[schema(pattern = "^(skip|pause)$")]
    on_failure: Option<String>,
    /// Attempts before a delivery is given up.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 1000)]
    max_attempts: Option<i32>,
    /// `active`, `paused` or `disabled`.
    #[schema(pattern = "^(active|paused|disabled)$")]
    state: Option<String>,
}

/// A change of secrets.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rotation {
    /// Seconds for which the old secret goes on signing beside the new one, at most 30 days; a day without it.
    #[serde(deserialize_with = "whole")]
    #[schema(maximum = 2592000)]
    pub grace_s: Option<u64>,
}

/// A whole number, also when it is written with a fraction of zero: to JSON Schema, 20.0 is an integer.
fn whole<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr,
{
    let Some(number) = Option::<serde_json::Number>::deserialize(from)? else {
        return Ok(None);
    };
    let text = number.to_string();
    let digits = text.strip_suffix(".0").unwrap_or(&text);
    let refuse = |_| serde::de::Error::custom(format_args!("{number} is no such whole number"));
    digits.parse().map(Some).map_err(refuse)
}

/// A body as JSON. An empty one is `{}` where everything has a default.
pub fn body<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| {
        // The words name fields and types, and repeat what the caller wrote.
        let error: String = error.to_string().chars().take(200).collect();
        ApiError::new(
            ErrorCode::BadRequest,
            format!("the body is not what this route takes: {error}"),
        )
    })
}

/// Checks every field of a wish.
fn checked(state: &ApiState, wish: Wish, filter: &Filter) -> Result<Wish, ApiError> {
    let refused = |error: guard::Refused| ApiError::parameter("url", "", error.to_string());
    guard::check_url(&wish.url, state.webhooks.allow_private).map_err(refused)?;
    filter.check()?;
    let final_depth = state.streams.final_depth;
    if depth_of(&wish.min_finality, final_depth).is_none() {
        let expected = format!("seen, burn_1 to burn_{final_depth}, or final");
        return Err(ApiError::parameter(
            "min_finality",
            &wish.min_finality,
            expected,
        ));
    }
    let words = [
        ("on_failure", &wish.on_failure, &["skip", "pause"][..]),
        ("state", &wish.state, &["active", "paused", "disabled"][..]),
    ];
    for (name, given, known) in words {
        if !known.contains(&given.as_str()) {
            let expected = format!("one of {}", known.join(", "));
            return Err(ApiError::parameter(name, given, expected));
        }
    }
    if !(1..=MAX_ATTEMPTS).contains(&wish.max_attempts) {
        let expected = format!("a whole number from 1 to {MAX_ATTEMPTS}");
        return Err(ApiError::parameter(
            "max_attempts",
            &wish.max_attempts.to_string(),
            expected,
        ));
    }
    Ok(wish)
}

fn as_json(filter: &Filter) -> Result<Value, ApiError> {
    serde_json::to_value(filter)
        .map_err(|_| ApiError::new(ErrorCode::Internal, "the filter cannot be written as JSON"))
}

impl NewWebhook {
    /// Where it begins.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn begins(&self, state: &ApiState, min_finality: &str) -> Result<Bookmark, ApiError> {
        let depth = depth_of(min_finality, state.streams.final_depth).unwrap_or(0);
        let (chain, message) = match self.from {
            Beginning::Start => (Position::START, MintPlace::START),
            Beginning::Now => (
                state.streams.source(depth).newest().await?.position,
                mints::newest(state.streams.pool()).await?,
            ),
        };
        let mints = self.filter.takes_mints().then_some(message);
        Ok(Bookmark { chain, mints })
    }

    /// What is to be made.
    pub fn wish(&self, state: &ApiState) -> Result<Wish, ApiError> {
        let wish = Wish {
            url: self.url.clone(),
            filter: as_json(&self.filter)?,
            min_finality: self
                .min_finality
                .clone()
                .unwrap_or_else(|| "seen".to_owned()),
            on_failure: self.on_failure.clone().unwrap_or_else(|| "skip".to_owned()),
            max_attempts: self.max_attempts.unwrap_or(ATTEMPTS),
            state: "active".to_owned(),
        };
        checked(state, wish, &self.filter)
    }
}

impl ChangedWebhook {
    /// What becomes of a webhook.
    pub fn wish(self, state: &ApiState, row: &WebhookRow) -> Result<Wish, ApiError> {
        let filter = match self.filter {
            Some(filter) => filter,
            None => serde_json::from_value(row.filter.clone()).unwrap_or_default(),
        };
        let wish = Wish {
            url: self.url.unwrap_or_else(|| row.url.clone()),
            filter: as_json(&filter)?,
            min_finality: row.min_finality.clone(),
            on_failure: self.on_failure.unwrap_or_else(|| row.on_failure.clone()),
            max_attempts: self.max_attempts.unwrap_or(row.max_attempts),
            state: self.state.unwrap_or_else(|| row.state.clone()),
        };
        checked(state, wish, &filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |text: &str| body::<Rotation>(text.as_bytes()).map(|r| r.grace_s);
        assert_eq!(read(r#"{"grace_s": 877}"#).ok(), Some(Some(877)));
        assert_eq!(read(r#"{"grace_s": 877.0}"#).ok(), Some(Some(877)));
        assert_eq!(read(r#"{"grace_s": null}"#).ok(), Some(None));
        assert_eq!(read("{}").ok(), Some(None));
        for wrong in ["877.5", "-1", "1e400", "\"877\""] {
            assert!(
                read(&format!("{{\"grace_s\": {wrong}}}")).is_err(),
                "{wrong}"
            );
        }
    }
}
