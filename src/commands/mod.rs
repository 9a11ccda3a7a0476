//! What each command does.

pub mod adopt;
pub mod audit;
pub mod backfill;
mod backfill_archive;
pub mod breaks;
mod breaks_report;
pub mod config;
pub mod contracts;
#[cfg(feature = "devnet")]
pub mod devnet;
pub mod deployments;
pub mod doctor;
pub mod gaps;
pub mod explain;
mod finality;
pub mod ledger;
pub mod keys;
pub mod migrate;
pub mod mint_key;
pub mod mint_signer;
pub mod mints;
mod progress;
pub mod rebuild;
pub mod reconcile;
pub mod reindex;
pub mod run;
pub mod status;
mod status_screen;
pub mod summary;
pub mod up;
#[cfg(feature = "devnet")]
mod up_devnet;
pub mod verify;
