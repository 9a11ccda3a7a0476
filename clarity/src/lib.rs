//! The language of the chain: Clarity values, SIP-005 transactions and the hashes around them.
//!
//! [`codec`] turns bytes into types and back. It is synchronous and pure: no clock, no I/O.

pub mod codec;
