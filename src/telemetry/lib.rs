//! What a node says about itself, as values: metric cells and the Prometheus text made of them,
//! log lines, health. Who owns a clock, a socket or a thread hands in time and takes out bytes.
//!
//! Invariants:
//! - no lock, no atomic and no allocation when a cell is updated or a line is put into its buffer;
//! - what is full drops and counts, it never grows and never waits.

pub mod json;
mod time;

pub use time::write_time;
