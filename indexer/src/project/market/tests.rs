//! Events of the contracts, by hand, and what the projections say of them.
