//! Badges that the service mints itself: once each, whatever happens.

mod faces;
mod guards;
mod store;
