//! The journal against a disk that loses whatever it may.

mod crash;
mod damage;
mod disk;
mod installed;
pub(crate) mod rig;
pub(crate) mod world;
