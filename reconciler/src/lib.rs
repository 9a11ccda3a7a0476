//! The reconciler: who is wrong, by how much, since when.
//!
//! What decides is pure: a moment ([`anchor`]), what a rule may say ([`rule`], [`rules`]), the life of what it found
//! ([`breaks`]), and the bytes on which that rests ([`evidence`]).
//! Around it, [`platform::postgres`] reads the platform, and [`engine`] carries runs out.
//! [`adopt`] links a platform that ran before the mirror did.
//! [`ledger`] keeps the DAO's books; its modules say which of them reach out.

pub mod adopt;
pub mod anchor;
pub mod breaks;
pub mod engine;
pub mod evidence;
pub mod ledger;
pub mod mint;
pub mod platform;
pub mod rule;
pub mod rules;
