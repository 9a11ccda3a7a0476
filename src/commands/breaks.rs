//! `stxworx breaks`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use stxworx_indexer::store::reconcile::breaks::{self, BreakFilter, StoredBreak};
use stxworx_indexer::store::reconcile::{events, run};
use stxworx_indexer::store::{self, Access, Pool};
use stxworx_reconciler::breaks::Action;
use stxworx_reconciler::engine::{act, find};

use super::breaks_report::{self, ReportFormat};
use crate::cli::{CommandError, Outcome, duration};
use crate::config::Config;
use crate::daemon::Database;
use crate::post::OutputFormat;

/// Options of `breaks`.
#[derive(Debug, Args)]
pub struct BreaksArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: BreaksWhat,
    /// How the result is printed.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// What can be done with breaks.
#[derive(Debug, Subcommand)]
pub enum BreaksWhat {
    /// List breaks, the worst and oldest first; those that are not over, unless --state says otherwise.
    List(ListArgs),
    /// Show a break with both sides' facts, a repair and its history.
    Show {
        /// The beginning of its identity.
        id: String,
    },
    /// Say that somebody looks at it.
    Ack(ActArgs),
    /// Live with it for a time; it opens again after that, or when its amount changes.
    Accept {
        /// Whose break, and who.
        #[command(flatten)]
        who: ActArgs,
        /// Why.
        #[arg(long)]
        note: String,
        /// For how long; for instance 60s, 5m, 720h.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Duration,
    },
    /// Say that it is over. The rule opens it again if it is not.
    Resolve {
        /// Whose break, and who.
        #[command(flatten)]
        who: ActArgs,
        /// What was done.
        #[arg(long)]
        note: String,
        /// It was done on the chain, not on the platform.
        #[arg(long)]
        onchain: bool,
    },
    /// Say that the rule is wrong; a later version of it may open it again.
    FalsePositive {
        /// Whose break, and who.
        #[command(flatten)]
        who: ActArgs,
        /// Why.
        #[arg(long)]
        note: String,
    },
    /// Take an acceptance or a resolution back.
    Reopen(ActArgs),
    /// List the rules.
    Rules,
    /// The history of all breaks.
    #[command(subcommand)]
    Events(EventsWhat),
    /// Write a report of what is not over.
    Report {
        /// Its form.
        #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ReportFormat::Markdown)]
        format: ReportFormat,
        /// Write it here instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Whose break, and who.
#[derive(Debug, Args)]
pub struct ActArgs {
    /// The beginning of its identity.
    pub id: String,
    /// Who does it; stands in the history.
    #[arg(long, value_name = "NAME")]
    pub by: String,
}

/// Which breaks.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// In these states, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [StateName::Suspected, StateName::Open, StateName::Acknowledged])]
    pub state: Vec<StateName>,
    /// Of this rule.
    #[arg(long, value_name = "ID")]
    pub rule: Option<String>,
    /// At least so severe.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub severity: Option<Level>,
    /// About subjects whose key contains this.
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: u32,
}

/// Where a break stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StateName {
    /// It may pass by itself.
    Suspected,
    /// It is one.
    Open,
    /// Somebody looks at it.
    Acknowledged,
    /// Over.
    Resolved,
}

impl StateName {
    fn name(self) -> String {
        match self {
            Self::Suspected => "suspected",
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
        .to_owned()
    }
}

/// How bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Some day.
    Low,
    /// This week.
    Medium,
    /// Today.
    High,
    /// Now.
    Critical,
}

impl Level {
    fn name(self) -> String {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
        .to_owned()
    }
}

/// About the history.
#[derive(Debug, Subcommand)]
pub enum EventsWhat {
    /// Walk its chain of hashes: exit code 3 if a line was changed or is missing.
    Verify,
}

/// Lines of a break's history that `show` prints.
const LINES: i64 = 200;
/// Breaks of a report.
const REPORTED: i64 = 100_000;

/// Lists, shows and decides breaks.
///
/// # Errors
/// When there is no such break, the action makes no sense there, or the database fails.
pub async fn breaks(config: &Config, args: &BreaksArgs) -> Result<Outcome, CommandError> {
    let database = Database::attach(config)
        .await
        .map_err(CommandError::other)?;
    let result = match store::pool(database.url(), Access::Write, 4) {
        Ok(pool) => {
            let result = run_on(&pool, args).await;
            pool.close().await;
            result
        }
        Err(error) => Err(CommandError::other(error)),
    };
    database.close().await;
    result
}

async fn run_on(pool: &Pool, args: &BreaksArgs) -> Result<Outcome, CommandError> {
    let output = args.output;
    let (who, action) = match &args.what {
        BreaksWhat::List(list_args) => return list(pool, list_args, output).await,
        BreaksWhat::Show { id } => return show(pool, id, output).await,
        BreaksWhat::Rules => return Ok(rules(output)),
        BreaksWhat::Events(EventsWhat::Verify) => return verify(pool, output).await,
        BreaksWhat::Report { format, out } => return report(pool, *format, out.as_ref()).await,
        BreaksWhat::Ack(who) => (who, Action::Acknowledge),
        BreaksWhat::Reopen(who) => (who, Action::Reopen),
        BreaksWhat::Accept { who, note, time } => {
            let now = breaks::now_s(pool).await.map_err(CommandError::other)?;
            let until_s = u64::try_from(now)
                .unwrap_or(0)
                .saturating_add(time.as_secs());
            let note = note.clone();
            (who, Action::Accept { note, until_s })
        }
        BreaksWhat::Resolve { who, note, onchain } => {
            let (note, onchain) = (note.clone(), *onchain);
            (who, Action::Resolve { note, onchain })
        }
        BreaksWhat::FalsePositive { who, note } => {
            let note = note.clone();
            (who, Action::FalsePositive { note })
        }
    };
    if who.by.trim().is_empty() {
        return Err(CommandError::Usage(
            "--by is empty: say who does it".to_owned(),
        ));
    }
    let after = act(pool, &who.id, &who.by, &action)
        .await
        .map_err(CommandError::other)?;
    let mut value = serde_json::to_value(&after).map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            value["id"] = json!(hex::encode(after.id.0));
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let state = value["state"].as_str().unwrap_or_default();
            let how = value["how"]["how"].as_str();
            let how = how.map_or(String::new(), |how| format!(" ({how})"));
            crate::cli::say!("{} {} is {state}{how}", after.id, after.rule);
        }
    }
    Ok(Outcome::Done)
}

/// A break as it is stored, by the identity that the other commands take.
fn named(it: &StoredBreak) -> Value {
    let mut body = it.body.clone();
    body["id"] = json!(it.id);
    body
}

async fn list(pool: &Pool, args: &ListArgs, output: OutputFormat) -> Result<Outcome, CommandError> {
    let filter = BreakFilter {
        states: args.state.iter().map(|state| state.name()).collect(),
        rule: args.rule.clone(),
        severity: args.severity.map(Level::name),
        fault: None,
        subject: args.subject.clone(),
        limit: i64::from(args.limit),
    };
    let found = breaks::list(pool, &filter)
        .await
        .map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let bodies: Vec<_> = found.iter().map(named).collect();
            crate::cli::say!("{:#}", json!(bodies));
        }
        OutputFormat::Text => {
            let mut text: String = found.iter().map(|it| line(it) + "\n").collect();
            text.push_str(&format!("{} breaks\n", found.len()));
            crate::cli::say_text(&text);
        }
    }
    Ok(Outcome::Done)
}

/// A break in one line.
fn line(it: &StoredBreak) -> String {
    let finding = &it.body["finding"];
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let money = match (&it.amount, &it.asset) {
        (Some(amount), Some(asset)) => format!("; at risk {amount} of {asset}"),
        _ => String::new(),
    };
    format!(
        "{} {} {} {} {} {}, {}: expected {}, found {} (fault of the {}{money})",
        it.id.get(..16).unwrap_or(&it.id),
        it.state,
        it.severity,
        it.rule,
        it.subject_kind,
        it.subject_key,
        it.what,
        text("expected"),
        text("found"),
        it.fault,
    )
}

async fn show(pool: &Pool, id: &str, output: OutputFormat) -> Result<Outcome, CommandError> {
    let it = find(pool, id).await.map_err(CommandError::other)?;
    let bytes = hex::decode(&it.id).map_err(CommandError::other)?;
    let history = events::of_break(pool, &bytes, LINES)
        .await
        .map_err(CommandError::other)?;
    let lines: Vec<_> = history
        .iter()
        .map(|event| {
            json!({
                "seq": event.seq, "at_us": event.at_us, "run": event.run_id, "who": event.who,
                "change": event.change, "hash": hex::encode(&event.hash),
            })
        })
        .collect();
    match output {
        OutputFormat::Json => {
            let value =
                json!({ "break": named(&it), "evidence_hash": it.evidence_hash, "history": lines });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => crate::cli::say_text(&shown(&it, &lines)),
    }
    Ok(Outcome::Done)
}

fn shown(it: &StoredBreak, history: &[Value]) -> String {
    let mut text = format!(
        "{}\nidentity {}\nevidence {}\n",
        line(it),
        it.id,
        it.evidence_hash
    );
    let finding = &it.body["finding"];
    if let Some(repair) = finding["repair"].as_object() {
        let part = |name: &str| repair.get(name).and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!(
            "repair ({}): {}\n  {}\n",
            part("kind"),
            part("says"),
            part("sql")
        ));
    }
    text.push_str(&format!("facts: {:#}\nhistory:\n", finding["facts"]));
    for event in history {
        let who = event["who"].as_str().unwrap_or_default();
        let change = event["change"].as_str().unwrap_or_default();
        let run = event["run"]
            .as_i64()
            .map(|run| format!(" in run {run}"))
            .unwrap_or_default();
        text.push_str(&format!("  {} {change} by {who}{run}\n", event["seq"]));
    }
    text
}

fn rules(output: OutputFormat) -> Outcome {
    let cards = stxworx_reconciler::rules::cards();
    match output {
        OutputFormat::Json => {
            let cards: Vec<_> = cards
                .iter()
                .map(|(subject, info)| {
                    json!({
                        "id": info.id, "version": info.version, "subject": subject, "class": info.class,
                        "severity_floor": info.class.floor(), "must_hold": info.must_hold, "reads": info.reads,
                    })
                })
                .collect();
            crate::cli::say!("{:#}", json!(cards));
        }
        OutputFormat::Text => {
            let line = |info: &stxworx_reconciler::rule::RuleInfo| {
                let floor = json!(info.class.floor());
                let floor = floor.as_str().unwrap_or_default().to_owned();
                format!(
                    "{} (version {}, {floor}): {}\n",
                    info.id, info.version, info.must_hold
                )
            };
            let text: String = cards.iter().map(|(_, info)| line(info)).collect();
            crate::cli::say_text(&text);
        }
    }
    Outcome::Done
}

async fn verify(pool: &Pool, output: OutputFormat) -> Result<Outcome, CommandError> {
    let walk = events::verify(pool).await.map_err(CommandError::other)?;
    match output {
        OutputFormat::Json => {
            let value = json!({ "lines": walk.lines, "head": walk.head, "fault": walk.fault });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let fault = walk.fault.as_deref().map(|f| format!("; then {f}"));
            crate::cli::say!(
                "{} lines hold, the newest has hash {}{}",
                walk.lines,
                walk.head,
                fault.unwrap_or_default()
            );
        }
    }
    Ok(if walk.fault.is_none() {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

async fn report(
    pool: &Pool,
    format: ReportFormat,
    out: Option<&PathBuf>,
) -> Result<Outcome, CommandError> {
    let filter = BreakFilter {
        states: [
            StateName::Suspected,
            StateName::Open,
            StateName::Acknowledged,
        ]
        .map(StateName::name)
        .into(),
        limit: REPORTED,
        ..BreakFilter::default()
    };
    let found = breaks::list(pool, &filter)
        .await
        .map_err(CommandError::other)?;
    let last = run::last_good(pool, None)
        .await
        .map_err(CommandError::other)?;
    let text = breaks_report::write(format, &found, last.as_ref());
    match out {
        Some(path) => std::fs::write(path, text).map_err(CommandError::other)?,
        None => crate::cli::say_text(&text),
    }
    Ok(Outcome::Done)
}
