//! `stxworx status`.

use std::sync::Arc;

use serde_json::Value;
use stxworx_indexer::api;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::store::{self, Access};
use tower::ServiceExt as _;

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::{Database, ProcessLive, api_state};
use crate::post::OutputFormat;

/// Prints where the mirror stands: what `/v1/status` answers, read from the database.
///
/// # Errors
/// When the database cannot be reached or holds no mirror.
pub async fn status(config: &Config, output: OutputFormat) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = read(config, database.url()).await;
    database.close().await;
    let status = result?;
    match output {
        OutputFormat::Json => crate::cli::say!("{status:#}"),
        OutputFormat::Text => crate::cli::say_text(&text(&status)),
    }
    Ok(Outcome::Done)
}

/// The mirror answered something else than its status.
#[derive(Debug, thiserror::Error)]
#[error("the mirror has no status to show: {0}")]
struct NoStatus(String);

async fn read(config: &Config, url: &str) -> Result<Value, CommandError> {
    let pool = store::pool(url, Access::Read, 2).map_err(CommandError::other)?;
    let live = Arc::new(ProcessLive::new(Arc::new(
        Metrics::new().map_err(CommandError::other)?,
    )));
    live.look(&pool).await;
    let router = api::router(api_state(config, pool.clone(), live));
    let request = axum::http::Request::get("/v1/status")
        .body(axum::body::Body::empty())
        .map_err(CommandError::other)?;
    let response = router.oneshot(request).await.map_err(CommandError::other)?;
    let ok = response.status().is_success();
    let body = axum::body::to_bytes(response.into_body(), 16 << 20)
        .await
        .map_err(CommandError::other)?;
    pool.close().await;
    let mut value: Value = serde_json::from_slice(&body).map_err(CommandError::other)?;
    if ok {
        // The daemon is another process; what this one knows of itself means nothing.
        if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
            data.remove("process");
        }
        return Ok(value);
    }
    let detail = value
        .get("detail")
        .and_then(Value::as_str)
        .unwrap_or("no detail")
        .to_owned();
    Err(CommandError::other(NoStatus(detail)))
}

/// One line a value, nested keys joined by dots; easy to read and to grep.
fn text(status: &Value) -> String {
    let mut lines = String::new();
    push("", status, &mut lines);
    lines
}

fn push(key: &str, value: &Value, lines: &mut String) {
    let join = |name: &str| {
        if key.is_empty() {
            name.to_owned()
        } else {
            format!("{key}.{name}")
        }
    };
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, inner)| push(&join(name), inner, lines)),
        Value::Array(items) if items.iter().any(|i| i.is_object()) => {
            for (i, item) in items.iter().enumerate() {
                push(&join(&i.to_string()), item, lines);
            }
        }
        Value::Null => {}
        Value::String(text) => lines.push_str(&format!("{key}: {text}\n")),
        other => lines.push_str(&format!("{key}: {other}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_become_lines() {
        let status = serde_json::json!({"a": {"b": 1, "n": null}, "c": [{"d": "x"}], "e": ["y"]});
        assert_eq!(text(&status), "a.b: 1\nc.0.d: x\ne: [\"y\"]\n");
    }
}
