//! How fast changes reach those who follow: 1,000 server-sent event streams on loopback. Prints a table in Markdown.
//!
//! `cargo bench --bench fanout -- [CLIENTS]`. The daemon is the real binary on a private Postgres; this process posts
//! blocks as a node does, reads all the streams, and shares the machine with both. The delay is from `outbox.at`,
//! which is inside the commit, to the moment at which a follower has the whole frame; one clock serves all.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use sqlx::{Connection as _, PgConnection, Row as _};
use stxworx::embedded::{EmbeddedPostgres, Options};
use stxworx::post::{ObserverUrl, PostOptions, post};
use stxworx::recording::RecordingError;
use stxworx::workload::{Block, ChainBuilder, ChainOptions, event, uint};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

const BLOCKS: usize = 60;
const PRINTS: u64 = 8;

fn main() -> Result<(), Failure> {
    let clients = std::env::args()
        .skip(1)
        .find_map(|a| a.parse::<usize>().ok())
        .unwrap_or(1_000);
    tokio::runtime::Runtime::new()?.block_on(async {
        let folder = tempfile::tempdir()?;
        let server = EmbeddedPostgres::start(Options::new(folder.path(), "bench")).await?;
        println!("\n| followers | blocks | pace | frames | frames/s | MB/s | delay p50 ms | p99 ms | worst ms | daemon MiB before | with them |\n|---|---|---|---|---|---|---|---|---|---|---|");
        for (name, pause) in [("at_once", None), ("five_a_second", Some(Duration::from_millis(200)))] {
            run(&server, name, clients, pause).await?;
        }
        server.stop().await?;
        Ok(())
    })
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

impl Running {
    fn memory_mib(&self, what: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with(what));
        let kilobytes = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) / 1_024
    }
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn run(
    server: &EmbeddedPostgres,
    name: &str,
    clients: usize,
    pause: Option<Duration>,
) -> Result<(), Failure> {
    let mut admin = PgConnection::connect(&server.url_of("postgres")).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}")))
        .execute(&mut admin)
        .await?;
    let (observer, api) = (free_port()?, free_port()?);
    let daemon = Running(
        Command::new(env!("CARGO_BIN_EXE_stxworx"))
            .arg("run")
            .env("DATABASE_URL", server.url_of(name))
            .env("STXWORX_OBSERVER_LISTEN", format!("127.0.0.1:{observer}"))
            .env("STXWORX_API_LISTEN", format!("127.0.0.1:{api}"))
            .env("STXWORX_METRICS_LISTEN", "127.0.0.1:0")
            .env("STXWORX_STREAM_MAX_CLIENTS", clients.to_string())
            .env("STXWORX_LOG_LEVEL", "error")
            .stdout(Stdio::null())
            .spawn()?,
    );
    let (builder, blocks) = chain();
    let options = PostOptions::new(ObserverUrl::parse(&format!("http://127.0.0.1:{observer}"))?);
    let send = async |blocks: &[Block]| -> Result<(), Failure> {
        let entries: Vec<_> = blocks.iter().map(Block::entry).collect();
        let source = entries.into_iter().map(Ok::<_, RecordingError>);
        post(source, &options, &CancellationToken::new(), &mut |_| {}).await?;
        Ok(())
    };
    drop(builder);
    let at: SocketAddr = format!("127.0.0.1:{api}").parse()?;
    wait_for(at).await?;
    let (first, rest) = blocks.split_at(1);
    send(first).await?;
    let before = daemon.memory_mib("VmRSS:");
    let mut streams = Vec::new();
    for _ in 0..clients {
        streams.push(open(at).await?);
    }
    let last = format!(
        "\"index_block_hash\":\"{}\"",
        rest.last().ok_or("no block")?.id()
    );
    let readers: Vec<_> = streams
        .into_iter()
        .map(|stream| tokio::spawn(read(stream, last.clone())))
        .collect();
    let began = Instant::now();
    match pause {
        None => send(rest).await?,
        Some(pause) => {
            for block in rest {
                send(std::slice::from_ref(block)).await?;
                tokio::time::sleep(pause).await;
            }
        }
    }
    let (mut seen, mut bytes) = (Vec::new(), 0);
    for reader in readers {
        let (arrivals, read) = reader.await?.map_err(|error| error.to_string())?;
        seen.extend(arrivals);
        bytes += read;
    }
    let seconds = began.elapsed().as_secs_f64();
    let told = commits(&server.url_of(name)).await?;
    let mut delays: Vec<f64> = seen
        .iter()
        .filter_map(|(line, at)| Some((at - told.get(line)?).max(0.0) * 1_000.0))
        .collect();
    delays.sort_by(f64::total_cmp);
    let percentile = |share: usize| {
        delays
            .get(delays.len() * share / 100)
            .copied()
            .unwrap_or(f64::NAN)
    };
    println!(
        "| {clients} | {} | {} | {} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {before} | {} |",
        rest.len(),
        name.replace('_', " "),
        seen.len(),
        seen.len() as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        percentile(50),
        percentile(99),
        delays.last().copied().unwrap_or(f64::NAN),
        daemon.memory_mib("VmHWM:"),
    );
    Ok(())
}

fn chain() -> (ChainBuilder, Vec<Block>) {
    let builder = ChainBuilder::new(ChainOptions::default());
    let [data, ..] = builder.network().followed_contracts();
    let alice = builder.account("alice");
    let mut blocks = vec![builder.root()];
    while blocks.len() <= BLOCKS {
        let parent = &blocks[blocks.len() - 1];
        let mut tx = builder.call(&alice, &data, "note", &[]);
        for n in 0..PRINTS {
            tx = tx.print(&data, event("noted", [("n", uint(u128::from(n)))]));
        }
        let next = builder.block(parent).tx(tx).build();
        blocks.push(next);
    }
    (builder, blocks)
}

async fn wait_for(at: SocketAddr) -> Result<(), Failure> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if open(at).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err("the stream does not open".into())
}

/// Opens a stream and reads up to its hello.
async fn open(at: SocketAddr) -> Result<BufReader<TcpStream>, Failure> {
    let mut stream = BufReader::new(TcpStream::connect(at).await?);
    stream
        .write_all(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err("closed".into());
        }
        if line.starts_with("HTTP/1.1 ") && !line.contains(" 200 ") {
            return Err(line.into());
        }
        if line.starts_with("event: hello") {
            return Ok(stream);
        }
    }
}

type Arrivals = (Vec<(i64, f64)>, usize);

/// Reads frames up to the one with this text: their lines, and when each was there.
async fn read(mut stream: BufReader<TcpStream>, last: String) -> std::io::Result<Arrivals> {
    let (mut arrivals, mut bytes, mut line) = (Vec::new(), 0, String::new());
    let mut id = 0;
    loop {
        line.clear();
        let read = stream.read_line(&mut line).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes += read;
        if let Some(text) = line.strip_prefix("id: ") {
            id = text
                .split(['-', '.'])
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
        }
        if line.starts_with("data: {\"position\":\"") && line.contains("\"events\"") {
            let now = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default();
            arrivals.push((id, now.as_secs_f64()));
            if line.contains(&last) {
                return Ok((arrivals, bytes));
            }
        }
    }
}

/// When each line of the outbox was written, Unix seconds.
async fn commits(url: &str) -> Result<std::collections::HashMap<i64, f64>, Failure> {
    let mut database = PgConnection::connect(url).await?;
    let rows = sqlx::raw_sql("select id, extract(epoch from at)::float8 from outbox")
        .fetch_all(&mut database)
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
