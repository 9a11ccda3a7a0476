//! The books, kept and proved by the process that writes the mirror.

use std::sync::Arc;

use sqlx::PgPool;
use stxworx_indexer::audit::NodeReader;
use stxworx_reconciler::ledger::keep::{self, Rules};
use stxworx_reconciler::ledger::prover::{self, Prover};
use tokio::sync::watch;

use super::{Daemon, DaemonError};
use crate::config::Config;

impl Daemon {
    /// Keeps the books while this process writes the mirror.
    pub(super) fn start_ledger(
        &mut self,
        config: &Config,
        pool: PgPool,
        leading: &watch::Sender<Option<i64>>,
    ) {
        self.leading = Some(leading.subscribe());
        let rules = Rules {
            finality: config.finality_burn_blocks,
            fee_payers: config.ledger_fee_payers.clone(),
        };
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        let leading = leading.subscribe();
        self.tasks.spawn(async move {
            keep::run(pool, rules, leading, metrics, stop).await;
            ("the ledger", Ok(()))
        });
    }

    /// Proves the books against a node, where this process keeps them.
    ///
    /// # Errors
    /// When the node's URL is none.
    pub(super) fn start_prover(&mut self, config: &Config, url: &str) -> Result<(), DaemonError> {
        let Some(leading) = self.leading.clone() else {
            return Ok(());
        };
        let node = NodeReader::new(url, config.node_timeout)?;
        let finality = config.finality_burn_blocks;
        let prover = Prover::new(self.writer.clone(), node, finality);
        let (metrics, stop) = (Arc::clone(&self.metrics), self.cancel.clone());
        self.tasks.spawn(async move {
            prover::run(prover, leading, metrics, stop).await;
            ("the ledger's proofs", Ok(()))
        });
        Ok(())
    }
}
