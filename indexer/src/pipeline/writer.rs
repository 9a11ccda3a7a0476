//! The writer's state, and what each payload does to it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use sqlx::PgPool;

use super::batch::{Draft, left_final};
use super::count::count;
use super::decode::{Decoded, Item, decode_row};
use super::detached::Detached;
use super::states::StateCache;
use super::{PipelineConfig, PipelineError};
use crate::chain::{ForkTree, Node, Outcome, Switch};
use crate::metrics::{Metrics, Stage};
use crate::model::canonical::{chain_digest, rows_digest};
use crate::model::{Block, BurnBlock, Digest, FollowSet, IndexBlockHash};
use crate::project::{AnyProjection, apply_all, registry, touched};
use crate::store::batch::{BlockRows, Disagreement, InboxUpdate};
use crate::store::inbox::{InboxState, Source};
use crate::store::load::{self, Position};
use crate::store::window::{self, Known};
use crate::store::{StoreError, commit, inbox, rebuild};

/// Canonical heights that the fork tree holds in memory after pruning, and before.
const WINDOW_BLOCKS: u32 = 4096;
const PRUNE_AT_BLOCKS: usize = 3 * 4096;
/// Principals remembered before the cache is emptied.
const MAX_PRINCIPALS: usize = 500_000;

pub(super) struct Writer {
    pool: PgPool,
    config: PipelineConfig,
    metrics: Arc<Metrics>,
    registry: Vec<Box<dyn AnyProjection>>,
    position: Position,
    /// Position to be committed: counters run ahead of `position` while a draft fills.
    next: Position,
    tree: ForkTree,
    known: HashMap<IndexBlockHash, Known>,
    detached: Detached,
    origin_parent: Option<IndexBlockHash>,
    principals: HashMap<String, i32>,
    cache: StateCache,
    draft: Draft,
    /// Set when the mirror has to be emptied and begun anew, from this origin.
    begin_at: Option<IndexBlockHash>,
}

impl Writer {
    /// Loads the mirror's position, as the writer of this epoch.
    pub(super) async fn load(
        pool: &PgPool,
        config: &PipelineConfig,
        metrics: &Arc<Metrics>,
        epoch: i64,
    ) -> Result<Self, PipelineError> {
        let registry = registry();
        let position = load::resume(pool, epoch).await?;
        let depth = i32::try_from(WINDOW_BLOCKS).unwrap_or(i32::MAX);
        let (tree, window) = window::window(pool, depth).await?;
        load::free_detached(pool).await?;
        let mut detached = Detached::default();
        for (inbox_id, block, parent) in load::detached(pool).await? {
            detached.add(inbox_id, block, parent);
        }
        let origin_parent = match position.origin {
            Some(origin) => load::parent_of(pool, origin).await?,
            None => None,
        };
        let writer = Self {
            pool: pool.clone(),
            config: config.clone(),
            metrics: Arc::clone(metrics),
            registry,
            next: position.clone(),
            position,
            tree,
            known: window.known,
            detached,
            origin_parent,
            principals: HashMap::new(),
            cache: StateCache::default(),
            draft: Draft::default(),
            begin_at: None,
        };
        writer.show();
        Ok(writer)
    }

    /// Processes a round and commits it. True when the mirror was emptied and must be loaded anew.
    pub(super) async fn process(&mut self, items: Vec<Item>) -> Result<bool, PipelineError> {
        self.metrics.set_stage(Stage::Apply);
        for item in items {
            self.metrics.processed.inc();
            let mut queue = VecDeque::from([item]);
            while let Some(item) = queue.pop_front() {
                let freed = self.take(item).await?;
                for inbox_id in freed {
                    queue.push_back(self.reread(inbox_id).await?);
                }
                // Before any flush: what led to it must not be committed without it.
                if self.begin_at.is_some() {
                    return self.begin_anew().await;
                }
                if self.draft.is_full() {
                    self.flush().await?;
                }
            }
        }
        self.flush().await?;
        self.prune();
        Ok(false)
    }

    pub(super) fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub(super) fn follow(&self) -> &FollowSet {
        &self.config.follow
    }

    /// The payload of a block that is not committed yet.
    pub(super) fn drafted(&self, id: &IndexBlockHash) -> Option<i64> {
        let mut blocks = self.draft.batch.blocks.iter().rev();
        blocks
            .find(|b| b.block.header.id == *id)
            .map(|b| b.inbox_id)
    }

    pub(super) fn note_disagreement(&mut self, found: Disagreement) {
        tracing::error!(block = %found.block.id, height = found.block.height,
            applied = found.applied_source.as_str(), other = found.other_source.as_str(),
            differences = found.differences, "two sources tell different facts of one block; the first one stays");
        let source = found.other_source.as_str();
        self.metrics
            .sources
            .disagreements
            .with_label_values(&[source])
            .inc();
        self.draft.batch.disagreements.push(found);
    }

    async fn reread(&self, inbox_id: i64) -> Result<Item, PipelineError> {
        let row = inbox::fetch_one(&self.pool, inbox_id).await?;
        let follow = self.config.follow.clone();
        let item = tokio::task::spawn_blocking(move || decode_row(row, &follow)).await;
        Ok(item.map_err(|e| StoreError::Corrupt {
            table: "inbox",
            detail: format!("a decoder died on row {inbox_id}: {e}"),
        })??)
    }

    /// The draft is dropped, because everything in it is made again. Were it committed first, a crash in
    /// between would leave the payload that asked for this processed, and nobody would ask again.
    async fn begin_anew(&mut self) -> Result<bool, PipelineError> {
        self.draft = Draft::default();
        if let Some(origin) = self.begin_at.take() {
            tracing::warn!(%origin, "the mirror begins lower; it is built anew from its stored payloads");
            rebuild::rebuild(&self.pool, &self.position, Some(origin)).await?;
        }
        Ok(true)
    }

    /// Takes one payload; returns inbox rows that can go on because of it.
    async fn take(&mut self, item: Item) -> Result<Vec<i64>, PipelineError> {
        let Item {
            inbox_id,
            source,
            received_at_us,
            decoded,
        } = item;
        let mut update = InboxUpdate {
            id: inbox_id,
            state: InboxState::Applied,
            block: None,
            error: None,
        };
        match decoded {
            Decoded::Block(block) => {
                self.metrics.decoded(source, block.header.height);
                return self.take_block(inbox_id, source, *block).await;
            }
            Decoded::BurnBlock(block) => self.take_burn_block(inbox_id, block),
            Decoded::Mempool(txids) => {
                let seen = txids.into_iter().map(|t| (t, inbox_id, received_at_us));
                self.draft.batch.mempool.seen.extend(seen);
            }
            Decoded::MempoolDrop(drop) => {
                self.draft
                    .batch
                    .mempool
                    .dropped
                    .push((drop, received_at_us));
            }
            Decoded::Kept => update.state = InboxState::Kept,
            Decoded::Unreadable(reason) => {
                self.quarantine(inbox_id, reason);
                return Ok(Vec::new());
            }
        }
        self.draft.batch.inbox.push(update);
        Ok(Vec::new())
    }

    fn quarantine(&mut self, inbox_id: i64, reason: String) {
        tracing::error!(
            inbox_id,
            reason,
            "a payload is quarantined; see `stxworx status`"
        );
        self.metrics.quarantined.inc();
        let (state, error) = (InboxState::Quarantined, Some(reason));
        self.draft.batch.inbox.push(InboxUpdate {
            id: inbox_id,
            state,
            block: None,
            error,
        });
    }

    fn take_burn_block(&mut self, inbox_id: i64, block: BurnBlock) {
        let switch = self.tree.insert_burn_block(block.clone());
        self.draft.batch.burn_blocks.push((block, inbox_id));
        if let Some(switch) = switch {
            self.note_switch(&switch, true);
        }
    }

    async fn take_block(
        &mut self,
        inbox_id: i64,
        source: Source,
        block: Block,
    ) -> Result<Vec<i64>, PipelineError> {
        if is_empty_genesis(&block) {
            let block = Some((block.header.block_ref(), block.header.parent));
            let state = InboxState::Superseded;
            self.draft.batch.inbox.push(InboxUpdate {
                id: inbox_id,
                state,
                block,
                error: None,
            });
            return Ok(Vec::new());
        }
        let node = Node::from(&block.header);
        let mut outcome = self.tree.plan(&node);
        if matches!(outcome, Outcome::Detached { .. }) {
            outcome = self.look_below(&node).await?;
        }
        if outcome == Outcome::Origin && self.next.origin.is_some_and(|o| o != block.header.id) {
            outcome = Outcome::Detached {
                missing_parent: block.header.parent,
            };
        }
        if let Some(parent) = self.tree.get(&block.header.parent)
            && outcome != Outcome::Duplicate
            && parent.block.height.checked_add(1) != Some(block.header.height)
        {
            let reason = format!(
                "block {} says height {}, but its parent has {}",
                block.header.id, block.header.height, parent.block.height
            );
            self.quarantine(inbox_id, reason);
            return Ok(Vec::new());
        }
        let state = match &outcome {
            Outcome::Duplicate => {
                self.compare_duplicate(inbox_id, source, &block).await?;
                InboxState::Duplicate
            }
            Outcome::Detached { .. } => {
                self.note_detached(inbox_id, &block);
                InboxState::Detached
            }
            _ => InboxState::Applied,
        };
        let id = block.header.id;
        let update = InboxUpdate {
            id: inbox_id,
            state,
            block: Some((block.header.block_ref(), block.header.parent)),
            error: None,
        };
        if state != InboxState::Applied {
            self.draft.batch.inbox.push(update);
            return Ok(Vec::new());
        }
        self.add_block(inbox_id, block, node).await?;
        // Not before: adding a block may commit what came before it, and must not commit this without it.
        self.draft.batch.inbox.push(update);
        let freed = self.detached.take(&id);
        self.metrics.detached.set(gauge(self.detached.len()));
        Ok(freed)
    }

    /// A block whose parent is not in the window may still be known to the store, or stand on old history.
    async fn look_below(&mut self, node: &Node) -> Result<Outcome, PipelineError> {
        let missing = Outcome::Detached {
            missing_parent: node.parent,
        };
        let Some(base) = self.tree.base() else {
            return Ok(missing);
        };
        if window::known(&self.pool, node.block.id).await?.is_some() {
            return Ok(Outcome::Duplicate);
        }
        if window::known(&self.pool, node.parent).await?.is_none() {
            return Ok(missing);
        }
        let window = window::ancestry(&self.pool, node.parent, base.height).await?;
        self.known.extend(window.known);
        self.tree.graft(window.nodes, &window.canonical);
        Ok(self.tree.plan(node))
    }

    fn note_detached(&mut self, inbox_id: i64, block: &Block) {
        let id = block.header.id;
        self.detached.add(inbox_id, id, block.header.parent);
        self.metrics.detached.set(gauge(self.detached.len()));
        tracing::info!(block = %id, height = block.header.height, missing_parent = %block.header.parent,
            "a block waits for its parent");
        self.lower_origin();
    }

    /// Begins anew if a block that waits turns out to lie below the origin.
    fn lower_origin(&mut self) {
        if let Some(parent) = self.origin_parent
            && let Some(origin) = self.detached.lowest_from(parent)
        {
            self.begin_at = Some(origin);
        }
    }

    async fn add_block(
        &mut self,
        inbox_id: i64,
        block: Block,
        node: Node,
    ) -> Result<(), PipelineError> {
        let change = {
            self.load_states(&block).await?;
            let states = &mut self.cache.states;
            apply_all(&self.registry, &block, &self.config.follow, states)?
        };
        for violation in &change.violations {
            let detail = format!("{} (block {})", violation.detail, block.header.id);
            self.metrics.violated(violation.id, &detail);
        }
        self.cache.advance(block.header.id);
        self.number_principals(&block).await?;
        let rows_digest = rows_digest(&block, &change);
        let parent = self
            .known
            .get(&block.header.parent)
            .map_or(Digest::ZERO, |k| k.digest);
        let digest = chain_digest(parent, block.header.id, rows_digest);
        let id = self.next.next_block_id;
        self.next.next_block_id += 1;
        self.known.insert(block.header.id, Known { id, digest });
        count(&self.metrics, &block);
        self.draft
            .add_rows(block.transactions.len() + block.events.len() + change.versions.len() + 1);
        let outcome = self.tree.insert(node);
        let block_ref = block.header.block_ref();
        self.draft.batch.blocks.push(BlockRows {
            id,
            inbox_id,
            block,
            change,
            rows_digest,
            digest,
        });
        match outcome {
            Outcome::Origin => {
                self.next.origin = Some(block_ref.id);
                let first = self.draft.batch.blocks.last();
                self.origin_parent = first.map(|b| b.block.header.parent);
                self.draft.extend(block_ref, id, self.next.generation);
                self.lower_origin();
            }
            Outcome::Extended => self.draft.extend(block_ref, id, self.next.generation),
            Outcome::Reorged(switch) => self.note_switch(&switch, false),
            Outcome::SideFork | Outcome::Duplicate | Outcome::Detached { .. } => {}
        }
        Ok(())
    }

    fn note_switch(&mut self, switch: &Switch, by_burn: bool) {
        self.next.generation += 1;
        let left_final = left_final(&self.tree, switch, self.config.finality_burn_blocks);
        if left_final {
            let detail = format!("a reorg of {} blocks left a final block", switch.old.len());
            self.metrics.violated("CH-3", &detail);
        }
        let cause = if by_burn { "burn" } else { "stacks" };
        self.metrics.reorgs.with_label_values(&[cause]).inc();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a histogram takes floats; depths are small"
        )]
        self.metrics.reorg_depth.observe(switch.old.len() as f64);
        tracing::warn!(
            cause,
            depth = switch.old.len(),
            joined = switch.new.len(),
            ancestor = switch.ancestor.map(|a| a.id.to_string()),
            ancestor_height = switch.ancestor.map(|a| a.height),
            "the canonical chain switched"
        );
        let known = &self.known;
        let generation = self.next.generation;
        self.draft.switch(
            switch,
            by_burn,
            generation,
            |id| known.get(id).map(|k| k.id),
            left_final,
        );
        // What the cache holds as of its base may lie on the other side of the switch now.
        self.cache = StateCache::default();
    }

    /// Brings the states that the block's projections need into the cache, as of its parent.
    async fn load_states(&mut self, block: &Block) -> Result<(), PipelineError> {
        let parent = block.header.parent;
        if !self.cache.serves(parent) {
            // A cache is begun on committed ground.
            self.flush().await?;
            self.cache = StateCache::begin_at(parent, &self.tree, &self.known);
        }
        let keys = touched(&self.registry, block, &self.config.follow);
        Ok(self.cache.load(&self.pool, keys).await?)
    }

    /// Gives every principal of the block a local number.
    async fn number_principals(&mut self, block: &Block) -> Result<(), PipelineError> {
        let of_transactions = block
            .transactions
            .iter()
            .flat_map(|t| [&t.sender, &t.sponsor, &t.contract]);
        let of_events = block
            .events
            .iter()
            .flat_map(|e| [&e.body.contract, &e.body.sender, &e.body.recipient]);
        let mut unknown: Vec<String> = of_transactions
            .chain(of_events)
            .flatten()
            .filter(|name| !self.principals.contains_key(*name))
            .cloned()
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort_unstable();
        unknown.dedup();
        let stored = load::principals(&self.pool, &unknown).await?;
        for name in unknown {
            let number = match stored.get(&name) {
                Some(number) => *number,
                None => {
                    let number = self.next.next_principal_id;
                    self.next.next_principal_id += 1;
                    self.draft.batch.principals.push((number, name.clone()));
                    number
                }
            };
            self.principals.insert(name, number);
        }
        Ok(())
    }

    /// Commits what has been gathered.
    async fn flush(&mut self) -> Result<(), PipelineError> {
        if self.draft.is_empty() {
            return Ok(());
        }
        self.metrics.set_stage(Stage::Commit);
        let started = Instant::now();
        let draft = std::mem::take(&mut self.draft);
        let (batch, mut to) = draft.close(&self.tree, &self.known, &self.position);
        to.generation = self.next.generation;
        to.origin = self.next.origin;
        to.next_block_id = self.next.next_block_id;
        to.next_principal_id = self.next.next_principal_id;
        let principals = &self.principals;
        commit::commit(&self.pool, &self.position, &to, &batch, &|name| {
            principals.get(name).copied()
        })
        .await?;
        self.next = to.clone();
        self.position = to;
        if self.principals.len() > MAX_PRINCIPALS {
            self.principals.clear();
        }
        self.metrics
            .commit_seconds
            .observe(started.elapsed().as_secs_f64());
        self.metrics.set_stage(Stage::Apply);
        self.show();
        Ok(())
    }

    fn show(&self) {
        if let Some(tip) = self.tree.tip() {
            self.metrics
                .height
                .with_label_values(&["committed"])
                .set(i64::from(tip.height));
        }
        self.metrics
            .burn_height
            .set(i64::from(self.tree.burn_tip_height()));
        self.metrics.detached.set(gauge(self.detached.len()));
    }

    fn prune(&mut self) {
        if self.tree.len() < PRUNE_AT_BLOCKS {
            return;
        }
        if let Some(tip) = self.tree.tip() {
            self.tree
                .prune_below(tip.height.saturating_sub(WINDOW_BLOCKS));
            let tree = &self.tree;
            self.known.retain(|id, _| tree.contains(id));
        }
    }
}

/// A node sends genesis again at each start, without its contents. It says nothing, and a mirror that is
/// attached late must not take it for its origin: nothing that follows would connect to it.
fn is_empty_genesis(block: &Block) -> bool {
    block.header.id == IndexBlockHash::GENESIS && block.listed_transactions == 0
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
