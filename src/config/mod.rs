//! Configuration: defaults, then a file, then the environment, then flags. Later wins.
//!
//! One table ([`SETTINGS`]) holds every setting with its meaning, unit, default and environment
//! variable; the example file, the dump, the check for unknown keys and the documentation come from it.

mod api;
mod load;
pub mod mint;
mod mint_key;
pub mod platform;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use stxworx_indexer::api::stream::StreamSettings;
use stxworx_indexer::model::{FollowSet, Mirror};
use stxworx_indexer::source::api::{ApiConfig, LONGEST_ANSWER};
use stxworx_indexer::source::sync::repair::RepairSettings;
use stxworx_indexer::source::sync::run::FollowSettings;
use stxworx_indexer::store::inbox::Source;
use stxworx_indexer::webhook::WebhookSettings;

pub use api::{ApiSettings, TokenSettings, TokenSetupError};
pub use load::{ConfigError, Sources};
pub use settings::{SETTINGS, Setting, example};

/// The Stacks network that a mirror is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The main network.
    Mainnet,
    /// The public test network.
    Testnet,
    /// A network of one's own: mocknet, regtest, simnet.
    Devnet,
}

impl Network {
    /// Name in the configuration and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Devnet => "devnet",
        }
    }

    /// The `network_id` of its nodes (stacks-core: the chain id of its transactions).
    pub fn id(self) -> u32 {
        use stxworx_clarity::codec::transaction::{MAINNET_CHAIN_ID, TESTNET_CHAIN_ID};
        match self {
            Self::Mainnet => MAINNET_CHAIN_ID,
            Self::Testnet | Self::Devnet => TESTNET_CHAIN_ID,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The checked configuration. Not `Debug`: it holds a secret.
#[derive(Clone)]
pub struct Config {
    /// The network.
    pub network: Network,
    /// Folder of the embedded database, used when no database is named.
    pub data_dir: PathBuf,
    /// Postgres URL; none for the embedded database. Secret: never printed.
    pub database_url: Option<String>,
    /// Connections of the writer and of the readers, each.
    pub database_connections: u32,
    /// What is mirrored.
    pub follow: FollowSet,
    /// Where a node posts to.
    pub observer_listen: SocketAddr,
    /// Largest body that the observer takes, in bytes.
    pub observer_body_limit: u64,
    /// RPC of a node against which contracts are proved; none for no proofs.
    pub node_url: Option<String>,
    /// The node's token, with which it replays blocks. Secret: never printed.
    pub node_auth_token: Option<String>,
    /// How long the node may take.
    pub node_timeout: std::time::Duration,
    /// Pause between two comparisons.
    pub audit_pause: std::time::Duration,
    /// Stacks APIs to read from; none for no such source. Holds a secret.
    pub api_source: Option<ApiConfig>,
    /// Websocket of a Stacks API.
    pub api_source_websocket: Option<String>,
    /// Who brings what besides the observer.
    pub sources: SourceConfig,
    /// How long a writer's lease lasts.
    pub lease_ttl: std::time::Duration,
    /// Where the API listens.
    pub api_listen: SocketAddr,
    /// Bounds of the streams.
    pub stream: StreamSettings,
    /// How webhooks are sent.
    pub webhooks: WebhookSettings,
    /// For how long a secret of a webhook goes on signing that was replaced.
    pub webhook_grace: Duration,
    /// How the API is served. Holds a secret.
    pub api: ApiSettings,
    /// Where metrics are scraped.
    pub metrics_listen: SocketAddr,
    /// Bitcoin blocks after which a block counts as final.
    pub finality_burn_blocks: u32,
    /// Principals whose network fees the books have.
    pub ledger_fee_payers: Vec<String>,
    /// The platform that is compared; none for no reconciliation. Holds a secret.
    pub platform: Option<platform::PlatformConfig>,
    /// How badges are minted.
    pub mint: mint::MintConfig,
    /// Filter of log lines.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Every setting as it is in force, with its origin; secrets hidden.
    pub dump: Vec<(&'static str, String, String)>,
}

/// Sources that are asked.
#[derive(Debug, Clone)]
pub struct SourceConfig {
    /// Who is asked for the tip.
    pub follow: Option<Source>,
    /// Who is asked for missing blocks, in this order.
    pub repair: Vec<Source>,
    /// How the tip is followed.
    pub following: FollowSettings,
    /// Bounds of repair.
    pub repairing: RepairSettings,
}

impl SourceConfig {
    fn read(values: &load::Values) -> Result<Self, ConfigError> {
        let ms = |key, min, max| values.integer(key, min, max).map(Duration::from_millis);
        let follow = match values.text("sources.follow")?.as_str() {
            "none" => None,
            "node" => Some(Source::Node),
            "api" => Some(Source::Api),
            _ => return Err(values.invalid("sources.follow", "none, node or api")),
        };
        let mut repair = Vec::new();
        for name in values.list("sources.repair")? {
            let source = match name.as_str() {
                "node" => Source::Node,
                "api" => Source::Api,
                _ => return Err(values.invalid_item("sources.repair", &name, "node or api")),
            };
            if !repair.contains(&source) {
                repair.push(source);
            }
        }
        Ok(Self {
            follow,
            repair,
            following: FollowSettings {
                poll: ms("sources.poll_ms", 50, 3_600_000)?,
                walk: values.integer("sources.walk_blocks", 1, 10_000)?,
            },
            repairing: RepairSettings {
                grace: ms("sources.repair_grace_ms", 0, 3_600_000)?,
                blocks: values.integer("sources.repair_blocks", 1, 10_000_000)?,
                attempts: values.integer("sources.repair_attempts", 1, 1000)?,
                rest: ms("sources.repair_rest_ms", 100, 86_400_000)?,
            },
        })
    }
}

impl Config {
    /// Reads all sources and checks what they say.
    ///
    /// # Errors
    /// Names the key, the value, where it was set, and the expected form.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let values = load::Values::gather(sources)?;
        let follow = follow_set(&values)?;
        let url = values.text("database.url")?;
        if !url.is_empty() && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            let hidden = values.invalid("database.url", "postgres://USER@HOST/DATABASE, or empty");
            return Err(hidden);
        }
        if tracing_subscriber::EnvFilter::try_new(values.text("log.level")?).is_err() {
            let expected = "a filter, for instance info or stxworx_indexer=debug,info";
            return Err(values.invalid("log.level", expected));
        }
        let finality_burn_blocks = values.integer("chain.finality_burn_blocks", 1, 1_000_000)?;
        Ok(Self {
            network: match values.text("network")?.as_str() {
                "mainnet" => Network::Mainnet,
                "testnet" => Network::Testnet,
                "devnet" => Network::Devnet,
                _ => return Err(values.invalid("network", "mainnet, testnet or devnet")),
            },
            data_dir: values.text("data_dir")?.into(),
            database_url: Some(url).filter(|u| !u.is_empty()),
            database_connections: values.integer("database.max_connections", 2, 1000)?,
            follow,
            observer_listen: values.address("observer.listen")?,
            observer_body_limit: values.integer(
                "observer.body_limit_bytes",
                1,
                u64::from(u32::MAX),
            )?,
            api_source: api_source(&values)?,
            api_source_websocket: websocket(&values)?,
            api_listen: values.address("api.listen")?,
            stream: StreamSettings {
                clients: values.integer("stream.max_clients", 0, 100_000)?,
                queue: values.integer("stream.queue_frames", 1, 100_000)?,
                ..StreamSettings::default()
            },
            webhooks: webhooks(&values)?,
            webhook_grace: Duration::from_secs(values.integer(
                "webhooks.secret_grace_s",
                0,
                2_592_000,
            )?),
            api: ApiSettings::read(&values)?,
            metrics_listen: values.address("metrics.listen")?,
            node_url: Some(values.text("node.rpc_url")?).filter(|url| !url.is_empty()),
            node_auth_token: Some(values.text("node.auth_token")?).filter(|t| !t.is_empty()),
            node_timeout: std::time::Duration::from_millis(values.integer(
                "node.timeout_ms",
                1,
                600_000,
            )?),
            audit_pause: std::time::Duration::from_millis(values.integer(
                "node.audit_pause_ms",
                1,
                3_600_000,
            )?),
            sources: SourceConfig::read(&values)?,
            lease_ttl: Duration::from_millis(values.integer("lease.ttl_ms", 100, 600_000)?),
            finality_burn_blocks,
            ledger_fee_payers: fee_payers(&values)?,
            platform: platform::read(&values, finality_burn_blocks)?,
            mint: mint::read(&values)?,
            log_level: values.text("log.level")?,
            log_format: match values.text("log.format")?.as_str() {
                "pretty" => LogFormat::Pretty,
                "json" => LogFormat::Json,
                _ => return Err(values.invalid("log.format", "pretty or json")),
            },
            dump: values.dump(),
        })
    }
}

impl Config {
    /// The node at a URL, as a source of this network's blocks.
    pub fn node_options(&self, url: &str) -> stxworx_indexer::source::node::NodeOptions {
        stxworx_indexer::source::node::NodeOptions {
            url: url.to_owned(),
            timeout: self.node_timeout,
            auth_token: self.node_auth_token.clone(),
            network_id: self.network.id(),
        }
    }
}

fn api_source(values: &load::Values) -> Result<Option<ApiConfig>, ConfigError> {
    let urls = values.list("api_source.urls")?;
    let is_http = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    if let Some(url) = urls.iter().find(|url| !is_http(url)) {
        return Err(values.invalid_item("api_source.urls", url, "http://HOST or https://HOST"));
    }
    let timeout = values.integer("api_source.timeout_ms", 1, 600_000)?;
    let config = ApiConfig {
        key: Some(values.text("api_source.key")?).filter(|key| !key.is_empty()),
        timeout: std::time::Duration::from_millis(timeout),
        concurrency: values
            .integer::<u16>("api_source.concurrency", 1, 256)?
            .into(),
        answer_limit: LONGEST_ANSWER,
        urls,
    };
    Ok((!config.urls.is_empty()).then_some(config))
}

fn webhooks(values: &load::Values) -> Result<WebhookSettings, ConfigError> {
    let ms = |key, min, max| values.integer(key, min, max).map(Duration::from_millis);
    Ok(WebhookSettings {
        timeout: ms("webhooks.timeout_ms", 1, 600_000)?,
        allow_private: values.boolean("webhooks.allow_private")?,
        first_pause: ms("webhooks.first_pause_ms", 1, 3_600_000)?,
        longest_pause: ms("webhooks.longest_pause_ms", 1, 86_400_000)?,
        lease: ms("webhooks.lease_ms", 100, 600_000)?,
    })
}

fn websocket(values: &load::Values) -> Result<Option<String>, ConfigError> {
    let url = values.text("api_source.websocket")?;
    if !url.is_empty() && !url.starts_with("ws://") && !url.starts_with("wss://") {
        let expected = "ws://HOST/extended/v1/ws or wss://..., or empty";
        return Err(values.invalid("api_source.websocket", expected));
    }
    Ok(Some(url).filter(|url| !url.is_empty()))
}

fn fee_payers(values: &load::Values) -> Result<Vec<String>, ConfigError> {
    let payers = values.list("ledger.fee_payers")?;
    for who in &payers {
        let is_account = who.parse::<stxworx_clarity::codec::Principal>().is_ok();
        if !is_account || who.contains('.') {
            let expected = "Stacks addresses: contracts pay no fees";
            return Err(values.invalid_item("ledger.fee_payers", who, expected));
        }
    }
    Ok(payers)
}

fn follow_set(values: &load::Values) -> Result<FollowSet, ConfigError> {
    let mirror = match values.text("follow.mirror")?.as_str() {
        "all" => Mirror::All,
        "followed" => Mirror::Followed,
        _ => return Err(values.invalid("follow.mirror", "all or followed")),
    };
    let mut contracts = BTreeSet::new();
    for id in values.list("follow.contracts")? {
        let is_contract = id == "*" || id.parse::<stxworx_clarity::codec::ContractId>().is_ok();
        if !is_contract {
            let expected = "contract ids like SP000000000000000000002Q6VF78.pox-4, or *";
            return Err(values.invalid_item("follow.contracts", &id, expected));
        }
        contracts.insert(id);
    }
    let mut principals = BTreeSet::new();
    for name in values.list("follow.principals")? {
        if let Err(error) = name.parse::<stxworx_clarity::codec::Principal>() {
            let expected = format!("a Stacks address or contract id ({error})");
            return Err(values.invalid_item("follow.principals", &name, &expected));
        }
        principals.insert(name);
    }
    Ok(FollowSet {
        mirror,
        contracts,
        principals,
    })
}
