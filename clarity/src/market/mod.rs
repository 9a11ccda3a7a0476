//! A marketplace on a devnet: its actors, their contracts, and what they do.

mod keys;
mod sources;

pub(crate) use keys::secret_key;
pub use keys::{Actor, Conditions, call, deploy};
pub use sources::SOURCES;
