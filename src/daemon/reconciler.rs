//! The role that compares the platform with the chain.

use std::collections::BTreeSet;
use std::sync::Arc;

use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_reconciler::engine;

use super::{Daemon, DaemonError, Role};
use crate::config::Config;
use crate::config::platform::PlatformConfig;

/// The node that is asked for balances, if there is one.
///
/// # Errors
/// When its URL is none.
pub fn asked(config: &Config, platform: &PlatformConfig) -> Result<Option<NodeReader>, NodeError> {
    let url = platform.node_url.as_deref().or(config.node_url.as_deref());
    url.map(|url| NodeReader::new(url, config.node_timeout))
        .transpose()
}

impl Daemon {
    /// Reconciles from now on, where a platform is configured.
    ///
    /// # Errors
    /// When this process was to do nothing else, and there is no platform.
    pub(super) fn start_reconciler(
        &mut self,
        config: &Config,
        roles: &BTreeSet<Role>,
    ) -> Result<(), DaemonError> {
        let Some(mut platform) = config.platform.clone() else {
            return match roles.len() {
                1 => Err(DaemonError::NoPlatform),
                _ => Ok(()),
            };
        };
        platform.settings.node = asked(config, &platform)?;
        let (pool, metrics, stop) = (
            self.writer.clone(),
            Arc::clone(&self.metrics),
            self.cancel.clone(),
        );
        self.tasks.spawn(async move {
            let (settings, repairs) = (platform.settings, platform.repairs);
            let how = (platform.pauses, repairs);
            engine::daemon::run(pool, settings, how, metrics, stop).await;
            ("the reconciler", Ok(()))
        });
        Ok(())
    }
}
