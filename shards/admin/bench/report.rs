//! What `rules bench` prints.

use super::machine::Machine;
use super::{Cost, Counts, Mode, Slowest, Speed, per_second, ratio};
use crate::check::counted;
use crate::table::{plain, write_table};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::time::Duration;

/// All that was measured.
pub(super) struct Report {
    pub(super) rules: usize,
    pub(super) always_checked: usize,
    pub(super) table_bytes: usize,
    pub(super) compile: Duration,
    pub(super) messages: usize,
    pub(super) bytes: usize,
    pub(super) counts: Counts,
    pub(super) speed: Speed,
    pub(super) latency: Histogram<u64>,
    pub(super) slowest: Slowest,
    pub(super) mode: Mode,
    pub(super) machine: Machine,
}

impl Report {
    pub(super) fn to_json(&self) -> Value {
        let slowest: Vec<_> = self.slowest.costs.iter().map(Cost::to_json).collect();
        json!({
            "events_per_cpu_second": whole(self.speed.median()),
            "best_events_per_cpu_second": whole(self.speed.best()),
            "mean_events_per_cpu_second": whole(per_second(self.speed.events, self.speed.cpu)),
            "events": self.speed.events,
            "cpu_seconds": self.speed.cpu.as_secs_f64(),
            "p50_ns": self.latency.value_at_quantile(0.5),
            "p99_ns": self.latency.value_at_quantile(0.99),
            "max_ns": self.latency.max(),
            "messages": self.messages,
            "message_bytes_mean": ratio(self.bytes as u64, self.messages),
            "matches": self.counts.matches,
            "matched_messages": self.counts.matched_messages,
            "candidates_per_event": ratio(self.counts.candidates, self.messages),
            "rules": self.rules,
            "always_checked": self.always_checked,
            "compile_ms": self.compile.as_secs_f64() * 1e3,
            "table_bytes": self.table_bytes,
            "slowest_rules": slowest,
            "slowest_sampled": self.slowest.sampled,
            "mode": self.mode.name(),
            "machine": self.machine.to_json(),
        })
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let counts = &self.counts;
        if self.machine.is_debug_build {
            writeln!(out, "a debug build: these figures say nothing; build with --release")?;
        }
        writeln!(out, "on     {}", plain(&self.machine.to_string()))?;
        writeln!(
            out,
            "rules  {}, {} looked at for every message; compiled in {:.1} ms, {} kB",
            counted(self.rules, "enabled rule"),
            self.always_checked,
            self.compile.as_secs_f64() * 1e3,
            self.table_bytes / 1_000
        )?;
        writeln!(
            out,
            "input  {} of {:.0} bytes, raw, each {} ({})",
            counted(self.messages, "message"),
            ratio(self.bytes as u64, self.messages),
            match self.mode {
                Mode::Strict => "checked whole",
                Mode::Fast => "read as far as some rule asks",
            },
            self.mode.name()
        )?;
        writeln!(out)?;
        writeln!(
            out,
            "events per CPU second  {}   best round {}, mean {}; {} events in {:.2} s",
            whole(self.speed.median()),
            whole(self.speed.best()),
            whole(per_second(self.speed.events, self.speed.cpu)),
            self.speed.events,
            self.speed.cpu.as_secs_f64()
        )?;
        writeln!(
            out,
            "one event              p50 {}, p99 {}, longest {}",
            nanoseconds(self.latency.value_at_quantile(0.5)),
            nanoseconds(self.latency.value_at_quantile(0.99)),
            nanoseconds(self.latency.max())
        )?;
        writeln!(
            out,
            "matches                {} in all, in {}",
            counts.matches,
            counted(usize::try_from(counts.matched_messages).unwrap_or(usize::MAX), "message")
        )?;
        writeln!(out, "candidates per event   {:.2}", ratio(counts.candidates, self.messages))?;
        self.write_slowest(out)
    }

    fn write_slowest(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.slowest.costs.is_empty() {
            return Ok(());
        }
        writeln!(out)?;
        writeln!(out, "the slowest, each alone, beyond reading the message:")?;
        let rows: Vec<_> = self.slowest.costs.iter().map(Cost::to_row).collect();
        let columns = [
            ("RULE", "rule"),
            ("NS/EVENT", "ns"),
            ("LOOKED AT", "candidate"),
            ("MATCHES", "matches"),
        ];
        write_table(out, &columns, Some(&Value::from(rows)))?;
        if self.slowest.sampled < self.rules {
            writeln!(out, "of the first {} rules", self.slowest.sampled)?;
        }
        Ok(())
    }
}

impl Cost {
    fn to_json(&self) -> Value {
        json!({
            "rule": self.rule,
            "ns_per_event": whole(self.nanoseconds),
            "candidate_share": self.candidate_share,
            "match_share": self.match_share,
        })
    }

    fn to_row(&self) -> Value {
        json!({
            "rule": self.rule,
            "ns": format!("{:.0}", self.nanoseconds),
            "candidate": format!("{:.0} %", self.candidate_share * 100.0),
            "matches": format!("{:.0} %", self.match_share * 100.0),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn nanoseconds(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} ns"),
        10_000..10_000_000 => format!("{:.1} us", count as f64 / 1e3),
        _ => format!("{:.1} ms", count as f64 / 1e6),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "for people")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}
