//! The hash chain over the journal: what is hashed, written a second time beside the database's own function, so that
//! neither is believed alone.

use sha2::{Digest as _, Sha256};

use super::types::{Line, Stamp, lines_text};

/// A journal as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number, from 1 without gaps.
    pub seq: i64,
    /// A kind of booking, or `reversal`, `posted`, `void`.
    pub kind: String,
    /// The event.
    pub event_key: Option<String>,
    /// The booking that is posted, void or reversed.
    pub of_seq: Option<i64>,
    /// The block.
    pub stamp: Stamp,
    /// The transaction.
    pub txid: [u8; 32],
    /// The contract.
    pub contract: Option<String>,
    /// The project, in decimal digits.
    pub project: Option<String>,
    /// What does not add up.
    pub note: Option<String>,
    /// Unix microseconds.
    pub booked_at_us: i64,
    /// Its lines.
    pub lines: Vec<Line>,
}

impl Row {
    /// The bytes that are hashed: one field a line, then one posting a line.
    pub fn bytes(&self) -> Vec<u8> {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let fields = [
            self.seq.to_string(),
            self.kind.clone(),
            text(&self.event_key),
            self.of_seq.map(|s| s.to_string()).unwrap_or_default(),
            hex::encode(self.stamp.block),
            self.stamp.height.to_string(),
            self.stamp.burn_height.to_string(),
            self.stamp.burn_time.to_string(),
            hex::encode(self.txid),
            text(&self.contract),
            text(&self.project),
            text(&self.note),
            self.booked_at_us.to_string(),
        ];
        format!("{}\n{}", fields.join("\n"), lines_text(&self.lines)).into_bytes()
    }

    /// The hash that follows `prev`.
    pub fn hash(&self, prev: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(prev);
        hasher.update(self.bytes());
        hasher.finalize().into()
    }
}

/// Before the first journal.
pub const ZERO: [u8; 32] = [0; 32];

/// Where the chain of journals breaks.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Fault {
    /// Journals are missing.
    Deleted {
        /// The first one that is not there.
        seq: i64,
        /// The next one that is.
        next: i64,
    },
    /// A journal or its lines were changed.
    Edited {
        /// Which.
        seq: i64,
    },
    /// A journal does not name the hash of the one before.
    Unlinked {
        /// Which.
        seq: i64,
    },
    /// The head says that there were more.
    Truncated {
        /// The last one that is there.
        last: i64,
        /// How many there were.
        count: i64,
    },
    /// The head says that there were fewer, or that the last one was another.
    Head {
        /// The last one that is there.
        last: i64,
        /// How many the head says.
        count: i64,
    },
    /// A journal does not balance in an asset.
    Unbalanced {
        /// Which.
        seq: i64,
    },
    /// A seal is over a head that the journal does not have.
    Sealed {
        /// The period.
        period: i32,
        /// Why, in words.
        detail: String,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Deleted { seq, next } if next - seq == 1 => {
                write!(out, "journal {seq} is missing")
            }
            Self::Deleted { seq, next } => {
                write!(out, "journals {seq} to {} are missing", next - 1)
            }
            Self::Edited { seq } => write!(
                out,
                "journal {seq} was edited: its row or one of its lines is not what was hashed"
            ),
            Self::Unlinked { seq } => write!(
                out,
                "journal {seq} does not follow the one before: its prev_hash is another"
            ),
            Self::Truncated { last, count } => write!(
                out,
                "the tail is cut off: {count} journals were booked, and the last one here is {last}"
            ),
            Self::Head { last, count } => write!(
                out,
                "the head is not that of the journal: it says {count} journals, and the last one here is {last}"
            ),
            Self::Unbalanced { seq } => write!(out, "journal {seq} does not balance"),
            Self::Sealed { period, detail } => write!(out, "the seal of period {period}: {detail}"),
        }
    }
}

/// Walks journals in order and notes where they do not follow. Goes on behind a fault as if what is there were right,
/// so that each fault is named once.
#[derive(Debug)]
pub struct Walk {
    expected: i64,
    prev: [u8; 32],
    /// What was found.
    pub faults: Vec<Fault>,
}

/// More faults than these say nothing new.
const MOST_FAULTS: usize = 100;

impl Default for Walk {
    fn default() -> Self {
        Self {
            expected: 1,
            prev: ZERO,
            faults: Vec::new(),
        }
    }
}

/// Do the debits of each asset equal the credits?
pub fn balances(lines: &[Line]) -> bool {
    let mut assets: Vec<&str> = lines.iter().map(|l| l.asset.as_str()).collect();
    assets.sort_unstable();
    assets.dedup();
    assets.into_iter().all(|asset| {
        let mut off = super::Net::default();
        for line in lines.iter().filter(|l| l.asset == asset) {
            off.add(line.side, line.amount);
        }
        off.is_zero()
    })
}

impl Walk {
    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Takes the next journal, with the hashes that are stored with it.
    pub fn take(&mut self, row: &Row, prev_hash: &[u8], hash: &[u8]) {
        let gap = row.seq != self.expected;
        if gap {
            self.fault(Fault::Deleted {
                seq: self.expected,
                next: row.seq,
            });
        } else if prev_hash != self.prev {
            self.fault(Fault::Unlinked { seq: row.seq });
        }
        if row.hash(prev_hash) != hash {
            self.fault(Fault::Edited { seq: row.seq });
        }
        if !balances(&row.lines) {
            self.fault(Fault::Unbalanced { seq: row.seq });
        }
        self.expected = row.seq + 1;
        self.prev = <[u8; 32]>::try_from(hash).unwrap_or(ZERO);
    }

    /// Holds the end against the head that is kept beside the journal.
    pub fn end(&mut self, count: i64, hash: &[u8]) {
        let last = self.expected - 1;
        if count > last {
            self.fault(Fault::Truncated { last, count });
        } else if count < last || hash != self.prev {
            self.fault(Fault::Head { last, count });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::Side;
    use super::*;

    fn row(seq: i64) -> Row {
        let line = |account: &str, side| Line {
            account: account.into(),
            asset: "STX".into(),
            side,
            amount: u128::MAX,
            part: "deposit".into(),
        };
        Row {
            seq,
            kind: "deposit".into(),
            event_key: Some(format!("ST1.freelance-logic:aa:{seq}")),
            of_seq: None,
            stamp: Stamp {
                block: [7; 32],
                height: 9,
                burn_height: 3,
                burn_time: 11,
            },
            txid: [8; 32],
            contract: Some("ST1.freelance-logic".into()),
            project: Some("1".into()),
            note: None,
            booked_at_us: 5,
            lines: vec![
                line("external:ST2", Side::Credit),
                line("escrow:ST1.freelance-logic:1", Side::Debit),
            ],
        }
    }

    fn chain(count: i64) -> Vec<(Row, [u8; 32], [u8; 32])> {
        let mut prev = ZERO;
        (1..=count)
            .map(|seq| {
                let row = row(seq);
                let hash = row.hash(&prev);
                let entry = (row, prev, hash);
                prev = hash;
                entry
            })
            .collect()
    }

    fn faults(entries: &[(Row, [u8; 32], [u8; 32])], count: i64, head: [u8; 32]) -> Vec<Fault> {
        let mut walk = Walk::default();
        for (row, prev, hash) in entries {
            walk.take(row, prev, hash);
        }
        walk.end(count, &head);
        walk.faults
    }

    #[test]
    fn a_whole_chain_has_no_fault_and_each_harm_is_named_once() {
        let whole = chain(5);
        let head = whole[4].2;
        assert_eq!(faults(&whole, 5, head), []);
        let mut edited = whole.clone();
        edited[2].0.lines[0].amount -= 1;
        edited[2].0.lines[1].amount -= 1;
        assert_eq!(faults(&edited, 5, head), [Fault::Edited { seq: 3 }]);
        let mut rehashed = edited.clone();
        rehashed[2].2 = rehashed[2].0.hash(&rehashed[2].1);
        assert_eq!(faults(&rehashed, 5, head), [Fault::Unlinked { seq: 4 }]);
        let mut deleted = whole.clone();
        deleted.remove(1);
        assert_eq!(
            faults(&deleted, 5, head),
            [Fault::Deleted { seq: 2, next: 3 }]
        );
        assert_eq!(
            faults(&whole[..3], 5, head),
            [Fault::Truncated { last: 3, count: 5 }]
        );
        assert_eq!(faults(&whole, 5, ZERO), [Fault::Head { last: 5, count: 5 }]);
        assert_eq!(
            faults(&[], 2, head),
            [Fault::Truncated { last: 0, count: 2 }]
        );
        let mut lopsided = row(1);
        lopsided.lines[0].amount -= 1;
        let hash = lopsided.hash(&ZERO);
        assert_eq!(
            faults(&[(lopsided, ZERO, hash)], 1, hash),
            [Fault::Unbalanced { seq: 1 }]
        );
    }
}
