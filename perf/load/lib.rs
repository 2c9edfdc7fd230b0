//! The bundled load generator: `distric-load`.
