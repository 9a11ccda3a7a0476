//! The command line of `stxworx post`.

use super::{ObserverUrl, Order, PostError, PostOptions};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Send a recording to an event observer, as a stacks-node does.
#[derive(Clone, Debug, clap::Args)]
pub struct PostArgs {
    /// Recording: NDJSON or a TSV event archive, plain, gzip or zstd; `-` reads standard input.
    pub file: PathBuf,
    /// Address of the event observer, such as http://127.0.0.1:3700; TLS is not spoken, as nodes do not.
    #[arg(long, value_name = "URL")]
    pub observer: String,
    /// Payloads per second at most; 0 sends as fast as the observer answers.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub rate: u32,
    /// Send out of order: no payload is moved by this many places or more; 0 keeps the order.
    #[arg(long, value_name = "W", default_value_t = 0)]
    pub shuffle_window: usize,
    /// Percentage (0 to 100) of payloads that are sent a second time, at most W (and at least 8) payloads later.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub duplicate: u8,
    /// Send only these paths, separated by commas, such as /new_block,/new_burn_block.
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    pub paths: Vec<String>,
    /// Leave out the first N payloads (of those selected by --paths).
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip: u64,
    /// Stop after N payloads of the recording (repeated ones not counted).
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Time for one attempt, in milliseconds: connecting, sending and receiving.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub timeout_ms: u64,
    /// Seed of --shuffle-window, --duplicate and the jitter of retries.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Keep one connection open; a node opens one per payload.
    #[arg(long)]
    pub keep_alive: bool,
    /// Give up when one payload has been refused for so many seconds; without it, retry for ever as a node does.
    #[arg(long, value_name = "SECS")]
    pub give_up_after: Option<u64>,
    /// How the result is printed on standard output.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

impl PostArgs {
    /// The checked options.
    ///
    /// # Errors
    /// [`PostError::Observer`] if the address is not a usable `http://` URL.
    pub fn options(&self) -> Result<PostOptions, PostError> {
        Ok(PostOptions {
            observer: ObserverUrl::parse(&self.observer)?,
            rate_per_second: NonZeroU32::new(self.rate),
            order: Order {
                paths: self.paths.clone(),
                skip: self.skip,
                limit: self.limit,
                shuffle_window: self.shuffle_window,
                duplicate_percent: self.duplicate,
                seed: self.seed,
            },
            timeout: Duration::from_millis(self.timeout_ms),
            keep_alive: self.keep_alive,
            give_up_after: self.give_up_after.map(Duration::from_secs),
        })
    }
}
