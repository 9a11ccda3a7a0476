//! What the mirror says of attestations, for proposals.

use std::collections::BTreeMap;

use stxworx_clarity::events::data::DataEvent;
use stxworx_indexer::store::mint::attest;

use super::super::ports::PortError;
use super::mirror::{PgMirror, sibling};
use super::{failed, unread};
use stxworx_indexer::store::read::Snapshot;

const LOOK: &str = "reading who attests";

impl PgMirror {
    /// The contract that keeps the users of a badges' contract.
    pub fn data_of(badges: &str) -> String {
        sibling(badges, DataEvent::CONTRACT)
    }

    /// Who may attest now, at the contract that keeps users.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub async fn attestors(&self, data: &str) -> Result<Vec<String>, PortError> {
        let mut snapshot = Snapshot::open(self.pool()).await.map_err(unread(LOOK))?;
        attest::attestors(snapshot.connection(), data)
            .await
            .map_err(failed(LOOK))
    }

    /// Who has which of these X accounts, and until which burn height.
    ///
    /// # Errors
    /// When the mirror cannot be read.
    pub async fn x_owners(
        &self,
        data: &str,
        hashes: &[String],
    ) -> Result<BTreeMap<String, (String, u64)>, PortError> {
        let mut snapshot = Snapshot::open(self.pool()).await.map_err(unread(LOOK))?;
        let rows = attest::owners(snapshot.connection(), data, hashes)
            .await
            .map_err(failed(LOOK))?;
        let mut owners: BTreeMap<String, (String, u64)> = BTreeMap::new();
        for row in rows {
            // A number past 64 bits is a time that never comes.
            let until = row.expires.parse().unwrap_or(u64::MAX);
            let longer = owners
                .get(&row.hash)
                .is_none_or(|(_, other)| *other < until);
            if longer {
                owners.insert(row.hash, (row.user, until));
            }
        }
        Ok(owners)
    }
}
