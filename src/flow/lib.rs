//! The workflow state machine: definition, graph, instance.
//!
//! [`parse`] reads workflows and checks them. [`Instance::start`] begins a run of one and carries
//! it as far as it goes without the outside; what is left comes out as [`Effect`]s, and comes back
//! through the `on_…` calls. An instance is a part of replicated state: the same calls give the
//! same instance and the same effects on every node, so it is called from `apply` alone.
//!
//! ```
//! # use base::{InstanceId, MessageId, Outbox, PartitionId, UnixMicros};
//! # use flow::{Instance, InstanceStatus, Start};
//! let text = "
//! workflow:
//!   id: greet
//!   tasks:
//!     - { id: words, type: transform, with: { text: 'hello ${ input.name }' } }
//!     - { id: say, type: log, depends_on: [words], with: { message: '${ tasks.words.output.text }' } }
//! ";
//! let source = document::Source { name: "greet.yaml", text };
//! let definitions = flow::parse(source, flow::Plugins::Any)?;
//! let mut out = Outbox::new();
//! let start = Start {
//!     id: InstanceId { message: MessageId::new(PartitionId(0), 1), ordinal: 1 },
//!     definition: &definitions[0],
//!     message: expr::Value::map([("name", "Ada".into())]),
//!     params: expr::Value::Null,
//!     now: UnixMicros(1),
//!     timeout: None,
//!     retry: None,
//! };
//! let instance = Instance::start(start, &mut out);
//! assert_eq!(instance.status(), InstanceStatus::Completed);
//! # Ok::<(), document::Faults>(())
//! ```
//!
//! # Invariants
//! - Every call ends: a graph has no cycle, attempts and timers are bounded.
//! - Nothing here reads a clock or rolls a die; jitter is a hash of instance, task and attempt.

mod definition;
mod effect;
mod expressions;
mod graph;
mod history;
mod http;
mod image;
mod instance;
mod load;
mod retry;
mod rfc3339;
mod run;
mod scope;
mod status;
mod step;
mod types;
mod view;

pub use definition::{Definition, Level, OnFailure, RunIf, Task, TaskIndex};
pub use effect::{
    ERROR_CODE_BYTES_MAX, ERROR_MESSAGE_BYTES_MAX, Effect, LogLine, Order, OrderKind, Outcome,
    PluginCall, TIMEOUT_CODE, TaskError, WORKER_LOST_CODE,
};
pub use graph::TASKS_MAX;
pub use history::{Change, HISTORY_STEPS_MAX, Step};
pub use http::{
    BODY_BYTES_MAX, HttpRequest, TIMEOUT_DEFAULT as HTTP_TIMEOUT_DEFAULT, response as http_result,
};
pub use image::{IMAGE_VERSION, ImageError};
pub use instance::{Failure, INSTANCE_BYTES_MAX, Instance, LOSSES_MAX, OUTPUT_BYTES_MAX, Start};
pub use load::{DEFINITION_BYTES_MAX, WORKFLOWS_MAX, parse};
pub use retry::{Backoff, Jitter, RETRIES_MAX, Retry};
pub use rfc3339::rfc3339;
pub use status::{InstanceStatus, TaskStatus};
pub use types::{Plugins, is_plugin_name};
pub use view::Holders;
