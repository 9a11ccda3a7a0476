//! The database: what it is, who may do what in it, and how worn it is.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use stxworx_indexer::store::doctor::{self, Connections, Server, Worn};
use stxworx_indexer::store::{Pool, StoreError, deep, migrate};

use super::finding::Finding;
use super::host;
use crate::config::{Config, Network};

/// Oldest version that is supported.
const OLDEST: i32 = 150_000;
/// Microseconds by which clocks may differ.
const SKEW: (i64, i64) = (2_000_000, 60_000_000);
/// Dead rows that matter, and from which share of the live ones on.
const DEAD: i64 = 100_000;
/// Age at which the server begins to press (autovacuum_freeze_max_age is 200,000,000), and at which it is late.
const AGE: (i64, i64) = (1_000_000_000, 1_800_000_000);
/// How old a transaction may be, in seconds.
const OLD: i64 = 300;
/// Connections that a daemon needs beside its two pools: administrative routes, and commands.
const MORE_CONNECTIONS: i64 = 8;

const GUIDE: &str = "docs/deploy.md#the-database";

pub(super) fn failed(check: &'static str, error: &StoreError) -> Finding {
    Finding::fault(check, stxworx_indexer::error_chain(error).to_string())
        .why("the database does not answer this question, so it stays open")
        .remedy("see the database's log; run this again with the role that the daemon uses")
        .see("docs/runbook.md#database-away")
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// The server, its clock, and its disk if that is here.
///
/// # Errors
/// When it does not answer: then nothing else about it can be known.
pub(super) async fn server(pool: &Pool, config: &Config) -> Result<Vec<Finding>, StoreError> {
    // The first connection is not part of the clock's comparison.
    stxworx_indexer::store::ping(pool).await?;
    let before = now_us();
    let server = doctor::server(pool).await?;
    let middle = i64::midpoint(before, now_us());
    let mut findings = vec![
        version(&server),
        encoding(&server),
        skew("clock.database", "the database's", server.clock_us - middle),
    ];
    findings.push(Finding::fine(
        "database.size",
        format!(
            "{} MiB, connected as {}{}",
            server.bytes >> 20,
            server.role,
            if server.is_replica { ", a replica" } else { "" }
        ),
    ));
    if server.is_superuser && config.network == Network::Mainnet {
        findings.push(
            Finding::warning("database.role", format!("{} is a superuser", server.role))
                .why("a fault in this process could do anything on that server")
                .remedy("give it the role of deploy/sql/roles.sql")
                .see("docs/deploy.md#roles"),
        );
    }
    if let Some(folder) = server
        .data_directory
        .as_deref()
        .map(Path::new)
        .filter(|f| f.exists())
    {
        findings.push(host::disk("disk.database", folder));
    }
    Ok(findings)
}

fn version(server: &Server) -> Finding {
    let text = &server.version_text;
    if server.version < OLDEST {
        return Finding::fault("database.version", format!("PostgreSQL {text}"))
            .why("the schema needs version 15 or newer")
            .remedy("upgrade the server, or name another one in DATABASE_URL")
            .see(GUIDE);
    }
    Finding::fine("database.version", format!("PostgreSQL {text}"))
}

fn encoding(server: &Server) -> Finding {
    let says = format!(
        "encoding {}, collation {}",
        server.encoding, server.collation
    );
    if server.encoding == "UTF8" {
        return Finding::fine("database.encoding", says);
    }
    Finding::fault("database.encoding", says)
        .why("texts of the chain are UTF-8, and some cannot be stored in another encoding")
        .remedy(
            "make the database anew: create database stxworx encoding 'UTF8' template template0",
        )
        .see(GUIDE)
}

/// Two clocks that should say the same.
pub(super) fn skew(check: &'static str, whose: &str, microseconds: i64) -> Finding {
    let says = format!(
        "{whose} clock is {:.1} s {} this machine's",
        // Tenths of a second are all that is said.
        (microseconds.unsigned_abs() / 100_000) as f64 / 10.0,
        if microseconds < 0 {
            "behind"
        } else {
            "ahead of"
        }
    );
    let why = "ages, silences and alerts are measured between these clocks; no block and no row depends on them";
    let remedy = "let chrony or systemd-timesyncd keep both";
    match microseconds.abs() {
        skew if skew > SKEW.1 => Finding::fault(check, says).why(why).remedy(remedy),
        skew if skew > SKEW.0 => Finding::warning(check, says).why(why).remedy(remedy),
        _ => Finding::fine(check, says),
    }
}

/// The schema against this version's.
pub(super) async fn schema(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "database.schema";
    const SEE: &str = "docs/runbook.md#upgrade-and-a-newer-schema";
    let standing = match migrate::standing(&pool).await {
        Ok(standing) => standing,
        Err(error) => {
            let error = stxworx_indexer::error_chain(&error).to_string();
            return vec![
                Finding::fault(CHECK, format!("there is no schema: {error}"))
                    .why("nothing can be read or written")
                    .remedy("stxworx migrate, as the owner of the database")
                    .see(SEE),
            ];
        }
    };
    let list = |versions: &[i64]| {
        let versions: Vec<_> = versions.iter().map(ToString::to_string).collect();
        versions.join(", ")
    };
    if !standing.unknown.is_empty() {
        let unknown = list(&standing.unknown);
        return vec![
            Finding::fault(
                CHECK,
                format!("it has migrations that this version does not know: {unknown}"),
            )
            .why("a later version wrote it; this one refuses to")
            .remedy("run that version, or restore a backup made before the upgrade")
            .see(SEE),
        ];
    }
    if !standing.missing.is_empty() {
        let missing = list(&standing.missing);
        return vec![
            Finding::warning(CHECK, format!("migrations are missing: {missing}"))
                .why("the next start of a role indexer applies them; the role api waits for that")
                .remedy("back up, then stxworx migrate")
                .see(SEE),
        ];
    }
    let newest = migrate::latest_version();
    vec![Finding::fine(CHECK, format!("it is at {newest}"))]
}

/// Roles and their rights.
pub(super) async fn grants(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "database.grants";
    match doctor::grants(&pool).await {
        Err(error) => vec![failed(CHECK, &error)],
        Ok(wrong) if wrong.is_empty() => vec![Finding::fine(
            CHECK,
            "the reader reads and no more, the writer changes no fact",
        )],
        Ok(wrong) => wrong
            .into_iter()
            .map(|grant| {
                let what = format!("{} {}", grant.role, grant.wrong);
                let absent = grant.wrong.starts_with("is not there");
                let finding = if absent {
                    Finding::warning(CHECK, what)
                } else {
                    Finding::fault(CHECK, what)
                };
                finding
                    .why("these rights are the last fence between a fault of this program and the facts")
                    .remedy("as the owner, grant or revoke what is named; missing roles are made before the first migration (deploy/sql/roles.sql), which grants to them")
                    .see("docs/deploy.md#roles")
            })
            .collect(),
    }
}

/// Is every index there, and whole?
pub(super) async fn indexes(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "database.indexes";
    let there = match deep::indexes(&pool).await {
        Ok(there) => there,
        Err(error) => return vec![failed(CHECK, &error)],
    };
    let wanted = migrate::indexes();
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !there.iter().any(|index| index.name == **name))
        .map(|name| format!("{name} is missing"))
        .collect();
    let invalid = there.iter().filter(|index| !index.valid);
    let invalid = invalid.map(|index| format!("{} is not valid", index.name));
    let wrong: Vec<_> = missing.into_iter().chain(invalid).collect();
    if wrong.is_empty() {
        let count = wanted.len();
        return vec![Finding::fine(
            CHECK,
            format!("all {count} are there and valid"),
        )];
    }
    vec![
        Finding::fault(CHECK, wrong.join("; "))
            .why("without it reads are slow, and what it holds to be unique is not")
            .remedy("make it anew as in the migration that made it, or `reindex index NAME` for one that is not valid; then stxworx verify --deep")
            .see("docs/runbook.md#verify-finds-a-difference"),
    ]
}

/// Does it keep what it was given?
pub(super) async fn durability(pool: Pool, network: Network) -> Vec<Finding> {
    const CHECK: &str = "database.durability";
    let keeps = match doctor::durability(&pool).await {
        Ok(keeps) => keeps,
        Err(error) => return vec![failed(CHECK, &error)],
    };
    let mut findings = Vec::new();
    for (holds, setting) in [
        (keeps.fsync, "fsync"),
        (keeps.full_page_writes, "full_page_writes"),
    ] {
        if !holds {
            findings.push(
                Finding::fault(CHECK, format!("{setting} is off"))
                    .why("a payload that was answered with 200 can be lost with the power, and no node delivers it again")
                    .remedy(format!("{setting} = on in postgresql.conf, and reload"))
                    .see(GUIDE),
            );
        }
    }
    if !keeps.autovacuum {
        findings.push(
            Finding::warning(CHECK, "autovacuum is off")
                .why("dead rows stay, and the server stops when its transaction numbers run out")
                .remedy("autovacuum = on")
                .see(GUIDE),
        );
    }
    if network == Network::Mainnet && !keeps.checksums {
        findings.push(
            Finding::warning(CHECK, "data checksums are off")
                .why("a byte that the disk changed shows only in stxworx verify --deep")
                .remedy("stop the server and run pg_checksums --enable")
                .see(GUIDE),
        );
    }
    if network == Network::Mainnet && !keeps.archives {
        findings.push(
            Finding::warning(CHECK, "archive_mode is off")
                .why("after a loss, what came since the last backup is missing, and a node does not deliver it again")
                .remedy("archive the log, or keep a synchronous replica")
                .see("docs/deploy.md#backups"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::fine(CHECK, "what is acknowledged is on the disk"));
    }
    findings
}

/// Dead rows, and old transaction numbers.
pub(super) async fn bloat(pool: Pool) -> Vec<Finding> {
    match doctor::worn(&pool).await {
        Ok(tables) => worn(&tables),
        Err(error) => vec![failed("database.bloat", &error)],
    }
}

fn worn(tables: &[Worn]) -> Vec<Finding> {
    const CHECK: &str = "database.bloat";
    let mut findings = Vec::new();
    for table in tables {
        let Worn {
            table: name,
            live,
            dead,
            age,
            bytes,
        } = table;
        if *dead > DEAD && *dead > live / 4 {
            let mib = bytes >> 20;
            findings.push(
                Finding::warning(
                    CHECK,
                    format!("{name}: {dead} dead rows beside {live}, {mib} MiB"),
                )
                .why("reads go over them, and the disk holds them")
                .remedy(format!(
                    "vacuum (analyze) {name}; look for old transactions, which keep them"
                ))
                .see("docs/runbook.md#growth-of-the-disk"),
            );
        }
        if *age > AGE.0 {
            let says = format!("{name}: {age} transactions since it was frozen");
            let finding = if *age > AGE.1 {
                Finding::fault(CHECK, says)
            } else {
                Finding::warning(CHECK, says)
            };
            findings.push(
                finding
                    .why("at about 2,000,000,000 the server takes no more writes")
                    .remedy(format!(
                        "vacuum (freeze) {name}; look for old transactions and inactive slots"
                    ))
                    .see(GUIDE),
            );
        }
    }
    if findings.is_empty() {
        let dead: i64 = tables.iter().map(|t| t.dead).sum();
        findings.push(Finding::fine(CHECK, format!("{dead} dead rows in all")));
    }
    findings
}

/// Connections left.
pub(super) async fn connections(pool: Pool, each: u32) -> Vec<Finding> {
    match doctor::connections(&pool).await {
        Ok(counted) => vec![room(&counted, each)],
        Err(error) => vec![failed("database.connections", &error)],
    }
}

fn room(counted: &Connections, each: u32) -> Finding {
    const CHECK: &str = "database.connections";
    let Connections { limit, used, ours } = *counted;
    let wanted = i64::from(each) * 2 + MORE_CONNECTIONS;
    // What a running daemon has already is part of what it needs.
    let left = limit - (used - ours);
    let says = format!(
        "{used} of {limit} taken, {ours} of them by stxworx; a daemon needs up to {wanted}"
    );
    if left >= wanted {
        return Finding::fine(CHECK, says);
    }
    Finding::warning(CHECK, says)
        .why("when none is left, the observer answers 503 and the node stands")
        .remedy("raise max_connections, or lower database.max_connections, which is taken twice")
        .see("docs/runbook.md#database-away")
}

/// Transactions that nobody ends.
pub(super) async fn transactions(pool: Pool) -> Vec<Finding> {
    const CHECK: &str = "database.transactions";
    match doctor::old_transactions(&pool, OLD).await {
        Err(error) => vec![failed(CHECK, &error)],
        Ok(old) if old.is_empty() => {
            vec![Finding::fine(CHECK, format!("none is older than {OLD} s"))]
        }
        Ok(old) => {
            let list: Vec<_> = old
                .iter()
                .map(|t| format!("{} ({}, {}) for {} s", t.who, t.pid, t.state, t.seconds))
                .collect();
            vec![
                Finding::warning(CHECK, list.join("; "))
                    .why("nothing that was dead since can be removed, and its locks stay")
                    .remedy("end what it is at; select pg_terminate_backend(PID) if nobody owns it")
                    .see(GUIDE),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    #[test]
    fn clocks_are_compared_both_ways() {
        let severity = |us| skew("clock.x", "its", us).severity;
        assert_eq!(severity(1_900_000), Severity::Fine);
        assert_eq!(severity(-2_100_000), Severity::Warning);
        assert_eq!(severity(61_000_000), Severity::Fault);
        assert_eq!(
            skew("clock.x", "its", -2_140_000).what,
            "its clock is 2.1 s behind this machine's"
        );
    }

    #[test]
    fn wear_is_seen_by_share_and_by_age() {
        let of = |live, dead, age| {
            let table = "t".to_owned();
            let found = worn(&[Worn {
                table,
                live,
                dead,
                age,
                bytes: 0,
            }]);
            found.iter().map(|f| f.severity).max().unwrap()
        };
        assert_eq!(of(1_000_000, 200_000, 5), Severity::Fine);
        assert_eq!(of(1_000_000, 300_000, 5), Severity::Warning);
        assert_eq!(of(10, 90_000, 5), Severity::Fine);
        assert_eq!(of(10, 0, 1_200_000_000), Severity::Warning);
        assert_eq!(of(10, 0, 1_900_000_000), Severity::Fault);
    }

    #[test]
    fn what_a_daemon_has_already_is_not_needed_twice() {
        let of = |used, ours| {
            room(
                &Connections {
                    limit: 100,
                    used,
                    ours,
                },
                8,
            )
            .severity
        };
        assert_eq!(of(20, 0), Severity::Fine);
        assert_eq!(of(90, 0), Severity::Warning);
        assert_eq!(of(90, 20), Severity::Fine);
    }

    #[test]
    fn an_old_server_and_another_encoding_are_faults() {
        let server = |version, encoding: &str| Server {
            version,
            version_text: "x".to_owned(),
            encoding: encoding.to_owned(),
            collation: "C".to_owned(),
            is_replica: false,
            role: "r".to_owned(),
            is_superuser: false,
            bytes: 0,
            clock_us: 0,
            data_directory: None,
        };
        assert_eq!(version(&server(140_011, "UTF8")).severity, Severity::Fault);
        assert_eq!(version(&server(150_000, "UTF8")).severity, Severity::Fine);
        assert_eq!(
            encoding(&server(150_000, "SQL_ASCII")).severity,
            Severity::Fault
        );
        assert_eq!(encoding(&server(150_000, "UTF8")).severity, Severity::Fine);
    }
}
