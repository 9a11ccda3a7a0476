//! How fast the mirror is: ingest, push to visible, reorg. Prints tables in Markdown.
//!
//! `cargo bench --bench mirror -- [ingest|latency|reorg]`, all three without an argument. The daemon is the real
//! binary on a private Postgres with full durability; this process posts as a stacks-node does and
//! looks at the tables. Only ratios within one run mean something: machines differ and are shared.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, Row as _};
use stxworx::embedded::{EmbeddedPostgres, Options};
use stxworx::post::{ObserverUrl, PostOptions, PostSummary, post};
use stxworx::recording::{Entry, RecordingError};
use stxworx::workload::{Block, ChainBuilder, ChainOptions, Params, Workload, event, uint};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let server = EmbeddedPostgres::start(Options::new(folder.path(), "bench")).await?;
        if wants("ingest") {
            ingest(&server).await?;
        }
        if wants("latency") {
            latency(&server).await?;
        }
        if wants("reorg") {
            reorg(&server).await?;
        }
        server.stop().await?;
        Ok(())
    })
}

/// The real daemon on a fresh database.
struct Daemon {
    process: Child,
    observer: ObserverUrl,
    database: PgConnection,
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Daemon {
    async fn start(
        server: &EmbeddedPostgres,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self, Failure> {
        let mut admin = PgConnection::connect(&server.url_of("postgres")).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&mut admin)
            .await?;
        let url = server.url_of(name);
        let port = free_port()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_stxworx"));
        command
            .arg("run")
            .env("DATABASE_URL", &url)
            .env("STXWORX_OBSERVER_LISTEN", format!("127.0.0.1:{port}"))
            .env("STXWORX_API_LISTEN", "127.0.0.1:0")
            .env("STXWORX_METRICS_LISTEN", "127.0.0.1:0")
            .env("STXWORX_LOG_LEVEL", "error")
            .stdout(Stdio::null());
        command.envs(settings.iter().copied());
        let process = command.spawn()?;
        let observer = ObserverUrl::parse(&format!("http://127.0.0.1:{port}"))?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                return Err("the daemon does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut daemon = Self {
            process,
            observer,
            database: PgConnection::connect(&url).await?,
        };
        // The port is bound before the schema is there.
        while daemon
            .text("select to_regclass('mirror')::text")
            .await?
            .is_none()
            || daemon
                .text("select count(*)::text from mirror")
                .await?
                .as_deref()
                != Some("1")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(daemon)
    }

    async fn post(&self, entries: Vec<Entry>, keep_alive: bool) -> Result<PostSummary, Failure> {
        let mut options = PostOptions::new(self.observer.clone());
        options.keep_alive = keep_alive;
        options.timeout = Duration::from_secs(60);
        let source = entries.into_iter().map(Ok::<_, RecordingError>);
        Ok(post(source, &options, &CancellationToken::new(), &mut |_| {}).await?)
    }

    async fn text(&mut self, query: &str) -> Result<Option<String>, Failure> {
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut self.database)
            .await?;
        Ok(rows
            .first()
            .and_then(|row| row.try_get::<Option<String>, _>(0).ok().flatten()))
    }

    async fn until(&mut self, query: &str, value: &str) -> Result<(), Failure> {
        while self.text(query).await?.as_deref() != Some(value) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Ok(())
    }

    async fn until_settled(&mut self) -> Result<(), Failure> {
        self.until("select count(*)::text from inbox where state = 0", "0")
            .await
    }

    fn peak_memory_mib(&self) -> Option<u64> {
        let path = PathBuf::from(format!("/proc/{}/status", self.process.id()));
        let status = std::fs::read_to_string(path).ok()?;
        let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
    }

    async fn stop(mut self) -> Result<(), Failure> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        self.process.wait()?;
        self.database.close().await?;
        Ok(())
    }
}

const TIP: &str = "select '0x' || encode(b.index_block_hash, 'hex') from canonical c join block b on b.id = c.block_id \
    order by c.height desc limit 1";

async fn ingest(server: &EmbeddedPostgres) -> Result<(), Failure> {
    let params = Params {
        genesis: false,
        ..Params::default()
    };
    let mut workload = Workload::new(params.clone());
    let entries: Vec<Entry> = workload.by_ref().collect();
    let bytes: usize = entries.iter().map(|e| e.body.len()).sum();
    let followed: Vec<String> = params
        .network
        .followed_contracts()
        .iter()
        .map(ToString::to_string)
        .collect();
    println!(
        "\n## Ingest: {} blocks x {} transactions x {} prints, {} payloads, {} MB\n",
        params.blocks,
        params.txs,
        params.events,
        entries.len(),
        bytes / 1_000_000
    );
    println!(
        "| mirror | connection | blocks/s | MB/s | answer p50 ms | p99 ms | peak memory MiB | database MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (mirror, keep_alive) in [
        ("followed", false),
        ("all", false),
        ("followed", true),
        ("all", true),
    ] {
        let contracts = followed.join(",");
        let settings = [
            ("STXWORX_FOLLOW_MIRROR", mirror),
            ("STXWORX_FOLLOW_CONTRACTS", contracts.as_str()),
        ];
        let name = format!("ingest_{mirror}_{keep_alive}");
        let mut daemon = Daemon::start(server, &name, &settings).await?;
        let started = Instant::now();
        let summary = daemon.post(entries.clone(), keep_alive).await?;
        daemon.until_settled().await?;
        let seconds = started.elapsed().as_secs_f64();
        let size = daemon
            .text("select (pg_database_size(current_database()) / 1000000)::text")
            .await?;
        println!(
            "| {mirror} | {} | {:.0} | {:.1} | {:.2} | {:.2} | {} | {} |",
            if keep_alive {
                "kept"
            } else {
                "one per payload"
            },
            f64::from(u32::try_from(summary.blocks)?) / seconds,
            f64::from(u32::try_from(bytes / 1000)?) / 1000.0 / seconds,
            summary.p50_ms,
            summary.p99_ms,
            daemon.peak_memory_mib().unwrap_or(0),
            size.unwrap_or_default(),
        );
        daemon.stop().await?;
    }
    Ok(())
}

/// Blocks of a small marketplace: `prints` prints by one contract, in one transaction.
fn chain(length: usize, prints: u64) -> (ChainBuilder, Vec<Block>) {
    let builder = ChainBuilder::new(ChainOptions::default());
    let mut parent = builder.root();
    let mut blocks = Vec::with_capacity(length);
    for _ in 0..length {
        let block = with_prints(&builder, &parent, prints);
        parent = block.clone();
        blocks.push(block);
    }
    (builder, blocks)
}

fn with_prints(builder: &ChainBuilder, parent: &Block, prints: u64) -> Block {
    let contract = builder.network().followed_contracts()[1].clone();
    let sender = builder.account("client");
    let mut tx = builder
        .call(&sender, &contract, "open", &[])
        .ok(uint(1u128));
    for i in 0..prints {
        tx = tx.print(
            &contract,
            event("project-created", [("project-id", uint(u128::from(i)))]),
        );
    }
    builder.block(parent).tx(tx).build()
}

fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rival is one plain statement on a table of its own"
)]
async fn latency(server: &EmbeddedPostgres) -> Result<(), Failure> {
    const BLOCKS: usize = 500;
    let mut daemon = Daemon::start(server, "latency", &[]).await?;
    sqlx::raw_sql("create table bare (id bigserial primary key, body bytea)")
        .execute(&mut daemon.database)
        .await?;
    let (_, blocks) = chain(BLOCKS, 10);
    let (mut visible, mut bare) = (Vec::new(), Vec::new());
    for block in &blocks {
        let started = Instant::now();
        daemon.post(vec![block.entry()], false).await?;
        daemon.until(TIP, &block.id()).await?;
        visible.push(started.elapsed());
        let started = Instant::now();
        sqlx::query(sqlx::AssertSqlSafe(
            "insert into bare (body) values ($1)".to_owned(),
        ))
        .bind(&block.entry().body[..])
        .execute(&mut daemon.database)
        .await?;
        bare.push(started.elapsed());
    }
    visible.sort_unstable();
    bare.sort_unstable();
    println!("\n## Push to visible: {BLOCKS} blocks, one at a time\n");
    println!("| what | p50 ms | p99 ms |\n|---|---|---|");
    println!(
        "| POST sent to row readable | {:.2} | {:.2} |",
        percentile(&visible, 50),
        percentile(&visible, 99)
    );
    println!(
        "| a bare insert and commit of the body | {:.2} | {:.2} |",
        percentile(&bare, 50),
        percentile(&bare, 99)
    );
    daemon.stop().await
}

async fn reorg(server: &EmbeddedPostgres) -> Result<(), Failure> {
    println!("\n## Reorg: the last block of the longer branch, sent to visible\n");
    println!("| depth | rows a block | plain block ms | switching block ms |\n|---|---|---|---|");
    for prints in [1u64, 10, 100] {
        for depth in [1usize, 100, 500] {
            let mut daemon = Daemon::start(server, &format!("reorg_{prints}_{depth}"), &[]).await?;
            let (builder, mut blocks) = chain(depth + 2, prints);
            let last = blocks.pop().ok_or("no block")?;
            let fork_point = blocks[0].clone();
            daemon
                .post(blocks.iter().map(Block::entry).collect(), true)
                .await?;
            daemon.until_settled().await?;
            let plain = timed(&mut daemon, &last).await?;
            let mut parent = fork_point;
            let mut branch = Vec::new();
            for _ in 0..depth + 2 {
                parent = with_prints(&builder, &parent, prints);
                branch.push(parent.clone());
            }
            let switching = branch.pop().ok_or("no block")?;
            daemon
                .post(branch.iter().map(Block::entry).collect(), true)
                .await?;
            daemon.until_settled().await?;
            let switched = timed(&mut daemon, &switching).await?;
            println!(
                "| {} | {} | {:.1} | {:.1} |",
                depth + 1,
                prints + 1,
                plain.as_secs_f64() * 1000.0,
                switched.as_secs_f64() * 1000.0
            );
            daemon.stop().await?;
        }
    }
    Ok(())
}

async fn timed(daemon: &mut Daemon, block: &Block) -> Result<Duration, Failure> {
    let started = Instant::now();
    daemon.post(vec![block.entry()], false).await?;
    daemon.until(TIP, &block.id()).await?;
    Ok(started.elapsed())
}
