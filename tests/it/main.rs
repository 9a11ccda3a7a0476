//! Scenarios over the whole daemon, on a real Postgres.

mod support;

mod smoke;
