//! What clients ask: path and query, read strictly. An unknown or repeated parameter is refused by name,
//! because a filter that is silently ignored answers another question.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Query};
use axum::http::Uri;
use axum::http::header::{HeaderMap, IF_NONE_MATCH};
use axum::http::request::Parts;
use utoipa::IntoParams;

use super::cursor::Scope;
use super::error::{ApiError, ErrorCode};
use crate::model::ids::{IndexBlockHash, TxId};
use crate::store::read::Order;

/// Rows on a page unless the client says otherwise.
pub const DEFAULT_LIMIT: u32 = 50;
/// Rows on a page at most.
pub const MAX_LIMIT: u32 = 200;
/// Longest text of a filter or an entity, in characters.
pub(super) const MAX_TEXT: usize = 400;

/// The query of a request, with what else decides about the answer: the path and `if-none-match`.
#[derive(Debug)]
pub struct Params {
    path: String,
    pairs: Option<Vec<(String, String)>>,
    if_none_match: Vec<String>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.uri, &parts.headers))
    }
}

/// The entity tags a client holds. Compared weakly, as RFC 9110 wants it for this header.
fn tags(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").to_owned())
        .collect()
}

/// Where a page begins, and how long it is.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// Rows on the page. A page of very large rows may end earlier; `next_cursor` tells.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    pub limit: u32,
    /// `next_cursor` of the page before, with the same path, filters and order. The walk then reads the
    /// state of its first page to the end, or is refused with `fork_changed`.
    pub cursor: Option<String>,
}

/// Heights, both ends included.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HeightParams {
    /// Lowest Stacks height.
    #[param(value_type = Option<u32>, maximum = 2147483647)]
    pub from_height: i32,
    /// Highest Stacks height.
    #[param(value_type = Option<u32>, maximum = 2147483647)]
    pub to_height: i32,
}

/// The direction of a walk.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrderParams {
    /// `desc`: newest first. `asc`: oldest first.
    #[param(value_type = Option<Direction>)]
    pub order: Order,
}

/// Newest first, or oldest first.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "names the two words in the documentation")]
pub(super) enum Direction {
    /// Oldest first.
    Asc,
    /// Newest first; the default.
    Desc,
}

/// Time travel.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the parameter; `Params::at_block` reads it"
)]
pub struct AtBlockParams {
    /// A canonical block, by height or by index block hash: the answer is what stood after that block.
    pub at_block: Option<String>,
    /// A time, RFC 3339 or unix seconds, instead of `at_block`: the canonical block with the latest clock that
    /// is not later. The clock is the block's own time; before epoch 3.0, its Bitcoin block's.
    pub at_time: Option<String>,
    /// `seen`, `burn_N` or `final`: the answer stands on the highest canonical block that is settled so far,
    /// or on the block of `at_block` or `at_time` if that is lower.
    pub min_finality: Option<String>,
}

/// A block as a client names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// The canonical tip.
    Latest,
    /// The canonical block at a height.
    Height(i32),
    /// A block of any fork.
    Hash(IndexBlockHash),
}

impl BlockId {
    /// Reads a height or an index block hash; `latest` where allowed.
    fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Latest);
        }
        // A hash of decimal digits alone is far longer than any height.
        if text.len() <= 10 && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().map(Self::Height);
        }
        text.parse().ok().map(Self::Hash)
    }

    /// From a path.
    pub fn from_path(text: &str) -> Result<Self, ApiError> {
        Self::parse(text).ok_or_else(|| {
            ApiError::parameter(
                "id",
                text,
                "a height, `latest`, or 0x and 64 hexadecimal digits",
            )
        })
    }
}

/// A transaction id from a path or a filter.
pub fn txid(name: &str, text: &str) -> Result<TxId, ApiError> {
    text.parse()
        .map_err(|_| ApiError::parameter(name, text, "0x and 64 hexadecimal digits"))
}

/// A free text from a path or a filter.
pub fn text<'a>(name: &str, value: &'a str) -> Result<&'a str, ApiError> {
    let fits = (1..=MAX_TEXT).contains(&value.chars().count());
    if !fits || value.chars().any(char::is_control) {
        let expected = format!("a text of 1 to {MAX_TEXT} characters without control characters");
        return Err(ApiError::parameter(name, value, expected));
    }
    Ok(value)
}

/// A contract id from a path or a filter.
pub fn contract<'a>(name: &str, value: &'a str) -> Result<&'a str, ApiError> {
    let form = |(address, contract): (&str, &str)| {
        let ok = |part: &str, rest: &[u8]| {
            let part = part.as_bytes();
            (1..=128).contains(&part.len())
                && part
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || rest.contains(b))
        };
        ok(address, b"") && ok(contract, b"-_")
    };
    if value.split_once('.').is_some_and(form) {
        Ok(value)
    } else {
        Err(ApiError::parameter(
            name,
            value,
            "a contract id: ADDRESS.name",
        ))
    }
}

impl Params {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            path: uri.path().to_owned(),
            pairs: Query::<Vec<(String, String)>>::try_from_uri(uri)
                .ok()
                .map(|q| q.0),
            if_none_match: tags(headers),
        }
    }

    /// Refuses a query that names anything else, or anything twice. To be called first.
    pub fn allow(&self, groups: &[&[&str]]) -> Result<(), ApiError> {
        let pairs = self.pairs.as_ref().ok_or_else(|| {
            ApiError::new(
                ErrorCode::BadRequest,
                "the query is not percent-encoded UTF-8",
            )
        })?;
        for (place, (name, value)) in pairs.iter().enumerate() {
            let allowed = || groups.iter().flat_map(|group| group.iter().copied());
            if !allowed().any(|known| known == name) {
                let names: Vec<_> = allowed().collect();
                let expected = if names.is_empty() {
                    "left out: this route has no parameters".to_owned()
                } else {
                    format!("one of {}", names.join(", "))
                };
                return Err(ApiError::parameter(name, value, expected));
            }
            if pairs[..place].iter().any(|(before, _)| before == name) {
                return Err(ApiError::parameter(name, value, "given once"));
            }
        }
        Ok(())
    }

    fn pairs(&self) -> &[(String, String)] {
        self.pairs.as_deref().unwrap_or_default()
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A free text.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        self.get(name).map(|value| text(name, value)).transpose()
    }

    /// A contract id.
    pub fn contract(&self, name: &str) -> Result<Option<&str>, ApiError> {
        self.get(name)
            .map(|value| contract(name, value))
            .transpose()
    }

    fn height(&self, name: &str, default: i32) -> Result<i32, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(default);
        };
        match text.parse::<i32>() {
            Ok(height) if height >= 0 => Ok(height),
            _ => Err(ApiError::parameter(
                name,
                text,
                "a whole number from 0 to 2147483647",
            )),
        }
    }

    /// `limit` and `cursor`.
    pub fn page(&self) -> Result<PageParams, ApiError> {
        let limit = match self.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| {
                    let expected = format!("a whole number from 1 to {MAX_LIMIT}");
                    ApiError::parameter("limit", text, expected)
                })?,
        };
        Ok(PageParams {
            limit,
            cursor: self.get("cursor").map(str::to_owned),
        })
    }

    /// `from_height` and `to_height`.
    pub fn heights(&self) -> Result<HeightParams, ApiError> {
        self.named_heights("from_height", "to_height")
    }

    /// Two heights of these names.
    pub fn named_heights(&self, from: &str, to: &str) -> Result<HeightParams, ApiError> {
        Ok(HeightParams {
            from_height: self.height(from, 0)?,
            to_height: self.height(to, i32::MAX)?,
        })
    }

    /// `order`; newest first unless asked otherwise.
    pub fn order(&self) -> Result<OrderParams, ApiError> {
        let order = match self.get("order") {
            None | Some("desc") => Order::Desc,
            Some("asc") => Order::Asc,
            Some(text) => return Err(ApiError::parameter("order", text, "`asc` or `desc`")),
        };
        Ok(OrderParams { order })
    }

    /// `at_block`.
    pub fn at_block(&self) -> Result<Option<BlockId>, ApiError> {
        let Some(text) = self.get("at_block") else {
            return Ok(None);
        };
        match BlockId::parse(text) {
            Some(BlockId::Latest) | None => Err(ApiError::parameter(
                "at_block",
                text,
                "the height or the index block hash of a canonical block",
            )),
            id => Ok(id),
        }
    }

    /// The question that this request asks, apart from which page of the answer.
    pub fn scope(&self) -> Scope {
        let filters = self
            .pairs()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !matches!(*name, "cursor" | "limit"));
        Scope::new(&self.path, filters)
    }

    /// Does the client hold the answer with this tag?
    pub fn holds(&self, etag: &str) -> bool {
        self.if_none_match
            .iter()
            .any(|tag| tag == "*" || tag == etag)
    }
}

/// The names in [`PageParams`].
pub const PAGE: &[&str] = &["limit", "cursor"];
/// The names in [`HeightParams`].
pub const HEIGHTS: &[&str] = &["from_height", "to_height"];
/// The names in [`OrderParams`].
pub const ORDER: &[&str] = &["order"];
/// The names in [`AtBlockParams`].
pub const AT_BLOCK: &[&str] = &["at_block", "at_time", "min_finality"];

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str, if_none_match: Option<&str>) -> Params {
        let mut request = axum::http::Request::builder().uri(format!("/v1/events?{query}"));
        if let Some(tag) = if_none_match {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(params) = futures::executor::block_on(Params::from_request_parts(&mut parts, &()));
        params
    }

    #[test]
    fn unknown_and_repeated_names_are_refused() {
        let problem = |query: &str| {
            let error = params(query, None).allow(&[PAGE]).unwrap_err();
            let problem = error.problem().clone();
            (
                problem.parameter.unwrap_or_default(),
                problem.given.unwrap_or_default(),
            )
        };
        assert_eq!(problem("limt=3"), ("limt".to_owned(), "3".to_owned()));
        assert_eq!(
            problem("limit=3&limit=4"),
            ("limit".to_owned(), "4".to_owned())
        );
        assert!(params("limit=3", None).allow(&[PAGE]).is_ok());
    }

    #[test]
    fn a_wrong_value_says_what_was_expected() {
        for query in ["limit=0", "limit=201", "limit=x", "limit=", "limit=-1"] {
            let error = params(query, None).page().unwrap_err();
            assert_eq!(
                error.problem().expected.as_deref(),
                Some("a whole number from 1 to 200"),
                "{query}"
            );
        }
        for query in ["from_height=-1", "from_height=2147483648", "to_height=1.5"] {
            assert!(params(query, None).heights().is_err(), "{query}");
        }
        assert!(params("order=down", None).order().is_err());
        assert!(params("at_block=latest", None).at_block().is_err());
        assert!(params("topic=a%00b", None).text("topic").is_err());
    }

    #[test]
    fn blocks_are_named_by_height_hash_or_latest() {
        let hash = "0x".to_owned() + &"11".repeat(32);
        assert_eq!(BlockId::from_path("12").unwrap(), BlockId::Height(12));
        assert_eq!(BlockId::from_path("latest").unwrap(), BlockId::Latest);
        assert_eq!(
            BlockId::from_path(&hash).unwrap(),
            BlockId::Hash(IndexBlockHash([0x11; 32]))
        );
        assert_eq!(
            BlockId::from_path(&hash[2..]).unwrap(),
            BlockId::from_path(&hash).unwrap()
        );
        for text in ["", "-1", "0x12", "9999999999", "tip"] {
            assert!(BlockId::from_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn contracts_have_an_address_and_a_name() {
        assert!(contract("contract", "SP000000000000000000002Q6VF78.pox-4").is_ok());
        for text in [
            "", "SP123", "SP123.", ".name", "SP1.a.b", "SP1.a b", "SP1.a\0",
        ] {
            assert!(contract("contract", text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_page_is_no_part_of_the_question() {
        let scope = |query: &str| params(query, None).scope();
        assert_eq!(scope("topic=a&limit=3&cursor=x"), scope("limit=9&topic=a"));
        assert_ne!(scope("topic=a&order=asc"), scope("topic=a"));
    }

    #[test]
    fn tags_are_compared_one_by_one() {
        assert!(params("", Some("\"a\", W/\"b\"")).holds("\"b\""));
        assert!(params("", Some("*")).holds("\"b\""));
        assert!(!params("", Some("\"ab\"")).holds("\"b\""));
        assert!(!params("", None).holds("\"b\""));
    }
}
