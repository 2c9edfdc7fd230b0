//! The log as bytes, and what a crash leaves of it.
