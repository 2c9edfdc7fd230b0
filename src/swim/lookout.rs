//! When a member that hears of nobody, or of no leader, says so, and what: who looks for a fault in a
//! cluster that does not come together reads it in the log of the node that is missing.
//!
//! | it sees | it says |
//! | --- | --- |
//! | nobody, though it asks | whom it asks, what came and was dropped, what whoever is there must have |
//! | others of whom none leads, and it runs tasks | whom it knows |
//! | others again, or a leader | that, if it had complained |
//! | datagrams that it drops, of nodes that mean to speak with it | where they come from, and why |
//!
//! Invariants:
//! - nothing is said of what is over within [`PATIENCE`];
//! - what stays as it is is said ever more rarely: after 1 minute, 5, and every 30 then ([`PAUSES`]).

use crate::datagram::Dropped;
use base::Instant;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// How long it may take to find others. Seeds are asked at once, after one second and after three.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Between two words on the same matter; the last one for good.
pub const PAUSES: [Duration; 3] =
    [Duration::from_mins(1), Duration::from_mins(5), Duration::from_mins(30)];

/// How many addresses or members a word names.
pub const NAMED_MAX: usize = 5;

/// Why datagrams are dropped of which an operator should hear. The others are of no node that means
/// to speak with this one, or of what it was before.
const TOLD: [Dropped; 6] = [
    Dropped::Cluster,
    Dropped::Address,
    Dropped::Unsealed,
    Dropped::Key,
    Dropped::Forged,
    Dropped::Full,
];

/// What a member sees.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Where it asks for others.
    pub asked: &'a [String],
    /// How many others are there.
    pub others: usize,
    /// Of those the first [`NAMED_MAX`], by name and address.
    pub named: &'a [String],
    /// Whether one that is there, itself included, says that it leads.
    pub has_leader: bool,
    /// Whether it runs tasks, which come from a leader.
    pub runs_tasks: bool,
    /// What it has dropped so far, and where the last came from.
    pub dropped: &'a BTreeMap<Dropped, (u64, SocketAddr)>,
    /// The id of the key by which it seals; none: it seals nothing.
    pub key: Option<u32>,
    /// Its cluster, if it knows.
    pub cluster: Option<u64>,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Something that an operator should see.
    Notice(String),
    /// That it is over.
    Note(String),
}

/// What keeps a member from taking part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Nobody,
    NoLeader,
}

/// When to speak next on one matter.
#[derive(Clone, Copy, Debug)]
struct Turn {
    due: Instant,
    said: usize,
}

impl Turn {
    fn new(due: Instant) -> Self {
        Self { due, said: 0 }
    }

    /// Whether it is time; then the next one is later.
    fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due <= now;
        if is_due {
            self.due = now + PAUSES[self.said.min(PAUSES.len() - 1)];
            self.said += 1;
        }
        is_due
    }
}

/// A trouble that lasts.
#[derive(Debug)]
struct Lasting {
    trouble: Trouble,
    since: Instant,
    turn: Turn,
}

/// What a member has seen, and said of it.
#[derive(Debug, Default)]
pub struct Lookout {
    lasting: Option<Lasting>,
    /// Since when there was one trouble or the other, if something was said of it.
    complained_since: Option<Instant>,
    /// What is wrong, in words, once it has lasted.
    words: Option<String>,
    /// Of each reason: how many were counted when it was told, and when it may be told again.
    told: BTreeMap<Dropped, (u64, Turn)>,
}

impl Lookout {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What keeps this member from taking part, once that has lasted.
    pub fn trouble(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// So it is now. To be called every second or so.
    pub fn on_look(&mut self, now: Instant, sight: &Sight<'_>) -> Vec<Word> {
        let mut said = Vec::new();
        self.look_at_drops(now, sight, &mut said);
        let Some(trouble) = sight.trouble() else {
            self.lasting = None;
            self.words = None;
            if let Some(since) = self.complained_since.take() {
                said.push(Word::Note(sight.relief(now.since(since))));
            }
            return said;
        };
        let fresh = Lasting { trouble, since: now, turn: Turn::new(now + PATIENCE) };
        let lasting = match &mut self.lasting {
            Some(lasting) if lasting.trouble == trouble => lasting,
            other => other.insert(fresh),
        };
        let lasted = now.since(lasting.since);
        if lasted < PATIENCE {
            return said;
        }
        let words = sight.describe(trouble, lasted);
        if lasting.turn.take(now) {
            self.complained_since.get_or_insert(lasting.since);
            said.push(Word::Notice(words.clone()));
        }
        self.words = Some(words);
        said
    }

    fn look_at_drops(&mut self, now: Instant, sight: &Sight<'_>, said: &mut Vec<Word>) {
        for reason in TOLD {
            let Some((count, from)) = sight.dropped.get(&reason) else { continue };
            let (told, turn) = self.told.entry(reason).or_insert((0, Turn::new(now)));
            let new = count - *told;
            if new > 0 && turn.take(now) {
                *told = *count;
                let why = sight.why_dropped(reason);
                let more = if new > 1 { format!(", the last of {new}") } else { String::new() };
                said.push(Word::Notice(format!(
                    "gossip: a datagram from {from} was dropped{more}: {why}"
                )));
            }
        }
    }
}

impl Sight<'_> {
    fn trouble(&self) -> Option<Trouble> {
        match self {
            Self { others: 0, asked: [_, ..], .. } => Some(Trouble::Nobody),
            Self { has_leader: false, runs_tasks: true, .. } => Some(Trouble::NoLeader),
            _ => None,
        }
    }

    fn describe(&self, trouble: Trouble, lasted: Duration) -> String {
        let seconds = lasted.as_secs();
        match trouble {
            Trouble::Nobody => {
                let mut words = format!(
                    "gossip: nobody has answered for {seconds} s. Asked by UDP: {}; came: {}. A \
                     coordinator must be there whose --gossip that is (not its --http, --tcp or \
                     --peer), ",
                    few(self.asked, self.asked.len()),
                    self.came()
                );
                let _ = match self.key {
                    Some(key) => write!(words, "with key {key:08x} in its gossip_keys"),
                    None => write!(words, "without gossip_keys, as there are none here"),
                };
                if let Some(cluster) = self.cluster {
                    let _ =
                        write!(words, ", and of cluster {cluster:016x}, as this data directory is");
                }
                words
            }
            Trouble::NoLeader if self.others == 0 => {
                format!("gossip: for {seconds} s nobody is known, so no leader is")
            }
            Trouble::NoLeader => format!(
                "gossip: for {seconds} s none of those that are known says that it leads: {}. Either \
                 no coordinator leads, or the one that does has no --gossip, or it and these do not \
                 hear each other by UDP",
                few(self.named, self.others)
            ),
        }
    }

    /// What was dropped, in short.
    fn came(&self) -> String {
        let told = TOLD.iter().filter_map(|reason| {
            let (count, from) = self.dropped.get(reason)?;
            let why = self.why_dropped(*reason);
            Some(format!("{count} dropped, the last one from {from} ({why})"))
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join("; ") }
    }

    fn why_dropped(&self, reason: Dropped) -> String {
        match (reason, self.key) {
            (Dropped::Key, None) => "it is sealed, and this node has no gossip_keys".to_owned(),
            (Dropped::Key, Some(key)) => format!(
                "it is sealed with a key that is not in this node's gossip_keys, which seals with \
                 {key:08x}"
            ),
            (Dropped::Unsealed, _) => {
                "it is in clear text, and this node has gossip_keys: the other one needs them, too"
                    .to_owned()
            }
            (Dropped::Forged, _) => {
                "it is sealed with a known key, and was changed since".to_owned()
            }
            (Dropped::Cluster, _) => match self.cluster {
                Some(cluster) => {
                    format!("it is of another cluster than this node, which is of {cluster:016x}")
                }
                None => "it is of another cluster".to_owned(),
            },
            (Dropped::Address, _) => "its sender says that it takes gossip elsewhere: addresses \
                                      must not be translated between nodes"
                .to_owned(),
            (Dropped::Full, _) => {
                format!("its sender is new, and {} members are known", crate::MEMBERS_MAX)
            }
            (other, _) => other.as_str().to_owned(),
        }
    }

    fn relief(&self, lasted: Duration) -> String {
        let leader = if self.has_leader { ", and who leads" } else { "" };
        format!(
            "gossip: {} is known{leader}, after {} s",
            if self.others == 0 { "this node".to_owned() } else { few(self.named, self.others) },
            lasted.as_secs()
        )
    }
}

/// The first few, and how many there are besides.
fn few(named: &[String], count: usize) -> String {
    let named = &named[..named.len().min(NAMED_MAX)];
    let mut text = named.join(", ");
    if count > named.len() {
        let _ = write!(text, " and {} more", count - named.len());
    }
    text
}

#[cfg(test)]
mod tests;
