//! `distric-admin events`: what happened on a node, and what happens.
//!
//! Invariants:
//! - a follower prints every event that the node keeps once, over restarts of the node too, and
//!   says what it missed.

use crate::Trouble;
use crate::server::{Server, with_query};
use crate::table::{at, cell};
use serde_json::Value;
use std::io::{self, Write};
use std::thread::sleep;
use std::time::Duration;

/// How long the node may keep a request that waits for an event. Shorter than this program waits for
/// an answer.
const WAIT: &str = "20s";

/// The page that is asked for: all that a node keeps are little more.
const LIMIT: &str = "1000";

/// Between two tries to reach a node that has gone.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

/// Which events.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) after: u64,
    pub(crate) follow: bool,
    pub(crate) json: bool,
    /// How long a follower whose node has gone leaves it alone.
    pub(crate) pause: Duration,
}

/// Prints the events there are and, following, those that come.
pub(crate) fn events(server: &Server, asked: &Asked, out: &mut dyn Write) -> Result<(), Trouble> {
    let path = |after: u64, wait: Option<&str>| {
        let after = after.to_string();
        let parameters = [("after", Some(after.as_str())), ("limit", Some(LIMIT)), ("wait", wait)];
        with_query("/api/v1/events", &parameters)
    };
    let answer = server.get(&path(asked.after, None)).map_err(Trouble::Node)?;
    if !asked.follow {
        if asked.json {
            answer.write(out)?;
        } else {
            print(&answer.value, false, out)?;
        }
        return Ok(());
    }
    print(&answer.value, asked.json, out)?;
    let mut place = Place::behind(&answer.value);
    let mut reached = true;
    loop {
        let page = match server.get(&path(place.next, Some(WAIT))) {
            Ok(page) => page.value,
            Err(error) => {
                if reached {
                    eprintln!("distric-admin: {error:#}; trying again until it answers");
                }
                reached = false;
                sleep(asked.pause);
                continue;
            }
        };
        reached = true;
        if place.is_of_another_run(&page) {
            eprintln!("distric-admin: the node was started again");
            // Numbers begin anew: what was asked for may have skipped some.
            place = Place { start: Place::behind(&page).start, next: 0 };
            continue;
        }
        print(&page, asked.json, out)?;
        place = Place::behind(&page);
    }
}

/// How far a follower is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The node's run.
    start: u64,
    next: u64,
}

impl Place {
    fn behind(page: &Value) -> Self {
        let number = |name| page.get(name).and_then(Value::as_u64).unwrap_or_default();
        Self { start: number("start"), next: number("next") }
    }

    fn is_of_another_run(self, page: &Value) -> bool {
        Self::behind(page).start != self.start
    }
}

fn print(page: &Value, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let lost = page.get("lost").and_then(Value::as_u64).unwrap_or_default();
    if lost > 0 {
        eprintln!("distric-admin: {lost} earlier events are no longer kept");
    }
    for event in page.get("events").and_then(Value::as_array).into_iter().flatten() {
        if json {
            writeln!(out, "{event}")?;
        } else {
            writeln!(out, "{}", line(event))?;
        }
    }
    out.flush()
}

/// `2026-11-20T11:11:48.262058Z  leader_elected  node=1 term=4`: kinds that this program does not
/// know are shown as well as those that it knows.
fn line(event: &Value) -> String {
    let mut line = format!("{}  {} ", cell(at(event, "at")), cell(at(event, "kind")));
    for (name, value) in event.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "number" | "at" | "kind") {
            line.push(' ');
            line.push_str(&cell(Some(&Value::from(name.as_str()))));
            line.push('=');
            line.push_str(&cell(Some(value)));
        }
    }
    line
}

#[cfg(test)]
mod tests;
