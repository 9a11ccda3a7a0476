//! Badges that the service mints itself: once each, whatever happens.

mod guards;
