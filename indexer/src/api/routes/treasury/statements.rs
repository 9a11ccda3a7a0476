//! Closed periods and statements.

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::ledger::period;
use super::{BooksAnswer, BooksAt, BooksPage, open, problem};
use crate::api::error::{ApiError, Early, ErrorCode, Problem, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::routes::market::word;
use crate::api::state::ApiState;
use crate::store::ledger::periods::{self, Period};
use crate::store::ledger::statement::Statement;

/// How the period that is not closed is called.
const OPEN: &str = "open";

/// A statement.
#[derive(Debug, Serialize, ToSchema)]
struct StatementView {
    /// The closed period with its seal; null for the open one, of which what follows may change.
    closed: Option<Period>,
    /// Balances, what moved, and fees by project. That of a closed period is what was sealed.
    statement: Statement,
}

/// Closed periods, the newest first. `/v1/treasury/statements/open` has the one that is not closed.
#[utoipa::path(
    get, path = "/v1/treasury/statements", tag = "marketplace", operation_id = "treasury_statements",
    params(PageParams),
    responses(
        (status = 200, description = "A page of closed periods", body = BooksPage<Period>),
        (status = 304, description = "The client's copy is current"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn list(
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[params::PAGE])?;
    let page = params.page()?;
    let (mut reader, head) = open(&state, &params).await?;
    // Seals never change, so that a number is place enough.
    let below = reader.walk_unbound(page.cursor.as_deref(), i32::MAX)?;
    let (data, more) = periods::page(reader.connection(), below, page.limit)
        .await
        .map_err(problem)?;
    let last = data.last().filter(|_| more);
    let next_cursor = last.map(|last| reader.cursor_unbound(last.period));
    let books = BooksAt::from(&head);
    Ok(reader.respond(|as_of| BooksPage {
        as_of,
        books,
        data,
        next_cursor,
    }))
}

/// A statement: what each holder had at the beginning, what moved, the fees by project, and what he has at the end; as
/// JSON, or as a page to print.
#[utoipa::path(
    get, path = "/v1/treasury/statements/{period}", tag = "marketplace", operation_id = "treasury_statement",
    params(
        ("period" = String, Path, description = "Number of a closed period, or `open`"),
        ("format" = Option<String>, Query, description = "`json`, or `html`: one page with a chart that needs nothing else"),
    ),
    responses(
        (status = 200, description = "The statement", content(
            (BooksAnswer<StatementView> = "application/json"), (String = "text/html"),
        )),
        (status = 304, description = "The client's copy is current"),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Problems,
    )
)]
pub(in crate::api::routes) async fn one(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["format"]])?;
    let format = word(&params, "format", &["json", "html"])?.unwrap_or("json");
    let number = match name.as_str() {
        OPEN => None,
        given => Some(period("period", given)?),
    };
    let (mut reader, head) = open(&state, &params).await?;
    let connection = reader.connection();
    let view = match number {
        None => {
            let statement = Statement::open(connection).await.map_err(problem)?;
            let statement =
                statement.ok_or_else(|| ApiError::not_found("nothing is booked yet"))?;
            StatementView {
                closed: None,
                statement,
            }
        }
        Some(number) => {
            let found = periods::one(connection, number).await.map_err(problem)?;
            let (closed, text) =
                found.ok_or_else(|| ApiError::not_found("no period of this number is closed"))?;
            let statement = serde_json::from_str(&text).map_err(|_| {
                let detail =
                    "the sealed statement cannot be read; `stxworx ledger verify` says more";
                ApiError::new(ErrorCode::Internal, detail)
            })?;
            StatementView {
                closed: Some(closed),
                statement,
            }
        }
    };
    if format == "html" {
        let page = state
            .statement_page
            .ok_or_else(|| ApiError::new(ErrorCode::Unavailable, "this process makes no pages"))?;
        let seal = view
            .closed
            .as_ref()
            .map(|c| c.seal.trim_start_matches("0x"));
        let html = page(&view.statement, seal);
        let policy = policy(&html);
        return Ok(reader.html(html, policy));
    }
    let books = BooksAt::from(&head);
    Ok(reader.respond(|as_of| BooksAnswer {
        as_of,
        books,
        data: view,
    }))
}

/// Allows exactly the page's own style, and nothing else.
fn policy(html: &str) -> Option<HeaderValue> {
    let style = html
        .split_once("<style>")
        .and_then(|(_, rest)| rest.split_once("</style>"))
        .map_or("", |(style, _)| style);
    let hash = STANDARD.encode(Sha256::digest(style));
    HeaderValue::from_str(&format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ))
    .ok()
}
