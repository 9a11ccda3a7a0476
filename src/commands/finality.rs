//! From which depth on a block is final, for a command beside a daemon.

use stxworx_indexer::store::{self, Pool, StoreError};

use crate::config::Config;

/// As the process that writes the mirror counts, else as configured here. What is written by a command must not call
/// final what the daemon does not: `up` counts deeper than its configuration says, beyond the forks of its devnet.
///
/// # Errors
/// When the database does not say. To take the configuration's number then would be a guess.
pub async fn in_force(config: &Config, pool: &Pool) -> Result<u32, StoreError> {
    let noted = store::lease::finality(pool).await?;
    Ok(noted.unwrap_or(config.finality_burn_blocks))
}
