//! The bodies of answers to queries. A view borrows what the engine has and writes it; nothing is
//! copied in between, and no field is named twice in the house.

mod catalogue;
mod cluster;
mod event;
mod instance;
mod message;
mod worker;

pub use catalogue::{
    CatalogueChange, CatalogueReplaced, DefinitionSummary, DefinitionsView, RuleSummary, RulesView,
    VersionHow, VersionSummary, VersionsView,
};
pub use cluster::{
    ChecksumView, ClusterStatus, CoreStatus, GroupChanged, MemberView, NodeChecksum, NodeProgress,
    NodeView, NodesView, Standing,
};
pub use event::{CatalogueEvent, EventKind, EventView, EventsView, WorkerEvent};
pub use instance::{InstanceSummary, InstancesView};
pub use message::{KeyedStart, MessageView, RuleMatch};
pub use worker::{
    PluginOf, PluginView, PluginsView, WaitingView, WorkerDrained, WorkerHeard, WorkerState,
    WorkerView, WorkersView,
};

#[cfg(test)]
mod tests;
