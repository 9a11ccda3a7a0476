//! Keeping the books: what the mirror's outbox says since the watermark, booked in one transaction with it.
//!
//! Nothing is remembered between two steps, so that a crash, a second process or a repeated line books nothing twice.
//! A line only says where to look: what counts is whether its block is canonical in the snapshot of the step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use stxworx_indexer::error_chain;
use stxworx_indexer::metrics::Metrics;
use stxworx_indexer::retry::Backoff;
use stxworx_indexer::store::ledger::desk::{Desk, EventRow, FeeRow, OutboxLine};
use stxworx_indexer::store::ledger::{Act, read};
use stxworx_indexer::store::{Pool, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::account::{HOLDING, Holders, SUPPLY};
use super::booker;
use super::money::{self, Money, Says, Told, Transfer};
use super::plan::{Wish, plan};

/// Lines of the outbox in one step; each is a block.
const LINES: i64 = 256;
/// Bookings posted in one step.
const RIPE: i64 = 5_000;
/// How long nothing is looked for when there was nothing.
const PAUSE: Duration = Duration::from_millis(500);

/// How the books are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Bitcoin blocks from which on a block is final.
    pub finality: u32,
    /// Principals whose network fees are booked, besides those of treasuries that are accounts.
    pub fee_payers: Vec<String>,
}

impl From<u32> for Rules {
    fn from(finality: u32) -> Self {
        Self {
            finality,
            fee_payers: Vec::new(),
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Step {
    /// Lines of the outbox.
    pub lines: usize,
    /// New bookings.
    pub booked: usize,
    /// Bookings whose block became final.
    pub posted: usize,
    /// Pending bookings whose block left.
    pub voided: usize,
    /// Posted bookings whose block left all the same.
    pub reversed: usize,
    /// There may be more to do.
    pub more: bool,
}

impl Step {
    fn count(&mut self, acts: &[Act]) {
        for act in acts {
            match act {
                Act::Book(..) => self.booked += 1,
                Act::Post(_) => self.posted += 1,
                Act::Void(_) => self.voided += 1,
                Act::Reverse(_) => self.reversed += 1,
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.lines += other.lines;
        self.booked += other.booked;
        self.posted += other.posted;
        self.voided += other.voided;
        self.reversed += other.reversed;
        self.more = other.more;
    }
}

/// The holders of what a desk's mirror follows.
async fn holders(desk: &mut Desk) -> Result<Holders, StoreError> {
    let known = if desk.follow.contracts.contains("*") {
        let names = HOLDING.map(str::to_owned);
        desk.contracts_named(&names).await?
    } else {
        desk.follow.contracts.iter().cloned().collect()
    };
    let known = known.iter().map(String::as_str);
    Ok(Holders::of(&desk.follow, known, &desk.fee_payers))
}

fn corrupt(detail: String) -> StoreError {
    StoreError::Corrupt {
        table: "event",
        detail,
    }
}

fn amount(text: Option<&str>) -> Result<u128, StoreError> {
    let text = text.unwrap_or("0");
    text.parse()
        .map_err(|_| corrupt(format!("the amount {text} has more than 128 bits")))
}

/// A transfer, a mint or a burn, as one transfer.
fn transfer(row: &EventRow) -> Result<Transfer, StoreError> {
    let name = |who: &Option<String>| who.clone().unwrap_or_else(|| SUPPLY.to_owned());
    let (from, to) = match row.kind {
        3 | 7 => (SUPPLY.to_owned(), name(&row.recipient)),
        4 | 8 => (name(&row.sender), SUPPLY.to_owned()),
        _ => (name(&row.sender), name(&row.recipient)),
    };
    let asset = match row.kind {
        2..=4 => "STX".to_owned(),
        _ => name(&row.contract),
    };
    Ok(Transfer {
        ordinal: row.ordinal,
        asset,
        from,
        to,
        amount: amount(row.amount.as_deref())?,
    })
}

type ByBlock = BTreeMap<i64, BTreeMap<[u8; 32], Money>>;

fn txid(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes
        .try_into()
        .map_err(|_| corrupt(format!("a txid of {} bytes", bytes.len())))
}

/// What each transaction did, by block.
fn gathered(events: &[EventRow], fees: &[FeeRow]) -> Result<ByBlock, StoreError> {
    let mut all = ByBlock::new();
    for row in events {
        let id = txid(&row.txid)?;
        let of_block = all.entry(row.block_id).or_default();
        let money = of_block.entry(id).or_default();
        money.txid = id;
        if row.kind != 1 {
            money.transfers.push(transfer(row)?);
        } else if let (Some(contract), Some(raw)) = (&row.contract, &row.value)
            && let Some(says) = money::says(contract, raw)
        {
            money.told.push(Told {
                ordinal: row.ordinal,
                contract: contract.clone(),
                says,
            });
        }
    }
    for row in fees {
        let id = txid(&row.txid)?;
        let money = all.entry(row.block_id).or_default().entry(id).or_default();
        money.txid = id;
        money.fee = Some((row.payer.clone(), amount(Some(&row.fee))?));
    }
    Ok(all)
}

/// Projects whose parties are to be known.
fn projects(all: &ByBlock) -> BTreeSet<String> {
    let mut projects = BTreeSet::new();
    for money in all.values().flat_map(BTreeMap::values) {
        for told in &money.told {
            if let Says::Settled { project, .. } | Says::Cancelled { project, .. } = &told.says {
                projects.insert(format!("{}/{project}", told.contract));
            }
        }
    }
    projects
}

/// The next lines, with the events of their canonical blocks; fewer lines when these are many.
async fn lines_and_events(
    desk: &mut Desk,
    holders: &[String],
) -> Result<(Vec<OutboxLine>, Vec<EventRow>, bool), StoreError> {
    let mut lines = desk.lines(LINES).await?;
    let mut drained = i64::try_from(lines.len()).unwrap_or(i64::MAX) < LINES;
    loop {
        let blocks = canonical(&lines);
        if let Some(events) = desk.events(&blocks, holders).await? {
            return Ok((lines, events, drained));
        }
        if lines.len() < 2 {
            return Err(corrupt(
                "one block has more events than can be booked at once".to_owned(),
            ));
        }
        lines.truncate(lines.len() / 2);
        drained = false;
    }
}

fn canonical(lines: &[OutboxLine]) -> Vec<i64> {
    let blocks = lines.iter().filter(|l| l.canonical).map(|l| l.block_id);
    blocks.collect::<BTreeSet<_>>().into_iter().collect()
}

/// One step. `sweep` also looks at every posted booking, for blocks that left while nobody said so.
///
/// # Errors
/// When a guard refuses a journal, or the database fails. Nothing is booked then.
pub async fn step(pool: &Pool, rules: &Rules, sweep: bool) -> Result<Step, StoreError> {
    let Some(mut desk) = Desk::open(pool).await? else {
        return Ok(Step::default());
    };
    let mut payers = rules.fee_payers.clone();
    payers.sort();
    payers.dedup();
    let others_pay = payers != desk.fee_payers;
    if others_pay {
        desk.pay_for(&payers).await?;
    }
    let holders = holders(&mut desk).await?;
    let names = holders.all();
    let (lines, events, drained) = lines_and_events(&mut desk, &names).await?;
    let fees = desk.fees(&canonical(&lines), &holders.payers()).await?;
    let mut gathered = gathered(&events, &fees)?;
    let wanted: Vec<String> = projects(&gathered).into_iter().collect();
    let parties = desk.parties(&wanted).await?;
    let parties =
        |contract: &str, project: u128| parties.get(&format!("{contract}/{project}")).cloned();
    let mut seen = BTreeSet::new();
    let mut wishes = Vec::new();
    for line in lines.iter().filter(|l| seen.insert(l.block_id)) {
        let money = gathered.remove(&line.block_id).unwrap_or_default();
        let bookings = money
            .values()
            .flat_map(|money| booker::bookings(money, &holders, &parties));
        wishes.push(Wish {
            stamp: line.stamp,
            bookings: bookings.collect(),
        });
    }
    let blocks = wishes.iter().map(|w| w.stamp.block).collect();
    let keys = wishes.iter().flat_map(|w| &w.bookings);
    let keys = keys.map(|b| b.event_key.clone()).collect();
    let live = desk.live(&blocks, &keys).await?;
    let gone = if drained {
        desk.displaced(sweep).await?
    } else {
        Vec::new()
    };
    let acts = plan(&live, &gone, &wishes);
    desk.append(&acts).await?;
    let mut done = Step {
        lines: lines.len(),
        more: !drained,
        ..Step::default()
    };
    done.count(&acts);
    // Only when every line is booked is it known that no block of these has left.
    if drained {
        let ripe = desk.ripe(rules.finality, RIPE).await?;
        done.more |= i64::try_from(ripe.len()).unwrap_or(i64::MAX) >= RIPE;
        let ripe: Vec<Act> = ripe.into_iter().map(Act::Post).collect();
        desk.append(&ripe).await?;
        done.count(&ripe);
    }
    if others_pay || done.lines + done.booked + done.posted + done.voided + done.reversed > 0 {
        let watermark = lines.last().map_or(desk.watermark, |l| l.id);
        desk.close(watermark).await?;
    }
    Ok(done)
}

/// Steps until nothing is left to do.
///
/// # Errors
/// As of [`step`]. What steps before it booked stays.
pub async fn catch_up(
    pool: &Pool,
    rules: impl Into<Rules>,
    sweep: bool,
) -> Result<Step, StoreError> {
    let rules = rules.into();
    let mut total = Step::default();
    loop {
        total.add(step(pool, &rules, sweep).await?);
        if !total.more {
            return Ok(total);
        }
    }
}

/// Keeps the books while this process leads, until stopped.
pub async fn run(
    pool: Pool,
    rules: Rules,
    mut leading: watch::Receiver<Option<i64>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    // What the mirror lost while nobody kept the books is looked for once in each reign.
    let mut sweep_for = None;
    let mut failing = false;
    while !stop.is_cancelled() {
        let came = tokio::select! {
            came = leading.wait_for(Option::is_some) => came.map(|epoch| *epoch),
            () = stop.cancelled() => return,
        };
        let Ok(epoch) = came else {
            // The writer has ended, and says why; to end before it would take its words away.
            return stop.cancelled().await;
        };
        let sweep = sweep_for != epoch;
        let pause = match step(&pool, &rules, sweep).await {
            Ok(done) => {
                backoff.reset();
                failing = false;
                sweep_for = if done.more { sweep_for } else { epoch };
                note(&metrics, done);
                if let Ok(standing) = read::standing(&pool).await {
                    metrics.ledger.stands(&standing);
                }
                if done.more { Duration::ZERO } else { PAUSE }
            }
            Err(error) => {
                metrics.ledger.failures.inc();
                if !std::mem::replace(&mut failing, true) && error.is_refusal() {
                    metrics.violated("BK-1", &error_chain(&error).to_string());
                }
                let error = error_chain(&error).to_string();
                tracing::warn!(error, "nothing could be booked; it is tried again");
                backoff.next_delay().max(PAUSE)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

fn note(metrics: &Metrics, done: Step) {
    for (act, count) in [
        ("booked", done.booked),
        ("posted", done.posted),
        ("voided", done.voided),
        ("reversed", done.reversed),
    ] {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        metrics.ledger.acts.with_label_values(&[act]).inc_by(count);
    }
}
