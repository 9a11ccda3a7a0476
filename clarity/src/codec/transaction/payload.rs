//! What a transaction does.

use crate::codec::error::{DecodeError, DecodeReason};
use crate::codec::name::{self, ClarityName, ContractName, MAX_CONTRACT_NAME_LENGTH};
use crate::codec::principal::{ContractId, Principal};
use crate::codec::reader::{Reader, put_length};
use crate::codec::value::prefix;

use super::arguments::Arguments;
use super::auth::MessageSignature;
use super::kind::PayloadKind;
use super::{MAX_TRANSACTION_LENGTH, is_unknown_variant, open_enum};

const TOKEN_TRANSFER: u8 = 0;
const SMART_CONTRACT: u8 = 1;
const CONTRACT_CALL: u8 = 2;
const POISON_MICROBLOCK: u8 = 3;
const COINBASE: u8 = 4;
const COINBASE_TO_ALT_RECIPIENT: u8 = 5;
const VERSIONED_SMART_CONTRACT: u8 = 6;
const TENURE_CHANGE: u8 = 7;
const NAKAMOTO_COINBASE: u8 = 8;

open_enum! {
    /// The version of Clarity that a contract is written in.
    ClarityVersion {
        /// Clarity 1.
        Clarity1 = 1,
        /// Clarity 2 (epoch 2.1).
        Clarity2 = 2,
        /// Clarity 3 (epoch 3.0).
        Clarity3 = 3,
        /// Clarity 4 (epoch 3.3).
        Clarity4 = 4,
        /// Clarity 5 (epoch 3.4).
        Clarity5 = 5,
        /// Clarity 6 (epoch 4.0).
        Clarity6 = 6,
    }
}

open_enum! {
    /// Why a tenure begins or is extended (stacks-core `TenureChangeCause`).
    TenureCause {
        /// A miner won a sortition.
        BlockFound = 0,
        /// All budgets are renewed.
        Extended = 1,
        /// The runtime budget is renewed (SIP-034).
        ExtendedRuntime = 2,
        /// The read count is renewed (SIP-034).
        ExtendedReadCount = 3,
        /// The read length is renewed (SIP-034).
        ExtendedReadLength = 4,
        /// The write count is renewed (SIP-034).
        ExtendedWriteCount = 5,
        /// The write length is renewed (SIP-034).
        ExtendedWriteLength = 6,
    }
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// STX from the origin to another.
    TokenTransfer {
        /// Who receives it.
        recipient: Principal,
        /// The amount, in micro-STX.
        amount: u64,
        /// A free note.
        memo: [u8; 34],
    },
    /// A new contract of the origin.
    SmartContract {
        /// The version of Clarity; none is the default of the epoch, and another payload id.
        version: Option<ClarityVersion>,
        /// The contract's name.
        name: ContractName,
        /// The source code.
        code: String,
    },
    /// A call of a public function.
    ContractCall {
        /// The contract.
        contract: ContractId,
        /// The function.
        function: ClarityName,
        /// The arguments.
        arguments: Arguments,
    },
    /// Proof that a miner signed two microblocks for one place.
    PoisonMicroblock {
        /// The two headers.
        headers: Box<[MicroblockHeader; 2]>,
    },
    /// The miner's reward before epoch 2.1.
    Coinbase {
        /// Free bytes.
        data: [u8; 32],
    },
    /// The miner's reward to another account.
    CoinbaseToAltRecipient {
        /// Free bytes.
        data: [u8; 32],
        /// Who receives it.
        recipient: Principal,
    },
    /// Start or extension of a tenure.
    TenureChange(TenureChange),
    /// The miner's reward since Nakamoto.
    NakamotoCoinbase {
        /// Free bytes.
        data: [u8; 32],
        /// Who receives it, if not the miner.
        recipient: Option<Principal>,
        /// The proof that the miner's seed is its own (ECVRF-EDWARDS25519-SHA512-ELL2).
        vrf_proof: Box<[u8; 80]>,
    },
    /// Something that this code does not know.
    Unknown(UnknownPayload),
}

/// The end of a transaction from the first thing on that this code does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownPayload {
    /// What was not known, and where.
    pub reason: DecodeError,
    /// Post-conditions that are in `bytes`, before the payload; 0 when the payload itself is unknown.
    pub unread_conditions: u32,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

impl UnknownPayload {
    pub(super) fn rest(
        reader: &mut Reader<'_>,
        reason: DecodeError,
        unread_conditions: u32,
    ) -> Self {
        let bytes = reader.rest().to_vec();
        *reader = reader.at_end();
        Self {
            reason,
            unread_conditions,
            bytes,
        }
    }
}

/// Header of a microblock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicroblockHeader {
    /// Version of the format.
    pub version: u8,
    /// Place in the stream, from 0.
    pub sequence: u16,
    /// Hash of the block or microblock before.
    pub previous_block: [u8; 32],
    /// Root of the Merkle tree of the transactions.
    pub transactions_root: [u8; 32],
    /// The miner's signature.
    pub signature: MessageSignature,
}

/// Start or extension of a tenure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenureChange {
    /// The sortition that elected the miner of this tenure.
    pub tenure_consensus_hash: [u8; 20],
    /// The sortition of the tenure before; of this tenure in an extension.
    pub previous_tenure_consensus_hash: [u8; 20],
    /// The last sortition seen.
    pub burn_view_consensus_hash: [u8; 20],
    /// The id of the last block of the tenure before.
    pub previous_tenure_end: [u8; 32],
    /// The number of blocks since the last tenure that a sortition began.
    pub previous_tenure_blocks: u32,
    /// Why the tenure begins or is extended.
    pub cause: TenureCause,
    /// The hash160 of the miner's key.
    pub public_key_hash: [u8; 20],
}

impl Payload {
    /// The kind of the payload.
    pub fn kind(&self) -> PayloadKind {
        match self {
            Self::TokenTransfer { .. } => PayloadKind::TokenTransfer,
            Self::SmartContract { version: None, .. } => PayloadKind::SmartContract,
            Self::SmartContract {
                version: Some(_), ..
            } => PayloadKind::VersionedSmartContract,
            Self::ContractCall { .. } => PayloadKind::ContractCall,
            Self::PoisonMicroblock { .. } => PayloadKind::PoisonMicroblock,
            Self::Coinbase { .. } => PayloadKind::Coinbase,
            Self::CoinbaseToAltRecipient { .. } => PayloadKind::CoinbaseToAltRecipient,
            Self::TenureChange(_) => PayloadKind::TenureChange,
            Self::NakamotoCoinbase { .. } => PayloadKind::NakamotoCoinbase,
            Self::Unknown(_) => PayloadKind::Unknown,
        }
    }

    /// Reads a payload; one that is not known is kept as bytes.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        match Self::read_known(reader) {
            Err(reason) if is_unknown_variant(&reason) || has_unknown_version(&start) => {
                *reader = start;
                Ok(Self::Unknown(UnknownPayload::rest(reader, reason, 0)))
            }
            result => result,
        }
    }

    fn read_known(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        Ok(match reader.u8("payload id")? {
            TOKEN_TRANSFER => Self::TokenTransfer {
                recipient: Principal::read(reader, "recipient")?,
                amount: reader.u64("amount")?,
                memo: *reader.array("memo")?,
            },
            SMART_CONTRACT => read_contract(reader, None)?,
            VERSIONED_SMART_CONTRACT => {
                let version = ClarityVersion::from_byte(reader.u8("Clarity version")?);
                read_contract(reader, Some(version))?
            }
            CONTRACT_CALL => Self::ContractCall {
                contract: ContractId::read(reader, "contract", MAX_CONTRACT_NAME_LENGTH)?,
                function: ClarityName::checked(name::read_clarity_name(reader, "function name")?),
                arguments: Arguments::read(reader)?,
            },
            POISON_MICROBLOCK => {
                let headers = [
                    MicroblockHeader::read(reader)?,
                    MicroblockHeader::read(reader)?,
                ];
                Self::PoisonMicroblock {
                    headers: Box::new(headers),
                }
            }
            COINBASE => Self::Coinbase {
                data: *reader.array("coinbase data")?,
            },
            COINBASE_TO_ALT_RECIPIENT => Self::CoinbaseToAltRecipient {
                data: *reader.array("coinbase data")?,
                recipient: Principal::read(reader, "recipient")?,
            },
            TENURE_CHANGE => Self::TenureChange(TenureChange::read(reader)?),
            NAKAMOTO_COINBASE => Self::NakamotoCoinbase {
                data: *reader.array("coinbase data")?,
                recipient: read_optional_recipient(reader)?,
                vrf_proof: Box::new(*reader.array("VRF proof")?),
            },
            found => {
                let expected = "0 (token transfer) to 8 (Nakamoto coinbase)";
                return Err(start.error("payload id", DecodeReason::UnknownTag { found, expected }));
            }
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::TokenTransfer {
                recipient,
                amount,
                memo,
            } => {
                out.push(TOKEN_TRANSFER);
                recipient.put(out);
                out.extend_from_slice(&amount.to_be_bytes());
                out.extend_from_slice(memo);
            }
            Self::SmartContract {
                version,
                name,
                code,
            } => {
                put_contract(out, *version, name, code);
            }
            Self::ContractCall {
                contract,
                function,
                arguments,
            } => {
                out.push(CONTRACT_CALL);
                contract.put(out);
                name::put_name(out, function);
                arguments.put(out);
            }
            Self::PoisonMicroblock { headers } => {
                out.push(POISON_MICROBLOCK);
                headers.iter().for_each(|header| header.put(out));
            }
            Self::Coinbase { data } => {
                out.push(COINBASE);
                out.extend_from_slice(data);
            }
            Self::CoinbaseToAltRecipient { data, recipient } => {
                out.push(COINBASE_TO_ALT_RECIPIENT);
                out.extend_from_slice(data);
                recipient.put(out);
            }
            Self::TenureChange(change) => {
                out.push(TENURE_CHANGE);
                change.put(out);
            }
            Self::NakamotoCoinbase {
                data,
                recipient,
                vrf_proof,
            } => {
                out.push(NAKAMOTO_COINBASE);
                out.extend_from_slice(data);
                put_optional_recipient(out, recipient.as_ref());
                out.extend_from_slice(vrf_proof.as_slice());
            }
            Self::Unknown(unknown) => out.extend_from_slice(&unknown.bytes),
        }
    }
}

/// Whether the payload is a contract in a version of Clarity that this code does not know, which may
/// be laid out in another way.
fn has_unknown_version(payload: &Reader<'_>) -> bool {
    match payload.rest() {
        [VERSIONED_SMART_CONTRACT, version, ..] => {
            matches!(
                ClarityVersion::from_byte(*version),
                ClarityVersion::Unknown(_)
            )
        }
        _ => false,
    }
}

fn read_contract(
    reader: &mut Reader<'_>,
    version: Option<ClarityVersion>,
) -> Result<Payload, DecodeError> {
    let name = name::read_contract_name(reader, "contract name", MAX_CONTRACT_NAME_LENGTH)?;
    let length = reader.length("length of the code", MAX_TRANSACTION_LENGTH)?;
    let start = reader.clone();
    let code = std::str::from_utf8(reader.take("code", length)?).map_err(|error| {
        start.error(
            "code",
            DecodeReason::NotUtf8 {
                valid_up_to: error.valid_up_to(),
            },
        )
    })?;
    Ok(Payload::SmartContract {
        version,
        name: ContractName::checked(name),
        code: code.to_owned(),
    })
}

fn put_contract(
    out: &mut Vec<u8>,
    version: Option<ClarityVersion>,
    name: &ContractName,
    code: &str,
) {
    match version {
        None => out.push(SMART_CONTRACT),
        Some(version) => out.extend([VERSIONED_SMART_CONTRACT, version.to_byte()]),
    }
    name::put_name(out, name);
    put_length(out, code.len());
    out.extend_from_slice(code.as_bytes());
}

/// Reads an optional as a value is written: 0x09, or 0x0a and a principal.
fn read_optional_recipient(reader: &mut Reader<'_>) -> Result<Option<Principal>, DecodeError> {
    let start = reader.clone();
    match reader.u8("recipient")? {
        prefix::NONE => Ok(None),
        prefix::SOME => Principal::read(reader, "recipient").map(Some),
        found => {
            let expected = "0x09 (none) or 0x0a (some)";
            Err(start.error("recipient", DecodeReason::UnknownTag { found, expected }))
        }
    }
}

fn put_optional_recipient(out: &mut Vec<u8>, recipient: Option<&Principal>) {
    match recipient {
        None => out.push(prefix::NONE),
        Some(principal) => {
            out.push(prefix::SOME);
            principal.put(out);
        }
    }
}

impl MicroblockHeader {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.u8("microblock version")?,
            sequence: reader.u16("microblock sequence")?,
            previous_block: *reader.array("previous block")?,
            transactions_root: *reader.array("transactions root")?,
            signature: MessageSignature(*reader.array("microblock signature")?),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.previous_block);
        out.extend_from_slice(&self.transactions_root);
        out.extend_from_slice(&self.signature.0);
    }
}

impl TenureChange {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tenure_consensus_hash: *reader.array("tenure consensus hash")?,
            previous_tenure_consensus_hash: *reader.array("previous tenure consensus hash")?,
            burn_view_consensus_hash: *reader.array("burn view consensus hash")?,
            previous_tenure_end: *reader.array("previous tenure end")?,
            previous_tenure_blocks: reader.u32("previous tenure blocks")?,
            cause: TenureCause::from_byte(reader.u8("cause")?),
            public_key_hash: *reader.array("public key hash")?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tenure_consensus_hash);
        out.extend_from_slice(&self.previous_tenure_consensus_hash);
        out.extend_from_slice(&self.burn_view_consensus_hash);
        out.extend_from_slice(&self.previous_tenure_end);
        out.extend_from_slice(&self.previous_tenure_blocks.to_be_bytes());
        out.push(self.cause.to_byte());
        out.extend_from_slice(&self.public_key_hash);
    }
}
