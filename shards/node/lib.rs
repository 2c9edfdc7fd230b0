//! Boots a node: options, config file, placement of roles on cores, wiring, signals.
