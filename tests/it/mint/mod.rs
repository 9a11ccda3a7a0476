//! Badges that the service mints itself: once each, whatever happens.

mod attest;
mod faces;
mod guards;
#[cfg(feature = "devnet")]
mod live;
mod store;
#[cfg(feature = "devnet")]
mod told;
