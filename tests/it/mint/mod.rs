//! Badges that the service mints itself: once each, whatever happens.

mod attest;
#[cfg(all(feature = "devnet", debug_assertions))]
mod crash;
#[cfg(feature = "devnet")]
mod ended;
mod faces;
mod guards;
#[cfg(feature = "devnet")]
mod live;
mod store;
#[cfg(feature = "devnet")]
mod told;
