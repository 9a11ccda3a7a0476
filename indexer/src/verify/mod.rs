//! Does the mirror say what the stored payloads say?
//!
//! Every block is decoded again from its payload, its projections are applied again, and the result is
//! compared with the stored rows, field by field, then with the stored digests. Independent of the
//! writer's memory; reads only.

pub(crate) mod diff;
pub(crate) mod payload;
pub mod deep;

use sqlx::PgPool;

use crate::chain::{ForkTree, Node};
use crate::decode::decode_burn_block;
use crate::model::canonical::{chain_digest, rows_digest};
use crate::model::{Block, Change, Digest, FollowSet, IndexBlockHash};
use crate::project::{self, States, apply_all};
use crate::store::proof::{self, BlockHead, TableRows};
use crate::store::{StoreError, inbox, load, reindex, window};

/// One difference between what is stored and what should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mismatch {
    /// Identity of the block.
    pub block: String,
    /// Its height.
    pub height: i32,
    /// The table.
    pub table: String,
    /// The row within block and table.
    pub row: String,
    /// The column, or what is wrong with the whole row.
    pub column: String,
    /// What the payloads say, cut.
    pub expected: String,
    /// What is stored, cut.
    pub stored: String,
}

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Blocks compared.
    pub blocks: u64,
    /// Rows compared.
    pub rows: u64,
    /// The digest at the canonical tip, as recomputed.
    pub tip_digest: Option<String>,
    /// The canonical tip.
    pub tip: Option<String>,
    /// Differences, the first hundred.
    pub mismatches: Vec<Mismatch>,
}

/// Differences that a report holds; what comes after them is not looked for.
pub const MAX_MISMATCHES: usize = 100;
const PAGE: i64 = 200;

struct Verifier<'a> {
    pool: &'a PgPool,
    follow: FollowSet,
    registry: Vec<Box<dyn project::AnyProjection>>,
    report: Report,
    states: States,
    states_at: Option<IndexBlockHash>,
}

/// Compares the whole mirror with its payloads. `progress` is called with the number of blocks done.
///
/// # Errors
/// When the database fails; differences are no error but the report.
pub async fn verify(
    pool: &PgPool,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Report, StoreError> {
    verify_heights(pool, ALL_HEIGHTS, progress).await
}

/// Every height, wrong ones included.
pub const ALL_HEIGHTS: (i32, i32) = (i32::MIN, i32::MAX);

/// Compares the blocks of some heights with their payloads, and everything else whole.
///
/// # Errors
/// When the database fails; differences are no error but the report.
pub async fn verify_heights(
    pool: &PgPool,
    heights: (i32, i32),
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Report, StoreError> {
    let Some(mut verifier) = verifier(pool).await? else {
        return Ok(Report::default());
    };
    let mut after = 0;
    loop {
        let page = reindex::blocks(pool, heights, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id;
        for head in &page {
            verifier.block(head).await?;
        }
        progress(verifier.report.blocks);
        if verifier.report.mismatches.len() >= MAX_MISMATCHES {
            break;
        }
    }
    verifier.burn_blocks().await?;
    verifier.pointers().await?;
    Ok(verifier.report)
}

async fn verifier(pool: &PgPool) -> Result<Option<Verifier<'_>>, StoreError> {
    let follow = load::follow_set(pool).await?;
    Ok(follow.map(|follow| Verifier {
        pool,
        follow,
        registry: project::registry(),
        report: Report::default(),
        states: States::new(),
        states_at: None,
    }))
}

/// Are the states of an entity what the payloads of these heights make of the states before them? Reads a few blocks.
///
/// # Errors
/// When the database fails; a difference is no error but false.
pub async fn holds(pool: &PgPool, entity: &str, heights: &[i32]) -> Result<bool, StoreError> {
    let Some(mut verifier) = verifier(pool).await? else {
        return Ok(false);
    };
    for height in heights {
        for head in reindex::blocks(pool, (*height, *height), 0, PAGE).await? {
            verifier.block(&head).await?;
        }
    }
    // A block that cannot be read says nothing of its rows: that is no proof.
    let named = format!(" entity {entity} ");
    let mut all = verifier.report.mismatches.iter();
    Ok(!all.any(|it| it.table != "projection_version" || it.row.contains(&named)))
}

impl Verifier<'_> {
    async fn block(&mut self, head: &BlockHead) -> Result<(), StoreError> {
        self.report.blocks += 1;
        let Some(block) = self.decode(head).await? else {
            return Ok(());
        };
        let change = self.project(head, &block).await?;
        let expected = proof::expected(&block, &change.versions);
        let stored = proof::stored(self.pool, head.id).await?;
        for (expected, stored) in expected.iter().zip(&stored) {
            self.compare(head, expected, stored);
        }
        let rows = rows_digest(&block, &change);
        let parent = window::known(self.pool, block.header.parent).await?;
        let parent = parent.map_or(Digest::ZERO, |k| k.digest);
        let digest = chain_digest(parent, block.header.id, rows);
        self.same(
            head,
            "block",
            "digests",
            "rows_digest",
            &rows.to_string(),
            &hexed(&head.rows_digest),
        );
        self.same(
            head,
            "block",
            "digests",
            "digest",
            &digest.to_string(),
            &hexed(&head.digest),
        );
        Ok(())
    }

    /// The block as its payload says; a payload that is damaged or names another block is a mismatch.
    async fn decode(&mut self, head: &BlockHead) -> Result<Option<Block>, StoreError> {
        let (block, faults) = payload::block_of(self.pool, head.inbox_id, &self.follow).await?;
        let key = head.inbox_id.to_string();
        for fault in faults {
            self.note(
                head,
                "inbox",
                &key,
                fault.column,
                &fault.expected,
                &fault.stored,
            );
        }
        Ok(block)
    }

    async fn project(&mut self, head: &BlockHead, block: &Block) -> Result<Change, StoreError> {
        if self.states_at != Some(block.header.parent) || self.states.len() > 100_000 {
            self.states.clear();
        }
        let keys = project::touched(&self.registry, block, &self.follow);
        let missing: Vec<_> = keys
            .into_iter()
            .filter(|k| !self.states.contains_key(k))
            .collect();
        if !missing.is_empty() {
            let (branch, trunk) = load::base_of(self.pool, block.header.parent).await?;
            self.states
                .extend(load::states(self.pool, &missing, &branch, trunk).await?);
        }
        self.states_at = Some(block.header.id);
        match apply_all(&self.registry, block, &self.follow, &mut self.states) {
            Ok(change) => Ok(change),
            Err(error) => {
                let error = crate::error_chain(&error).to_string();
                self.note(
                    head,
                    "projection_version",
                    "",
                    "state",
                    "applicable",
                    &error,
                );
                Ok(Change::default())
            }
        }
    }

    fn compare(&mut self, head: &BlockHead, expected: &TableRows, stored: &TableRows) {
        self.report.rows += expected.rows.len() as u64;
        diff::compare(expected, stored, &mut |d| {
            self.note(head, d.table, d.key, d.column, d.expected, d.stored);
        });
    }

    fn same(
        &mut self,
        head: &BlockHead,
        table: &str,
        row: &str,
        column: &str,
        expected: &str,
        stored: &str,
    ) {
        if expected != stored {
            self.note(head, table, row, column, expected, stored);
        }
    }

    fn note(
        &mut self,
        head: &BlockHead,
        table: &str,
        row: &str,
        column: &str,
        expected: &str,
        stored: &str,
    ) {
        if self.report.mismatches.len() >= MAX_MISMATCHES {
            return;
        }
        let cut = |text: &str| text.chars().take(200).collect::<String>();
        self.report.mismatches.push(Mismatch {
            block: hexed(&head.index_block_hash),
            height: head.height,
            table: table.to_owned(),
            row: row.to_owned(),
            column: column.to_owned(),
            expected: cut(expected),
            stored: cut(stored),
        });
    }

    /// Bitcoin blocks against their payloads, and payloads that nothing came of.
    async fn burn_blocks(&mut self) -> Result<(), StoreError> {
        for stored in proof::burn_blocks(self.pool).await? {
            self.report.rows += 1;
            let head = BlockHead {
                inbox_id: stored.inbox_id,
                ..nowhere(stored.height)
            };
            let key = hexed(&stored.hash);
            let body = match inbox::fetch_one(self.pool, stored.inbox_id).await {
                Ok(packed) => packed.unpack().map(|row| row.body).unwrap_or_default(),
                Err(StoreError::Db {
                    source: sqlx::Error::RowNotFound,
                    ..
                }) => Vec::new(),
                Err(error) => return Err(error),
            };
            let Ok(block) = decode_burn_block(&body) else {
                self.note(
                    &head,
                    "inbox",
                    &stored.inbox_id.to_string(),
                    "body",
                    "a new_burn_block payload",
                    "another",
                );
                continue;
            };
            let text =
                |bytes: &Option<Vec<u8>>| bytes.as_deref().map_or_else(|| "null".to_owned(), hexed);
            let opt = |hash: Option<String>| hash.unwrap_or_else(|| "null".to_owned());
            let fields = [
                ("hash", block.hash.to_string(), key.clone()),
                (
                    "height",
                    block.height.to_string(),
                    stored.height.to_string(),
                ),
                (
                    "parent",
                    opt(block.parent.map(|h| h.to_string())),
                    text(&stored.parent),
                ),
                (
                    "consensus_hash",
                    opt(block.consensus_hash.map(|h| h.to_string())),
                    text(&stored.consensus_hash),
                ),
            ];
            for (column, expected, found) in fields {
                self.same(&head, "burn_block", &key, column, &expected, &found);
            }
        }
        for inbox_id in proof::without_facts(self.pool).await? {
            self.note(
                &nowhere(0),
                "inbox",
                &inbox_id.to_string(),
                "state",
                "a block that came of it",
                "none",
            );
        }
        Ok(())
    }

    /// The canonical pointer against fork choice over everything stored, and the projections' pointers.
    async fn pointers(&mut self) -> Result<(), StoreError> {
        for height in proof::broken_heights(self.pool).await? {
            self.note(
                &nowhere(height),
                "canonical",
                &height.to_string(),
                "block_id",
                "a child of the canonical block below",
                "another",
            );
        }
        for entity in proof::wrong_pointers(self.pool).await? {
            self.note(
                &nowhere(0),
                "projection_current",
                &entity,
                "version_id",
                "the newest canonical version",
                "another",
            );
        }
        let (pointer, mirror) = proof::tips(self.pool).await?;
        let (pointer, mirror) = (pointer.as_deref().map(hexed), mirror.as_deref().map(hexed));
        let chosen = self.fork_choice().await?;
        let text = |tip: &Option<String>| tip.clone().unwrap_or_else(|| "none".to_owned());
        self.same(
            &nowhere(0),
            "canonical",
            "tip",
            "block_id",
            &text(&chosen),
            &text(&pointer),
        );
        self.same(
            &nowhere(0),
            "mirror",
            "tip",
            "tip_block_id",
            &text(&chosen),
            &text(&mirror),
        );
        if let Some(tip) = &pointer
            && let Ok(id) = tip.parse()
        {
            self.report.tip_digest = window::known(self.pool, id)
                .await?
                .map(|k| k.digest.to_string());
        }
        self.report.tip = pointer;
        Ok(())
    }

    /// The tip of a tree that is fed with every stored block, in the order of local numbers.
    async fn fork_choice(&self) -> Result<Option<String>, StoreError> {
        let (_, all) = window::window(self.pool, i32::MAX).await?;
        let mut tree = ForkTree::default();
        let mut nodes: Vec<(i64, Node)> = all
            .nodes
            .into_iter()
            .filter_map(|n| all.known.get(&n.block.id).map(|k| (k.id, n)))
            .collect();
        nodes.sort_unstable_by_key(|(id, _)| *id);
        for (_, node) in nodes {
            tree.insert(node);
        }
        for burn_block in window::burn_blocks(self.pool, i32::MAX).await? {
            tree.insert_burn_block(burn_block);
        }
        Ok(tree.tip().map(|t| t.id.to_string()))
    }
}

/// Stands in where a difference belongs to no single block.
fn nowhere(height: i32) -> BlockHead {
    BlockHead {
        id: 0,
        inbox_id: 0,
        index_block_hash: Vec::new(),
        height,
        rows_digest: Vec::new(),
        digest: Vec::new(),
    }
}

pub(crate) fn hexed(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}
