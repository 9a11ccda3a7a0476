//! How fast the API answers, beside the statements alone. Prints a table in Markdown.
//!
//! `cargo bench --bench api`. A marketplace of the devnet is mirrored by the real binary; then `wrk` asks one route
//! after the other, and `pgbench` runs what the API itself sent to PostgreSQL for that route, taken from PostgreSQL's
//! log, with as many connections. Both work on the same cores in turn. The second table is taken while a node posts.
//! Needs `wrk` and `pgbench` on the path; the second comes with PostgreSQL.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection, Row as _};
use stxworx::embedded::{EmbeddedPostgres, Options};
use stxworx::post::{ObserverUrl, PostOptions, post};
use stxworx::recording::{Entry, RecordingError};
use stxworx_clarity::market::Marketplace;
use stxworx_clarity::simnet::{Simnet, SimnetConfig};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn std::error::Error>;

const BLOCKS: usize = 1_000;
const ACTIONS: usize = 12;
/// Blocks that are posted while the second table is taken.
const LIVE: usize = 300;
const CONNECTIONS: &str = "8";
const SECONDS: &str = "8";

fn main() -> Result<(), Failure> {
    // The bench harness of cargo gives arguments of its own.
    for (tool, package) in [("wrk", "wrk"), ("pgbench", "postgresql-15")] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Err(format!("{tool} is not installed; Debian's package is {package}").into());
        }
    }
    // Its failure would mean that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let server = EmbeddedPostgres::start(Options::new(folder.path(), "bench")).await?;
    let (entries, contracts) = marketplace()?;
    let (history, live) = entries.split_at(entries.len() - LIVE);
    let daemon = Daemon::start(&server, &contracts).await?;
    daemon.post(history.to_vec()).await?;
    let mut database = PgConnection::connect(&server.url()).await?;
    settle(&mut database).await?;
    let counts = one(
        &mut database,
        "select (select count(*) from projection_current where projection = 10) || ' projects, '
             || (select count(*) from event) || ' events, ' || (select count(*) from projection_version) || ' versions'",
    )
    .await?;
    println!("\n## API: {counts}, {CONNECTIONS} connections, {SECONDS} s each\n");
    let routes = routes(&daemon, &mut database).await?;

    println!("| route | requests/s | p50 ms | p99 ms | pgbench, transactions/s | ratio |");
    println!("|---|---|---|---|---|---|");
    for (name, path) in &routes {
        let script = folder.path().join("statements.sql");
        std::fs::write(
            &script,
            statements(&server, &mut database, &daemon, path).await?,
        )?;
        let asked = wrk(&daemon.url(path))?;
        let alone = pgbench(&server, &script)?;
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {alone:.0} | {:.2} |",
            asked.per_second,
            asked.p50_ms,
            asked.p99_ms,
            asked.per_second / alone
        );
    }
    println!(
        "\nResident at most: {} MiB.",
        daemon.peak_memory_mib().unwrap_or(0)
    );

    println!("\n| route, while blocks are posted | requests/s | p50 ms | p99 ms | blocks/s |");
    println!("|---|---|---|---|---|");
    let each = LIVE / routes.len();
    for ((name, path), some) in routes.iter().zip(live.chunks(each)) {
        let began = Instant::now();
        let url = daemon.url(path);
        let asking = std::thread::spawn(move || wrk(&url).map_err(|e| e.to_string()));
        let posted = daemon.post(some.to_vec()).await?;
        let blocks = posted as f64 / began.elapsed().as_secs_f64();
        let asked = asking.join().map_err(|_| "the asking thread died")??;
        println!(
            "| {name} | {:.0} | {:.2} | {:.2} | {blocks:.0} |",
            asked.per_second, asked.p50_ms, asked.p99_ms
        );
    }
    daemon.stop()?;
    server.stop().await?;
    Ok(())
}

/// What a node would post of a marketplace, and the contracts to follow.
fn marketplace() -> Result<(Vec<Entry>, Vec<String>), Failure> {
    let mut market = Marketplace::new(7);
    let mut chain = Simnet::new(SimnetConfig {
        seed: 7,
        genesis: market.genesis(),
        ..SimnetConfig::default()
    })?;
    let mut entries = vec![
        Entry::new(
            "/new_burn_block",
            chain.burn_tip().new_burn_block_payload().to_string(),
        ),
        Entry::new("/new_block", chain.tip().new_block_payload().to_string()),
    ];
    for step in 1..=BLOCKS {
        let jump = market.patience(&chain);
        if jump > 0 || step.is_multiple_of(5) {
            chain.burn(jump.max(1));
        }
        market.act(&mut chain, ACTIONS);
        let block = chain.mine(200)?;
        entries.push(Entry::new(
            "/new_block",
            block.new_block_payload().to_string(),
        ));
    }
    let at = market.contracts();
    let contracts = [&at.data, &at.logic, &at.badges, &at.security].map(ToString::to_string);
    Ok((entries, contracts.into()))
}

/// The real daemon on the server's database.
struct Daemon {
    process: Child,
    observer: ObserverUrl,
    api: u16,
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Daemon {
    async fn start(server: &EmbeddedPostgres, contracts: &[String]) -> Result<Self, Failure> {
        let (observer, api) = (free_port()?, free_port()?);
        let process = Command::new(env!("CARGO_BIN_EXE_stxworx"))
            .arg("run")
            .env("DATABASE_URL", server.url())
            .env("STXWORX_NETWORK", "testnet")
            .env("STXWORX_OBSERVER_LISTEN", format!("127.0.0.1:{observer}"))
            .env("STXWORX_API_LISTEN", format!("127.0.0.1:{api}"))
            .env("STXWORX_METRICS_LISTEN", "127.0.0.1:0")
            .env("STXWORX_LOG_LEVEL", "error")
            // One address asks for all.
            .env("STXWORX_API_ADDRESS_RATE_PER_SECOND", "0")
            .env("STXWORX_FOLLOW_MIRROR", "followed")
            .env("STXWORX_FOLLOW_CONTRACTS", contracts.join(","))
            .stdout(Stdio::null())
            .spawn()?;
        let daemon = Self {
            process,
            observer: ObserverUrl::parse(&format!("http://127.0.0.1:{observer}"))?,
            api,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while reqwest::get(daemon.url("/health/live")).await.is_err() {
            if Instant::now() > deadline {
                return Err("the daemon does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(daemon)
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.api)
    }

    /// Posts one after the other; how many blocks.
    async fn post(&self, entries: Vec<Entry>) -> Result<u64, Failure> {
        let mut options = PostOptions::new(self.observer.clone());
        options.keep_alive = true;
        options.timeout = Duration::from_secs(60);
        let source = entries.into_iter().map(Ok::<_, RecordingError>);
        let summary = post(source, &options, &CancellationToken::new(), &mut |_| {}).await?;
        Ok(summary.blocks)
    }

    fn peak_memory_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
    }

    fn stop(mut self) -> Result<(), Failure> {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.process.id())?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT)?;
        self.process.wait()?;
        Ok(())
    }
}

async fn one(database: &mut PgConnection, query: &str) -> Result<String, Failure> {
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(query.to_owned()))
        .fetch_all(database)
        .await?;
    let first = rows.first().ok_or("a statement without an answer")?;
    Ok(first.try_get(0)?)
}

async fn settle(database: &mut PgConnection) -> Result<(), Failure> {
    while one(database, "select count(*)::text from inbox where state = 0").await? != "0" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    sqlx::raw_sql("vacuum analyze").execute(database).await?;
    Ok(())
}

/// What is asked: a name and a path.
async fn routes(
    daemon: &Daemon,
    database: &mut PgConnection,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let busiest = one(
        database,
        "select v.state ->> 'freelancer' from projection_current c join projection_version v on v.id = c.version_id
         where c.projection = 10 group by 1 order by count(*) desc, 1 limit 1",
    )
    .await?;
    let contract = one(
        database,
        "select v.state ->> 'contract' from projection_current c join projection_version v on v.id = c.version_id
         where c.projection = 10 limit 1",
    )
    .await?;
    let routes = vec![
        ("a project", "/v1/projects/40".to_owned()),
        (
            "its timeline",
            "/v1/projects/40/timeline?limit=50".to_owned(),
        ),
        ("50 projects", "/v1/projects?limit=50".to_owned()),
        (
            "a freelancer's projects",
            format!("/v1/projects?freelancer={busiest}&limit=50"),
        ),
        ("a profile", format!("/v1/profiles/{busiest}")),
        (
            "50 events of a contract",
            format!("/v1/events?contract={contract}&limit=50"),
        ),
    ];
    for (name, path) in &routes {
        let answer = reqwest::get(daemon.url(path)).await?;
        if !answer.status().is_success() {
            return Err(format!("{name}: {path} answers {}", answer.status()).into());
        }
    }
    Ok(routes)
}

/// The statements of one request, as a script for pgbench.
async fn statements(
    server: &EmbeddedPostgres,
    database: &mut PgConnection,
    daemon: &Daemon,
    path: &str,
) -> Result<String, Failure> {
    let configure = async |database: &mut PgConnection, command: &str| -> Result<(), Failure> {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("alter system {command}; ")))
            .execute(&mut *database)
            .await?;
        sqlx::raw_sql("select pg_reload_conf()")
            .execute(database)
            .await?;
        // The running sessions read it between two statements.
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    };
    configure(database, "set log_statement = 'all'").await?;
    let before = std::fs::metadata(server.log())?.len();
    reqwest::get(daemon.url(path)).await?.bytes().await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = std::fs::read(server.log())?;
    configure(database, "reset log_statement").await?;
    let log = String::from_utf8_lossy(log.get(usize::try_from(before)?..).unwrap_or_default())
        .into_owned();
    script(&log).ok_or_else(|| format!("no transaction of {path} in the log").into())
}

/// One record of PostgreSQL's log: who, and what.
fn records(log: &str) -> Vec<(String, String)> {
    let mut records: Vec<(String, String)> = Vec::new();
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some((_, text)) = records.last_mut() {
                let _ = write!(text, "\n{more}");
            }
            continue;
        }
        let Some((pid, text)) = line
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once("] "))
        else {
            continue;
        };
        records.push((pid.to_owned(), text.to_owned()));
    }
    records
}

/// The one read-only transaction in a log, with its parameters in their places.
fn script(log: &str) -> Option<String> {
    let records = records(log);
    let is_begin = |text: &str| text.contains("begin isolation level repeatable read, read only");
    let (session, _) = records.iter().find(|(_, text)| is_begin(text))?;
    let mut script = String::new();
    let mut pending: Option<String> = None;
    for (_, text) in records.iter().filter(|(pid, _)| pid == session) {
        if let Some(parameters) = text.strip_prefix("DETAIL:  parameters: ") {
            pending = pending.map(|sql| filled(&sql, parameters));
            continue;
        }
        let sql = text.strip_prefix("LOG:  ")?.split_once(": ")?.1;
        if let Some(sql) = pending.replace(sql.to_owned()) {
            let _ = writeln!(script, "{sql};");
        }
    }
    let last = pending?;
    let _ = writeln!(script, "{last};");
    // The API leaves its snapshot when it has answered, which may be after the log was read.
    if !last.eq_ignore_ascii_case("rollback") {
        script.push_str("rollback;\n");
    }
    Some(script)
}

/// Puts `$1 = 'a', $2 = NULL` into a statement. The last first, so that `$1` does not meet `$10`.
fn filled(sql: &str, parameters: &str) -> String {
    let mut values = Vec::new();
    let mut rest = parameters;
    while let Some(start) = rest.find(" = ") {
        let value = &rest[start + 3..];
        let end = match value.strip_prefix('\'') {
            // A quote in a value is doubled.
            Some(text) => {
                let mut at = 0;
                loop {
                    let Some(quote) = text[at..].find('\'') else {
                        break text.len();
                    };
                    if text[at + quote + 1..].starts_with('\'') {
                        at += quote + 2;
                    } else {
                        break at + quote + 2;
                    }
                }
            }
            None => value.find(',').unwrap_or(value.len()),
        };
        values.push(&value[..end]);
        rest = &value[end..];
    }
    let mut sql = sql.to_owned();
    for (place, value) in values.iter().enumerate().rev() {
        sql = sql.replace(&format!("${}", place + 1), value);
    }
    sql
}

struct Asked {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

fn wrk(url: &str) -> Result<Asked, Failure> {
    let out = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", SECONDS, "--latency", url])
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    if text.contains("Non-2xx") {
        return Err(format!("{url}: {text}").into());
    }
    let after = |name: &str| -> Result<&str, Failure> {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(name));
        Ok(line.ok_or_else(|| format!("no {name} in {text}"))?.trim())
    };
    let millis = |text: &str| -> Result<f64, Failure> {
        let units = [("us", 0.001), ("ms", 1.0), ("s", 1_000.0)];
        let (number, unit) = units
            .iter()
            .find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, ms)))
            .ok_or("a time without a unit")?;
        Ok(number.parse::<f64>()? * unit)
    };
    Ok(Asked {
        per_second: after("Requests/sec:")?.parse()?,
        p50_ms: millis(after("50%")?)?,
        p99_ms: millis(after("99%")?)?,
    })
}

fn pgbench(server: &EmbeddedPostgres, script: &Path) -> Result<f64, Failure> {
    let out = Command::new("pgbench")
        .args([
            "-n",
            "-M",
            "simple",
            "-c",
            CONNECTIONS,
            "-j",
            "1",
            "-T",
            SECONDS,
            "-f",
        ])
        .arg(script)
        .arg(server.url())
        .stderr(Stdio::piped())
        .output()?;
    let text = String::from_utf8(out.stdout)?;
    let line = text.lines().find_map(|l| l.strip_prefix("tps = "));
    let Some(tps) = line.and_then(|l| l.split_whitespace().next()) else {
        std::io::stderr().write_all(&out.stderr)?;
        return Err(format!("pgbench failed on {}", std::fs::read_to_string(script)?).into());
    };
    Ok(tps.parse()?)
}
