//! The contracts' hash chains, walked anew over the stored events: what `stxworx verify` adds to the
//! comparison with the payloads, because it needs neither payloads nor trust in the projections.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use sqlx::PgPool;

use crate::store::StoreError;
use crate::store::audit::{StoredPrint, prints_after};

/// One contract's chain.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ChainReport {
    /// The contract.
    pub contract: String,
    /// Events of the chain.
    pub events: u64,
    /// Number of the newest.
    pub seq: String,
    /// Hash of the newest, with 0x.
    pub head: String,
    /// The first event that does not follow from the one before it, with its place.
    pub fault: Option<String>,
}

#[derive(Debug, Default)]
struct Walk {
    events: u64,
    seq: u128,
    head: [u8; 32],
    fault: Option<String>,
}

impl Walk {
    fn step(&mut self, print: &StoredPrint, newest: Option<&StoredPrint>) {
        let Some(header) = stxworx_clarity::events::header(&print.value) else {
            // No envelope: not of the chain, unless the bytes were damaged; then the next link shows it.
            return;
        };
        let due = self.seq.saturating_add(1);
        let why = if self.events == 0 {
            (header.seq == 1 && header.prev != [0; 32])
                .then(|| "the first event names one before it".to_owned())
        } else if header.seq != due {
            Some(format!("event {} follows event {}", header.seq, self.seq))
        } else if header.prev != self.head {
            let before = newest.map(StoredPrint::place).unwrap_or_default();
            Some(format!(
                "it names another event before it than the stored one ({before}): one of the two was altered"
            ))
        } else {
            None
        };
        if let (Some(why), None) = (why, &self.fault) {
            self.fault = Some(format!(
                "event {} ({}, {}): {why}",
                header.seq,
                header.topic,
                print.place()
            ));
        }
        self.events += 1;
        self.seq = header.seq;
        self.head = Sha256::digest(&print.value).into();
    }
}

/// Walks every chain of the canonical events.
///
/// # Errors
/// When the database cannot be read; a fault is no error but in the report.
pub async fn walk(pool: &PgPool) -> Result<Vec<ChainReport>, StoreError> {
    let mut walks: BTreeMap<String, (Walk, Option<StoredPrint>)> = BTreeMap::new();
    let mut after = (-1, -1, -1);
    loop {
        let page = prints_after(pool, after).await?;
        let Some(last) = page.last() else { break };
        after = (last.height, last.tx_index, last.ordinal);
        for print in page {
            let name = print.contract.split_once('.').map_or("", |(_, name)| name);
            if !stxworx_clarity::events::is_known(name) {
                continue;
            }
            let (walk, newest) = walks.entry(print.contract.clone()).or_default();
            walk.step(&print, newest.as_ref());
            *newest = Some(print);
        }
    }
    Ok(walks
        .into_iter()
        .map(|(contract, (walk, _))| ChainReport {
            contract,
            events: walk.events,
            seq: walk.seq.to_string(),
            head: format!("0x{}", hex::encode(walk.head)),
            fault: walk.fault,
        })
        .collect())
}
