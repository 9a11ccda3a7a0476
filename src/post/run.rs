//! Posting a whole recording.

use super::backoff::JITTER_MS;
use super::deliver::Observer;
use super::latency::Latencies;
use super::progress::{megabytes, per_second};
use super::{
    Delivery, LiveReport, Ordered, OutputFormat, PostArgs, PostError, PostOptions, PostProgress,
    PostState, Refusal, node_backoff,
};
use crate::recording::{Entry, Recording, RecordingError};
use crate::workload::SeededRng;
use serde::Serialize;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Payloads read ahead of the one being sent. Few, because one may be 80 MB.
const READ_AHEAD: usize = 4;
/// Delays up to this are made up for by sending faster, because timers are not exact.
const CATCH_UP: Duration = Duration::from_millis(100);

/// What was posted. Counts are of delivered payloads; repeated ones are counted each time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PostSummary {
    /// Payloads delivered.
    pub payloads: u64,
    /// Of these, `/new_block`.
    pub blocks: u64,
    /// Bytes of delivered bodies.
    pub bytes: u64,
    /// Attempts that failed.
    pub retries: u64,
    /// Payloads delivered a second time on purpose.
    pub duplicates_sent: u64,
    /// Wall time in seconds, pauses included.
    pub seconds: f64,
    /// Median answer time of the attempts that delivered, in milliseconds; failed attempts and pauses not counted.
    pub p50_ms: f64,
    /// 99 of 100 of these attempts were answered within this time.
    pub p99_ms: f64,
    /// The longest of these times.
    pub max_ms: f64,
    /// Whether posting was ended by the caller before the recording's end.
    pub cancelled: bool,
}

impl PostSummary {
    /// Two lines for people.
    pub fn text(&self) -> String {
        let Self {
            payloads,
            blocks,
            bytes,
            retries,
            duplicates_sent,
            seconds,
            ..
        } = self;
        let rate = per_second(
            *payloads,
            Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
        );
        let ended = if self.cancelled { " (interrupted)" } else { "" };
        format!(
            "posted {payloads} payloads ({blocks} blocks, {}) in {seconds:.1} s, {rate}/s{ended}\n\
             failed attempts {retries}, sent twice {duplicates_sent}; answered in {:.2} ms (median), {:.2} ms (99 %), {:.2} ms (longest)",
            megabytes(*bytes),
            self.p50_ms,
            self.p99_ms,
            self.max_ms
        )
    }
}

/// Posts every payload of `source` to an observer, one after the other, until the source ends or `cancel` is called.
///
/// `progress` is called after every attempt, on the task that runs this future; it must not block.
/// The source is read on a thread of its own, a few payloads ahead.
///
/// # Errors
/// [`PostError::Recording`] when the source fails (everything before is posted first), [`PostError::GaveUp`]
/// only if [`PostOptions::give_up_after`] is set, [`PostError::Client`] and [`PostError::Reader`] at the start.
pub async fn post<S>(
    source: S,
    options: &PostOptions,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(&PostProgress<'_>) + Send),
) -> Result<PostSummary, PostError>
where
    S: Iterator<Item = Result<Entry, RecordingError>> + Send + 'static,
{
    let mut poster = Poster {
        observer: Observer::new(options)?,
        options,
        cancel,
        progress,
        jitter: SeededRng::new(options.order.seed),
        latencies: Latencies::default(),
        counts: Counts::default(),
        started: Instant::now(),
        due: None,
    };
    let mut deliveries = read_ahead(Ordered::new(source, options.order.clone()))?;
    let mut number = 0;
    let cancelled = loop {
        let next = tokio::select! {
            biased;
            () = cancel.cancelled() => break true,
            next = deliveries.recv() => next,
        };
        let Some(delivery) = next else { break false };
        number += 1;
        if poster.keep_rate().await.is_none() || poster.deliver(number, &delivery?).await?.is_none()
        {
            break true;
        }
    };
    Ok(poster.summary(cancelled))
}

/// Runs `stxworx post`: posts the file, reports on standard error, prints the summary on standard output.
///
/// # Errors
/// As [`post`], and [`PostError::Observer`], [`PostError::Output`].
pub async fn run(args: &PostArgs, cancel: &CancellationToken) -> Result<PostSummary, PostError> {
    let options = args.options()?;
    let recording = Recording::open(&args.file)?;
    let mut report = LiveReport::new(&options.observer);
    let posted = post(recording, &options, cancel, &mut |progress| {
        report.update(progress)
    })
    .await;
    report.finish();
    let summary = posted?;
    let text = match args.output {
        OutputFormat::Text => summary.text(),
        OutputFormat::Json => {
            serde_json::to_string(&summary).map_err(|error| PostError::Output {
                source: error.into(),
            })?
        }
    };
    writeln!(std::io::stdout(), "{text}").map_err(|source| PostError::Output { source })?;
    Ok(summary)
}

/// A thread and not a task of the runtime: reading standard input cannot be interrupted, and the runtime's end
/// would wait for it.
fn read_ahead<S>(
    ordered: Ordered<S>,
) -> Result<mpsc::Receiver<Result<Delivery, RecordingError>>, PostError>
where
    S: Iterator<Item = Result<Entry, RecordingError>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::Builder::new()
        .name("recording".into())
        .spawn(move || {
            for delivery in ordered {
                if sender.blocking_send(delivery).is_err() {
                    return;
                }
            }
        })
        .map_err(|source| PostError::Reader { source })?;
    Ok(receiver)
}

#[derive(Default)]
struct Counts {
    payloads: u64,
    blocks: u64,
    bytes: u64,
    retries: u64,
    duplicates_sent: u64,
}

struct Poster<'a> {
    observer: Observer,
    options: &'a PostOptions,
    cancel: &'a CancellationToken,
    progress: &'a mut (dyn FnMut(&PostProgress<'_>) + Send),
    jitter: SeededRng,
    latencies: Latencies,
    counts: Counts,
    started: Instant,
    /// When the next payload may go out, if there is a rate.
    due: Option<Instant>,
}

impl Poster<'_> {
    /// Waits until the next payload may go out; nothing if cancelled.
    async fn keep_rate(&mut self) -> Option<()> {
        let Some(rate) = self.options.rate_per_second else {
            return Some(());
        };
        let now = Instant::now();
        let due = self.due.unwrap_or(now);
        // What an observer that was down has missed is not made up for: the rate is a limit.
        let base = if now.saturating_duration_since(due) > CATCH_UP {
            now
        } else {
            due
        };
        self.due = Some(base + Duration::from_secs(1) / rate.get());
        self.pause(base.saturating_duration_since(now)).await
    }

    async fn pause(&mut self, time: Duration) -> Option<()> {
        if time.is_zero() {
            return Some(());
        }
        self.cancel
            .run_until_cancelled(tokio::time::sleep(time))
            .await
    }

    /// Sends one payload until it is delivered; nothing if cancelled.
    async fn deliver(&mut self, number: u64, delivery: &Delivery) -> Result<Option<()>, PostError> {
        let first_attempt = Instant::now();
        let mut wait = None;
        for attempts in 1.. {
            let attempt = self.observer.attempt(&delivery.entry);
            let Some(answer) = self.cancel.run_until_cancelled(attempt).await else {
                return Ok(None);
            };
            let refusal = match answer {
                Ok(time) => {
                    self.delivered(delivery, time);
                    return Ok(Some(()));
                }
                Err(refusal) => refusal,
            };
            self.counts.retries += 1;
            let spent = first_attempt.elapsed();
            if self
                .options
                .give_up_after
                .is_some_and(|limit| spent >= limit)
            {
                let (path, seconds) = (delivery.entry.path.clone(), spent.as_secs());
                return Err(PostError::GaveUp {
                    number,
                    path,
                    attempts,
                    seconds,
                    source: refusal,
                });
            }
            let jitter = Duration::from_millis(self.jitter.below(JITTER_MS));
            let retry_in = node_backoff(wait, jitter, self.options.timeout);
            wait = Some(retry_in);
            self.waiting(&refusal, attempts, retry_in);
            if self.pause(retry_in).await.is_none() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn delivered(&mut self, delivery: &Delivery, time: Duration) {
        let bytes = u64::try_from(delivery.entry.body.len()).unwrap_or(u64::MAX);
        self.latencies.add(time);
        self.counts.payloads += 1;
        self.counts.blocks += u64::from(delivery.entry.is_block());
        self.counts.bytes = self.counts.bytes.saturating_add(bytes);
        self.counts.duplicates_sent += u64::from(delivery.is_repeat);
        self.report(PostState::Sending);
    }

    fn waiting(&mut self, refusal: &Refusal, attempts: u64, retry_in: Duration) {
        self.report(PostState::Waiting {
            refusal,
            attempts,
            retry_in,
        });
    }

    fn report(&mut self, state: PostState<'_>) {
        let Counts {
            payloads,
            blocks,
            bytes,
            retries,
            duplicates_sent,
        } = self.counts;
        let elapsed = self.started.elapsed();
        (self.progress)(&PostProgress {
            payloads,
            blocks,
            bytes,
            retries,
            duplicates_sent,
            elapsed,
            state,
        });
    }

    fn summary(mut self, cancelled: bool) -> PostSummary {
        self.latencies.sort();
        let Counts {
            payloads,
            blocks,
            bytes,
            retries,
            duplicates_sent,
        } = self.counts;
        PostSummary {
            payloads,
            blocks,
            bytes,
            retries,
            duplicates_sent,
            seconds: self.started.elapsed().as_secs_f64(),
            p50_ms: milliseconds(self.latencies.percentile(50)),
            p99_ms: milliseconds(self.latencies.percentile(99)),
            max_ms: milliseconds(self.latencies.max()),
            cancelled,
        }
    }
}

/// Only for people to read: the measured whole microseconds, as milliseconds.
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}
