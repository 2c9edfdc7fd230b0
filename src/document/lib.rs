//! YAML or JSON as one tree that knows file, line and column.
