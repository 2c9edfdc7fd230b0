//! Every message, held to its golden bytes, and to what a peer may do to them.

mod allocation;
mod cases;
mod damage;
mod document;
mod evolution;
mod golden;
mod properties;
mod tree;
