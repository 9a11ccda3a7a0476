//! Badges that the service mints itself: once each, whatever happens.

#[cfg(all(feature = "devnet", debug_assertions))]
mod crash;
#[cfg(feature = "devnet")]
mod ended;
mod faces;
mod guards;
#[cfg(feature = "devnet")]
mod live;
mod store;
