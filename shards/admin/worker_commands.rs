//! `distric-admin workers …`, and which plugins they have brought.

#[cfg(test)]
mod tests;

use crate::cluster_commands::{NODES, done};
use crate::server::Server;
use crate::table::{cell, plain, write_table};
use crate::{Trouble, ask};
use anyhow::{Context as _, anyhow};
use base::WorkerId;
use clap::Subcommand;
use serde_json::Value;
use std::io::{self, Write};

/// Where the workers are.
const WORKERS: &str = "/api/v1/workers";

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// The workers, and what waits for one. How they fare the leader alone knows: ask that node
    List,
    /// One worker: its tasks and plugins; asked of the leader, its lease, processors and memory too
    Show {
        /// Its id or its name, as `list` shows them
        worker: String,
    },
    /// Give it no more tasks: what it has it carries out. Holds for its later runs, too
    Drain {
        /// Its id or its name, as `list` shows them
        worker: String,
    },
    /// Give it tasks again
    Resume {
        /// Its id or its name, as `list` shows them
        worker: String,
    },
}

pub(crate) fn workers(
    command: &WorkersCommand,
    server: &Server,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let (worker, verb, is) = match command {
        WorkersCommand::List => {
            return ask(server, WORKERS, json, out, |list, out| {
                show_workers(list, out)?;
                // Who leads says what waits, if it is nothing.
                if list.get("waiting").is_some() {
                    Ok(())
                } else {
                    writeln!(out, "\n{}", where_to_ask(server))
                }
            });
        }
        WorkersCommand::Show { worker } => {
            let path = format!("{WORKERS}/{}", id_of(worker, server)?);
            return ask(server, &path, json, out, |worker, out| {
                show_worker(worker, out)?;
                if is_heard(worker) || is_gone(worker) {
                    Ok(())
                } else {
                    writeln!(out, "{}", where_to_ask(server))
                }
            });
        }
        WorkersCommand::Drain { worker } => {
            (worker, "drain", "gets no more tasks; what it has it does")
        }
        WorkersCommand::Resume { worker } => (worker, "resume", "gets tasks again"),
    };
    let answer = server.post(&format!("{WORKERS}/{}/{verb}", id_of(worker, server)?));
    done(answer, json, out, |_| format!("worker {worker} {is}"))
}

/// The id of the worker that is called so, or has that id.
fn id_of(called: &str, server: &Server) -> Result<WorkerId, Trouble> {
    if let Ok(id) = called.parse() {
        return Ok(id);
    }
    let list = server.get(WORKERS).map_err(Trouble::Node)?.value;
    named(called, &list).map_err(|error| Trouble::Input(Some(error)))
}

/// Of several with one name it is the one that is there.
fn named(name: &str, list: &Value) -> anyhow::Result<WorkerId> {
    let rows = list.get("workers").and_then(Value::as_array).into_iter().flatten();
    let all: Vec<&Value> = rows.filter(|row| row["name"] == name).collect();
    let there: Vec<&Value> = all.iter().copied().filter(|row| !is_gone(row)).collect();
    let ids = |rows: &[&Value]| {
        let ids: Vec<_> = rows.iter().map(|row| cell(row.get("worker"))).collect();
        ids.join(", ")
    };
    match (&*there, &*all) {
        ([one], _) | ([], [one]) => {
            let id = cell(one.get("worker"));
            id.parse().with_context(|| format!("the node's list has the worker `{id}`"))
        }
        ([], []) => Err(anyhow!(
            "there is no worker `{name}`: `distric-admin workers list` shows those that are known, \
             with id and name"
        )),
        ([], several) | (several, _) => {
            let count = several.len();
            Err(anyhow!(
                "{count} workers are called `{name}`: say which, by its id: {}",
                ids(several)
            ))
        }
    }
}

/// Whether the node asked has heard the worker itself: it leads.
fn is_heard(worker: &Value) -> bool {
    worker.get("connected").is_some()
}

/// Whether it belongs to the cluster no more: then nobody hears it.
fn is_gone(worker: &Value) -> bool {
    worker["state"] == "lost" || worker["state"] == "left"
}

/// What to do to know how workers fare. Asked another way, when the node asked does not lead.
fn where_to_ask(server: &Server) -> String {
    let told = server.get(NODES).map(|answer| answer.value).unwrap_or_default();
    let leader = |list: &str| {
        let mut rows = told.get(list).and_then(Value::as_array).into_iter().flatten();
        rows.find(|row| row["leader"] == true).cloned().unwrap_or_default()
    };
    let (node, http) = (leader("nodes"), leader("members"));
    let place = match (http["http"].as_str().filter(|http| !http.is_empty()), node.get("node")) {
        (Some(http), _) => format!("ask it with --server http://{http}"),
        (None, Some(node)) => format!("it is node {node}; name it with --server"),
        (None, None) => "none is known here".to_owned(),
    };
    format!("how they fare the leader alone knows: {}", plain(&place))
}

fn show_worker(worker: &Value, out: &mut dyn Write) -> io::Result<()> {
    let field = |name: &str| cell(worker.get(name));
    let (state, since) = (field("state"), field("since"));
    writeln!(out, "worker {} ({}): {state} since {since}", field("worker"), field("name"))?;
    let drained = worker["drained"] == true;
    let drained = if drained { "; drained by an operator: it gets no more" } else { "" };
    writeln!(out, "  tasks      {} of {}{drained}", field("running"), field("capacity"))?;
    writeln!(out, "  plugins    {}", cell(Some(&plugins_of(worker))))?;
    let zone = worker["zone"].as_str().filter(|zone| !zone.is_empty());
    let zone = zone.map(|_| format!(", zone {}", field("zone"))).unwrap_or_default();
    let address = worker["address"].as_str().filter(|address| !address.is_empty());
    let address = address.map_or("none told".to_owned(), |_| field("address"));
    writeln!(out, "  address    {address}{zone}")?;
    if !is_heard(worker) {
        return Ok(());
    }
    let connected = if worker["connected"] == true { "connected" } else { "NOT connected" };
    let suspected = if worker["suspected"] == true { ", gossip suspects it" } else { "" };
    writeln!(out, "  link       {connected}{suspected}")?;
    match worker["lease_left_ms"].as_u64() {
        Some(left) => writeln!(out, "  lease      {}.{} s left", left / 1_000, left % 1_000 / 100)?,
        None => writeln!(out, "  lease      none")?,
    }
    let busy = worker["cpu_permille"].as_u64().unwrap_or_default();
    let (whole, tenth) = (busy / 10, busy % 10);
    writeln!(
        out,
        "  machine    its processors are {whole}.{tenth} % busy, with all that runs there"
    )?;
    let bytes = worker["memory_bytes"].as_u64().unwrap_or_default();
    writeln!(out, "  memory     {} MiB, its plugins' processes together", bytes.div_ceil(1 << 20))
}

fn plugins_of(worker: &Value) -> Value {
    let plugins = worker["plugins"].as_array().into_iter().flatten();
    let text = |plugin: &Value, key| cell(plugin.get(key));
    let name =
        |plugin| Value::String(format!("{} {}", text(plugin, "name"), text(plugin, "version")));
    plugins.map(name).collect()
}

/// `GET /api/v1/plugins`
pub(crate) fn plugins(server: &Server, json: bool, out: &mut dyn Write) -> Result<(), Trouble> {
    ask(server, "/api/v1/plugins", json, out, |list, out| {
        let columns =
            [("PLUGIN", "name"), ("VERSION", "version"), ("ABI", "abi"), ("WORKERS", "workers")];
        write_table(out, &columns, list.get("plugins"))
    })
}

fn show_workers(list: &Value, out: &mut dyn Write) -> io::Result<()> {
    let mut rows = list.get("workers").cloned().unwrap_or_default();
    for row in rows.as_array_mut().into_iter().flatten() {
        let tasks = format!("{}/{}", cell(row.get("running")), cell(row.get("capacity")));
        row["plugins"] = plugins_of(row);
        row["tasks"] = Value::String(tasks);
    }
    let columns = [
        ("WORKER", "worker"),
        ("NAME", "name"),
        ("STATE", "state"),
        ("SINCE", "since"),
        ("TASKS", "tasks"),
        ("CONNECTED", "connected"),
        ("SUSPECTED", "suspected"),
        ("ZONE", "zone"),
        ("ADDRESS", "address"),
        ("PLUGINS", "plugins"),
    ];
    write_table(out, &columns, Some(&rows))?;
    let waiting = list.get("waiting").and_then(Value::as_array);
    if waiting.is_some_and(|waiting| !waiting.is_empty()) {
        writeln!(out)?;
        let columns = [("WAITS FOR", "plugin"), ("TASKS", "count"), ("OLDEST (ms)", "oldest_ms")];
        write_table(out, &columns, list.get("waiting"))?;
    }
    Ok(())
}
