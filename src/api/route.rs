//! What a method and a path ask for.
//!
//! Invariants:
//! - the two paths of submission are matched before anything else and allocate nothing;
//! - a path that exists answers a wrong method with 405 and what it allows, never with 404;
//! - no path, query or id makes this panic.

use crate::error::{ApiError, Code, quoted};
use crate::page::{EventsQuery, InstancesQuery, LIMIT_MAX, WAIT_MAX};
use crate::request::Method;
use base::limits::{BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX};
use base::{InstanceId, MessageId, NodeId, WorkerId};
use std::borrow::Cow;
use std::time::Duration;

/// The largest rule or workflow file of one request. Unit: bytes. It becomes one record of the log,
/// whose entries hold four of them.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(DOCUMENT_BYTES_MAX * 4 <= base::limits::ENTRY_BYTES_MAX);

/// The largest set of all rules. Unit: bytes. Only what it changes goes into the log.
pub const SET_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `POST /api/v1/messages`
    SubmitMessage,
    /// `POST /api/v1/messages:batch`
    SubmitBatch,
    /// `GET /api/v1/messages/{id}`
    Message(MessageId),
    /// `GET /api/v1/workflows?status=&workflow=&limit=&after=`
    Instances(InstancesQuery),
    /// `GET /api/v1/workflows/{instance}`
    Instance(InstanceId),
    /// `POST /api/v1/workflows/{instance}/cancel`
    CancelInstance(InstanceId),
    /// `GET /api/v1/rules`
    Rules,
    /// `GET /api/v1/rules/{id}`
    Rule(String),
    /// `POST /api/v1/rules`: adds or replaces all rules of the body
    PostRules,
    /// `PUT /api/v1/rules/{id}`: adds or replaces one
    PutRule(String),
    /// `PUT /api/v1/rules`: the rules of the body become all rules
    ReplaceRules,
    /// `DELETE /api/v1/rules/{id}`
    DeleteRule(String),
    /// `POST /api/v1/rules/{id}/enable`
    EnableRule(String),
    /// `POST /api/v1/rules/{id}/disable`
    DisableRule(String),
    /// `POST /api/v1/rules/{id}/rollback`
    RollBackRule(String),
    /// `GET /api/v1/rules/{id}/versions`
    RuleVersions(String),
    /// `GET /api/v1/rules/{id}/versions/{version}`
    RuleVersion(String, u32),
    /// `GET /api/v1/definitions`
    Definitions,
    /// `GET /api/v1/definitions/{id}`
    Definition(String),
    /// `POST /api/v1/definitions`: adds or replaces all workflows of the body
    PostDefinitions,
    /// `PUT /api/v1/definitions/{id}`: adds or replaces one
    PutDefinition(String),
    /// `DELETE /api/v1/definitions/{id}`
    DeleteDefinition(String),
    /// `POST /api/v1/definitions/{id}/rollback`
    RollBackDefinition(String),
    /// `GET /api/v1/definitions/{id}/versions`
    DefinitionVersions(String),
    /// `GET /api/v1/definitions/{id}/versions/{version}`
    DefinitionVersion(String, u32),
    /// `GET /api/v1/events?after=&limit=&wait=`
    Events(EventsQuery),
    /// `GET /api/v1/log`
    LogFilter,
    /// `PUT /api/v1/log`
    PutLogFilter,
    /// `GET /api/v1/cluster/status`
    ClusterStatus,
    /// `GET /api/v1/cluster/nodes`
    ClusterNodes,
    /// `POST /api/v1/cluster/nodes`: adds a node, which learns
    AddNode,
    /// `POST /api/v1/cluster/nodes/{id}/promote`: it votes from now on
    PromoteNode(NodeId),
    /// `DELETE /api/v1/cluster/nodes/{id}`
    RemoveNode(NodeId),
    /// `POST /api/v1/cluster/transfer`: another node is to lead
    TransferLead,
    /// `POST /api/v1/cluster/checksum`: whether all nodes have the same state
    Checksum,
    /// `GET /api/v1/workers`
    Workers,
    /// `GET /api/v1/workers/{id}`
    Worker(WorkerId),
    /// `POST /api/v1/workers/{id}/drain`: it gets no more tasks
    DrainWorker(WorkerId),
    /// `POST /api/v1/workers/{id}/resume`: it gets tasks again
    ResumeWorker(WorkerId),
    /// `GET /api/v1/plugins`
    Plugins,
    /// `GET /metrics`
    Metrics,
    /// `GET /health/live`
    Live,
    /// `GET /health/ready`
    Ready,
}

impl Route {
    /// The largest body that the route takes. Unit: bytes.
    pub fn body_bytes_max(&self) -> usize {
        match self {
            Self::SubmitMessage => MESSAGE_BYTES_MAX,
            Self::SubmitBatch => BATCH_BYTES_MAX,
            Self::PostRules | Self::PutRule(_) | Self::PostDefinitions | Self::PutDefinition(_) => {
                DOCUMENT_BYTES_MAX
            }
            Self::ReplaceRules => SET_BYTES_MAX,
            // Some clients send an empty object with everything.
            _ => 1024,
        }
    }

    /// The route's pattern, for metrics and logs: bounded in number, whatever clients ask for.
    pub fn pattern(&self) -> &'static str {
        match self {
            Self::SubmitMessage => "POST /api/v1/messages",
            Self::SubmitBatch => "POST /api/v1/messages:batch",
            Self::Message(_) => "GET /api/v1/messages/{id}",
            Self::Instances(_) => "GET /api/v1/workflows",
            Self::Instance(_) => "GET /api/v1/workflows/{id}",
            Self::CancelInstance(_) => "POST /api/v1/workflows/{id}/cancel",
            Self::Rules => "GET /api/v1/rules",
            Self::Rule(_) => "GET /api/v1/rules/{id}",
            Self::PostRules => "POST /api/v1/rules",
            Self::PutRule(_) => "PUT /api/v1/rules/{id}",
            Self::ReplaceRules => "PUT /api/v1/rules",
            Self::DeleteRule(_) => "DELETE /api/v1/rules/{id}",
            Self::EnableRule(_) => "POST /api/v1/rules/{id}/enable",
            Self::DisableRule(_) => "POST /api/v1/rules/{id}/disable",
            Self::RollBackRule(_) => "POST /api/v1/rules/{id}/rollback",
            Self::RuleVersions(_) => "GET /api/v1/rules/{id}/versions",
            Self::RuleVersion(..) => "GET /api/v1/rules/{id}/versions/{version}",
            Self::Definitions => "GET /api/v1/definitions",
            Self::Definition(_) => "GET /api/v1/definitions/{id}",
            Self::PostDefinitions => "POST /api/v1/definitions",
            Self::PutDefinition(_) => "PUT /api/v1/definitions/{id}",
            Self::DeleteDefinition(_) => "DELETE /api/v1/definitions/{id}",
            Self::RollBackDefinition(_) => "POST /api/v1/definitions/{id}/rollback",
            Self::DefinitionVersions(_) => "GET /api/v1/definitions/{id}/versions",
            Self::DefinitionVersion(..) => "GET /api/v1/definitions/{id}/versions/{version}",
            Self::Events(_) => "GET /api/v1/events",
            Self::LogFilter => "GET /api/v1/log",
            Self::PutLogFilter => "PUT /api/v1/log",
            Self::ClusterStatus => "GET /api/v1/cluster/status",
            Self::ClusterNodes => "GET /api/v1/cluster/nodes",
            Self::AddNode => "POST /api/v1/cluster/nodes",
            Self::PromoteNode(_) => "POST /api/v1/cluster/nodes/{id}/promote",
            Self::RemoveNode(_) => "DELETE /api/v1/cluster/nodes/{id}",
            Self::TransferLead => "POST /api/v1/cluster/transfer",
            Self::Checksum => "POST /api/v1/cluster/checksum",
            Self::Workers => "GET /api/v1/workers",
            Self::Worker(_) => "GET /api/v1/workers/{id}",
            Self::DrainWorker(_) => "POST /api/v1/workers/{id}/drain",
            Self::ResumeWorker(_) => "POST /api/v1/workers/{id}/resume",
            Self::Plugins => "GET /api/v1/plugins",
            Self::Metrics => "GET /metrics",
            Self::Live => "GET /health/live",
            Self::Ready => "GET /health/ready",
        }
    }
}

/// What `method` asks of `path`, with the `query` behind the `?` (empty when there is none).
pub fn route(method: Method, path: &str, query: &str) -> Result<Route, ApiError> {
    if method == Method::Post && query.is_empty() {
        if path == "/api/v1/messages" {
            return Ok(Route::SubmitMessage);
        }
        if path == "/api/v1/messages:batch" {
            return Ok(Route::SubmitBatch);
        }
    }
    route_any(method, path, query)
}

/// What a path names, whatever is to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target<'p> {
    Messages,
    Batch,
    Message(&'p str),
    Instances,
    Instance(&'p str),
    Cancel(&'p str),
    Rules,
    Rule(&'p str),
    RuleEnable(&'p str),
    RuleDisable(&'p str),
    RuleRollback(&'p str),
    RuleVersions(&'p str),
    RuleVersion(&'p str, &'p str),
    Definitions,
    Definition(&'p str),
    DefinitionRollback(&'p str),
    DefinitionVersions(&'p str),
    DefinitionVersion(&'p str, &'p str),
    Events,
    Log,
    ClusterStatus,
    Nodes,
    Node(&'p str),
    Promote(&'p str),
    Transfer,
    Checksum,
    Workers,
    Worker(&'p str),
    Drain(&'p str),
    Resume(&'p str),
    Plugins,
    Metrics,
    Live,
    Ready,
}

impl<'p> Target<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let Some(rest) = path.strip_prefix("/api/v1/") else {
            return match path {
                "/metrics" => Some(Self::Metrics),
                "/health/live" => Some(Self::Live),
                "/health/ready" => Some(Self::Ready),
                _ => None,
            };
        };
        let mut segments = rest.split('/');
        let collection = segments.next().unwrap_or_default();
        let (id, verb, version) = (segments.next(), segments.next(), segments.next());
        if segments.next().is_some() || id == Some("") {
            return None;
        }
        if let Some(version) = version {
            return match (collection, id?, verb?) {
                ("rules", id, "versions") => Some(Self::RuleVersion(id, version)),
                ("definitions", id, "versions") => Some(Self::DefinitionVersion(id, version)),
                ("cluster", "nodes", id) if version == "promote" => Some(Self::Promote(id)),
                _ => None,
            };
        }
        match (collection, id, verb) {
            ("messages", None, None) => Some(Self::Messages),
            ("messages:batch", None, None) => Some(Self::Batch),
            ("messages", Some(id), None) => Some(Self::Message(id)),
            ("workflows", None, None) => Some(Self::Instances),
            ("workflows", Some(id), None) => Some(Self::Instance(id)),
            ("workflows", Some(id), Some("cancel")) => Some(Self::Cancel(id)),
            ("rules", None, None) => Some(Self::Rules),
            ("rules", Some(id), None) => Some(Self::Rule(id)),
            ("rules", Some(id), Some("enable")) => Some(Self::RuleEnable(id)),
            ("rules", Some(id), Some("disable")) => Some(Self::RuleDisable(id)),
            ("rules", Some(id), Some("rollback")) => Some(Self::RuleRollback(id)),
            ("rules", Some(id), Some("versions")) => Some(Self::RuleVersions(id)),
            ("definitions", None, None) => Some(Self::Definitions),
            ("definitions", Some(id), None) => Some(Self::Definition(id)),
            ("definitions", Some(id), Some("rollback")) => Some(Self::DefinitionRollback(id)),
            ("definitions", Some(id), Some("versions")) => Some(Self::DefinitionVersions(id)),
            ("events", None, None) => Some(Self::Events),
            ("log", None, None) => Some(Self::Log),
            ("cluster", Some("status"), None) => Some(Self::ClusterStatus),
            ("cluster", Some("nodes"), None) => Some(Self::Nodes),
            ("cluster", Some("nodes"), Some(id)) if !id.is_empty() => Some(Self::Node(id)),
            ("cluster", Some("transfer"), None) => Some(Self::Transfer),
            ("cluster", Some("checksum"), None) => Some(Self::Checksum),
            ("workers", None, None) => Some(Self::Workers),
            ("workers", Some(id), None) => Some(Self::Worker(id)),
            ("workers", Some(id), Some("drain")) => Some(Self::Drain(id)),
            ("workers", Some(id), Some("resume")) => Some(Self::Resume(id)),
            ("plugins", None, None) => Some(Self::Plugins),
            _ => None,
        }
    }

    /// Whether it is about rules or definitions.
    fn is_of_catalogue(self) -> bool {
        matches!(
            self,
            Self::Rules
                | Self::Rule(_)
                | Self::RuleEnable(_)
                | Self::RuleDisable(_)
                | Self::RuleRollback(_)
                | Self::RuleVersions(_)
                | Self::RuleVersion(..)
                | Self::Definitions
                | Self::Definition(_)
                | Self::DefinitionRollback(_)
                | Self::DefinitionVersions(_)
                | Self::DefinitionVersion(..)
        )
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Messages
            | Self::Batch
            | Self::Cancel(_)
            | Self::RuleEnable(_)
            | Self::RuleDisable(_)
            | Self::RuleRollback(_)
            | Self::DefinitionRollback(_)
            | Self::Promote(_)
            | Self::Drain(_)
            | Self::Resume(_)
            | Self::Transfer
            | Self::Checksum => "POST",
            Self::Node(_) => "DELETE",
            Self::Rules => "GET, HEAD, POST, PUT",
            Self::Definitions | Self::Nodes => "GET, HEAD, POST",
            Self::Rule(_) | Self::Definition(_) => "GET, HEAD, PUT, DELETE",
            Self::Log => "GET, HEAD, PUT",
            _ => "GET, HEAD",
        }
    }
}

#[cold]
fn route_any(method: Method, path: &str, query: &str) -> Result<Route, ApiError> {
    let target = Target::of(path).ok_or_else(|| unknown_path(path))?;
    let method = if method == Method::Head { Method::Get } else { method };
    let found = match (target, method) {
        (Target::Messages, Method::Post) => Route::SubmitMessage,
        (Target::Batch, Method::Post) => Route::SubmitBatch,
        (Target::Message(id), Method::Get) => Route::Message(message_id(id)?),
        (Target::Instances, Method::Get) => return instances(query).map(Route::Instances),
        (Target::Instance(id), Method::Get) => Route::Instance(instance_id(id)?),
        (Target::Cancel(id), Method::Post) => Route::CancelInstance(instance_id(id)?),
        (target, method) if target.is_of_catalogue() => match catalogue(target, method) {
            Some(found) => found?,
            None => return Err(not_allowed(target, path)),
        },
        (Target::Events, Method::Get) => return events(query).map(Route::Events),
        (Target::Log, Method::Get) => Route::LogFilter,
        (Target::Log, Method::Put) => Route::PutLogFilter,
        (Target::ClusterStatus, Method::Get) => Route::ClusterStatus,
        (Target::Nodes, Method::Get) => Route::ClusterNodes,
        (Target::Nodes, Method::Post) => Route::AddNode,
        (Target::Node(id), Method::Delete) => Route::RemoveNode(node_id(id)?),
        (Target::Promote(id), Method::Post) => Route::PromoteNode(node_id(id)?),
        (Target::Transfer, Method::Post) => Route::TransferLead,
        (Target::Checksum, Method::Post) => Route::Checksum,
        (Target::Workers, Method::Get) => Route::Workers,
        (Target::Worker(id), Method::Get) => Route::Worker(worker_id(id)?),
        (Target::Drain(id), Method::Post) => Route::DrainWorker(worker_id(id)?),
        (Target::Resume(id), Method::Post) => Route::ResumeWorker(worker_id(id)?),
        (Target::Plugins, Method::Get) => Route::Plugins,
        // Probes and scrapers add parameters of their own: theirs are let through.
        (Target::Metrics, Method::Get) => return Ok(Route::Metrics),
        (Target::Live, Method::Get) => return Ok(Route::Live),
        (Target::Ready, Method::Get) => return Ok(Route::Ready),
        (target, _) => return Err(not_allowed(target, path)),
    };
    if query.is_empty() {
        Ok(found)
    } else {
        let detail = format!("`?{}`: {} takes no parameters", quoted(query), found.pattern());
        Err(ApiError::new(Code::BadQuery, detail).with_hint("leave out the `?` and what follows"))
    }
}

/// What is asked of rules or definitions; nothing when the target does not know the method.
fn catalogue(target: Target<'_>, method: Method) -> Option<Result<Route, ApiError>> {
    let (make, id): (fn(String) -> Route, &str) = match (target, method) {
        (Target::Rules, Method::Get) => return Some(Ok(Route::Rules)),
        (Target::Rules, Method::Post) => return Some(Ok(Route::PostRules)),
        (Target::Rules, Method::Put) => return Some(Ok(Route::ReplaceRules)),
        (Target::Definitions, Method::Get) => return Some(Ok(Route::Definitions)),
        (Target::Definitions, Method::Post) => return Some(Ok(Route::PostDefinitions)),
        (Target::RuleVersion(id, number), Method::Get) => {
            return Some(name(id).and_then(|id| Ok(Route::RuleVersion(id, version(number)?))));
        }
        (Target::DefinitionVersion(id, number), Method::Get) => {
            return Some(
                name(id).and_then(|id| Ok(Route::DefinitionVersion(id, version(number)?))),
            );
        }
        (Target::Rule(id), Method::Get) => (Route::Rule, id),
        (Target::Rule(id), Method::Put) => (Route::PutRule, id),
        (Target::Rule(id), Method::Delete) => (Route::DeleteRule, id),
        (Target::RuleEnable(id), Method::Post) => (Route::EnableRule, id),
        (Target::RuleDisable(id), Method::Post) => (Route::DisableRule, id),
        (Target::RuleRollback(id), Method::Post) => (Route::RollBackRule, id),
        (Target::RuleVersions(id), Method::Get) => (Route::RuleVersions, id),
        (Target::Definition(id), Method::Get) => (Route::Definition, id),
        (Target::Definition(id), Method::Put) => (Route::PutDefinition, id),
        (Target::Definition(id), Method::Delete) => (Route::DeleteDefinition, id),
        (Target::DefinitionRollback(id), Method::Post) => (Route::RollBackDefinition, id),
        (Target::DefinitionVersions(id), Method::Get) => (Route::DefinitionVersions, id),
        _ => return None,
    };
    Some(name(id).map(make))
}

fn not_allowed(target: Target<'_>, path: &str) -> ApiError {
    let allow = target.allow();
    let detail = format!("the path {} does not know this method", quoted(path));
    let mut error =
        ApiError::new(Code::MethodNotAllowed, detail).with_hint(format!("it knows {allow}"));
    error.allow = Some(allow);
    error
}

/// The version of a rule or a workflow.
fn version(segment: &str) -> Result<u32, ApiError> {
    segment.parse().ok().filter(|version| *version > 0).ok_or_else(|| {
        let detail = format!("`{}` is not a version", quoted(segment));
        ApiError::new(Code::BadId, detail).with_hint("a version is a number from 1 on")
    })
}

fn unknown_path(path: &str) -> ApiError {
    let error = ApiError::new(Code::UnknownPath, format!("there is no path {}", quoted(path)));
    let shorter = path.trim_end_matches('/');
    if shorter.len() < path.len() && Target::of(shorter).is_some() {
        let hint = format!("leave out the slash at the end: {}", quoted(shorter));
        return error.with_hint(hint);
    }
    error
}

fn message_id(text: &str) -> Result<MessageId, ApiError> {
    text.parse().map_err(|error: base::ParseIdError| bad_id(&error))
}

fn instance_id(text: &str) -> Result<InstanceId, ApiError> {
    text.parse().map_err(|error: base::ParseIdError| bad_id(&error))
}

fn worker_id(text: &str) -> Result<WorkerId, ApiError> {
    let found = text.parse();
    found.map_err(|error: base::ParseIdError| {
        bad_id(&error).with_hint("GET /api/v1/workers lists them, each with its id")
    })
}

fn node_id(text: &str) -> Result<NodeId, ApiError> {
    let found = text.parse().ok().filter(|number| *number > 0).map(NodeId);
    found.ok_or_else(|| {
        let detail = format!("`{}` is not a node's number", quoted(text));
        let hint = "a node is a number from 1 on; GET /api/v1/cluster/nodes lists them";
        ApiError::new(Code::BadId, detail).with_hint(hint)
    })
}

fn bad_id(error: &base::ParseIdError) -> ApiError {
    ApiError::new(Code::BadId, format!("`{}` is not an id", error.text))
        .with_hint(format!("an id here is {}", error.expected))
}

/// The id of a rule or a workflow, as its author wrote it.
fn name(segment: &str) -> Result<String, ApiError> {
    let decoded = percent_decoded(segment, false).ok_or_else(|| {
        let detail = format!("`{}` has a broken percent escape", quoted(segment));
        ApiError::new(Code::BadId, detail).with_hint("an escape is `%` and two hexadecimal digits")
    })?;
    if decoded.len() > NAME_BYTES_MAX {
        let bytes = decoded.len();
        let detail = format!("the id has {bytes} bytes, at most {NAME_BYTES_MAX} are allowed");
        return Err(ApiError::new(Code::BadId, detail));
    }
    Ok(decoded.into_owned())
}

fn instances(query: &str) -> Result<InstancesQuery, ApiError> {
    let mut found = InstancesQuery::default();
    parameters(query, &["status", "workflow", "key", "limit", "after"], |name, value| {
        match name {
            "status" => found.status = Some(value.parse()?),
            "workflow" => found.workflow = Some(value.into_owned()),
            "key" => found.key = Some(value.into_owned()),
            "limit" => found.limit = limit(&value)?,
            _ => found.after = Some(value.parse()?),
        }
        Ok(())
    })?;
    if found.key.is_some() && found.workflow.is_none() {
        let detail = "a key is one of a workflow's, and none is named";
        let hint = "add `workflow=` with the workflow's id";
        return Err(ApiError::new(Code::BadQuery, detail).with_hint(hint));
    }
    Ok(found)
}

fn events(query: &str) -> Result<EventsQuery, ApiError> {
    let mut found = EventsQuery::default();
    parameters(query, &["after", "limit", "wait"], |name, value| {
        match name {
            "after" => found.after = event_number(&value)?,
            "limit" => found.limit = limit(&value)?,
            _ => found.wait = wait(&value)?,
        }
        Ok(())
    })?;
    Ok(found)
}

/// Hands each parameter of `query` to `take`: its name, one of `names`, and its value, which is not
/// empty. `?status=`, as an empty form field sends it, asks for nothing.
fn parameters<'q>(
    query: &'q str,
    names: &[&str],
    mut take: impl FnMut(&str, Cow<'q, str>) -> Result<(), ApiError>,
) -> Result<(), ApiError> {
    let mut seen: Vec<Cow<'_, str>> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = percent_decoded(name, true).zip(percent_decoded(value, true));
        let Some((name, value)) = decoded else {
            let detail = format!("`{}` has a broken percent escape", quoted(pair));
            return Err(ApiError::new(Code::BadQuery, detail));
        };
        if !names.contains(&&*name) {
            let detail = format!("there is no parameter `{}`", quoted(&name));
            let hint = format!("the parameters are {}", names.join(", "));
            return Err(ApiError::new(Code::BadQuery, detail).with_hint(hint));
        }
        if seen.contains(&name) {
            let detail = format!("`{}` is given twice", quoted(&name));
            return Err(ApiError::new(Code::BadQuery, detail));
        }
        if !value.is_empty() {
            take(&name, value)?;
        }
        seen.push(name);
    }
    Ok(())
}

fn limit(text: &str) -> Result<u32, ApiError> {
    text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
        let detail = format!("limit=`{}` is not a number from 1 to {LIMIT_MAX}", quoted(text));
        ApiError::new(Code::BadQuery, detail)
    })
}

fn event_number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        let detail = format!("after=`{}` is not an event's number", quoted(text));
        let hint = "use `next` of the page before, unchanged";
        ApiError::new(Code::BadQuery, detail).with_hint(hint)
    })
}

/// `30s` or `500ms`.
fn wait(text: &str) -> Result<Duration, ApiError> {
    let found = [("ms", 1), ("s", 1_000)]
        .into_iter()
        .find_map(|(unit, ms)| text.strip_suffix(unit).map(|number| (number, ms)));
    let wait = found.and_then(|(number, ms)| number.parse::<u64>().ok()?.checked_mul(ms));
    let wait = wait.map(Duration::from_millis);
    wait.filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| {
        let detail =
            format!("wait=`{}` is not a time up to {} s", quoted(text), WAIT_MAX.as_secs());
        ApiError::new(Code::BadQuery, detail).with_hint("write it as `30s` or `500ms`")
    })
}

/// Adds `text` as the value of a query: every byte but letters, digits and `-._~` escaped.
pub(crate) fn percent_encoded(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// `text` without its percent escapes (and, in a query, with `+` as a space); nothing when an escape
/// is broken or the result is not UTF-8.
fn percent_decoded(text: &str, query: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || (query && b == b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).expect("two hexadecimal digits")
            }
            b'+' if query => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests;
