//! `stxworx post`: sends a recording to an event observer the way a stacks-node does.
//!
//! What is done as the node does it (stacks-core, `stacks-node/src/event_dispatcher/worker.rs`):
//!
//! * one POST at a time, in order, HTTP/1.1 with `Content-Length` and `Connection: close`;
//! * only the status 200 counts as delivered, and only with a reply the node's own HTTP parser accepts
//!   ([`Refusal::Reply`]): 201 and 204 are failures;
//! * a payload that was not delivered is sent again, for ever, after 100 ms, doubled each time with up to
//!   100 ms of jitter, at most three times the timeout ([`node_backoff`]);
//! * the timeout covers connecting, sending and receiving together.
//!
//! An observer that is down is therefore not an error: `post` waits and says so. What a node does not do
//! by itself, but an observer has to survive, can be asked for: payloads out of order and sent twice
//! ([`Order`]), both repeatable by seed.

mod args;
mod backoff;
mod deliver;
mod latency;
mod options;
mod order;
mod progress;
mod reply;
mod run;

#[cfg(test)]
mod tests;

pub use args::{OutputFormat, PostArgs};
pub use backoff::node_backoff;
pub use deliver::Refusal;
pub use options::{ObserverUrl, PostError, PostOptions};
pub use order::{Delivery, Order, Ordered};
pub use progress::{LiveReport, PostProgress, PostState};
pub use run::{PostSummary, post, run};
