//! Each message is matched by exactly the catalogue at its place in the log (SOUNDNESS 8), while
//! the rules change all the time under messages on several cores.
//!
//! The judge reads the log alone and shares no code with what it judges: it keeps the rules as
//! plain values, holds every message against every rule, and knows the few lines of the decision
//! (docs/decisions/0004) that say which batches count.

use super::worlds::changing;
use base::hash64;
use engine::batch::{BatchView, GLOBAL};
use engine::message::Committed;
use engine::record::{AcceptedView, CatalogueChanged, Change, RecordType};
use serde_json::Value;
use sim::{Faults, World};
use std::collections::BTreeMap;
use std::time::Duration;

/// Earlier versions that an id keeps.
const PAST_MAX: usize = 15;

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    id: String,
    version: u64,
    priority: i64,
    kind: String,
    /// Only below this amount.
    bound: Option<i64>,
    /// The same, of a rule that continues from others, which are as constant as it is.
    below: Option<i64>,
    enabled: bool,
}

impl Rule {
    fn of(text: &str) -> Self {
        let json: Value = serde_json::from_str(text).unwrap();
        let rule = Self {
            id: json["id"].as_str().unwrap().to_owned(),
            version: json["version"].as_u64().unwrap(),
            priority: json["priority"].as_i64().unwrap_or(0),
            kind: json["conditions"][0]["value"].as_str().unwrap_or("b").to_owned(),
            bound: json["conditions"][1]["value"].as_i64(),
            // Of the one chain there is the level is one and a half times the amount.
            below: json["conditions"][0]["value"].as_i64().map(|level| level * 2 / 3),
            enabled: json["enabled"].as_bool().unwrap_or(true),
        };
        assert!(rule.bound.is_none() || rule.text() == text, "{text}");
        rule
    }

    /// As the world writes it.
    fn text(&self) -> String {
        let Self { id, version, priority, kind, enabled, .. } = self;
        let bound = self.bound.expect("only the world's rules are written again");
        let action = if bound % 2 == 0 {
            r#"{"workflow":"by-key","params":{"by":"${ msg.amount }"},"key":"c${ msg.nonce % 9 }"}"#
        } else {
            r#"{"workflow":"pure"}"#
        };
        let disabled = if *enabled { "" } else { ",\"enabled\":false" };
        format!(
            "{{\"id\":\"{id}\",\"version\":{version},\"priority\":{priority},\"conditions\":[\
             {{\"field\":\"kind\",\"op\":\"equals\",\"value\":\"{kind}\"}},\
             {{\"field\":\"amount\",\"op\":\"less_than\",\"value\":{bound}}}],\
             \"actions\":[{action}]{disabled}}}"
        )
    }
}

/// A version that is over: nothing stands for a removal.
type Past = (u64, Option<Rule>);

#[derive(Clone, Debug, Default)]
struct Catalogue {
    version: u64,
    /// By id, each with its version.
    definitions: BTreeMap<String, u64>,
    rules: BTreeMap<String, Rule>,
    past: BTreeMap<String, Vec<Past>>,
}

struct Refused;

impl Catalogue {
    /// Whether the change was not refused.
    fn change(&mut self, changes: &[Change]) -> bool {
        let mut next = self.clone();
        if changes.iter().any(|change| next.one(change).is_err()) {
            return false;
        }
        if (&next.rules, &next.definitions) != (&self.rules, &self.definitions) {
            next.version += 1;
        }
        for (id, old) in &self.rules {
            let new = next.rules.get(id);
            if new == Some(old) {
                continue;
            }
            let past = next.past.entry(id.clone()).or_default();
            past.push((old.version, Some(old.clone())));
            if new.is_none() {
                past.push((old.version, None));
            }
            past.drain(..past.len().saturating_sub(PAST_MAX));
        }
        *self = next;
        true
    }

    fn one(&mut self, change: &Change) -> Result<(), Refused> {
        match change {
            Change::PutDefinition(text) => {
                let json: Value = serde_json::from_str(text).unwrap();
                let version = json["version"].as_u64().unwrap();
                let old = self.definitions.insert(json["id"].as_str().unwrap().into(), version);
                // No two of one version have different texts.
                if old.is_some_and(|old| version < old) {
                    return Err(Refused);
                }
            }
            Change::PutRule(text) => self.put(Rule::of(text))?,
            Change::DeleteRule(id) => {
                self.rules.remove(id).ok_or(Refused)?;
            }
            Change::EnableRule(id, enabled) => {
                self.rules.get_mut(id).ok_or(Refused)?.enabled = *enabled;
            }
            Change::RollBackRule(id, version) => self.roll_back(id, u64::from(*version))?,
            Change::ReplaceRules(keep, put) => {
                for (id, hash) in keep {
                    let text = self.rules.get(id).ok_or(Refused)?.text();
                    if hash64(text.as_bytes()) != *hash {
                        return Err(Refused);
                    }
                }
                let put: Vec<Rule> = put.iter().map(|text| Rule::of(text)).collect();
                self.rules.retain(|id, _| {
                    keep.iter().any(|(kept, _)| kept == id) || put.iter().any(|put| put.id == *id)
                });
                for rule in put {
                    self.put(rule)?;
                }
            }
            change => panic!("the world does not ask for {change:?}"),
        }
        Ok(())
    }

    fn put(&mut self, rule: Rule) -> Result<(), Refused> {
        if let Some(old) = self.rules.get(&rule.id) {
            let flipped = Rule { enabled: old.enabled, ..rule.clone() };
            if rule.version <= old.version && flipped != *old {
                return Err(Refused);
            }
        }
        self.rules.insert(rule.id.clone(), rule);
        Ok(())
    }

    fn roll_back(&mut self, id: &str, version: u64) -> Result<(), Refused> {
        let current = self.rules.get(id).map(|rule| rule.version);
        if current == Some(version) {
            return Ok(());
        }
        let past = self.past.get(id).ok_or(Refused)?;
        let old = past.iter().rev().find(|(past, rule)| *past == version && rule.is_some());
        let (_, old) = old.ok_or(Refused)?;
        let newest = past.iter().map(|(version, _)| *version).chain(current).max();
        let mut rule = old.clone().expect("it was looked for");
        rule.version = newest.expect("there is one") + 1;
        self.rules.insert(id.to_owned(), rule);
        Ok(())
    }

    /// The rules that a message wakes, by priority, then id.
    fn woken(&self, message: &Value) -> Vec<(&str, u64)> {
        let holds = |rule: &&Rule| {
            rule.enabled
                && message["kind"] == *rule.kind
                && rule.bound.is_none_or(|bound| message["amount"].as_i64().unwrap() < bound)
                && rule.below.is_none_or(|below| message["amount"].as_i64().unwrap() < below)
        };
        let mut woken: Vec<&Rule> = self.rules.values().filter(holds).collect();
        woken.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)));
        woken.into_iter().map(|rule| (rule.id.as_str(), rule.version)).collect()
    }
}

/// What a log showed: a run that never reached the rare branches shows nothing.
#[derive(Debug, Default)]
struct Seen {
    messages: usize,
    woken: usize,
    /// Batches that came with another catalogue.
    refused_batches: usize,
    /// Changes by their kind, applied and refused.
    applied: [usize; 5],
    refused: [usize; 5],
    cores: BTreeMap<u16, usize>,
}

fn kind(change: &Change) -> usize {
    match change {
        Change::DeleteRule(_) => 1,
        Change::EnableRule(..) => 2,
        Change::RollBackRule(..) => 3,
        Change::ReplaceRules(..) => 4,
        _ => 0,
    }
}

/// Reads a log from its beginning. The catalogue at its end is left in `catalogue`.
fn judge(log: &[Committed], catalogue: &mut Catalogue, seen: &mut Seen) {
    let mut sessions: BTreeMap<(u64, u64, u16), u64> = BTreeMap::new();
    for entry in log.iter().filter(|entry| !entry.data.is_empty()) {
        for section in BatchView::parse(&entry.data).unwrap().sections() {
            let section = section.unwrap();
            let header = section.header;
            let last = sessions.entry((header.node.0, header.boot.0, header.core.0)).or_default();
            if header.number != *last + 1 {
                continue;
            }
            if header.catalogue != catalogue.version {
                seen.refused_batches += 1;
                continue;
            }
            *last = header.number;
            let mut closed = false;
            for record in section.records() {
                let record = record.unwrap();
                assert!(!closed, "nothing follows a change in its batch");
                if record.kind == RecordType::Accepted {
                    let body = AcceptedView::read(record.version, record.body).unwrap();
                    let message: Value = serde_json::from_slice(body.payload).unwrap();
                    let found: Vec<(&str, u64)> = (body.matches.iter())
                        .map(|found| (&*found.rule, u64::from(found.version.to_native())))
                        .collect();
                    let (at, version) = (entry.index, catalogue.version);
                    let expected = catalogue.woken(&message);
                    assert_eq!(found, expected, "entry {at}, catalogue {version}: {message}");
                    seen.messages += 1;
                    seen.woken += found.len();
                    *seen.cores.entry(header.core.0).or_default() += 1;
                } else if record.kind == RecordType::CatalogueChanged {
                    assert_eq!(record.partition, GLOBAL);
                    let change = CatalogueChanged::read(record.version, record.body).unwrap();
                    let at = kind(change.changes.last().unwrap());
                    let applied = catalogue.change(&change.changes);
                    let counts = if applied { &mut seen.applied } else { &mut seen.refused };
                    counts[at] += 1;
                    closed = true;
                }
            }
        }
    }
}

#[test]
fn each_message_is_matched_by_exactly_the_catalogue_at_its_place_in_the_log() {
    let mut seen = Seen::default();
    for seed in 1..=12 {
        let faults = Faults {
            messages: 800,
            crashes: 0,
            crash_within: Duration::from_secs(1),
            catalogue_change_odds: 4 + seed % 5 * 3,
            full_disk: false,
            ..Faults::default()
        };
        let cores = 2 + u16::try_from(seed % 4).unwrap();
        let (log, state) = World::new(seed, changing(cores), faults).log_and_rules().unwrap();
        let mut catalogue = Catalogue::default();
        judge(&log, &mut catalogue, &mut seen);
        let expected: Vec<(String, u64)> =
            catalogue.rules.values().map(|rule| (rule.id.clone(), rule.version)).collect();
        for (version, rules) in state {
            assert_eq!((version, rules), (catalogue.version, expected.clone()), "seed {seed}");
        }
    }
    println!("{seen:#?}");
    assert!(seen.messages > 4_000 && seen.woken > 1_000, "{seen:?}");
    assert!(seen.refused_batches > 100, "batches were matched again: {seen:?}");
    assert!(seen.applied.iter().all(|count| *count > 10), "{seen:?}");
    assert!(seen.refused.iter().sum::<usize>() > 50, "{seen:?}");
    assert!(seen.cores.len() >= 5, "{seen:?}");
}
