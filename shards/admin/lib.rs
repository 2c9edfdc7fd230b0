//! What operators call: `distric-admin`.
