//! Followers of the stream and receivers of webhooks end where the mirror is, whatever happens on the way.

mod admin;
mod client;
mod hooks;
mod resume;
mod story;
