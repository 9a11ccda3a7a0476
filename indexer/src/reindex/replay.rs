//! One block after the other, made again from its payload and compared with what is stored.

use serde_json::json;
use sqlx::PgPool;

use super::{ReindexError, rows, select};
use crate::model::canonical::{chain_digest, rows_digest};
use crate::model::{Block, Change, Digest, FollowSet, IndexBlockHash};
use crate::project::{self, AnyProjection, States, apply_all};
use crate::store::proof::{self, BlockHead};
use crate::store::reindex::{self as journal, Finding};
use crate::verify::payload::{self, Fault};
use crate::verify::{diff, hexed};

/// Differences of one block that are kept; the rest is counted.
const KEPT: usize = 200;
/// States remembered before they are read anew.
const MAX_STATES: usize = 100_000;

/// Makes blocks again, with the states of entities as of the last one.
pub(super) struct Replay<'a> {
    pub pool: &'a PgPool,
    pub job: i64,
    pub follow: FollowSet,
    pub registry: Vec<Box<dyn AnyProjection>>,
    pub contract: Option<String>,
    states: States,
    states_at: Option<IndexBlockHash>,
}

/// What one block came to.
pub(super) struct Compared {
    /// Rows that it should have.
    pub rows: i64,
    /// What is wrong with it, if anything is.
    pub finding: Option<Finding>,
}

/// Differences while they are gathered.
#[derive(Default)]
struct Gathered {
    kept: Vec<serde_json::Value>,
    count: i64,
    rows: bool,
    mine: bool,
    others: bool,
}

impl Gathered {
    fn add(&mut self, table: &str, row: &str, column: &str, expected: &str, stored: &str) {
        self.count += 1;
        if self.kept.len() < KEPT {
            let cut = |text: &str| text.chars().take(200).collect::<String>();
            self.kept.push(json!({
                "table": table, "row": row, "column": column, "expected": cut(expected), "stored": cut(stored),
            }));
        }
    }
}

impl<'a> Replay<'a> {
    pub(super) fn new(
        pool: &'a PgPool,
        job: i64,
        follow: FollowSet,
        contract: Option<String>,
    ) -> Self {
        Self {
            pool,
            job,
            follow,
            registry: project::registry(),
            contract,
            states: States::new(),
            states_at: None,
        }
    }

    /// Makes a block again and compares it.
    pub(super) async fn block(&mut self, head: &BlockHead) -> Result<Compared, ReindexError> {
        let (block, mut faults) = payload::block_of(self.pool, head.inbox_id, &self.follow).await?;
        let scope = journal::scope_of(self.pool, head.inbox_id).await?;
        if let Some(scope) = scope.filter(|s| s[..] != self.follow.hash()) {
            faults.push(Fault {
                column: "scope",
                expected: format!("null or {}", hexed(&self.follow.hash())),
                stored: hexed(&scope),
            });
        }
        if let Some(block) = &block
            && block.header.id.as_bytes() != head.index_block_hash
        {
            faults.push(Fault {
                column: "body",
                expected: format!("block {}", hexed(&head.index_block_hash)),
                stored: format!("block {}", block.header.id),
            });
        }
        match block {
            Some(block) if faults.is_empty() => match self.project(&block).await? {
                Ok(change) => self.compare(head, &block, &change).await,
                Err(fault) => Ok(self.unusable(head, &[fault])),
            },
            _ => Ok(self.unusable(head, &faults)),
        }
    }

    /// A block that cannot be made again: what stands on it is judged by the stored rows.
    fn unusable(&mut self, head: &BlockHead, faults: &[Fault]) -> Compared {
        self.states_at = None;
        let mut gathered = Gathered::default();
        let row = head.inbox_id.to_string();
        for fault in faults {
            gathered.add("inbox", &row, fault.column, &fault.expected, &fault.stored);
        }
        let finding = Finding {
            fault: true,
            count: gathered.count,
            differences: gathered.kept.into(),
            ..Finding::default()
        };
        Compared {
            rows: 0,
            finding: Some(finding),
        }
    }

    async fn project(&mut self, block: &Block) -> Result<Result<Change, Fault>, ReindexError> {
        let parent = block.header.parent;
        if self.states_at != Some(parent) || self.states.len() > MAX_STATES {
            self.states.clear();
        }
        let mut missing = project::touched(&self.registry, block, &self.follow);
        missing.retain(|key| !self.states.contains_key(key));
        if !missing.is_empty() {
            let read = journal::states(self.pool, self.job, parent, &missing).await?;
            self.states.extend(read);
        }
        self.states_at = Some(block.header.id);
        let applied = apply_all(&self.registry, block, &self.follow, &mut self.states);
        Ok(applied.map_err(|error| Fault {
            column: "body",
            expected: "a block that the projections can apply".to_owned(),
            stored: crate::error_chain(&error).to_string(),
        }))
    }

    async fn compare(
        &self,
        head: &BlockHead,
        block: &Block,
        change: &Change,
    ) -> Result<Compared, ReindexError> {
        let expected = proof::expected(block, &change.versions);
        let stored = proof::stored(self.pool, head.id).await?;
        let mut gathered = Gathered::default();
        for (expected, stored) in expected.iter().zip(&stored) {
            diff::compare(expected, stored, &mut |d| {
                gathered.rows = true;
                let contract = self.contract.as_deref();
                if contract.is_none_or(|c| select::concerns(&d, c)) {
                    gathered.mine = true;
                } else {
                    gathered.others = true;
                }
                gathered.add(d.table, d.key, d.column, d.expected, d.stored);
            });
        }
        let rows = rows_digest(block, change);
        let parent = journal::digest_of(self.pool, self.job, block.header.parent).await?;
        let digest = chain_digest(parent.unwrap_or(Digest::ZERO), block.header.id, rows);
        for (column, expected, stored) in [
            ("rows_digest", rows, &head.rows_digest),
            ("digest", digest, &head.digest),
        ] {
            if expected.as_bytes() != stored {
                let (expected, stored) = (expected.to_string(), hexed(stored));
                gathered.add("block", "digests", column, &expected, &stored);
            }
        }
        let count = expected.iter().map(|t| t.rows.len()).sum::<usize>();
        let compared = i64::try_from(count).unwrap_or(i64::MAX);
        if gathered.count == 0 {
            return Ok(Compared {
                rows: compared,
                finding: None,
            });
        }
        // Digests alone belong to no contract.
        let selected = match self.contract {
            None => true,
            Some(_) => gathered.mine,
        };
        if gathered.mine && gathered.others {
            return Err(ReindexError::Others {
                block: hexed(&head.index_block_hash),
                height: head.height,
                contract: self.contract.clone().unwrap_or_default(),
            });
        }
        let finding = Finding {
            whole: gathered.rows,
            selected,
            fault: false,
            rows_digest: Some(rows),
            digest: Some(digest),
            count: gathered.count,
            differences: gathered.kept.into(),
            rows: if gathered.rows {
                rows::of(block, &change.versions)
            } else {
                Vec::new()
            },
        };
        Ok(Compared {
            rows: compared,
            finding: Some(finding),
        })
    }
}
