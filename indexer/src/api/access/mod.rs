//! Who may do what.
//!
//! A route says what it needs by the type of an argument: [`Reader`], [`Operator`] or [`Admin`]. Each is had only
//! by a caller of that role or a higher one; others are refused before the route begins. Who the caller is was
//! found out before, by [`known`], which puts a [`Caller`] among the request's extensions.

mod guard;

pub use crate::model::access::{Caller, CallerKind, Role};
pub use guard::{Admin, Operator, Reader, Refusals, Schemes};
