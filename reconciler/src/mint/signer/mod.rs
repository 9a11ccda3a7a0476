//! Who has the key: this process, from a sealed file or its environment, or a signer on another machine.
//!
//! Whoever it is, what comes back is read anew and must be one of the two transactions that a minter makes
//! ([`Allowed::check`]), with the signature of the one account.

mod file;
mod key;
mod local;
mod protocol;
mod remote;
pub mod service;

pub use file::{KeyFile, KeyFileError, Passphrase, SHORTEST_PASSPHRASE};
pub use key::{Key, KeyError};
pub use local::LocalSigner;
pub use protocol::{SharedSecret, SharedSecretError};
pub use remote::{RemoteError, RemoteOptions, RemoteSigner};

use stxworx_clarity::codec::ContractId;
use stxworx_indexer::model::TxId;

use super::ports;
use super::tx::{self, Allowed, SignedTx, TxRefused, UnsignedTx};
use super::types::{Call, Signed, UnsignedMint};

/// What a signer of one lane may sign, before the key is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The chain's id.
    pub chain_id: u32,
    /// The badge contract.
    pub badges: ContractId,
    /// The contract that noops pay.
    pub noop_to: ContractId,
    /// The highest fee, micro-STX.
    pub fee_cap: u64,
}

impl Bounds {
    /// The list of what the key of this hash may sign.
    pub fn of(self, signer: [u8; 20]) -> Allowed {
        Allowed {
            chain_id: self.chain_id,
            signer,
            badges: self.badges,
            noop_to: self.noop_to,
            fee_cap: self.fee_cap,
        }
    }
}

/// Any signer.
#[derive(Debug)]
pub enum AnySigner {
    /// The key is in this process.
    Local(LocalSigner),
    /// The key is on another machine.
    Remote(RemoteSigner),
}

impl ports::Signer for AnySigner {
    fn address(&self) -> &str {
        match self {
            Self::Local(signer) => signer.address(),
            Self::Remote(signer) => signer.address(),
        }
    }

    async fn sign(&self, unsigned: &UnsignedMint) -> Result<Signed, ports::PortError> {
        match self {
            Self::Local(signer) => signer.sign(unsigned).await,
            Self::Remote(signer) => signer.sign(unsigned).await,
        }
    }
}

/// What the planner wants signed, as a transaction of this list's chain and key.
///
/// # Errors
/// When a name in it is none, or the list does not have it.
pub fn unsigned(wanted: &UnsignedMint, allowed: &Allowed) -> Result<UnsignedTx, TxRefused> {
    let contract = |text: &str| -> Result<ContractId, TxRefused> {
        text.parse()
            .map_err(|_| TxRefused::Shape("names a contract that is no contract id"))
    };
    let call = match &wanted.call {
        Call::Mint { recipient, kind } => tx::Call::Mint {
            contract: contract(&wanted.contract)?,
            recipient: recipient
                .parse()
                .map_err(|_| TxRefused::Shape("names a recipient that is no principal"))?,
            kind: u128::from(*kind),
        },
        Call::Noop { treasury } => tx::Call::Noop {
            to: contract(treasury)?,
        },
    };
    let unsigned = UnsignedTx {
        chain_id: allowed.chain_id,
        signer: allowed.signer,
        nonce: wanted.nonce,
        fee: wanted.fee,
        call,
    };
    allowed.permits(&unsigned)?;
    Ok(unsigned)
}

fn signed(signed: SignedTx) -> Signed {
    Signed {
        txid: TxId(signed.txid),
        bytes: signed.bytes,
    }
}

/// A transaction that must not be signed: something before this is broken, and trying again mends nothing.
fn refused(error: &TxRefused) -> ports::PortError {
    ports::PortError::Refused {
        what: "signing a transaction",
        rule: format!("T12 ({error})"),
    }
}
