//! Between this crate's values and the machine's, by way of the bytes that both agree on.

use clarity::vm::Value as VmValue;
use clarity::vm::types::{PrincipalData, QualifiedContractIdentifier, StandardPrincipalData};

use crate::codec::{ContractId, Principal, StandardPrincipal, Value};

/// A value that the machine cannot hold, or one of the machine's that is no value on a chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a value of the machine: {0}")]
pub struct ConvertError(pub(super) String);

/// The machine's form of serialised bytes.
pub(super) fn to_machine(bytes: &[u8]) -> Result<VmValue, ConvertError> {
    VmValue::try_deserialize_bytes_untyped(&bytes.to_vec()).map_err(|e| ConvertError(e.to_string()))
}

/// The bytes of a value of the machine.
pub(super) fn to_bytes(value: &VmValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector cannot fail.
    let _ = value.serialize_write(&mut bytes);
    bytes
}

/// A value of the machine as this crate's.
pub(super) fn from_machine(value: &VmValue) -> Result<Value, ConvertError> {
    Value::decode_exact(&to_bytes(value)).map_err(|e| ConvertError(e.to_string()))
}

fn standard(address: &StandardPrincipal) -> StandardPrincipalData {
    StandardPrincipalData(address.version(), *address.hash160())
}

pub(super) fn contract(id: &ContractId) -> QualifiedContractIdentifier {
    QualifiedContractIdentifier::new(standard(&id.issuer), id.name.as_str().into())
}

pub(super) fn principal(principal: &Principal) -> PrincipalData {
    match principal {
        Principal::Standard(address) => PrincipalData::Standard(standard(address)),
        Principal::Contract(id) => PrincipalData::Contract(contract(id)),
    }
}
