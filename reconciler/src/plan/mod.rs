//! Two snapshots in, their differences out. Pure.
//!
//! A snapshot is a stream of keys, each with a digest of the state that the key has on that side, sorted
//! by key. [`compare()`] walks two of them at once: it looks at every entry once, holds one entry and one
//! key of each side, and needs neither side in memory.

mod compare;
#[cfg(test)]
mod tests;

pub use compare::{Compare, CompareError, Difference, Entry, Side, compare};
