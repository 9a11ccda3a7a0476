//! `stxworx mints report`: who would get what, and why not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use clap::Args;
use serde_json::json;
use stxworx_indexer::store::Pool;
use stxworx_reconciler::mint::attest::{self, Proposal};
use stxworx_reconciler::mint::eligibility::{self, Missing, ReportLine, Standing};
use stxworx_reconciler::mint::policy::Policy;
use stxworx_reconciler::mint::ports::{Mirror as _, Store as _};
use stxworx_reconciler::mint::postgres::{PgMirror, PgStore};
use stxworx_reconciler::mint::types::{LaneId, Tip, Wanted};

use super::attestations;
use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::post::OutputFormat;

/// Options of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Only this user.
    #[arg(long, value_name = "PRINCIPAL", value_parser = super::principal)]
    pub user: Option<String>,
    /// Whoever lacks something, too, and who has it; without this, only who would get one or has one on its way.
    #[arg(long)]
    pub all: bool,
}

/// Users that are read at once.
const PAGE: u32 = 1_000;
/// Lines that a report has at most.
const LINES: usize = 200_000;

pub(super) async fn report(
    pool: &Pool,
    config: &Config,
    args: &ReportArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let contract = super::contract(pool, config).await?;
    let policy = config.mint.policy(&contract);
    let gathered = gather(pool, config, &contract, &policy, args).await?;
    let proposed = proposed(pool, config, &contract, args).await;
    match output {
        OutputFormat::Json => {
            let tip = gathered.tip.map(|tip| json!(tip));
            let value = json!({
                "contract": contract, "tip": tip, "lines": gathered.lines, "cut": gathered.cut,
                "attestations": { "waiting": gathered.waiting, "proposed": proposed.as_ref().ok() },
            });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let attestations = about_attestations(gathered.waiting, &proposed);
            crate::cli::say_text(&(text(&contract, &gathered) + &attestations));
        }
    }
    Ok(Outcome::Done)
}

/// How many the platform proposes for an attestation, among those who wait for nothing else; or why that is not known.
async fn proposed(
    pool: &Pool,
    config: &Config,
    contract: &str,
    args: &ReportArgs,
) -> Result<usize, String> {
    let Some(platform) = &config.platform else {
        return Err("no platform is configured that would propose whom to attest".to_owned());
    };
    let source = &platform.settings.source;
    // How long an attestation would hold makes no difference here.
    let found = attestations::find(pool, config, source, contract, 1).await;
    let found = found.map_err(|error| stxworx_indexer::error_chain(&error).to_string())?;
    let counts = |p: &&Proposal| p.user.is_some() && (args.user.is_none() || args.user == p.user);
    Ok(found.proposals.iter().filter(counts).count())
}

fn about_attestations(waiting: u64, proposed: &Result<usize, String>) -> String {
    let waits = format!("{waiting} badges wait for the attestation of an X account alone");
    match proposed {
        Ok(count) => format!(
            "{waits}; the platform calls {count} of their users verified: see `mints attestations`\n"
        ),
        Err(why) => format!("{waits}; {why}\n"),
    }
}

struct Gathered {
    /// Badges of which a user lacks the attestation and nothing else.
    waiting: u64,
    tip: Option<Tip>,
    lines: Vec<ReportLine>,
    cut: bool,
}

async fn gather(
    pool: &Pool,
    config: &Config,
    contract: &str,
    policy: &Policy,
    args: &ReportArgs,
) -> Result<Gathered, CommandError> {
    let mirror = PgMirror::new(pool.clone(), config.finality_burn_blocks);
    let store = PgStore::new(pool.clone(), config.finality_burn_blocks, policy);
    let mut gathered = Gathered {
        waiting: 0,
        tip: None,
        lines: Vec::new(),
        cut: false,
    };
    let mut after: Option<String> = None;
    loop {
        let wanted = Wanted {
            lane: LaneId {
                contract: contract.to_owned(),
                sender: String::new(),
            },
            from_nonce: 0,
            users: args.user.iter().cloned().collect(),
            walk: args.user.is_none().then(|| (after.clone(), PAGE)),
        };
        let view = mirror.look(&wanted).await.map_err(CommandError::other)?;
        let users: Vec<String> = view.people.iter().map(|p| p.user.clone()).collect();
        let known = store
            .known(contract, &users)
            .await
            .map_err(CommandError::other)?;
        let lines = eligibility::report(&view.people, &view.kinds, &view.tip, &known, policy);
        let alone = |person| attest::waits(person, &view.kinds, &view.tip, &known).len();
        let waiting: usize = view.people.iter().map(alone).sum();
        gathered.waiting = gathered
            .waiting
            .saturating_add(u64::try_from(waiting).unwrap_or(u64::MAX));
        let wanted = lines
            .into_iter()
            .filter(|l| args.all || matters(&l.standing));
        gathered.lines.extend(wanted);
        gathered.tip = Some(view.tip);
        if gathered.lines.len() > LINES {
            gathered.lines.truncate(LINES);
            gathered.cut = true;
            return Ok(gathered);
        }
        after = view.next;
        if after.is_none() || args.user.is_some() {
            return Ok(gathered);
        }
    }
}

/// Does it need anything?
fn matters(standing: &Standing) -> bool {
    match standing {
        Standing::Would | Standing::LeftOut => true,
        Standing::Known { state } => !state.is_over(),
        Standing::Held { .. } | Standing::Barred | Standing::Not { .. } => false,
    }
}

fn text(contract: &str, gathered: &Gathered) -> String {
    let mut text = String::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &gathered.lines {
        let (word, why) = told(&line.standing);
        *counts.entry(word).or_default() += 1;
        let _ = writeln!(
            text,
            "{} {} ({}): {word}{why}",
            line.user, line.name, line.kind
        );
    }
    if let Some(tip) = &gathered.tip {
        let until = tip
            .final_height
            .map_or("nothing is final yet".to_owned(), |h| {
                format!("final to height {h}")
            });
        let _ = writeln!(
            text,
            "at height {}, {until}; contract {contract}",
            tip.height
        );
    }
    let sums: Vec<String> = counts
        .iter()
        .map(|(word, n)| format!("{n} {word}"))
        .collect();
    let _ = writeln!(
        text,
        "{}",
        if sums.is_empty() {
            "nothing to mint".to_owned()
        } else {
            sums.join(", ")
        }
    );
    if gathered.cut {
        let _ = writeln!(text, "there are more: the report ends at {LINES} lines");
    }
    text
}

fn told(standing: &Standing) -> (&'static str, String) {
    match standing {
        Standing::Would => ("would be minted", String::new()),
        Standing::LeftOut => ("earned, but mint.kinds leaves it out", String::new()),
        Standing::Known { state } => ("on its way", format!(", {state}")),
        Standing::Held { id } => ("held", format!(", badge {id}")),
        Standing::Barred => ("barred", String::new()),
        Standing::Not { missing } => {
            let all: Vec<String> = missing.iter().map(lack).collect();
            ("not earned", format!(": {}", all.join("; ")))
        }
    }
}

fn lack(missing: &Missing) -> String {
    match missing {
        Missing::Projects { needed, have } => format!("{have} of {needed} projects"),
        Missing::Ratings => "no rating".to_owned(),
        Missing::Rating { needed, have } => format!("rating {have} of {needed}"),
        Missing::X => "no X account that holds".to_owned(),
    }
}
