//! Thirty weaknesses that escrow contracts of this kind have had, each tried on these.

mod data;
mod funds;
mod governance;
mod view;
