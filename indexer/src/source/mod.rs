//! Where payloads come from.

pub mod observer;
