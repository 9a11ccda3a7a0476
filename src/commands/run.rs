//! `stxworx run`.

use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, Outcome, RunArgs};
use crate::config::Config;
use crate::daemon::{Daemon, Database};

/// Runs the daemon until it is told to end.
///
/// # Errors
/// When a role cannot start, or fails.
pub async fn run(
    config: &Config,
    args: &RunArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    let roles = args.roles.iter().copied().collect();
    let mut database = Database::open(config).await.map_err(CommandError::other)?;
    let daemon = Daemon::start(config, &roles, database.url(), cancel.clone()).await;
    let daemon = match daemon {
        Ok(daemon) => daemon,
        Err(error) => {
            database.close().await;
            return Err(CommandError::other(error));
        }
    };
    let at = daemon.addresses;
    tracing::info!(observer = ?at.observer, api = ?at.api, metrics = ?at.metrics, "ready");
    let result = tokio::select! {
        result = daemon.wait() => result.map_err(CommandError::other),
        error = database.died() => Err(CommandError::other(error)),
    };
    database.close().await;
    tracing::info!("ended in order");
    result.map(|()| Outcome::Done)
}
