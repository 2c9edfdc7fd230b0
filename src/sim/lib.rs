//! A world to run nodes in: virtual time, a lying disk, crashes, from one seed.
