//! Post-conditions: what may leave whom, or the transaction aborts.

use crate::codec::error::{DecodeError, DecodeReason};
use crate::codec::name::{self, ClarityName, ContractName, MAX_CONTRACT_NAME_LENGTH};
use crate::codec::principal::{ContractId, StandardPrincipal};
use crate::codec::reader::Reader;
use crate::codec::value::EncodedValue;

use super::open_enum;

const STX: u8 = 0;
const FUNGIBLE: u8 = 1;
const NON_FUNGIBLE: u8 = 2;
const STAKING: u8 = 3;
const POX: u8 = 4;

const ORIGIN: u8 = 1;
const STANDARD: u8 = 2;
const CONTRACT: u8 = 3;

open_enum! {
    /// What happens to assets that no post-condition names.
    PostConditionMode {
        /// They may move.
        Allow = 1,
        /// They may not move.
        Deny = 2,
        /// Those of the origin may not move, others may (SIP-040, epoch 3.4).
        Originator = 3,
    }
}

open_enum! {
    /// How the amount that was sent compares to that of the condition (SIP-005).
    FungibleCode {
        /// Exactly the amount.
        Equal = 1,
        /// More than the amount.
        Greater = 2,
        /// The amount or more.
        GreaterOrEqual = 3,
        /// Less than the amount.
        Less = 4,
        /// The amount or less.
        LessOrEqual = 5,
    }
}

open_enum! {
    /// What happens to a non-fungible token (SIP-005).
    NonFungibleCode {
        /// It is sent.
        Sent = 0x10,
        /// It is not sent.
        NotSent = 0x11,
        /// It may be sent or not; covers the token under the deny modes (SIP-040, epoch 3.4).
        MaySend = 0x12,
    }
}

open_enum! {
    /// Whether a principal changes its stacking position (SIP-045, epoch 4.0).
    PoxCode {
        /// It does not.
        NotPerformed = 0x30,
        /// It may.
        MayPerform = 0x31,
        /// It does.
        Performed = 0x32,
    }
}

/// Whose assets a condition is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionPrincipal {
    /// The transaction's origin, whoever that is.
    Origin,
    /// An account.
    Standard(StandardPrincipal),
    /// A contract.
    Contract(ContractId),
}

/// A token: the contract that defines it and its name in there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// The contract that defines the token.
    pub contract: ContractId,
    /// The token's name in `define-fungible-token` or `define-non-fungible-token`.
    pub name: ClarityName,
}

/// One post-condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostCondition {
    /// An amount of STX.
    Stx {
        /// Whose.
        principal: ConditionPrincipal,
        /// How the amount compares.
        code: FungibleCode,
        /// The amount, in micro-STX.
        amount: u64,
    },
    /// An amount of a fungible token.
    Fungible {
        /// Whose.
        principal: ConditionPrincipal,
        /// The token.
        asset: Asset,
        /// How the amount compares.
        code: FungibleCode,
        /// The amount, in the token's smallest unit.
        amount: u64,
    },
    /// One non-fungible token.
    NonFungible {
        /// Whose.
        principal: ConditionPrincipal,
        /// The class of tokens.
        asset: Asset,
        /// The token's identifier.
        id: EncodedValue,
        /// What happens to it.
        code: NonFungibleCode,
    },
    /// An amount of STX that gets locked (SIP-045, epoch 4.0).
    Staking {
        /// Whose.
        principal: ConditionPrincipal,
        /// How the amount compares.
        code: FungibleCode,
        /// The amount, in micro-STX.
        amount: u64,
    },
    /// A change of stacking position that locks nothing (SIP-045, epoch 4.0).
    Pox {
        /// Whose.
        principal: ConditionPrincipal,
        /// Whether it happens.
        code: PoxCode,
    },
}

fn read_fungible_code(reader: &mut Reader<'_>) -> Result<FungibleCode, DecodeError> {
    reader.u8("condition code").map(FungibleCode::from_byte)
}

impl PostCondition {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let id = reader.u8("post-condition type")?;
        if id > POX {
            let expected = "0 (STX) to 4 (PoX)";
            let reason = DecodeReason::UnknownTag {
                found: id,
                expected,
            };
            return Err(start.error("post-condition type", reason));
        }
        let principal = ConditionPrincipal::read(reader)?;
        Ok(match id {
            STX => {
                let code = read_fungible_code(reader)?;
                Self::Stx {
                    principal,
                    code,
                    amount: reader.u64("amount")?,
                }
            }
            FUNGIBLE => {
                let asset = Asset::read(reader)?;
                let code = read_fungible_code(reader)?;
                Self::Fungible {
                    principal,
                    asset,
                    code,
                    amount: reader.u64("amount")?,
                }
            }
            NON_FUNGIBLE => {
                let asset = Asset::read(reader)?;
                let id = EncodedValue::read(reader)?;
                let code = NonFungibleCode::from_byte(reader.u8("condition code")?);
                Self::NonFungible {
                    principal,
                    asset,
                    id,
                    code,
                }
            }
            STAKING => {
                let code = read_fungible_code(reader)?;
                Self::Staking {
                    principal,
                    code,
                    amount: reader.u64("amount")?,
                }
            }
            _ => Self::Pox {
                principal,
                code: PoxCode::from_byte(reader.u8("condition code")?),
            },
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stx {
                principal,
                code,
                amount,
            } => {
                out.push(STX);
                principal.put(out);
                put_amount(out, *code, *amount);
            }
            Self::Fungible {
                principal,
                asset,
                code,
                amount,
            } => {
                out.push(FUNGIBLE);
                principal.put(out);
                asset.put(out);
                put_amount(out, *code, *amount);
            }
            Self::NonFungible {
                principal,
                asset,
                id,
                code,
            } => {
                out.push(NON_FUNGIBLE);
                principal.put(out);
                asset.put(out);
                out.extend_from_slice(id.as_bytes());
                out.push(code.to_byte());
            }
            Self::Staking {
                principal,
                code,
                amount,
            } => {
                out.push(STAKING);
                principal.put(out);
                put_amount(out, *code, *amount);
            }
            Self::Pox { principal, code } => {
                out.push(POX);
                principal.put(out);
                out.push(code.to_byte());
            }
        }
    }
}

fn put_amount(out: &mut Vec<u8>, code: FungibleCode, amount: u64) {
    out.push(code.to_byte());
    out.extend_from_slice(&amount.to_be_bytes());
}

impl ConditionPrincipal {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        Ok(match reader.u8("post-condition principal")? {
            ORIGIN => Self::Origin,
            STANDARD => Self::Standard(StandardPrincipal::read(reader, "address")?),
            CONTRACT => Self::Contract(ContractId::read(
                reader,
                "contract",
                MAX_CONTRACT_NAME_LENGTH,
            )?),
            found => {
                let expected = "1 (origin), 2 (account) or 3 (contract)";
                let reason = DecodeReason::UnknownTag { found, expected };
                return Err(start.error("post-condition principal", reason));
            }
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Origin => out.push(ORIGIN),
            Self::Standard(address) => {
                out.push(STANDARD);
                address.put(out);
            }
            Self::Contract(contract) => {
                out.push(CONTRACT);
                contract.put(out);
            }
        }
    }
}

impl Asset {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let issuer = StandardPrincipal::read(reader, "asset address")?;
        let contract =
            name::read_contract_name(reader, "asset contract", MAX_CONTRACT_NAME_LENGTH)?;
        let name = name::read_clarity_name(reader, "asset name")?;
        Ok(Self {
            contract: ContractId {
                issuer,
                name: ContractName::checked(contract),
            },
            name: ClarityName::checked(name),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.contract.put(out);
        name::put_name(out, &self.name);
    }
}
