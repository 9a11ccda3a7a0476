//! Reading an archive from its position to its end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::input::{Input, Opened};
use super::origin::Origin;
use super::rows::{Found, Parsed, Taken, decide, decided, parse};
use super::segments::{self, Fault, Segment};
use super::{ArchiveError, Options, Report, Target, Watch};
use crate::retry::Backoff;
use crate::source::recording::Escapes;
use crate::store::archive::{self, Counts, Job, JobKey, Place, Progress};
use crate::store::bulk::Payload;
use crate::store::{self, StoreError};

/// Segments between the thread that reads and those that parse.
const QUEUE: usize = 2;
/// How often whoever watches is told, at least.
const TICK: Duration = Duration::from_millis(500);
/// Packed bytes after which a part is committed, whatever its text was.
const COMMIT_PACKED_BYTES: usize = 16 << 20;
/// Payloads after which a part is committed.
const COMMIT_PAYLOADS: usize = 10_000;
/// Attempts at a commit while the database is away: about two minutes.
const ATTEMPTS: u32 = 30;
/// Missing parents that a report names.
const HOLES: i64 = 20;

/// Reads an archive into the inbox, from where an earlier run of the same job ended. When cancelled, it stores what it
/// has read, and the report says that it is not done.
///
/// # Errors
/// As [`ArchiveError`] says; what stands before the place of the error is stored.
pub async fn backfill(
    pool: &PgPool,
    target: &Target,
    input: &Input,
    options: &Options,
    progress: &mut (dyn FnMut(&Watch) + Send),
    cancel: &CancellationToken,
) -> Result<Report, ArchiveError> {
    let started = Instant::now();
    if let (Some(from), Some(to)) = (options.from, options.to)
        && from > to
    {
        return Err(ArchiveError::Range { from, to });
    }
    archive::fits(pool, &target.network, &target.follow).await?;
    let opened = Opened::open(input).await?;
    let taken = Taken::new(&target.follow, options.from, options.to);
    let key = JobKey {
        size_bytes: opened.size_bytes,
        head_sha256: opened.head_sha256(),
        scope: taken.scope(),
        from: options.from,
        to: options.to,
    };
    let job = archive::open(pool, &input.name(), &key).await?;
    let began_at_bytes = job.progress.position_bytes;
    let was_done = job.is_done;
    let mut run = Run {
        pool: pool.clone(),
        name: input.name(),
        network: target.network.clone(),
        commit_bytes: options.commit_bytes,
        key,
        committed: job.progress,
        next: job.progress,
        job,
        taken: Arc::new(taken),
        origin: Origin::default(),
        part: Part::default(),
        pending: None,
    };
    let is_done = if was_done {
        true
    } else {
        let watch = Watching {
            started,
            began_at_bytes,
            size_bytes: opened.size_bytes,
            read_bytes: Arc::clone(&opened.read_bytes),
            tell: progress,
        };
        run.read_on(opened, options, watch, cancel).await?
    };
    let health = store::health(pool).await?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Report {
        is_done,
        was_done,
        began_at_bytes,
        position_bytes: run.committed.position_bytes,
        counts: run.committed.counts,
        elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        received: count(health.received),
        detached: count(health.detached),
        holes: archive::holes(pool, HOLES).await?,
    })
}

/// Reads an archive as [`backfill`] does, from its beginning, and stores nothing: what it would come to.
///
/// # Errors
/// As [`ArchiveError`] says.
pub async fn scan(
    input: &Input,
    taken: Arc<Taken>,
    options: &Options,
) -> Result<Counts, ArchiveError> {
    let opened = Opened::open(input).await?;
    let cancel = CancellationToken::new();
    let segments = read_ahead(opened, 0, options.segment_bytes, &cancel);
    let mut parsed = parse_ahead(segments, taken, options.workers);
    let mut sum = Progress::default();
    while let Some(parsed) = parsed.next().await {
        let Ok(parsed) = parsed? else { break };
        add(&mut sum, &parsed);
        if parsed.is_end || parsed.fault.is_some() {
            break;
        }
    }
    Ok(sum.counts)
}

/// Whoever watches, and what they are told.
struct Watching<'p> {
    started: Instant,
    began_at_bytes: u64,
    size_bytes: Option<u64>,
    read_bytes: Arc<AtomicU64>,
    tell: &'p mut (dyn FnMut(&Watch) + Send),
}

impl Watching<'_> {
    fn tell(&mut self, progress: &Progress, stored: &Counts) {
        (self.tell)(&Watch {
            read_bytes: self.read_bytes.load(Ordering::Relaxed),
            size_bytes: self.size_bytes,
            began_at_bytes: self.began_at_bytes,
            position_bytes: progress.position_bytes,
            counts: Counts {
                stored: stored.stored,
                repeated: stored.repeated,
                ..progress.counts
            },
            elapsed: self.started.elapsed(),
        });
    }
}

type Segments = mpsc::Receiver<Result<Segment, Fault>>;

/// Starts the thread that reads.
fn read_ahead(
    opened: Opened,
    position: u64,
    segment_bytes: usize,
    cancel: &CancellationToken,
) -> Segments {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let cancel = cancel.clone();
    tokio::task::spawn_blocking(move || match opened.text_at(position) {
        Ok(text) => segments::read(text, segment_bytes, &sender, &cancel),
        Err(error) => {
            // Nobody listens only when all is over.
            let _ = sender.blocking_send(Err(Fault::Broken(error)));
        }
    });
    receiver
}

type ParsedStream =
    futures::stream::BoxStream<'static, Result<Result<Parsed, Fault>, ArchiveError>>;

/// Parses segments on several threads, and hands them on in their order.
fn parse_ahead(mut segments: Segments, taken: Arc<Taken>, workers: usize) -> ParsedStream {
    futures::stream::poll_fn(move |context| segments.poll_recv(context))
        .map(move |segment| {
            let taken = Arc::clone(&taken);
            async move {
                let segment = match segment {
                    Ok(segment) => segment,
                    Err(fault) => return Ok(Err(fault)),
                };
                tokio::task::spawn_blocking(move || parse(&segment, &taken))
                    .await
                    .map_err(|e| ArchiveError::Died(e.to_string()))?
                    .map(Ok)
                    .map_err(ArchiveError::Store)
            }
        })
        .buffered(workers.max(1))
        .boxed()
}

/// Adds what a segment holds, but for its payloads.
fn add(progress: &mut Progress, parsed: &Parsed) {
    progress.position_bytes += parsed.bytes;
    for id in &parsed.ids {
        if progress.last_row_id.is_some_and(|last| last >= *id) {
            progress.counts.repeated_ids += 1;
        } else {
            progress.last_row_id = Some(*id);
        }
    }
    let (sum, more) = (&mut progress.counts, &parsed.counts);
    sum.lines += more.lines;
    sum.blocks += more.blocks;
    sum.burn_blocks += more.burn_blocks;
    sum.whole += more.whole;
    sum.skipped += more.skipped;
    sum.out_of_range += more.out_of_range;
    sum.bad_rows += more.bad_rows;
    sum.heights = match (sum.heights, more.heights) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    };
}

/// What is to be committed next.
#[derive(Default)]
struct Part {
    payloads: Vec<Payload>,
    by_hash: HashMap<[u8; 32], usize>,
    packed_bytes: usize,
    repeated: u64,
    blocks: Vec<Place>,
}

impl Part {
    fn push(&mut self, payload: Payload) {
        if let Some(at) = self.by_hash.get(&payload.sha256) {
            if let Some(first) = self.payloads.get_mut(*at) {
                first.deliveries = first.deliveries.saturating_add(1);
            }
            self.repeated += 1;
            return;
        }
        self.by_hash.insert(payload.sha256, self.payloads.len());
        self.packed_bytes += payload.packed.len();
        self.payloads.push(payload);
    }
}

struct Run {
    pool: PgPool,
    name: String,
    network: String,
    key: JobKey,
    job: Job,
    taken: Arc<Taken>,
    origin: Origin,
    commit_bytes: u64,
    /// What the database has.
    committed: Progress,
    /// With what is in the part.
    next: Progress,
    part: Part,
    /// A commit on its way; one at a time.
    pending: Option<JoinHandle<Result<Progress, StoreError>>>,
}

impl Run {
    /// Reads on; true at the end of the archive, false when cancelled before.
    async fn read_on(
        &mut self,
        opened: Opened,
        options: &Options,
        mut watching: Watching<'_>,
        cancel: &CancellationToken,
    ) -> Result<bool, ArchiveError> {
        let position = self.next.position_bytes;
        let segments = read_ahead(opened, position, options.segment_bytes, cancel);
        let mut parsed = parse_ahead(segments, Arc::clone(&self.taken), options.workers);
        let mut tick = tokio::time::interval(TICK);
        let outcome = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break Ok(false),
                next = parsed.next() => match next {
                    // The thread that reads also ends when it is cancelled.
                    None => break Ok(!cancel.is_cancelled()),
                    Some(next) => match self.take(next).await {
                        Ok(false) => {}
                        Ok(true) => break Ok(true),
                        Err(error) => break Err(error),
                    },
                },
                _ = tick.tick() => {}
            }
            watching.tell(&self.next, &self.committed.counts);
        };
        // What was read before a fault of the archive stays. After a failure of ours a part may be lost: nothing may be
        // committed that counts it as done.
        if matches!(
            outcome,
            Ok(_) | Err(ArchiveError::Broken { .. } | ArchiveError::Recording(_))
        ) {
            let is_done = matches!(outcome, Ok(true));
            self.flush(is_done, is_done).await?;
        }
        self.settle().await?;
        watching.tell(&self.next, &self.committed.counts);
        outcome
    }

    /// Takes what a segment holds; true at the end mark.
    async fn take(
        &mut self,
        next: Result<Result<Parsed, Fault>, ArchiveError>,
    ) -> Result<bool, ArchiveError> {
        let lines = self.next.counts.lines;
        let parsed = match next? {
            Ok(parsed) => parsed,
            Err(Fault::Line(error)) => return Err(error.after(lines).into()),
            Err(Fault::Broken(source)) => {
                return Err(ArchiveError::Broken {
                    name: self.name.clone(),
                    line: lines + 1,
                    position: self.next.position_bytes,
                    source,
                });
            }
        };
        add(&mut self.next, &parsed);
        self.gather(&parsed);
        let (is_end, fault) = (parsed.is_end, parsed.fault);
        for found in parsed.found {
            self.keep(found).await?;
        }
        if let Some(fault) = fault {
            return Err(fault.after(lines).into());
        }
        let text = self.next.position_bytes - self.committed.position_bytes;
        if text >= self.commit_bytes
            || self.part.packed_bytes >= COMMIT_PACKED_BYTES
            || self.part.payloads.len() >= COMMIT_PAYLOADS
        {
            self.flush(false, false).await?;
        }
        Ok(is_end)
    }

    fn gather(&mut self, parsed: &Parsed) {
        self.origin.note(&self.network, &parsed.networks);
        self.part.blocks.extend_from_slice(&parsed.blocks);
    }

    async fn keep(&mut self, found: Found) -> Result<(), ArchiveError> {
        match found {
            Found::Payload(payload) => self.part.push(payload),
            Found::Proof(escapes) => self.next.plain_json = Some(escapes == Escapes::Absent),
            Found::Undecided(row) => {
                let evidence = self.next.plain_json.map(|plain| match plain {
                    true => Escapes::Absent,
                    false => Escapes::Present,
                });
                let taken = Arc::clone(&self.taken);
                let read = tokio::task::spawn_blocking(move || {
                    decided(row.endpoint, decide(&row, evidence), &taken)
                });
                let parsed = read
                    .await
                    .map_err(|e| ArchiveError::Died(e.to_string()))??;
                add(&mut self.next, &parsed);
                self.gather(&parsed);
                for found in parsed.found {
                    if let Found::Payload(payload) = found {
                        self.part.push(payload);
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for the commit that is on its way.
    async fn settle(&mut self) -> Result<(), ArchiveError> {
        if let Some(pending) = self.pending.take() {
            let done = pending
                .await
                .map_err(|e| ArchiveError::Died(e.to_string()))?;
            self.committed = done?;
        }
        Ok(())
    }

    /// Starts the commit of the part, after the one before.
    async fn flush(&mut self, is_done: bool, is_end: bool) -> Result<(), ArchiveError> {
        self.settle().await?;
        let part = std::mem::take(&mut self.part);
        let origin = self
            .origin
            .check(&self.pool, &self.network, &part.blocks, is_end);
        origin.await?;
        if self.next.position_bytes == self.committed.position_bytes && !is_done {
            return Ok(());
        }
        let mut to = self.next;
        to.counts.stored = self.committed.counts.stored;
        to.counts.repeated = self.committed.counts.repeated + part.repeated;
        self.pending = Some(tokio::spawn(commit(
            self.pool.clone(),
            self.name.clone(),
            self.key.clone(),
            self.job.id,
            self.committed.position_bytes,
            to,
            is_done,
            part.payloads,
        )));
        Ok(())
    }
}

/// Commits a part, waiting for a database that is away.
#[expect(clippy::too_many_arguments, reason = "what a task of its own is given")]
async fn commit(
    pool: PgPool,
    name: String,
    key: JobKey,
    job: i64,
    from_position: u64,
    to: Progress,
    is_done: bool,
    payloads: Vec<Payload>,
) -> Result<Progress, StoreError> {
    let mut backoff = Backoff::default();
    for attempt in 1..=ATTEMPTS {
        match archive::advance(&pool, job, from_position, to, is_done, &payloads).await {
            // The answer to an earlier attempt was lost, and it was "committed".
            Err(StoreError::OtherBackfill) if attempt > 1 => {
                let job = archive::open(&pool, &name, &key).await?;
                let is_ours = job.progress.position_bytes == to.position_bytes;
                return match is_ours && job.is_done == is_done {
                    true => Ok(job.progress),
                    false => Err(StoreError::OtherBackfill),
                };
            }
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                let delay = backoff.next_delay();
                tracing::warn!(
                    error = %crate::error_chain(&error),
                    retry_in_ms = delay.as_millis(),
                    "the database failed; nothing is lost, trying again"
                );
                tokio::time::sleep(delay).await;
            }
            other => return other,
        }
    }
    Err(StoreError::OtherBackfill)
}
