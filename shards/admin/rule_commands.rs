//! `distric-admin rules …` and `definitions …`.

use crate::check;
use crate::server::{Change, Server, encoded};
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
    },
    /// Make the node's rules those of files and folders, as one change, and show what differs
    Apply(Apply),
    /// The editions of a rule that the node keeps
    Versions {
        /// The rule
        id: String,
    },
    /// Use an earlier edition of a rule again
    Rollback {
        /// The rule
        id: String,
        /// The edition, as `versions` numbers them
        version: u32,
        #[command(flatten)]
        who: Who,
    },
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
    Check(Check),
    /// Store the definitions of files and folders, as one change, and show what differs
    Apply(Apply),
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
pub(crate) struct Apply {
    /// YAML or JSON, or folders of such files; `-` is standard input
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove from the node what the files do not hold
    #[arg(long)]
    prune: bool,
    /// Go on with what is saved, until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
pub(crate) struct Who {
    /// In whose name; the node keeps it beside the change
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true)]
    by: Option<String>,
}

impl Check {
    fn asked(&self, json: bool) -> check::Asked<'_> {
        check::Asked { paths: &self.files, strict: self.strict, json }
    }
}

impl Apply {
    fn asked(&self, json: bool) -> apply::Asked<'_> {
        apply::Asked {
            paths: &self.files,
            prune: self.prune,
            dry_run: self.dry_run,
            watch: self.watch,
            json,
            by: self.who.by(),
            pause: PAUSE,
        }
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
    let change = |id: &str, verb: &str, body: Option<String>, who: &Who, out: &mut dyn Write| {
        let path = format!("/api/v1/rules/{}/{verb}", encoded(id));
        let answer = server()?.change(Change::Post, &path, body.as_deref(), who.by());
        let answer = answer.map_err(Trouble::Node)?;
        if json {
            answer.write(out)?;
        } else {
            show::rule_changed(&answer.value, id, verb, out)?;
        }
        Ok(())
    };
    match command {
        RulesCommand::List => ask(&server()?, "/api/v1/rules", json, out, show::rules),
        RulesCommand::Check(files) => check::check::<Rule>(&files.asked(json), out),
        RulesCommand::Test { rules, message } => {
            matching::test(rules, message.as_deref(), json, out)
        }
        RulesCommand::Explain { rule, message } => explain::explain(rule, message, json, out),
        RulesCommand::Bench { rules, messages, duration } => {
            bench::bench(&bench::Asked { rules, messages, time: *duration, json }, out)
        }
        RulesCommand::Apply(files) => apply::apply::<Rule>(&server()?, &files.asked(json), out),
        RulesCommand::Versions { id } => {
            let path = format!("/api/v1/rules/{}/versions", encoded(id));
            ask(&server()?, &path, json, out, show::versions)
        }
        RulesCommand::Rollback { id, version, who } => {
            let body = serde_json::json!({ "version": version }).to_string();
            change(id, "rollback", Some(body), who, out)
        }
        RulesCommand::Enable { id, who } => change(id, "enable", None, who, out),
        RulesCommand::Disable { id, who } => change(id, "disable", None, who, out),
    }
}

pub(crate) fn definitions(
    command: &DefinitionsCommand,
    server: MakeServer<'_>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    match command {
        DefinitionsCommand::List => {
            ask(&server()?, "/api/v1/definitions", json, out, show::definitions)
        }
        DefinitionsCommand::Check(files) => {
            check::check::<flow::Definition>(&files.asked(json), out)
        }
        DefinitionsCommand::Apply(files) => {
            apply::apply::<flow::Definition>(&server()?, &files.asked(json), out)
        }
    }
}
