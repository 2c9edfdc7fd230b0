//! Worlds that do what a script says, and tell what happens: `tests/sim/scenarios`.

use super::World;
use crate::faults::Faults;
use crate::node::NodeConfig;
use api::Method;
use std::fmt::Write;
use std::time::Duration;

/// Between two messages of a flood.
const FLOOD_BETWEEN: Duration = Duration::from_millis(10);

/// A world that a script drives.
pub struct Scripted {
    world: World,
}

impl Scripted {
    /// A group of nodes that are down, in a world without faults but those of the script.
    pub fn new(seed: u64, configs: Vec<NodeConfig>) -> Self {
        let mut world = World::group(seed, configs, Faults::none(0));
        world.transcript.keep();
        world.is_scripted = true;
        Self { world }
    }

    /// Does what a line of a script says. The answer is what happened meanwhile.
    ///
    /// | command | what it does |
    /// | --- | --- |
    /// | `start 1 2 3` | the processes start |
    /// | `kill 1` | the process ends; its machine resets its connections |
    /// | `cut-power 1` | the machine goes, with what its disk had not synced |
    /// | `wipe 1` | the process ends, and its data directory is gone |
    /// | `stop 1` | the process is told to stop, hands over, and ends |
    /// | `pause 1 500ms` | the process does nothing for so long |
    /// | `part 1 2` | these are cut off from all others |
    /// | `cut 1 2` | nothing gets from the first to the second |
    /// | `heal` | every way is free again |
    /// | `delay 40ms` | messages take up to so long |
    /// | `post 1 7`, `post 1 7 keyed` | a client sends message 7 to node 1 |
    /// | `mend 1` | the operator removes node 1 and adds it again, as it is now |
    /// | `transfer 1 2` | somebody asks node 1 to have the lead handed to node 2 |
    /// | `flood 2 100` | a client sends so many messages to node 2, of which nothing is told |
    /// | `read 2 7` | somebody reads message 7 at node 2, once it was acknowledged |
    /// | `run 2s` | time passes |
    /// | `show` | how each node fares |
    /// | `rest` | all troubles end, and everything is checked as at the end of a seed |
    pub fn command(&mut self, line: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let wrong = || format!("{line:?} is no command: see Scripted::command");
        let (command, rest) = words.split_first().ok_or_else(wrong)?;
        let place = |at: usize| -> Result<usize, String> {
            let node: usize = rest.get(at).and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
            let known = (1..=self.world.machines.len()).contains(&node);
            known.then(|| node - 1).ok_or_else(|| format!("there is no node {node}"))
        };
        let places = (0..rest.len()).map(place).collect::<Result<Vec<usize>, String>>();
        let text_at = |at: usize| rest.get(at).copied().ok_or_else(wrong);
        let number =
            |at: usize| text_at(at).and_then(|word| word.parse::<u64>().map_err(|_| wrong()));
        let world = &mut self.world;
        match *command {
            "start" => {
                for place in places? {
                    world.start(place)?;
                }
            }
            "kill" => world.end(place_of(&places, wrong)?, true),
            "cut-power" => world.cut_power_of(place_of(&places, wrong)?),
            "wipe" => {
                world.lose_disk(place_of(&places, wrong)?);
            }
            "mend" => world.operator.mend(place_of(&places, wrong)?),
            "transfer" => {
                let (place, to) = (number(0)?, number(1)?);
                let place = usize::try_from(place - 1).map_err(|_| wrong())?;
                let body = format!("{{\"to\":{to}}}");
                let path = (Method::Post, "/api/v1/cluster/transfer");
                world.demand(place, path, &body, false)?;
            }
            "flood" => {
                let (place, count) = (number(0)?, number(1)?);
                let place = usize::try_from(place - 1).map_err(|_| wrong())?;
                world.flood(place, count)?;
            }
            "stop" => {
                let place = place_of(&places, wrong)?;
                world.machines[place].node.as_mut().ok_or("it is down")?.on_stop();
            }
            "pause" => {
                let until = world.instant + duration(text_at(1)?)?;
                let place = number(0)?;
                let place = usize::try_from(place - 1).map_err(|_| wrong())?;
                world.machines.get_mut(place).ok_or_else(wrong)?.paused_until = Some(until);
            }
            "part" => {
                let these = places?;
                world.net(|network, now, out| network.part(now, &these, out));
            }
            "cut" => {
                let [from, to] = places?[..] else { return Err(wrong()) };
                world.net(|network, now, out| network.cut(now, from, to, out));
            }
            "heal" => world.network.heal(),
            "delay" => {
                let delay =
                    u64::try_from(duration(text_at(0)?)?.as_micros()).map_err(|_| wrong())?;
                world.network.weather.delay_us = delay;
            }
            "post" => {
                let (place, nonce) = (number(0)?, number(1)?);
                let place = usize::try_from(place - 1).map_err(|_| wrong())?;
                world.post_given(place, nonce, rest.get(2) == Some(&"keyed"))?;
            }
            "read" => {
                let (place, nonce) = (number(0)?, number(1)?);
                let place = usize::try_from(place - 1).map_err(|_| wrong())?;
                world.read_given(place, nonce)?;
            }
            "run" => {
                let until = world.instant + duration(text_at(0)?)?;
                world.pass(until, World::operate)?;
            }
            "show" => world.show(),
            "rest" => {
                world.rest()?;
                world.check_all()?;
            }
            _ => return Err(wrong()),
        }
        Ok(self.world.transcript.take())
    }
}

fn place_of(
    places: &Result<Vec<usize>, String>,
    wrong: impl Fn() -> String,
) -> Result<usize, String> {
    match places {
        Ok(places) if places.len() == 1 => Ok(places[0]),
        Ok(_) => Err(wrong()),
        Err(reason) => Err(reason.clone()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time: 200us, 50ms, or 3s");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at(unit);
    let count: u64 = count.parse().map_err(|_| wrong())?;
    match unit {
        "us" => Ok(Duration::from_micros(count)),
        "ms" => Ok(Duration::from_millis(count)),
        "s" => Ok(Duration::from_secs(count)),
        _ => Err(wrong()),
    }
}

impl World {
    fn show(&mut self) {
        let mut lines = Vec::new();
        for machine in &self.machines {
            let mut line = format!("         {}", machine.name);
            if let Some(node) = &machine.node {
                let status = node.status();
                let role = match status.leader {
                    _ if status.leading => "leads".into(),
                    0 => "knows no leader".into(),
                    leader => format!("follows {leader}"),
                };
                write!(
                    line,
                    " {role} in term {}, entry {} is committed, {} applied",
                    status.term, status.commit, status.applied
                )
            } else {
                write!(line, " is down")
            }
            .expect("a string grows");
            lines.push(line);
        }
        for line in lines {
            self.transcript.say(self.instant, || line.trim_start().to_owned());
        }
    }

    /// What holds at rest is checked.
    fn check_all(&mut self) -> Result<(), String> {
        for machine in &self.machines {
            self.checker.check_all(machine.running(), &self.clients)?;
            self.checker.on_rest(machine.running())?;
        }
        let (entries, messages) = (self.checker.last(), self.clients.acknowledged.len());
        self.transcript.say(self.instant, || {
            format!("all nodes rest at entry {entries} with equal state; {messages} messages are there, once")
        });
        Ok(())
    }

    fn post_given(&mut self, place: usize, nonce: u64, keyed: bool) -> Result<(), String> {
        let post = self.clients.post_given(place, nonce, keyed);
        let (at, id) = (self.instant, place + 1);
        self.transcript.say(at, || format!("a client sends message {nonce} to {id}"));
        self.post(place, &post)
    }

    fn flood(&mut self, place: usize, count: u64) -> Result<(), String> {
        self.transcript.pause();
        for _ in 0..count {
            let nonce = self.clients.next_nonce;
            self.post_given(place, nonce, false)?;
            let until = self.instant + FLOOD_BETWEEN;
            self.pass(until, |_| Ok(()))?;
        }
        self.transcript.keep();
        let (at, id) = (self.instant, place + 1);
        self.transcript.say(at, || format!("a client has sent {count} messages to {id}"));
        Ok(())
    }

    fn read_given(&mut self, place: usize, nonce: u64) -> Result<(), String> {
        let mut told = self.clients.acknowledged.iter();
        let id = told.find(|(_, told)| told.nonce == nonce).map(|(id, _)| *id);
        let id = id.ok_or_else(|| format!("message {nonce} was not acknowledged"))?;
        let (at, name) = (self.instant, place + 1);
        self.transcript.say(at, || format!("somebody reads message {nonce} at {name}"));
        self.read_at(place, id)
    }

    /// A machine of a script goes, and stays away until the script starts it.
    fn cut_power_of(&mut self, place: usize) {
        self.end(place, false);
        self.machines[place].disk.crash(&mut self.crashes.fork("disk"));
    }
}
