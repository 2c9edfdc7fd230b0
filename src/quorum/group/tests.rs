//! The group in a world of one thread: nodes, disks and a network that are as bad as the seed says.

mod chaos;
mod checker;
mod filters;
mod lone;
mod machine;
mod scenarios;
mod world;
