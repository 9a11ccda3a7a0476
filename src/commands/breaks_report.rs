//! A report of breaks, in Markdown for people and in CSV for their tables.

use std::fmt::Write as _;

use clap::ValueEnum;
use stxworx_indexer::store::reconcile::breaks::StoredBreak;
use stxworx_indexer::store::reconcile::run::RunRow;

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Markdown,
    /// For tables.
    Csv,
}

const COLUMNS: [&str; 15] = [
    "id",
    "state",
    "severity",
    "fault",
    "rule",
    "subject_kind",
    "subject_key",
    "what",
    "expected",
    "found",
    "amount",
    "asset",
    "first_seen_s",
    "opened_s",
    "repair_sql",
];

fn cells(it: &StoredBreak) -> [String; 15] {
    let finding = &it.body["finding"];
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let repair = finding["repair"]["sql"].as_str().unwrap_or_default();
    [
        it.id.clone(),
        it.state.clone(),
        it.severity.clone(),
        it.fault.clone(),
        it.rule.clone(),
        it.subject_kind.clone(),
        it.subject_key.clone(),
        it.what.clone(),
        text("expected"),
        text("found"),
        it.amount.clone().unwrap_or_default(),
        it.asset.clone().unwrap_or_default(),
        it.first_seen_s.to_string(),
        it.opened_s.map(|s| s.to_string()).unwrap_or_default(),
        repair.to_owned(),
    ]
}

/// Writes the report.
pub(super) fn write(format: ReportFormat, found: &[StoredBreak], last: Option<&RunRow>) -> String {
    match format {
        ReportFormat::Markdown => markdown(found, last),
        ReportFormat::Csv => csv(found),
    }
}

/// A cell that a spreadsheet takes as text: what begins like a formula gets an apostrophe (a value of the platform must
/// not become one), and quotes are doubled.
fn csv_cell(text: &str) -> String {
    let guarded = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if guarded.contains(['"', ',', '\n', '\r']) {
        return format!("\"{}\"", guarded.replace('"', "\"\""));
    }
    guarded
}

fn csv(found: &[StoredBreak]) -> String {
    let mut text = COLUMNS.join(",") + "\r\n";
    for it in found {
        let row: Vec<_> = cells(it).iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A cell of a Markdown table: one line, and no bar or tag of its own.
fn markdown_cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('<', "&lt;")
        .replace(['\n', '\r'], " ")
}

fn markdown(found: &[StoredBreak], last: Option<&RunRow>) -> String {
    let mut text = String::from("# Breaks\n\n");
    // Writing into a text cannot fail.
    match last {
        None => text.push_str("No reconciliation has ended well yet.\n"),
        Some(run) => {
            let anchor = run.anchor.clone().unwrap_or_default();
            let _ = writeln!(
                text,
                "Last run: {} ({}), at height {} (block {}). Of {} comparisons {} matched, {} were tolerated, {} broken, \
                 {} skipped. Verdicts `{}`.",
                run.id,
                run.kind,
                anchor["height"],
                anchor["block"].as_str().unwrap_or_default(),
                run.considered,
                run.matched,
                run.tolerated,
                run.broken,
                run.skipped,
                hex::encode(run.verdict_digest.as_deref().unwrap_or_default()),
            );
            for note in run.notes.as_array().into_iter().flatten() {
                let _ = writeln!(
                    text,
                    "\n**Note:** {}",
                    note["says"].as_str().unwrap_or_default()
                );
            }
        }
    }
    if found.is_empty() {
        text.push_str("\nNone is open or suspected.\n");
        return text;
    }
    text.push_str(
        "\n| break | state | severity | rule | about | what | expected | found | at risk |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for it in found {
        let [
            id,
            state,
            severity,
            _,
            rule,
            kind,
            key,
            what,
            expected,
            is,
            amount,
            asset,
            ..,
        ] = cells(it);
        let row = [
            id.get(..16).unwrap_or(&id).to_owned(),
            state,
            severity,
            rule,
            format!("{kind} {key}"),
            what,
            expected,
            is,
            format!("{amount} {asset}"),
        ];
        let row: Vec<_> = row.iter().map(|cell| markdown_cell(cell.trim())).collect();
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platforms_text_becomes_no_formula_and_no_table() {
        assert_eq!(csv_cell("=cmd()"), "'=cmd()");
        assert_eq!(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(csv_cell("plain"), "plain");
        assert_eq!(markdown_cell("a|b\nc<script>"), "a\\|b c&lt;script>");
    }
}
