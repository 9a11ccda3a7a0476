//! Minters in a simulated world: every fault that can be thought of, and two that never mint twice.

mod chain;
mod matrix_answers;
mod matrix_chain;
mod matrix_crashes;
mod matrix_operators;
mod memory;
mod node;
mod properties;
mod scene;
mod world;
