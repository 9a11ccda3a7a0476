//! What each command does.

pub mod backfill;
pub mod config;
pub mod contracts;
#[cfg(feature = "devnet")]
pub mod devnet;
pub mod migrate;
pub mod rebuild;
pub mod run;
pub mod status;
pub mod summary;
pub mod up;
#[cfg(feature = "devnet")]
mod up_devnet;
pub mod verify;
