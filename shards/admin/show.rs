//! What a node says, for people.

use crate::table::{at, cell, write_table};
use serde_json::Value;
use std::io::{self, Write};

/// `GET /api/v1/cluster/status`
pub(crate) fn cluster_status(status: &Value, out: &mut dyn Write) -> io::Result<()> {
    let field = |name| cell(at(status, name));
    let uptime = status.get("uptime_seconds").and_then(Value::as_u64).unwrap_or_default();
    writeln!(out, "node {}: {} in term {}", field("node"), field("role"), field("term"))?;
    writeln!(out, "  version    {}, up {}", field("version"), duration(uptime))?;
    writeln!(out, "  cluster    {}, leader {}", field("cluster_id"), field("leader"))?;
    writeln!(out, "  store      {}", field("store_id"))?;
    writeln!(
        out,
        "  log        committed {}, applied {}",
        field("commit_index"),
        field("applied_index")
    )?;
    writeln!(out, "  formats    level {}", field("format_level"))?;
    writeln!(out, "  catalogue  version {}", field("catalogue_version"))?;
    writeln!(out, "  partitions {}", field("partitions"))?;
    writeln!(out)?;
    nodes(status, out)?;
    writeln!(out)?;
    let columns = [
        ("CORE", "core"),
        ("CPU", "cpu"),
        ("ROLES", "roles"),
        ("PARTITIONS", "partitions"),
        ("CONNECTIONS", "connections"),
        ("RUNNING", "instances_running"),
    ];
    write_table(out, &columns, status.get("cores"))
}

/// `GET /api/v1/cluster/nodes`
pub(crate) fn nodes(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns = [
        ("NODE", "node"),
        ("STANDING", "standing"),
        ("LEADER", "leader"),
        ("ADDRESS", "address"),
        ("STORE", "store_id"),
        ("MATCH", "match_index"),
        ("LAG", "lag"),
        ("HEARD", "heard"),
        ("SNAPSHOT", "snapshot"),
    ];
    write_table(out, &columns, list.get("nodes"))?;
    if let Some(why) = list.get("progress_absent") {
        writeln!(out, "how far they are is not known: {}", cell(Some(why)))?;
    }
    writeln!(out)?;
    if let Some(why) = list.get("members_absent") {
        return writeln!(out, "who else is there is not known: {}", cell(Some(why)));
    }
    members(list, out)
}

/// Everybody, as gossip knows them.
fn members(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns = [
        ("NAME", "name"),
        ("NODE", "node"),
        ("WORKER", "worker"),
        ("ROLES", "roles"),
        ("STATE", "state"),
        ("SINCE", "since"),
        ("LEADER", "leader"),
        ("LOAD", "load_permille"),
        ("CAPACITY", "capacity"),
        ("ZONE", "zone"),
        ("HTTP", "http"),
        ("GOSSIP", "gossip"),
        ("VERSIONS", "versions"),
    ];
    write_table(out, &columns, list.get("members"))
}

/// `POST /api/v1/cluster/checksum`
pub(crate) fn checksum(compared: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns = [("NODE", "node"), ("CHECKSUM", "checksum"), ("MISSING", "missing")];
    write_table(out, &columns, compared.get("nodes"))?;
    let nodes = compared.get("nodes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let missing = nodes.iter().filter(|node| node.get("checksum").is_none()).count();
    let index = cell(compared.get("index"));
    match compared.get("equal") {
        Some(Value::Bool(true)) => writeln!(out, "all nodes are equal at entry {index}"),
        _ if compared.get("index").is_none_or(Value::is_null) => {
            writeln!(out, "nothing was compared: the node asked has not come to the place")
        }
        _ if missing > 0 => writeln!(out, "not known: {missing} of {} are missing", nodes.len()),
        _ => writeln!(out, "THE NODES DIFFER at entry {index}"),
    }
}

/// `GET /api/v1/rules`
pub(crate) fn rules(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns = [
        ("PRIORITY", "priority"),
        ("ID", "id"),
        ("VERSION", "version"),
        ("ENABLED", "enabled"),
        ("WORKFLOWS", "workflows"),
    ];
    write_table(out, &columns, list.get("rules"))?;
    writeln!(out, "catalogue version {}", cell(list.get("version")))
}

/// `GET /api/v1/rules/{id}/versions`, and of a definition
pub(crate) fn versions(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns =
        [("VERSION", "version"), ("ACTION", "action"), ("TO", "to"), ("AT", "at"), ("BY", "by")];
    write_table(out, &columns, list.get("versions"))
}

/// `GET /api/v1/definitions`
pub(crate) fn definitions(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let columns = [("ID", "id"), ("VERSION", "version"), ("TASKS", "tasks")];
    write_table(out, &columns, list.get("definitions"))?;
    writeln!(out, "catalogue version {}", cell(list.get("version")))
}

/// An instance in a list.
const INSTANCE_COLUMNS: [(&str, &str); 6] = [
    ("INSTANCE", "instance"),
    ("WORKFLOW", "workflow"),
    ("VERSION", "version"),
    ("STATUS", "status"),
    ("STARTED", "started_at"),
    ("ENDED", "ended_at"),
];

/// `GET /api/v1/workflows`
pub(crate) fn instances(page: &Value, out: &mut dyn Write) -> io::Result<()> {
    write_table(out, &INSTANCE_COLUMNS, page.get("workflows"))?;
    if let Some(next) = page.get("next").filter(|next| !next.is_null()) {
        writeln!(out, "there are more: --after {}", cell(Some(next)))?;
    }
    Ok(())
}

/// `GET /api/v1/workflows/{instance}`
pub(crate) fn instance(instance: &Value, out: &mut dyn Write) -> io::Result<()> {
    let field = |name| cell(at(instance, name));
    writeln!(
        out,
        "instance {}: {} version {}, {}",
        field("instance"),
        field("workflow"),
        field("version"),
        field("status")
    )?;
    writeln!(out, "  started {}, ended {}", field("started_at"), field("ended_at"))?;
    if at(instance, "error.code").is_some() {
        writeln!(
            out,
            "  error   in {}: {}: {}",
            field("error.task"),
            field("error.code"),
            field("error.message")
        )?;
    }
    writeln!(out, "  output  {}", field("output"))?;
    writeln!(out)?;
    let columns = [
        ("TASK", "id"),
        ("TYPE", "type"),
        ("STATUS", "status"),
        ("ATTEMPTS", "attempts"),
        ("STARTED", "started_at"),
        ("ENDED", "ended_at"),
        ("ERROR", "error.code"),
        ("OUTPUT", "output"),
    ];
    write_table(out, &columns, instance.get("tasks"))?;
    for task in instance.get("tasks").and_then(Value::as_array).into_iter().flatten() {
        let id = cell(at(task, "id"));
        if let Some(what) = at(task, "waits_for") {
            writeln!(out, "{id} waits for {}", cell(Some(what)))?;
        }
        if let Some(worker) = at(task, "worker") {
            writeln!(out, "{id} is with worker {}", cell(Some(worker)))?;
        }
    }
    writeln!(out)?;
    let columns = [
        ("AT", "at"),
        ("TASK", "task"),
        ("ATTEMPT", "attempt"),
        ("STATUS", "status"),
        ("REASON", "reason"),
    ];
    write_table(out, &columns, instance.get("history"))?;
    let forgotten = instance.get("history_forgotten").and_then(Value::as_u64).unwrap_or_default();
    if forgotten > 0 {
        writeln!(out, "{forgotten} earlier transitions are no longer kept")?;
    }
    Ok(())
}

/// `GET /api/v1/messages/{id}`
pub(crate) fn message(message: &Value, out: &mut dyn Write) -> io::Result<()> {
    let field = |name| cell(at(message, name));
    writeln!(out, "message {}: {}", field("message_id"), field("status"))?;
    writeln!(out, "  accepted {}", field("accepted_at"))?;
    if message.get("idempotency_key").is_some() {
        writeln!(out, "  key      {}", field("idempotency_key"))?;
    }
    writeln!(out, "  body     {}", field("message"))?;
    writeln!(out)?;
    let columns = [("RULE", "rule"), ("VERSION", "version"), ("WORKFLOWS", "workflows")];
    write_table(out, &columns, message.get("rules"))?;
    writeln!(out)?;
    write_table(out, &INSTANCE_COLUMNS, message.get("instances"))?;
    let Some(keyed) = message.get("keyed") else { return Ok(()) };
    writeln!(out)?;
    write_table(out, &[("WORKFLOW", "workflow"), ("FOR THE KEY", "key")], Some(keyed))
}

/// `GET /api/v1/log`
pub(crate) fn log_filter(filter: &Value, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", cell(filter.get("filter")))
}

/// A time span in the two largest units that it has.
fn duration(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min {rest} s")
    } else {
        format!("{rest} s")
    }
}

#[cfg(test)]
mod tests;
