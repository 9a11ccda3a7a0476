//! What the process has once: its log, and its signals.

use std::io::IsTerminal as _;

use tokio_util::sync::CancellationToken;

use crate::config::{Config, LogFormat};

/// Sets the log up. A quiet command logs warnings, unless the configuration asks for more.
pub fn init_logging(config: &Config, quiet: bool) {
    // Postgres' client repeats every notice of a migration at `info`.
    let level = if quiet && config.log_level == "info" {
        "warn"
    } else {
        &config.log_level
    };
    let filter = tracing_subscriber::EnvFilter::try_new(format!("sqlx=warn,{level}"))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let set = match config.log_format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Pretty => builder
            .with_ansi(std::io::stderr().is_terminal())
            .try_init(),
    };
    if set.is_err() {
        eprintln!("warning: logging was set up before");
    }
}

/// The first Ctrl-C or SIGTERM asks for an orderly end; the second one does not ask.
pub fn cancel_on_signal(cancel: CancellationToken) {
    tokio::spawn(async move {
        let mut terminate =
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(signal) => signal,
                Err(error) => {
                    tracing::error!(%error, "signals cannot be handled");
                    return;
                }
            };
        let mut asked = false;
        loop {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            if asked {
                std::process::exit(130);
            }
            asked = true;
            cancel.cancel();
        }
    });
}
