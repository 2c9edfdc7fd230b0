//! `distric-admin cluster …` and `distric-admin nodes …`: the group as a whole.

use crate::server::{Answer, Server};
use crate::table::{cell, plain};
use crate::{Trouble, ask, show};
use anyhow::{Context as _, ensure};
use clap::Subcommand;
use serde_json::json;
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at how far a new node is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a new node may take to get the log.
const WAIT_MAX: Duration = Duration::from_mins(10);
/// A learner with no more entries to come can be promoted.
const LAG_MAX: u64 = 1_000;

/// Where the members are.
pub(crate) const NODES: &str = "/api/v1/cluster/nodes";

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Role, log, members and cores, as the node asked knows them
    Status,
    /// Have all nodes compare their states at one place of the log. Exit code 0 only when all have
    /// answered, and all the same
    Checksum,
    /// Hand the lead to another voter: before the leader's machine is worked on, say
    Transfer {
        /// To this node; otherwise to the voter that has most of the log
        #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        to: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Who has the log, and how far each of them is; and everybody, workers too, as gossip knows them
    List,
    /// Add a node that runs already, with `--node ID --peer ADDRESS` and an empty data directory.
    /// It gets the log and has no vote until `promote`
    Add {
        /// Its number
        #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
        /// Where the others reach it: its `--peer`
        address: String,
        /// Wait until it has the log, so that it can be promoted: ten minutes at most
        #[arg(long)]
        wait: bool,
    },
    /// Let a node vote that was added, once it lags by little
    Promote {
        /// Its number
        #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
    /// Remove a node, running or gone for good; also the leader
    Remove {
        /// Its number
        #[arg(value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
    },
}

pub(crate) fn cluster(
    command: &ClusterCommand,
    server: &Server,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    match command {
        ClusterCommand::Status => {
            ask(server, "/api/v1/cluster/status", json, out, show::cluster_status)
        }
        ClusterCommand::Checksum => {
            let answer = server.post("/api/v1/cluster/checksum").map_err(Trouble::Node)?;
            if json {
                answer.write(out)?;
            } else {
                show::checksum(&answer.value, out)?;
            }
            let is_equal = answer.value.get("equal") == Some(&serde_json::Value::Bool(true));
            if is_equal { Ok(()) } else { Err(Trouble::Doubt) }
        }
        ClusterCommand::Transfer { to } => {
            let path = "/api/v1/cluster/transfer";
            let answer = match to {
                Some(to) => server.post_json(path, &json!({ "to": to })),
                None => server.post(path),
            };
            done(answer, json, out, |answer| {
                format!("node {} leads", cell(answer.value.get("node")))
            })
        }
    }
}

pub(crate) fn nodes(
    command: &NodesCommand,
    server: &Server,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    match command {
        NodesCommand::List => ask(server, NODES, json, out, show::nodes),
        NodesCommand::Add { id, address, wait } => {
            let answer = server.post_json(NODES, &json!({ "node": id, "address": address }));
            if *wait && answer.is_ok() {
                wait_for_the_log(*id, server).map_err(Trouble::Node)?;
                return done(answer, json, out, |_| {
                    format!(
                        "node {id} is a learner and has the log: let it vote with `distric-admin \
                         nodes promote {id}`"
                    )
                });
            }
            done(answer, json, out, |_| {
                format!(
                    "node {id} is a learner: it gets the log. When `distric-admin nodes list` shows a \
                     small lag for it, let it vote with `distric-admin nodes promote {id}`"
                )
            })
        }
        NodesCommand::Promote { id } => {
            let answer = server.post(&format!("{NODES}/{id}/promote"));
            done(answer, json, out, |_| format!("node {id} votes"))
        }
        NodesCommand::Remove { id } => {
            let answer = server.delete(&format!("{NODES}/{id}"));
            done(answer, json, out, |_| {
                format!(
                    "node {id} does not belong to the cluster any more: stop it if it runs. To come \
                     back it is added again"
                )
            })
        }
    }
}

/// Looks again and again how far a learner is.
fn wait_for_the_log(id: u64, server: &Server) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let answer = server.get(NODES)?;
        let rows = answer.value["nodes"].as_array();
        let row = rows.and_then(|rows| rows.iter().find(|row| row["node"] == id));
        let row =
            row.with_context(|| format!("node {id} does not belong to the cluster any more"))?;
        let number = |key: &str| row[key].as_u64();
        let has_the_log = number("match_index").is_some_and(|index| index > 0)
            && number("lag").is_some_and(|lag| lag <= LAG_MAX)
            && row["snapshot"] == false;
        if has_the_log {
            return Ok(());
        }
        ensure!(
            began.elapsed() < WAIT_MAX,
            "node {id} was added, and has not got the log within {WAIT_MAX:?}: see `distric-admin \
             nodes list`, and the log of the node itself"
        );
        thread::sleep(LOOK_AGAIN);
    }
}

pub(crate) fn done(
    answer: anyhow::Result<Answer>,
    json: bool,
    out: &mut dyn Write,
    told: impl FnOnce(&Answer) -> String,
) -> Result<(), Trouble> {
    let answer = answer.map_err(Trouble::Node)?;
    if json {
        answer.write(out)?;
    } else {
        writeln!(out, "{}", plain(&told(&answer)))?;
    }
    Ok(())
}
