//! The minter as a process of its own beside a devnet that forks: it is killed again and again, at any moment, while a
//! twin stands by, and every badge that was earned is minted once.

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use stxworx::config::Config;
use stxworx::daemon::Role;
use stxworx::devnet::{Devnet, Dials, RpcFaults};
use stxworx::post::ObserverUrl;
use stxworx_clarity::market::Actor;
use stxworx_clarity::rng::SeededRng;
use tokio_util::sync::CancellationToken;

use super::ended::{everything_that_was_earned, minted, never_twice, story};
use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::{eventually, run};
use crate::tools::{Daemon, stxworx};

/// Kills without being asked; `STXWORX_MINT_KILLS` asks for more.
const KILLS: u32 = 20;
/// Mints of ours that must be final in the end, at least.
const MINTS: i64 = 8;

pub fn indexer() -> Config {
    let deployer = Actor::of("deployer");
    let names = ["data", "logic", "badges", "security"];
    let followed = names.map(|n| deployer.contract(&format!("freelance-{n}")).to_string());
    config(&[
        ("follow.mirror", "\"followed\""),
        ("follow.contracts", &format!("{followed:?}")),
        // Beyond every fork, those over the long silence of the set-up as well.
        ("chain.finality_burn_blocks", "200"),
    ])
}

/// A minter that knows nothing but the database and the node. Its limits are those of a devnet, whose days are short.
pub fn minter(db: &TestDb, node: &str) -> Command {
    let secret = Actor::of("minter").secret.secret_bytes();
    let mut command = stxworx(&["run", "--roles", "minter"]);
    let settings = [
        ("DATABASE_URL", db.url.as_str()),
        ("STXWORX_METRICS_LISTEN", "127.0.0.1:0"),
        ("STXWORX_NODE_TIMEOUT_MS", "500"),
        ("STXWORX_LEASE_TTL_MS", "500"),
        ("STXWORX_CHAIN_FINALITY_BURN_BLOCKS", "6"),
        ("STXWORX_MINT_NODE_URLS", node),
        ("STXWORX_MINT_KEY_ENV", "DEVNET_MINTER"),
        ("STXWORX_MINT_PAUSE_MS", "100"),
        ("STXWORX_MINT_GRACE_SECONDS", "2"),
        ("STXWORX_MINT_BUMP_AFTER_SECONDS", "6"),
        ("STXWORX_MINT_PER_HOUR", "10000"),
        ("STXWORX_MINT_PER_RECIPIENT_PER_DAY", "100"),
    ];
    for (name, value) in settings {
        command.env(name, value);
    }
    command.env("DEVNET_MINTER", hex::encode(secret));
    command
}

/// A devnet that tells a daemon of its blocks.
pub async fn start(app: &App, dials: Dials, cancel: &CancellationToken) -> Devnet {
    start_until(app, dials, cancel, cancel.child_token()).await
}

/// The same, with blocks until it is told to make no more.
pub async fn start_until(
    app: &App,
    dials: Dials,
    cancel: &CancellationToken,
    producing: CancellationToken,
) -> Devnet {
    let observer = ObserverUrl::parse(&app.observer_url()).unwrap();
    Devnet::start(
        dials,
        "127.0.0.1:0".parse().unwrap(),
        vec![observer],
        cancel.clone(),
        producing,
    )
    .await
    .unwrap()
}

pub fn dials() -> Dials {
    Dials {
        seed: 4,
        block_interval: Duration::from_millis(25),
        fork_every: 12,
        fork_depth: 3,
        minter_apart: true,
        // A node that takes what is sent and does not say so, or says so and does not take it.
        faults: RpcFaults {
            swallowed_percent: 10,
            unanswered_percent: 10,
            failed_percent: 5,
            ..RpcFaults::default()
        },
        ..Dials::default()
    }
}

#[test]
fn killed_at_any_moment_it_mints_every_earned_badge_once() {
    run(async {
        let kills = std::env::var("STXWORX_MINT_KILLS").ok();
        let kills: u32 = kills.map_or(KILLS, |text| text.parse().unwrap());
        let db = TestDb::new().await;
        let app = App::try_start(&db.url, &indexer(), &[Role::Indexer])
            .await
            .unwrap();
        let cancel = CancellationToken::new();
        let mut devnet = start(&app, dials(), &cancel).await;
        let node = format!("http://{}", devnet.rpc);
        let mut twins = [
            Daemon::spawn(minter(&db, &node)),
            Daemon::spawn(minter(&db, &node)),
        ];
        eventually("a first mint on its way", || async {
            match db.number("select count(*) from tx_attempt").await {
                0 => Err(story(&db).await),
                count => Ok(count),
            }
        })
        .await;
        let mut rng = SeededRng::new(11);
        for _ in 0..kills {
            tokio::time::sleep(Duration::from_millis(rng.between(50, 1_200))).await;
            let at = rng.index(2);
            twins[at].signal(Signal::SIGKILL);
            assert_eq!(
                twins[at].ended().await,
                None,
                "it was killed, and did not end"
            );
            twins[at] = Daemon::spawn(minter(&db, &node));
        }
        eventually("enough mints", || async {
            match minted(&db).await {
                count if count >= MINTS => Ok(()),
                _ => Err(story(&db).await),
            }
        })
        .await;
        everything_that_was_earned(&db).await;
        never_twice(&db).await;
        for twin in &mut twins {
            twin.signal(Signal::SIGTERM);
            assert_eq!(twin.ended().await, Some(0));
        }
        let forks = db.number("select count(*) from reorg").await;
        let attempts = db.number("select count(*) from tx_attempt").await;
        let epoch = db.number("select epoch from mint_lane").await;
        println!(
            "{kills} kills, {forks} forks, {} mints, {attempts} attempts, epoch {epoch}",
            minted(&db).await
        );
        assert!(forks > 0 && epoch > 1);
        cancel.cancel();
        devnet.wait().await.unwrap();
        app.stop().await.unwrap();
        db.drop().await;
    });
}
