//! The two transactions that a minter signs, and the check that lets no other leave.
//!
//! A slot of an account's nonces is used by a mint or, where nothing is to happen, by a transfer of 1 micro-STX to a
//! followed contract: the chain knows no transaction without effect, and refuses a transfer to oneself. Both are in
//! Deny mode without post-conditions: a mint sends nothing, and the chain holds no transfer against its mode.
//!
//! [`Allowed::check`] reads signed bytes anew and knows nothing of how they were made. What it refuses must not be
//! stored or sent.

use stxworx_clarity::codec::transaction::{
    AnchorMode, Arguments, Auth, Authorization, HighS, KeyEncoding, MAINNET_CHAIN_ID,
    MAINNET_VERSION, MessageSignature, Payload, PostConditionMode, Role, SignatureError,
    SingleSigMode, SpendingCondition, TESTNET_VERSION, Transaction, presign,
};
use stxworx_clarity::codec::{
    ClarityName, ContractId, DecodeError, MAINNET_SINGLE_SIG, Principal, StandardPrincipal,
    TESTNET_SINGLE_SIG, Value,
};

/// The function of the badge contract that a minter calls.
pub const MINT: &str = "mint";
/// What a noop sends, micro-STX: the least that a node lets pass.
pub const NOOP_AMOUNT: u64 = 1;
/// The note on a noop, for those who look at it in an explorer; zeroes follow.
const NOOP_MEMO: &[u8] = b"stxworx noop";

/// What a transaction of the minter does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// A badge of a kind for somebody.
    Mint {
        /// The badge contract.
        contract: ContractId,
        /// Who gets it.
        recipient: Principal,
        /// Which kind.
        kind: u128,
    },
    /// Nothing, at the price of a fee: uses up a nonce.
    Noop {
        /// The contract that gets 1 micro-STX.
        to: ContractId,
    },
}

impl Call {
    /// The payload of the transaction.
    pub fn payload(&self) -> Payload {
        match self {
            Self::Mint {
                contract,
                recipient,
                kind,
            } => Payload::ContractCall {
                contract: contract.clone(),
                function: ClarityName::new(MINT).expect("a name that is written in the code"),
                arguments: Arguments::new(&[
                    Value::Principal(recipient.clone()),
                    Value::UInt(*kind),
                ])
                .expect("a principal and a number nest nothing"),
            },
            Self::Noop { to } => Payload::TokenTransfer {
                recipient: Principal::Contract(to.clone()),
                amount: NOOP_AMOUNT,
                memo: noop_memo(),
            },
        }
    }

    /// What a payload does, if it is one of the two; whoever sent it.
    pub fn of(payload: &Payload) -> Option<Self> {
        match payload {
            Payload::ContractCall {
                contract,
                function,
                arguments,
            } if function.as_str() == MINT && arguments.len() == 2 => {
                let mut values = arguments.iter();
                let recipient = values.next()?.as_principal()?;
                let kind = values.next()?.as_u128()?;
                Some(Self::Mint {
                    contract: contract.clone(),
                    recipient,
                    kind,
                })
            }
            Payload::TokenTransfer {
                recipient: Principal::Contract(to),
                amount: NOOP_AMOUNT,
                ..
            } => Some(Self::Noop { to: to.clone() }),
            _ => None,
        }
    }

    /// Every address that it names.
    fn addresses(&self) -> impl Iterator<Item = &StandardPrincipal> {
        let (first, second) = match self {
            Self::Mint {
                contract,
                recipient,
                ..
            } => (&contract.issuer, Some(recipient.address())),
            Self::Noop { to } => (&to.issuer, None),
        };
        std::iter::once(first).chain(second)
    }
}

fn noop_memo() -> [u8; 34] {
    let mut memo = [0; 34];
    for (to, from) in memo.iter_mut().zip(NOOP_MEMO) {
        *to = *from;
    }
    memo
}

/// Whether a chain is the main one, which writes other addresses.
pub fn is_mainnet(chain_id: u32) -> bool {
    chain_id == MAINNET_CHAIN_ID
}

/// The account of a key's hash on a chain.
pub fn account(chain_id: u32, hash160: [u8; 20]) -> StandardPrincipal {
    let version = if is_mainnet(chain_id) {
        MAINNET_SINGLE_SIG
    } else {
        TESTNET_SINGLE_SIG
    };
    StandardPrincipal::new(version, hash160).expect("a version of the chain's own")
}

/// A transaction before it is signed: everything that the signature is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnsignedTx {
    /// The chain's id.
    pub chain_id: u32,
    /// The hash160 of the compressed key that signs and pays.
    pub signer: [u8; 20],
    /// The account's sequence number.
    pub nonce: u64,
    /// The whole fee, micro-STX.
    pub fee: u64,
    /// What it does.
    pub call: Call,
}

impl UnsignedTx {
    /// The account that sends it.
    pub fn sender(&self) -> StandardPrincipal {
        account(self.chain_id, self.signer)
    }

    /// The transaction with a signature; [`MessageSignature::EMPTY`] for none yet.
    pub fn with(&self, signature: MessageSignature) -> Transaction {
        Transaction {
            version: if is_mainnet(self.chain_id) {
                MAINNET_VERSION
            } else {
                TESTNET_VERSION
            },
            chain_id: self.chain_id,
            auth: Auth::Standard(SpendingCondition {
                signer: self.signer,
                nonce: self.nonce,
                fee: self.fee,
                authorization: Authorization::Single {
                    mode: SingleSigMode::P2pkh,
                    key_encoding: KeyEncoding::Compressed,
                    signature,
                },
            }),
            anchor_mode: AnchorMode::Any,
            post_condition_mode: PostConditionMode::Deny,
            post_conditions: Vec::new(),
            payload: self.call.payload(),
        }
    }

    /// The bytes without a signature; as long as those with one.
    pub fn encode(&self) -> Vec<u8> {
        self.with(MessageSignature::EMPTY).encode()
    }

    /// The hash that the key signs.
    pub fn digest(&self) -> [u8; 32] {
        let initial = self.with(MessageSignature::EMPTY).initial_sighash();
        presign(&initial, Role::Origin, self.fee, self.nonce)
    }

    /// Reads the bytes of a transaction without a signature, as a remote signer gets them.
    ///
    /// # Errors
    /// When they are not exactly what [`Self::encode`] makes.
    pub fn decode(bytes: &[u8]) -> Result<Self, TxRefused> {
        let transaction = Transaction::decode(bytes)?;
        let (unsigned, signature) = read(&transaction)?;
        if signature != MessageSignature::EMPTY {
            return Err(TxRefused::Shape("has no empty signature"));
        }
        if unsigned.encode() != bytes {
            return Err(TxRefused::Shape("is not in the one form that is made here"));
        }
        Ok(unsigned)
    }

    /// Puts a signature to it that came from elsewhere.
    ///
    /// # Errors
    /// When it is not the account's signature over this very transaction.
    pub fn signed(&self, signature: MessageSignature) -> Result<SignedTx, TxRefused> {
        let transaction = self.with(signature);
        transaction.verify(HighS::Refuse)?;
        Ok(SignedTx {
            txid: transaction.txid(),
            bytes: transaction.encode(),
            unsigned: self.clone(),
        })
    }
}

/// A signed transaction. Whoever has one may send it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SignedTx {
    /// Its id.
    pub txid: [u8; 32],
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was signed.
    pub unsigned: UnsignedTx,
}

/// Why a transaction is not one of the minter's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TxRefused {
    /// No transaction.
    #[error("the bytes are no transaction")]
    Decode(#[from] DecodeError),
    /// The signature.
    #[error("the signature is not the account's")]
    Signature(#[from] SignatureError),
    /// Something that the minter never makes.
    #[error("the transaction {0}; a minter signs mints and noops in Deny mode with one key only")]
    Shape(&'static str),
    /// A contract that is not on the list.
    #[error("the transaction calls or pays {found}, which is not on the list of what may be")]
    Contract {
        /// Which.
        found: ContractId,
    },
    /// Another chain's transaction or address.
    #[error(
        "the transaction, or an address in it, is for another chain than 0x{expected:08x}; check `network` and the contracts' ids"
    )]
    Chain {
        /// Id of the chain that it should be for.
        expected: u32,
    },
    /// Another account's transaction.
    #[error(
        "the transaction is of {found}, expected {expected}; the key is not that of the minter"
    )]
    Sender {
        /// Whose it is.
        found: StandardPrincipal,
        /// Whose it should be.
        expected: StandardPrincipal,
    },
    /// A fee outside of its bounds.
    #[error("the fee of {fee} micro-STX is not from 1 to {cap}, the cap")]
    Fee {
        /// The fee, micro-STX.
        fee: u64,
        /// The cap, micro-STX.
        cap: u64,
    },
}

/// The list of what may be signed and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The chain's id.
    pub chain_id: u32,
    /// Hash160 of the one key.
    pub signer: [u8; 20],
    /// The badge contract, whose `mint` may be called.
    pub badges: ContractId,
    /// The contract that noops pay.
    pub noop_to: ContractId,
    /// The highest fee, micro-STX.
    pub fee_cap: u64,
}

impl Allowed {
    /// Whether a transaction may be signed.
    ///
    /// # Errors
    /// Why not.
    pub fn permits(&self, unsigned: &UnsignedTx) -> Result<(), TxRefused> {
        let listed = match &unsigned.call {
            Call::Mint { contract, .. } => (contract, &self.badges),
            Call::Noop { to } => (to, &self.noop_to),
        };
        if listed.0 != listed.1 {
            return Err(TxRefused::Contract {
                found: listed.0.clone(),
            });
        }
        let testnet = !is_mainnet(self.chain_id);
        let foreign = |a: &StandardPrincipal| is_testnet(a) != Some(testnet);
        if unsigned.chain_id != self.chain_id || unsigned.call.addresses().any(foreign) {
            return Err(TxRefused::Chain {
                expected: self.chain_id,
            });
        }
        if unsigned.signer != self.signer {
            return Err(TxRefused::Sender {
                found: unsigned.sender(),
                expected: account(self.chain_id, self.signer),
            });
        }
        if unsigned.fee == 0 || unsigned.fee > self.fee_cap {
            return Err(TxRefused::Fee {
                fee: unsigned.fee,
                cap: self.fee_cap,
            });
        }
        Ok(())
    }

    /// Reads signed bytes, and says what they do if they may be sent: one key, its own signature, Deny mode, no
    /// conditions, a mint of the badge contract or a noop, and the bytes that [`UnsignedTx`] would make of it.
    ///
    /// # Errors
    /// Why they must not be sent.
    pub fn check(&self, bytes: &[u8]) -> Result<SignedTx, TxRefused> {
        let transaction = Transaction::decode(bytes)?;
        let (unsigned, signature) = read(&transaction)?;
        self.permits(&unsigned)?;
        let signed = unsigned.signed(signature)?;
        if signed.bytes != bytes {
            return Err(TxRefused::Shape("is not in the one form that is made here"));
        }
        Ok(signed)
    }
}

/// Whether an address is of a testnet; none for versions that no network uses.
fn is_testnet(address: &StandardPrincipal) -> Option<bool> {
    use stxworx_clarity::codec::MAINNET_MULTI_SIG;
    match address.version() {
        MAINNET_SINGLE_SIG | MAINNET_MULTI_SIG => Some(false),
        _ if address.is_testnet() => Some(true),
        _ => None,
    }
}

/// What a decoded transaction says, if it has the shape of the minter's.
fn read(transaction: &Transaction) -> Result<(UnsignedTx, MessageSignature), TxRefused> {
    let Auth::Standard(condition) = &transaction.auth else {
        return Err(TxRefused::Shape("has a sponsor"));
    };
    let Authorization::Single {
        mode: SingleSigMode::P2pkh,
        key_encoding: KeyEncoding::Compressed,
        signature,
    } = condition.authorization
    else {
        return Err(TxRefused::Shape("is not signed by one compressed key"));
    };
    if transaction.post_condition_mode != PostConditionMode::Deny {
        return Err(TxRefused::Shape("is not in Deny mode"));
    }
    if !transaction.post_conditions.is_empty() {
        return Err(TxRefused::Shape("has post-conditions"));
    }
    let Some(call) = Call::of(&transaction.payload) else {
        return Err(TxRefused::Shape("is neither a mint nor a noop"));
    };
    let unsigned = UnsignedTx {
        chain_id: transaction.chain_id,
        signer: condition.signer,
        nonce: condition.nonce,
        fee: condition.fee,
        call,
    };
    Ok((unsigned, signature))
}

#[cfg(test)]
mod tests;
