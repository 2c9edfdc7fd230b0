//! Accepts clients: HTTP.
