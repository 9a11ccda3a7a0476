//! The platform's rows, as its database gives them: text or nothing, cell by cell. What cannot be read is kept as it
//! is, with the reason, because a wrong cell is a finding and no failure.

mod cell;
pub mod postgres;
mod rows;
#[cfg(test)]
mod tests;

pub use cell::{Cell, Row};
pub use rows::{
    PlatformBadge, PlatformMilestone, PlatformProject, PlatformStatus, PlatformTransfer,
    PlatformUser,
};
