//! The platform that is compared with the chain.

use std::collections::BTreeMap;
use std::time::Duration;

use stxworx_clarity::codec::ContractId;
use stxworx_reconciler::anchor::Window;
use stxworx_reconciler::breaks::{Policy, Windows};
use stxworx_reconciler::engine::Settings;
use stxworx_reconciler::engine::daemon::Pauses;
use stxworx_reconciler::engine::repair::Repairs;
use stxworx_reconciler::platform::postgres::PlatformSource;
use stxworx_reconciler::rules::cards;

use super::ConfigError;
use super::load::Values;

/// How the platform is compared. Holds a secret: its database's URL.
#[derive(Debug, Clone)]
pub struct PlatformConfig {
    /// What the engine is told.
    pub settings: Settings,
    /// How often.
    pub pauses: Pauses,
    /// The node that is asked for balances, where it is another one than the daemon's.
    pub node_url: Option<String>,
    /// What may be repaired there; none for nothing.
    pub repairs: Option<Repairs>,
}

impl PlatformConfig {
    /// For a platform at this address that lives as fast as a devnet: differences get seconds.
    pub fn hurried(
        url: String,
        assets: BTreeMap<String, String>,
        finality_burn_blocks: u32,
    ) -> Self {
        let window = |burn_blocks| Window {
            burn_blocks,
            seconds: 3,
        };
        Self {
            settings: Settings {
                source: PlatformSource {
                    url,
                    statement_timeout: Duration::from_secs(10),
                    ..PlatformSource::default()
                },
                contract: None,
                assets,
                finality_burn_blocks,
                policy: Policy {
                    windows: Windows {
                        platform_behind: window(1),
                        platform_ahead: window(2),
                        badge_pending: window(1),
                        ..Windows::default()
                    },
                    ..Policy::default()
                },
                earned_asset: "STX".to_owned(),
                node: None,
                open_limit: 1_000,
                incremental_limit: 10_000,
            },
            pauses: Pauses {
                incremental: Duration::from_secs(1),
                sweep: Duration::from_secs(15),
                keep_days: Some(30),
            },
            node_url: None,
            repairs: None,
        }
    }
}

/// A day.
const DAY_MS: u64 = 86_400_000;

pub(super) fn read(
    values: &Values,
    finality_burn_blocks: u32,
) -> Result<Option<PlatformConfig>, ConfigError> {
    let url = values.text("platform.url")?;
    if !url.is_empty() && !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let expected = "postgres://USER@HOST/DATABASE, or empty for no reconciliation";
        return Err(values.invalid("platform.url", expected));
    }
    let ms = |key, min, max| values.integer(key, min, max).map(Duration::from_millis);
    let contract = values.text("platform.contract")?;
    if !contract.is_empty() && contract.parse::<ContractId>().is_err() {
        let expected = "a contract id like ST….freelance-logic, or empty for the only one";
        return Err(values.invalid("platform.contract", expected));
    }
    let settings = Settings {
        source: PlatformSource {
            url: url.clone(),
            projects_query: values.text("platform.projects_query")?,
            badges_query: values.text("platform.badges_query")?,
            users_query: values.text("platform.users_query")?,
            transfers_query: values.text("platform.transfers_query")?,
            statement_timeout: ms("platform.statement_timeout_ms", 100, DAY_MS)?,
        },
        contract: Some(contract).filter(|id| !id.is_empty()),
        assets: assets(values)?,
        finality_burn_blocks,
        policy: policy(values)?,
        earned_asset: earned_asset(values)?,
        node: None,
        open_limit: size(values, "platform.open_limit", 1_000_000)?,
        incremental_limit: size(values, "platform.incremental_limit", 100_000)?,
    };
    let pauses = Pauses {
        incremental: ms("platform.pause_ms", 100, DAY_MS)?,
        sweep: ms("platform.sweep_pause_ms", 100, 30 * DAY_MS)?,
        keep_days: Some(values.integer("platform.keep_days", 0, 36_500)?).filter(|days| *days > 0),
    };
    Ok((!url.is_empty()).then_some(PlatformConfig {
        repairs: repairs(values)?,
        settings,
        pauses,
        node_url: None,
    }))
}

fn size(values: &Values, key: &'static str, max: u64) -> Result<usize, ConfigError> {
    let number: u32 = values.integer(key, 1, max)?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

fn repairs(values: &Values) -> Result<Option<Repairs>, ConfigError> {
    let url = values.text("platform.repair_url")?;
    let mut allowed = Vec::new();
    for item in values.list("platform.repairs")? {
        let known = item.split_once('=').filter(|(rule, kind)| {
            !kind.is_empty() && cards().iter().any(|(_, info)| info.id == *rule)
        });
        let Some((rule, kind)) = known else {
            let expected = "RULE=KIND, for instance P3=status; `stxworx breaks show` has the kind";
            return Err(values.invalid_item("platform.repairs", &item, expected));
        };
        allowed.push((rule.to_owned(), kind.to_owned()));
    }
    if allowed.is_empty() {
        return Ok(None);
    }
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        let expected = "postgres://USER@HOST/DATABASE, as platform.repairs allows some";
        return Err(values.invalid("platform.repair_url", expected));
    }
    let ms: u64 = values.integer("platform.statement_timeout_ms", 100, DAY_MS)?;
    Ok(Some(Repairs {
        url,
        allowed,
        statement_timeout: Duration::from_millis(ms),
    }))
}

fn earned_asset(values: &Values) -> Result<String, ConfigError> {
    let asset = values.text("platform.earned_asset")?;
    if asset != "STX" && asset.parse::<ContractId>().is_err() {
        let expected = "STX, or a token's contract like ST….sbtc-token";
        return Err(values.invalid("platform.earned_asset", expected));
    }
    Ok(asset)
}

fn assets(values: &Values) -> Result<BTreeMap<String, String>, ConfigError> {
    let mut assets = BTreeMap::new();
    for item in values.list("platform.assets")? {
        let refuse = || {
            let expected = "NAME=CONTRACT, for instance sBTC=ST….sbtc-token";
            values.invalid_item("platform.assets", &item, expected)
        };
        let (name, asset) = item.split_once('=').ok_or_else(refuse)?;
        let known = asset == "STX" || asset.parse::<ContractId>().is_ok();
        if name.is_empty() || !known {
            return Err(refuse());
        }
        assets.insert(name.to_owned(), asset.to_owned());
    }
    Ok(assets)
}

fn policy(values: &Values) -> Result<Policy, ConfigError> {
    let window = |blocks, seconds| {
        Ok::<_, ConfigError>(Window {
            burn_blocks: values.integer(blocks, 0, 1_000_000)?,
            seconds: values.integer(seconds, 0, u64::from(u32::MAX))?,
        })
    };
    let mut amounts = BTreeMap::new();
    for item in values.list("platform.severe_amounts")? {
        let refuse = || {
            let expected =
                "ASSET=HIGH:CRITICAL in base units, for instance STX=1000000000:100000000000";
            values.invalid_item("platform.severe_amounts", &item, expected)
        };
        let (asset, limits) = item.split_once('=').ok_or_else(refuse)?;
        let (high, critical) = limits.split_once(':').ok_or_else(refuse)?;
        let units = |text: &str| text.parse::<u128>().map_err(|_| refuse());
        amounts.insert(asset.to_owned(), (units(high)?, units(critical)?));
    }
    Ok(Policy {
        windows: Windows {
            platform_behind: window("platform.behind_burn_blocks", "platform.behind_seconds")?,
            platform_ahead: window("platform.ahead_burn_blocks", "platform.ahead_seconds")?,
            ..Windows::default()
        },
        sightings: values.integer("platform.sightings", 1, 1_000)?,
        passes: values.integer("platform.passes", 1, 1_000)?,
        age_step_burn_blocks: values.integer("platform.age_step_burn_blocks", 1, 1_000_000)?,
        amounts,
    })
}
