//! The platform's contracts, executed: what they do, what they refuse, and what they can never do.

mod error_codes;
mod governance;
mod life;
mod lint;
mod weaknesses;
mod world;
