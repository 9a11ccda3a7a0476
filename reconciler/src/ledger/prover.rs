//! The books against a node, at every block that moved money.
//!
//! What is to be proved is read from the books each time and not kept in memory: journals behind the last proof name
//! their blocks. Where more blocks wait than [`MOST`], the oldest are left to the next ones, whose balances are over
//! everything before them. A node that is away stops nothing else, and nothing is skipped meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stxworx_indexer::audit::{NodeError, NodeReader};
use stxworx_indexer::error_chain;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::model::IndexBlockHash;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::ledger::proof::{
    self as store, Agenda, Also, Due, Pair, Place, Proved,
};
use stxworx_indexer::store::ledger::read;
use stxworx_indexer::store::reconcile::breaks;
use stxworx_indexer::store::{Pool, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::account::Holders;
use super::{alarm, proof};
use crate::anchor::Anchor;
use crate::engine::EngineError;

/// Blocks that are proved in one round.
pub const MOST: usize = 32;
/// Rounds in which a node may not know a block; then nobody can tell what was there.
const PATIENCE: u32 = 20;
/// How long nothing is looked for when there was nothing.
const PAUSE: Duration = Duration::from_millis(500);
/// How often what differs is looked at again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often everything is.
const SWEEP: Duration = Duration::from_secs(600);

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProverError {
    /// The books.
    #[error("what is to be proved cannot be read, or a proof cannot be kept")]
    Store(#[from] StoreError),
    /// The node.
    #[error("the node of node.rpc_url cannot be asked for balances; the proof is made when it can")]
    Node(#[from] NodeError),
    /// The breaks.
    #[error("what differs cannot be written down as a break")]
    Breaks(#[from] EngineError),
}

/// What a round came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Round {
    /// Every proof, in the order of blocks.
    pub proved: Vec<Proved>,
    /// Height of the newest block that was proved.
    pub height: Option<i32>,
    /// Blocks that were left to later ones.
    pub left_to_later: usize,
}

/// Proves the books against one node.
#[derive(Debug)]
pub struct Prover {
    pool: Pool,
    node: NodeReader,
    finality: u32,
    /// What pairs had before the mirror's first block ended; that block with it.
    openings: HashMap<(Pair, [u8; 32]), String>,
    /// Rounds in which the node did not know this block.
    unknown: Option<([u8; 32], u32)>,
}

impl Prover {
    /// Against this node.
    pub fn new(pool: Pool, node: NodeReader, finality: u32) -> Self {
        Self {
            pool,
            node,
            finality,
            openings: HashMap::new(),
            unknown: None,
        }
    }

    /// Proves what moved since the last round; with `sweep` everything, at the tip.
    ///
    /// # Errors
    /// When books or node cannot be asked. What differs is no error but a break.
    pub async fn round(&mut self, sweep: bool, again: bool) -> Result<Round, ProverError> {
        let mut holders = proof::holders(&self.pool).await?;
        for who in proof::seen_in_part(&self.pool).await? {
            holders.minters.remove(&who);
        }
        let [differ, suspect] = match sweep || again {
            true => alarm::live(&self.pool).await?,
            false => [Vec::new(), Vec::new()],
        };
        let also = if sweep {
            Also::Everything
        } else {
            let held = differ.into_iter().filter(|(who, _)| holders.holds(who));
            Also::Pairs(held.collect())
        };
        let names = holders.all();
        let found = store::agenda(&self.pool, &names, self.finality, &also, MOST).await?;
        let Some(agenda) = found else {
            return Ok(Round::default());
        };
        let mut round = Round {
            left_to_later: agenda.left_to_later,
            ..Round::default()
        };
        for due in &agenda.due {
            let proved = self.prove(due, &agenda).await?;
            store::keep(&self.pool, &due.at, agenda.head, &proved).await?;
            let looks = proved.iter().filter_map(|p| alarm::balance(&holders, p));
            let now = self.anchor(&due.at, &agenda).await?;
            alarm::note(&self.pool, now, looks.collect()).await?;
            round.height = Some(due.at.height);
            round.proved.extend(proved);
        }
        self.suspense(&holders, suspect, &agenda).await?;
        store::advance(&self.pool, agenda.head).await?;
        Ok(round)
    }

    /// What stands in suspense is a break, and what stood there and does not any more is none.
    async fn suspense(
        &self,
        holders: &Holders,
        suspect: Vec<Pair>,
        agenda: &Agenda,
    ) -> Result<(), ProverError> {
        let mut looks = Vec::new();
        let mut there = BTreeSet::new();
        for balance in read::balances(&self.pool, "suspense:", None).await? {
            let who = balance.account.trim_start_matches("suspense:").to_owned();
            let Some(sum) = proof::sum([&balance.posted, &balance.pending]) else {
                continue;
            };
            let pair = (who, balance.asset);
            looks.push(alarm::suspense(holders, &pair, &sum));
            there.insert(pair);
        }
        let gone = suspect.into_iter().filter(|pair| !there.contains(pair));
        looks.extend(gone.map(|pair| alarm::suspense(holders, &pair, "0")));
        if let Some(due) = agenda.due.last() {
            let now = self.anchor(&due.at, agenda).await?;
            alarm::note(&self.pool, now, looks).await?;
        }
        Ok(())
    }

    async fn anchor(&self, at: &Place, agenda: &Agenda) -> Result<Anchor, ProverError> {
        let number = |height: i32| u32::try_from(height).unwrap_or(0);
        let now_s = breaks::now_s(&self.pool).await?;
        Ok(Anchor {
            block: IndexBlockHash(at.block),
            height: number(at.height),
            burn_height: number(agenda.burn_height),
            final_height: agenda.final_height.map(number),
            platform_time_s: u64::try_from(now_s).unwrap_or(0),
        })
    }

    async fn prove(&mut self, due: &Due, agenda: &Agenda) -> Result<Vec<Proved>, ProverError> {
        let block = IndexBlockHash(due.at.block);
        let mut proved = Vec::with_capacity(due.booked.len());
        for (pair, booked) in &due.booked {
            let told = match self.ask(pair, &block, agenda).await {
                Err(NodeError::UnknownTip { tip }) if self.waited_for(&tip) => None,
                told => told?,
            };
            let (node, opening) = told.map_or((None, "0".to_owned()), |(n, o)| (Some(n), o));
            let made = proof::sum([booked, &opening]);
            proved.push(Proved {
                agrees: node.is_some_and(|n| Some(n.to_string()) == made),
                pair: pair.clone(),
                booked: booked.clone(),
                opening,
                node,
            });
        }
        Ok(proved)
    }

    /// Balance at the block, and opening; none where the token does not tell.
    async fn ask(
        &mut self,
        pair: &Pair,
        block: &IndexBlockHash,
        agenda: &Agenda,
    ) -> Result<Option<(u128, String)>, NodeError> {
        let Some(node) = proof::balance(&self.node, &pair.0, &pair.1, block).await? else {
            return Ok(None);
        };
        let place = (pair.clone(), agenda.origin.block);
        if let Some(opening) = self.openings.get(&place) {
            return Ok(Some((node, opening.clone())));
        }
        let before = agenda.before.get(pair).map_or("0", String::as_str);
        let opening = proof::opening(&self.node, pair, &agenda.origin, before).await?;
        if let Some(opening) = &opening {
            self.openings.insert(place, opening.clone());
        }
        Ok(opening.map(|opening| (node, opening)))
    }

    /// Did the node not know this block for too long? A node that is behind will know it; one that keeps no old state,
    /// or is on another fork, will not.
    fn waited_for(&mut self, tip: &IndexBlockHash) -> bool {
        let tries = match self.unknown {
            Some((block, tries)) if block == tip.0 => tries + 1,
            _ => 1,
        };
        self.unknown = Some((tip.0, tries));
        tries > PATIENCE
    }
}

/// Proves while this process leads, until stopped.
pub async fn run(
    mut prover: Prover,
    mut leading: watch::Receiver<Option<i64>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    let (mut swept, mut again): (Option<Instant>, Option<Instant>) = (None, None);
    while !stop.is_cancelled() {
        let came = tokio::select! {
            came = leading.wait_for(Option::is_some) => came.is_ok(),
            () = stop.cancelled() => return,
        };
        if !came {
            // The writer has ended, and says why; to end before it would take its words away.
            return stop.cancelled().await;
        }
        let sweep = swept.is_none_or(|at| at.elapsed() > SWEEP);
        let looks_again = again.is_none_or(|at| at.elapsed() > AGAIN);
        let pause = match prover.round(sweep, looks_again).await {
            Ok(round) => {
                backoff.reset();
                if sweep && round.height.is_some() {
                    swept = Some(Instant::now());
                }
                if looks_again {
                    again = Some(Instant::now());
                }
                tell(&prover.pool, &metrics, &round).await;
                PAUSE
            }
            Err(error) => {
                metrics.ledger.proof_failures.inc();
                let error = error_chain(&error).to_string();
                tracing::warn!(error, "the books could not be proved; it is tried again");
                backoff.next_delay().max(PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn tell(pool: &Pool, metrics: &Metrics, round: &Round) {
    let Some(height) = round.height else { return };
    let ledger = &metrics.ledger;
    ledger.proved_height.set(i64::from(height));
    let left = u64::try_from(round.left_to_later).unwrap_or(u64::MAX);
    ledger.proofs_left_to_later.inc_by(left);
    for proved in &round.proved {
        ledger.proofs.with_label_values(&[proved.verdict()]).inc();
        if proved.verdict() == "differs" {
            let ((holder, asset), booked) = (&proved.pair, &proved.booked);
            let (opening, node) = (&proved.opening, proved.node.unwrap_or(0));
            tracing::error!(
                holder, asset, booked, opening, %node, height,
                "the node has another balance than the books"
            );
        }
    }
    if let Ok(differing) = store::differing(pool).await {
        ledger.differing.set(differing);
    }
}
