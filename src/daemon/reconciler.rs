//! The role that compares the platform with the chain.

use std::collections::BTreeSet;
use std::sync::Arc;

use stxworx_reconciler::engine;

use super::{Daemon, DaemonError, Role};
use crate::config::Config;

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
        let Some(platform) = config.platform.clone() else {
            return match roles.len() {
                1 => Err(DaemonError::NoPlatform),
                _ => Ok(()),
            };
        };
        let (pool, metrics, stop) = (
            self.writer.clone(),
            Arc::clone(&self.metrics),
            self.cancel.clone(),
        );
        self.tasks.spawn(async move {
            engine::daemon::run(pool, platform.settings, platform.pauses, metrics, stop).await;
            ("the reconciler", Ok(()))
        });
        Ok(())
    }
}
