//! A daemon in this process.

use std::collections::BTreeSet;

use stxworx::config::{Config, Sources};
use stxworx::daemon::{Addresses, Daemon, DaemonError, Role};
use stxworx::post::{ObserverUrl, Order, PostOptions, PostSummary, post};
use stxworx::recording::{Entry, RecordingError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::db::TestDb;

/// A configuration with free ports and the given settings, by key and TOML value.
pub fn config(settings: &[(&'static str, &str)]) -> Config {
    let mut flags: Vec<(&'static str, toml::Value)> = Vec::new();
    for key in ["observer.listen", "api.listen", "metrics.listen"] {
        flags.push((key, toml::Value::String("127.0.0.1:0".into())));
    }
    for (key, text) in settings {
        let mut table: toml::Table = format!("v = {text}").parse().unwrap();
        flags.push((key, table.remove("v").unwrap()));
    }
    Config::load(&Sources {
        file: None,
        env: &|_| None,
        flags,
    })
    .unwrap_or_else(|e| panic!("{e}"))
}

/// A running daemon; stop it to see how it ended.
pub struct App {
    pub addresses: Addresses,
    pub cancel: CancellationToken,
    task: JoinHandle<Result<(), DaemonError>>,
}

impl App {
    /// Starts every role on a database.
    pub async fn start(db: &TestDb, config: &Config) -> Self {
        Self::try_start(&db.url, config, &[Role::Indexer, Role::Api, Role::Webhooks])
            .await
            .unwrap()
    }

    pub async fn try_start(
        url: &str,
        config: &Config,
        roles: &[Role],
    ) -> Result<Self, DaemonError> {
        let cancel = CancellationToken::new();
        let roles: BTreeSet<Role> = roles.iter().copied().collect();
        let daemon = Daemon::start(config, &roles, url, cancel.clone()).await?;
        let addresses = daemon.addresses;
        Ok(Self {
            addresses,
            cancel,
            task: tokio::spawn(daemon.wait()),
        })
    }

    pub fn observer_url(&self) -> String {
        format!("http://{}", self.addresses.observer.unwrap())
    }

    /// Posts entries as a node does, one after the other.
    pub async fn post(&self, entries: Vec<Entry>, order: Order) -> PostSummary {
        let source = entries.into_iter().map(Ok::<_, RecordingError>);
        self.post_from(source, order).await
    }

    /// Posts what a source yields.
    pub async fn post_from<S>(&self, source: S, order: Order) -> PostSummary
    where
        S: Iterator<Item = Result<Entry, RecordingError>> + Send + 'static,
    {
        let options = PostOptions {
            observer: ObserverUrl::parse(&self.observer_url()).unwrap(),
            rate_per_second: None,
            order,
            timeout: std::time::Duration::from_secs(20),
            keep_alive: true,
            give_up_after: Some(std::time::Duration::from_secs(60)),
        };
        post(source, &options, &CancellationToken::new(), &mut |_| {})
            .await
            .unwrap()
    }

    /// Asks the daemon to end and says how it did.
    pub async fn stop(self) -> Result<(), DaemonError> {
        self.cancel.cancel();
        self.task.await.unwrap()
    }

    /// Waits until the daemon ends by itself.
    pub async fn ended(self) -> Result<(), DaemonError> {
        self.task.await.unwrap()
    }
}
