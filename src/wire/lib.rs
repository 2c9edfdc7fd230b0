//! The binary protocol between nodes, and between nodes and their clients, as bytes: docs/WIRE.md.
