//! What keeps mints from being made: what `mints doctor` prints, and what `doctor` and `adopt` say of badges.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stxworx_clarity::codec::ContractId;
use stxworx_indexer::error_chain;
use stxworx_indexer::source::http::Server;
use stxworx_indexer::store::mint::look::{self, LaneLook, Overview};
use stxworx_indexer::store::{Pool, StoreError};
use stxworx_reconciler::mint::policy::Policy;
use stxworx_reconciler::mint::ports::{Mirror as _, PortError, Signer as _};
use stxworx_reconciler::mint::postgres::PgMirror;
use stxworx_reconciler::mint::signer::{Key, KeyFile};
use stxworx_reconciler::mint::tx::account;
use stxworx_reconciler::mint::types::{ChainView, LaneId, Wanted};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::config::mint::KeySource;
use crate::daemon::mint_parts;
use crate::secrets::read_secret;

/// Largest answer of a node that is read.
const LIMIT: usize = 64 * 1024;
/// A balance that lasts for fewer days is too low.
const FEW_DAYS: u64 = 7;

/// What was looked at.
#[derive(Debug, Serialize)]
pub struct Check {
    /// A word for it.
    pub what: &'static str,
    /// Is it as it should be?
    pub well: bool,
    /// What was seen, and what to do.
    pub says: String,
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub struct Checks(pub Vec<Check>);

impl Checks {
    fn add(&mut self, what: &'static str, well: bool, says: impl Into<String>) {
        let says = says.into();
        self.0.push(Check { what, well, says });
    }
}

/// Looks at everything about the mints at a contract, with this key or the one that is known.
///
/// # Errors
/// When the database fails.
pub async fn look(
    pool: &Pool,
    config: &Config,
    contract: &str,
    given: Option<&str>,
) -> Result<Checks, StoreError> {
    let policy = config.mint.policy(contract);
    let overview = look::overview(pool).await?;
    let mut checks = Checks::default();
    let mut lanes = overview.lanes.iter();
    let elsewhere = lanes.find(|l| l.contract == contract && l.held);
    on_config(config, &policy, elsewhere, &mut checks);
    let configured = on_key(config, contract, &mut checks).await;
    let lanes = || overview.lanes.iter().filter(|l| l.contract == contract);
    // The key that is given or configured; else the one that mints; else any that ever did.
    let sender = given
        .map(str::to_owned)
        .or(configured)
        .or_else(|| lanes().find(|l| l.held).map(|l| l.sender.clone()))
        .or_else(|| lanes().next().map(|l| l.sender.clone()));
    let lane = lanes().find(|l| Some(&l.sender) == sender.as_ref());
    match &sender {
        Some(sender) => checks.add("key", true, format!("its address is {sender}")),
        None => checks.add(
            "key",
            false,
            "its address is not known: no process with the role minter ever ran; give --sender",
        ),
    }
    if let Some(sender) = &sender {
        on_chain(pool, config, contract, sender, &mut checks).await;
        for url in &config.mint.node_urls {
            let asked = Asked { sender, lane };
            on_node(url, config.node_timeout, &asked, &policy, &mut checks).await;
        }
    }
    match lane {
        Some(lane) => on_lane(lane, &policy, &mut checks),
        None => {
            if let Some(other) = lanes().find(|l| l.held) {
                let says = format!(
                    "{} mints, and not the key that is configured here: restart the minter, or set the key right",
                    other.sender
                );
                checks.add("lease", false, says);
            }
        }
    }
    on_pauses(&overview, &mut checks);
    Ok(checks)
}

fn on_config(config: &Config, policy: &Policy, elsewhere: Option<&LaneLook>, checks: &mut Checks) {
    if config.mint.key.is_some() {
        checks.add("configuration", true, "a key is configured");
    } else if let Some(lane) = elsewhere {
        // An operator's machine, or that of another role.
        let says = format!(
            "no key here, and none is needed: {} mints; its key, nodes and limits are looked at where it runs",
            lane.holder
        );
        return checks.add("configuration", true, says);
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

/// Looks at where the key is, and opens nothing: that takes a passphrase, or a good part of a second. Whose key it is.
async fn on_key(config: &Config, contract: &str, checks: &mut Checks) -> Option<String> {
    let address = |hash: [u8; 20]| account(config.network.id(), hash).to_string();
    match config.mint.key.as_ref()? {
        KeySource::File(path) => {
            if let Some(words) = &config.mint.access.passphrase_file
                && let Err(error) = read_secret(words)
            {
                checks.add("key file", false, chain(&error));
            }
            match KeyFile::read(path) {
                Ok(file) => {
                    on_mode(path, checks);
                    Some(address(file.hash160()))
                }
                Err(error) => {
                    checks.add("key file", false, chain(&error));
                    None
                }
            }
        }
        KeySource::Env(name) => match std::env::var(name).map(Zeroizing::new) {
            Ok(secret) => match Key::parse(&secret) {
                Ok(key) => Some(address(key.hash160())),
                Err(error) => {
                    checks.add("key", false, format!("{name}: {}", chain(&error)));
                    None
                }
            },
            Err(_) => {
                let says =
                    format!("{name} is not set in this shell; whose key it is was not looked at");
                checks.add("key", true, says);
                None
            }
        },
        KeySource::Signer(url) => on_signer(config, url, contract, checks).await,
    }
}

fn on_mode(path: &Path, checks: &mut Checks) {
    match std::fs::metadata(path).map(|about| about.permissions().mode() & 0o777) {
        // A service manager hands it over readable for the group.
        Ok(mode) if mode & 0o027 == 0 => {
            let says = format!("others cannot read {}", path.display());
            checks.add("key file", true, says);
        }
        Ok(mode) => {
            let says = format!(
                "{} may be read or changed by others (mode {mode:03o}): chmod 600 it",
                path.display()
            );
            checks.add("key file", false, says);
        }
        Err(error) => checks.add("key file", false, format!("{}: {error}", path.display())),
    }
}

async fn on_signer(
    config: &Config,
    url: &str,
    contract: &str,
    checks: &mut Checks,
) -> Option<String> {
    let badges: ContractId = contract.parse().ok()?;
    let bounds = match mint_parts::bounds(config, badges) {
        Ok(bounds) => bounds,
        Err(error) => {
            checks.add("signer", false, chain(&error));
            return None;
        }
    };
    match mint_parts::signer(config, bounds).await {
        Ok(signer) => {
            checks.add("signer", true, format!("{url} answers, and has a key"));
            Some(signer.address().to_owned())
        }
        Err(error) => {
            let says = format!(
                "{url}: {}; is it up, and is mint.signer_secret the same there?",
                chain(&error)
            );
            checks.add("signer", false, says);
            None
        }
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
    error_chain(error).to_string()
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

/// Whom a node is asked about.
struct Asked<'a> {
    sender: &'a str,
    lane: Option<&'a LaneLook>,
}

async fn on_node(
    url: &str,
    timeout: Duration,
    asked: &Asked<'_>,
    policy: &Policy,
    checks: &mut Checks,
) {
    let sender = asked.sender;
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
    } else if balance < policy.fee_budget_per_day {
        let says = format!(
            "{balance} micro-STX are less than the fees of one day (mint.fee_budget_per_day, {}); send some to {sender}",
            policy.fee_budget_per_day
        );
        checks.add("balance", false, says);
    }
    let next = asked.lane.filter(|l| l.base_nonce.is_some());
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
