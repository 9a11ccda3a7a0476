//! The type prefixes of consensus serialization (SIP-005; clarity-vm `TypePrefix`).

pub(crate) const INT: u8 = 0x00;
pub(crate) const UINT: u8 = 0x01;
pub(crate) const BUFFER: u8 = 0x02;
pub(crate) const TRUE: u8 = 0x03;
pub(crate) const FALSE: u8 = 0x04;
pub(crate) const STANDARD_PRINCIPAL: u8 = 0x05;
pub(crate) const CONTRACT_PRINCIPAL: u8 = 0x06;
pub(crate) const OK: u8 = 0x07;
pub(crate) const ERR: u8 = 0x08;
pub(crate) const NONE: u8 = 0x09;
pub(crate) const SOME: u8 = 0x0a;
pub(crate) const LIST: u8 = 0x0b;
pub(crate) const TUPLE: u8 = 0x0c;
pub(crate) const ASCII: u8 = 0x0d;
pub(crate) const UTF8: u8 = 0x0e;
