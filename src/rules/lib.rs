//! Which rules a message wakes: catalogue and matcher.
