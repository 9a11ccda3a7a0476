//! `stxworx doctor`: is everything as it should be, and what to do where it is not.
//!
//! Each check stands alone and has a limit of time; one that fails or hangs hides no other.

mod database;
mod finding;
mod host;
mod mints;
mod replication;
mod settings;
mod sources;
mod work;

use std::time::Duration;

use clap::Args;
use stxworx_indexer::store::{self, Access, Pool};
use tokio::task::JoinHandle;

use crate::cli::{CommandError, Outcome};
use crate::config::{Config, ConfigError};
use crate::daemon::Database;
use crate::post::OutputFormat;
pub use finding::{Finding, Report, Severity};

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How long each check may take; for instance 5s.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::duration, default_value = "10s")]
    pub timeout: Duration,
    /// End with exit code 3 for warnings, too.
    #[arg(long)]
    pub strict: bool,
    /// How the result is printed.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// How long an embedded database may take to start.
const START: Duration = Duration::from_secs(60);
/// Connections for the checks, which ask at the same time.
const CONNECTIONS: u32 = 4;

/// A check that runs.
struct Running {
    name: &'static str,
    task: JoinHandle<Vec<Finding>>,
}

/// Starts a check with a limit of time.
fn start<F>(name: &'static str, limit: Duration, check: F) -> Running
where
    F: Future<Output = Vec<Finding>> + Send + 'static,
{
    let task = tokio::spawn(async move {
        tokio::time::timeout(limit, check)
            .await
            .unwrap_or_else(|_| vec![late(name, limit)])
    });
    Running { name, task }
}

fn late(name: &'static str, limit: Duration) -> Finding {
    Finding::fault(name, format!("no answer within {} s", limit.as_secs()))
        .why("what does not answer now does not answer the daemon either")
        .remedy("look at the network and at whoever is asked; --timeout gives more time")
}

impl Running {
    async fn end(self) -> Vec<Finding> {
        self.task.await.unwrap_or_else(|error| {
            let what = format!("the check itself failed: {error}");
            vec![
                Finding::fault(self.name, what)
                    .why("this is a fault of this program")
                    .remedy("report it, with this line"),
            ]
        })
    }
}

/// Examines everything. [`Outcome::Unsound`] for a fault, and if asked for also for a warning.
///
/// # Errors
/// Only when the result cannot be printed.
pub async fn doctor(config: &Config, args: &DoctorArgs) -> Result<Outcome, CommandError> {
    let limit = args.timeout;
    let mut findings = settings::examine(config);
    findings.extend(host::ports(config));
    findings.push(host::files(config));
    // Beside the database's checks, not after them.
    let beside = [
        start("source.node", limit, sources::node(config.clone())),
        start("source.api", limit, sources::apis(config.clone())),
        start("source.platform", limit, sources::platform(config.clone())),
    ];
    findings.extend(of_database(config, limit).await);
    for running in beside {
        findings.extend(running.end().await);
    }
    print(&Report::new(findings), args)
}

fn print(report: &Report, args: &DoctorArgs) -> Result<Outcome, CommandError> {
    match args.output {
        OutputFormat::Text => crate::cli::say_text(&report.text()),
        OutputFormat::Json => {
            let json = serde_json::to_string_pretty(report).map_err(CommandError::other)?;
            crate::cli::say!("{json}");
        }
    }
    let least = if args.strict {
        Severity::Warning
    } else {
        Severity::Fault
    };
    Ok(if report.worst >= least {
        Outcome::Unsound
    } else {
        Outcome::Done
    })
}

/// Says that the configuration is none: then nothing else can be looked at.
pub fn no_configuration(error: &ConfigError, args: &DoctorArgs) {
    let what = stxworx_indexer::error_chain(error).to_string();
    let finding = Finding::fault("config", what)
        .why("no command and no daemon starts with it; nothing else was looked at")
        .remedy("mend it; `stxworx config example` has every setting")
        .see("config/README.md");
    // The exit code is that of a configuration that cannot be used, whatever is printed here.
    let _ = print(&Report::new(vec![finding]), args);
}

async fn of_database(config: &Config, limit: Duration) -> Vec<Finding> {
    const CHECK: &str = "database";
    let mut findings = Vec::new();
    if config.database_url.is_none() {
        findings.push(host::disk("disk.database", &config.data_dir));
        if !config.data_dir.join("pgdata").exists() {
            findings.push(Finding::skipped(
                CHECK,
                format!(
                    "there is none in {} yet; `stxworx up` or `stxworx run` makes it",
                    config.data_dir.display()
                ),
            ));
            return findings;
        }
    }
    let database = match tokio::time::timeout(START, Database::attach(config)).await {
        Ok(Ok(database)) => database,
        Ok(Err(error)) => {
            let error = stxworx_indexer::error_chain(&error).to_string();
            findings.push(away(error));
            return findings;
        }
        Err(_) => {
            findings.push(late(CHECK, START));
            return findings;
        }
    };
    match store::pool(database.url(), Access::Admin, CONNECTIONS) {
        Ok(pool) => {
            findings.extend(ask(&pool, config, limit).await);
            pool.close().await;
        }
        Err(error) => findings.push(away(stxworx_indexer::error_chain(&error).to_string())),
    }
    database.close().await;
    findings
}

fn away(what: String) -> Finding {
    Finding::fault("database", what)
        .why("the daemon waits for it, the observer refuses, and the node stands")
        .remedy("is the server up, is DATABASE_URL right, may this role connect (pg_hba.conf)?")
        .see("docs/runbook.md#database-away")
}

async fn ask(pool: &Pool, config: &Config, limit: Duration) -> Vec<Finding> {
    let server = tokio::time::timeout(limit, database::server(pool, config)).await;
    let mut findings = match server {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => {
            return vec![
                away(stxworx_indexer::error_chain(&error).to_string()),
                Finding::skipped("mirror", "the database does not answer"),
            ];
        }
        Err(_) => {
            return vec![
                late("database", limit),
                Finding::skipped("mirror", "the database does not answer"),
            ];
        }
    };
    let each = config.database_connections;
    let (p, c) = (|| pool.clone(), || config.clone());
    let mut checks = vec![
        start("database.schema", limit, database::schema(p())),
        start(
            "database.durability",
            limit,
            database::durability(p(), config.network),
        ),
        start("database.grants", limit, database::grants(p())),
        start("database.indexes", limit, database::indexes(p())),
        start("database.bloat", limit, database::bloat(p())),
        start(
            "database.connections",
            limit,
            database::connections(p(), each),
        ),
        start("database.transactions", limit, database::transactions(p())),
        start("database.replication", limit, replication::replication(p())),
    ];
    // Without a schema there is no mirror to look at, and the schema's own finding says so.
    if store::migrate::standing(pool).await.is_ok() {
        checks.push(start("mirror.kind", limit, work::mirror(p(), c())));
        checks.push(start("mirror.work", limit, work::work(p(), c())));
        checks.push(start("webhooks", limit, work::webhooks(p())));
        checks.push(start("minter", limit, mints::mints(p(), c())));
    }
    for running in checks {
        findings.extend(running.end().await);
    }
    findings
}
