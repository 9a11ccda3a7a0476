//! What `up --for` prints at its end.

use std::fmt::Write as _;

use serde::Serialize;
use stxworx_indexer::store::market::MarketSummary;

use crate::cli::CommandError;
use crate::post::OutputFormat;

/// Everything that a run is judged by.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How long it ran.
    pub seconds: u64,
    /// Height of the mirror's tip.
    pub tip_height: Option<i32>,
    /// Payloads that wait to be processed.
    pub backlog: i64,
    /// Blocks that wait for their parent.
    pub detached: i64,
    /// Payloads that could not be decoded.
    pub quarantined: i64,
    /// Payloads of a recording that were posted.
    pub payloads_posted: Option<u64>,
    /// Invariants that were violated, and how often.
    pub invariant_violations: Vec<(String, u64)>,
    /// Each contract's chain of events against the contract's own cursor.
    pub cursor_proofs: Vec<CursorProof>,
    /// Open breaks between platform and chain, by rule.
    pub breaks: Vec<(String, i64)>,
    /// What is in the mirror.
    #[serde(flatten)]
    pub market: MarketSummary,
}

/// One contract's proof.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub struct CursorProof {
    /// The contract.
    pub contract: String,
    /// Its events in the mirror.
    pub seq: String,
    /// Whether number and hash of the newest are the contract's own, at the mirror's tip; none if the chain
    /// could not be asked.
    pub proved: Option<bool>,
}

impl Summary {
    /// Whether the mirror is what it should be.
    pub fn is_sound(&self) -> bool {
        self.invariant_violations.is_empty()
            && self.quarantined == 0
            && self.cursor_proofs.iter().all(|p| p.proved != Some(false))
    }

    /// Prints it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn print(&self, output: OutputFormat) -> Result<(), CommandError> {
        match output {
            OutputFormat::Json => {
                crate::cli::say!(
                    "{:#}",
                    serde_json::to_value(self).map_err(CommandError::other)?
                );
            }
            OutputFormat::Text => crate::cli::say_text(&self.text()),
        }
        Ok(())
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<26}{value}");
        };
        let counts = |pairs: &[(String, i64)]| {
            let parts: Vec<_> = pairs
                .iter()
                .map(|(status, count)| format!("{count} {status}"))
                .collect();
            if parts.is_empty() {
                "none".to_owned()
            } else {
                parts.join(", ")
            }
        };
        let m = &self.market;
        let height = self
            .tip_height
            .map_or_else(|| "none".to_owned(), |h| h.to_string());
        line("ran", format!("{} s", self.seconds));
        line("tip height", height);
        line(
            "blocks",
            format!(
                "{} canonical, {} on all forks",
                m.canonical_blocks, m.blocks
            ),
        );
        line(
            "reorgs survived",
            format!("{}, the deepest of {} blocks", m.reorgs, m.deepest_reorg),
        );
        line("events", m.events.to_string());
        line(
            "waiting",
            format!(
                "{} payloads, {} blocks without their parent, {} unreadable",
                self.backlog, self.detached, self.quarantined
            ),
        );
        if let Some(posted) = self.payloads_posted {
            line("posted", format!("{posted} payloads"));
        }
        if !m.chains.is_empty() {
            line("projects", counts(&m.projects));
            for asset in &m.assets {
                let name = asset
                    .asset
                    .split_once('.')
                    .map_or(asset.asset.as_str(), |(_, n)| n);
                line(
                    &format!("money in {name}"),
                    format!(
                        "{} locked of {}; {} paid, {} fees, {} back",
                        asset.locked, asset.deposited, asset.paid, asset.fees, asset.refunded
                    ),
                );
            }
            line("badges held", m.badges.to_string());
            line("governed actions", counts(&m.actions));
            line("unknown events", m.unrecognised.to_string());
            line("breaks, by rule", counts(&self.breaks));
        }
        for proof in &self.cursor_proofs {
            let name = proof
                .contract
                .split_once('.')
                .map_or(proof.contract.as_str(), |(_, n)| n);
            let verdict = match proof.proved {
                Some(true) => "equal to the contract's cursor",
                Some(false) => "NOT what the contract's cursor says",
                None => "the chain could not be asked",
            };
            line(
                &format!("proof {name}"),
                format!("{} events, {verdict}", proof.seq),
            );
        }
        let violated = if self.invariant_violations.is_empty() {
            "none".to_owned()
        } else {
            format!("{:?}", self.invariant_violations)
        };
        line("violated invariants", violated);
        text
    }
}
