//! What each command does.

pub mod config;
pub mod migrate;
pub mod rebuild;
pub mod run;
pub mod status;
pub mod up;
pub mod verify;
