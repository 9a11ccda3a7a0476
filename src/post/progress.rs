//! Telling how posting goes.

use super::{ObserverUrl, Refusal};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

const LIVE_EVERY: Duration = Duration::from_millis(200);
const LOG_EVERY: Duration = Duration::from_secs(5);
const MEGABYTE: u64 = 1_000_000;

/// How far posting has come. Counts are of delivered payloads; repeated ones are counted each time.
#[derive(Clone, Copy, Debug)]
pub struct PostProgress<'a> {
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
    /// Time since the start.
    pub elapsed: Duration,
    /// What happens at this moment.
    pub state: PostState<'a>,
}

/// What posting is doing.
#[derive(Clone, Copy, Debug)]
pub enum PostState<'a> {
    /// The last payload was delivered.
    Sending,
    /// The last attempt failed; the same payload goes out again after a pause.
    Waiting {
        /// Why it failed.
        refusal: &'a Refusal,
        /// Attempts made for this payload.
        attempts: u64,
        /// The pause.
        retry_in: Duration,
    },
}

impl PostProgress<'_> {
    /// Payloads delivered per second since the start, rounded down.
    pub fn per_second(&self) -> u64 {
        per_second(self.payloads, self.elapsed)
    }

    /// One line without a line end, such as `1200 payloads, 407 blocks, 35.1 MB, 310/s`.
    pub fn line(&self) -> String {
        let Self {
            payloads,
            blocks,
            bytes,
            ..
        } = self;
        let mut line = format!(
            "{payloads} payloads, {blocks} blocks, {}, {}/s",
            megabytes(*bytes),
            self.per_second()
        );
        if let PostState::Waiting {
            refusal,
            attempts,
            retry_in,
        } = self.state
        {
            let why = refusal.explained();
            line.push_str(&format!(
                "; waiting: {why}, attempt {attempts}, again in {} ms",
                retry_in.as_millis()
            ));
        }
        line
    }
}

pub(super) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    count.saturating_mul(1000) / millis
}

/// Megabytes (10^6 bytes) with one decimal, rounded down.
pub(super) fn megabytes(bytes: u64) -> String {
    format!(
        "{}.{} MB",
        bytes / MEGABYTE,
        bytes % MEGABYTE / (MEGABYTE / 10)
    )
}

/// Reports progress on standard error: a line that renews itself on a terminal, elsewhere a log line every 5 s
/// and one as soon as the observer stops answering.
#[derive(Debug)]
pub struct LiveReport {
    observer: String,
    on_terminal: bool,
    last: Option<Instant>,
    was_waiting: bool,
}

impl LiveReport {
    /// A report for this observer.
    pub fn new(observer: &ObserverUrl) -> Self {
        let on_terminal = io::stderr().is_terminal();
        Self {
            observer: observer.to_string(),
            on_terminal,
            last: None,
            was_waiting: false,
        }
    }

    /// To be called after every attempt; most calls do nothing.
    pub fn update(&mut self, progress: &PostProgress<'_>) {
        let is_waiting = matches!(progress.state, PostState::Waiting { .. });
        let changed = is_waiting != self.was_waiting;
        self.was_waiting = is_waiting;
        let every = if self.on_terminal {
            LIVE_EVERY
        } else {
            LOG_EVERY
        };
        let now = Instant::now();
        let last = *self.last.get_or_insert(now);
        if !changed && now.duration_since(last) < every {
            return;
        }
        self.last = Some(now);
        if self.on_terminal {
            // A status line that cannot be written is not worth ending for.
            let _ = write!(io::stderr(), "\r\x1b[2K{}", progress.line());
        } else {
            self.log(progress);
        }
    }

    fn log(&self, progress: &PostProgress<'_>) {
        let PostProgress {
            payloads,
            blocks,
            bytes,
            retries,
            ..
        } = *progress;
        let observer = &self.observer;
        match progress.state {
            PostState::Sending => {
                let per_second = progress.per_second();
                tracing::info!(%observer, payloads, blocks, bytes, retries, per_second, "posting");
            }
            PostState::Waiting {
                refusal,
                attempts,
                retry_in,
            } => {
                let (why, retry_in_ms) = (refusal.explained(), retry_in.as_millis());
                tracing::warn!(%observer, payloads, attempts, retry_in_ms, why, "waiting for the observer");
            }
        }
    }

    /// Ends the line on a terminal.
    pub fn finish(&mut self) {
        if self.on_terminal && self.last.take().is_some() {
            let _ = writeln!(io::stderr());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let refusal = Refusal::Status { status: 500 };
        let mut progress = PostProgress {
            payloads: 620,
            blocks: 407,
            bytes: 35_199_999,
            retries: 1,
            duplicates_sent: 0,
            elapsed: Duration::from_secs(2),
            state: PostState::Sending,
        };
        assert_eq!(progress.line(), "620 payloads, 407 blocks, 35.1 MB, 310/s");
        progress.state = PostState::Waiting {
            refusal: &refusal,
            attempts: 3,
            retry_in: Duration::from_millis(400),
        };
        let waiting =
            "; waiting: the observer answered 500 and not 200, attempt 3, again in 400 ms";
        assert!(progress.line().ends_with(waiting));
        progress.elapsed = Duration::ZERO;
        assert_eq!(progress.per_second(), 620_000);
    }
}
