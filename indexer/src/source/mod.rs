//! Where payloads come from.
//!
//! Every source fills the inbox with payloads in the form of a node's observer, and decides nothing: what a block
//! means is the pipeline's business. [`observer`] is posted to; [`archive`] reads files; the others are asked, through
//! [`pull::Pull`].

pub mod api;
pub mod archive;
pub mod http;
mod http_date;
pub mod node;
pub mod metrics;
pub mod observer;
pub mod pull;
pub mod sync;
pub mod recording;
