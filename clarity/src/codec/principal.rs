//! Accounts and contracts: 20-byte hashes with a version, written as c32check text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stacks_common::address::Error as AddressError;
use stacks_common::address::c32::{c32_address, c32_address_decode};

use super::error::{DecodeError, DecodeReason, NameError, PrincipalError, PrincipalReason, cut};
use super::name::{self, ContractName, MAX_NAME_LENGTH};
use super::reader::Reader;
use super::value::prefix;

/// c32 writes the version as one character of a 32-letter alphabet (SIP-005).
const VERSION_LIMIT: u8 = 32;

/// Address version of a single-signature account on mainnet, `SP…` (SIP-005).
pub const MAINNET_SINGLE_SIG: u8 = 22;
/// Address version of a multi-signature account on mainnet, `SM…` (SIP-005).
pub const MAINNET_MULTI_SIG: u8 = 20;
/// Address version of a single-signature account on testnets, `ST…` (SIP-005).
pub const TESTNET_SINGLE_SIG: u8 = 26;
/// Address version of a multi-signature account on testnets, `SN…` (SIP-005).
pub const TESTNET_MULTI_SIG: u8 = 21;

/// An address: a version below 32 and the hash160 of a key or script.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StandardPrincipal {
    version: u8,
    hash160: [u8; 20],
}

impl StandardPrincipal {
    /// An address of a version and a hash.
    ///
    /// # Errors
    /// The version is 32 or more, which c32 cannot write and the node refuses.
    pub fn new(version: u8, hash160: [u8; 20]) -> Result<Self, PrincipalError> {
        if version < VERSION_LIMIT {
            Ok(Self { version, hash160 })
        } else {
            let reason = PrincipalReason::Version { found: version };
            Err(PrincipalError {
                text: hex::encode(hash160),
                reason,
            })
        }
    }

    /// An address whose version is one of this module's constants.
    pub(crate) fn of_known_version(version: u8, hash160: [u8; 20]) -> Self {
        debug_assert!(version < VERSION_LIMIT);
        Self {
            version: version % VERSION_LIMIT,
            hash160,
        }
    }

    /// The version, 0 to 31; [`MAINNET_SINGLE_SIG`] and its neighbours are the ones in use.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// The hash160 of the public key or script.
    pub fn hash160(&self) -> &[u8; 20] {
        &self.hash160
    }

    /// Whether the version is one that testnets use.
    pub fn is_testnet(&self) -> bool {
        matches!(self.version, TESTNET_SINGLE_SIG | TESTNET_MULTI_SIG)
    }

    /// A contract deployed by this address.
    ///
    /// # Errors
    /// The name is not a legal contract name.
    pub fn contract(&self, name: &str) -> Result<ContractId, NameError> {
        Ok(ContractId {
            issuer: *self,
            name: ContractName::new(name)?,
        })
    }

    #[inline]
    pub(crate) fn read(reader: &mut Reader<'_>, what: &'static str) -> Result<Self, DecodeError> {
        let start = reader.clone();
        let [version, hash160 @ ..] = *reader.array::<21>(what)?;
        if version < VERSION_LIMIT {
            Ok(Self { version, hash160 })
        } else {
            Err(start.error(what, DecodeReason::AddressVersion { found: version }))
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(self.version);
        out.extend_from_slice(&self.hash160);
    }
}

/// A contract: the address that deployed it and its name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContractId {
    /// The address that deployed the contract.
    pub issuer: StandardPrincipal,
    /// The contract's name.
    pub name: ContractName,
}

/// Who acts or owns: an account or a contract.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// An account.
    Standard(StandardPrincipal),
    /// A contract.
    Contract(ContractId),
}

impl Principal {
    /// The address: the account's own or that of the contract's deployer.
    pub fn address(&self) -> &StandardPrincipal {
        match self {
            Self::Standard(address) => address,
            Self::Contract(contract) => &contract.issuer,
        }
    }

    /// The contract, if it is one.
    pub fn as_contract(&self) -> Option<&ContractId> {
        match self {
            Self::Standard(_) => None,
            Self::Contract(contract) => Some(contract),
        }
    }

    /// Decodes consensus bytes: prefix 0x05 or 0x06 and what follows, nothing after it.
    ///
    /// # Errors
    /// The bytes are short, long, have another prefix, or hold an illegal version or name.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let principal = Self::read(&mut reader, "principal")?;
        reader.finish("principal")?;
        Ok(principal)
    }

    /// Consensus bytes, the same as the encoding of the principal as a value.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(22);
        self.put(&mut out);
        out
    }

    pub(crate) fn read(reader: &mut Reader<'_>, what: &'static str) -> Result<Self, DecodeError> {
        let start = reader.clone();
        match reader.u8(what)? {
            prefix::STANDARD_PRINCIPAL => StandardPrincipal::read(reader, what).map(Self::Standard),
            prefix::CONTRACT_PRINCIPAL => {
                ContractId::read(reader, what, MAX_NAME_LENGTH).map(Self::Contract)
            }
            found => {
                let expected = "a principal (0x05 or 0x06)";
                Err(start.error(what, DecodeReason::UnknownTag { found, expected }))
            }
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Standard(address) => {
                out.push(prefix::STANDARD_PRINCIPAL);
                address.put(out);
            }
            Self::Contract(contract) => {
                out.push(prefix::CONTRACT_PRINCIPAL);
                contract.put(out);
            }
        }
    }
}

impl ContractId {
    pub(crate) fn read(
        reader: &mut Reader<'_>,
        what: &'static str,
        name_limit: usize,
    ) -> Result<Self, DecodeError> {
        let issuer = StandardPrincipal::read(reader, what)?;
        let name = name::read_contract_name(reader, "contract name", name_limit)?;
        Ok(Self {
            issuer,
            name: ContractName::checked(name),
        })
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.issuer.put(out);
        name::put_name(out, &self.name);
    }
}

impl From<StandardPrincipal> for Principal {
    fn from(address: StandardPrincipal) -> Self {
        Self::Standard(address)
    }
}

impl From<ContractId> for Principal {
    fn from(contract: ContractId) -> Self {
        Self::Contract(contract)
    }
}

impl fmt::Display for StandardPrincipal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match c32_address(self.version, &self.hash160) {
            Ok(text) => out.write_str(&text),
            // Versions of 32 and more are the only ones it refuses; they cannot be constructed.
            Err(_) => write!(out, "(address of version {})", self.version),
        }
    }
}

impl fmt::Display for ContractId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.issuer, self.name)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(address) => address.fmt(out),
            Self::Contract(contract) => contract.fmt(out),
        }
    }
}

fn refuse(text: &str, reason: PrincipalReason) -> PrincipalError {
    PrincipalError {
        text: cut(text, 200),
        reason,
    }
}

impl FromStr for StandardPrincipal {
    type Err = PrincipalError;

    /// Reads c32check text. Lower case and the look-alikes `O`, `I`, `L` are read as c32 says.
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        // The decoder slices off the first byte, which must be a character of its own.
        if !text.is_ascii() {
            return Err(refuse(text, PrincipalReason::Alphabet));
        }
        if !text.starts_with('S') {
            return Err(refuse(text, PrincipalReason::Prefix));
        }
        let (version, hash) =
            c32_address_decode(text).map_err(|error| refuse(text, reason_of(&error)))?;
        let found = hash.len();
        let hash160 = <[u8; 20]>::try_from(hash)
            .map_err(|_| refuse(text, PrincipalReason::Length { found }))?;
        if version >= VERSION_LIMIT {
            return Err(refuse(text, PrincipalReason::Version { found: version }));
        }
        Ok(Self { version, hash160 })
    }
}

fn reason_of(error: &AddressError) -> PrincipalReason {
    match error {
        // The library names them in the other order: first computed, then written.
        AddressError::BadChecksum(expected, found) => PrincipalReason::Checksum {
            found: *found,
            expected: *expected,
        },
        AddressError::InvalidVersion(found) => PrincipalReason::Version { found: *found },
        _ => PrincipalReason::Alphabet,
    }
}

impl FromStr for ContractId {
    type Err = PrincipalError;

    /// Reads `ADDRESS.name`.
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        let Some((issuer, name)) = text.split_once('.') else {
            return Err(refuse(text, PrincipalReason::NotContract));
        };
        let issuer = issuer.parse()?;
        let name = ContractName::new(name)
            .map_err(|error| refuse(text, PrincipalReason::Name(error.reason)))?;
        Ok(Self { issuer, name })
    }
}

impl FromStr for Principal {
    type Err = PrincipalError;

    /// Reads `ADDRESS` or `ADDRESS.name`.
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        if text.contains('.') {
            text.parse().map(Self::Contract)
        } else {
            text.parse().map(Self::Standard)
        }
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(StandardPrincipal, ContractId, Principal);

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "SP000000000000000000002Q6VF78";

    #[test]
    fn text_goes_both_ways() {
        for text in [
            BOOT,
            "ST000000000000000000002AMW42H",
            "ST3WM51TCWMJYGZS1QFMC28DH5YP86782YGR113C1",
            "SP000000000000000000002Q6VF78.pox-4",
        ] {
            let principal: Principal = text.parse().expect("legal");
            assert_eq!(principal.to_string(), text);
            assert_eq!(Principal::decode(&principal.encode()), Ok(principal));
        }
    }

    #[test]
    fn bytes_of_the_boot_contract() {
        let principal: Principal = "SP000000000000000000002Q6VF78.pox".parse().expect("legal");
        let expected = format!("0616{}03706f78", "00".repeat(20));
        assert_eq!(hex::encode(principal.encode()), expected);
    }

    #[test]
    fn errors_say_what_was_expected() {
        let reason = |text: &str| text.parse::<Principal>().expect_err("illegal").reason;
        assert!(matches!(
            reason("SP000000000000000000002Q6VF79"),
            PrincipalReason::Checksum { .. }
        ));
        assert_eq!(
            reason("XP000000000000000000002Q6VF78"),
            PrincipalReason::Prefix
        );
        assert_eq!(
            reason("SP00000000000000000000!Q6VF78"),
            PrincipalReason::Alphabet
        );
        assert_eq!(reason("é"), PrincipalReason::Alphabet);
        assert_eq!(reason("S"), PrincipalReason::Alphabet);
        assert!(matches!(
            reason("SP000000000000000000002Q6VF78.1"),
            PrincipalReason::Name(_)
        ));
        assert_eq!(
            BOOT.parse::<ContractId>().expect_err("no name").reason,
            PrincipalReason::NotContract
        );
        let error = "SP000000000000000000002Q6VF79"
            .parse::<Principal>()
            .expect_err("checksum");
        assert!(error.to_string().contains("the checksum is"), "{error}");
    }

    #[test]
    fn a_version_that_c32_cannot_write_is_refused() {
        assert!(StandardPrincipal::new(31, [0; 20]).is_ok());
        assert!(StandardPrincipal::new(32, [0; 20]).is_err());
        let mut bytes = vec![5, 32];
        bytes.extend([0; 20]);
        let error = Principal::decode(&bytes).expect_err("version 32");
        assert_eq!(error.reason, DecodeReason::AddressVersion { found: 32 });
        assert_eq!(error.offset, 1);
    }

    #[test]
    fn serde_uses_the_text() {
        let principal: Principal = BOOT.parse().expect("legal");
        let json = serde_json::to_string(&principal).expect("text");
        assert_eq!(json, format!("{BOOT:?}"));
        assert_eq!(
            serde_json::from_str::<Principal>(&json).expect("text"),
            principal
        );
        assert!(serde_json::from_str::<Principal>("\"SP1\"").is_err());
    }
}
