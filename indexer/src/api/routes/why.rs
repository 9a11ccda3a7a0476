//! Why a project's money is where it is: what the chain, the platform and the reconciler said of it, in one list.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use stxworx_clarity::events::logic::LogicEvent;
use stxworx_clarity::events::{self, Event};
use utoipa::ToSchema;

use super::breaks::{BreakView, history};
use super::market::{ContractParams, contract_of, deployment, number};
use crate::api::access::{Operator, Refusals};
use crate::api::error::{ApiError, Early, Problem, Problems};
use crate::api::params::Params;
use crate::api::reader::Reader;
use crate::api::state::ApiState;
use crate::api::view::Answer;
use crate::store::read::market::{self, TimelineFilter};
use crate::store::reconcile::breaks::{self, BreakFilter};
use crate::store::reconcile::image;

/// Events of the chain, and rows of the platform, at most.
const ENTRIES: u32 = 500;
/// Breaks at most.
const BREAKS: i64 = 50;

/// Everything that was said of a project.
#[derive(Debug, Serialize, ToSchema)]
struct WhyView {
    /// The project.
    project: String,
    /// What differs about it now.
    open: Vec<BreakView>,
    /// In the order of time.
    entries: Vec<WhyEntry>,
}

/// Something that was said of a project.
#[derive(Debug, Serialize, ToSchema)]
struct WhyEntry {
    /// When, Unix seconds: by the block's clock, or by this service's database for what runs and people did.
    at_s: i64,
    /// Who said it, and what.
    said: WhySaid,
}

/// Who said something, and what.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "from")]
enum WhySaid {
    /// The contract printed an event.
    Chain {
        /// What happened.
        topic: &'static str,
        /// Who called.
        by: String,
        /// The transaction.
        txid: String,
        /// The block's height.
        height: u32,
        /// How settled it is.
        finality: Option<String>,
        /// The event's fields.
        #[schema(value_type = Object)]
        data: Box<Event>,
    },
    /// A run saw a row of the platform that it had not seen so before.
    Platform {
        /// The platform's key.
        key: String,
        /// The row, column to text or null.
        #[schema(value_type = Object)]
        row: Value,
        /// When it did not stand so any more; null while it does.
        until_s: Option<i64>,
    },
    /// A break changed.
    Break {
        /// Which.
        id: String,
        /// Its rule.
        rule: String,
        /// What differs.
        what: String,
        /// What happened to it.
        change: String,
        /// A person, or `reconciler`.
        who: String,
    },
}

/// Why is this money stuck? Events of the chain, rows of the platform and breaks, in one list by time.
#[utoipa::path(
    get, path = "/v1/projects/{id}/why", tag = "administration", operation_id = "project_why",
    params(("id" = String, Path, description = "The project's number, decimal"), ContractParams),
    security(("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "What was said of it", body = Answer<WhyView>),
        (status = 404, description = "`not_found`", body = Problem, content_type = "application/problem+json"),
        Refusals,
        Problems,
    )
)]
pub(super) async fn why(
    _caller: Operator,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Early> {
    params.allow(&[&["contract"]])?;
    let id = number("id", &id)?;
    let contract = contract_of(&params, LogicEvent::CONTRACT)?;
    let mut reader = Reader::open_untagged(&state, &params).await?;
    let contract = deployment(&mut reader, contract, LogicEvent::CONTRACT).await?;
    let missing = || {
        ApiError::not_found(format!(
            "neither the chain nor the platform knows a project {id}"
        ))
    };
    let project = format!("{}/{id}", contract.ok_or_else(missing)?);
    let mut entries = of_chain(&mut reader, &project).await?;
    let rows = image::sightings(&state.pool, id, i64::from(ENTRIES))
        .await
        .map_err(ApiError::from)?;
    if entries.is_empty() && rows.is_empty() {
        return Err(missing().into());
    }
    entries.extend(rows.into_iter().map(|row| WhyEntry {
        at_s: row.from_s,
        said: WhySaid::Platform {
            key: row.key,
            row: row.cells,
            until_s: row.to_s,
        },
    }));
    let filter = BreakFilter {
        subject: Some(project.clone()),
        limit: BREAKS,
        ..BreakFilter::default()
    };
    let mut open = Vec::new();
    for found in breaks::list(&state.pool, &filter)
        .await
        .map_err(ApiError::from)?
    {
        // The filter finds a part of a key: project 4 is a part of project 40.
        if found.subject_key != project {
            continue;
        }
        entries.extend(
            history(&state, &found.id)
                .await?
                .into_iter()
                .map(|line| WhyEntry {
                    at_s: line.at_s,
                    said: WhySaid::Break {
                        id: found.id.clone(),
                        rule: found.rule.clone(),
                        what: found.what.clone(),
                        change: line.change,
                        who: line.who,
                    },
                }),
        );
        if found.state != "resolved" {
            open.push(found.into());
        }
    }
    entries.sort_by_key(|entry| entry.at_s);
    Ok(reader.answer(WhyView {
        project,
        open,
        entries,
    }))
}

async fn of_chain(reader: &mut Reader, project: &str) -> Result<Vec<WhyEntry>, Early> {
    let filter = TimelineFilter {
        project: project.to_owned(),
        at: reader.bound(),
        after: (-1, -1),
        limit: ENTRIES,
    };
    let found = market::timeline(reader.connection(), &filter).await?;
    let mut entries = Vec::new();
    for row in found.rows {
        // What cannot be read is `stxworx verify`'s; the rest is worth showing.
        let Ok(envelope) = events::decode(LogicEvent::CONTRACT, &row.value.0) else {
            continue;
        };
        entries.push(WhyEntry {
            at_s: row.time_s,
            said: WhySaid::Chain {
                topic: envelope.event.topic(),
                by: envelope.by.to_string(),
                txid: row.txid.to_string(),
                height: row.height.0,
                finality: reader.finality(true, row.burn_block_height.0),
                data: Box::new(envelope.event),
            },
        });
    }
    Ok(entries)
}
