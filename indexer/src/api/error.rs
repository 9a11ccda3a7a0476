//! Answers that are not data: a closed set of codes, sent as problem+json (RFC 9457).

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::view::BlockName;
use crate::store::StoreError;
use crate::store::read::ReadError;

/// Why a request got no data. The set is closed: a client may match on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be understood.
    BadRequest,
    /// A parameter is unknown, repeated, or has no such form; the answer names it.
    InvalidParameter,
    /// The cursor was not made by this route with these filters.
    BadCursor,
    /// The route wants a key or a token, or the one that was sent is not valid.
    Unauthorized,
    /// The role of the key or the token is too low.
    Forbidden,
    /// No such path, or no such row.
    NotFound,
    /// The path is there; the method is not.
    MethodNotAllowed,
    /// The block that the cursor or `at_block` stands on is no longer canonical. The answer names the
    /// last common block: what lies at or below it still holds, what lies above must be read again.
    ForkChanged,
    /// The stream's position is not known any more: the mirror was made anew, or rows below it were repaired. What
    /// was told before does not hold; forget it and begin without a position.
    PositionGone,
    /// The request's body is too large.
    TooLarge,
    /// The path with its query is too long.
    UriTooLong,
    /// The headers are too large.
    HeadersTooLarge,
    /// Too many requests from this address or with this key; the answer says when to try again.
    RateLimited,
    /// The mirror has not begun, or its schema is not current.
    NotReady,
    /// The database cannot be reached, the request took too long, or too many are under way.
    Unavailable,
    /// A fault of the service. The request id finds it in the logs.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::InvalidParameter,
        Self::BadCursor,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::ForkChanged,
        Self::PositionGone,
        Self::TooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::RateLimited,
        Self::NotReady,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::InvalidParameter => "invalid_parameter",
            Self::BadCursor => "bad_cursor",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::ForkChanged => "fork_changed",
            Self::PositionGone => "position_gone",
            Self::TooLarge => "too_large",
            Self::UriTooLong => "uri_too_long",
            Self::HeadersTooLarge => "headers_too_large",
            Self::RateLimited => "rate_limited",
            Self::NotReady => "not_ready",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::InvalidParameter | Self::BadCursor => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ForkChanged => StatusCode::CONFLICT,
            Self::PositionGone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::NotReady | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request cannot be understood",
            Self::InvalidParameter => "A parameter is not valid",
            Self::BadCursor => "The cursor does not belong to this request",
            Self::Unauthorized => "Who asks is not known",
            Self::Forbidden => "The role is too low",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::ForkChanged => "The chain has switched to another fork",
            Self::PositionGone => "The position is not known any more",
            Self::TooLarge => "The request is too large",
            Self::UriTooLong => "The path with its query is too long",
            Self::HeadersTooLarge => "The headers are too large",
            Self::RateLimited => "Too many requests",
            Self::NotReady => "The mirror is not ready",
            Self::Unavailable => "The service is unavailable for now",
            Self::Internal => "The service failed",
        }
    }

    /// The code for a status that some layer answered without a problem of its own.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthorized,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::URI_TOO_LONG => Self::UriTooLong,
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Self::HeadersTooLarge,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

/// Written by hand, so that the document explains each code.
impl utoipa::PartialSchema for ErrorCode {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        let meanings: Vec<_> = Self::ALL
            .iter()
            .map(|code| {
                format!(
                    "`{}` ({}): {}.",
                    code.as_str(),
                    code.status().as_u16(),
                    code.title()
                )
            })
            .collect();
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .description(Some(format!(
                "Why a request got no data. The set is closed: a client may match on it. {}",
                meanings.join(" ")
            )))
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .into()
    }
}

impl ToSchema for ErrorCode {}

/// An answer that is not data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// The code.
    pub code: ErrorCode,
    /// What happened to this request.
    pub detail: String,
    /// The parameter at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What was given for it, cut at 80 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<String>,
    /// The form that is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// With `fork_changed`: the last block that both forks share. Absent when they part below the
    /// lowest mirrored block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_ancestor: Option<BlockName>,
}

/// A request that failed. The cause goes to the log, never to the client.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", problem.code.as_str(), problem.detail)]
pub struct ApiError {
    problem: Box<Problem>,
    source: Option<Arc<ReadError>>,
}

impl ApiError {
    /// A problem with this code.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: format!("/docs#{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status().as_u16(),
            code,
            detail: detail.into(),
            parameter: None,
            given: None,
            expected: None,
            common_ancestor: None,
        };
        Self {
            problem: Box::new(problem),
            source: None,
        }
    }

    /// A parameter that is not valid.
    pub fn parameter(name: &str, given: &str, expected: impl Into<String>) -> Self {
        let expected = expected.into();
        let mut error = Self::new(
            ErrorCode::InvalidParameter,
            format!("parameter `{}` must be {expected}", cut(name)),
        );
        error.problem.parameter = Some(cut(name));
        error.problem.given = Some(cut(given));
        error.problem.expected = Some(expected);
        error
    }

    /// No such row.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// A block that a client stands on has left the canonical chain.
    pub fn fork_changed(left: &str, common_ancestor: Option<BlockName>) -> Self {
        let mut error = Self::new(
            ErrorCode::ForkChanged,
            format!("block {left} is not canonical any more; start again from the common ancestor"),
        );
        error.problem.common_ancestor = common_ancestor;
        error
    }

    /// What the client gets to see.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

/// Client text for an answer: short, whatever was sent.
fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        let (code, detail) = match &error {
            ReadError::NotInitialised => (ErrorCode::NotReady, "no mirror has been begun yet"),
            ReadError::Database { source, .. } => classify(source),
        };
        Self {
            source: Some(Arc::new(error)),
            ..Self::new(code, detail)
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ReadError::from(error).into()
    }
}

/// Which database errors pass by themselves, and which are faults.
fn classify(error: &sqlx::Error) -> (ErrorCode, &'static str) {
    const UNREACHABLE: (ErrorCode, &str) = (
        ErrorCode::Unavailable,
        "the database cannot be reached; try again",
    );
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => UNREACHABLE,
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // query_canceled: the statement's time limit.
            Some("57014") => (
                ErrorCode::Unavailable,
                "the request took too long; narrow it by contract or by height",
            ),
            // undefined_table, undefined_column, invalid_catalog_name.
            Some("42P01" | "42703" | "3D000") => (ErrorCode::NotReady, "the schema is not current"),
            // A standby gave way to recovery; connections, resources or an administrator's shutdown.
            Some("40001") => UNREACHABLE,
            Some(code)
                if ["08", "53", "57"]
                    .iter()
                    .any(|class| code.starts_with(class)) =>
            {
                UNREACHABLE
            }
            _ => (
                ErrorCode::Internal,
                "the request failed; the request id finds it in the logs",
            ),
        },
        _ => (
            ErrorCode::Internal,
            "the request failed; the request id finds it in the logs",
        ),
    }
}

/// Marks a response as a problem already, and carries its cause to the log.
#[derive(Debug, Clone)]
pub(super) struct Cause(pub(super) Option<Arc<ReadError>>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let code = self.problem.code;
        let mut response = (code.status(), axum::Json(&*self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if code == ErrorCode::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if code.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response.extensions_mut().insert(Cause(self.source));
        response
    }
}

/// Why a handler ended before it had data: the client has it already, or there was a problem.
#[derive(Debug)]
pub enum Early {
    /// The client's copy is current.
    NotModified {
        /// The tag of that copy.
        etag: HeaderValue,
    },
    /// No data.
    Problem(ApiError),
}

impl From<ApiError> for Early {
    fn from(error: ApiError) -> Self {
        Self::Problem(error)
    }
}

impl From<ReadError> for Early {
    fn from(error: ReadError) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Early {
    fn into_response(self) -> Response {
        match self {
            Self::NotModified { etag } => {
                (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response()
            }
            Self::Problem(error) => error.into_response(),
        }
    }
}

/// The problems that any route may answer with, for the documentation.
#[derive(utoipa::IntoResponses)]
#[allow(
    dead_code,
    reason = "describes answers; problems are made as `ApiError`"
)]
pub enum Problems {
    /// `bad_request`, `invalid_parameter` or `bad_cursor`.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// `unauthorized`: the key or the token is not valid, or there is none where one is wanted.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// `rate_limited`: try again after the time in `retry-after`.
    #[response(status = 429, content_type = "application/problem+json")]
    RateLimited(Problem),
    /// `unavailable` or `not_ready`: try again after the time in `retry-after`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
    /// `internal`.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(Problem),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sent_by_their_own_names() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    /// A closed set is of use only where it is written down.
    #[test]
    fn the_documented_codes_are_those_that_are_sent() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api-errors.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented: std::collections::BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .map(|line| {
                let cells: Vec<_> = line.split('|').map(str::trim).collect();
                assert!(cells[2].len() > 10, "no meaning: {line}");
                (cells[0].trim_end_matches('`'), cells[1].parse().unwrap())
            })
            .collect();
        let sent = ErrorCode::ALL.map(|code| (code.as_str(), code.status().as_u16()));
        assert_eq!(documented, sent.into());
        assert_eq!(documented.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn a_database_error_never_reaches_the_client() {
        let source = sqlx::Error::Protocol("secret of the database".into());
        let error = ApiError::from(ReadError::Database {
            what: "events",
            source,
        });
        assert_eq!(error.problem().code, ErrorCode::Internal);
        assert!(
            !serde_json::to_string(error.problem())
                .unwrap()
                .contains("secret")
        );
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        for source in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed] {
            let error = ApiError::from(ReadError::Database {
                what: "events",
                source,
            });
            assert_eq!(error.problem().code, ErrorCode::Unavailable);
        }
        let error = ApiError::from(ReadError::NotInitialised);
        assert_eq!(error.problem().code, ErrorCode::NotReady);
    }

    #[test]
    fn given_text_is_cut() {
        let error = ApiError::parameter("limit", &"9".repeat(500), "a number");
        assert_eq!(error.problem().given.as_ref().unwrap().len(), 80);
    }
}
