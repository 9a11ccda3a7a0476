//! The servers, and which of them is asked.
//!
//! One answer that is put together of several must come from one server: another one may be at another tip.
//! So a question goes to one server as a whole, and to the next when that one fails.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::health::{Health, Standing};
use super::limit::Limiter;
use super::memory::Memory;
use super::wire::Status;
use crate::metrics::Metrics;
use crate::model::BlockRef;
use crate::source::http::{Conditional, FetchError, Server};
use crate::source::pull::Tip;

/// So many blocks behind the best of the others, a server is not asked while there are others.
const LAGGING_BLOCKS: u32 = 10;

/// What a question to a server comes to, in time.
pub(super) type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, FetchError>> + Send + 'a>>;

/// One server.
pub(super) struct Host {
    server: Server,
    health: Mutex<Health>,
    limiter: Limiter,
    metrics: Arc<Metrics>,
    asked: AtomicU64,
    /// Height of the tip that it named last.
    height: Mutex<Option<u32>>,
    /// What it said that is still of use.
    pub(super) memory: tokio::sync::Mutex<Memory>,
}

impl Host {
    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Questions asked so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Most questions at the same time.
    pub(super) fn concurrency(&self) -> usize {
        self.limiter.max()
    }

    /// Asks, when it is this question's turn and the server wants to be asked.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, FetchError> {
        let _permit = self.turn(path).await?;
        self.note(self.server.get(path).await)
    }

    /// The same, and the answer's tag; or that it is what `tag` names.
    pub(super) async fn get_if_new<T: DeserializeOwned>(
        &self,
        path: &str,
        tag: Option<&str>,
    ) -> Result<Conditional<T>, FetchError> {
        let _permit = self.turn(path).await?;
        self.note(self.server.get_if_new(path, tag).await)
    }

    async fn turn(&self, path: &str) -> Result<super::limit::Permit<'_>, FetchError> {
        let permit = self.limiter.acquire().await;
        // It may have asked for a pause while this question waited.
        if let Some(pause) = self.health().pause(Instant::now()) {
            return Err(FetchError::Busy {
                what: path.to_owned(),
                status: 429,
                retry_after: Some(pause),
            });
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(permit)
    }

    fn note<T>(&self, result: Result<T, FetchError>) -> Result<T, FetchError> {
        let outcome = result.as_ref().map_or_else(FetchError::kind, |_| "ok");
        self.metrics
            .api_source_requests
            .with_label_values(&[outcome])
            .inc();
        match &result {
            Err(error @ FetchError::Busy { .. }) => {
                self.limiter.overran();
                self.failed(error);
            }
            Err(FetchError::Unreachable { .. }) => self.limiter.overran(),
            _ => self.limiter.went_well(),
        }
        result
    }

    fn failed(&self, error: &FetchError) {
        let (told, standing) = {
            let mut health = self.health();
            let told = health.failed(error, Instant::now());
            (told, health.standing())
        };
        if let Some(cause) = told {
            tracing::warn!(
                server = self.server.base(),
                cause,
                standing = standing.as_str(),
                error = %crate::error_chain(error),
                "a Stacks API failed; it is left alone for a while"
            );
        }
    }

    fn delivered(&self) {
        if self.health().delivered() {
            tracing::info!(server = self.server.base(), "a Stacks API is well again");
        }
    }

    /// Where its chain ends, and the tag of that.
    pub(super) async fn status(
        &self,
        tag: Option<&str>,
    ) -> Result<Conditional<Status>, FetchError> {
        self.get_if_new("/extended", tag).await
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        let status = match self.status(None).await? {
            Conditional::New(status, _) => status.chain_tip,
            Conditional::Same => {
                let why = "it is said to be what it was, though nothing was said of that";
                return Err(FetchError::unusable("/extended", why));
            }
        };
        let mut height = self.height.lock().unwrap_or_else(PoisonError::into_inner);
        let before = height.replace(status.block_height);
        if before.is_some_and(|before| before > status.block_height) {
            // A reorg may do this, a stale replica behind the same name as well.
            self.metrics.api_trouble("tip_went_back");
        }
        Ok(Tip {
            block: BlockRef {
                id: status.index_block_hash,
                height: status.block_height,
            },
            burn_height: status.burn_block_height,
        })
    }
}

/// Every server that is configured.
pub(super) struct ApiPool {
    hosts: Vec<Host>,
    current: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl ApiPool {
    pub(super) fn new(servers: Vec<Server>, concurrency: usize, metrics: Arc<Metrics>) -> Self {
        let hosts = servers.into_iter().map(|server| Host {
            server,
            health: Mutex::default(),
            limiter: Limiter::new(concurrency),
            metrics: Arc::clone(&metrics),
            asked: AtomicU64::new(0),
            height: Mutex::new(None),
            memory: tokio::sync::Mutex::default(),
        });
        let pool = Self {
            hosts: hosts.collect(),
            current: AtomicUsize::new(0),
            metrics,
        };
        pool.report();
        pool
    }

    /// Standings, in the order of the configuration.
    pub(super) fn standings(&self) -> Vec<(&str, Standing)> {
        self.hosts
            .iter()
            .map(|h| (h.server.base(), h.health().standing()))
            .collect()
    }

    fn report(&self) {
        for standing in Standing::ALL {
            let count = self
                .standings()
                .iter()
                .filter(|(_, s)| *s == standing)
                .count();
            self.metrics
                .api_source_servers
                .with_label_values(&[standing.as_str()])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Those that may be asked now, the best first. The one that was asked last stays, unless another is better.
    fn order(&self) -> Vec<usize> {
        let (now, current) = (Instant::now(), self.current.load(Ordering::Relaxed));
        let mut order: Vec<_> = (0..)
            .zip(&self.hosts)
            .filter_map(|(at, host)| {
                let health = host.health();
                let rank = (health.is_lagging(), health.standing(), at != current, at);
                health.pause(now).is_none().then_some(rank)
            })
            .collect();
        order.sort_unstable();
        order.into_iter().map(|(.., at)| at).collect()
    }

    /// The shortest pause that is asked for, as an error: nobody may be asked now.
    fn all_paused(&self, what: &str) -> FetchError {
        let now = Instant::now();
        let pauses = self.hosts.iter().filter_map(|h| h.health().pause(now));
        FetchError::Busy {
            what: format!("{what} of every Stacks API"),
            status: 503,
            retry_after: Some(pauses.min().unwrap_or(Duration::ZERO)),
        }
    }

    /// Asks one server after the other, until one has an answer.
    pub(super) async fn ask<'a, T>(
        &'a self,
        what: &str,
        question: impl Fn(&'a Host) -> Pending<'a, T>,
    ) -> Result<T, FetchError> {
        let mut unknown = None;
        let mut failure = None;
        for at in self.order() {
            let Some(host) = self.hosts.get(at) else {
                continue;
            };
            match question(host).await {
                Ok(answer) => {
                    host.delivered();
                    self.turn_to(at);
                    return Ok(answer);
                }
                // Another one may know it; if not, this is the answer.
                Err(error @ FetchError::NotFound { .. }) => unknown = Some(error),
                Err(error) => {
                    host.failed(&error);
                    failure = Some(error);
                }
            }
        }
        self.report();
        Err(unknown.or(failure).unwrap_or_else(|| self.all_paused(what)))
    }

    fn turn_to(&self, at: usize) {
        if self.current.swap(at, Ordering::Relaxed) != at {
            self.metrics.api_trouble("left");
        }
        self.report();
    }

    /// The tip of the best server. Every one is asked, so that one that lags is seen.
    pub(super) async fn tip(&self) -> Result<Tip, FetchError> {
        let order = self.order();
        let asked = order
            .iter()
            .filter_map(|at| Some((*at, self.hosts.get(*at)?)));
        let answers = asked.map(|(at, host)| async move { (at, host, host.tip().await) });
        let mut failure = None;
        let mut tips = Vec::new();
        for (at, host, answer) in futures::future::join_all(answers).await {
            match answer {
                Ok(tip) => {
                    host.health().answered();
                    tips.push((at, host, tip));
                }
                Err(error) => {
                    host.failed(&error);
                    failure = Some(error);
                }
            }
        }
        let best = tips.iter().map(|(.., tip)| tip.block.height).max();
        for (_, host, tip) in &tips {
            let behind = best.unwrap_or(0).saturating_sub(tip.block.height);
            if host.health().lags(behind >= LAGGING_BLOCKS) {
                self.metrics.api_trouble("lagging");
                tracing::warn!(
                    server = host.server.base(),
                    behind_blocks = behind,
                    "a Stacks API lags behind the others and is asked last"
                );
            }
        }
        // Who lags is known only now.
        let chosen = self
            .order()
            .into_iter()
            .find_map(|at| tips.iter().find(|(of, ..)| *of == at));
        let Some((at, _, tip)) = chosen else {
            self.report();
            return Err(failure.unwrap_or_else(|| self.all_paused("the tip")));
        };
        self.turn_to(*at);
        Ok(*tip)
    }
}
