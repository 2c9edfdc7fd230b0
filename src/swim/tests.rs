//! Whole clusters in one thread: virtual time, a network that loses, delays and is cut, nodes that
//! stall, crash and come back, all from one seed.

use crate as gossip;

mod agreement;
mod cluster;
mod frames;
mod proof;
mod searching;
mod world;
