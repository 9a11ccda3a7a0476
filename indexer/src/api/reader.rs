//! One request's reading: the snapshot, the block on which the answer stands, its tag, and its cursors.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sqlx::PgConnection;

use super::cursor::{Cursor, Key, Scope};
use super::error::{ApiError, Early, ErrorCode};
use super::params::{BlockId, Params};
use super::standing::{Place, Standing};
use super::state::ApiState;
use super::view::{Answer, AsOf, ClarityView, Page};
use crate::model::ids::IndexBlockHash;
use crate::store::read::{BlockAt, Snapshot};

/// A snapshot, and what an answer from it has to say.
pub struct Reader {
    state: ApiState,
    snapshot: Snapshot,
    as_of: Option<AsOf>,
    finality_height: Option<u32>,
    burn_now: u32,
    scope: Scope,
    etag: Option<HeaderValue>,
}

impl Reader {
    /// Opens the snapshot. Ends early when the client holds the answer already.
    pub async fn open(state: &ApiState, params: &Params) -> Result<Self, Early> {
        let mut reader = Self::open_untagged(state, params).await?;
        reader.tag(params, "")?;
        Ok(reader)
    }

    /// Opens the snapshot without looking at what the client holds, for answers that may change while
    /// the tip does not.
    pub async fn open_untagged(state: &ApiState, params: &Params) -> Result<Self, Early> {
        let mut snapshot = Snapshot::open(&state.pool).await?;
        let finality_height = state.finality_height(&mut snapshot).await?;
        let as_of = snapshot.tip.as_ref().map(|tip| AsOf {
            index_block_hash: tip.id.to_string(),
            height: tip.height,
            time: tip.time,
            finality: finality_at(
                tip.burn_height,
                tip.burn_block_height,
                state.finality_burn_blocks,
            ),
            burn_height: tip.burn_height,
            finality_height,
            digest: tip.digest.to_string(),
            generation: snapshot.generation,
        });
        Ok(Self {
            state: state.clone(),
            burn_now: snapshot.tip.as_ref().map_or(0, |tip| tip.burn_height),
            snapshot,
            as_of,
            finality_height,
            scope: params.scope(),
            etag: None,
        })
    }

    /// Gives the answer its tag. The tip and the generation alone would miss a new Bitcoin block, which
    /// moves finality, and a re-index, which changes rows under the same tip: the Bitcoin height and the
    /// digest cover these. `more` covers what the route adds to that.
    pub fn tag(&mut self, params: &Params, more: &str) -> Result<(), Early> {
        let Some(tip) = &self.snapshot.tip else {
            return Ok(());
        };
        let digest = tip.digest.to_string();
        let digest = digest.get(2..18).unwrap_or(&digest);
        let generation = self.snapshot.generation;
        let text = format!(
            "\"{}-{generation}-{}-{digest}{more}\"",
            tip.id, tip.burn_height
        );
        let holds = params.holds(&text);
        let etag = HeaderValue::from_str(&text)
            .map_err(|_| ApiError::new(ErrorCode::Internal, "the tag is not a header value"))?;
        if holds {
            return Err(Early::NotModified { etag });
        }
        self.etag = Some(etag);
        Ok(())
    }

    /// The connection, for reads in the snapshot.
    pub fn connection(&mut self) -> &mut PgConnection {
        self.snapshot.connection()
    }

    /// The snapshot.
    pub fn snapshot(&mut self) -> &mut Snapshot {
        &mut self.snapshot
    }

    /// The highest height that the answer may speak of; -1 while the mirror is empty.
    pub fn bound(&self) -> i32 {
        self.as_of
            .as_ref()
            .map_or(-1, |as_of| i32::try_from(as_of.height).unwrap_or(i32::MAX))
    }

    /// Height of the canonical tip; -1 while the mirror is empty.
    pub fn tip_height(&self) -> i32 {
        let tip = self.snapshot.tip.as_ref();
        tip.map_or(-1, |tip| i32::try_from(tip.height).unwrap_or(i32::MAX))
    }

    /// Lets the answer stand on the block of `at_block` or `at_time`, if the client named one, and no higher
    /// than `min_finality` allows.
    pub async fn stand_at(&mut self, params: &Params) -> Result<(), Early> {
        let standing = Standing::read(params)?;
        let mut block = match standing.place {
            None => None,
            Some(Place::At(BlockId::Latest)) => None,
            Some(Place::At(BlockId::Height(height))) => {
                let found = self.snapshot.block_by_height(height).await?;
                Some(
                    found
                        .ok_or_else(|| ApiError::not_found("`at_block` names no mirrored block"))?,
                )
            }
            Some(Place::At(BlockId::Hash(id))) => {
                let found = self.snapshot.block_by_hash(id.as_bytes()).await?;
                Some(
                    found
                        .ok_or_else(|| ApiError::not_found("`at_block` names no mirrored block"))?,
                )
            }
            Some(Place::Time(seconds)) => {
                let found = self.snapshot.block_by_time(seconds).await?;
                Some(found.ok_or_else(|| {
                    ApiError::not_found("`at_time` is before the first mirrored block")
                })?)
            }
        };
        if let Some(depth) = standing.depth
            && let Some(tip) = self.snapshot.tip.clone()
        {
            let depth = depth.blocks(self.state.finality_burn_blocks);
            let border = self.deep(tip.burn_height, depth).await?;
            let border = border.ok_or_else(|| {
                ApiError::not_found("no mirrored block is as deep as `min_finality` asks")
            })?;
            let height = block.as_ref().map_or(tip.height, |b| b.height.0);
            if height > border {
                let height = i32::try_from(border).unwrap_or(i32::MAX);
                block = self.snapshot.block_by_height(height).await?;
            }
        }
        match block {
            None => Ok(()),
            Some(block) => self.stand_on(block).await,
        }
    }

    async fn deep(&mut self, burn_height: u32, depth: u32) -> Result<Option<u32>, Early> {
        if depth == self.state.finality_burn_blocks {
            return Ok(self.finality_height);
        }
        let found = self.snapshot.height_at_burn_depth(burn_height, depth);
        Ok(found.await?)
    }

    /// Height of the highest canonical block, no higher than where the answer stands, whose tenure was
    /// elected at or below a Bitcoin height; -1 when there is none.
    pub async fn height_by_burn(&mut self, burn_height: u32) -> Result<i32, Early> {
        let found = self.snapshot.height_at_burn_depth(burn_height, 0).await?;
        let height = found.and_then(|height| i32::try_from(height).ok());
        Ok(height.unwrap_or(-1).min(self.bound()))
    }

    /// Height of the canonical block at a time, no higher than where the answer stands; -1 when there is none.
    pub async fn height_by_time(&mut self, seconds: i64) -> Result<i32, Early> {
        let found = self.snapshot.block_by_time(seconds).await?;
        let height = found.and_then(|block| i32::try_from(block.height.0).ok());
        Ok(height.unwrap_or(-1).min(self.bound()))
    }

    /// What the answer is true for; none while the mirror is empty.
    pub fn as_of(&self) -> Option<&AsOf> {
        self.as_of.as_ref()
    }

    /// Bitcoin's height as a contract would see it right after the block on which the answer stands: the
    /// newest one known at the tip, the one of its tenure in the past.
    pub fn burn_now(&self) -> u32 {
        self.burn_now
    }

    /// Where a page begins: behind the cursor's row, on the state of the cursor's block; or at `start`.
    pub async fn walk<K: Key>(&mut self, cursor: Option<&str>, start: K) -> Result<K, Early> {
        let Some(text) = cursor else { return Ok(start) };
        let cursor = self.decode::<K>(text)?;
        let tip = IndexBlockHash(cursor.tip);
        let block = self
            .snapshot
            .block_by_hash(tip.as_bytes())
            .await?
            .ok_or_else(|| {
                // A replica that lags behind the one that made the cursor; or a mirror begun anew.
                let ahead = self
                    .as_of
                    .as_ref()
                    .is_none_or(|as_of| as_of.height < cursor.height);
                if ahead {
                    ApiError::new(
                        ErrorCode::NotReady,
                        "the cursor's block has not arrived here yet",
                    )
                } else {
                    ApiError::new(
                        ErrorCode::BadCursor,
                        "this mirror has never seen the cursor's block",
                    )
                }
            })?;
        self.stand_on(block).await?;
        Ok(cursor.key)
    }

    /// Where a page of something that no fork changes begins.
    pub fn walk_unbound<K: Key>(&self, cursor: Option<&str>, start: K) -> Result<K, Early> {
        cursor.map_or(Ok(start), |text| Ok(self.decode::<K>(text)?.key))
    }

    /// The cursor behind a row of something that no fork changes, which is there before the first block is.
    pub fn cursor_unbound<K: Key>(&self, key: K) -> String {
        let cursor = Cursor {
            tip: [0; 32],
            height: 0,
            key,
        };
        cursor.encode(&self.scope)
    }

    /// Where a page of the books begins: the hash of the journal on which the walk stands, and the key.
    pub fn walk_in_books<K: Key>(&self, text: &str) -> Result<([u8; 32], K), Early> {
        let cursor = self.decode::<K>(text)?;
        Ok((cursor.tip, cursor.key))
    }

    /// The cursor behind a row of the books, which stands on a journal and not on a block.
    pub fn cursor_in_books<K: Key>(&self, head: [u8; 32], key: K) -> String {
        let cursor = Cursor {
            tip: head,
            height: 0,
            key,
        };
        cursor.encode(&self.scope)
    }

    fn decode<K: Key>(&self, text: &str) -> Result<Cursor<K>, ApiError> {
        Cursor::decode(text, &self.scope).ok_or_else(|| {
            ApiError::new(
                ErrorCode::BadCursor,
                "the cursor was not made by this route with these filters and this order",
            )
        })
    }

    async fn stand_on(&mut self, block: BlockAt) -> Result<(), Early> {
        if !block.canonical {
            let ancestor = self.snapshot.canonical_ancestor(&block.id.0).await?;
            return Err(
                ApiError::fork_changed(&block.id.to_string(), ancestor.map(Into::into)).into(),
            );
        }
        let tip = self.snapshot.tip.as_ref();
        if tip.is_some_and(|tip| tip.id != block.id) {
            self.burn_now = block.burn_block_height.0;
        }
        if let Some(as_of) = &mut self.as_of {
            as_of.index_block_hash = block.id.to_string();
            as_of.height = block.height.0;
            as_of.time = block.time.0;
            as_of.finality = finality_at(
                as_of.burn_height,
                block.burn_block_height.0,
                self.state.finality_burn_blocks,
            );
            as_of.digest = block.digest.to_string();
            as_of.finality_height = self
                .finality_height
                .map(|final_| final_.min(block.height.0));
        }
        Ok(())
    }

    /// The cursor behind a row.
    pub fn cursor_behind<K: Key>(&self, key: K) -> Option<String> {
        let as_of = self.as_of.as_ref()?;
        let tip: IndexBlockHash = as_of.index_block_hash.parse().ok()?;
        Some(
            Cursor {
                tip: tip.0,
                height: as_of.height,
                key,
            }
            .encode(&self.scope),
        )
    }

    /// How settled a canonical row is: `seen`, `burn_n` with its depth in Bitcoin blocks, or `final`.
    /// None off the canonical chain.
    pub fn finality(&self, canonical: bool, burn_block_height: u32) -> Option<String> {
        if !canonical {
            return None;
        }
        let tip = self.snapshot.tip.as_ref()?.burn_height;
        Some(finality_at(
            tip,
            burn_block_height,
            self.state.finality_burn_blocks,
        ))
    }

    /// A Clarity value, with its JSON where it can be decoded.
    pub fn clarity(&self, bytes: &[u8]) -> ClarityView {
        ClarityView::new(bytes, self.state.render)
    }

    /// Answers with one thing.
    pub fn answer<T: Serialize>(self, data: T) -> Response {
        let headers = self.headers();
        (
            headers,
            Json(Answer {
                as_of: self.as_of,
                data,
            }),
        )
            .into_response()
    }

    /// Answers with a page.
    pub fn page<T: Serialize>(self, data: Vec<T>, next_cursor: Option<String>) -> Response {
        let headers = self.headers();
        (
            headers,
            Json(Page {
                as_of: self.as_of,
                data,
                next_cursor,
            }),
        )
            .into_response()
    }

    /// Answers with a body of the route's own.
    pub fn respond<T: Serialize>(self, body: impl FnOnce(Option<AsOf>) -> T) -> Response {
        let headers = self.headers();
        (headers, Json(body(self.as_of))).into_response()
    }

    /// Answers with a page for people.
    pub fn html(self, page: String, policy: Option<HeaderValue>) -> Response {
        let mut headers = self.headers();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(policy) = policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        (headers, page).into_response()
    }

    /// Answers with text of another kind than JSON.
    pub fn send(self, content_type: &'static str, body: String) -> Response {
        let mut headers = self.headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        (headers, body).into_response()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let caching = if self.etag.is_some() {
            "no-cache"
        } else {
            "no-store"
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        if let Some(etag) = &self.etag {
            headers.insert(header::ETAG, etag.clone());
        }
        headers
    }
}

/// How settled something is whose tenure was elected at a Bitcoin height.
fn finality_at(burn_height: u32, burn_block_height: u32, final_at: u32) -> String {
    let depth = burn_height.saturating_sub(burn_block_height);
    if depth >= final_at {
        "final".to_owned()
    } else if depth == 0 {
        "seen".to_owned()
    } else {
        format!("burn_{depth}")
    }
}
