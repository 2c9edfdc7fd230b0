//! `distric-admin plugins check`: a plugin loaded, asked and run here as a node would, in a process of
//! this program that is shut in the same way.

use crate::table::plain;
use crate::{Trouble, files};
use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use clap::Subcommand;
use host::{Host, Job, Options, PluginInfo, PluginMetrics, RefusedPlugin, TaskError};
use plugin::{Manifest, Network};
use serde_json::{Value, json};
use std::io::{Read as _, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How long a process of a plugin may take to end when the command does.
const END_GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum PluginsCommand {
    /// The plugins that workers have brought, and how many workers have each
    List,
    /// Load a plugin as a node would, and tell what it is; with --run, run a task
    Check(Check),
    /// Print distric_plugin.h, which plugins in C are built with
    Header,
}

/// What is asked of a plugin.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The plugin, NAME.so, or a folder of them. A manifest NAME.yaml beside it is read
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// Ask the plugin whether it takes this configuration, and run the task with it; `{}` otherwise
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Run one task with the input in this file, `-` for standard input
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// How long the task may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    document::parse_duration(text).map_err(|error| error.to_string())
}

fn input(error: anyhow::Error) -> Trouble {
    Trouble::Input(Some(error))
}

pub(crate) fn plugins(
    command: &PluginsCommand,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let check = match command {
        PluginsCommand::Check(check) => check,
        PluginsCommand::List => unreachable!("the node is asked for it"),
        PluginsCommand::Header => return Ok(out.write_all(plugin::abi::HEADER.as_bytes())?),
    };
    let config = read_config(check).map_err(input)?;
    let task = read_task(check).map_err(input)?;
    let options = Options { line: Some(print_line), ..Options::new(&check.path) };
    // Its words hold those of its cause.
    let host = Host::open(options).map_err(|error| input(anyhow!("{error}")))?;
    let outcome = look(check, config, task, &host, json, out);
    host.shutdown(END_GRACE).wait();
    for PluginMetrics { plugin, lines_dropped, .. } in host.metrics() {
        if lines_dropped > 0 {
            eprintln!("{plugin}: {lines_dropped} more lines are not shown: they came too fast");
        }
    }
    outcome
}

/// What a plugin writes is not the command's result.
fn print_line(plugin: &str, level: u8, line: &str) {
    let level = ["debug", "info", "warn", "error"].get(usize::from(level) - 1).unwrap_or(&"error");
    eprintln!("{plugin}: {level}: {}", plain(line));
}

fn read_config(check: &Check) -> anyhow::Result<Bytes> {
    let Some(text) = &check.config else { return Ok(Bytes::from_static(b"{}")) };
    serde_json::from_str::<Value>(text).context("--config is no JSON")?;
    Ok(Bytes::from(text.clone()))
}

fn read_task(check: &Check) -> anyhow::Result<Option<Bytes>> {
    let Some(path) = &check.run else { return Ok(None) };
    let text = if files::is_standard_input(path) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        text
    } else {
        std::fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?
    };
    let name = files::name(path);
    serde_json::from_str::<Value>(&text).with_context(|| format!("{name} holds no JSON"))?;
    Ok(Some(Bytes::from(text)))
}

fn look(
    check: &Check,
    config: Bytes,
    task: Option<Bytes>,
    host: &Host,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    let (plugins, refused) = (host.plugins(), host.refused());
    if plugins.is_empty() && refused.is_empty() {
        return Err(input(anyhow!("there is no plugin, NAME.so, in {}", check.path.display())));
    }
    let is_asked = check.config.is_some() || task.is_some();
    let only = match plugins {
        [only] if refused.is_empty() => Some(only),
        _ => None,
    };
    if is_asked && only.is_none() && plugins.len() + refused.len() > 1 {
        return Err(input(anyhow!("--config and --run are for one plugin: name its file")));
    }
    let legal =
        only.filter(|_| is_asked).map(|only| host.validate(&only.name, config.clone()).wait());
    let ran = match (only, task, &legal) {
        (Some(only), Some(task), Some(Ok(()))) => Some(run(check, config, task, only, host)?),
        _ => None,
    };
    if json {
        let told = json!({
            "plugins": plugins.iter().map(plugin_json).collect::<Vec<_>>(),
            "refused": refused.iter().map(refused_json).collect::<Vec<_>>(),
            "config": legal.as_ref().map(outcome_json),
            "run": ran.as_ref().map(run_json),
        });
        writeln!(out, "{told}")?;
    } else {
        plugins.iter().try_for_each(|plugin| write_plugin(plugin, out))?;
        refused.iter().try_for_each(|refused| write_refused(refused, out))?;
        write_answers(legal.as_ref(), ran.as_ref(), out)?;
    }
    let is_good = refused.is_empty()
        && plugins.iter().all(gets_tasks)
        && legal.is_none_or(|legal| legal.is_ok())
        && ran.is_none_or(|ran| ran.outcome.is_ok());
    if is_good { Ok(()) } else { Err(Trouble::Doubt) }
}

/// How a task ended.
struct Ran {
    outcome: Result<Bytes, TaskError>,
    took: Duration,
}

fn run(
    check: &Check,
    config: Bytes,
    task: Bytes,
    plugin: &PluginInfo,
    host: &Host,
) -> Result<Ran, Trouble> {
    let job = Job {
        key: 1,
        plugin: plugin.name.clone(),
        config,
        input: task,
        timeout: Some(check.timeout),
        idempotency_key: "check-1/task".to_owned(),
        instance: "check-1".to_owned(),
        workflow: "check".to_owned(),
        task: "task".to_owned(),
        attempt: 1,
        trace: String::new(),
    };
    host.run(job).map_err(|error| input(error.into()))?;
    let ended = host.wait_finished().pop();
    let ended = ended.ok_or_else(|| input(anyhow!("the task ended without a word")))?;
    Ok(Ran { outcome: ended.outcome, took: ended.took })
}

fn write_plugin(plugin: &PluginInfo, out: &mut dyn Write) -> std::io::Result<()> {
    let PluginInfo { name, version, abi, file, enforced, manifest, .. } = plugin;
    writeln!(out, "{}", plain(&file.display().to_string()))?;
    writeln!(out, "  {name} {}, plugin ABI {abi}", plain(version))?;
    if !gets_tasks(plugin) {
        writeln!(out, "  IT GETS NO TASKS: the type `{name}` is built in; give it another name")?;
    }
    for line in manifest_lines(manifest) {
        writeln!(out, "  {}", plain(&line))?;
    }
    writeln!(out, "  enforced: {}", plain(enforced))
}

/// Whether the language leaves its name to plugins.
fn gets_tasks(plugin: &PluginInfo) -> bool {
    flow::is_plugin_name(&plugin.name)
}

fn manifest_lines(manifest: &Manifest) -> Vec<String> {
    let Manifest { threads, processes, memory_max, output_max, stop_grace, .. } = manifest;
    let (slots, memory) = (manifest.slots(), memory_max >> 20);
    let limit = |limit: Option<Duration>| limit.map_or("none".to_owned(), |one| format!("{one:?}"));
    let network = if manifest.network == Network::Allow { "allowed" } else { "none" };
    let mut lines = vec![
        format!(
            "{slots} tasks at once: processes {processes}, threads {threads} each, {memory} MiB each"
        ),
        format!(
            "timeout {}, CPU time {}, grace {stop_grace:?}, output at most {output_max} bytes",
            limit(manifest.timeout),
            limit(manifest.cpu_time)
        ),
        format!("network: {network}"),
    ];
    if !manifest.read.is_empty() {
        lines.push(format!("reads: {}", manifest.read.join(", ")));
    }
    if !manifest.environment.is_empty() {
        let names: Vec<_> = manifest.environment.keys().map(String::as_str).collect();
        lines.push(format!("environment: {}", names.join(", ")));
    }
    lines
}

fn write_refused(refused: &RefusedPlugin, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{}", plain(&refused.file.display().to_string()))?;
    writeln!(out, "  refused: {}", plain(&refused.why.message).replace('\n', "\n  "))
}

fn write_answers(
    legal: Option<&Result<(), TaskError>>,
    ran: Option<&Ran>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    match legal {
        Some(Ok(())) => writeln!(out, "  configuration: legal")?,
        Some(Err(error)) => writeln!(out, "  configuration: {}", plain(&error.to_string()))?,
        None => {}
    }
    let Some(Ran { outcome, took }) = ran else { return Ok(()) };
    let took = format!("{:.1} ms", took.as_secs_f64() * 1e3);
    match outcome {
        Ok(output) => {
            writeln!(out, "  task: succeeded in {took}")?;
            writeln!(out, "{}", plain(&String::from_utf8_lossy(output)))
        }
        Err(error) => {
            let another =
                if error.retryable { "another attempt may do better" } else { "for good" };
            writeln!(out, "  task: failed in {took}, {another}")?;
            writeln!(out, "  {}", plain(&error.to_string()))
        }
    }
}

fn error_json(error: &TaskError) -> Value {
    json!({ "code": error.code, "message": error.message, "retryable": error.retryable })
}

fn outcome_json(outcome: &Result<(), TaskError>) -> Value {
    match outcome {
        Ok(()) => json!({ "legal": true }),
        Err(error) => json!({ "legal": false, "error": error_json(error) }),
    }
}

fn run_json(ran: &Ran) -> Value {
    let took_us = u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX);
    match &ran.outcome {
        Ok(output) => {
            let output = serde_json::from_slice(output).unwrap_or(Value::Null);
            json!({ "succeeded": true, "took_us": took_us, "output": output })
        }
        Err(error) => json!({ "succeeded": false, "took_us": took_us, "error": error_json(error) }),
    }
}

fn refused_json(refused: &RefusedPlugin) -> Value {
    json!({ "file": refused.file.display().to_string(), "error": error_json(&refused.why) })
}

fn plugin_json(plugin: &PluginInfo) -> Value {
    let manifest = &plugin.manifest;
    let ms = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64() * 1e3);
    json!({
        "name": plugin.name,
        "version": plugin.version,
        "abi": plugin.abi,
        "file": plugin.file.display().to_string(),
        "slots": plugin.slots,
        "gets_tasks": gets_tasks(plugin),
        "enforced": plugin.enforced,
        "manifest": {
            "threads": manifest.threads,
            "processes": manifest.processes,
            "memory_max": manifest.memory_max,
            "cpu_time_ms": ms(manifest.cpu_time),
            "timeout_ms": ms(manifest.timeout),
            "stop_grace_ms": ms(Some(manifest.stop_grace)),
            "output_max": manifest.output_max,
            "network": manifest.network == Network::Allow,
            "read": manifest.read,
            "environment": manifest.environment.keys().collect::<Vec<_>>(),
        }
    })
}
