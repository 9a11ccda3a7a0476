//! `stxworx mints doctor`: what keeps mints from being made.

use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use stxworx_indexer::source::http::Server;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::look::{self, LaneLook, Overview};
use stxworx_reconciler::mint::policy::Policy;
use stxworx_reconciler::mint::ports::{Mirror as _, PortError};
use stxworx_reconciler::mint::postgres::PgMirror;
use stxworx_reconciler::mint::types::{ChainView, LaneId, Wanted};

use crate::cli::{CommandError, Outcome};
use crate::config::Config;
use crate::post::OutputFormat;

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Address of the key, if it never minted here.
    #[arg(long, value_name = "ADDRESS", value_parser = super::address)]
    pub sender: Option<String>,
}

/// Largest answer of a node that is read.
const LIMIT: usize = 64 * 1024;
/// A balance that lasts for fewer days is too low.
const FEW_DAYS: u64 = 7;

/// What was looked at.
#[derive(Debug, Serialize)]
struct Check {
    /// A word for it.
    what: &'static str,
    /// Is it as it should be?
    well: bool,
    /// What was seen, and what to do.
    says: String,
}

#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, what: &'static str, well: bool, says: impl Into<String>) {
        let says = says.into();
        self.0.push(Check { what, well, says });
    }
}

pub(super) async fn doctor(
    pool: &Pool,
    config: &Config,
    args: &DoctorArgs,
    output: OutputFormat,
) -> Result<Outcome, CommandError> {
    let contract = super::contract(pool, config).await?;
    let policy = config.mint.policy(&contract);
    let overview = look::overview(pool).await.map_err(CommandError::other)?;
    let mut checks = Checks::default();
    on_config(config, &policy, &mut checks);
    let lane = overview.lanes.iter().find(|l| l.contract == contract);
    let sender = args
        .sender
        .clone()
        .or_else(|| lane.map(|l| l.sender.clone()));
    match &sender {
        Some(sender) => checks.add("key", true, format!("its address is {sender}")),
        None => checks.add(
            "key",
            false,
            "its address is not known: no process with the role minter ever ran; give --sender",
        ),
    }
    if let Some(sender) = &sender {
        on_chain(pool, config, &contract, sender, &mut checks).await;
        for url in &config.mint.node_urls {
            on_node(url, config.node_timeout, sender, lane, &mut checks).await;
        }
    }
    if let Some(lane) = lane {
        on_lane(lane, &policy, &mut checks);
    }
    on_pauses(&overview, &mut checks);
    let well = checks.0.iter().all(|c| c.well);
    match output {
        OutputFormat::Json => {
            let value =
                serde_json::json!({ "well": well, "contract": contract, "checks": checks.0 });
            crate::cli::say!("{value:#}");
        }
        OutputFormat::Text => {
            let line = |c: &Check| {
                let mark = if c.well { "ok  " } else { "WRONG" };
                format!("{mark} {}: {}\n", c.what, c.says)
            };
            crate::cli::say_text(&checks.0.iter().map(line).collect::<String>());
        }
    }
    Ok(if well {
        Outcome::Done
    } else {
        Outcome::Unsound
    })
}

fn on_config(config: &Config, policy: &Policy, checks: &mut Checks) {
    if config.mint.key.is_some() {
        checks.add("configuration", true, "a key is configured");
    } else {
        let says = "no key: set mint.key_file, mint.key_env or mint.signer_url";
        checks.add("configuration", false, says);
    }
    if config.mint.node_urls.is_empty() {
        checks.add("nodes", false, "none: set mint.node_urls or node.rpc_url");
    }
    if policy.dry_run {
        checks.add("dry run", false, "nothing is sent: mint.dry_run is true");
    }
}

async fn on_chain(pool: &Pool, config: &Config, contract: &str, sender: &str, checks: &mut Checks) {
    let mirror = PgMirror::new(pool.clone(), config.finality_burn_blocks);
    let wanted = Wanted {
        lane: LaneId {
            contract: contract.to_owned(),
            sender: sender.to_owned(),
        },
        from_nonce: 0,
        users: Vec::new(),
        walk: None,
    };
    match mirror.look(&wanted).await {
        Ok(view) => on_view(contract, sender, &view, checks),
        Err(PortError::Unusable { detail, .. }) => checks.add("mirror", false, detail),
        Err(error) => checks.add("mirror", false, chain(&error)),
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    stxworx_indexer::error_chain(error).to_string()
}

fn on_view(contract: &str, sender: &str, view: &ChainView, checks: &mut Checks) {
    let says = if view.minter {
        format!("a minter of {contract}")
    } else {
        format!("no minter of {contract}: the governor must call set-minter for {sender}")
    };
    checks.add("authorisation", view.minter, says);
    let well = view.breaks.is_empty();
    let says = if well {
        "no break about custody, the mirror or the key".to_owned()
    } else {
        let rules = view.breaks.join(", ");
        format!("open breaks of {rules} stop the mints; see `stxworx breaks list`")
    };
    checks.add("breaks", well, says);
    let well = view.violations.is_empty();
    let says = if well {
        "no invariant is violated".to_owned()
    } else {
        let ids = view.violations.join(", ");
        format!("violations of {ids} stop the mints; see `stxworx audit`")
    };
    checks.add("mirror", well, says);
}

#[derive(Debug, Deserialize)]
struct AccountAnswer {
    nonce: u64,
    balance: String,
}

async fn on_node(
    url: &str,
    timeout: Duration,
    sender: &str,
    lane: Option<&LaneLook>,
    checks: &mut Checks,
) {
    let answer = match Server::new(url, timeout, LIMIT, None) {
        Ok(server) => {
            let path = format!("/v2/accounts/{sender}?proof=0");
            server.get::<AccountAnswer>(&path).await
        }
        Err(error) => Err(error),
    };
    let account = match answer {
        Ok(account) => account,
        Err(error) => return checks.add("node", false, format!("{url}: {}", chain(&error))),
    };
    let digits = account.balance.trim_start_matches("0x");
    let Ok(balance) = u128::from_str_radix(digits, 16) else {
        let says = format!("{url} says {:?}, which is no balance", account.balance);
        return checks.add("node", false, says);
    };
    let says = format!(
        "{url}: nonce {}, balance {balance} micro-STX",
        account.nonce
    );
    checks.add("node", true, says);
    if balance == 0 {
        let says = format!("{url}: the key has no STX for fees; send some to {sender}");
        checks.add("balance", false, says);
    }
    let next = lane.filter(|l| l.base_nonce.is_some());
    if let Some(next) = next.and_then(|l| u64::try_from(l.next_nonce).ok())
        && account.nonce > next
    {
        let says = format!(
            "{url} knows nonce {}, and {next} is the next one here: somebody else uses the key",
            account.nonce
        );
        checks.add("nonces", false, says);
    }
}

fn on_lane(lane: &LaneLook, policy: &Policy, checks: &mut Checks) {
    let base = lane.base_nonce.map_or("not open".to_owned(), |b| {
        format!(
            "from {b}, next {}, {} in flight",
            lane.next_nonce, lane.in_flight
        )
    });
    checks.add("nonces", true, base);
    let says = if lane.held {
        format!("held by {}", lane.holder)
    } else {
        "held by nobody: no process with the role minter runs".to_owned()
    };
    checks.add("lease", lane.held, says);
    if let Some(seconds) = lane.unexplained_for_s {
        let says = format!("nonces are unexplained for {seconds} s: see the log of the minter");
        checks.add("foreign use", false, says);
    }
    if lane.foreign > 0 {
        let says = format!(
            "{} nonces were used by somebody else: rotate the key",
            lane.foreign
        );
        checks.add("foreign use", false, says);
    }
    let spent = lane.spent().unwrap_or(0);
    let within = spent < policy.budget_for_new();
    let says = format!(
        "{spent} of {} micro-STX in 24 hours",
        policy.fee_budget_per_day
    );
    checks.add("budget", within, says);
    if let Some(days) = lane.runway_days() {
        let says = format!("the balance lasts for {days} days at this rate");
        checks.add("runway", days >= FEW_DAYS, says);
    }
}

fn on_pauses(overview: &Overview, checks: &mut Checks) {
    if overview.pauses.is_empty() {
        checks.add("pauses", true, "none");
    }
    for pause in &overview.pauses {
        let subject = if pause.subject.is_empty() {
            "everything"
        } else {
            &pause.subject
        };
        let says = format!(
            "{subject} for {} by {}: {}; see `mints resume`",
            pause.reason, pause.author, pause.note
        );
        checks.add("pauses", false, says);
    }
}
