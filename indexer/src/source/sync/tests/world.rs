//! A chain on Bitcoin with forks, sources that see some of it, and a mirror in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::chain::{ForkTree, Node, Outcome};
use crate::model::handover::Facts;
use crate::model::{BlockRef, BurnBlock, BurnBlockHash, ConsensusHash, IndexBlockHash};
use crate::source::http::FetchError;
use crate::source::pull::{Fetched, Pull, Tip};
use crate::source::sync::Shelf;
use crate::store::StoreError;
use crate::store::inbox::{Provenance, Source};
use crate::store::sync::gaps::Gap;
use crate::store::sync::jobs::{Job, JobState};
use crate::store::sync::{Span, Standing};

/// What there is to know, in the order in which it came about.
#[derive(Debug, Clone)]
pub enum Made {
    Burn(BurnBlock),
    Block(Node),
}

#[derive(Debug, Clone, Default)]
pub struct World {
    pub made: Vec<Made>,
}

fn burn_hash(label: usize) -> BurnBlockHash {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(
        &(label as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_be_bytes(),
    );
    BurnBlockHash(bytes)
}

fn consensus_hash(label: usize) -> ConsensusHash {
    let mut bytes = [1; 20];
    bytes[..8].copy_from_slice(&(label as u64).to_be_bytes());
    ConsensusHash(bytes)
}

/// Ids that do not sort like the order of creation.
fn block_id(label: usize) -> IndexBlockHash {
    let mut bytes = [2; 32];
    bytes[..8].copy_from_slice(
        &(label as u64 + 1)
            .wrapping_mul(0xd134_2543_de82_ef95)
            .to_be_bytes(),
    );
    IndexBlockHash(bytes)
}

impl World {
    /// A Bitcoin block and a Stacks block on it.
    pub fn new() -> Self {
        let mut world = Self::default();
        world.grow_burn(0);
        let Made::Burn(burn) = world.made[0].clone() else {
            panic!("a Bitcoin block")
        };
        world.made.push(Made::Block(Node {
            block: BlockRef {
                id: block_id(1),
                height: 0,
            },
            parent: IndexBlockHash::BEFORE_GENESIS,
            burn_block_hash: burn.hash,
            burn_block_height: burn.height,
            consensus_hash: burn.consensus_hash,
            burn_view: None,
        }));
        world
    }

    pub fn burns(&self, upto: usize) -> Vec<&BurnBlock> {
        let made = self.made[..upto].iter();
        made.filter_map(|m| match m {
            Made::Burn(burn) => Some(burn),
            Made::Block(_) => None,
        })
        .collect()
    }

    pub fn blocks(&self, upto: usize) -> Vec<&Node> {
        let made = self.made[..upto].iter();
        made.filter_map(|m| match m {
            Made::Block(node) => Some(node),
            Made::Burn(_) => None,
        })
        .collect()
    }

    /// A Bitcoin block on one of the last.
    pub fn grow_burn(&mut self, back: usize) {
        let burns = self.burns(self.made.len());
        let parent = burns.iter().rev().nth(back.min(3)).or(burns.first());
        let label = self.made.len();
        let burn = BurnBlock {
            hash: burn_hash(label),
            height: parent.map_or(100, |p| p.height + 1),
            parent: parent.map(|p| p.hash),
            consensus_hash: Some(consensus_hash(label)),
        };
        self.made.push(Made::Burn(burn));
    }

    /// A Stacks block on one of the last, in its parent's tenure or in the one of a recent Bitcoin block.
    pub fn grow(&mut self, back: usize, tenure: Option<usize>) {
        let all = self.made.len();
        let blocks = self.blocks(all);
        let parent = *blocks.iter().rev().nth(back).unwrap_or(&blocks[0]);
        let burns = self.burns(all);
        // No tenure is elected below the one that it stands on.
        let elected = tenure
            .map(|t| *burns.iter().rev().nth(t.min(3)).unwrap_or(&burns[0]))
            .filter(|burn| burn.height > parent.burn_block_height);
        let node = Node {
            block: BlockRef {
                id: block_id(all),
                height: parent.block.height + 1,
            },
            parent: parent.block.id,
            burn_block_hash: elected.map_or(parent.burn_block_hash, |b| b.hash),
            burn_block_height: elected.map_or(parent.burn_block_height, |b| b.height),
            consensus_hash: elected.map_or(parent.consensus_hash, |b| b.consensus_hash),
            burn_view: None,
        };
        self.made.push(Made::Block(node));
    }

    /// The canonical Bitcoin chain of what was made first, by height.
    pub fn canonical_burn(&self, upto: usize) -> HashMap<u32, BurnBlock> {
        let burns = self.burns(upto);
        let by_hash: HashMap<_, _> = burns.iter().map(|b| (b.hash, *b)).collect();
        let top = burns.iter().map(|b| b.height).max().unwrap();
        let mut cursor = burns
            .iter()
            .filter(|b| b.height == top)
            .min_by_key(|b| b.hash)
            .copied();
        let mut canonical = HashMap::new();
        while let Some(burn) = cursor {
            canonical.insert(burn.height, burn.clone());
            cursor = burn.parent.and_then(|p| by_hash.get(&p).copied());
        }
        canonical
    }

    /// The canonical chain of what was made first, upwards; empty where Bitcoin leaves no block alive.
    pub fn canonical(&self, upto: usize) -> Vec<Node> {
        let burn: HashSet<_> = self
            .canonical_burn(upto)
            .into_values()
            .map(|b| b.hash)
            .collect();
        let mut live: HashMap<IndexBlockHash, &Node> = HashMap::new();
        for node in self.blocks(upto) {
            let sound = burn.contains(&node.burn_block_hash);
            let is_root = node.block.height == 0;
            if sound && (is_root || live.contains_key(&node.parent)) {
                live.insert(node.block.id, node);
            }
        }
        let best = live.values().max_by_key(|n| {
            let id = std::cmp::Reverse(n.block.id);
            (n.block.height, n.burn_block_height, id)
        });
        let mut chain = Vec::new();
        let mut cursor = best.copied();
        while let Some(node) = cursor {
            chain.push(node.clone());
            cursor = live.get(&node.parent).copied();
        }
        chain.reverse();
        chain
    }
}

pub fn fetched(node: &Node) -> Fetched {
    Fetched {
        block: node.block,
        parent: node.parent,
        body: json!({"id": node.block.id, "burn_block_height": node.burn_block_height})
            .to_string()
            .into_bytes(),
    }
}

pub fn announced(burn: &BurnBlock) -> Vec<u8> {
    json!({
        "burn_block_hash": burn.hash,
        "burn_block_height": burn.height,
        "parent_burn_block_hash": burn.parent,
    })
    .to_string()
    .into_bytes()
}

/// A source that sees what was made first, up to somewhere, and fails now and then.
#[derive(Debug, Clone)]
pub struct Scripted {
    pub world: Arc<Mutex<World>>,
    pub script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
pub struct Script {
    /// So much of the world is seen.
    pub sees: usize,
    /// What is seen after each of the next questions, between them.
    pub views: VecDeque<usize>,
    /// Questions from now that fail; false for those that do not.
    pub fails: VecDeque<bool>,
    /// Questions so far.
    pub asked: usize,
}

impl Scripted {
    pub fn new(world: &Arc<Mutex<World>>) -> Self {
        Self {
            world: Arc::clone(world),
            script: Arc::default(),
        }
    }

    /// Sees everything from now on, and does not fail.
    pub fn heal(&self) {
        let mut script = self.script.lock().unwrap();
        script.views.clear();
        script.fails.clear();
        script.sees = self.world.lock().unwrap().made.len();
    }

    fn asked(&self, what: &str) -> Result<(World, usize), FetchError> {
        let world = self.world.lock().unwrap().clone();
        let mut script = self.script.lock().unwrap();
        script.asked += 1;
        if let Some(next) = script.views.pop_front() {
            script.sees = next;
        }
        if script.fails.pop_front() == Some(true) {
            return Err(if script.asked.is_multiple_of(2) {
                FetchError::Busy {
                    what: what.to_owned(),
                    status: 503,
                    retry_after: None,
                }
            } else {
                FetchError::unusable(what, "half of it is missing")
            });
        }
        let sees = script.sees.clamp(2, world.made.len());
        Ok((world, sees))
    }
}

impl Pull for Scripted {
    fn source(&self) -> Source {
        Source::Node
    }

    fn name(&self) -> &str {
        "scripted"
    }

    fn scope(&self) -> Option<[u8; 32]> {
        None
    }

    async fn tip(&self) -> Result<Tip, FetchError> {
        let (world, sees) = self.asked("tip")?;
        let chain = world.canonical(sees);
        let tip = chain.last().ok_or_else(|| FetchError::NotFound {
            what: "tip".to_owned(),
        })?;
        let burn_height = world.canonical_burn(sees).into_keys().max().unwrap();
        Ok(Tip {
            block: tip.block,
            burn_height,
        })
    }

    async fn range(&self, from: u32, to: u32) -> Result<Vec<Fetched>, FetchError> {
        let (world, sees) = self.asked("range")?;
        let chain = world.canonical(sees);
        let within = chain
            .iter()
            .filter(|n| (from..=to).contains(&n.block.height));
        Ok(within.map(fetched).collect())
    }

    async fn block(&self, id: &IndexBlockHash) -> Result<Fetched, FetchError> {
        let (world, sees) = self.asked("block")?;
        let blocks = world.blocks(sees);
        let found = blocks.iter().find(|n| n.block.id == *id);
        found
            .map(|n| fetched(n))
            .ok_or_else(|| FetchError::NotFound {
                what: id.to_string(),
            })
    }

    async fn burn_blocks(&self, from: u32, to: u32) -> Result<Vec<Vec<u8>>, FetchError> {
        let (world, sees) = self.asked("burn")?;
        let burn = world.canonical_burn(sees);
        Ok((from..=to)
            .filter_map(|h| burn.get(&h))
            .map(announced)
            .collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Received,
    Detached,
    Applied,
    Duplicate,
}

struct Row {
    made: Made,
    state: State,
    /// A node's payload says which block it carries only when it is decoded.
    named: bool,
}

#[derive(Default)]
struct Mirror {
    rows: Vec<Row>,
    bodies: HashSet<Vec<u8>>,
    tree: ForkTree,
    burns: HashSet<BurnBlockHash>,
    jobs: HashMap<i64, Job>,
    notes: HashMap<IndexBlockHash, Gap>,
    running: bool,
}

/// The mirror and its inbox, in memory. Time does not pass: everything is ripe and due.
#[derive(Clone, Default)]
pub struct Memory {
    mirror: Arc<Mutex<Mirror>>,
    world: Arc<Mutex<World>>,
}

impl Memory {
    pub fn new(world: &Arc<Mutex<World>>) -> Self {
        Self {
            world: Arc::clone(world),
            ..Self::default()
        }
    }

    /// What a node delivers; bytes of its own, unlike those of a source.
    pub fn observe(&self, made: &Made) {
        let mut mirror = self.mirror.lock().unwrap();
        let body = match made {
            Made::Burn(burn) => [&b"observed "[..], &burn.hash.0].concat(),
            Made::Block(node) => [&b"observed "[..], &node.block.id.0].concat(),
        };
        if mirror.bodies.insert(body) {
            mirror.rows.push(Row {
                made: made.clone(),
                state: State::Received,
                named: false,
            });
        }
    }

    /// Processes the next payloads as the pipeline does; false when there is none.
    pub fn process(&self, most: usize) -> bool {
        let mut mirror = self.mirror.lock().unwrap();
        let mut any = false;
        for _ in 0..most {
            let Some(place) = mirror.rows.iter().position(|r| r.state == State::Received) else {
                break;
            };
            any = true;
            mirror.take(place);
        }
        any
    }

    pub fn canonical(&self) -> Vec<IndexBlockHash> {
        let mirror = self.mirror.lock().unwrap();
        let mut chain = Vec::new();
        let mut cursor = mirror.tree.tip().and_then(|t| mirror.tree.get(&t.id));
        while let Some(node) = cursor {
            chain.push(node.block.id);
            cursor = mirror.tree.get(&node.parent);
        }
        chain.reverse();
        chain
    }

    /// Blocks whose payload was applied, each as often as it was.
    pub fn applied(&self) -> Vec<IndexBlockHash> {
        let mirror = self.mirror.lock().unwrap();
        let applied = mirror.rows.iter().filter(|r| r.state == State::Applied);
        applied
            .filter_map(|r| match &r.made {
                Made::Block(node) => Some(node.block.id),
                Made::Burn(_) => None,
            })
            .collect()
    }

    pub fn detached(&self) -> usize {
        let mirror = self.mirror.lock().unwrap();
        mirror
            .rows
            .iter()
            .filter(|r| r.state == State::Detached)
            .count()
    }

    pub fn add_job(&self, job: Job) {
        let mut mirror = self.mirror.lock().unwrap();
        mirror.running = true;
        mirror.jobs.insert(job.id, job);
    }

    fn made(&self, block: &IndexBlockHash) -> Made {
        let world = self.world.lock().unwrap();
        let node = world
            .blocks(world.made.len())
            .into_iter()
            .find(|n| n.block.id == *block)
            .cloned();
        Made::Block(node.unwrap())
    }
}

impl Mirror {
    fn take(&mut self, place: usize) {
        self.rows[place].named = true;
        match self.rows[place].made.clone() {
            Made::Burn(burn) => {
                self.rows[place].state = State::Applied;
                self.burns.insert(burn.hash);
                self.tree.insert_burn_block(burn);
            }
            Made::Block(node) => {
                let id = node.block.id;
                let is_root = node.block.height == 0;
                // The harness' mirrors begin at the root.
                let outcome = if self.tree.is_empty() && !is_root {
                    Outcome::Detached {
                        missing_parent: node.parent,
                    }
                } else {
                    self.tree.insert(node)
                };
                self.rows[place].state = match outcome {
                    Outcome::Duplicate => State::Duplicate,
                    Outcome::Detached { .. } => State::Detached,
                    _ => State::Applied,
                };
                if self.rows[place].state == State::Applied {
                    for row in &mut self.rows {
                        let waits = matches!(&row.made, Made::Block(n) if n.parent == id);
                        if waits && row.state == State::Detached {
                            row.state = State::Received;
                        }
                    }
                }
            }
        }
    }

    fn standing(&self, id: &IndexBlockHash) -> Standing {
        if self.tree.contains(id) {
            return Standing::Applied;
        }
        let mut found = Standing::Unknown;
        for row in &self.rows {
            let Made::Block(node) = &row.made else {
                continue;
            };
            if node.block.id == *id && row.named {
                match row.state {
                    State::Received => return Standing::Received,
                    State::Detached => found = Standing::Detached,
                    State::Applied | State::Duplicate => {}
                }
            }
        }
        found
    }
}

impl Shelf for Memory {
    async fn span(&self) -> Result<Option<Span>, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        Ok(mirror
            .tree
            .base()
            .zip(mirror.tree.tip())
            .map(|(origin, tip)| Span { origin, tip }))
    }

    async fn standing(&self, ids: &[IndexBlockHash]) -> Result<Vec<Standing>, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        Ok(ids.iter().map(|id| mirror.standing(id)).collect())
    }

    async fn canonical_at(&self, height: u32) -> Result<Option<IndexBlockHash>, StoreError> {
        Ok(self
            .canonical()
            .get(usize::try_from(height).unwrap())
            .copied())
    }

    async fn trunk_burn_height(&self, id: IndexBlockHash) -> Result<Option<u32>, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        let mut cursor = mirror.tree.get(&id);
        while let Some(node) = cursor
            && !mirror.tree.is_canonical(&node.block.id)
        {
            cursor = mirror.tree.get(&node.parent);
        }
        Ok(cursor.map(|n| n.burn_block_height))
    }

    async fn knows_burn_block(&self, hash: &BurnBlockHash) -> Result<bool, StoreError> {
        Ok(self.mirror.lock().unwrap().burns.contains(hash))
    }

    async fn put_block(&self, _: Provenance, block: &Fetched) -> Result<bool, StoreError> {
        let made = self.made(&block.block.id);
        let mut mirror = self.mirror.lock().unwrap();
        let new = mirror.bodies.insert(block.body.clone());
        if new {
            mirror.rows.push(Row {
                made,
                state: State::Received,
                named: true,
            });
        }
        Ok(new)
    }

    async fn put_burn_block(&self, _: Provenance, body: &[u8]) -> Result<bool, StoreError> {
        let world = self.world.lock().unwrap();
        let burns = world.burns(world.made.len());
        let burn = burns.into_iter().find(|b| announced(b) == body).unwrap();
        let mut mirror = self.mirror.lock().unwrap();
        let new = mirror.bodies.insert(body.to_vec());
        if new {
            mirror.rows.push(Row {
                made: Made::Burn(burn.clone()),
                state: State::Received,
                named: false,
            });
        }
        Ok(new)
    }

    fn wake(&self) {}

    async fn gaps(&self, _: Duration, _: u32) -> Result<Vec<Gap>, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        let mut gaps: Vec<Gap> = Vec::new();
        for row in &mirror.rows {
            let Made::Block(node) = &row.made else {
                continue;
            };
            let waits = row.state == State::Detached
                && mirror.standing(&node.parent) == Standing::Unknown
                && gaps.iter().all(|g| g.missing != node.parent);
            if waits {
                let noted = mirror.notes.get(&node.parent);
                gaps.push(Gap {
                    missing: node.parent,
                    waiting: node.block.id,
                    waiting_height: Some(node.block.height),
                    age_seconds: 0,
                    is_ripe: true,
                    attempts: noted.map_or(0, |g| g.attempts),
                    fetched: noted.map_or(0, |g| g.fetched),
                    given_up: noted.is_some_and(|g| g.given_up),
                    is_due: true,
                    last_error: None,
                });
            }
        }
        Ok(gaps)
    }

    async fn is_behind(&self, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn note_gap(
        &self,
        was: &IndexBlockHash,
        gap: &Gap,
        _: Duration,
    ) -> Result<(), StoreError> {
        let mut mirror = self.mirror.lock().unwrap();
        mirror.notes.remove(was);
        mirror.notes.insert(gap.missing, gap.clone());
        Ok(())
    }

    async fn close_filled(&self) -> Result<(), StoreError> {
        let mut mirror = self.mirror.lock().unwrap();
        let filled: Vec<_> = mirror
            .notes
            .keys()
            .filter(|id| mirror.standing(id).is_stored())
            .copied()
            .collect();
        filled.iter().for_each(|id| {
            mirror.notes.remove(id);
        });
        Ok(())
    }

    async fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        let open = mirror.jobs.values().filter(|j| j.state != JobState::Done);
        Ok(open.cloned().collect())
    }

    async fn is_backfilling(&self) -> Result<bool, StoreError> {
        let mirror = self.mirror.lock().unwrap();
        Ok(mirror.running && mirror.jobs.values().any(|j| j.state == JobState::Running))
    }

    async fn note_job(&self, job: &Job) -> Result<(), StoreError> {
        let mut mirror = self.mirror.lock().unwrap();
        mirror.jobs.insert(job.id, job.clone());
        Ok(())
    }

    async fn facts(&self) -> Result<Facts, StoreError> {
        let jobs = self.jobs().await?;
        let running = jobs.iter().find(|j| j.state == JobState::Running);
        Ok(Facts {
            backfilling_at: running.map(|j| j.next),
            overlapping: jobs.iter().any(|j| j.state == JobState::Overlapping),
            gaps: u32::try_from(self.gaps(Duration::ZERO, 0).await?.len()).unwrap(),
            given_up: 0,
            asked_for: 0,
            has_tip: self.span().await?.is_some(),
        })
    }
}
