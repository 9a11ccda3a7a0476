//! Thirty weaknesses that escrow contracts of this kind have had, each tried on these; and what a review found in these.

mod beyond;
mod data;
mod funds;
mod governance;
mod view;
