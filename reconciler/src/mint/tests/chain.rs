//! A chain in memory: forks, the badge contract's rules, and what became of each transaction of the minter's key.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};
use stxworx_indexer::model::{IndexBlockHash, TxId};

use crate::mint::types::{Fee, Held, Inclusion, Kind, Meaning, OwnTx, Person, Tip, Verdict};

/// Depth in Bitcoin blocks from which on a block is final here.
pub const FINAL: u32 = 3;
pub const CONTRACT: &str = "ST0.freelance-badges";
pub const TREASURY: &str = "ST0.freelance-security";
pub const KEY: &str = "ST1MINTER";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    Mint {
        user: String,
        kind: u64,
    },
    Noop,
    /// A use of the key that is not ours; the mirror sees it, or does not.
    Other {
        mirrored: bool,
    },
}

/// A signed transaction of the minter's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tx {
    pub nonce: u64,
    pub fee: Fee,
    pub does: Does,
    /// Makes two signatures of the same thing two transactions.
    pub salt: u64,
}

impl Tx {
    pub fn bytes(&self) -> Vec<u8> {
        let does = match &self.does {
            Does::Mint { user, kind } => format!("mint {user} {kind}"),
            Does::Noop => "noop".to_owned(),
            Does::Other { mirrored } => format!("other {mirrored}"),
        };
        format!("{} {} {} {does}", self.nonce, self.fee, self.salt).into_bytes()
    }

    pub fn txid(&self) -> TxId {
        TxId(Sha256::digest(self.bytes()).into())
    }

    pub fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let words: Vec<&str> = text.split(' ').collect();
        let does = match words[3] {
            "mint" => Does::Mint {
                user: words[4].to_owned(),
                kind: words[5].parse().unwrap(),
            },
            "noop" => Does::Noop,
            _ => Does::Other {
                mirrored: words[4] == "true",
            },
        };
        Self {
            nonce: words[0].parse().unwrap(),
            fee: words[1].parse().unwrap(),
            does,
            salt: words[2].parse().unwrap(),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Deeds {
    pub completed: u64,
    pub rating_sum: u64,
    pub rating_count: u64,
    pub x_expires: Option<u64>,
    pub changed: u32,
}

#[derive(Debug, Clone)]
pub struct BadgeRow {
    pub id: u64,
    pub minted: TxId,
    pub height: u32,
    pub gone: bool,
}

/// What the contracts hold after a block.
#[derive(Debug, Clone)]
pub struct State {
    pub nonce: u64,
    pub balance: u128,
    pub minter: bool,
    pub last_id: u64,
    pub kinds: BTreeMap<u64, Kind>,
    pub deeds: BTreeMap<String, Deeds>,
    pub badges: BTreeMap<(String, u64), BadgeRow>,
    /// Badges that came into being, by whomever: T14 counts these.
    pub mints: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
pub struct Mined {
    pub tx: Tx,
    pub txid: TxId,
    pub verdict: Verdict,
}

#[derive(Debug, Clone)]
pub struct Block {
    pub id: IndexBlockHash,
    pub parent: Option<usize>,
    pub height: u32,
    pub burn_height: u32,
    pub mined: Vec<Mined>,
    pub state: State,
}

/// How the next executions of our key's calls go wrong.
#[derive(Debug, Clone, Default)]
pub struct Whims {
    /// The next mint is skipped as problematic.
    pub skip: u32,
    /// The next mint is stopped by post-conditions.
    pub post_condition: u32,
    /// The next mint fails with this code.
    pub abort: Option<u64>,
    /// The next success shows no badge.
    pub odd: u32,
}

#[derive(Debug)]
pub struct Chain {
    pub blocks: Vec<Block>,
    pub tip: usize,
    /// Without its own guard against a second badge: whatever keeps mints single is then on our side.
    pub careless: bool,
    pub whims: Whims,
}

pub fn kind(kind: u64, projects: u64, rating: u64, needs_x: bool) -> Kind {
    Kind {
        kind,
        name: format!("kind{kind}"),
        projects,
        rating,
        needs_x,
        changed_height: 0,
    }
}

impl Chain {
    pub fn new(careless: bool) -> Self {
        let kinds = [
            kind(1, 10, 400, false),
            kind(2, 25, 450, true),
            kind(5, 0, 0, true),
        ];
        let state = State {
            nonce: 0,
            balance: 100_000_000,
            minter: true,
            last_id: 0,
            kinds: kinds.into_iter().map(|k| (k.kind, k)).collect(),
            deeds: BTreeMap::new(),
            badges: BTreeMap::new(),
            mints: Vec::new(),
        };
        let genesis = Block {
            id: IndexBlockHash([1; 32]),
            parent: None,
            height: 0,
            burn_height: 100,
            mined: Vec::new(),
            state,
        };
        Self {
            blocks: vec![genesis],
            tip: 0,
            careless,
            whims: Whims::default(),
        }
    }

    pub fn state(&self) -> &State {
        &self.blocks[self.tip].state
    }

    /// Changes what users did, or the settings, within the newest block.
    pub fn change(&mut self, change: impl FnOnce(&mut State, u32)) {
        let tip = self.tip;
        let height = self.blocks[tip].height;
        change(&mut self.blocks[tip].state, height);
    }

    pub fn deserve(&mut self, user: &str, completed: u64, stars: u64, x_expires: Option<u64>) {
        self.change(|state, height| {
            state.deeds.insert(
                user.to_owned(),
                Deeds {
                    completed,
                    rating_sum: stars * 10,
                    rating_count: 10,
                    x_expires,
                    changed: height,
                },
            );
        });
    }

    /// Builds a block; what it tries of our key is executed in order, while the nonce fits.
    pub fn build(&mut self, parent: usize, burn: u32, txs: Vec<Tx>) -> usize {
        let (mut state, height, burn_height) = {
            let of = &self.blocks[parent];
            (of.state.clone(), of.height + 1, of.burn_height + burn)
        };
        let mut mined = Vec::new();
        for tx in txs {
            if tx.nonce != state.nonce || state.balance < u128::from(tx.fee) {
                continue;
            }
            state.nonce += 1;
            state.balance -= u128::from(tx.fee);
            let txid = tx.txid();
            let verdict = self.execute(&mut state, &tx, txid, height);
            mined.push(Mined { tx, txid, verdict });
        }
        let number = self.blocks.len();
        let mut id = [0; 32];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        id[31] = 7;
        self.blocks.push(Block {
            id: IndexBlockHash(id),
            parent: Some(parent),
            height,
            burn_height,
            mined,
            state,
        });
        number
    }

    fn execute(&mut self, state: &mut State, tx: &Tx, txid: TxId, height: u32) -> Verdict {
        let Does::Mint { user, kind } = &tx.does else {
            return Verdict::Success { badge: None };
        };
        if self.whims.skip > 0 {
            self.whims.skip -= 1;
            return Verdict::Skipped;
        }
        if self.whims.post_condition > 0 {
            self.whims.post_condition -= 1;
            return Verdict::PostCondition;
        }
        if let Some(code) = self.whims.abort.take() {
            return Verdict::Aborted { code: Some(code) };
        }
        let aborted = |code| Verdict::Aborted { code: Some(code) };
        if !state.minter {
            return aborted(1301);
        }
        if !state.kinds.contains_key(kind) {
            return aborted(1302);
        }
        let row = state.badges.get(&(user.clone(), *kind));
        if row.is_some_and(|b| b.gone) {
            return aborted(1306);
        }
        if !self.earned(state, user, *kind, self.burn_of(state)) {
            return aborted(1304);
        }
        if row.is_some() && !self.careless {
            return aborted(1305);
        }
        let id = give(state, user, *kind, txid, height);
        if self.whims.odd > 0 {
            self.whims.odd -= 1;
            return Verdict::Success { badge: None };
        }
        Verdict::Success { badge: Some(id) }
    }

    /// X accounts never end while a block is being made here; what has ended is taken away by [`Chain::change`].
    fn burn_of(&self, _: &State) -> u32 {
        self.blocks[self.tip].burn_height
    }

    pub fn earned(&self, state: &State, user: &str, kind: u64, burn: u32) -> bool {
        let (Some(deeds), Some(kind)) = (state.deeds.get(user), state.kinds.get(&kind)) else {
            return false;
        };
        deeds.completed >= kind.projects
            && (kind.rating == 0
                || (deeds.rating_count > 0
                    && deeds.rating_sum * 100 >= kind.rating * deeds.rating_count))
            && (!kind.needs_x || deeds.x_expires.is_some_and(|x| x >= u64::from(burn)))
    }

    /// The owner takes the badge, or somebody mints it by hand with another key.
    pub fn claim(&mut self, user: &str, kind: u64) {
        self.change(|state, height| {
            if !state.badges.contains_key(&(user.to_owned(), kind)) {
                give(state, user, kind, TxId([9; 32]), height);
            }
        });
    }

    pub fn revoke(&mut self, user: &str, kind: u64) {
        self.change(|state, _| {
            if let Some(row) = state.badges.get_mut(&(user.to_owned(), kind)) {
                row.gone = true;
            }
        });
    }

    /// The block and its ancestors, newest first.
    pub fn line(&self, from: usize) -> impl Iterator<Item = &Block> {
        let mut at = Some(from);
        std::iter::from_fn(move || {
            let block = &self.blocks[at?];
            at = block.parent;
            Some(block)
        })
    }

    pub fn ancestor(&self, from: usize, back: usize) -> usize {
        let mut at = from;
        for _ in 0..back {
            at = self.blocks[at].parent.unwrap_or(at);
        }
        at
    }

    /// The newest block at or below this burn height.
    pub fn at_burn(&self, from: usize, burn_height: u32) -> Option<usize> {
        let mut at = Some(from);
        while let Some(number) = at {
            if self.blocks[number].burn_height <= burn_height {
                return Some(number);
            }
            at = self.blocks[number].parent;
        }
        None
    }

    pub fn tip_of(&self, from: usize) -> Tip {
        let block = &self.blocks[from];
        let last = block
            .burn_height
            .checked_sub(FINAL)
            .and_then(|b| self.at_burn(from, b));
        Tip {
            block: block.id,
            height: block.height,
            burn_height: block.burn_height,
            final_height: last.map(|n| self.blocks[n].height),
            final_burn_height: last.map_or(0, |n| self.blocks[n].burn_height),
        }
    }

    /// Transactions of the key on this branch, by nonce; without those that the mirror does not see.
    pub fn own(&self, from: usize, from_nonce: u64) -> Vec<OwnTx> {
        let mut own = Vec::new();
        for block in self.line(from) {
            if block.state.nonce <= from_nonce {
                break;
            }
            for mined in block.mined.iter().rev() {
                let meaning = match &mined.tx.does {
                    Does::Mint { user, kind } => Meaning::Mint {
                        recipient: user.clone(),
                        kind: *kind,
                    },
                    Does::Noop => Meaning::Noop,
                    Does::Other { mirrored: true } => Meaning::Other,
                    Does::Other { mirrored: false } => continue,
                };
                own.push(OwnTx {
                    nonce: mined.tx.nonce,
                    fee: mined.tx.fee,
                    bytes: mined.tx.bytes(),
                    meaning,
                    inclusion: Inclusion {
                        txid: mined.txid,
                        block: block.id,
                        height: block.height,
                        burn_height: block.burn_height,
                        verdict: mined.verdict.clone(),
                    },
                });
            }
        }
        own.retain(|t| t.nonce >= from_nonce);
        own.reverse();
        own
    }

    /// Deeds at final depth, badges at the tip.
    pub fn people(&self, from: usize) -> Vec<Person> {
        let tip = self.tip_of(from);
        let last = self.at_burn(from, tip.final_burn_height);
        let Some(last) = last.filter(|_| tip.final_height.is_some()) else {
            return Vec::new();
        };
        let now = &self.blocks[from].state;
        let of = |user: &str| {
            let rows = now.badges.iter().filter(|((u, _), _)| u == user);
            rows.map(|((_, kind), row)| Held {
                kind: *kind,
                id: row.id,
                minted: Some(row.minted),
                minted_height: row.height,
                gone: row.gone,
            })
            .collect()
        };
        let deeds = self.blocks[last].state.deeds.iter();
        deeds
            .map(|(user, deeds)| Person {
                user: user.clone(),
                completed: deeds.completed,
                rating_sum: deeds.rating_sum,
                rating_count: deeds.rating_count,
                x_expires: deeds.x_expires,
                changed_height: deeds.changed,
                changed_block: self.blocks[last].id,
                changed_txid: None,
                badges: of(user),
            })
            .collect()
    }
}

fn give(state: &mut State, user: &str, kind: u64, txid: TxId, height: u32) -> u64 {
    state.last_id += 1;
    state.badges.insert(
        (user.to_owned(), kind),
        BadgeRow {
            id: state.last_id,
            minted: txid,
            height,
            gone: false,
        },
    );
    state.mints.push((user.to_owned(), kind));
    state.last_id
}
