//! The journal against a disk that loses whatever it may.

mod crash;
mod damage;
mod disk;
mod world;
