//! Any history with forks, in whatever order it is told: what counts is what the canonical chain alone would give.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stxworx_indexer::store::ledger::chain::balances;
use stxworx_indexer::store::ledger::desk::Terms;
use stxworx_indexer::store::ledger::{Act, Booking, Live, Net, Side, Stamp, lines_text};

use super::account::Holders;
use super::booker::bookings;
use super::money::{Money, Says, Told, Transfer};
use super::plan::{Wish, plan};

const ESCROW: &str = "ST1.freelance-logic";
const TREASURY: &str = "ST1.freelance-security";

/// What one transaction does; the number names it, and the same one may be mined on several forks.
#[derive(Debug, Clone)]
struct Deed {
    name: u8,
    project: u8,
    amount: u128,
    payout: u128,
    kind: u8,
    /// Transfers that do not come about, as bits.
    missing: u8,
}

impl Deed {
    fn money(&self) -> Money {
        let mut transfers = Vec::new();
        let mut add = |bit: u8, from: &str, to: &str, amount: u128| {
            if amount > 0 && self.missing & (1 << bit) == 0 {
                transfers.push(Transfer {
                    ordinal: i32::from(bit),
                    asset: "STX".into(),
                    from: from.into(),
                    to: to.into(),
                    amount,
                });
            }
        };
        let project = u128::from(self.project);
        let payout = self.payout.min(self.amount);
        let (fee, rest) = (payout / 20, self.amount - payout);
        let (contract, says) = match self.kind % 4 {
            0 => {
                add(0, "STC", ESCROW, self.amount);
                let says = Says::Opened {
                    project,
                    client: "STC".into(),
                    asset: "STX".into(),
                    total: self.amount,
                };
                (ESCROW, Some(says))
            }
            1 => {
                add(0, ESCROW, "STF", payout - fee);
                add(1, ESCROW, TREASURY, fee);
                add(2, ESCROW, "STC", rest);
                let says = Says::Settled {
                    project,
                    asset: "STX".into(),
                    amount: self.amount,
                    payout: payout - fee,
                    fee,
                    refund: rest,
                    treasury: TREASURY.into(),
                };
                (ESCROW, Some(says))
            }
            2 => {
                add(0, TREASURY, "STX1", self.amount);
                let says = Says::Spent {
                    asset: "STX".into(),
                    amount: self.amount,
                    to: "STX1".into(),
                };
                (TREASURY, Some(says))
            }
            _ => {
                add(0, "STX1", ESCROW, self.amount);
                add(1, TREASURY, "STX2", payout);
                (ESCROW, None)
            }
        };
        Money {
            txid: [self.name; 32],
            transfers,
            told: says
                .map(|says| Told {
                    ordinal: 9,
                    contract: contract.into(),
                    says,
                })
                .into_iter()
                .collect(),
            fee: None,
        }
    }
}

fn holders() -> Holders {
    Holders {
        escrows: [ESCROW.to_owned()].into(),
        treasuries: [TREASURY.to_owned()].into(),
        ..Holders::default()
    }
}

/// A block: its parent among those before it, and its transactions.
#[derive(Debug, Clone)]
struct Block {
    parent: usize,
    deeds: Vec<Deed>,
}

/// A database of journals, as far as the planner sees it.
#[derive(Default)]
struct Books {
    next: i64,
    live: BTreeMap<(String, &'static str), (Live, Booking)>,
    posted: BTreeMap<String, Net>,
    all: BTreeMap<String, Net>,
}

impl Books {
    fn count(&mut self, booking: &Booking, back: bool) {
        assert!(balances(&booking.lines));
        for line in &booking.lines {
            let side = if back {
                line.side.opposite()
            } else {
                line.side
            };
            self.all
                .entry(line.account.clone())
                .or_default()
                .add(side, line.amount);
        }
        let mut trial = Net::default();
        for net in self.all.values() {
            trial.merge(*net);
        }
        assert!(
            trial.is_zero(),
            "the trial balance at journal {}",
            self.next
        );
    }

    fn act(&mut self, act: &Act) {
        self.next += 1;
        match act {
            Act::Book(stamp, booking) => {
                let live = Live {
                    seq: self.next,
                    event_key: booking.event_key.clone(),
                    kind: booking.kind,
                    block: stamp.block,
                    pending: true,
                    lines: lines_text(&booking.lines),
                };
                let key = (booking.event_key.clone(), booking.kind.as_str());
                let before = self.live.insert(key, (live, (**booking).clone()));
                assert!(
                    before.is_none(),
                    "one live booking of {}",
                    booking.event_key
                );
                self.count(booking, false);
            }
            Act::Void(seq) | Act::Reverse(seq) => {
                let gone = self.live.iter().find(|(_, (l, _))| l.seq == *seq);
                let (key, (live, booking)) = gone.map(|(k, v)| (k.clone(), v.clone())).unwrap();
                assert_eq!(live.pending, matches!(act, Act::Void(_)));
                self.live.remove(&key);
                self.count(&booking, true);
            }
            Act::Post(seq) => {
                let live = self.live.values_mut().find(|(l, _)| l.seq == *seq).unwrap();
                assert!(std::mem::replace(&mut live.0.pending, false));
                for line in &live.1.lines {
                    let net = self.posted.entry(line.account.clone()).or_default();
                    net.add(line.side, line.amount);
                }
            }
        }
    }

    /// One step over these blocks, with the canonical chain of this moment.
    fn step(&mut self, blocks: &[Block], touched: &BTreeSet<usize>, canonical: &BTreeSet<usize>) {
        let wishes: Vec<Wish> = touched
            .iter()
            .map(|&number| Wish {
                stamp: stamp(number),
                bookings: if canonical.contains(&number) {
                    booked(&blocks[number])
                } else {
                    Vec::new()
                },
            })
            .collect();
        let keys: BTreeSet<&str> = wishes
            .iter()
            .flat_map(|w| &w.bookings)
            .map(|b| b.event_key.as_str())
            .collect();
        let hashes: BTreeSet<[u8; 32]> = wishes.iter().map(|w| w.stamp.block).collect();
        let all = self.live.values().map(|(l, _)| l);
        let live: Vec<Live> = all
            .filter(|l| hashes.contains(&l.block) || keys.contains(l.event_key.as_str()))
            .cloned()
            .collect();
        for act in plan(&live, &[], &wishes) {
            self.act(&act);
        }
    }

    fn counts(&self) -> Vec<(String, &'static str, [u8; 32], String)> {
        let live = self.live.iter();
        live.map(|((key, kind), (l, _))| (key.clone(), *kind, l.block, l.lines.clone()))
            .collect()
    }
}

fn terms() -> Terms {
    Terms {
        client: "STC".to_owned(),
        freelancer: "STF".to_owned(),
        fee_bps: Some(500),
    }
}

fn stamp(number: usize) -> Stamp {
    let mut block = [0; 32];
    block[0] = u8::try_from(number).unwrap();
    Stamp {
        block,
        height: 1,
        burn_height: 1,
        burn_time: 1,
    }
}

fn booked(block: &Block) -> Vec<Booking> {
    let parties = |_: &str, _: u128| Some(terms());
    let mut seen = BTreeSet::new();
    let deeds = block.deeds.iter().filter(|d| seen.insert(d.name));
    deeds
        .flat_map(|d| bookings(&d.money(), &holders(), &parties))
        .collect()
}

/// A transaction stands once on a fork: later blocks leave out what an ancestor has.
fn without_repeats(mut blocks: Vec<Block>) -> Vec<Block> {
    for number in 0..blocks.len() {
        let above: BTreeSet<u8> = chain(&blocks, number)
            .into_iter()
            .filter(|n| *n != number)
            .flat_map(|n| blocks[n].deeds.iter().map(|d| d.name).collect::<Vec<_>>())
            .collect();
        blocks[number].deeds.retain(|d| !above.contains(&d.name));
    }
    blocks
}

fn chain(blocks: &[Block], tip: usize) -> BTreeSet<usize> {
    let mut chain = BTreeSet::from([tip]);
    let mut at = tip;
    while at > 0 {
        at = blocks[at].parent;
        chain.insert(at);
    }
    chain
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let amount = prop_oneof![Just(u128::MAX), 1u128..1_000, Just(0u128)];
    let deed = (any::<u8>(), 0u8..4, amount, 0u128..1_000, 0u8..4, 0u8..8);
    let deed = deed.prop_map(|(name, project, amount, payout, kind, missing)| Deed {
        name: name % 24,
        project,
        amount,
        payout,
        kind,
        missing: if missing == 0 { 1 } else { missing & 4 },
    });
    proptest::collection::vec(deed, 0..4)
}

fn history() -> impl Strategy<Value = Vec<Block>> {
    proptest::collection::vec((any::<prop::sample::Index>(), deeds()), 2..14).prop_map(|raw| {
        let blocks = raw
            .into_iter()
            .enumerate()
            .map(|(number, (parent, deeds))| Block {
                parent: if number == 0 { 0 } else { parent.index(number) },
                deeds,
            });
        without_repeats(blocks.collect())
    })
}

proptest! {
    #[test]
    fn books_are_those_of_the_canonical_chain_alone(
        blocks in history(),
        tips in proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>(), any::<u64>()), 1..8),
    ) {
        let mut books = Books::default();
        let mut before = BTreeSet::new();
        let mut waiting = BTreeSet::new();
        let mut canonical = BTreeSet::new();
        for (number, (tip, book, post)) in tips.iter().enumerate() {
            canonical = chain(&blocks, tip.index(blocks.len()));
            // The outbox names what changed; several changes may wait, or be told twice.
            waiting.extend(canonical.symmetric_difference(&before).copied());
            before.clone_from(&canonical);
            if *book || number + 1 == tips.len() {
                books.step(&blocks, &waiting, &canonical);
                if post % 3 == 0 {
                    books.step(&blocks, &waiting, &canonical);
                }
                waiting.clear();
                let pending: Vec<i64> = books.live.values().map(|(l, _)| l).filter(|l| l.pending)
                    .map(|l| l.seq).enumerate().filter(|(n, _)| post >> (n % 64) & 1 == 1).map(|(_, s)| s).collect();
                for seq in pending {
                    books.act(&Act::Post(seq));
                }
            }
        }
        let mut alone = Books::default();
        alone.step(&blocks, &canonical, &canonical);
        prop_assert_eq!(books.counts(), alone.counts());
        // What a holder has is what came less what went, whatever the events say.
        let mut moved: BTreeMap<&str, Net> = BTreeMap::new();
        for number in &canonical {
            let mut seen = BTreeSet::new();
            for deed in blocks[*number].deeds.iter().filter(|d| seen.insert(d.name)) {
                for t in deed.money().transfers {
                    for holder in [ESCROW, TREASURY] {
                        if t.to == holder { moved.entry(holder).or_default().add(Side::Debit, t.amount); }
                        if t.from == holder { moved.entry(holder).or_default().add(Side::Credit, t.amount); }
                    }
                }
            }
        }
        for holder in [ESCROW, TREASURY] {
            let mut held = Net::default();
            for (_, booking) in books.live.values() {
                for line in &booking.lines {
                    if !line.account.starts_with("external:") && line.account.split(':').nth(1) == Some(holder) {
                        held.add(line.side, line.amount);
                    }
                }
            }
            prop_assert_eq!(held, moved.get(holder).copied().unwrap_or_default(), "{}", holder);
        }
    }
}
