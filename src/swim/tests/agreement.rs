//! The view and foca's own list say the same, whatever happens.
