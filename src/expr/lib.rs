//! The expression language in `${ }`: parsed once, checked, evaluated over values.
