//! Followers of the stream and receivers of webhooks end where the mirror is, whatever happens on the way.

mod admin;
pub mod client;
pub mod hooks;
mod resume;
mod story;
