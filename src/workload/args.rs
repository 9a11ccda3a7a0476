//! The command line of `stxworx workload`.

use super::generator::Workload;
use super::network::Network;
use super::params::{Happening, Params};
use super::summary::WorkloadSummary;
use crate::post::OutputFormat;
use crate::recording::{Compression, RecordingError, RecordingWriter};
use std::io::Write;
use std::path::PathBuf;

/// Receipt times of a generated recording begin here (2026-01-01, Unix milliseconds) and are 10 ms apart.
const FIRST_RECEIPT_MS: u64 = 1_767_225_600_000;
const RECEIPT_STEP_MS: u64 = 10;
/// Far above any chain, and far from overflow.
const MAX_HEIGHT: u64 = 1 << 40;

/// Generate a recording of a made-up marketplace on Stacks, with forks and whatever else a node may send.
#[derive(Clone, Debug, clap::Args)]
pub struct WorkloadArgs {
    /// The file to write; gzip if its name ends in .gz.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// The parameters of the shipped demo recording; no others may be given.
    #[arg(long, conflicts_with_all = [
        "blocks", "txs", "events", "share", "transfers", "failures", "reorg_every", "reorg_depth", "tenure",
        "signers", "users", "other_contracts", "seed", "network", "root_height", "burn_height", "no_genesis",
        "ordered_events", "mempool", "at",
    ])]
    pub demo: bool,
    /// Height of the canonical chain above its root.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(..=MAX_HEIGHT))]
    pub blocks: u64,
    /// Transactions per block.
    #[arg(long, value_name = "T", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub txs: u32,
    /// Prints per block.
    #[arg(long, value_name = "E", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub events: u32,
    /// Share of the prints that the four followed contracts make, 0 to 1.
    #[arg(long, value_name = "S", default_value_t = 0.02)]
    pub share: f64,
    /// Percentage of transactions that are plain transfers.
    #[arg(long, value_name = "PERCENT", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub transfers: u8,
    /// Percentage of transactions that fail.
    #[arg(long, value_name = "PERCENT", default_value_t = 4, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub failures: u8,
    /// A fork whenever the height is a multiple of K; 0: none.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub reorg_every: u64,
    /// Blocks that such a fork orphans.
    #[arg(long, value_name = "D", default_value_t = 3)]
    pub reorg_depth: u32,
    /// Stacks blocks per Bitcoin block.
    #[arg(long, value_name = "T", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub tenure: u32,
    /// Signatures per block.
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub signers: u32,
    /// Accounts that act.
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub users: u32,
    /// Contracts that nobody follows.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    pub other_contracts: u32,
    /// Seed; the same parameters and seed give the same file.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Addresses and version bytes.
    #[arg(long, value_enum, default_value_t = Network::Mainnet)]
    pub network: Network,
    /// Height of the unannounced block below the first; 0 begins with genesis.
    #[arg(long, value_name = "H", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=MAX_HEIGHT))]
    pub root_height: u64,
    /// Bitcoin height before the first tenure.
    #[arg(long, value_name = "H", default_value_t = 930_000, value_parser = clap::value_parser!(u64).range(..=MAX_HEIGHT))]
    pub burn_height: u64,
    /// Do not announce genesis.
    #[arg(long)]
    pub no_genesis: bool,
    /// Write the events of a block in order, which a node does not.
    #[arg(long)]
    pub ordered_events: bool,
    /// Percentage of blocks whose transactions are announced in the mempool before.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub mempool: u8,
    /// Something special after the block at a height: HEIGHT=WHAT with genesis, duplicate, replacement, fork:N,
    /// fork-and-back:N or bitcoin-reorg:N.
    #[arg(long, value_name = "HEIGHT=WHAT", value_parser = parse_at)]
    pub at: Vec<(u64, Happening)>,
    /// How the counts are printed on standard output.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

fn parse_at(text: &str) -> Result<(u64, Happening), String> {
    let (height, what) = text.split_once('=').ok_or("expected HEIGHT=WHAT")?;
    let height = height
        .parse()
        .map_err(|error| format!("the height is not a number: {error}"))?;
    Ok((
        height,
        what.parse()
            .map_err(|error: super::HappeningError| error.to_string())?,
    ))
}

impl WorkloadArgs {
    /// The parameters asked for.
    pub fn params(&self) -> Params {
        if self.demo {
            return Params::demo();
        }
        Params {
            network: self.network,
            seed: self.seed,
            blocks: self.blocks,
            txs: self.txs,
            events: self.events,
            share: self.share,
            transfer_percent: self.transfers,
            failure_percent: self.failures,
            tenure: self.tenure,
            signers: self.signers,
            users: self.users,
            other_contracts: self.other_contracts,
            root_height: self.root_height,
            burn_height: self.burn_height,
            genesis: !self.no_genesis,
            shuffle_events: !self.ordered_events,
            mempool_percent: self.mempool,
            reorg_every: self.reorg_every,
            reorg_depth: self.reorg_depth,
            happenings: self.at.clone(),
        }
    }
}

/// Why a workload could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The recording could not be written.
    #[error("cannot write the workload")]
    Recording {
        /// Why.
        #[from]
        source: RecordingError,
    },
    /// The counts could not be printed.
    #[error("cannot print the result")]
    Output {
        /// The system's answer.
        source: std::io::Error,
    },
}

/// Writes the file that the arguments ask for. Blocking.
///
/// # Errors
/// [`WorkloadError::Recording`] if the file cannot be written.
pub fn write_file(args: &WorkloadArgs) -> Result<WorkloadSummary, WorkloadError> {
    let mut workload = Workload::new(args.params());
    let mut writer = RecordingWriter::create(&args.out, Compression::of_name(&args.out))?;
    let mut received_ms = FIRST_RECEIPT_MS;
    for entry in workload.by_ref() {
        writer.write(&entry, received_ms, 200)?;
        received_ms += RECEIPT_STEP_MS;
    }
    writer.finish()?;
    Ok(workload.summary().clone())
}

/// Runs `stxworx workload`: writes the file, prints its counts on standard output. Blocking.
///
/// # Errors
/// [`WorkloadError`] if the file or the counts cannot be written.
pub fn run(args: &WorkloadArgs) -> Result<WorkloadSummary, WorkloadError> {
    let summary = write_file(args)?;
    let text = match args.output {
        OutputFormat::Text => summary.text(),
        OutputFormat::Json => {
            let json = serde_json::to_string(&summary);
            json.map_err(|error| WorkloadError::Output {
                source: error.into(),
            })? + "\n"
        }
    };
    write!(std::io::stdout(), "{text}").map_err(|source| WorkloadError::Output { source })?;
    Ok(summary)
}
