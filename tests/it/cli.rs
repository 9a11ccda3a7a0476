//! The command as an operator meets it.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use clap::CommandFactory as _;
use nix::sys::signal::Signal;
use serde_json::Value as Json;
use stxworx::recording::{Compression, RecordingWriter};

use crate::support::db::TestDb;
use crate::support::run;
use crate::tools::{Daemon, output, small_chain, stderr, stdout, stxworx};

fn run_command(arguments: &[&str]) -> Output {
    stxworx(arguments).output().unwrap()
}

/// Every command with its sub-commands, as words.
fn commands(of: &clap::Command, words: &[String], out: &mut Vec<Vec<String>>) {
    out.push(words.to_vec());
    for sub in of.get_subcommands().filter(|c| c.get_name() != "help") {
        let mut deeper = words.to_vec();
        deeper.push(sub.get_name().to_owned());
        commands(sub, &deeper, out);
    }
}

/// Changes of the command line are seen in review.
#[test]
fn every_command_has_the_help_that_was_reviewed() {
    let mut all = Vec::new();
    commands(&stxworx::cli::Cli::command(), &[], &mut all);
    for words in all {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let shown = run_command(&arguments);
        assert_eq!(shown.status.code(), Some(0), "{words:?}");
        let name = format!(
            "help_{}",
            if words.is_empty() {
                "stxworx".into()
            } else {
                words.join("_")
            }
        );
        insta::assert_snapshot!(name, stdout(&shown));
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &["no-such-command"][..],
        &["run", "--roles", "miner"],
        &["up", "--for", "soon"],
        &[],
    ] {
        let refused = run_command(arguments);
        assert_eq!(
            refused.status.code(),
            Some(2),
            "{arguments:?}: {}",
            stderr(&refused)
        );
    }
    let soon = run_command(&["up", "--for", "soon"]);
    assert!(
        stderr(&soon).contains("\"soon\" is no time; write 60s, 5m or 1h"),
        "{}",
        stderr(&soon)
    );
}

/// What a configuration file with this content leads to, with the file's name replaced.
fn with_file(content: &str) -> (Option<i32>, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let name = file.path().display().to_string();
    let refused = run_command(&["--config", &name, "config", "dump"]);
    (
        refused.status.code(),
        stderr(&refused).replace(&name, "FILE"),
    )
}

#[test]
fn a_bad_configuration_exits_with_2_and_names_key_value_and_form() {
    let cases = [
        (
            "network = \"moonnet\"",
            "network = \"moonnet\" (from FILE) must be mainnet, testnet or devnet",
        ),
        (
            "network = 1",
            "network = 1 (from FILE) must be a text in quotes",
        ),
        (
            "[api]\nlistn = \"x\"",
            "unknown setting \"api.listn\" in FILE; `stxworx config example` lists all of them (did you mean \"api.listen\"?)",
        ),
        (
            "[nonsense]\nx = 1",
            "unknown setting \"nonsense.x\" in FILE; `stxworx config example` lists all of them",
        ),
        (
            "[database]\nmax_connections = 1",
            "database.max_connections = 1 (from FILE) must be a whole number from 2 to 1000",
        ),
        (
            "[follow]\ncontracts = \"SP1.x\"",
            "follow.contracts = \"SP1.x\" (from FILE) must be a list of texts",
        ),
    ];
    for (content, expected) in cases {
        let (code, said) = with_file(content);
        assert_eq!(code, Some(2), "{content}: {said}");
        assert_eq!(
            said,
            format!("error: the configuration cannot be used: {expected}\n")
        );
    }
    let (code, said) = with_file("[api\n");
    assert_eq!(code, Some(2));
    assert!(
        said.starts_with(
            "error: the configuration cannot be used: the configuration file FILE is not TOML: "
        ),
        "{said}"
    );
    let missing = run_command(&["--config", "/nonexistent/x.toml", "config", "dump"]);
    assert_eq!(missing.status.code(), Some(2));
    let expected =
        "the configuration file /nonexistent/x.toml cannot be read: No such file or directory";
    assert!(stderr(&missing).contains(expected), "{}", stderr(&missing));
}

#[test]
fn a_bad_variable_exits_with_2_and_is_named() {
    let mut command = stxworx(&["config", "dump"]);
    command.env("STXWORX_OBSERVER_LISTEN", "3700");
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let expected = "observer.listen = \"3700\" (from environment variable STXWORX_OBSERVER_LISTEN) must be IP:PORT, for instance 127.0.0.1:3700";
    assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
}

/// A filter that cannot be read would silently log something else.
#[test]
fn a_bad_log_filter_exits_with_2() {
    let refused = run_command(&["--log-level", "=,=", "config", "dump"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        stderr(&refused).contains("log.level"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn secrets_are_hidden_wherever_they_come_from() {
    let dump = |format: &str| {
        let mut command = stxworx(&["config", "dump", "--output", format]);
        command.env("DATABASE_URL", "postgres://u:hunter2@h/d");
        command.output().unwrap()
    };
    let (text, json) = (dump("text"), dump("json"));
    for shown in [&text, &json] {
        assert_eq!(shown.status.code(), Some(0));
        assert!(!stdout(shown).contains("hunter2") && !stderr(shown).contains("hunter2"));
    }
    assert!(
        stdout(&text).contains("database.url = \"<hidden>\"  # environment variable DATABASE_URL")
    );
    let json: Json = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["database.url"]["value"], "\"<hidden>\"");
    assert_eq!(json["network"]["origin"], "default");
    let mut wrong = stxworx(&["run"]);
    wrong.env("DATABASE_URL", "mysql://u:hunter2@h/d");
    let wrong = wrong.output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        !stderr(&wrong).contains("hunter2") && stderr(&wrong).contains("<hidden>"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn the_example_is_a_configuration_like_none() {
    let example = run_command(&["config", "example"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &example.stdout).unwrap();
    let values = |arguments: &[&str]| -> Vec<(String, Json)> {
        let json: Json = serde_json::from_slice(&run_command(arguments).stdout).unwrap();
        json.as_object()
            .unwrap()
            .iter()
            .map(|(key, entry)| (key.clone(), entry["value"].clone()))
            .collect()
    };
    let with = values(&[
        "--config",
        file.path().to_str().unwrap(),
        "config",
        "dump",
        "--output",
        "json",
    ]);
    assert_eq!(with, values(&["config", "dump", "--output", "json"]));
    assert!(with.len() >= 14);
}

#[test]
fn the_description_of_the_api_is_the_committed_one() {
    let shown = stdout(&run_command(&["openapi"]));
    let json: Json = serde_json::from_str(&shown).unwrap();
    assert_eq!(json["openapi"], "3.1.0");
    assert!(
        json["paths"]
            .as_object()
            .unwrap()
            .contains_key("/v1/status")
    );
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(committed).expect("docs/openapi.json");
    assert!(
        committed == shown,
        "docs/openapi.json is not what the code says; run `make openapi`"
    );
}

#[test]
fn a_taken_port_is_named_with_its_setting() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for service in ["observer", "api", "metrics"] {
        let variable = format!("STXWORX_{}_LISTEN", service.to_uppercase());
        let mut command = stxworx(&["run"]);
        command
            .env("DATABASE_URL", "postgres://u@127.0.0.1:1/d")
            .env(&variable, &address);
        let refused = command.output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let expected = format!(
            "error: a service cannot listen: {address} is taken by another process; choose another with \
             `{service}.listen` in the configuration, or {variable}\n"
        );
        assert!(
            stderr(&refused).ends_with(&expected),
            "{}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_recording_that_is_missing_is_known_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let refused = run_command(&[
        "--data-dir",
        data.to_str().unwrap(),
        "up",
        "--post",
        "/nonexistent/x.ndjson",
    ]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(stderr(&refused).contains("/nonexistent/x.ndjson"));
    assert!(!data.exists(), "a database was begun");
}

/// A folder that the account of the embedded Postgres can reach, when this runs as root.
fn reachable_folder() -> tempfile::TempDir {
    let everyone = std::fs::Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .permissions(everyone)
        .tempdir()
        .unwrap()
}

#[test]
fn up_ends_by_itself_with_a_summary() {
    run(async {
        let folder = reachable_folder();
        let file = folder.path().join("small.ndjson.gz");
        let small = small_chain();
        let mut writer = RecordingWriter::create(&file, Compression::Gzip).unwrap();
        for entry in small.entries() {
            writer.write(&entry, 0, 200).unwrap();
        }
        let payloads = writer.finish().unwrap();
        let (data, file) = (folder.path().join("data"), file.display().to_string());
        let arguments = [
            "--data-dir",
            data.to_str().unwrap(),
            "up",
            "--post",
            &file,
            "--for",
            "3s",
            "--output",
            "json",
        ];
        let ended = output(stxworx(&arguments)).await;
        assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
        let summary: Json = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(summary["tip_height"], 4, "{summary}");
        assert_eq!(
            (&summary["payloads_posted"], &summary["backlog"]),
            (&Json::from(payloads), &Json::from(0))
        );
        assert_eq!(summary["invariant_violations"], Json::Array(Vec::new()));
        assert!(
            stderr(&ended).contains("stxworx is up (devnet)"),
            "{}",
            stderr(&ended)
        );
        // What it left behind is there for the next command, which finds it without a running server.
        let verified = output(stxworx(&["--data-dir", data.to_str().unwrap(), "verify"])).await;
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert!(stdout(&verified).contains(&small.tip()));
    });
}

#[test]
fn ctrl_c_and_sigterm_end_it_in_order() {
    run(async {
        let db = TestDb::new().await;
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut command = stxworx(&["run"]);
            command.env("DATABASE_URL", &db.url);
            let mut daemon = Daemon::spawn(command);
            daemon.says(" ready ").await;
            daemon.signal(signal);
            assert_eq!(daemon.ended().await, Some(0), "{signal}");
            daemon.says("ended in order").await;
        }
        db.drop().await;
    });
}

#[test]
fn a_daemon_that_waits_for_its_database_can_be_ended() {
    run(async {
        let mut command = stxworx(&["run"]);
        command.env("DATABASE_URL", "postgres://u@127.0.0.1:1/d");
        let mut daemon = Daemon::spawn(command);
        daemon.says("the database is away; waiting for it").await;
        daemon.signal(Signal::SIGINT);
        let code = daemon.ended().await;
        assert!(code.is_some(), "it ended by a signal and not in order");
    });
}

/// A devnet begins anew with each `up`; a mirror that was kept is caught up with before anything is made slowly.
#[cfg(feature = "devnet")]
#[test]
fn up_goes_on_where_it_ended_and_proves_every_contract() {
    run(async {
        let folder = reachable_folder();
        let data = folder.path().join("data");
        let data = data.to_str().unwrap();
        let up = async |time: &str, speed: &str| {
            let arguments = [
                "--data-dir",
                data,
                "up",
                "--for",
                time,
                "--speed",
                speed,
                "--devnet-bind",
                "127.0.0.1:0",
                "--output",
                "json",
            ];
            let ended = output(stxworx(&arguments)).await;
            assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
            serde_json::from_slice::<Json>(&ended.stdout).unwrap()
        };
        let first = up("6s", "20").await;
        let second = up("2s", "1").await;
        for summary in [&first, &second] {
            let proofs = summary["cursor_proofs"].as_array().unwrap();
            assert_eq!(proofs.len(), 4, "{summary}");
            assert!(proofs.iter().all(|p| p["proved"] == true), "{summary}");
        }
        let height = |summary: &Json| summary["tip_height"].as_i64().unwrap();
        assert!(height(&first) > 5, "{first}");
        assert!(height(&second) >= height(&first), "{second}");
        let others = ["--data-dir", data, "up", "--for", "2s", "--seed", "9"];
        let refused = output(stxworx(&others)).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            stderr(&refused).contains("other dials or contracts"),
            "{}",
            stderr(&refused)
        );
    });
}

#[test]
fn contracts_are_rendered_with_their_signers_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rendered");
    let out = out.to_str().unwrap();
    let signer = |n: u8| {
        let principal = stxworx_clarity::codec::StandardPrincipal::new(26, [n; 20]);
        principal.unwrap().to_string()
    };
    let render = |signers: &[String]| {
        let mut arguments = vec!["contracts", "render", "--network", "testnet", "--out", out];
        for signer in signers {
            arguments.extend(["--signer", signer]);
        }
        run_command(&arguments)
    };
    let mut signers: Vec<_> = (1..=5).map(signer).collect();
    for (bad, words) in [
        (&signers[..4], "5 signers, not with 4"),
        (&["somebody".to_owned()][..], "\"somebody\" is no principal"),
    ] {
        let refused = render(bad);
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains(words), "{}", stderr(&refused));
        assert!(!std::path::Path::new(out).exists());
    }
    let rendered = render(&signers);
    assert_eq!(rendered.status.code(), Some(0), "{}", stderr(&rendered));
    assert_eq!(stdout(&rendered).lines().count(), 5);
    let path = format!("{out}/freelance-security.clar");
    let source = std::fs::read_to_string(&path).unwrap();
    assert!(signers.iter().all(|s| source.contains(&format!("'{s}"))));
    assert_eq!(render(&signers).status.code(), Some(0), "the same again");
    signers[0] = signer(9);
    let refused = render(&signers);
    assert!(
        stderr(&refused).contains("is there already"),
        "{}",
        stderr(&refused)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), source);
}
