//! What must hold whatever goes wrong: the list of checks, and the scenarios that stand nowhere else.

mod database;
mod fidelity;
mod reading;
mod reorgs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stxworx_indexer::audit::NodeReader;
use stxworx_indexer::model::IndexBlockHash;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::run;

/// What `scripts/reliability` reads, too.
const CHECKS: &str = include_str!("checks.txt");

struct Check<'a> {
    group: &'a str,
    name: &'a str,
    what: &'a str,
    /// Tests, or why there is none.
    by: &'a str,
}

impl<'a> Check<'a> {
    fn tests(&self) -> Vec<&'a str> {
        if self.by.starts_with("does not apply: ") || self.by.starts_with("not tested: ") {
            return Vec::new();
        }
        self.by.split(", ").collect()
    }
}

fn checks() -> Vec<Check<'static>> {
    let (mut group, mut checks) = ("", Vec::new());
    for line in CHECKS.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            group = name.strip_suffix(']').expect("[Group]");
            continue;
        }
        let fields: Vec<_> = line.split(" | ").collect();
        let [name, what, by] = fields[..] else {
            panic!("not three fields: {line}")
        };
        checks.push(Check {
            group,
            name,
            what,
            by,
        });
    }
    checks
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The file of a module, in any of the places where it may stand.
fn module(mut folder: PathBuf, path: &[&str]) -> Option<PathBuf> {
    let Some((last, parents)) = path.split_last() else {
        return Some(folder.join("main.rs")).filter(|f| f.exists());
    };
    folder.extend(parents);
    let files = [
        folder.join(format!("{last}.rs")),
        folder.join(last).join("mod.rs"),
        // A module of tests within its file.
        folder.with_extension("rs"),
        folder.join("mod.rs"),
    ];
    let inline = *last == "tests" || *last == "suite";
    files
        .into_iter()
        .enumerate()
        .find(|(place, file)| (*place < 2 || inline) && file.exists())
        .map(|(_, file)| file)
}

/// Is there a test of this name where its path says?
fn exists(test: &str) -> bool {
    let mut path: Vec<_> = test.split("::").collect();
    let (krate, name) = (path.remove(0), path.pop().unwrap_or_default());
    let folder = match krate {
        "it" => root().join("tests/it"),
        "stxworx" => root().join("src"),
        other => root().join(other).join("src"),
    };
    let text = module(folder, &path).and_then(|file| std::fs::read_to_string(file).ok());
    let Some(text) = text else { return false };
    let wanted = format!("fn {name}(");
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains(&wanted));
    at.is_some_and(|at| {
        let before = &lines[at.saturating_sub(3)..at];
        before.iter().any(|line| line.contains("test]"))
            || lines[..at].iter().any(|l| l.contains("proptest! {"))
    })
}

#[test]
fn every_test_of_the_list_exists() {
    let checks = checks();
    let mut names = BTreeSet::new();
    for check in &checks {
        assert!(
            names.insert((check.group, check.name)),
            "{} stands twice",
            check.name
        );
        assert!(
            !check.group.is_empty() && !check.by.is_empty(),
            "{}",
            check.name
        );
        for test in check.tests() {
            assert!(exists(test), "{}: there is no test {test}", check.name);
        }
    }
    assert!(checks.len() > 60, "{}", checks.len());
    assert!(!exists("it::reliability::a_test_that_is_not_there"));
    assert!(!exists("it::reliability::checks"));
}

/// The page was written from this list, line by line, and from no older one.
#[test]
fn the_page_is_of_this_list() {
    let page = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    let mut group = "";
    let mut rows = Vec::new();
    for line in page.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            group = name;
        } else if line.starts_with("| ") && group != "Result" {
            let fields: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            rows.push((group, fields));
        }
    }
    rows.retain(|(_, fields)| fields[0] != "check");
    let checks = checks();
    for (check, (group, fields)) in checks.iter().zip(&rows) {
        let tests: Vec<_> = check.tests().iter().map(|t| format!("`{t}`")).collect();
        assert_eq!(
            (*group, fields[0], fields[1], fields[2]),
            (
                check.group,
                check.name,
                check.what,
                tests.join("<br>").as_str()
            ),
            "docs/reliability.md is of another list; `make reliability` writes it"
        );
        assert_ne!(fields[3], "FAILED", "{}", check.name);
        assert!(
            !check.tests().is_empty() || fields[3] == check.by,
            "{}: {}",
            check.name,
            fields[3]
        );
    }
    assert_eq!(rows.len(), checks.len());
}

/// Files of a module are found and strangers are not.
#[test]
fn modules_are_found_where_they_stand() {
    let it = root().join("tests/it");
    let found = |path: &[&str]| module(it.clone(), path);
    assert_eq!(
        found(&["forks"]).as_deref(),
        Some(Path::new(&it.join("forks.rs")))
    );
    assert_eq!(
        found(&["reliability"]).as_deref(),
        Some(Path::new(&it.join("reliability/mod.rs")))
    );
    assert_eq!(found(&["nowhere"]), None);
}

/// Answers everything with 404 and says what was asked.
async fn asked_of(listener: &TcpListener) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 16 * 1024];
    let mut length = 0;
    while !head[..length].windows(4).any(|w| w == b"\r\n\r\n") {
        length += stream.read(&mut head[length..]).await.unwrap();
    }
    let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    head.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_node_is_never_asked_with_a_malformed_tip() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let node = NodeReader::new(&url, Duration::from_secs(20)).unwrap();
        let contract = "ST000000000000000000002AMW42H.pox-4";
        for bytes in [[0; 32], [0xff; 32], [0x0a; 32]] {
            let tip = IndexBlockHash(bytes);
            let (asked, answer) = tokio::join!(
                asked_of(&listener),
                node.call_read(contract, "get-pox-info", &[], &tip)
            );
            answer.expect_err("a block that is not known");
            let (balance, answer) = tokio::join!(asked_of(&listener), node.balance(contract, &tip));
            answer.expect_err("a block that is not known");
            for line in [asked, balance] {
                let (_, query) = line.split_once("tip=").expect("a tip");
                let value = query.split(['&', ' ']).next().unwrap_or_default();
                assert_eq!(value, hex::encode(bytes), "{line}");
            }
        }
    });
}
