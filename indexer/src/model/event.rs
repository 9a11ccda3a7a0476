//! Events of transactions that the chain committed.

/// The kinds of event a node reports; names are the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i16)]
pub enum EventKind {
    /// `print` of a contract.
    Contract = 1,
    /// STX moved.
    StxTransfer = 2,
    /// STX came into being.
    StxMint = 3,
    /// STX destroyed.
    StxBurn = 4,
    /// STX locked for stacking.
    StxLock = 5,
    /// Fungible token moved.
    FtTransfer = 6,
    /// Fungible token came into being.
    FtMint = 7,
    /// Fungible token destroyed.
    FtBurn = 8,
    /// Non-fungible token moved.
    NftTransfer = 9,
    /// Non-fungible token came into being.
    NftMint = 10,
    /// Non-fungible token destroyed.
    NftBurn = 11,
    /// A kind of a later node; kept raw.
    Other = 12,
}

impl EventKind {
    /// Every kind, in the order of the codes.
    pub const ALL: [Self; 12] = [
        Self::Contract,
        Self::StxTransfer,
        Self::StxMint,
        Self::StxBurn,
        Self::StxLock,
        Self::FtTransfer,
        Self::FtMint,
        Self::FtBurn,
        Self::NftTransfer,
        Self::NftMint,
        Self::NftBurn,
        Self::Other,
    ];

    /// The node's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contract => "contract_event",
            Self::StxTransfer => "stx_transfer_event",
            Self::StxMint => "stx_mint_event",
            Self::StxBurn => "stx_burn_event",
            Self::StxLock => "stx_lock_event",
            Self::FtTransfer => "ft_transfer_event",
            Self::FtMint => "ft_mint_event",
            Self::FtBurn => "ft_burn_event",
            Self::NftTransfer => "nft_transfer_event",
            Self::NftMint => "nft_mint_event",
            Self::NftBurn => "nft_burn_event",
            Self::Other => "other_event",
        }
    }

    /// From the node's word; `None` for a word of a later node.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The code stored in the database.
    pub fn code(self) -> i16 {
        self as i16
    }

    /// From the stored code.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// One event, at its place in the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position of the transaction in the block.
    pub tx_index: u32,
    /// Position among the committed events of that transaction. The node's own `event_index` is
    /// no key: its numbering differs between node versions and sources.
    pub ordinal: u32,
    /// What happened.
    pub body: EventBody,
}

/// The content of an event in one flat shape, so that every kind shares columns, filters and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBody {
    /// The kind.
    pub kind: EventKind,
    /// The contract that printed, or that defines the token, or that locked.
    pub contract: Option<String>,
    /// The token's name within its contract; none for STX.
    pub asset: Option<String>,
    /// Who lost the asset, or whose STX were locked.
    pub sender: Option<String>,
    /// Who received the asset.
    pub recipient: Option<String>,
    /// Base units: micro-STX or the token's smallest unit.
    pub amount: Option<u128>,
    /// The `topic` (or else `event`) text of a printed tuple: what people call the event's name.
    pub topic: Option<String>,
    /// Serialised Clarity value of a print or an NFT id; memo of a transfer; JSON of an unknown kind.
    pub value: Option<Vec<u8>>,
    /// Burn height at which locked STX unlock.
    pub unlock_height: Option<u64>,
}

impl EventBody {
    /// An event of this kind with nothing else known.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            contract: None,
            asset: None,
            sender: None,
            recipient: None,
            amount: None,
            topic: None,
            value: None,
            unlock_height: None,
        }
    }
}
