//! Badges: what keeps a minter from minting, by the checks of `mints doctor`.

use stxworx_indexer::store::Pool;
use stxworx_indexer::store::mint::look;

use super::database::failed;
use super::finding::Finding;
use crate::cli::CommandError;
use crate::commands::mints::checks::{self, Check};
use crate::commands::mints::contract;
use crate::config::Config;

const CHECK: &str = "minter";

/// Everything about the minter, where one is configured or ever ran.
pub(super) async fn mints(pool: Pool, config: Config) -> Vec<Finding> {
    let lanes = match look::held(&pool).await {
        Ok(lanes) => lanes,
        Err(error) => return vec![failed(CHECK, &error)],
    };
    let configured = config.mint.key.is_some();
    if !configured && lanes.is_empty() {
        let says = "nobody mints: mint.key_file, mint.key_env and mint.signer_url are empty";
        return vec![Finding::skipped(CHECK, says)];
    }
    let contract = match contract(&pool, &config).await {
        Ok(contract) => contract,
        Err(CommandError::Usage(says)) => return vec![no_contract(says)],
        Err(error) => return vec![no_contract(error.to_string())],
    };
    match checks::look(&pool, &config, &contract, None).await {
        Ok(checks) => findings(&checks.0, configured),
        Err(error) => vec![failed(CHECK, &error)],
    }
}

fn no_contract(says: String) -> Finding {
    Finding::warning(CHECK, says)
        .why("a minter waits until it knows the badges' contract")
        .remedy("follow it, or name the one that is meant with mint.badges")
        .see("docs/mints.md")
}

/// What is wrong, a line each; or that all is well. Where no key is configured, another machine mints, and this one only
/// has its database.
fn findings(checks: &[Check], configured: bool) -> Vec<Finding> {
    let elsewhere = ["configuration", "nodes"];
    let counts = |c: &&Check| configured || !elsewhere.contains(&c.what);
    let looked: Vec<&Check> = checks.iter().filter(counts).collect();
    let wrong: Vec<Finding> = looked
        .iter()
        .filter(|c| !c.well)
        .map(|c| finding(c))
        .collect();
    if wrong.is_empty() {
        let names: Vec<&str> = looked.iter().map(|c| c.what).collect();
        return vec![Finding::fine(CHECK, format!("well: {}", names.join(", ")))];
    }
    wrong
}

fn finding(check: &Check) -> Finding {
    let what = format!("{}: {}", check.what, check.says);
    // These pass by themselves, or are somebody's will.
    let passes = ["dry run", "budget", "runway", "balance", "pauses", "breaks"];
    let finding = if passes.contains(&check.what) {
        Finding::warning(CHECK, what)
    } else {
        Finding::fault(CHECK, what)
    };
    finding
        .why("badges that were earned are not minted, or soon will not be; none is lost")
        .remedy("what the line says; `stxworx mints doctor` has everything that was looked at")
        .see("docs/runbook.md#mints-wait")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Severity;

    fn check(what: &'static str, well: bool) -> Check {
        let says = "so".to_owned();
        Check { what, well, says }
    }

    #[test]
    fn a_machine_without_a_key_is_not_asked_for_one() {
        let checks = [check("configuration", false), check("lease", true)];
        let said = findings(&checks, false);
        assert_eq!((said.len(), said[0].severity), (1, Severity::Fine));
        assert_eq!(said[0].what, "well: lease");
        let said = findings(&checks, true);
        assert_eq!((said.len(), said[0].severity), (1, Severity::Fault));
        assert_eq!(said[0].what, "configuration: so");
    }

    #[test]
    fn what_passes_by_itself_is_a_warning() {
        let said = findings(
            &[check("budget", false), check("authorisation", false)],
            true,
        );
        let severities: Vec<_> = said.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Fault]);
        assert!(said.iter().all(|f| f.why.is_some() && f.remedy.is_some()));
    }
}
