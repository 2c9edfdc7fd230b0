//! Metric cells and registry, Prometheus text, log lines, health; pure.
