//! `stxworx mints signer`: the key on a machine of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use stxworx_clarity::codec::ContractId;
use stxworx_reconciler::mint::signer::service::Service;
use stxworx_reconciler::mint::signer::{Bounds, LocalSigner, SharedSecret, SharedSecretError};
use tokio_util::sync::CancellationToken;

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::daemon::signer::{SignerError, serve};
use crate::secrets::{SecretError, open_key, read_secret};

/// Options of `mints signer`.
#[derive(Debug, Args)]
pub struct SignerArgs {
    /// Where to listen. Keep it inside a private network, or behind something that speaks TLS.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// The key file.
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// File with the passphrase; without it, it is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the secret that the minter knows, too: 32 characters or more.
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// The badge contract, whose `mint` is signed.
    #[arg(long, value_name = "CONTRACT")]
    pub badges: ContractId,
    /// The contract that noops pay; freelance-security of the same address without it.
    #[arg(long, value_name = "CONTRACT")]
    pub noop_to: Option<ContractId>,
    /// Highest fee that is signed, micro-STX.
    #[arg(long, value_name = "MICRO_STX", default_value_t = 500_000)]
    pub fee_cap: u64,
    /// Different transactions that are signed in any hour, at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 120)]
    pub per_hour: u32,
}

/// Why there is no signer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the file with the shared secret cannot be used")]
    Shared(#[from] SharedSecretError),
    #[error("{contract} names no contract to pay noops to; name one with --noop-to")]
    NoopTo {
        contract: ContractId,
        source: stxworx_clarity::codec::NameError,
    },
    #[error(transparent)]
    Serve(#[from] SignerError),
}

/// Signs until it is cancelled.
///
/// # Errors
/// When the key cannot be opened or the port not be had.
pub async fn signer(
    config: &Config,
    args: &SignerArgs,
    cancel: CancellationToken,
) -> Result<Outcome, CommandError> {
    run(config, args, cancel)
        .await
        .map_err(CommandError::other)?;
    Ok(Outcome::Done)
}

async fn run(config: &Config, args: &SignerArgs, cancel: CancellationToken) -> Result<(), Failed> {
    let noop_to = match &args.noop_to {
        Some(contract) => contract.clone(),
        None => args
            .badges
            .issuer
            .contract("freelance-security")
            .map_err(|source| Failed::NoopTo {
                contract: args.badges.clone(),
                source,
            })?,
    };
    let secret = SharedSecret::new(read_secret(&args.secret_file)?.to_string())?;
    let key = open_key(&args.key_file, args.passphrase_file.as_deref())?;
    let bounds = Bounds {
        chain_id: config.network.id(),
        badges: args.badges.clone(),
        noop_to,
        fee_cap: args.fee_cap,
    };
    let signer = LocalSigner::new(key, bounds);
    let per_hour = usize::try_from(args.per_hour).unwrap_or(usize::MAX);
    let service = Service::new(signer, secret, per_hour);
    serve(args.listen, service, cancel, |address, sender| {
        eprintln!(
            "signing for {sender} on {address}: `mint` of {}, at most {} µSTX each, {} an hour. Ctrl-C ends it.",
            args.badges, args.fee_cap, args.per_hour
        );
    })
    .await?;
    Ok(())
}
