//! `distric-admin workers …`, and which plugins they have brought.

#[cfg(test)]
mod tests;

use crate::cluster_commands::done;
use crate::server::{Server, encoded};
use crate::table::{cell, write_table};
use crate::{Trouble, ask};
use clap::Subcommand;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Where the workers are.
const WORKERS: &str = "/api/v1/workers";

#[derive(Debug, Subcommand)]
pub(crate) enum WorkersCommand {
    /// The workers, and what waits for one. How they fare the leader alone knows: ask that node
    List,
    /// One worker
    Show {
        /// Its id, as `list` shows it
        id: String,
    },
    /// Give it no more tasks: what it has it carries out. Holds for its later runs, too
    Drain {
        /// Its id, as `list` shows it
        id: String,
    },
    /// Give it tasks again
    Resume {
        /// Its id, as `list` shows it
        id: String,
    },
}

pub(crate) fn workers(
    command: &WorkersCommand,
    server: &Server,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let (id, verb, is) = match command {
        WorkersCommand::List => return ask(server, WORKERS, json, out, show_workers),
        WorkersCommand::Show { id } => {
            let path = format!("{WORKERS}/{}", encoded(id));
            return ask(server, &path, json, out, |worker, out| {
                show_workers(&json!({ "workers": [worker] }), out)
            });
        }
        WorkersCommand::Drain { id } => (id, "drain", "gets no more tasks; what it has it does"),
        WorkersCommand::Resume { id } => (id, "resume", "gets tasks again"),
    };
    let answer = server.post(&format!("{WORKERS}/{}/{verb}", encoded(id)));
    done(answer, json, out, |_| format!("worker {id} {is}"))
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
        let plugins = row["plugins"].as_array().into_iter().flatten();
        let names: Vec<Value> = plugins
            .map(|plugin| {
                let text = |key| cell(plugin.get(key));
                Value::String(format!("{} {}", text("name"), text("version")))
            })
            .collect();
        let tasks = format!("{}/{}", cell(row.get("running")), cell(row.get("capacity")));
        row["plugins"] = Value::Array(names);
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
