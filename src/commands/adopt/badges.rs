//! Badges of a platform that is taken over: what is there already, and what a minter needs before it may begin.

use serde::Serialize;
use stxworx_clarity::events::badges::BadgesEvent;
use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::look;

use super::DeploymentArg;
use super::plan::Step;
use crate::cli::CommandError;
use crate::commands::mints::checks;
use crate::config::Config;

/// How many first mints of each kind a person should look at.
const LOOK_AT: u32 = 3;
/// Checks of `mints doctor` without which nothing can be minted. Whether a process has the lease is none of them: it
/// starts last.
const NEEDED: [&str; 7] = [
    "key",
    "key file",
    "signer",
    "authorisation",
    "nodes",
    "node",
    "balance",
];

/// The badges' contract of a deployment.
#[derive(Debug, Serialize)]
pub(super) struct Badges {
    /// The contract.
    pub contract: String,
    /// Badges that somebody has, on the canonical chain of the mirror.
    pub held: i64,
    /// Is a key configured to mint there?
    pub minter: bool,
    /// Did a minter ever begin there?
    pub began: bool,
}

impl Badges {
    /// For a person.
    pub(super) fn says(&self) -> String {
        let Self { contract, held, .. } = self;
        let standing = match (self.minter, self.began) {
            (_, true) => "a minter has begun there",
            (true, false) => "a minter is configured, and has not begun",
            (false, false) => {
                "nobody mints from here; before a minter does, see \"Badges\" in docs/adopt.md"
            }
        };
        format!(
            "{contract}: {held} badges are held, which no minter mints again (satisfied_elsewhere); {standing}"
        )
    }
}

/// Looks at the badges of the newest deployment, where the mirror has its contract.
///
/// # Errors
/// When the database fails.
pub(super) async fn badges(
    config: &Config,
    pool: &Pool,
    wanted: &[DeploymentArg],
) -> Result<Option<Badges>, CommandError> {
    let Some(newest) = wanted.last() else {
        return Ok(None);
    };
    let beside = || format!("{}.{}", newest.id.issuer, BadgesEvent::CONTRACT);
    let contract = config.mint.badges.clone().unwrap_or_else(beside);
    let held = look::badges_held(pool, &contract).await;
    let lanes = look::lanes(pool).await.map_err(CommandError::other)?;
    Ok(Some(Badges {
        held: held.map_err(CommandError::other)?,
        minter: config.mint.key.is_some(),
        began: lanes.iter().any(|l| l.contract == contract),
        contract,
    }))
}

/// What is left to do before the configured minter may begin; nothing where none is configured, or it has begun.
///
/// # Errors
/// When the database fails.
pub(super) async fn steps(
    config: &Config,
    pool: &Pool,
    badges: &Badges,
) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    if !badges.minter || badges.began {
        return Ok(steps);
    }
    let mut step = |why: String, run: String| steps.push(Step { why, run });
    let policy = config.mint.policy(&badges.contract);
    if policy.approve_first == 0 {
        step(
            format!(
                "{} badges were given before this minter began; look at the first mints of each kind before they are sent",
                badges.held
            ),
            format!("mint.approve_first = {LOOK_AT}"),
        );
    }
    let looked = checks::look(pool, config, &badges.contract, None).await;
    let looked = looked.map_err(CommandError::other)?;
    for check in looked.0.iter().filter(|c| !c.well) {
        if NEEDED.contains(&check.what) {
            let run = match check.what {
                "authorisation" => {
                    "have the signers execute set-minter for the key's account; then `stxworx mints doctor`"
                }
                _ => "stxworx mints doctor",
            };
            step(format!("{}: {}", check.what, check.says), run.to_owned());
        }
    }
    Ok(steps)
}
