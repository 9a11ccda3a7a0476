//! What is deployed, what is followed, what is mirrored; and what is still to be done.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use stxworx_indexer::source::http::{FetchError, Server};
use stxworx_indexer::store::{self, Pool};

use super::badges::{self, Badges};
use super::{AdoptArgs, AskedSource, DeploymentArg};
use crate::cli::CommandError;
use crate::config::Config;

/// The other contracts of a deployment, which say the rest of the story.
const BESIDE: [&str; 3] = ["freelance-data", "freelance-badges", "freelance-security"];
/// Longest answer that is read, in bytes.
const LONGEST: usize = 4 << 20;

/// What was seen, and what is left to do.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// Each deployment, in the order of use.
    pub deployments: Vec<Deployed>,
    /// Contracts that should be followed and are not.
    pub not_followed: Vec<String>,
    /// Is there a mirror at all?
    pub has_tip: bool,
    /// The badges of the newest deployment; none while there is no mirror.
    pub badges: Option<Badges>,
    /// Who would be asked for what is missing.
    #[serde(skip)]
    pub source: Option<AskedSource>,
    /// What to do, in this order; empty when nothing is left.
    pub steps: Vec<Step>,
}

/// A deployment on the chain and in the mirror.
#[derive(Debug, Serialize)]
pub(super) struct Deployed {
    /// The contract.
    pub contract: String,
    /// From which Stacks height on the platform used it.
    pub from_height: u32,
    /// Height of the block that published it; none where nobody could be asked.
    pub publish_height: Option<u32>,
    /// Does the chain have it? None where nobody could be asked.
    pub exists: Option<bool>,
    /// Are all of its events mirrored, from the first on?
    pub complete: bool,
    /// Why not.
    pub gaps: Vec<String>,
}

/// Something to do.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    /// Why.
    pub why: String,
    /// What to run, or to write.
    pub run: String,
}

#[derive(Deserialize)]
struct Published {
    publish_height: Option<u32>,
}

impl Plan {
    /// Looks at the chain, the configuration and the mirror.
    ///
    /// # Errors
    /// When the database fails. A server that does not answer leaves heights unknown.
    pub(super) async fn look(
        config: &Config,
        pool: &Pool,
        args: &AdoptArgs,
        wanted: &[DeploymentArg],
    ) -> Result<Self, CommandError> {
        let source = source(config, args);
        let health = store::health(pool).await.map_err(CommandError::other)?;
        let has_tip = health.tip_height.is_some();
        let mirrored = if has_tip {
            crate::commands::status::completeness(config, pool).await?
        } else {
            Json::Null
        };
        let server = server(config)?;
        let mut deployments = Vec::new();
        for it in wanted {
            deployments.push(deployed(server.as_ref(), &mirrored, it).await?);
        }
        let mut plan = Self {
            not_followed: not_followed(config, wanted),
            deployments,
            has_tip,
            badges: None,
            source,
            steps: Vec::new(),
        };
        plan.steps = plan.steps(config);
        if has_tip {
            plan.badges = badges::badges(config, pool, wanted).await?;
        }
        if let Some(badges) = &plan.badges {
            plan.steps
                .extend(badges::steps(config, pool, badges).await?);
        }
        Ok(plan)
    }

    /// Is history missing that a source could bring?
    pub(super) fn lacks_history(&self) -> bool {
        self.not_followed.is_empty()
            && self
                .deployments
                .iter()
                .any(|it| !it.complete && it.exists != Some(false))
    }

    /// The height from which on blocks are needed.
    pub(super) fn first_height(&self) -> u32 {
        let heights = self.deployments.iter();
        heights
            .map(|it| it.publish_height.unwrap_or(it.from_height))
            .min()
            .unwrap_or(0)
    }

    /// Is nothing left to do?
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty() && self.deployments.iter().all(|it| it.exists != Some(false))
    }

    fn steps(&self, config: &Config) -> Vec<Step> {
        let step = |why: &str, run: String| Step {
            why: why.to_owned(),
            run,
        };
        let mut steps = Vec::new();
        if !self.not_followed.is_empty() {
            let mut all: Vec<_> = config.follow.contracts.iter().cloned().collect();
            all.extend(self.not_followed.iter().cloned());
            let list: Vec<_> = all.iter().map(|id| format!("{id:?}")).collect();
            let why = if self.has_tip {
                "these contracts are to be followed; the mirror was built without them, so it is then made anew (stxworx rebuild --yes)"
            } else {
                "these contracts are to be followed, before the first start"
            };
            steps.push(step(
                why,
                format!("follow.contracts = [{}]", list.join(", ")),
            ));
        }
        if self.lacks_history() {
            let from = self.first_height();
            match self.source {
                Some(source) => steps.push(step(
                    "the mirror lacks events of these contracts",
                    format!("stxworx backfill --source {} --from {from} --to tip", source.as_str()),
                )),
                None => steps.push(step(
                    "the mirror lacks events of these contracts, and neither a node with a token nor an API is set up",
                    "stxworx backfill --source archive:FILE".to_owned(),
                )),
            }
            steps.push(step(
                "then somebody has to mirror what was stored",
                "stxworx run".to_owned(),
            ));
        }
        steps
    }
}

fn source(config: &Config, args: &AdoptArgs) -> Option<AskedSource> {
    let node = config.node_url.is_some() && config.node_auth_token.is_some();
    args.source.or(match (node, config.api_source.is_some()) {
        (true, _) => Some(AskedSource::Node),
        (_, true) => Some(AskedSource::Api),
        _ => None,
    })
}

/// Whoever can say when a contract was published.
fn server(config: &Config) -> Result<Option<Server>, CommandError> {
    let api = config.api_source.as_ref();
    let url = config
        .node_url
        .clone()
        .or_else(|| api.and_then(|api| api.urls.first().cloned()));
    let server = url.map(|url| Server::new(&url, config.node_timeout, LONGEST, None));
    server.transpose().map_err(CommandError::other)
}

/// Contracts that say the platform's story and are not followed.
fn not_followed(config: &Config, wanted: &[DeploymentArg]) -> Vec<String> {
    let followed = &config.follow.contracts;
    if followed.contains("*") {
        return Vec::new();
    }
    let of = |it: &DeploymentArg| {
        let issuer = it.id.issuer.to_string();
        let beside = BESIDE.map(|name| format!("{issuer}.{name}"));
        std::iter::once(it.id.to_string()).chain(beside)
    };
    let all = wanted.iter().flat_map(of);
    all.filter(|id| !followed.contains(id)).collect()
}

async fn deployed(
    server: Option<&Server>,
    mirrored: &Json,
    it: &DeploymentArg,
) -> Result<Deployed, CommandError> {
    let contract = it.id.to_string();
    let (mut publish_height, mut exists) = (None, None);
    if let Some(server) = server {
        let (issuer, name) = (it.id.issuer.to_string(), it.id.name.as_str());
        let path = format!("/v2/contracts/source/{issuer}/{name}?proof=0");
        match server.get::<Published>(&path).await {
            Ok(published) => (publish_height, exists) = (published.publish_height, Some(true)),
            Err(FetchError::NotFound { .. }) => exists = Some(false),
            Err(error) => {
                let error = stxworx_indexer::error_chain(&error).to_string();
                tracing::warn!(
                    error,
                    contract,
                    "nobody can say when the contract was published"
                );
            }
        }
    }
    let all = mirrored.pointer("/data/contracts").and_then(Json::as_array);
    let known = all
        .into_iter()
        .flatten()
        .find(|c| c["contract"] == *contract);
    let gaps = known.and_then(|c| c["gaps"].as_array());
    let gaps = gaps.into_iter().flatten().filter_map(Json::as_str);
    Ok(Deployed {
        from_height: it.from_height,
        publish_height,
        exists,
        // A contract that printed nothing is complete only where the mirror begins at genesis; ours print when they begin.
        complete: known.is_some_and(|c| c["complete"] == true && !c["chain"].is_null()),
        gaps: gaps.map(str::to_owned).collect(),
        contract,
    })
}
