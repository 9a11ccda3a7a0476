//! The part of the Stacks Blockchain API 9.x that followers without a node use.
//!
//! True to the original in what a follower trips over: canonical rows only, reorgs that nobody announces, 404
//! for orphaned hashes, tags that name the tip, logs that are newest first and say nothing of their block,
//! cursors that are inclusive and must exist, `next` that is newer in version 2 and older in version 3, and
//! 400 for a limit above the largest.
//!
//! Two places are not certain. Whether the original has a row for block 0 was not seen; here it has. And the
//! cursor of a page of logs that was asked for without one is given here; a follower should not need it.

mod index;
mod pages;
mod render;
mod rows;
mod ws;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::SharedChain;
use index::Index;

/// Largest pages, by what they list.
const MAX_BLOCKS: usize = 30;
const MAX_BURN_BLOCKS: usize = 30;
const MAX_TRANSACTIONS: usize = 50;
const MAX_EVENTS: usize = 100;
/// The usual page.
const DEFAULT_LIMIT: usize = 20;

/// An API over a chain, as far as its tables go.
#[derive(Clone)]
pub struct Api {
    chain: SharedChain,
    index: Arc<Mutex<Index>>,
}

/// How often the tables follow the chain when nobody asks: blocks below those whose state is kept lose their
/// contents, and the tables must have them before.
const REFRESH: std::time::Duration = std::time::Duration::from_secs(1);

impl Api {
    /// An API with empty tables; the first question fills them.
    pub fn new(chain: SharedChain) -> Self {
        Self {
            chain,
            index: Arc::default(),
        }
    }

    /// Every route.
    pub fn router(self) -> Router {
        Router::new()
            .route("/extended", get(rows::status))
            .route("/extended/v2/blocks", get(pages::blocks))
            .route("/extended/v2/blocks/{id}", get(rows::block))
            .route("/extended/v2/burn-blocks", get(pages::burn_blocks))
            .route("/extended/v2/burn-blocks/{id}", get(rows::burn_block))
            .route("/extended/v2/smart-contracts/{id}/logs", get(pages::logs))
            .route("/extended/v3/transactions/{txid}", get(rows::transaction))
            .route(
                "/extended/v3/transactions/{txid}/events",
                get(pages::events),
            )
            .route(
                "/extended/v3/principals/{principal}/transactions",
                get(pages::principal_transactions),
            )
            .route(
                "/extended/v3/blocks/{id}/transactions",
                get(pages::block_transactions),
            )
            .route("/extended/v1/ws", get(ws::connect))
            .with_state(self)
    }

    /// Keeps the tables up to date until cancelled.
    pub async fn refresh(self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(REFRESH) => {}
                () = cancel.cancelled() => return,
            }
            let api = self.clone();
            // Its panic would be that of the next question, which reports it.
            let _ = tokio::task::spawn_blocking(move || api.read(|_| ())).await;
        }
    }

    fn read<R>(&self, work: impl FnOnce(&Index) -> R) -> R {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        index.update(&self.chain.lock());
        work(&index)
    }

    /// Answers from the tables, or with 304 where the asker has the answer.
    async fn answer(
        self,
        headers: HeaderMap,
        work: impl FnOnce(&Index) -> Result<Answer, Refused> + Send + 'static,
    ) -> Response {
        let done = tokio::task::spawn_blocking(move || self.read(work)).await;
        match done {
            Ok(Ok(answer)) => answer.into_response_for(&headers),
            Ok(Err(refused)) => refused.into_response(),
            Err(panic) => {
                Refused(StatusCode::INTERNAL_SERVER_ERROR, panic.to_string()).into_response()
            }
        }
    }
}

/// An answer and the tag that names it.
struct Answer {
    tag: String,
    body: Json,
}

impl Answer {
    fn into_response_for(self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let known = headers
            .get(header::IF_NONE_MATCH)
            .is_some_and(|v| v.as_bytes() == tag.as_bytes());
        let caching = [
            (header::ETAG, tag),
            (header::CACHE_CONTROL, "must-revalidate".to_owned()),
        ];
        if known {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, axum::Json(self.body)).into_response()
    }
}

/// A refusal, in the API's way.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({ "error": self.1 }))).into_response()
    }
}

fn missing(text: &str) -> Refused {
    Refused(StatusCode::NOT_FOUND, text.to_owned())
}

fn bad(text: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, text.into())
}

/// The tag of whatever changes with the tip.
fn tip_tag(index: &Index) -> String {
    index
        .tip()
        .map_or_else(String::new, |b| render::hex0x(&b.header.id))
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).ok()?.try_into().ok()
}
