//! How fast an event archive is read, stored and taken up again. Prints tables in Markdown.
//!
//! `cargo bench --bench archive -- [scan|copy|backfill]`, all three without an argument. STXWORX_BENCH_MB sets the size
//! of the generated archive (default 300). Only ratios within one run mean something: machines differ and are shared.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use stxworx::embedded::{EmbeddedPostgres, Options as ServerOptions};
use stxworx::workload::{Params, Workload};
use stxworx_indexer::model::{FollowSet, Mirror};
use stxworx_indexer::source::archive::cut::cut;
use stxworx_indexer::source::archive::needles::Needles;
use stxworx_indexer::source::archive::rows::Taken;
use stxworx_indexer::source::archive::{Input, Options, scan};
use stxworx_indexer::store::bulk::Packer;
use stxworx_indexer::store::inbox::{Endpoint, Provenance, Source};
use stxworx_indexer::store::{self, Access, archive, migrate};

type Failure = Box<dyn std::error::Error>;

const MB: u64 = 1_000_000;

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let megabytes = std::env::var("STXWORX_BENCH_MB").ok();
    let megabytes: u64 = megabytes.map_or(Ok(300), |text| text.parse())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let folder = tempfile::tempdir()?;
        let files = Files::make(folder.path(), megabytes)?;
        if wants("scan") {
            scans(&files).await?;
        }
        let server = ServerOptions::new(folder.path().join("pg"), "bench");
        let server = EmbeddedPostgres::start(server).await?;
        if wants("copy") {
            copies(&server, folder.path()).await?;
        }
        if wants("backfill") {
            backfills(&server, &files).await?;
        }
        server.stop().await?;
        Ok(())
    })
}

/// One archive in three forms.
struct Files {
    plain: PathBuf,
    gzip: PathBuf,
    zstd: PathBuf,
    bytes: u64,
}

impl Files {
    fn make(folder: &Path, megabytes: u64) -> Result<Self, Failure> {
        let files = Self {
            plain: folder.join("archive.tsv"),
            gzip: folder.join("archive.tsv.gz"),
            zstd: folder.join("archive.tsv.zst"),
            bytes: 0,
        };
        let mut plain = BufWriter::new(std::fs::File::create(&files.plain)?);
        let mut gzip = flate2::write::GzEncoder::new(
            std::fs::File::create(&files.gzip)?,
            flate2::Compression::fast(),
        );
        let mut zstd = zstd::stream::write::Encoder::new(std::fs::File::create(&files.zstd)?, 3)?;
        // Mainnet-like blocks, of which one in ten has something that is followed.
        let params = Params {
            blocks: u64::MAX >> 20,
            share: 0.001,
            reorg_every: 100,
            ..Params::default()
        };
        let (mut bytes, mut id) = (0, 0_u64);
        for entry in Workload::new(params) {
            id += 1;
            let head = format!("{id}\t2026-01-01 00:00:00.000001+00\t{}\t", entry.path);
            let mut row = head.into_bytes();
            for byte in entry.body.iter() {
                if *byte == b'\\' {
                    row.push(b'\\');
                }
                row.push(*byte);
            }
            row.push(b'\n');
            plain.write_all(&row)?;
            gzip.write_all(&row)?;
            zstd.write_all(&row)?;
            bytes += row.len() as u64;
            if bytes >= megabytes * MB {
                break;
            }
        }
        plain.flush()?;
        gzip.finish()?;
        zstd.finish()?;
        Ok(Self { bytes, ..files })
    }
}

fn follow() -> FollowSet {
    let contracts = Params::default().network.followed_contracts();
    FollowSet {
        mirror: Mirror::Followed,
        contracts: contracts.map(|c| c.to_string()).into(),
        principals: [].into(),
    }
}

fn all() -> FollowSet {
    FollowSet {
        mirror: Mirror::All,
        contracts: ["*".to_owned()].into(),
        principals: [].into(),
    }
}

/// Time that this thread has spent on a processor: what else the machine does is not in it.
fn on_processor() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().ok_or("no time of this thread")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Megabytes per second.
fn rate(bytes: u64, took: Duration) -> u64 {
    // A byte per microsecond is a megabyte per second.
    bytes / u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1)
}

async fn scans(files: &Files) -> Result<(), Failure> {
    println!(
        "\n## Scan: {} MB of text, in memory, one thread, by its time on a processor\n",
        files.bytes / MB
    );
    println!("| what | MB/s | rows in which something is found |\n|---|---|---|");
    let text = std::fs::read(&files.plain)?;
    let rows = || text.split(|b| *b == b'\n').filter(|row| !row.is_empty());
    let follow = follow();
    let nobody = FollowSet {
        contracts: [format!(
            "{}.nobody-calls-this",
            Params::default().network.account("nobody")
        )]
        .into(),
        ..follow.clone()
    };
    let show = |name: &str, took: Duration, found: usize| {
        println!("| {name} | {} | {found} |", rate(files.bytes, took));
    };
    for round in 1..=2 {
        for (whom, follow) in [
            ("four contracts", &follow),
            ("a contract without a call", &nobody),
        ] {
            let needles = Needles::new(follow);
            let started = on_processor()?;
            let found = rows().filter(|row| needles.may_hold(row)).count();
            show(
                &format!("needles of {whom}, round {round}"),
                on_processor()? - started,
                found,
            );
            for (name, needles) in [("with", needles), ("without", Needles::none())] {
                let started = on_processor()?;
                for row in rows() {
                    std::hint::black_box(cut(json_of(row), follow, &needles));
                }
                let what = format!("cut down to {whom}, {name} needles, round {round}");
                show(&what, on_processor()? - started, found);
            }
        }

        let started = on_processor()?;
        let mut objects = 0;
        for row in rows() {
            let value: serde_json::Value = serde_json::from_slice(json_of(row))?;
            objects += usize::from(value.is_object());
        }
        show(
            &format!("a plain parse to serde_json::Value, round {round}"),
            on_processor()? - started,
            0,
        );
        std::hint::black_box(objects);
    }
    drop(text);

    println!("\n## Scan of files: read, unpack, cut down, hash and pack; no database\n");
    println!(
        "| file | size MB | threads | mirror | MB/s of text | unpacking alone MB/s |\n|---|---|---|---|---|---|"
    );
    for path in [&files.plain, &files.gzip, &files.zstd] {
        let size = std::fs::metadata(path)?.len();
        let alone = unpack(path)?;
        for (mirror, follow) in [("followed", follow.clone()), ("all", all())] {
            for workers in [1, 2] {
                let options = Options {
                    workers,
                    ..Options::default()
                };
                let taken = Arc::new(Taken::new(&follow, None, None));
                let started = Instant::now();
                scan(&Input::File(path.clone()), taken, &options).await?;
                let name = path.extension().map(|e| e.to_string_lossy().into_owned());
                println!(
                    "| {} | {} | {workers} | {mirror} | {} | {} |",
                    name.unwrap_or_default(),
                    size / MB,
                    rate(files.bytes, started.elapsed()),
                    rate(files.bytes, alone)
                );
            }
        }
    }
    Ok(())
}

/// The fourth column.
fn json_of(row: &[u8]) -> &[u8] {
    row.splitn(4, |b| *b == b'\t').nth(3).unwrap_or_default()
}

fn unpack(path: &Path) -> Result<Duration, Failure> {
    let started = Instant::now();
    let file = std::fs::File::open(path)?;
    let mut reader: Box<dyn std::io::Read> = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file)?),
        _ => Box::new(file),
    };
    let mut buffer = vec![0; 1 << 20];
    while std::io::Read::read(&mut reader, &mut buffer)? > 0 {}
    Ok(started.elapsed())
}

async fn database(server: &EmbeddedPostgres, name: &str) -> Result<(PgPool, String), Failure> {
    let admin = store::pool(&server.url_of("postgres"), Access::Write, 1)?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("create database {name}")))
        .execute(&admin)
        .await?;
    admin.close().await;
    let url = server.url_of(name);
    let pool = store::pool(&url, Access::Write, 2)?;
    migrate::migrate(&pool).await?;
    Ok((pool, url))
}

/// Runs psql on a database.
fn psql(bin: &Path, url: &str, command: &str) -> Result<Duration, Failure> {
    let started = Instant::now();
    let status = Command::new(bin.join("psql"))
        .args([
            "--quiet",
            "--no-psqlrc",
            "--set",
            "ON_ERROR_STOP=1",
            url,
            "-c",
            command,
        ])
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(format!("psql failed: {status}").into());
    }
    Ok(started.elapsed())
}

async fn copies(server: &EmbeddedPostgres, folder: &Path) -> Result<(), Failure> {
    const ROWS: usize = 50_000;
    const PART: usize = 5_000;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = Command::new(root.join("scripts/find-postgres")).output()?;
    let bin = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    println!("\n## Into the inbox: {ROWS} payloads, {PART} a transaction\n");
    println!(
        "| body | this path, rows/s | psql's \\copy of the same rows into the same table, rows/s | one insert each, rows/s |"
    );
    println!("|---|---|---|---|");
    for (name, size) in [("header of a block, 1 kB", 1_000), ("20 kB", 20_000)] {
        let body = |number: usize| {
            let mut body = format!("{{\"number\":{number},\"filler\":\"").into_bytes();
            let mut state = number as u64 + 1;
            while body.len() < size {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                body.extend_from_slice(format!("{state:016x}").as_bytes());
            }
            body
        };
        let mut packer = Packer::new()?;
        let from = Provenance::whole(Source::Archive);
        let mut payloads = Vec::new();
        for number in 0..ROWS {
            payloads.push(packer.pack(Endpoint::NewBlock, from, &body(number))?);
        }
        let (pool, url) = database(server, &format!("ours_{size}")).await?;
        let key = archive::JobKey {
            size_bytes: None,
            head_sha256: [0; 32],
            scope: None,
            from: None,
            to: None,
        };
        let job = archive::open(&pool, "bench", &key).await?;
        let mut at = job.progress;
        let started = Instant::now();
        for part in payloads.chunks(PART) {
            let mut to = at;
            to.position_bytes += 1;
            at = archive::advance(&pool, job.id, at.position_bytes, to, false, part).await?;
        }
        let ours = started.elapsed();
        let file = folder.join("rows.bin");
        let columns = "(received_at, endpoint, deliveries, body_bytes, sha256, source, body)";
        let path = file.display();
        psql(
            &bin,
            &url,
            &format!("\\copy inbox {columns} to '{path}' (format binary)"),
        )?;
        pool.close().await;
        let (pool, url) = database(server, &format!("psql_{size}")).await?;
        let theirs = psql(
            &bin,
            &url,
            &format!("\\copy inbox {columns} from '{path}' (format binary)"),
        )?;
        pool.close().await;
        let (pool, _) = database(server, &format!("single_{size}")).await?;
        const SINGLE: usize = 2_000;
        let started = Instant::now();
        for number in 0..SINGLE {
            store::inbox::put(&pool, Endpoint::NewBlock, from, &body(number)).await?;
        }
        let single = started.elapsed();
        pool.close().await;
        let per_second =
            |rows: usize, took: Duration| rows as u128 * 1000 / took.as_millis().max(1);
        println!(
            "| {name} | {} | {} | {} |",
            per_second(ROWS, ours),
            per_second(ROWS, theirs),
            per_second(SINGLE, single)
        );
    }
    Ok(())
}

/// Runs the real command; how long it took, and its peak memory.
async fn run(url: &str, file: &Path, mirror: &str) -> Result<(Duration, u64), Failure> {
    let contracts: Vec<String> = follow().contracts.into_iter().collect();
    let contracts = match mirror {
        "all" => "*".to_owned(),
        _ => contracts.join(","),
    };
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_stxworx"))
        .args([
            "backfill",
            "--source",
            &format!("archive:{}", file.display()),
        ])
        .env("DATABASE_URL", url)
        .env("STXWORX_NETWORK", "mainnet")
        .env("STXWORX_FOLLOW_MIRROR", mirror)
        .env("STXWORX_FOLLOW_CONTRACTS", contracts)
        .env("STXWORX_LOG_LEVEL", "error")
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024 / MB);
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                return Err(format!("backfill failed: {status}").into());
            }
            return Ok((started.elapsed(), peak));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn backfills(server: &EmbeddedPostgres, files: &Files) -> Result<(), Failure> {
    println!(
        "\n## Backfill: {} MB of text, the real command, into a durable database\n",
        files.bytes / MB
    );
    println!(
        "| file | mirror | s | MB/s of text | peak memory MB | taken up at the end again, s |\n|---|---|---|---|---|---|"
    );
    for (name, file) in [
        ("plain", &files.plain),
        ("gz", &files.gzip),
        ("zst", &files.zstd),
    ] {
        for mirror in ["followed", "all"] {
            let (pool, url) = database(server, &format!("backfill_{name}_{mirror}")).await?;
            let (took, peak) = run(&url, file, mirror).await?;
            // As if it had been killed just before the last commit that says that it is done.
            sqlx::raw_sql("update archive_job set state = 0")
                .execute(&pool)
                .await?;
            let (again, _) = run(&url, file, mirror).await?;
            println!(
                "| {name} | {mirror} | {:.1} | {} | {peak} | {:.2} |",
                took.as_secs_f64(),
                rate(files.bytes, took),
                again.as_secs_f64()
            );
            pool.close().await;
        }
    }
    Ok(())
}
