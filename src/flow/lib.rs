//! The workflow state machine: definition, graph, instance.
