//! `stxworx backfill` from an archive.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use stxworx_indexer::source::archive::{self, ArchiveError, Input, Options, Report, Target, Watch};
use stxworx_indexer::store::{self, Access, migrate};
use tokio_util::sync::CancellationToken;

use super::backfill::BackfillArgs;
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Fills the inbox from an archive, beside a daemon that may be running.
///
/// # Errors
/// When the archive cannot be read to its end, or the database cannot be written.
pub(super) async fn backfill(
    config: &Config,
    args: &BackfillArgs,
    file: &str,
    (from, to): (Option<u32>, Option<u32>),
    cancel: &CancellationToken,
) -> Result<Outcome, CommandError> {
    let options = Options {
        from,
        to,
        commit_bytes: args.commit_bytes,
        segment_bytes: segment_bytes(args.commit_bytes),
        ..Options::default()
    };
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let input = Input::parse(file);
    let result = from_archive(config, database.url(), &input, &options, cancel).await;
    database.close().await;
    let report = result.map_err(CommandError::other)?;
    match args.output {
        OutputFormat::Json => {
            let json = serde_json::to_value(&report).map_err(CommandError::other)?;
            crate::cli::say!("{json:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&text(&report, to)),
    }
    Ok(Outcome::Done)
}

/// A part is made of whole segments, so they are not larger.
fn segment_bytes(commit_bytes: u64) -> usize {
    let usual = Options::default().segment_bytes;
    usize::try_from(commit_bytes).unwrap_or(usual).min(usual)
}

async fn from_archive(
    config: &Config,
    url: &str,
    input: &Input,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Report, ArchiveError> {
    let pool = store::pool(url, Access::Write, 2)?;
    migrate::migrate(&pool).await?;
    let target = Target {
        network: config.network.as_str().to_owned(),
        follow: config.follow.clone(),
    };
    let mut live = Live::new(input.name());
    let mut tell = |watch: &Watch| live.update(watch);
    let result = archive::backfill(&pool, &target, input, options, &mut tell, cancel).await;
    live.finish();
    pool.close().await;
    result
}

const MEGABYTE: u64 = 1_000_000;
const LIVE_EVERY: Duration = Duration::from_millis(200);
const LOG_EVERY: Duration = Duration::from_secs(5);
const BAR: u64 = 24;

/// Tells how it goes on standard error: a line that renews itself on a terminal, elsewhere a log line now and then.
struct Live {
    name: String,
    on_terminal: bool,
    last: Option<Instant>,
}

impl Live {
    fn new(name: String) -> Self {
        Self {
            name,
            on_terminal: std::io::stderr().is_terminal(),
            last: None,
        }
    }

    fn update(&mut self, watch: &Watch) {
        let every = if self.on_terminal {
            LIVE_EVERY
        } else {
            LOG_EVERY
        };
        let now = Instant::now();
        let last = *self.last.get_or_insert(now);
        if now.duration_since(last) < every {
            return;
        }
        self.last = Some(now);
        if self.on_terminal {
            // A status line that cannot be written is not worth ending for.
            let _ = write!(std::io::stderr(), "\r\x1b[2K{}", line(watch));
            return;
        }
        let counts = &watch.counts;
        tracing::info!(
            archive = self.name,
            percent = percent(watch),
            position_bytes = watch.position_bytes,
            megabytes_per_second = rate(watch, megabytes(watch)),
            blocks = counts.blocks,
            stored = counts.stored,
            bad_rows = counts.bad_rows,
            remaining_s = remaining(watch).map(|left| left.as_secs()),
            "reading an archive"
        );
    }

    fn finish(&mut self) {
        if self.on_terminal && self.last.take().is_some() {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// Text of this run, in MB.
fn megabytes(watch: &Watch) -> u64 {
    watch.position_bytes.saturating_sub(watch.began_at_bytes) / MEGABYTE
}

fn rate(watch: &Watch, count: u64) -> u64 {
    let millis = u64::try_from(watch.elapsed.as_millis()).unwrap_or(u64::MAX);
    count.saturating_mul(1000) / millis.max(1)
}

/// Share of the file that was read, if its size is known.
fn percent(watch: &Watch) -> Option<u64> {
    let size = watch.size_bytes.filter(|size| *size > 0)?;
    Some((watch.read_bytes.saturating_mul(100) / size).min(100))
}

/// Time to the end at the rate so far.
fn remaining(watch: &Watch) -> Option<Duration> {
    let left = watch.size_bytes?.checked_sub(watch.read_bytes)?;
    let millis = u64::try_from(watch.elapsed.as_millis()).ok()?;
    let millis = u128::from(millis) * u128::from(left) / u128::from(watch.read_bytes.max(1));
    Some(Duration::from_millis(u64::try_from(millis).ok()?))
}

fn line(watch: &Watch) -> String {
    let mut line = String::new();
    if let Some(percent) = percent(watch) {
        let filled = usize::try_from(percent * BAR / 100).unwrap_or(0);
        let rest = usize::try_from(BAR).unwrap_or(0).saturating_sub(filled);
        let _ = write!(
            line,
            "[{}{}] {percent:>3} %  ",
            "#".repeat(filled),
            ".".repeat(rest)
        );
    }
    let counts = &watch.counts;
    let _ = write!(
        line,
        "{} MB, {} MB/s, {} blocks, {}/s",
        watch.position_bytes / MEGABYTE,
        rate(watch, megabytes(watch)),
        counts.blocks,
        rate(watch, counts.blocks)
    );
    if let Some(left) = remaining(watch) {
        let seconds = left.as_secs();
        let _ = write!(line, ", {}:{:02} left", seconds / 60, seconds % 60);
    }
    line
}

fn text(report: &Report, to: Option<u32>) -> String {
    let counts = &report.counts;
    let mut text = match (report.was_done, report.is_done) {
        (true, _) => "this archive was read to its end before; nothing was done\n".to_owned(),
        (false, true) => "the archive was read to its end\n".to_owned(),
        (false, false) => {
            "stopped before the end of the archive; the same command goes on from here\n".to_owned()
        }
    };
    let heights = match counts.heights {
        Some((low, high)) => format!(" (heights {low} to {high})"),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "{} lines, {} blocks{heights}, {} Bitcoin blocks; {} payloads are new, {} were there before",
        counts.lines, counts.blocks, counts.burn_blocks, counts.stored, counts.repeated
    );
    for (count, what) in [
        (counts.skipped, "rows of other paths were left out"),
        (counts.out_of_range, "blocks are outside the range"),
        (counts.whole, "blocks could not be cut down and stay whole"),
        (
            counts.repeated_ids,
            "rows have an id that is not above all before",
        ),
        (
            counts.bad_rows,
            "payloads are not what their path promises; they are stored as they are",
        ),
    ] {
        if count > 0 {
            let _ = writeln!(text, "{count} {what}");
        }
    }
    if let (Some(to), Some((_, high))) = (to, counts.heights)
        && report.is_done
        && high < to
    {
        let _ = writeln!(text, "the archive ends at height {high}, below --to {to}");
    }
    if report.received > 0 {
        let _ = writeln!(
            text,
            "{} payloads wait for the pipeline of `stxworx run` or `stxworx up`",
            report.received
        );
    }
    if report.detached > 0 {
        let _ = writeln!(text, "{} blocks wait for a parent:", report.detached);
    }
    for hole in &report.holes {
        let _ = writeln!(
            text,
            "  {} is missing; {} wait for it",
            hole.parent, hole.waiting
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stxworx_indexer::store::archive::Counts;

    #[test]
    fn a_line_of_progress() {
        let mut watch = Watch {
            read_bytes: 25_000_000,
            size_bytes: Some(100_000_000),
            began_at_bytes: 100_000_000,
            position_bytes: 300_000_000,
            counts: Counts {
                blocks: 4_000,
                ..Counts::default()
            },
            elapsed: Duration::from_secs(2),
        };
        assert_eq!(
            line(&watch),
            "[######..................]  25 %  300 MB, 100 MB/s, 4000 blocks, 2000/s, 0:06 left"
        );
        watch.size_bytes = None;
        watch.elapsed = Duration::ZERO;
        assert_eq!(line(&watch), "300 MB, 200000 MB/s, 4000 blocks, 4000000/s");
    }
}
