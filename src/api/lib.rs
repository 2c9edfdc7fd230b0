//! REST as values: what a request asks for, what an answer looks like. Bytes in, bytes out; sockets
//! are `ingress`'s, what is answered is decided by `engine`.
//!
//! - [`route`] tells what a method and a path ask for, [`Route`];
//! - [`check_json`], [`split_batch`], [`key_of`] read the parts of a submission;
//! - [`write_answer`], [`BatchAnswer`] and the views write the bodies of answers;
//! - [`ApiError`] is every refusal, with a code that programs can rely on.
//!
//! Invariants:
//! - nothing here panics on what a client sends;
//! - the path of a submission allocates nothing but what its buffers need to grow;
//! - a refusal is `{"error", "detail", "hint"}`, in JSON, and its code never changes its status.

mod answer;
mod batch;
mod error;
mod page;
mod request;
mod response;
mod route;
mod view;

pub use answer::{BatchAnswer, Outcome, write_answer, write_message_id};
pub use batch::{BatchLine, split_batch};
pub use error::{ApiError, Code, Fault};
pub use page::{Cursor, EventsQuery, InstancesQuery, LIMIT_DEFAULT, LIMIT_MAX, Status, WAIT_MAX};
pub use request::{
    BATCH_KEY_BYTES_MAX, DocumentFormat, Method, Request, USER_BYTES_MAX, USER_HEADER,
    batch_key_of, check_json, document_format, key_of, user_of, write_line_key,
};
pub use response::{ContentType, Response};
pub use route::{DOCUMENT_BYTES_MAX, Route, SET_BYTES_MAX, route};
pub use telemetry::{TraceContext, json, write_time};
pub use view::{
    CatalogueChange, CatalogueEvent, CatalogueReplaced, ChecksumView, ClusterStatus, CoreStatus,
    DefinitionSummary, DefinitionsView, EventKind, EventView, EventsView, GroupChanged,
    InstanceSummary, InstancesView, KeyedStart, MemberView, MessageView, NodeChecksum,
    NodeProgress, NodeView, NodesView, PluginOf, PluginView, PluginsView, RuleMatch, RuleSummary,
    RulesView, Standing, VersionHow, VersionSummary, VersionsView, WaitingView, WorkerDrained,
    WorkerEvent, WorkerHeard, WorkerState, WorkerView, WorkersView,
};

#[cfg(test)]
mod guide {
    mod tests;
}
