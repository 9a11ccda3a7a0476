//! How fast the marketplace's chain is made, decoded and folded, and how soon a stranger sees a project. Prints
//! tables in Markdown.
//!
//! `cargo bench --bench marketplace -- [fold|memory|up]`, the first and the last without an argument. `memory` plays
//! 100,000 calls on the devnet's chain. The machine that executes the calls is clarity-vm, as in a node: it is what
//! the rest is measured against, together with a plain parse of the same bytes.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stxworx_clarity::codec::transaction::Payload;
use stxworx_clarity::market::Marketplace;
use stxworx_clarity::simnet::{Simnet, SimnetConfig};
use stxworx_indexer::decode::decode_block_for;
use stxworx_indexer::model::{Block, FollowSet, Mirror};
use stxworx_indexer::project::{States, apply_all, registry};

type Failure = Box<dyn std::error::Error>;

const BLOCKS: u32 = 400;
const ACTIONS: usize = 12;
const ROUNDS: u32 = 5;

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.iter().any(|w| w == name);
    if wanted.is_empty() || wants("fold") {
        fold()?;
    }
    if wants("memory") {
        memory()?;
    }
    if wanted.is_empty() || wants("up") {
        up()?;
    }
    Ok(())
}

/// A marketplace's chain in the making.
struct Play {
    chain: Simnet,
    market: Marketplace,
    steps: u32,
}

impl Play {
    fn new(seed: u64) -> Result<Self, Failure> {
        let market = Marketplace::new(seed);
        let chain = Simnet::new(SimnetConfig {
            seed,
            genesis: market.genesis(),
            ..SimnetConfig::default()
        })?;
        Ok(Self {
            chain,
            market,
            steps: 0,
        })
    }

    /// One block, as a payload, and the calls in it.
    fn block(&mut self) -> Result<(Vec<u8>, usize), Failure> {
        self.steps += 1;
        let jump = self.market.patience(&self.chain);
        if jump > 0 || self.steps.is_multiple_of(5) {
            self.chain.burn(jump.max(1));
        }
        self.market.act(&mut self.chain, ACTIONS);
        let block = self.chain.mine(200)?;
        let calls = block
            .receipts
            .iter()
            .filter(|r| matches!(r.transaction.payload, Payload::ContractCall { .. }))
            .count();
        Ok((block.new_block_payload().to_string().into_bytes(), calls))
    }

    fn follow(&self) -> FollowSet {
        let contracts = self.market.contracts();
        let followed = [
            &contracts.data,
            &contracts.logic,
            &contracts.badges,
            &contracts.security,
        ];
        FollowSet {
            mirror: Mirror::Followed,
            contracts: followed.map(ToString::to_string).into(),
            principals: BTreeSet::from([contracts.security.to_string()]),
        }
    }
}

fn row(what: &str, count: usize, unit: &str, time: Duration, slowest: Duration) {
    let seconds = time.as_secs_f64();
    println!(
        "| {what} | {:.0} {unit}/s | {:.2} ms | {:.0}x |",
        count as f64 / seconds,
        seconds * 1_000.0 / f64::from(BLOCKS),
        slowest.as_secs_f64() / seconds,
    );
}

fn fold() -> Result<(), Failure> {
    let mut play = Play::new(7)?;
    let (mut payloads, mut calls) = (Vec::new(), 0);
    let started = Instant::now();
    for _ in 0..BLOCKS {
        let (payload, some) = play.block()?;
        payloads.push(payload);
        calls += some;
    }
    let executed = started.elapsed();
    let follow = play.follow();

    let best = |work: &mut dyn FnMut() -> Result<(), Failure>| -> Result<Duration, Failure> {
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            work()?;
            best = best.min(started.elapsed());
        }
        Ok(best)
    };
    let parsed = best(&mut || {
        for payload in &payloads {
            let value: serde_json::Value = serde_json::from_slice(payload)?;
            std::hint::black_box(&value);
        }
        Ok(())
    })?;
    let mut blocks: Vec<Block> = Vec::new();
    let decoded = best(&mut || {
        blocks = payloads
            .iter()
            .map(|p| decode_block_for(p, &follow))
            .collect::<Result<_, _>>()?;
        Ok(())
    })?;
    let registry = registry();
    let mut versions = 0;
    let folded = best(&mut || {
        let mut states = States::new();
        versions = 0;
        for block in &blocks {
            let change = apply_all(&registry, block, &follow, &mut states)?;
            assert!(change.violations.is_empty(), "{:?}", change.violations);
            versions += change.versions.len();
        }
        Ok(())
    })?;
    let events: usize = blocks.iter().map(|b| b.events.len()).sum();
    let megabytes = payloads.iter().map(Vec::len).sum::<usize>() / 1_000_000;
    println!(
        "\n{BLOCKS} blocks of a marketplace: {calls} calls, {events} events, {versions} versions of states, {megabytes} MB of payloads.\n"
    );
    println!("| step | rate | per block | against execution |\n|---|---|---|---|");
    row(
        "executed by clarity-vm, signed, sealed, written as payloads",
        calls,
        "calls",
        executed,
        executed,
    );
    row(
        "payloads parsed by serde_json, for comparison",
        events,
        "events",
        parsed,
        executed,
    );
    row("decoded", events, "events", decoded, executed);
    row(
        "folded by every projection",
        events,
        "events",
        folded,
        executed,
    );
    Ok(())
}

fn resident_megabytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1_000
}

fn memory() -> Result<(), Failure> {
    const CALLS: usize = 100_000;
    let mut play = Play::new(8)?;
    let (mut calls, mut shown) = (0, 0);
    let started = Instant::now();
    println!("\n| calls | blocks | seconds | calls/s | resident |\n|---|---|---|---|---|");
    while calls < CALLS {
        calls += play.block()?.1;
        if calls * 10 / CALLS > shown {
            shown = calls * 10 / CALLS;
            let seconds = started.elapsed().as_secs_f64();
            println!(
                "| {calls} | {} | {seconds:.0} | {:.0} | {} MB |",
                play.steps,
                calls as f64 / seconds,
                resident_megabytes()
            );
        }
    }
    Ok(())
}

/// A child that does not outlive this process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn up() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let port = || -> Result<u16, Failure> {
        Ok(std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port())
    };
    let (observer, api, metrics, rpc) = (port()?, port()?, port()?, port()?);
    let started = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_stxworx"))
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .args(["up", "--for", "60s", "--devnet-bind"])
        .arg(format!("127.0.0.1:{rpc}"))
        .env("STXWORX_OBSERVER_LISTEN", format!("127.0.0.1:{observer}"))
        .env("STXWORX_API_LISTEN", format!("127.0.0.1:{api}"))
        .env("STXWORX_METRICS_LISTEN", format!("127.0.0.1:{metrics}"))
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let _running = Running(child);
    // Another installation before is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new()?;
    let seconds = runtime.block_on(async {
        let client = reqwest::Client::builder().build()?;
        let url = format!("http://127.0.0.1:{api}/v1/projects?limit=1");
        loop {
            if started.elapsed() > Duration::from_secs(50) {
                return Err("no project within 50 s".into());
            }
            if let Ok(answer) = client.get(&url).send().await
                && let Ok(body) = answer.json::<serde_json::Value>().await
                && body["data"].as_array().is_some_and(|data| !data.is_empty())
            {
                return Ok::<f64, Failure>(started.elapsed().as_secs_f64());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })?;
    println!(
        "\n`stxworx up` on an empty folder: {seconds:.1} s from start to the first project in the API, a new PostgreSQL cluster included."
    );
    Ok(())
}
