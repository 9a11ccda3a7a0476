//! The kinds of payload, by name.

/// The kind of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PayloadKind {
    /// STX from one account to another.
    TokenTransfer,
    /// Deployment in the default version of Clarity.
    SmartContract,
    /// Call of a public function.
    ContractCall,
    /// Proof that a miner signed two microblocks for one place.
    PoisonMicroblock,
    /// The miner's reward before epoch 2.1.
    Coinbase,
    /// The miner's reward to another account.
    CoinbaseToAltRecipient,
    /// Deployment in a given version of Clarity.
    VersionedSmartContract,
    /// Start or extension of a tenure.
    TenureChange,
    /// The miner's reward since Nakamoto.
    NakamotoCoinbase,
    /// A kind that this code does not know.
    Unknown,
}

impl PayloadKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::TokenTransfer,
        Self::SmartContract,
        Self::ContractCall,
        Self::PoisonMicroblock,
        Self::Coinbase,
        Self::CoinbaseToAltRecipient,
        Self::VersionedSmartContract,
        Self::TenureChange,
        Self::NakamotoCoinbase,
        Self::Unknown,
    ];

    /// The name of the kind in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TokenTransfer => "token_transfer",
            Self::SmartContract => "smart_contract",
            Self::ContractCall => "contract_call",
            Self::PoisonMicroblock => "poison_microblock",
            Self::Coinbase => "coinbase",
            Self::CoinbaseToAltRecipient => "coinbase_to_alt_recipient",
            Self::VersionedSmartContract => "versioned_smart_contract",
            Self::TenureChange => "tenure_change",
            Self::NakamotoCoinbase => "nakamoto_coinbase",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for PayloadKind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
