//! What is booked, as values.

/// What a booking is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A project was opened: its whole amount came into the escrow.
    Deposit,
    /// A milestone was settled: payout, fee and refund left the escrow.
    Settlement,
    /// A project ended before it was accepted: everything went back.
    Cancellation,
    /// The governed treasury paid.
    Spend,
    /// A token was admitted: one unit came and went, to see that it moves.
    Trial,
    /// Money came in that no event speaks of.
    Unattributed,
    /// Money went out that no event speaks of.
    Outflow,
    /// A treasury that is an account, or a minter, paid for a transaction, whatever came of it.
    NetworkFee,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Deposit,
        Self::Settlement,
        Self::Cancellation,
        Self::Spend,
        Self::Trial,
        Self::Unattributed,
        Self::Outflow,
        Self::NetworkFee,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Settlement => "settlement",
            Self::Cancellation => "cancellation",
            Self::Spend => "spend",
            Self::Trial => "trial",
            Self::Unattributed => "unattributed",
            Self::Outflow => "outflow",
            Self::NetworkFee => "network_fee",
        }
    }

    /// From its stored form.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == name)
    }
}

/// Which way a line goes. A debit adds to what the account holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[schema(as = JournalSide)]
pub enum Side {
    /// Comes in.
    Debit,
    /// Goes out.
    Credit,
}

impl Side {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Credit => "credit",
        }
    }

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Debit => Self::Credit,
            Self::Credit => Self::Debit,
        }
    }

    /// From its stored form.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Debit, Self::Credit]
            .into_iter()
            .find(|s| s.as_str() == name)
    }
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[schema(as = JournalLine)]
pub struct Line {
    /// `escrow:CONTRACT:PROJECT`, `escrow:CONTRACT:unattributed`, `treasury:PRINCIPAL`, `minter:PRINCIPAL`,
    /// `external:PRINCIPAL` or `suspense:HOLDER`.
    pub account: String,
    /// `STX`, or the id of a token's contract.
    pub asset: String,
    /// Which way.
    pub side: Side,
    /// Base units, above zero.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    pub amount: u128,
    /// What the line is of its journal.
    pub part: String,
}

/// JSON's numbers end at 53 bits for most who read it.
fn text<S: serde::Serializer>(amount: &u128, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

/// Lines as they stand in the bytes that are hashed.
pub fn lines_text(lines: &[Line]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let Line {
            account,
            asset,
            side,
            amount,
            part,
        } = line;
        let side = side.as_str();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{account}\t{asset}\t{side}\t{amount}\t{part}",
            number + 1
        );
    }
    text
}

/// The block in which an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Index block hash.
    pub block: [u8; 32],
    /// Stacks height.
    pub height: i32,
    /// Height of the Bitcoin block that elected the tenure.
    pub burn_height: i32,
    /// Its Unix seconds.
    pub burn_time: i64,
}

/// What is booked of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booking {
    /// What it is about.
    pub kind: Kind,
    /// `CONTRACT:TXID:POSITION`.
    pub event_key: String,
    /// The transaction.
    pub txid: [u8; 32],
    /// The contract whose event it is.
    pub contract: Option<String>,
    /// The project at that contract.
    pub project: Option<u128>,
    /// What does not add up.
    pub note: Option<String>,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A booking that counts: neither void nor reversed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Its journal.
    pub seq: i64,
    /// Its event.
    pub event_key: String,
    /// What it is about.
    pub kind: Kind,
    /// The block in which the event was seen.
    pub block: [u8; 32],
    /// Its block is not final yet.
    pub pending: bool,
    /// Its lines, as [`lines_text`] writes them.
    pub lines: String,
}

/// Something to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The pending booking's block left the chain.
    Void(i64),
    /// The posted booking's block left the chain.
    Reverse(i64),
    /// A new booking, pending.
    Book(Stamp, Box<Booking>),
    /// The pending booking's block is final.
    Post(i64),
}
