//! Who may do what, and how often.
//!
//! A route says what it needs by the type of an argument: [`Reader`], [`Operator`] or [`Admin`]. Each is had only
//! by a caller of that role or a higher one; others are refused before the route begins. Who the caller is was
//! found out before, by [`known`], which puts a [`Caller`] among the request's extensions.

mod address;
mod guard;
mod key;
mod known;
mod limit;
mod token;

pub use crate::model::access::{Caller, CallerKind, Role};
pub use address::{Network, NoNetwork};
pub use guard::{Admin, Operator, Reader, Refusals, Schemes};
pub use key::{KEY_TTL, NoRandomness, ShownKey};
pub use known::{Access, AccessRules, KEY_HEADER, LIMIT, REMAINING, RESET, known};
pub use limit::{Rate, Verdict};
pub use token::{LONGEST_SECONDS, SHORTEST_SECRET, TokenError, TokenKeyError, TokenVerifier};
