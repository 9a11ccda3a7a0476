//! `stxworx devnet`: the devnet alone.

use std::time::Duration;

use clap::Args;
use stxworx_clarity::market::{Actor, Marketplace};
use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, Outcome};
use crate::devnet::{Devnet, RpcFaults};
use crate::post::ObserverUrl;

/// What a devnet's RPC does wrong.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Faults of the devnet's RPC")]
pub struct FaultArgs {
    /// Percentage of transactions that are answered with 200 and not stored.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub rpc_swallowed: u8,
    /// Percentage of transactions that are answered with 200 and forgotten at the next block.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub rpc_lost: u8,
    /// Percentage of transactions that are stored and not answered.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub rpc_unanswered: u8,
    /// Percentage of transactions that are answered with 500; half of them are stored.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub rpc_failed: u8,
    /// Percentage of fees that are estimated as nothing, as more than anybody has, or not at all.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub rpc_absurd_fees: u8,
}

impl FaultArgs {
    /// As a devnet takes them.
    pub(crate) fn faults(&self) -> RpcFaults {
        RpcFaults {
            swallowed_percent: self.rpc_swallowed,
            lost_percent: self.rpc_lost,
            unanswered_percent: self.rpc_unanswered,
            failed_percent: self.rpc_failed,
            absurd_fees_percent: self.rpc_absurd_fees,
        }
    }
}

/// How the devnet behaves.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Devnet")]
pub struct DialArgs {
    /// Seed: the same one, with the same dials, makes the same blocks.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Stacks blocks per second; 0 for as many as the machine can make.
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    pub speed: u32,
    /// About so many transactions a block.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    pub transactions: usize,
    /// Fork each time the chain has grown by so many blocks; 0 for never.
    #[arg(long, value_name = "BLOCKS", default_value_t = 25)]
    pub fork_every: u32,
    /// Blocks that a fork replaces.
    #[arg(long, value_name = "BLOCKS", default_value_t = 3)]
    pub fork_depth: u32,
    /// Reorganise Bitcoin each time the chain has grown by so many blocks; 0 for never.
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    pub burn_reorg_every: u32,
    /// Restart, as an observer sees it, each time the chain has grown by so many blocks; 0 for never.
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    pub restart_every: u32,
    /// Percentage of payloads that are delivered twice.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub doubled: u8,
    /// Payloads arrive up to so many places late.
    #[arg(long, value_name = "PLACES", default_value_t = 0)]
    pub late: usize,
    /// Percentage of payloads that are held back until a restart, or for 40 payloads.
    #[arg(long, value_name = "PERCENT", default_value_t = 0)]
    pub lost: u8,
    /// Leave the key of the role `minter`, and most badges, to somebody outside.
    #[arg(long)]
    pub minter_apart: bool,
    /// What the RPC does wrong.
    #[command(flatten)]
    pub faults: FaultArgs,
}

impl DialArgs {
    /// The dials, checked.
    ///
    /// # Errors
    /// When they make no chain.
    pub fn dials(&self) -> Result<crate::devnet::Dials, crate::devnet::DialsError> {
        let dials = crate::devnet::Dials {
            seed: self.seed,
            block_interval: Duration::from_secs(1)
                .checked_div(self.speed)
                .unwrap_or_default(),
            transactions: self.transactions,
            fork_every: self.fork_every,
            fork_depth: self.fork_depth,
            burn_reorg_every: self.burn_reorg_every,
            restart_every: self.restart_every,
            doubled_percent: self.doubled,
            late_by: self.late,
            lost_percent: self.lost,
            minter_apart: self.minter_apart,
            faults: self.faults.faults(),
            ..crate::devnet::Dials::default()
        };
        dials.check()?;
        Ok(dials)
    }
}

/// Options of `devnet`.
#[derive(Debug, Args)]
pub struct DevnetArgs {
    /// Where the RPC listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:20443")]
    pub bind: std::net::SocketAddr,
    /// Post events to this observer, as a node does; may be given several times.
    #[arg(long, value_name = "URL")]
    pub observer: Vec<String>,
    /// End by itself after this time; for instance 60s, 5m, 1h.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::cli::duration)]
    pub run_for: Option<Duration>,
    /// How it behaves.
    #[command(flatten)]
    pub dials: DialArgs,
}

/// Runs the devnet until it is cancelled or its time is over.
///
/// # Errors
/// When it cannot start, or a part of it fails.
pub async fn devnet(args: &DevnetArgs, cancel: CancellationToken) -> Result<Outcome, CommandError> {
    let dials = args.dials.dials().map_err(CommandError::other)?;
    let observers = args
        .observer
        .iter()
        .map(|url| ObserverUrl::parse(url))
        .collect::<Result<Vec<_>, _>>()
        .map_err(CommandError::other)?;
    let mut devnet = Devnet::start(
        dials,
        args.bind,
        observers,
        cancel.clone(),
        cancel.child_token(),
    )
    .await
    .map_err(CommandError::other)?;
    announce(&devnet, args);
    if let Some(time) = args.run_for {
        let (stop, cancelled) = (cancel.clone(), cancel.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(time) => stop.cancel(),
                () = cancelled.cancelled() => {}
            }
        });
    }
    let ended = devnet.wait().await;
    let produced = devnet.progress.produced();
    crate::cli::say!(
        "made {} Stacks blocks on {} Bitcoin blocks, {} transactions, {} events, {} forks, {} Bitcoin reorgs, {} restarts",
        produced.blocks,
        produced.burn_blocks,
        produced.transactions,
        produced.events,
        produced.forks,
        produced.burn_reorgs,
        produced.restarts
    );
    ended.map_err(CommandError::other)?;
    Ok(Outcome::Done)
}

fn announce(devnet: &Devnet, args: &DevnetArgs) {
    eprintln!(
        "the devnet is up (seed {}). Ctrl-C ends it.",
        args.dials.seed
    );
    eprintln!("  RPC       http://{}/v2/info", devnet.rpc);
    for observer in &args.observer {
        eprintln!("  observer  {observer}");
    }
    eprintln!("  contracts of {}", Actor::of("deployer").address);
    eprintln!(
        "  accounts  10,000,000 STX each; the keys are known to everybody and worth nothing:"
    );
    for role in Marketplace::new(args.dials.seed).roles() {
        let actor = Actor::of(&role);
        eprintln!(
            "    {role:<14} {}  {}01",
            actor.address,
            hex::encode(actor.secret.secret_bytes())
        );
    }
}
