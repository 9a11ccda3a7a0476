//! Badges that are minted by the service itself.

use std::path::PathBuf;
use std::time::Duration;

use stxworx_clarity::codec::ContractId;
use stxworx_reconciler::mint::policy::{MOST_IN_FLIGHT, Policy};

use super::ConfigError;
use super::load::Values;
use super::mint_key::KeyAccess;
use super::settings::{Kind, Setting, setting};

/// Where the key is. It is read by the process with the role `minter` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// An encrypted file.
    File(PathBuf),
    /// An environment variable of this name.
    Env(String),
    /// A signer on another machine, at this URL.
    Signer(String),
}

/// How badges are minted.
#[derive(Debug, Clone)]
pub struct MintConfig {
    /// Where the key is; none for no mints.
    pub key: Option<KeySource>,
    /// The badges' contract; none for the only followed one.
    pub badges: Option<String>,
    /// Nodes that are asked and sent to, in this order.
    pub node_urls: Vec<String>,
    /// Pause between two passes.
    pub pause: Duration,
    /// After so many Bitcoin blocks a block is final; none for the mirror's own number.
    pub finality_burn_blocks: Option<u32>,
    /// What opens the key. Holds a secret.
    pub access: KeyAccess,
    policy: Policy,
}

impl MintConfig {
    /// The limits at a contract. Noops go to the governed treasury at the same address.
    pub fn policy(&self, contract: &str) -> Policy {
        let address = contract.split_once('.').map_or(contract, |(a, _)| a);
        Policy {
            treasury: format!("{address}.freelance-security"),
            ..self.policy.clone()
        }
    }

    /// For a devnet beside this process, whose days are short: this node, its own idea of what is final, and limits that
    /// let everything through.
    pub fn hurried(&self, node: String, finality_burn_blocks: u32) -> Self {
        Self {
            finality_burn_blocks: Some(finality_burn_blocks),
            node_urls: vec![node],
            pause: Duration::from_millis(500),
            policy: Policy {
                per_hour: 100_000,
                per_recipient_per_day: 1_000,
                fee_budget_per_day: 1_000_000_000,
                grace_s: 5,
                bump_after_s: 30,
                unexplained_s: 60,
                ..self.policy.clone()
            },
            ..self.clone()
        }
    }
}

/// The settings, in the order of the example file.
pub(super) const MINT: &[Setting] = &[
    setting(
        "mint.key_file",
        Kind::Text,
        "\"\"",
        "Encrypted file with the key that mints. One of key_file, key_env and signer_url turns minting on.",
    ),
    setting(
        "mint.key_env",
        Kind::Text,
        "\"\"",
        "Name of an environment variable with the key that mints, instead of a file.",
    ),
    setting(
        "mint.signer_url",
        Kind::Text,
        "\"\"",
        "A signer on another machine that has the key, instead of a file.",
    ),
    setting(
        "mint.pause_ms",
        Kind::Integer,
        "2000",
        "Pause between two looks at what is to be done.",
    ),
    setting(
        "mint.badges",
        Kind::Text,
        "\"\"",
        "The badges' contract. Empty: the only one of that name that is followed.",
    ),
    setting(
        "mint.node_urls",
        Kind::List,
        "[]",
        "Nodes that are asked and sent to, the first one first. Empty: node.rpc_url.",
    ),
    setting(
        "mint.kinds",
        Kind::List,
        "[]",
        "Numbers of the kinds that are minted by themselves. Empty: all.",
    ),
    setting(
        "mint.fee_floor",
        Kind::Integer,
        "1000",
        "Least fee of a mint, micro-STX.",
    ),
    setting(
        "mint.fee_cap",
        Kind::Integer,
        "500000",
        "Greatest fee of a mint, micro-STX. What would cost more waits.",
    ),
    setting(
        "mint.fee_budget_per_day",
        Kind::Integer,
        "20000000",
        "Fees in any 24 hours, micro-STX. The last tenth is kept for the mint at the head of the line.",
    ),
    setting(
        "mint.per_hour",
        Kind::Integer,
        "60",
        "Mints begun in any hour.",
    ),
    setting(
        "mint.per_recipient_per_day",
        Kind::Integer,
        "5",
        "Mints begun for one user in any 24 hours.",
    ),
    setting(
        "mint.in_flight",
        Kind::Integer,
        "20",
        "Nonces in use at once, 20 at most: nodes chain 25.",
    ),
    setting(
        "mint.approve_first",
        Kind::Integer,
        "0",
        "So many first mints of each kind wait for `stxworx mints approve`.",
    ),
    setting(
        "mint.grace_seconds",
        Kind::Integer,
        "60",
        "How long a transaction that was sent may be unseen before it is sent again.",
    ),
    setting(
        "mint.bump_after_seconds",
        Kind::Integer,
        "900",
        "How long the mint at the head of the line waits before its fee rises.",
    ),
    setting(
        "mint.dry_run",
        Kind::Boolean,
        "false",
        "true: everything but sending.",
    ),
];

const YEAR_S: u64 = 31_536_000;

pub(super) fn read(values: &Values) -> Result<MintConfig, ConfigError> {
    let badges = values.text("mint.badges")?;
    if !badges.is_empty() && badges.parse::<ContractId>().is_err() {
        let expected = "a contract id like ST….freelance-badges, or empty for the only one";
        return Err(values.invalid("mint.badges", expected));
    }
    let mut node_urls = values.list("mint.node_urls")?;
    let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    if let Some(url) = node_urls.iter().find(|url| !is_http(url)) {
        return Err(values.invalid_item("mint.node_urls", url, "http://HOST or https://HOST"));
    }
    let rpc = values.text("node.rpc_url")?;
    if node_urls.is_empty() && !rpc.is_empty() {
        node_urls.push(rpc);
    }
    let mut kinds = Vec::new();
    for item in values.list("mint.kinds")? {
        let kind = item
            .parse()
            .map_err(|_| values.invalid_item("mint.kinds", &item, "a number, for instance 1"))?;
        kinds.push(kind);
    }
    let fee_floor = values.integer("mint.fee_floor", 1, u64::from(u32::MAX))?;
    let careful = Policy::careful("");
    let policy = Policy {
        kinds,
        fee_floor,
        fee_cap: values.integer("mint.fee_cap", fee_floor, 1_000_000_000)?,
        fee_budget_per_day: values
            .integer::<u64>("mint.fee_budget_per_day", fee_floor, u64::from(u32::MAX))?
            .into(),
        per_hour: values.integer("mint.per_hour", 1, 100_000)?,
        per_recipient_per_day: values.integer("mint.per_recipient_per_day", 1, 1_000)?,
        in_flight: values.integer("mint.in_flight", 1, u64::from(MOST_IN_FLIGHT))?,
        approve_first: values.integer("mint.approve_first", 0, 1_000_000)?,
        grace_s: values.integer("mint.grace_seconds", 1, YEAR_S)?,
        bump_after_s: values.integer("mint.bump_after_seconds", 1, YEAR_S)?,
        dry_run: values.boolean("mint.dry_run")?,
        ..careful
    };
    Ok(MintConfig {
        key: key(values)?,
        badges: Some(badges).filter(|id| !id.is_empty()),
        node_urls,
        finality_burn_blocks: None,
        pause: Duration::from_millis(values.integer("mint.pause_ms", 100, 3_600_000)?),
        access: super::mint_key::read(values)?,
        policy,
    })
}

fn key(values: &Values) -> Result<Option<KeySource>, ConfigError> {
    let (file, env, signer) = (
        values.text("mint.key_file")?,
        values.text("mint.key_env")?,
        values.text("mint.signer_url")?,
    );
    let mut found = Vec::new();
    if !file.is_empty() {
        found.push(KeySource::File(file.into()));
    }
    if !env.is_empty() {
        found.push(KeySource::Env(env));
    }
    if !signer.is_empty() {
        if !signer.starts_with("http://") && !signer.starts_with("https://") {
            return Err(values.invalid("mint.signer_url", "https://HOST, or empty"));
        }
        found.push(KeySource::Signer(signer));
    }
    if found.len() > 1 {
        let expected = "empty when mint.key_env or mint.signer_url is set: there is one key";
        let which = if matches!(found.first(), Some(KeySource::File(_))) {
            "mint.key_file"
        } else {
            "mint.key_env"
        };
        return Err(values.invalid(which, expected));
    }
    Ok(found.pop())
}
