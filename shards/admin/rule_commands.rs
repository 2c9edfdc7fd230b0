//! `distric-admin rules …` and `definitions …`.

use crate::check;
use crate::server::{Change, Server, encoded};
use crate::table::{cell, plain};
use crate::{Trouble, apply, ask, bench, explain, matching, show};
use clap::{Args, Subcommand};
use rules::Rule;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Between two looks at files that are watched.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// The rules in use, in the order in which they are looked at
    List,
    /// Check rule files and run the tests in them; needs no node
    #[command(
        after_help = "Exit codes: 0 nothing is wrong, 1 with --strict there are warnings, 2 errors"
    )]
    Check(Check),
    /// Which rules of a file match a message, and do its own tests pass; needs no node
    Test {
        /// The rule file, or a folder of them; `-` is standard input
        #[arg(value_name = "RULES")]
        rules: PathBuf,
        /// The message, one JSON object; `-` is standard input. Without it the file's tests alone
        #[arg(long, value_name = "FILE")]
        message: Option<PathBuf>,
    },
    /// Why a rule matches a message or does not, condition by condition; needs no node
    Explain {
        /// FILE, or FILE#ID for one rule of it; `-` is standard input
        #[arg(value_name = "RULE")]
        rule: String,
        /// The message, one JSON object; `-` is standard input
        #[arg(value_name = "MESSAGE")]
        message: PathBuf,
    },
    /// What matching costs on one core; needs no node
    Bench {
        /// The rule file, or a folder of them
        #[arg(value_name = "RULES")]
        rules: PathBuf,
        /// The messages, one JSON object a line
        #[arg(long, value_name = "FILE.jsonl")]
        messages: PathBuf,
        /// For how much CPU time
        #[arg(long, value_name = "TIME", default_value = "2s", value_parser = document::parse_duration)]
        duration: Duration,
        /// How the messages are read
        #[arg(long, value_enum, default_value_t)]
        mode: bench::Mode,
    },
    /// Make the node's rules those of files and folders, as one change, and show what differs
    Apply(Apply),
    /// The versions of a rule that the node keeps: what happened, when, by whom
    Versions(Versions),
    /// Store the text of an earlier version again, as a new version
    Rollback(Rollback),
    /// Use a rule that was disabled
    Enable {
        /// The rule
        id: String,
        #[command(flatten)]
        who: Who,
    },
    /// Keep a rule without using it
    Disable {
        /// The rule
        id: String,
        #[command(flatten)]
        who: Who,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DefinitionsCommand {
    /// The definitions in use
    List,
    /// Check definition files; needs no node
    Check(CheckDefinitions),
    /// Store the definitions of files and folders, as one change, and show what differs
    Apply(ApplyDefinitions),
    /// The versions of a definition that the node keeps: what happened, when, by whom
    Versions(Versions),
    /// Store the text of an earlier version again, as a new version
    Rollback(Rollback),
}

#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// Whose
    id: String,
    /// Print the text of this version
    version: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Of what
    id: String,
    /// The earlier version, as `versions` lists them
    version: u32,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// YAML or JSON, or folders of such files; `-` is standard input
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Warnings are failures, too
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckDefinitions {
    #[command(flatten)]
    set: Check,
    /// Plugins that are taken to be there: types of tasks besides the built-in ones
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = plugin)]
    plugins: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    set: ApplyDefinitions,
    /// Remove from the node what the files do not hold
    #[arg(long)]
    prune: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyDefinitions {
    /// YAML or JSON, or folders of such files; `-` is standard input
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with what is saved, until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// In whose name; the node keeps it beside the change
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, value_parser = name)]
    by: Option<String>,
}

fn name(text: &str) -> Result<String, String> {
    let is_printable = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if is_printable && text.len() <= api::USER_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(format!("at most {} printable ASCII characters", api::USER_BYTES_MAX))
}

fn plugin(text: &str) -> Result<String, String> {
    if flow::is_plugin_name(text) {
        return Ok(text.to_owned());
    }
    Err("a plugin's name is of a-z, 0-9 and _, begins with a letter and is no built-in type".into())
}

impl Check {
    fn asked<'a>(&'a self, plugins: &'a [String], json: bool) -> check::Asked<'a> {
        check::Asked { paths: &self.files, plugins, strict: self.strict, json }
    }
}

impl ApplyDefinitions {
    fn asked(&self, prune: bool, json: bool) -> apply::Asked<'_> {
        apply::Asked {
            paths: &self.files,
            prune,
            dry_run: self.dry_run,
            watch: self.watch,
            json,
            by: self.who.by(),
            pause: PAUSE,
        }
    }
}

impl Versions {
    fn show(&self, of: &Of<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
        let path = of.path(&self.id, "versions");
        let Some(version) = self.version else {
            return ask(of.server, &path, of.json, out, show::versions);
        };
        let answer = of.server.get(&format!("{path}/{version}")).map_err(Trouble::Node)?;
        Ok(answer.write(out)?)
    }
}

impl Rollback {
    fn run(&self, of: &Of<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
        let body = serde_json::json!({ "version": self.version }).to_string();
        let did = format!("has the text of version {} again", self.version);
        of.change(&self.id, ("rollback", &did), Some(&body), &self.who, out)
    }
}

/// A collection of the node: rules, or definitions.
struct Of<'s> {
    server: &'s Server,
    collection: &'static str,
    json: bool,
}

impl Of<'_> {
    fn path(&self, id: &str, verb: &str) -> String {
        format!("/api/v1/{}/{}/{verb}", self.collection, encoded(id))
    }

    /// Changes one of it, and says what was done.
    fn change(
        &self,
        id: &str,
        (verb, did): (&str, &str),
        body: Option<&str>,
        who: &Who,
        out: &mut dyn Write,
    ) -> Result<(), Trouble> {
        let answer = self.server.change(Change::Post, &self.path(id, verb), body, who.by());
        let answer = answer.map_err(Trouble::Node)?;
        if self.json {
            answer.write(out)?;
        } else {
            let version = cell(answer.value.get("version"));
            writeln!(out, "{} {did}, catalogue version {version}", plain(id))?;
        }
        Ok(())
    }
}

impl Who {
    /// An empty `USER` is nobody.
    fn by(&self) -> Option<&str> {
        self.by.as_deref().filter(|by| !by.is_empty())
    }
}

type MakeServer<'s> = &'s dyn Fn() -> Result<Server, Trouble>;

pub(crate) fn rules(
    command: &RulesCommand,
    server: MakeServer<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let of = of("rules", json);
    match command {
        RulesCommand::List => ask(&server()?, "/api/v1/rules", json, out, show::rules),
        RulesCommand::Check(files) => check::check::<Rule>(&files.asked(&[], json), out),
        RulesCommand::Test { rules, message } => {
            matching::test(rules, message.as_deref(), json, out)
        }
        RulesCommand::Explain { rule, message } => explain::explain(rule, message, json, out),
        RulesCommand::Bench { rules, messages, duration, mode } => {
            let (time, mode) = (*duration, *mode);
            bench::bench(&bench::Asked { rules, messages, time, mode, json }, out)
        }
        RulesCommand::Apply(files) => {
            apply::apply::<Rule>(&server()?, &files.set.asked(files.prune, json), out)
        }
        RulesCommand::Versions(versions) => versions.show(&of(&server()?), out),
        RulesCommand::Rollback(rollback) => rollback.run(&of(&server()?), out),
        RulesCommand::Enable { id, who } => {
            of(&server()?).change(id, ("enable", "is enabled"), None, who, out)
        }
        RulesCommand::Disable { id, who } => {
            of(&server()?).change(id, ("disable", "is disabled"), None, who, out)
        }
    }
}

pub(crate) fn definitions(
    command: &DefinitionsCommand,
    server: MakeServer<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let of = of("definitions", json);
    match command {
        DefinitionsCommand::List => {
            ask(&server()?, "/api/v1/definitions", json, out, show::definitions)
        }
        DefinitionsCommand::Check(files) => {
            check::check::<flow::Definition>(&files.set.asked(&files.plugins, json), out)
        }
        DefinitionsCommand::Apply(files) => {
            apply::apply::<flow::Definition>(&server()?, &files.asked(false, json), out)
        }
        DefinitionsCommand::Versions(versions) => versions.show(&of(&server()?), out),
        DefinitionsCommand::Rollback(rollback) => rollback.run(&of(&server()?), out),
    }
}

fn of(collection: &'static str, json: bool) -> impl Fn(&Server) -> Of<'_> {
    move |server| Of { server, collection, json }
}
