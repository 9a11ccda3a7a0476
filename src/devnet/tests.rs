//! The devnet from outside.
