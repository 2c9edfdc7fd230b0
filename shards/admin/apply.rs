//! `rules apply` and `definitions apply`: what files and folders hold becomes what a node uses, as
//! one change, shown when it is made, or with `--dry-run` before.
//!
//! Invariants:
//! - a file with a fault, or a rule whose own test fails, changes nothing;
//! - all of a change is one request, which the node takes whole or not at all;
//! - what means the same is not sent: layout and comments are no change.

use crate::Trouble;
use crate::check::{self, Checked, Difference, Item, counted};
use crate::diff::diff;
use crate::files::input;
use crate::server::{Change, Refused, Server, encoded};
use crate::table::{at, cell, plain};
use anyhow::anyhow;
use document::Faults;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

mod refused;
mod watch;

/// What is asked for.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Asked<'a> {
    pub(crate) paths: &'a [PathBuf],
    /// What the files do not hold is removed from the node.
    pub(crate) prune: bool,
    /// Nothing is changed.
    pub(crate) dry_run: bool,
    pub(crate) watch: bool,
    pub(crate) json: bool,
    /// In whose name.
    pub(crate) by: Option<&'a str>,
    /// Between two looks at the files.
    pub(crate) pause: Duration,
}

/// `rules apply`, `definitions apply`
pub(crate) fn apply<T: Item>(
    server: &Server,
    asked: &Asked<'_>,
    out: &mut dyn Write,
) -> Result<(), Trouble> {
    if asked.watch { watch::watch::<T>(server, asked, out) } else { once::<T>(server, asked, out) }
}

/// Makes the node as the files are now.
fn once<T: Item>(server: &Server, asked: &Asked<'_>, out: &mut dyn Write) -> Result<(), Trouble> {
    let files = read::<T>(asked.paths)?;
    let plan = Plan::of(server, &files, asked.prune)?;
    let is_applied = !asked.dry_run && !plan.is_empty();
    if asked.dry_run && !asked.json {
        plan.write::<T>(&files, out)?;
    }
    plan.refuse_versions(&files)?;
    let answer = if is_applied { Some(plan.send::<T>(server, &files, asked)?) } else { None };
    // What the node refuses is not shown as if it were done.
    if !asked.dry_run && !asked.json {
        plan.write::<T>(&files, out)?;
    }
    let version = answer.as_ref().and_then(|answer| at(&answer.value, "version"));
    if asked.json {
        let mut told = plan.to_json();
        told["applied"] = json!(is_applied);
        told["version"] = version.cloned().unwrap_or(Value::Null);
        let warnings = files.iter().flat_map(|file| file.warnings.clone());
        told["warnings"] = check::faults_json(&warnings.collect::<Vec<_>>());
        writeln!(out, "{told}")?;
    } else {
        let end = match (is_applied, plan.is_empty()) {
            (true, _) => format!("applied, catalogue version {}", cell(version)),
            (false, true) => "nothing to apply".to_owned(),
            (false, false) => "not applied: --dry-run".to_owned(),
        };
        writeln!(out, "{}: {end}", plan.summary())?;
    }
    out.flush()?;
    Ok(())
}

/// The files, if nothing is wrong with any.
fn read<T: Item>(paths: &[PathBuf]) -> Result<Vec<Checked<T>>, Trouble> {
    // Which plugins there are, the node knows best.
    let mut files = check::read::<T>(paths, true, flow::Plugins::Any)?;
    T::lint(&mut files);
    check::refuse_faults(&files, "nothing was changed: the files are wrong")?;
    Ok(files)
}

/// One that is on the node with another text.
#[derive(Debug)]
struct Changed {
    id: String,
    from: u64,
    to: u32,
    /// The node will refuse it: another text needs a higher version.
    needs_version: bool,
    diff: Vec<String>,
}

fn items<T>(files: &[Checked<T>]) -> impl Iterator<Item = &T> {
    files.iter().flat_map(|file| &file.items)
}

/// What has to become of a node.
#[derive(Debug, Default)]
struct Plan {
    /// With their versions.
    added: Vec<(String, u32)>,
    changed: Vec<Changed>,
    /// With their versions.
    removed: Vec<(String, u64)>,
    unchanged: Vec<String>,
    /// On the node alone, and left there.
    others: usize,
}

impl Plan {
    fn of<T: Item>(server: &Server, files: &[Checked<T>], prune: bool) -> Result<Self, Trouble> {
        let path = format!("/api/v1/{}", T::COLLECTION);
        let list = server.get(&path).map_err(Trouble::Node)?;
        let rows = list.value.get(T::COLLECTION).and_then(Value::as_array);
        let rows = rows.ok_or_else(|| {
            Trouble::Node(anyhow!("the node's list of {} has another form", T::COLLECTION))
        })?;
        let versions: BTreeMap<&str, u64> = rows
            .iter()
            .filter_map(|row| Some((row.get("id")?.as_str()?, row.get("version")?.as_u64()?)))
            .collect();
        // Where the texts are the same, the node need not be asked for its own.
        let hashes: BTreeMap<&str, &str> = rows
            .iter()
            .filter_map(|row| Some((row.get("id")?.as_str()?, row.get("hash")?.as_str()?)))
            .collect();
        let mut plan = Self::default();
        let mut here = BTreeSet::new();
        for item in items(files) {
            here.insert(item.id());
            let Some(from) = versions.get(item.id()) else {
                plan.added.push((item.id().to_owned(), item.version()));
                continue;
            };
            let hash = format!("{:016x}", base::hash64(item.source().as_bytes()));
            if hashes.get(item.id()) == Some(&hash.as_str()) {
                plan.unchanged.push(item.id().to_owned());
                continue;
            }
            let there = server.get(&format!("{path}/{}", encoded(item.id())));
            let there = there.map_err(Trouble::Node)?;
            let difference = item.difference(there.text());
            if difference == Difference::None {
                plan.unchanged.push(item.id().to_owned());
                continue;
            }
            let (id, to) = (item.id().to_owned(), item.version());
            let needs_version = difference == Difference::Text && u64::from(to) <= *from;
            let diff = diff(there.text(), item.source());
            plan.changed.push(Changed { id, from: *from, to, needs_version, diff });
        }
        let others = versions.iter().filter(|(id, _)| !here.contains(*id));
        if prune {
            plan.removed = others.map(|(id, version)| ((*id).to_owned(), *version)).collect();
        } else {
            plan.others = others.count();
        }
        Ok(plan)
    }

    /// What the node would refuse for its version alone is told here, with its place.
    fn refuse_versions<T: Item>(&self, files: &[Checked<T>]) -> Result<(), Trouble> {
        let stale: BTreeMap<&str, u64> = (self.changed.iter())
            .filter(|changed| changed.needs_version)
            .map(|changed| (changed.id.as_str(), changed.from))
            .collect();
        let mut faults = Vec::new();
        for file in files {
            for item in &file.items {
                let Some(from) = stale.get(item.id()) else { continue };
                let (name, id) = (T::NAME, item.id());
                let what =
                    format!("the {name} `{id}` is on the node in version {from} with another text");
                let hint =
                    format!("set `version: {}` or higher, so that histories stay true", from + 1);
                faults.push(item.fault(&file.text, what).hint(hint));
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(input(anyhow!("nothing was changed\n{}", Faults(faults))))
    }

    fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// Makes the change. Where nothing is removed, only what is new or other is sent: a small change
    /// of a large folder stays a small request. The node puts into its log only what differs, too.
    fn send<T: Item>(
        &self,
        server: &Server,
        files: &[Checked<T>],
        asked: &Asked<'_>,
    ) -> Result<crate::server::Answer, Trouble> {
        let unchanged: BTreeSet<&str> = self.unchanged.iter().map(String::as_str).collect();
        let sources: Vec<&str> = items(files)
            .filter(|item| asked.prune || !unchanged.contains(item.id()))
            .map(Item::source)
            .collect();
        let key = T::NAME;
        let body = format!("{{\"{key}s\":[{}]}}", sources.join(","));
        let (method, bytes_max) = if asked.prune {
            (Change::Put, api::SET_BYTES_MAX)
        } else {
            (Change::Post, api::DOCUMENT_BYTES_MAX)
        };
        if body.len() > bytes_max {
            let mut text = format!(
                "nothing was changed: {} take {} bytes, a node takes at most {bytes_max} at once",
                counted(sources.len(), key),
                body.len()
            );
            if !asked.prune && T::IS_REPLACEABLE {
                write!(
                    text,
                    "; if the files hold all there is, --prune takes up to {}",
                    api::SET_BYTES_MAX
                )
                .expect("a text takes everything");
            }
            return Err(input(anyhow!(text)));
        }
        let path = format!("/api/v1/{}", T::COLLECTION);
        server.change(method, &path, Some(&body), asked.by).map_err(|error| {
            let refused = error.downcast_ref::<Refused>();
            let faults = refused.and_then(|refused| refused::faults(refused, &body, files));
            Trouble::Node(match faults {
                Some(faults) => {
                    anyhow!("nothing was changed: the node refuses the files\n{faults}")
                }
                None if refused.is_some() => error.context("nothing was changed"),
                None => error,
            })
        })
    }

    fn write<T: Item>(&self, files: &[Checked<T>], out: &mut dyn Write) -> io::Result<()> {
        for warning in files.iter().flat_map(|file| &file.warnings) {
            writeln!(out, "warning: {}", plain(&warning.to_string()))?;
        }
        for (id, version) in &self.added {
            writeln!(out, "+ {}: version {version}", plain(id))?;
        }
        for changed in &self.changed {
            writeln!(out, "~ {}: {}", plain(&changed.id), changed.versions())?;
            for line in &changed.diff {
                writeln!(out, "  {}", plain(line))?;
            }
        }
        for (id, version) in &self.removed {
            writeln!(out, "- {}: version {version}", plain(id))?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let mut text = format!(
            "{} added, {} changed, {} removed, {} unchanged",
            self.added.len(),
            self.changed.len(),
            self.removed.len(),
            self.unchanged.len()
        );
        if self.others > 0 {
            write!(text, ", {} more on the node stay", self.others)
                .expect("a text takes everything");
        }
        text
    }

    fn to_json(&self) -> Value {
        let ids = |list: Vec<&String>| json!(list);
        let changed: Vec<_> = self.changed.iter().map(Changed::to_json).collect();
        json!({
            "added": ids(self.added.iter().map(|(id, _)| id).collect()),
            "changed": changed,
            "removed": ids(self.removed.iter().map(|(id, _)| id).collect()),
            "unchanged": self.unchanged,
            "others": self.others,
        })
    }
}

impl Changed {
    fn versions(&self) -> String {
        if u64::from(self.to) == self.from {
            format!("version stays {}", self.to)
        } else {
            format!("version {} -> {}", self.from, self.to)
        }
    }

    fn to_json(&self) -> Value {
        json!({ "id": self.id, "from": self.from, "to": self.to, "diff": self.diff })
    }
}

#[cfg(test)]
mod tests;
