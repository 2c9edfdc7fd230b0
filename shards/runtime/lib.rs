//! The only door to glommio: cores, mesh, listeners, streams, log files, timers, shutdown.
