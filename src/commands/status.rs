//! `stxworx status`.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use stxworx_indexer::api;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::store::{self, Access, Pool, doctor};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::status_screen::{line, screen};
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::{Database, ProcessLive, api_state};
use crate::post::OutputFormat;

/// Options of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Look again and again until Ctrl-C: in place on a terminal, a line for each look elsewhere.
    #[arg(long)]
    pub watch: bool,
    /// Pause between two looks; for instance 2s.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::duration, default_value = "2s", requires = "watch")]
    pub every: Duration,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Shortest pause between two looks: the database has other work.
const SHORTEST: Duration = Duration::from_millis(200);

/// Prints where the mirror stands: what `/v1/status` answers, read from the database.
///
/// # Errors
/// When the database cannot be reached or holds no mirror.
pub async fn status(
    config: &Config,
    args: &StatusArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = show(config, database.url(), args, &cancel).await;
    database.close().await;
    result.map(|()| Outcome::Done)
}

/// The mirror answered something else than its status.
#[derive(Debug, thiserror::Error)]
#[error("the mirror has no status to show: {0}")]
struct NoStatus(String);

async fn show(
    config: &Config,
    url: &str,
    args: &StatusArgs,
    cancel: &CancellationToken,
) -> Result<(), CommandError> {
    let pool = store::pool(url, Access::Read, 2).map_err(CommandError::other)?;
    let in_place = args.watch && std::io::stdout().is_terminal();
    loop {
        let looked = Seen::look(config, &pool).await;
        match looked {
            Ok(seen) => seen.print(args, in_place),
            // A database that is away comes again; whoever watches is told meanwhile.
            Err(error) if args.watch => {
                let error = stxworx_indexer::error_chain(&error).to_string();
                crate::cli::say!("{error}");
            }
            Err(error) => {
                pool.close().await;
                return Err(error);
            }
        }
        if !args.watch {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(args.every.max(SHORTEST)) => {}
            () = cancel.cancelled() => break,
        }
    }
    pool.close().await;
    Ok(())
}

/// What a look saw.
struct Seen {
    status: Value,
    completeness: Option<Value>,
    work: Option<doctor::Work>,
}

impl Seen {
    async fn look(config: &Config, pool: &Pool) -> Result<Self, CommandError> {
        let mut config = config.clone();
        config.finality_burn_blocks = finality(&config, pool).await;
        let live = Arc::new(ProcessLive::new(Arc::new(
            Metrics::new().map_err(CommandError::other)?,
        )));
        live.look(pool).await;
        let router = api::router(api_state(&config, pool.clone(), live));
        let mut status = get(router.clone(), "/v1/status")
            .await?
            .map_err(|detail| CommandError::other(NoStatus(detail)))?;
        // The daemon is another process; what this one knows of itself means nothing.
        if let Some(data) = status.get_mut("data").and_then(Value::as_object_mut) {
            data.remove("process");
        }
        // The screen has less without these two, and the status is what was asked for.
        let completeness = get(router, "/v1/completeness").await?.ok();
        let work = doctor::work(pool).await.ok();
        Ok(Self {
            status,
            completeness,
            work,
        })
    }

    fn print(&self, args: &StatusArgs, in_place: bool) {
        let all = (&self.status, self.completeness.as_ref(), self.work.as_ref());
        match args.output {
            OutputFormat::Json if args.watch => crate::cli::say!("{}", self.status),
            OutputFormat::Json => crate::cli::say!("{:#}", self.status),
            OutputFormat::Text if in_place => {
                // Home, each line cleared behind its text, and what is left of the last screen.
                let text = screen(all.0, all.1, all.2).replace('\n', "\x1b[K\n");
                crate::cli::say_text(&format!("\x1b[H{text}\x1b[J"));
            }
            OutputFormat::Text if args.watch => crate::cli::say!("{}", line(all.0)),
            OutputFormat::Text => crate::cli::say_text(&screen(all.0, all.1, all.2)),
        }
    }
}

/// What `/v1/completeness` answers.
///
/// # Errors
/// When the mirror cannot be read.
pub(super) async fn completeness(config: &Config, pool: &Pool) -> Result<Value, CommandError> {
    let live = Arc::new(ProcessLive::new(Arc::new(
        Metrics::new().map_err(CommandError::other)?,
    )));
    let router = api::router(api_state(config, pool.clone(), live));
    let answer = get(router, "/v1/completeness").await?;
    answer.map_err(|detail| CommandError::other(NoStatus(detail)))
}

/// From which depth on a block is final: as the process that writes the mirror counts, else as configured here.
pub async fn finality(config: &Config, pool: &Pool) -> u32 {
    let known = super::finality::in_force(config, pool).await;
    known.unwrap_or(config.finality_burn_blocks)
}

/// The answer of a route; what it says where it refuses.
async fn get(router: axum::Router, path: &str) -> Result<Result<Value, String>, CommandError> {
    let request = axum::http::Request::get(path)
        .body(axum::body::Body::empty())
        .map_err(CommandError::other)?;
    let response = router.oneshot(request).await.map_err(CommandError::other)?;
    let ok = response.status().is_success();
    let body = axum::body::to_bytes(response.into_body(), 16 << 20)
        .await
        .map_err(CommandError::other)?;
    let value: Value = serde_json::from_slice(&body).map_err(CommandError::other)?;
    if ok {
        return Ok(Ok(value));
    }
    let detail = value.get("detail").and_then(Value::as_str);
    Ok(Err(detail.unwrap_or("no detail").to_owned()))
}
