//! `stxworx up`: everything on one machine, and something to look at.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use stxworx_indexer::store::market::MarketSummary;
use stxworx_indexer::store::{self, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::summary::Summary;
#[cfg(feature = "devnet")]
use super::up_devnet::{
    beyond_forks, ended, paying, platform_beside, same_chain, start_backend, start_devnet,
    with_minter,
};
use crate::cli::{CommandError, Outcome, UpArgs};
use crate::config::Config;
use crate::daemon::{Daemon, Database, Role};
use crate::post::{ObserverUrl, Order, PostError, PostOptions, PostSummary, post};
use crate::recording::Recording;

/// Starts database, devnet, indexer and API; or feeds a recording instead of running a devnet.
///
/// # Errors
/// When a part cannot start, or fails.
pub async fn up(
    config: &Config,
    args: &UpArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    if let Some(file) = &args.post {
        // A wrong file name should be known before anything starts.
        Recording::open(file).map_err(CommandError::other)?;
    }
    #[cfg(feature = "devnet")]
    let dials = args.dials.dials().map_err(CommandError::other)?;
    #[cfg(feature = "devnet")]
    let with_devnet = args.post.is_none() && !args.no_devnet;
    #[cfg(feature = "devnet")]
    let dials = with_minter(config, args.no_mints, dials);
    #[cfg(feature = "devnet")]
    if with_devnet {
        same_chain(config, &dials)?;
    }
    #[cfg(feature = "devnet")]
    let config = &if with_devnet {
        beyond_forks(&paying(config, &dials), &dials)
    } else {
        config.clone()
    };
    let mut database = Database::open(config).await.map_err(CommandError::other)?;
    #[cfg(feature = "devnet")]
    let (beside, platform) = if with_devnet {
        match platform_beside(config, (&dials, args.devnet_bind), &database).await {
            Ok(beside) => beside,
            Err(error) => {
                database.close().await;
                return Err(error);
            }
        }
    } else {
        (config.clone(), None)
    };
    #[cfg(feature = "devnet")]
    let config = &beside;
    let roles = [Role::Indexer, Role::Api, Role::Webhooks, Role::Reconciler].into();
    #[cfg_attr(not(feature = "devnet"), allow(unused_mut))]
    let mut daemon = match Daemon::start(config, &roles, database.url(), cancel.clone()).await {
        Ok(daemon) => daemon,
        Err(error) => {
            database.close().await;
            return Err(CommandError::other(error));
        }
    };
    announce(config, &daemon);
    let feeder = args
        .post
        .as_deref()
        .map(|file| feed(file, &daemon, cancel.clone()))
        .transpose()?;
    #[cfg(feature = "devnet")]
    let backend = platform
        .map(|url| start_backend(&url, dials.seed, &daemon, cancel.clone()))
        .transpose()?;
    #[cfg(feature = "devnet")]
    let devnet = if with_devnet {
        match start_devnet(dials, args.devnet_bind, config, &mut daemon, cancel.clone()).await {
            Ok(devnet) => Some(devnet),
            Err(error) => {
                cancel.cancel();
                let _ = daemon.wait().await;
                database.close().await;
                return Err(error);
            }
        }
    } else {
        None
    };
    #[cfg(feature = "devnet")]
    let mut chain_ended = std::pin::pin!(ended(devnet.as_ref().map(|d| d.failed.clone())));
    #[cfg(not(feature = "devnet"))]
    let mut chain_ended = std::pin::pin!(std::future::pending::<CommandError>());
    let ticker = tokio::spawn(tick(daemon.reader.clone(), cancel.clone()));
    let started = Instant::now();
    let reader = daemon.reader.clone();
    let metrics = std::sync::Arc::clone(&daemon.metrics);

    let waiting = daemon.wait();
    tokio::pin!(waiting);
    let deadline = async {
        match args.run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let mut summary = None;
    let result = tokio::select! {
        result = &mut waiting => result.map_err(CommandError::other),
        error = database.died() => Err(CommandError::other(error)),
        error = &mut chain_ended => Err(error),
        () = deadline => {
            #[cfg(feature = "devnet")]
            if let Some(devnet) = &devnet {
                devnet.settle(&reader).await;
            }
            let taken = look(&reader).await;
            #[cfg(feature = "devnet")]
            let proofs = match &devnet {
                Some(devnet) => devnet.prove(&reader).await,
                None => Vec::new(),
            };
            #[cfg(not(feature = "devnet"))]
            let proofs = Vec::new();
            cancel.cancel();
            let posted = posted(feeder).await;
            let ended = waiting.await.map_err(CommandError::other);
            let taken = taken.map(|(health, market, breaks)| {
                summary = Some(Summary {
                    seconds: started.elapsed().as_secs(),
                    tip_height: health.tip_height,
                    backlog: health.received,
                    detached: health.detached,
                    quarantined: health.quarantined,
                    payloads_posted: posted,
                    invariant_violations: metrics.violations(),
                    cursor_proofs: proofs,
                    breaks,
                    market,
                });
            });
            ended.and(taken)
        }
    };
    cancel.cancel();
    ticker.abort();
    #[cfg(feature = "devnet")]
    if let Some(backend) = backend {
        // Its connections end before their server does.
        let _ = backend.await;
    }
    database.close().await;
    result?;
    let Some(summary) = summary else {
        return Ok(Outcome::Done);
    };
    summary.print(args.output)?;
    Ok(if summary.is_sound() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn look(
    pool: &sqlx::PgPool,
) -> Result<(Health, MarketSummary, Vec<(String, i64)>), CommandError> {
    let health = store::health(pool).await.map_err(CommandError::other)?;
    let market = store::market::summary(pool)
        .await
        .map_err(CommandError::other)?;
    let live = store::reconcile::breaks::live_counts(pool)
        .await
        .map_err(CommandError::other)?;
    let mut breaks = std::collections::BTreeMap::new();
    for count in live.into_iter().filter(|count| count.open) {
        *breaks.entry(count.rule).or_default() += count.count;
    }
    Ok((health, market, breaks.into_iter().collect()))
}

async fn posted(feeder: Option<JoinHandle<Result<PostSummary, PostError>>>) -> Option<u64> {
    match feeder?.await {
        Ok(Ok(summary)) => Some(summary.payloads),
        _ => None,
    }
}

fn announce(config: &Config, daemon: &Daemon) {
    let at = daemon.addresses;
    let show = |a: Option<std::net::SocketAddr>| a.map(|a| a.to_string()).unwrap_or_default();
    let (observer, api, metrics) = (show(at.observer), show(at.api), show(at.metrics));
    eprintln!(
        "stxworx is up ({}). Ctrl-C ends it.",
        config.network.as_str()
    );
    eprintln!("  observer  http://{observer}      point a node's [[events_observer]] here");
    eprintln!("  API       http://{api}/v1/status  documented at http://{api}/docs");
    eprintln!("  metrics   http://{metrics}/metrics");
}

fn feed(
    file: &Path,
    daemon: &Daemon,
    cancel: CancellationToken,
) -> Result<JoinHandle<Result<PostSummary, PostError>>, CommandError> {
    let recording = Recording::open(file).map_err(CommandError::other)?;
    let observer = daemon
        .addresses
        .observer
        .map(|a| format!("http://{a}"))
        .unwrap_or_default();
    let options = PostOptions {
        observer: ObserverUrl::parse(&observer).map_err(CommandError::other)?,
        rate_per_second: None,
        order: Order::default(),
        timeout: Duration::from_secs(5),
        keep_alive: false,
        give_up_after: None,
    };
    let name = file.display().to_string();
    Ok(tokio::spawn(async move {
        let result = post(recording, &options, &cancel, &mut |_| {}).await;
        match &result {
            Ok(summary) => tracing::info!(
                file = name,
                summary = summary.text().replace('\n', "; "),
                "the recording is posted"
            ),
            Err(error) => {
                let error = stxworx_indexer::error_chain(error).to_string();
                tracing::error!(
                    file = name,
                    error,
                    "the recording could not be posted to its end"
                );
            }
        }
        result
    }))
}

/// One line that says where the mirror is, kept up to date on a terminal.
async fn tick(pool: sqlx::PgPool, stop: CancellationToken) {
    if !std::io::stderr().is_terminal() {
        return;
    }
    while !stop.is_cancelled() {
        if let Ok(h) = store::health(&pool).await {
            let height = h
                .tip_height
                .map_or_else(|| "-".to_owned(), |t| t.to_string());
            eprint!(
                "\r\x1b[Kheight {height}  backlog {}  detached {}  quarantined {}",
                h.received, h.detached, h.quarantined
            );
            let _ = std::io::stderr().flush();
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            () = stop.cancelled() => {}
        }
    }
    eprintln!();
}
