//! The files to deploy with say what the program does.

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser as _;
use stxworx::cli::Cli;
use stxworx::config::SETTINGS;
use stxworx::daemon::Role;
use stxworx::post::Order;
use stxworx_indexer::store::{self, Access, migrate};
use stxworx_reconciler::platform::postgres::{Platform, PlatformSource};

use crate::support::app::{App, config};
use crate::support::db::TestDb;
use crate::support::mirror::{assert_verifies, settled};
use crate::support::run;
use crate::tools::{get, output, small_chain, stdout, stxworx};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Names and values of a unit, those that are commented out included.
fn unit(path: &str) -> Vec<(String, String)> {
    let text = read(path);
    let lines = text.lines().map(|l| l.trim_start_matches("# ").trim());
    let pairs = lines.filter_map(|l| l.split_once('='));
    let pairs = pairs.filter(|(name, _)| name.bytes().all(|b| b.is_ascii_alphabetic()));
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn units_run_commands_that_exist_and_hand_over_secrets_that_are_settings() {
    let secrets: BTreeSet<&str> = SETTINGS
        .iter()
        .filter(|s| s.secret)
        .map(|s| s.key)
        .collect();
    let variables: BTreeSet<String> = SETTINGS.iter().map(|s| s.env()).collect();
    let mut credentials = 0;
    for path in [
        "deploy/systemd/stxworx.service",
        "deploy/systemd/stxworx@.service",
    ] {
        for (name, value) in unit(path) {
            match name.as_str() {
                "ExecStart" => {
                    for role in ["indexer", "api", "webhooks", "reconciler"] {
                        let line = value.replace("%i", role);
                        let parsed = Cli::try_parse_from(line.split(' '));
                        assert!(parsed.is_ok(), "{path}: {line}: {:?}", parsed.err());
                    }
                }
                "LoadCredential" => {
                    let (setting, file) = value.split_once(':').unwrap();
                    assert!(secrets.contains(setting), "{path}: {setting} is no secret");
                    assert!(file.ends_with(&format!("/{setting}")), "{path}: {value}");
                    credentials += 1;
                }
                "Environment" => {
                    let (variable, _) = value.split_once('=').unwrap();
                    assert!(variables.contains(variable), "{path}: {variable}");
                }
                _ => {}
            }
        }
    }
    assert!(credentials >= 4, "{credentials} credentials");
    // Other files name settings as well.
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    for path in ["Dockerfile", "docs/deploy.md"] {
        for name in read(path).split(word).filter(|w| w.starts_with("STXWORX_")) {
            let known = variables.contains(name)
                || ["STXWORX_CONFIG", "STXWORX_NETWORK_FILE"].contains(&name);
            assert!(known, "{path}: {name} is no setting");
        }
    }
    for line in read("docs/deploy.md")
        .split('`')
        .filter(|w| w.starts_with("api.") || w.starts_with("platform."))
    {
        let key = line.split(' ').next().unwrap();
        assert!(
            SETTINGS.iter().any(|s| s.key == key),
            "docs/deploy.md: {key}"
        );
    }
}

#[test]
fn containers_publish_ports_to_their_own_machine_alone() {
    let compose = read("compose.yml");
    let published = compose.lines().map(str::trim).filter(|l| {
        let port = l.strip_prefix("- \"").and_then(|l| l.strip_suffix('"'));
        port.is_some_and(|p| {
            p.rsplit(':')
                .next()
                .is_some_and(|n| n.parse::<u16>().is_ok())
        })
    });
    let published: Vec<_> = published.collect();
    assert!(published.len() >= 4, "{published:?}");
    for line in published {
        assert!(line.starts_with("- \"127.0.0.1:"), "{line}");
    }
    for path in compose
        .split_whitespace()
        .filter(|w| w.starts_with("./deploy/") && !w.contains("secrets"))
    {
        let path = path.split(':').next().unwrap();
        assert!(root().join(path).exists(), "compose.yml: {path}");
    }
}

/// The anchor of a heading, as Git hosts make it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn what_doctor_points_to_is_written() {
    let mut pages = 0;
    for entry in std::fs::read_dir(root().join("src/commands/doctor")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for word in text
            .split('"')
            .filter(|w| w.starts_with("docs/") || *w == "config/README.md")
        {
            if word == "docs/x.md#y" {
                continue;
            }
            let (page, wanted) = word.split_once('#').unwrap_or((word, ""));
            let headings = read(page);
            let headings = headings.lines().filter(|l| l.starts_with('#'));
            let there: Vec<_> = headings
                .map(|l| anchor(l.trim_start_matches('#').trim()))
                .collect();
            assert!(
                wanted.is_empty() || there.iter().any(|a| a == wanted),
                "{word}: {there:?}"
            );
            pages += 1;
        }
    }
    assert!(pages > 20, "{pages}");
}

/// The same database, as another role.
fn as_role(db: &TestDb, role: &str) -> String {
    assert!(db.url.contains("user=stxworx"), "{}", db.url);
    db.url.replace("user=stxworx", &format!("user={role}"))
}

#[test]
fn each_role_of_the_database_can_do_its_work_and_no_more() {
    run(async {
        let db = TestDb::empty().await;
        for _ in 0..2 {
            db.sql(read("deploy/sql/roles.sql")).await;
        }
        let owner = store::pool(&as_role(&db, "stxworx_owner"), Access::Write, 2).unwrap();
        migrate::migrate(&owner).await.unwrap();
        owner.close().await;

        let daemon = as_role(&db, "stxworx_daemon");
        let roles = [Role::Indexer, Role::Api, Role::Webhooks];
        let app = App::try_start(&daemon, &config(&[]), &roles).await.unwrap();
        app.post(small_chain().entries(), Order::default()).await;
        settled(&db).await;
        let public = as_role(&db, "stxworx_public");
        let reading = config(&[("api.administrative", "false")]);
        let api = App::try_start(&public, &reading, &[Role::Api])
            .await
            .unwrap();
        let status = get(api.addresses.api.unwrap(), "/v1/status").await;
        assert_eq!(status.status(), 200, "{}", status.text());
        assert_eq!(status.json()["as_of"]["height"], 4);
        api.stop().await.unwrap();
        app.stop().await.unwrap();
        assert_verifies(&db).await;

        for (role, statement) in [
            ("stxworx_daemon", "update event set amount = 1"),
            ("stxworx_daemon", "delete from block"),
            ("stxworx_daemon", "create table mine (x integer)"),
            ("stxworx_public", "insert into block default values"),
            ("stxworx_public", "select body from inbox"),
        ] {
            let pool = store::pool(&as_role(&db, role), Access::Write, 1).unwrap();
            let refused = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err();
            assert!(
                refused.to_string().contains("permission denied"),
                "{role}: {statement}: {refused}"
            );
            pool.close().await;
        }
        let mut command = stxworx(&["doctor", "--output", "json"]);
        command.env("DATABASE_URL", &daemon);
        let report: serde_json::Value =
            serde_json::from_str(&stdout(&output(command).await)).unwrap();
        let found = report["findings"].as_array().unwrap().iter();
        let of: Vec<_> = found.filter(|f| f["check"] == "database.grants").collect();
        assert_eq!(of[0]["severity"], "fine", "{of:?}");
        db.drop().await;
    });
}

#[test]
fn the_role_at_the_platform_reads_and_no_more() {
    run(async {
        let db = TestDb::empty().await;
        db.sql(
            "create table projects (id text, on_chain_id bigint); create table secrets (x text)",
        )
        .await;
        for _ in 0..2 {
            db.sql(read("deploy/sql/platform.sql")).await;
        }
        let url = as_role(&db, "stxworx_compare");
        let source = PlatformSource {
            url: url.clone(),
            statement_timeout: std::time::Duration::from_secs(10),
            ..PlatformSource::default()
        };
        let mut platform = Platform::open(&source).await.unwrap();
        assert_eq!(platform.writable().await.unwrap(), Vec::<String>::new());
        platform.close().await;
        let pool = store::pool(&url, Access::Write, 1).unwrap();
        for statement in [
            "select * from secrets",
            "begin read write; insert into projects values ('x', 1)",
        ] {
            let refused = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err();
            assert!(
                refused.to_string().contains("permission denied"),
                "{statement}: {refused}"
            );
        }
        pool.close().await;
        db.drop().await;
    });
}
