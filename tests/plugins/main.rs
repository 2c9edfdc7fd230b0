//! Plugins in processes of the real binary: what they do right, and everything that they can do
//! wrong. Each wrong is an error of its task, and the host goes on.
//!
//! The fixtures are C, compiled when a test needs them. Without a C compiler these tests say so and
//! are skipped.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot do its part fails its test")]

mod check;
mod examples;
mod fixture;
mod guide;
mod loading;
mod sandbox;
mod tasks;
