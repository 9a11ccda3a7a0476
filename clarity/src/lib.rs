//! The language of the chain: Clarity values, SIP-005 transactions and the hashes around them; the
//! platform's contracts with their events; and, with the feature `devnet`, a chain that runs them.
//!
//! [`codec`] turns bytes into types and back. Everything is synchronous and pure: no clock, no I/O.

pub mod codec;
pub mod contracts;
pub mod events;
pub mod rng;
#[cfg(feature = "devnet")]
pub mod market;
#[cfg(feature = "devnet")]
pub mod model;
#[cfg(feature = "devnet")]
pub mod simnet;
