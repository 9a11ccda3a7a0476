//! The reconciler: who is wrong, by how much, since when.
//!
//! Everything here is pure: a moment ([`anchor`]), what a rule may say ([`rule`]), the life of what it found
//! ([`breaks`]), and the bytes on which that rests ([`evidence`]). [`plan`] compares two sorted snapshots of any size.
//! [`ledger`] keeps the DAO's books; its modules say which of them reach out.

pub mod anchor;
pub mod breaks;
pub mod evidence;
pub mod ledger;
pub mod plan;
pub mod platform;
pub mod rule;
pub mod rules;
