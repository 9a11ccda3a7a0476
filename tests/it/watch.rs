//! Alerts, the runbook, the drill, the dashboards and the metrics speak of the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Words of a text that begin like this.
fn words(text: &str, begin: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .filter(|word| word.starts_with(begin) && word.len() > begin.len())
        .map(str::to_owned)
        .collect()
}

/// An alert as the file has it.
#[derive(Default)]
struct Alert {
    expr: String,
    runbook: String,
    severity: String,
}

/// The alerts, and the names that are recorded.
fn rules() -> (BTreeMap<String, Alert>, BTreeSet<String>) {
    let (mut alerts, mut recorded) = (BTreeMap::<String, Alert>::new(), BTreeSet::new());
    let mut now: Option<String> = None;
    for line in text("config/prometheus/alerts.yml").lines() {
        let line = line.trim().trim_start_matches("- ");
        if let Some(name) = line.strip_prefix("alert: ") {
            assert!(
                alerts.insert(name.to_owned(), Alert::default()).is_none(),
                "twice: {name}"
            );
            now = Some(name.to_owned());
        } else if let Some(name) = line.strip_prefix("record: ") {
            recorded.insert(name.to_owned());
            now = None;
        } else if let Some(alert) = now.as_ref().and_then(|name| alerts.get_mut(name)) {
            if let Some(anchor) = line.strip_prefix("runbook: docs/runbook.md#") {
                anchor.clone_into(&mut alert.runbook);
            } else if line.starts_with("labels:") {
                line.clone_into(&mut alert.severity);
            } else if !["for:", "annotations:", "summary:", "description:", "#"]
                .iter()
                .any(|other| line.starts_with(other))
            {
                alert.expr.push_str(line);
                alert.expr.push('\n');
            }
        }
    }
    (alerts, recorded)
}

/// The runbook's sections by their anchors.
fn sections() -> BTreeMap<String, String> {
    let runbook = text("docs/runbook.md");
    let parts = runbook.split("\n## ").skip(1).map(|part| {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let anchor: String = head
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        (anchor, body.to_owned())
    });
    parts.collect()
}

/// Metrics of the documentation.
fn documented() -> BTreeSet<String> {
    let text = text("docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| Some(row.split_once('`')?.0.to_owned()))
        .collect()
}

/// Fails where an expression names what no metric and no rule is.
fn known(expr: &str, recorded: &BTreeSet<String>, whose: &str) {
    let metrics = documented();
    let names: BTreeSet<_> = words(expr, "stxworx_")
        .into_iter()
        .chain(words(expr, "process_"))
        .chain(words(expr, "stxworx:"))
        .collect();
    for name in names {
        let family = ["_bucket", "_count", "_sum"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .filter(|family| metrics.contains(*family));
        assert!(
            metrics.contains(&name) || family.is_some() || recorded.contains(&name),
            "{whose} names {name}, which is no metric of docs/metrics.md"
        );
    }
}

#[test]
fn every_alert_leads_to_its_section_and_is_tested_and_drilled() {
    let (alerts, recorded) = rules();
    assert!(alerts.len() > 20, "{} alerts", alerts.len());
    let sections = sections();
    let tested = text("config/prometheus/alerts_test.yml");
    let drilled = words(&text("scripts/drill"), "Stxworx");
    for (name, alert) in &alerts {
        assert!(
            alert.severity.contains("critical") || alert.severity.contains("warning"),
            "{name} has no severity"
        );
        known(&alert.expr, &recorded, name);
        let section = sections
            .get(&alert.runbook)
            .unwrap_or_else(|| panic!("{name} leads to {:?}, which is no section", alert.runbook));
        let line = section.lines().find(|l| l.starts_with("**Alert.**"));
        assert!(
            line.is_some_and(|l| l.contains(&format!("`{name}`"))),
            "the section {:?} does not name {name}",
            alert.runbook
        );
        for part in ["**Meaning.**", "**Look at.**", "**Do.**", "**Done when**"] {
            assert!(section.contains(part), "{:?} lacks {part}", alert.runbook);
        }
        assert!(
            tested.contains(&format!("alertname=\"{name}\"")),
            "{name} has no unit test"
        );
        assert!(drilled.contains(name), "{name} is not in scripts/drill");
    }
    for (anchor, body) in &sections {
        for line in body.lines().filter(|l| l.starts_with("**Alert.**")) {
            for name in words(line, "Stxworx") {
                let leads = alerts.get(&name).map(|a| a.runbook.as_str());
                assert_eq!(leads, Some(anchor.as_str()), "{name}");
            }
        }
    }
}

fn dashboards() -> Vec<(PathBuf, Value)> {
    let folder = std::fs::read_dir(root().join("dashboards")).unwrap();
    let mut paths: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path, serde_json::from_str(&text).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// What Grafana 11 needs of a panel, and what we want of it.
fn panel_is_whole(panel: &Value, whose: &str, anchors: &BTreeMap<String, String>) {
    for field in ["title", "description", "type"] {
        let value = panel[field].as_str().unwrap_or_default();
        assert!(!value.is_empty(), "{whose}: no {field}");
    }
    assert!(
        ["timeseries", "stat"].contains(&panel["type"].as_str().unwrap()),
        "{whose}"
    );
    let defaults = &panel["fieldConfig"]["defaults"];
    assert!(defaults["unit"].is_string(), "{whose}: no unit");
    let steps = defaults["thresholds"]["steps"].as_array().unwrap();
    assert!(
        steps[0]["value"].is_null(),
        "{whose}: the first step has no value"
    );
    assert!(
        panel["options"].is_object() && panel["fieldConfig"]["overrides"].is_array(),
        "{whose}"
    );
    let link = panel["links"][0]["url"].as_str().unwrap_or_default();
    let anchor = link
        .strip_prefix("$runbook")
        .unwrap_or_else(|| panic!("{whose}: {link:?}"));
    if let Some(anchor) = anchor.strip_prefix('#') {
        assert!(anchors.contains_key(anchor), "{whose} leads to {anchor:?}");
    }
    let targets = panel["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{whose}: no query");
}

#[test]
fn every_panel_is_whole_and_asks_for_metrics_that_exist() {
    let (_, recorded) = rules();
    let (anchors, mut uids) = (sections(), BTreeSet::new());
    let all = dashboards();
    assert!(all.len() >= 8, "{} dashboards", all.len());
    for (path, board) in all {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        assert_eq!(board["schemaVersion"], 39, "{file}");
        assert!(
            uids.insert(board["uid"].as_str().unwrap().to_owned()),
            "{file}: uid twice"
        );
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().unwrap() {
            let whose = format!("{file}, {}", panel["title"]);
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{whose}: id twice"
            );
            panel_is_whole(panel, &whose, &anchors);
            let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{whose}: beyond the grid");
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{whose}: over another panel");
                }
            }
            for target in panel["targets"].as_array().unwrap() {
                let expr = target["expr"].as_str().unwrap();
                known(expr, &recorded, &whose);
                assert_eq!(
                    expr.matches('{').count(),
                    expr.matches("{job=\"$job\"").count(),
                    "{whose}: a selector without the job: {expr}"
                );
                assert!(expr.contains("$job"), "{whose}: no job: {expr}");
            }
        }
    }
}

#[test]
fn dashboards_are_what_their_source_says() {
    let mut check = std::process::Command::new("python3");
    let check = check
        .arg(root().join("scripts/dashboards"))
        .arg("--check")
        .output();
    match check {
        Err(error) => println!("left out: python3 cannot be run: {error}"),
        Ok(done) => assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        ),
    }
}
