//! The devnet beside a daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use stxworx_clarity::codec::{Principal, Value, sha512_256};
use stxworx_clarity::contracts::SOURCES;
use stxworx_clarity::market::{Actor, Marketplace};
use stxworx_clarity::simnet::BlockId;
use stxworx_indexer::store;
use stxworx_reconciler::mint::signer::Key;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::summary::CursorProof;
use crate::cli::CommandError;
use crate::config::Config;
use crate::config::platform::PlatformConfig;
use crate::daemon::{Daemon, Database};
use crate::devnet::backend::{self, Backend};
use crate::devnet::{Devnet, Dials, Progress, SharedChain};
use crate::post::ObserverUrl;

/// A devnet that runs beside the daemon.
pub(super) struct Beside {
    chain: SharedChain,
    progress: Progress,
    producing: CancellationToken,
    /// Height of a mirror that was kept, which the chain has to come to first.
    kept: u32,
    /// Says why the devnet failed, once it does.
    pub failed: watch::Receiver<Option<String>>,
}

/// Why a devnet that is beside a kept mirror cannot be used.
#[derive(Debug, thiserror::Error)]
enum ChainError {
    #[error(
        "the mirror in {} follows a devnet with other dials or contracts ({was}); use those, another --data-dir, or remove the folder (`make clean-data`)",
        folder.display()
    )]
    Other { folder: PathBuf, was: String },
    #[error("{} cannot be written", path.display())]
    Note {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the devnet failed: {0}")]
    Failed(String),
}

/// What shapes blocks: some of the dials, and the contracts. Speed and faults of delivery do not.
fn shape(dials: &Dials) -> String {
    let sources: String = SOURCES.iter().map(|(_, source)| *source).collect();
    // Without it, the words are those of mirrors that were kept before it was there.
    let apart = if dials.minter_apart {
        " --minter-apart"
    } else {
        ""
    };
    format!(
        "--seed {} --transactions {} --fork-every {} --fork-depth {} --burn-reorg-every {}{apart}, contracts {}",
        dials.seed,
        dials.transactions,
        dials.fork_every,
        dials.fork_depth,
        dials.burn_reorg_every,
        hex::encode(&sha512_256(sources.as_bytes())[..4])
    )
}

/// A devnet's chain is played from its start each time: a mirror that is kept must belong to the same one.
pub(super) fn same_chain(config: &Config, dials: &Dials) -> Result<(), CommandError> {
    if config.database_url.is_some() {
        return Ok(());
    }
    let folder = config.data_dir.clone();
    let path = folder.join("devnet.dials");
    let now = shape(dials);
    match std::fs::read_to_string(&path) {
        Ok(was) if was.trim() != now => Err(CommandError::other(ChainError::Other {
            folder,
            was: was.trim().to_owned(),
        })),
        Ok(_) => Ok(()),
        Err(_) => std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, &now))
            .map_err(|source| CommandError::other(ChainError::Note { path, source })),
    }
}

/// Bitcoin blocks that the signers let pass at once while the marketplace is set up.
const LONGEST_JUMP: u32 = 144;

/// Nothing is final that the devnet was asked to fork away: a fork may reach over so many Bitcoin blocks.
pub(super) fn beyond_forks(config: &Config, dials: &Dials) -> Config {
    let reach = LONGEST_JUMP.saturating_add(dials.fork_depth);
    let mut config = config.clone();
    config.finality_burn_blocks = config.finality_burn_blocks.saturating_add(reach);
    config
}

/// Name of the platform's database on the embedded server.
const PLATFORM: &str = "platform";

/// Makes a platform beside the devnet, to be reconciled, unless another one is named or the database is not ours.
/// Its address, and the configuration with it.
pub(super) async fn platform_beside(
    config: &Config,
    (dials, rpc): (&Dials, std::net::SocketAddr),
    database: &Database,
) -> Result<(Config, Option<String>), CommandError> {
    let mut config = config.clone();
    let url = database
        .beside(PLATFORM)
        .filter(|_| config.platform.is_none());
    if let Some(url) = &url {
        backend::prepare(database.url(), PLATFORM, url)
            .await
            .map_err(CommandError::other)?;
        // The one token that the devnet's people pay with.
        let token = Marketplace::new(dials.seed).contracts().token.to_string();
        let assets = [("sBTC".to_owned(), token)].into();
        let finality = config.finality_burn_blocks;
        let mut platform = PlatformConfig::hurried(url.clone(), assets, finality);
        // Whatever port it gets in the end, only a given one is known before.
        platform.node_url = (rpc.port() != 0).then(|| format!("http://{rpc}"));
        config.platform = Some(platform);
    }
    Ok((config, url))
}

/// Starts the backend of a platform.
pub(super) fn start_backend(
    url: &str,
    seed: u64,
    daemon: &Daemon,
    cancel: CancellationToken,
) -> Result<JoinHandle<()>, CommandError> {
    let backend = Backend::new(daemon.reader.clone(), url, seed).map_err(CommandError::other)?;
    let running = tokio::spawn(backend.run(Duration::from_secs(1), cancel));
    eprintln!(
        "  platform  a backend with a database of its own, which errs; `stxworx breaks list` says where"
    );
    Ok(running)
}

/// Starts a devnet that posts to the daemon.
pub(super) async fn start_devnet(
    dials: Dials,
    bind: SocketAddr,
    config: &Config,
    daemon: &mut Daemon,
    cancel: CancellationToken,
) -> Result<Beside, CommandError> {
    let observer = daemon
        .addresses
        .observer
        .map(|a| format!("http://{a}"))
        .unwrap_or_default();
    let observer = ObserverUrl::parse(&observer).map_err(CommandError::other)?;
    let kept = store::health(&daemon.reader)
        .await
        .map_err(CommandError::other)?;
    let kept = kept.tip_height.and_then(|h| u32::try_from(h).ok());
    let kept = kept.unwrap_or(0);
    let dials = Dials {
        hurry_to: kept,
        ..dials
    };
    let producing = cancel.child_token();
    // With the mirror in its folder: the two belong together.
    let journal = config.data_dir.join("devnet.journal");
    let mut devnet = Devnet::start_with(
        dials,
        bind,
        vec![observer],
        (cancel.clone(), producing.clone()),
        config.database_url.is_none().then_some(journal.as_path()),
    )
    .await
    .map_err(CommandError::other)?;
    eprintln!(
        "  devnet    http://{}/v2/info       a Stacks node with a marketplace on it (seed {})",
        devnet.rpc, dials.seed
    );
    daemon
        .start_audit(config, &format!("http://{}", devnet.rpc))
        .map_err(CommandError::other)?;
    if dials.minter_apart && config.database_url.is_none() {
        start_minter(config, &format!("http://{}", devnet.rpc), &dials, daemon)?;
    }
    let (chain, progress) = (devnet.chain.clone(), devnet.progress.clone());
    let (fail, failed) = watch::channel(None);
    tokio::spawn(async move {
        if let Err(error) = devnet.wait().await {
            let text = stxworx_indexer::error_chain(&error).to_string();
            // Nobody listens once `up` has ended.
            let _ = fail.send(Some(text));
        }
    });
    Ok(Beside {
        chain,
        progress,
        producing,
        kept,
        failed,
    })
}

/// Bitcoin blocks behind the deepest fork after which the devnet's badges are final.
const FINAL_BEHIND_FORKS: u32 = 3;

/// Leaves the badges to a minter beside the devnet, unless that is not wanted, or the database is another's: what is
/// minted is kept in the folder of the mirror, with the devnet's journal.
pub(super) fn with_minter(config: &Config, no_mints: bool, dials: Dials) -> Dials {
    Dials {
        minter_apart: dials.minter_apart || (!no_mints && config.database_url.is_none()),
        ..dials
    }
}

/// The books show what the minter pays for its transactions, beside what is configured.
pub(super) fn paying(config: &Config, dials: &Dials) -> Config {
    let mut config = config.clone();
    let minter = Actor::of("minter").principal().to_string();
    let mints = dials.minter_apart && config.database_url.is_none();
    if mints && !config.ledger_fee_payers.contains(&minter) {
        config.ledger_fee_payers.push(minter);
    }
    config
}

/// Mints what the devnet's people earn, with the key that its signers made a minter.
///
/// What is final for the mirror is beyond every fork, those over the long silence of the beginning as well, in which
/// nobody earns anything; a minter need not wait as long.
fn start_minter(
    config: &Config,
    node: &str,
    dials: &Dials,
    daemon: &mut Daemon,
) -> Result<(), CommandError> {
    let finality = dials.fork_depth.saturating_add(FINAL_BEHIND_FORKS);
    let secret = Actor::of("minter").secret.secret_bytes();
    let key = Key::from_bytes(&secret).map_err(CommandError::other)?;
    let config = Config {
        mint: config.mint.hurried(node.to_owned(), finality),
        ..config.clone()
    };
    daemon
        .start_minter(&config, Some(key))
        .map_err(CommandError::other)?;
    eprintln!("  minter    mints the badges that are earned; `stxworx mints list` says which");
    Ok(())
}

/// Resolves when the devnet fails.
pub(super) async fn ended(failed: Option<watch::Receiver<Option<String>>>) -> CommandError {
    if let Some(mut failed) = failed
        && let Ok(text) = failed.wait_for(Option::is_some).await
    {
        return CommandError::other(ChainError::Failed(text.clone().unwrap_or_default()));
    }
    std::future::pending().await
}

/// How long the mirror may take to arrive at the devnet's tip when the time is over.
const SETTLE: Duration = Duration::from_secs(60);

impl Beside {
    /// Stops the making of blocks, and waits until the mirror has the last one.
    pub(super) async fn settle(&self, pool: &PgPool) {
        let started = Instant::now();
        while self.chain.lock().tip().header.height < self.kept && started.elapsed() < SETTLE {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.producing.cancel();
        while started.elapsed() < SETTLE {
            let tip = self.chain.lock().tip().header.clone();
            let arrived = store::market::tip(pool).await.ok().flatten();
            let waiting = store::health(pool).await.map_or(1, |h| h.received);
            if arrived.is_some_and(|id| id == tip.id) && waiting == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tracing::warn!(
            produced = ?self.progress.produced(),
            "the mirror did not arrive at the devnet's tip within {} s",
            SETTLE.as_secs()
        );
    }

    /// Compares each contract's chain of events with the contract's own cursor, at the mirror's tip.
    pub(super) async fn prove(&self, pool: &PgPool) -> Vec<CursorProof> {
        let (Ok(Some(tip)), Ok(summary)) = (
            store::market::tip(pool).await,
            store::market::summary(pool).await,
        ) else {
            return Vec::new();
        };
        let prove = |line: store::market::ChainLine| CursorProof {
            proved: self.cursor(&tip, &line.contract).map(|(seq, head)| {
                seq.to_string() == line.seq
                    && format!("0x{}", hex::encode(head)) == line.head
                    && line.breaks == 0
            }),
            contract: line.contract,
            seq: line.seq,
        };
        summary.chains.into_iter().map(prove).collect()
    }

    fn cursor(&self, tip: &BlockId, contract: &str) -> Option<(u128, Vec<u8>)> {
        let Ok(Principal::Contract(id)) = contract.parse() else {
            return None;
        };
        let sender = Principal::Standard(id.issuer);
        let cursor = self
            .chain
            .lock()
            .call_read(tip, &sender, &id, "get-cursor", &[])
            .ok()?;
        match cursor.get("head")? {
            Value::Buffer(head) => Some((cursor.get("seq")?.as_u128()?, head.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_books_show_the_fees_of_a_minter_that_is_started() {
        let config = Config::load(&Sources {
            file: None,
            env: &|_| None,
            flags: Vec::new(),
        })
        .unwrap();
        let payers = |config: &Config, no_mints| {
            let dials = with_minter(config, no_mints, Dials::default());
            paying(config, &dials).ledger_fee_payers
        };
        let minter = Actor::of("minter").principal().to_string();
        assert_eq!(payers(&config, false), [minter.as_str()]);
        assert_eq!(payers(&config, true), [""; 0]);
        let named = paying(&config, &with_minter(&config, false, Dials::default()));
        assert_eq!(payers(&named, false), [minter.as_str()], "once");
        let elsewhere = Config {
            database_url: Some("postgres://u@127.0.0.1/d".to_owned()),
            ..config
        };
        assert_eq!(payers(&elsewhere, false), [""; 0]);
    }
}
