//! What operators call: `distric-admin`.
//!
//! It asks a node over HTTP and prints tables, or with `--json` what the node said, unchanged. Rule
//! and workflow files are checked here, without a node, by the code that the node runs itself.
//!
//! Exit codes: 0 done, 1 the node refused or does not answer, `--strict` found a doubt, or the nodes'
//! states are not known to be equal, 2 the command line or a file is wrong.
//!
//! Invariants:
//! - what a node or a file says is printed without control characters: no text of a client can move
//!   the operator's cursor;
//! - `--json` prints one JSON value on standard output and nothing else; where it never ends, one a
//!   line;
//! - a wrong file changes nothing on a node.

mod apply;
mod bench;
mod check;
mod cluster_commands;
mod diff;
mod events;
mod explain;
mod files;
mod matching;
mod plugin_commands;
mod rule_commands;
mod server;
mod show;
mod table;
mod worker_commands;

use clap::{Parser, Subcommand};
use cluster_commands::{ClusterCommand, NodesCommand};
use plugin_commands::PluginsCommand;
use rule_commands::{DefinitionsCommand, RulesCommand};
use server::Server;
use std::io::{self, Write};
use std::process::ExitCode;
use worker_commands::WorkersCommand;

/// Looks after a DistriC node.
#[derive(Debug, Parser)]
#[command(name = "distric-admin", version)]
struct Options {
    /// The node
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DISTRIC_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    server: String,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The node asked, its cores, and the cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Who belongs to the cluster. Any node can be asked
    #[command(subcommand)]
    Nodes(NodesCommand),
    /// Workers: they run the tasks of plugins
    #[command(subcommand)]
    Workers(WorkersCommand),
    /// Rules: which messages start which workflows
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Plugins: what runs the tasks that are not built in
    #[command(subcommand)]
    Plugins(PluginsCommand),
    /// Workflow definitions
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Workflow instances
    #[command(subcommand)]
    Workflows(WorkflowsCommand),
    /// Messages
    #[command(subcommand)]
    Messages(MessagesCommand),
    /// What happened on the node: elections, workers, changes of the catalogue, failed tasks
    Events {
        /// Go on with what happens, until interrupted
        #[arg(long, short)]
        follow: bool,
        /// Only those with a greater number
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Which lines the node's log has: shows the filter, or changes it until the node's next start
    Log {
        /// A level, or levels per component, as in `info,consensus=debug`
        #[arg(value_name = "FILTER")]
        filter: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum WorkflowsCommand {
    /// Instances, the newest first
    List {
        /// Only those in this state: running, completed, failed, timeout, cancelled
        #[arg(long)]
        status: Option<String>,
        /// Only those of this workflow
        #[arg(long, value_name = "ID")]
        workflow: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Only those behind this place, as the page before named it
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// One instance: its tasks and its history
    Show {
        /// The instance, as in 00300000000000a1-1
        id: String,
    },
    /// Cancel an instance
    Cancel {
        /// The instance, as in 00300000000000a1-1
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum MessagesCommand {
    /// One message: the rules that it matched, the instances that it started
    Show {
        /// The message, as in 00300000000000a1
        id: String,
    },
}

/// Where the log's filter is.
const LOG: &str = "/api/v1/log";

/// Why a command did not do what it was asked.
#[derive(Debug)]
enum Trouble {
    /// The node refused, or does not answer.
    Node(anyhow::Error),
    /// A file or an argument is wrong. What is wrong in a file has been printed already where the
    /// error is none.
    Input(Option<anyhow::Error>),
    /// Files are legal, and something in them is probably not meant, or nodes are not equal: it has
    /// been printed.
    Doubt,
    /// Nobody reads what is printed.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    // `plugins check` runs a plugin in a process of this program.
    if let Some(code) = host::child_main(std::env::args_os()) {
        return code;
    }
    let options = Options::parse();
    let outcome = run(&options, &mut io::stdout().lock());
    let (code, error) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Trouble::Node(error)) => (1, Some(error)),
        Err(Trouble::Input(error)) => (2, error),
        Err(Trouble::Doubt) => (1, None),
        // `distric-admin workflows list | head -1` is no failure.
        Err(Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => (0, None),
        Err(Trouble::Output(error)) => (1, Some(error.into())),
    };
    if let Some(error) = error {
        eprintln!("distric-admin: {}", table::plain(&format!("{error:#}")));
    }
    ExitCode::from(code)
}

fn run(options: &Options, out: &mut dyn Write) -> Result<(), Trouble> {
    let json = options.json;
    let server = || Server::new(&options.server).map_err(Trouble::Node);
    match &options.command {
        Command::Cluster(command) => cluster_commands::cluster(command, &server()?, json, out),
        Command::Nodes(command) => cluster_commands::nodes(command, &server()?, json, out),
        Command::Rules(command) => rule_commands::rules(command, &server, json, out),
        Command::Workers(command) => worker_commands::workers(command, &server()?, json, out),
        Command::Plugins(PluginsCommand::List) => worker_commands::plugins(&server()?, json, out),
        Command::Plugins(command) => plugin_commands::plugins(command, json, out),
        Command::Definitions(command) => rule_commands::definitions(command, &server, json, out),
        Command::Workflows(WorkflowsCommand::List { status, workflow, limit, after }) => {
            let limit = limit.map(|limit| limit.to_string());
            let parameters = [
                ("status", status.as_deref()),
                ("workflow", workflow.as_deref()),
                ("limit", limit.as_deref()),
                ("after", after.as_deref()),
            ];
            let path = server::with_query("/api/v1/workflows", &parameters);
            ask(&server()?, &path, json, out, show::instances)
        }
        Command::Workflows(WorkflowsCommand::Show { id }) => {
            let path = format!("/api/v1/workflows/{}", server::encoded(id));
            ask(&server()?, &path, json, out, show::instance)
        }
        Command::Workflows(WorkflowsCommand::Cancel { id }) => {
            let path = format!("/api/v1/workflows/{}/cancel", server::encoded(id));
            let answer = server()?.post(&path).map_err(Trouble::Node)?;
            if json {
                answer.write(out)?;
            } else {
                writeln!(out, "{} is cancelled", table::plain(id))?;
            }
            Ok(())
        }
        Command::Messages(MessagesCommand::Show { id }) => {
            let path = format!("/api/v1/messages/{}", server::encoded(id));
            ask(&server()?, &path, json, out, show::message)
        }
        Command::Events { follow, after } => {
            let asked =
                events::Asked { after: *after, follow: *follow, json, pause: events::PAUSE };
            events::events(&server()?, &asked, out)
        }
        Command::Log { filter: None } => ask(&server()?, LOG, json, out, show::log_filter),
        Command::Log { filter: Some(filter) } => {
            let body = serde_json::json!({ "filter": filter });
            let answer = server()?.put(LOG, &body).map_err(Trouble::Node)?;
            if json {
                answer.write(out)?;
            } else {
                show::log_filter(&answer.value, out)?;
            }
            Ok(())
        }
    }
}

/// Reads `path` and prints it, as it is or as `show` does.
fn ask(
    server: &Server,
    path: &str,
    json: bool,
    out: &mut dyn Write,
    show: impl FnOnce(&serde_json::Value, &mut dyn Write) -> io::Result<()>,
) -> Result<(), Trouble> {
    let answer = server.get(path).map_err(Trouble::Node)?;
    if json {
        answer.write(out)?;
    } else {
        show(&answer.value, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
