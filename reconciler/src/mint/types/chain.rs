//! What the chain says, by the mirror and by nodes.

use serde::{Deserialize, Serialize};
use stxworx_indexer::model::{IndexBlockHash, TxId};

use super::{Fee, LaneId};

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// A mint: the badge exists by both the contract's event and the token's. A noop: the transfer happened.
    Success {
        /// The token's number; none for a noop.
        badge: Option<u64>,
    },
    /// The contract refused.
    Aborted {
        /// Its code: 1301 and so on; none when the result is no such code.
        code: Option<u64>,
    },
    /// Post-conditions stopped it.
    PostCondition,
    /// Not executed, fee and nonce taken.
    Skipped,
    /// A success whose events do not show the badge, or a status that is not known: nothing may be concluded.
    Odd {
        /// What was seen.
        detail: String,
    },
}

/// Where an attempt stands on the canonical chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The transaction.
    pub txid: TxId,
    /// The block.
    pub block: IndexBlockHash,
    /// Its Stacks height.
    pub height: u32,
    /// Bitcoin height of its tenure's election.
    pub burn_height: u32,
    /// How it ended.
    pub verdict: Verdict,
}

/// What a transaction of our key is, by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// `mint` of the badge contract.
    Mint {
        /// Whose badge.
        recipient: String,
        /// Which kind.
        kind: u64,
    },
    /// The transfer that is our noop.
    Noop,
    /// Anything else.
    Other,
}

/// A transaction of our key on the canonical chain, as the mirror has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnTx {
    /// Its nonce.
    pub nonce: u64,
    /// Its fee.
    pub fee: Fee,
    /// Its bytes, if the mirror's source had them.
    pub bytes: Vec<u8>,
    /// What it is.
    pub meaning: Meaning,
    /// Where it stands, and how it ended.
    pub inclusion: Inclusion,
}

/// The block on which everything that was read from the mirror stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tip {
    /// The block.
    pub block: IndexBlockHash,
    /// Its height.
    pub height: u32,
    /// The greatest Bitcoin height known.
    pub burn_height: u32,
    /// Greatest Stacks height that is final; none while nothing is.
    pub final_height: Option<u32>,
    /// The burn height at which what is final stands.
    pub final_burn_height: u32,
}

impl Tip {
    /// Is a block of the canonical chain at this height final?
    pub fn is_final(&self, height: u32) -> bool {
        self.final_height.is_some_and(|last| height <= last)
    }
}

/// What a kind of badge asks for, as the contract says at final depth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Its number.
    pub kind: u64,
    /// Its name.
    pub name: String,
    /// Completed projects.
    pub projects: u64,
    /// Average rating times 100; 0 asks for none.
    pub rating: u64,
    /// Is an attested X account asked for?
    pub needs_x: bool,
    /// Height of the block that said so last.
    pub changed_height: u32,
}

/// A user's deeds at final depth, and what was awarded already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who.
    pub user: String,
    /// Projects that ended with every milestone paid in full.
    pub completed: u64,
    /// Stars received.
    pub rating_sum: u64,
    /// Ratings received.
    pub rating_count: u64,
    /// Last burn height for which the X attestation holds; none without one.
    pub x_expires: Option<u64>,
    /// Height of the block that changed these deeds last, final.
    pub changed_height: u32,
    /// That block.
    pub changed_block: IndexBlockHash,
    /// That block's transaction which did.
    pub changed_txid: Option<TxId>,
    /// The badges of this contract that the user has, or had, at the tip.
    pub badges: Vec<Held>,
}

/// A badge that somebody has or had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its kind.
    pub kind: u64,
    /// The token's number.
    pub id: u64,
    /// The transaction that minted it.
    pub minted: Option<TxId>,
    /// Height of the block that minted it.
    pub minted_height: u32,
    /// Was it revoked, or moved to another address? Both bar the user from the kind.
    pub gone: bool,
}

/// What the mirror says, all of it on one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainView {
    /// The block.
    pub tip: Tip,
    /// Is our key a minter of the contract, at the tip?
    pub minter: bool,
    /// The kinds of badges, at final depth.
    pub kinds: Vec<Kind>,
    /// Canonical transactions of our key from the wanted nonce on, by nonce.
    pub own: Vec<OwnTx>,
    /// The users that were asked for, and one page of the walk over all.
    pub people: Vec<Person>,
    /// Where the walk goes on; none at its end.
    pub next: Option<String>,
    /// Open breaks about custody, the mirror or the key's use: their rules' ids.
    pub breaks: Vec<String>,
    /// Invariants of the mirror that are violated now: their ids.
    pub violations: Vec<String>,
}

/// What is wanted of the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose transactions, of which contract.
    pub lane: LaneId,
    /// Transactions from this nonce on.
    pub from_nonce: u64,
    /// Users to be told of in any case.
    pub users: Vec<String>,
    /// A page of all users who may have earned something: behind this one, at most so many.
    pub walk: Option<(Option<String>, u32)>,
}

/// An account, as a node has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Next nonce, by what is confirmed.
    pub nonce: u64,
    /// Micro-STX.
    pub balance: u128,
    /// The node's height when it said so.
    pub height: u32,
    /// The node's Bitcoin height when it said so.
    pub burn_height: u32,
}

/// What a node's read-only calls say of an award, at its tip. A hint: it can hold an intent, never end one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// `minter?` of our key.
    pub minter: bool,
    /// Is there a `get-kind`?
    pub kind_known: bool,
    /// `earned?`.
    pub earned: bool,
    /// `badge-of`: the token's number.
    pub badge: Option<u64>,
    /// `barred?`.
    pub barred: bool,
}
