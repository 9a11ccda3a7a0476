//! What administrators did.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::access::{Operator, Refusals};
use crate::api::error::{Early, Problems};
use crate::api::params::{self, PageParams, Params};
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Page;
use crate::store::admin::{self, ActionFilter, ActionRow};

/// An administrative action. It was committed together with the change that it describes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditView {
    /// Its number. Numbers rise; some are skipped.
    id: u64,
    /// When, RFC 3339.
    at: String,
    /// The name of the key, the subject of the token, or the account that ran the command.
    actor: String,
    /// How the actor was known: `key`, `token` or `cli`.
    kind: String,
    /// What the actor was allowed: `reader`, `operator` or `admin`.
    role: String,
    /// What was done, for instance `key.create`.
    action: String,
    /// To what.
    target: String,
    /// The target before; null where it was not there. Holds no secret.
    #[schema(value_type = Option<Object>)]
    before: Option<serde_json::Value>,
    /// The target after; null where it is gone. Holds no secret.
    #[schema(value_type = Option<Object>)]
    after: Option<serde_json::Value>,
}

impl From<ActionRow> for AuditView {
    fn from(row: ActionRow) -> Self {
        Self {
            id: row.id.0,
            at: row.at,
            actor: row.actor,
            kind: row.kind,
            role: row.role,
            action: row.action,
            target: row.target,
            before: row.before,
            after: row.after,
        }
    }
}

/// Administrative actions, newest first. This list only grows, so its cursors outlive any fork.
#[utoipa::path(
    get, path = "/v1/audit-log", tag = "administration", operation_id = "auditLog",
    params(
        ("actor" = Option<String>, Query, description = "What this key, token or account did"),
        ("action" = Option<String>, Query, description = "Actions of this name, for instance `key.create`"),
        ("target" = Option<String>, Query, description = "What was done to this"),
        PageParams,
    ),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "A page of actions", body = Page<AuditView>),
        Refusals,
        Problems,
    )
)]
pub(super) async fn list(
    _caller: Operator,
    State(state): State<ApiState>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["actor", "action", "target"], params::PAGE])?;
    let page = params.page()?;
    let text = |name: &str| Ok::<_, Early>(params.text(name)?.map(str::to_owned));
    let mut filter = ActionFilter {
        actor: text("actor")?,
        action: text("action")?,
        target: text("target")?,
        below: i64::MAX,
        limit: page.limit,
    };
    // An action moves no tip, so there is no tag that would tell whether the client's copy is current.
    let mut reader = Reader::open_untagged(&state, &params).await?;
    filter.below = reader.walk_unbound(page.cursor.as_deref(), i64::MAX)?;
    let found = admin::page(reader.connection(), &filter).await?;
    let last = found.rows.last().filter(|_| found.more).map(|row| row.id.0);
    let next = last
        .and_then(|n| i64::try_from(n).ok())
        .map(|n| reader.cursor_unbound(n));
    let data: Vec<AuditView> = found.rows.into_iter().map(Into::into).collect();
    Ok(reader.page(data, next))
}
