//! `stxworx devnet`: the devnet alone.

use clap::Args;
use stxworx_clarity::market::{Actor, Marketplace};
use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, DevnetArgs, Outcome};
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
