//! Telling receivers by HTTP: the frames of the stream, signed, in order, again and again until they are taken.
//!
//! One process sends, by a lease of its own. Each webhook has a worker that goes from line to line: what its filter
//! lets through is noted as a delivery before it is sent, and the next one waits until that has ended. A delivery
//! that fails is tried again with growing pauses; after so many attempts it is set aside as a dead letter, and the
//! webhook goes on or stops, as its owner wants. A receiver may get a delivery twice, with the same id.

pub mod guard;
pub mod metrics;
pub mod send;
pub mod sign;
mod worker;

pub use worker::event_id;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::metrics::{STATES, WebhookMetrics};
pub use self::send::NoClient;
use self::send::Sender;
use self::worker::Worker;
use crate::api::stream::Streams;
use crate::retry::Backoff;
use crate::store::webhook::{self as store, delivery, lease};
use crate::store::{Pool, StoreError};

/// Webhooks that are sent to at most. More are not made.
pub const MAX_WEBHOOKS: i64 = 1_000;
/// Letters under way at once.
const AT_ONCE: usize = 32;
/// How often webhooks are looked at for changes.
const LOOK: Duration = Duration::from_millis(500);
/// How often old deliveries are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// How long a delivery is remembered after it was taken.
const REMEMBER_DAYS: i32 = 7;

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// How long a receiver may take.
    pub timeout: Duration,
    /// May an address lie inside this network, and be plain http?
    pub allow_private: bool,
    /// The first pause after a failure.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// How long the lease of a process that has gone silent lasts.
    pub lease: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            allow_private: false,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(600),
            lease: Duration::from_secs(5),
        }
    }
}

/// The part of a process that sends webhooks.
pub struct Webhooks {
    /// Connections that write.
    pub pool: Pool,
    /// What is told.
    pub streams: Arc<Streams>,
    /// How.
    pub settings: WebhookSettings,
    /// Figures.
    pub metrics: WebhookMetrics,
    /// Names this process among those that would send.
    pub holder: String,
}

/// What all workers share.
struct Shared {
    pool: Pool,
    streams: Arc<Streams>,
    settings: WebhookSettings,
    metrics: WebhookMetrics,
    sender: Sender,
    slots: Semaphore,
    epoch: i64,
}

struct Running {
    changed_at: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Webhooks {
    /// Sends while this process holds the lease, and stands by otherwise, until stopped.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub async fn run(self, stop: CancellationToken) -> Result<(), NoClient> {
        let sender = Sender::new(self.settings.timeout, self.settings.allow_private)?;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let pause = match lease::take(&self.pool, &self.holder, self.settings.lease).await {
                Ok(Some(epoch)) => {
                    backoff.reset();
                    tracing::info!(holder = self.holder, epoch, "this process sends webhooks");
                    self.metrics.sending.set(1);
                    let ended = self.lead(epoch, &sender, &stop).await;
                    self.metrics.sending.set(0);
                    match ended {
                        Ok(()) => Duration::ZERO,
                        Err(error) => told(&error, &mut backoff),
                    }
                }
                Ok(None) => LOOK.min(self.settings.lease),
                Err(error) => told(&error, &mut backoff),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Sends until the lease is lost or the process stops.
    async fn lead(
        &self,
        epoch: i64,
        sender: &Sender,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let shared = Arc::new(Shared {
            pool: self.pool.clone(),
            streams: Arc::clone(&self.streams),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            sender: sender.clone(),
            slots: Semaphore::new(AT_ONCE),
            epoch,
        });
        let mut workers: HashMap<i64, Running> = HashMap::new();
        let outcome = self.keep(&shared, &mut workers, stop).await;
        for running in workers.values() {
            running.stop.cancel();
        }
        for (webhook, running) in workers {
            ended(webhook, running.task).await;
        }
        // What is under way is over by now, so that whoever takes over sends nothing twice.
        if let Err(error) = lease::release(&self.pool, epoch).await {
            let error = crate::error_chain(&error).to_string();
            tracing::warn!(error, "the lease of the webhooks runs out by itself");
        }
        outcome
    }

    async fn keep(
        &self,
        shared: &Arc<Shared>,
        workers: &mut HashMap<i64, Running>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let every = LOOK.min(self.settings.lease / 3);
        let mut renewed = Instant::now();
        let mut forgot: Option<Instant> = None;
        while !stop.is_cancelled() {
            match self.look(shared, workers).await {
                Ok(true) => renewed = Instant::now(),
                Ok(false) => {
                    tracing::warn!(epoch = shared.epoch, "another process sends webhooks now");
                    return Ok(());
                }
                // Others may take over when the lease has run out: until then it is ours.
                Err(error) if error.is_transient() && renewed.elapsed() < self.settings.lease => {}
                Err(error) => return Err(error),
            }
            if forgot.is_none_or(|at| at.elapsed() > FORGET_EVERY) {
                delivery::forget(&self.pool, REMEMBER_DAYS).await?;
                forgot = Some(Instant::now());
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Renews the lease, and has a worker for each active webhook as it is now.
    async fn look(
        &self,
        shared: &Arc<Shared>,
        workers: &mut HashMap<i64, Running>,
    ) -> Result<bool, StoreError> {
        if !lease::renew(&self.pool, shared.epoch, self.settings.lease).await? {
            return Ok(false);
        }
        let rows = store::active(&self.pool, MAX_WEBHOOKS).await?;
        let is_current = |id: &i64, running: &Running| {
            let same =
                |row: &store::WebhookRow| row.id == *id && row.changed_at == running.changed_at;
            !running.task.is_finished() && rows.iter().any(same)
        };
        let stale: Vec<i64> = workers
            .iter()
            .filter(|(id, running)| !is_current(id, running))
            .map(|(id, _)| *id)
            .collect();
        for id in stale {
            if let Some(running) = workers.remove(&id) {
                running.stop.cancel();
                ended(id, running.task).await;
            }
        }
        for row in rows {
            workers.entry(row.id).or_insert_with(|| {
                let stop = CancellationToken::new();
                Running {
                    changed_at: row.changed_at.clone(),
                    task: tokio::spawn(Worker::new(Arc::clone(shared), row).run(stop.clone())),
                    stop,
                }
            });
        }
        for (state, count) in STATES.iter().zip(store::count(&self.pool).await?) {
            self.metrics.webhooks.with_label_values(&[state]).set(count);
        }
        let (oldest, dead) = delivery::waiting(&self.pool).await?;
        self.metrics.oldest_seconds.set(oldest);
        self.metrics.dead_letters.set(dead);
        Ok(true)
    }
}

async fn ended(webhook: i64, task: JoinHandle<()>) {
    if let Err(error) = task.await {
        tracing::error!(webhook, %error, "the worker of a webhook failed; it is started again");
    }
}

fn told(error: &StoreError, backoff: &mut Backoff) -> Duration {
    let error = crate::error_chain(error).to_string();
    tracing::warn!(error, "webhooks are not sent; trying again");
    backoff.next_delay()
}
