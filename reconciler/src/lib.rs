//! The beginning of a reconciler: the comparison on which one can be built.
//!
//! [`plan`] compares two snapshots and names every difference. That is all there is. Nothing here reads
//! a database, runs on its own, or acts on what it finds; the `stxworx` command does not use it yet.
//!
//! `plan` is synchronous and pure: no clock, no I/O, no configuration, no SQL.

pub mod plan;
