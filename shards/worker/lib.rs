//! Runs tasks: outgoing http.
