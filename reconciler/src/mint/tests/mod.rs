//! Minters in a simulated world: every fault that can be thought of, and two that never mint twice.

mod chain;
mod memory;
mod node;
mod properties;
mod scene;
mod world;
