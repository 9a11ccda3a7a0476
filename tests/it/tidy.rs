//! Rules about the sources that no compiler holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Longest file of the product. What is longer has its reason here, and may not grow beyond its number.
const MAX_LINES: usize = 500;
/// Longest file of tests.
const MAX_TEST_LINES: usize = 1000;
const LONGER: &[(&str, usize, &str)] = &[
    (
        "indexer/src/pipeline/writer.rs",
        544,
        "the writer's state and all that changes it",
    ),
    (
        "src/config/settings.rs",
        600,
        "one table, a few lines for each setting",
    ),
];

struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of the product: without comments, and without what is compiled for tests only.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines = Vec::new();
        let mut test_begins = None;
        for (number, line) in self.text.lines().enumerate() {
            if line.trim() == "#[cfg(test)]" {
                test_begins = Some(number + 1);
                continue;
            }
            // A module of tests in place ends its file; one in a file of its own is a single line.
            if test_begins == Some(number) && line.trim_end().ends_with('{') {
                break;
            }
            if !line.trim_start().starts_with("//") {
                lines.push((number + 1, line));
            }
        }
        lines
    }

    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.split('/').any(|part| part == "tests")
            || ["tests.rs", "suite.rs"].contains(&name)
            || name.ends_with("_tests.rs")
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extension: &str, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, out);
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path);
        }
    }
}

fn read(path: &Path) -> Source {
    let relative = path.strip_prefix(root()).unwrap().display().to_string();
    Source {
        path: relative,
        text: std::fs::read_to_string(path).unwrap(),
    }
}

/// Rust sources below these folders, in order.
fn sources(folders: &[&str]) -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in folders {
        files(&root().join(folder), "rs", &mut paths);
    }
    paths.sort();
    let found: Vec<_> = paths.iter().map(|p| read(p)).collect();
    assert!(!found.is_empty(), "nothing in {folders:?}");
    found
}

/// The source trees of every crate.
fn product() -> Vec<Source> {
    sources(&["src", "clarity/src", "indexer/src", "reconciler/src"])
}

/// `path:line: text` for each line of code that holds one of these words.
fn holding<'a>(sources: impl IntoIterator<Item = &'a Source>, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.into_iter().filter(|s| !s.is_test()) {
        for (number, line) in source.code() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    found
}

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// D1: what decides has no clock, no I/O, no database, no configuration.
#[test]
fn what_decides_is_pure() {
    let folders = ["model", "decode", "chain", "project"].map(|m| format!("indexer/src/{m}"));
    let folders: Vec<&str> = folders
        .iter()
        .map(String::as_str)
        .chain(["clarity/src"])
        .collect();
    let forbidden = [
        "tokio",
        "sqlx",
        "axum",
        "reqwest",
        "futures::",
        "Instant",
        "SystemTime",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "crate::store",
        "crate::source",
        "crate::pipeline",
        "crate::api",
        "rand::",
    ];
    let reaching = holding(&sources(&folders), &forbidden);
    // clarity-vm recurses deeply: its calls get a stack of their own, and are waited for.
    let but_the_deep_stack: Vec<_> = reaching
        .into_iter()
        .filter(|l| !(l.starts_with("clarity/src/simnet/machine.rs:") && l.contains("std::thread")))
        .collect();
    assert_none(&but_the_deep_stack, "a pure module reaches out");
}

/// The stages know the model and no later stage.
#[test]
fn earlier_stages_do_not_know_later_ones() {
    let forbidden: &[(&str, &[&str])] = &[
        (
            "indexer/src/model",
            &["crate::decode", "crate::chain", "crate::project"],
        ),
        ("indexer/src/decode", &["crate::chain", "crate::project"]),
        ("indexer/src/chain", &["crate::decode", "crate::project"]),
        ("indexer/src/project", &["crate::decode", "crate::chain"]),
        (
            "indexer/src/store",
            &["crate::pipeline", "crate::source", "crate::api"],
        ),
        (
            "indexer/src/source",
            &[
                "crate::pipeline",
                "crate::api",
                "crate::decode",
                "crate::chain",
                "crate::project",
            ],
        ),
        (
            "indexer/src/api",
            &[
                "crate::pipeline",
                "crate::source",
                "crate::decode",
                "crate::chain",
                "crate::project",
            ],
        ),
    ];
    for (folder, words) in forbidden {
        assert_none(
            &holding(&sources(&[folder]), words),
            "an arrow against the flow",
        );
    }
    let upwards = holding(
        &sources(&["clarity/src", "indexer/src"]),
        &["stxworx::", "stxworx_reconciler"],
    );
    assert_none(&upwards, "a lower crate names a higher one");
}

/// D2: statements stand in the store, beside the server that the embedded database is, and where a foreign database is
/// read whose schema is known only when it is asked.
#[test]
fn statements_stand_in_the_store() {
    let all = product();
    let elsewhere = all.iter().filter(|s| {
        let at = [
            "indexer/src/store/",
            "src/embedded/",
            // Platforms have schemas of their own.
            "reconciler/src/platform/",
            "src/devnet/backend/",
        ];
        !at.iter().any(|folder| s.path.starts_with(folder))
    });
    let words = [
        "sqlx::query",
        "sqlx::raw_sql",
        "query_as!",
        "query_scalar!",
        "query!(",
        "AssertSqlSafe",
    ];
    assert_none(&holding(elsewhere, &words), "SQL outside the store");
}

/// Where a pool or a connection is handed on, and nothing else of sqlx is needed.
#[test]
fn sqlx_is_named_only_where_a_pool_is_handed_on() {
    let all = product();
    let handed = [
        "indexer/src/store/",
        "indexer/src/pipeline/",
        "indexer/src/source/",
        "indexer/src/api/",
        "indexer/src/audit/",
        "indexer/src/verify/",
        "indexer/src/reindex/",
        "indexer/src/explain/",
        "reconciler/src/platform/",
        "src/devnet/backend/",
        "src/embedded/",
        "src/daemon/",
        "src/commands/up.rs",
        "src/commands/up_devnet.rs",
    ];
    let elsewhere = all
        .iter()
        .filter(|s| !handed.iter().any(|h| s.path.starts_with(h)));
    assert_none(
        &holding(elsewhere, &["sqlx::", "use sqlx"]),
        "sqlx where no pool is handed on",
    );
}

/// D3: few places to listen, four to call out: to a daemon, to a source, to receivers of webhooks, and to the nodes and the
/// signer of the mints.
#[test]
fn http_stands_at_the_edges() {
    let all = product();
    let servers = all.iter().filter(|s| {
        let edges = [
            "indexer/src/source/",
            "indexer/src/api/",
            "src/daemon/",
            "src/devnet/",
            "src/commands/status.rs",
        ];
        !edges.iter().any(|e| s.path.starts_with(e)) && s.path != "src/recording/mod.rs"
    });
    assert_none(
        &holding(servers, &["axum::"]),
        "an HTTP server in the middle",
    );
    let callers = [
        "src/post/",
        "indexer/src/source/",
        "indexer/src/webhook/",
        "reconciler/src/mint/node/",
        "reconciler/src/mint/signer/remote.rs",
    ];
    let clients = all
        .iter()
        .filter(|s| !callers.iter().any(|c| s.path.starts_with(c)));
    assert_none(
        &holding(clients, &["reqwest::"]),
        "an HTTP client in the middle",
    );
}

/// D4: configuration and command line end where the roles are started.
#[test]
fn configuration_ends_where_roles_start() {
    let libraries = sources(&["clarity/src", "indexer/src", "reconciler/src"]);
    assert_none(
        &holding(&libraries, &["clap::", "toml::", "std::env::var"]),
        "configuration in a library",
    );
}

#[test]
fn only_the_commit_begins_a_write_transaction_for_facts() {
    let inserts = holding(
        &product(),
        &[
            "insert into block",
            "insert into event",
            "insert into transaction",
            "insert into canonical",
        ],
    );
    // A swap of recomputed rows is the one repair, and holds the mirror's position while it lasts.
    let writes = [
        "indexer/src/store/commit.rs",
        "indexer/src/store/reindex/exchange.rs",
    ];
    let elsewhere: Vec<_> = inserts
        .iter()
        .filter(|l| !writes.iter().any(|w| l.starts_with(w)))
        .cloned()
        .collect();
    assert_none(&elsewhere, "facts are written elsewhere");
    assert!(
        inserts.len() >= 4,
        "this test looks for the wrong words: {inserts:?}"
    );
}

#[test]
fn no_file_is_too_long() {
    let listed: BTreeMap<_, _> = LONGER
        .iter()
        .map(|(path, lines, _)| (*path, *lines))
        .collect();
    let mut all = product();
    all.extend(sources(&["tests"]));
    for source in &all {
        let lines = source.text.lines().count();
        let usual = if source.is_test() {
            MAX_TEST_LINES
        } else {
            MAX_LINES
        };
        let limit = listed.get(source.path.as_str()).copied().unwrap_or(usual);
        assert!(
            lines <= limit,
            "{} has {lines} lines of {limit}: split it",
            source.path
        );
    }
    for (path, ..) in LONGER {
        let still = all
            .iter()
            .any(|s| s.path == *path && s.text.lines().count() > MAX_LINES);
        assert!(still, "{path} needs no exception any more");
    }
}

#[test]
fn nothing_is_left_undone() {
    let words = ["todo!(", "unimplemented!(", "dbg!(", "FIXME", "XXX"];
    assert_none(&holding(&product(), &words), "left undone");
    let comments: Vec<_> = product()
        .iter()
        .flat_map(|s| {
            s.text
                .lines()
                .map(|l| format!("{}: {}", s.path, l.trim()))
                .collect::<Vec<_>>()
        })
        .filter(|l| l.contains("TODO") || l.contains("FIXME"))
        .collect();
    assert_none(&comments, "left undone");
}

#[test]
fn nothing_panics_on_purpose() {
    let found = holding(&product(), &[".unwrap()", "panic!(", "unreachable!("]);
    assert_none(
        &found,
        "a panic outside tests; return an error, or use expect with the reason why it cannot fail",
    );
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let workspace = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(workspace.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\""));
    for member in ["", "clarity/", "indexer/", "reconciler/"] {
        let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{member}Cargo.toml takes no lints"
        );
    }
    assert_none(
        &holding(&product(), &["unsafe ", "allow(unsafe_code)"]),
        "unsafe code",
    );
}

/// The targets of Markdown links that lead to files.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ', '#']).next())
        .filter(|target| {
            !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:")
        })
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut paths = Vec::new();
    for folder in [
        "docs",
        "recordings",
        "dashboards",
        "clarity/contracts",
        "clarity/deployments",
    ] {
        files(&root().join(folder), "md", &mut paths);
    }
    paths.extend(
        std::fs::read_dir(root())
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "md")),
    );
    assert!(paths.len() > 1);
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        for target in links(&text) {
            let to = path.parent().unwrap().join(target);
            assert!(to.exists(), "{}: {target} leads nowhere", path.display());
        }
    }
}

/// A review that names tests is worth something only while they are there.
#[test]
fn every_test_that_the_review_names_exists() {
    let review = std::fs::read_to_string(root().join("docs/contracts-review.md")).unwrap();
    let mut named = 0;
    for quoted in review.split('`').skip(1).step_by(2) {
        let Some((path, name)) = quoted.split_once("::").filter(|(p, _)| p.contains('/')) else {
            continue;
        };
        let text = std::fs::read_to_string(root().join(path))
            .unwrap_or_else(|e| panic!("the review names {quoted}: {e}"));
        let wanted = if path.ends_with(".rs") {
            format!("fn {name}(")
        } else {
            name.to_owned()
        };
        assert!(
            text.contains(&wanted),
            "the review names {quoted}, which is not there"
        );
        named += 1;
    }
    assert!(named > 50, "{named}");
}

/// An index of decisions is of use only while it is whole.
#[test]
fn every_decision_is_listed() {
    let index = root().join("docs/adr/README.md");
    let Ok(text) = std::fs::read_to_string(&index) else {
        return;
    };
    let mut paths = Vec::new();
    files(&root().join("docs/adr"), "md", &mut paths);
    for path in paths.iter().filter(|p| **p != index) {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(
            text.contains(name.as_ref()),
            "{name} is not in docs/adr/README.md"
        );
    }
}
