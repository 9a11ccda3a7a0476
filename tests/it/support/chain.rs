//! Chains made by hand, put straight into the inbox, with the pipeline alone in this process.

use std::sync::Arc;

use sqlx::PgPool;
use stxworx::recording::Entry;
use stxworx::workload::{
    Block, BlockBuilder, BurnBlock, ChainBuilder, Event, Network, Tx, event, uint,
};
use stxworx_clarity::codec::transaction::{Payload, TenureCause, Transaction};
use stxworx_indexer::metrics::{Metrics, Stage};
use stxworx_indexer::model::{FollowSet, Mirror};
use stxworx_indexer::pipeline::{self, Candidate, PipelineConfig, PipelineError};
use stxworx_indexer::store::inbox::{self, Endpoint, Provenance, Source};
use stxworx_indexer::store::{self, Access};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::db::TestDb;
use super::eventually;

/// Everything, with the workload's contracts projected.
pub fn follow() -> FollowSet {
    let contracts = Network::Testnet.followed_contracts().map(|c| c.to_string());
    let principals = [Network::Testnet.account("alice").to_string()];
    FollowSet {
        mirror: Mirror::All,
        contracts: contracts.into(),
        principals: principals.into(),
    }
}

/// Stores a payload as the observer does.
pub async fn put(pool: &PgPool, entry: &Entry) {
    let endpoint = Endpoint::ALL
        .into_iter()
        .find(|e| entry.path.trim_start_matches('/') == e.path());
    let from = Provenance::whole(Source::Observer);
    inbox::put(pool, endpoint.unwrap(), from, &entry.body)
        .await
        .unwrap();
}

/// Stores payloads, one after the other.
pub async fn put_all<'a>(pool: &PgPool, entries: impl IntoIterator<Item = &'a Entry>) {
    for entry in entries {
        put(pool, entry).await;
    }
}

/// The pipeline as a task, with connections of its own, as a process has them.
pub struct Engine {
    pub metrics: Arc<Metrics>,
    pub wake: Arc<Notify>,
    pool: PgPool,
    cancel: CancellationToken,
    task: JoinHandle<Result<(), PipelineError>>,
}

impl Engine {
    pub fn start(db: &TestDb) -> Self {
        Self::start_with(db, follow())
    }

    pub fn start_with(db: &TestDb, follow: FollowSet) -> Self {
        Self::start_final(db, follow, 6)
    }

    /// A block counts as final after so many Bitcoin blocks.
    pub fn start_final(db: &TestDb, follow: FollowSet, finality_burn_blocks: u32) -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let wake = Arc::new(Notify::new());
        let cancel = CancellationToken::new();
        let config = PipelineConfig {
            network: "devnet".into(),
            follow,
            finality_burn_blocks,
        };
        let pool = store::pool(&db.url, Access::Write, 4).unwrap();
        // An engine that was killed lets go of nothing: the next one must not wait for long.
        let run = pipeline::run_as(
            Candidate::new(std::time::Duration::from_millis(150)),
            pool.clone(),
            config,
            Arc::clone(&metrics),
            Arc::clone(&wake),
            cancel.clone(),
        );
        Self {
            metrics,
            wake,
            pool,
            cancel,
            task: tokio::spawn(run),
        }
    }

    /// Stores payloads and waits until they are processed.
    pub async fn feed<'a>(&self, db: &TestDb, entries: impl IntoIterator<Item = &'a Entry>) {
        put_all(&db.pool, entries).await;
        self.wake.notify_one();
        self.quiet(db).await;
    }

    /// Waits until nothing is left to do. The writer may take processed payloads up again (to begin
    /// lower), so an empty backlog counts only if the writer rests after it was seen.
    pub async fn quiet(&self, db: &TestDb) {
        eventually("a pipeline at rest", || async {
            assert!(!self.task.is_finished(), "the pipeline ended");
            let loaded = self.metrics.writer_epoch.get() > 0;
            let waiting = db
                .number("select count(*) from inbox where state = 0")
                .await;
            let (stage, _) = self.metrics.stage_now();
            if loaded && waiting == 0 && stage == Stage::Idle {
                Ok(())
            } else {
                self.wake.notify_one();
                Err(format!("{waiting} payloads are waiting, stage {stage:?}"))
            }
        })
        .await;
    }

    /// Seconds spent in commits so far.
    pub fn commit_seconds(&self) -> f64 {
        self.metrics.commit_seconds.get_sample_sum()
    }

    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap().unwrap();
        self.pool.close().await;
    }

    /// Ends it wherever it is; its connections close in the background, while the next one starts. Its
    /// own failure, if it came first, is a failure of the test.
    pub async fn crash(self) {
        self.task.abort();
        if let Ok(ended) = self.task.await {
            ended.unwrap();
        }
        tokio::spawn(async move { self.pool.close().await });
    }
}

/// Puts payloads into a database and mirrors them.
pub async fn mirror_of<'a>(db: &TestDb, entries: impl IntoIterator<Item = &'a Entry>) {
    put_all(&db.pool, entries).await;
    let engine = Engine::start(db);
    engine.quiet(db).await;
    engine.stop().await;
}

pub fn entries(blocks: &[Block]) -> Vec<Entry> {
    blocks.iter().map(Block::entry).collect()
}

/// A call of a followed contract that prints and moves money: every projection takes part.
pub fn busy_tx(chain: &ChainBuilder, amount: u128) -> Tx {
    let [data, logic, ..] = chain.network().followed_contracts();
    let (alice, bob) = (chain.account("alice"), chain.account("bob"));
    chain
        .call(&alice, &logic, "pay", &[uint(amount)])
        .print(&logic, event("paid", [("amount", uint(amount))]))
        .event(Event::stx_transfer(&logic, bob, amount + 1))
        .print(&data, event("noted", [("amount", uint(amount))]))
}

/// A block with such calls.
pub fn busy<'a>(chain: &'a ChainBuilder, parent: &Block, calls: usize) -> BlockBuilder<'a> {
    let first = u128::from(parent.height) * 10;
    let txs = (0u32..)
        .take(calls)
        .map(|n| busy_tx(chain, first + u128::from(n)));
    chain.block(parent).txs(txs)
}

/// Blocks with such calls, each on the one before, the first in this tenure.
pub fn busy_branch(
    chain: &ChainBuilder,
    parent: &Block,
    tenure: &BurnBlock,
    count: usize,
) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    while blocks.len() < count {
        let block = match blocks.last() {
            None => busy(chain, parent, 2).tenure(tenure),
            Some(last) => busy(chain, last, 2),
        };
        blocks.push(block.build());
    }
    blocks
}

/// The transaction by which a tenure goes on after it has seen a later sortition.
pub fn tenure_extend(chain: &ChainBuilder, of: &Block, view: &BurnBlock) -> Tx {
    let sample = chain.block(of).tenure(&of.tenure).build();
    let body: serde_json::Value = serde_json::from_slice(&sample.entry().body).unwrap();
    let raw = body["transactions"][0]["raw_tx"]
        .as_str()
        .unwrap()
        .trim_start_matches("0x");
    let mut transaction = Transaction::decode(&hex::decode(raw).unwrap()).unwrap();
    let Payload::TenureChange(change) = &mut transaction.payload else {
        panic!("no tenure change")
    };
    change.cause = TenureCause::Extended;
    change.burn_view_consensus_hash = view.consensus_hash;
    Tx::from_raw(transaction.encode())
}

/// Follows the outbox from the beginning: what a subscriber believes at the end, upwards. Panics where
/// a block is applied on another than its parent, or retracted that is not the last (PU-2).
pub async fn replay_outbox(db: &TestDb) -> Vec<String> {
    let lines = db
        .text(
            "select string_agg(concat_ws(' ', o.kind, encode(b.index_block_hash, 'hex'), encode(b.parent, 'hex')),
                 E'\\n' order by o.id) from outbox o left join block b on b.id = o.block_id",
        )
        .await;
    let mut chain: Vec<String> = Vec::new();
    for line in lines.unwrap_or_default().lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [kind, id, parent] = words[..] else {
            panic!("an outbox line without a block: {line}")
        };
        if kind == "applied" {
            assert!(
                chain.last().is_none_or(|top| top == parent),
                "applied out of order: {line}"
            );
            chain.push(id.to_owned());
        } else {
            assert_eq!(chain.pop().as_deref(), Some(id), "retracted out of order");
        }
    }
    chain
}

/// The canonical chain, upwards.
pub async fn canonical_ids(db: &TestDb) -> Vec<String> {
    let ids = db
        .text(
            "select string_agg(encode(b.index_block_hash, 'hex'), E'\\n' order by c.height)
             from canonical c join block b on b.id = c.block_id",
        )
        .await;
    ids.unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The outbox leads to the canonical chain.
pub async fn assert_outbox_leads_here(db: &TestDb) {
    assert_eq!(
        replay_outbox(db).await,
        canonical_ids(db).await,
        "the outbox leads elsewhere"
    );
}

/// Reorgs in order, as `cause depth left_final`.
pub async fn reorgs(db: &TestDb) -> Vec<String> {
    let rows = db
        .text("select string_agg(concat_ws(' ', cause, depth, left_final), E'\\n' order by generation) from reorg")
        .await;
    rows.unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Payloads by what became of them; the codes are those of `inbox.state`.
pub async fn in_state(db: &TestDb, state: i16) -> i64 {
    db.number(&format!("select count(*) from inbox where state = {state}"))
        .await
}

/// Makes the commits of these numbers fail as if the connection broke, once each. A writer that then
/// loads its position anew is in the place of one that was killed before that commit.
pub async fn break_commits(db: &TestDb, numbers: &[u64]) {
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    db.sql(format!(
        "create sequence commits;
         create function break_commit() returns trigger language plpgsql as $$
         begin
             if nextval('commits') = any (array[{}]::bigint[]) then
                 raise exception 'the connection broke' using errcode = '08006';
             end if;
             return null;
         end $$;
         create trigger break_commit before update of generation on mirror
             for each statement execute function break_commit();",
        numbers.join(",")
    ))
    .await;
}

/// Commits attempted since [`break_commits`].
pub async fn commits(db: &TestDb) -> u64 {
    u64::try_from(db.number("select last_value from commits").await).unwrap()
}
