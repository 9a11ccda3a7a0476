//! Placeholder while the scenario is written below.
