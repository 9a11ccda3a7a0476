//! The books: journals that are only ever added, and what is read of them.
//!
//! [`desk`] is the one way to write: it books what the outbox says since its watermark, in one transaction with the
//! watermark. What is booked is decided elsewhere; the rules that hold for every journal are held by the database.

mod append;
pub mod chain;
pub mod dao;
pub mod desk;
pub mod journal;
pub mod metrics;
mod net;
pub mod periods;
pub mod proof;
pub mod prove;
pub mod read;
pub mod seal;
pub mod statement;
pub mod types;

pub use net::Net;
pub use types::{Act, Booking, Kind, Line, Live, Side, Stamp, lines_text};
