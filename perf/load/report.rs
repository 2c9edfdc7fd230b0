//! What the user gets to read.

use crate::cpu::{Cost, Spent};
use crate::generator::Counts;
use crate::options::Plan;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// The percentiles that are shown, with their names in JSON.
const PERCENTILES: [(&str, &str, f64); 4] =
    [("p50", "p50", 50.0), ("p90", "p90", 90.0), ("p99", "p99", 99.0), ("p99.9", "p999", 99.9)];

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Report {
    url: String,
    rate: u64,
    connections: usize,
    pipeline: usize,
    batch: usize,
    message_bytes: usize,
    threads: usize,
    counts: Counts,
    cost: Cost,
}

impl Report {
    pub(crate) fn new(plan: &Plan, counts: &Counts, cost: &Cost) -> Self {
        Self {
            url: plan.place(),
            rate: plan.rate,
            connections: plan.connections,
            pipeline: plan.pipeline,
            batch: plan.batch,
            message_bytes: plan.template.bytes(),
            threads: plan.threads,
            counts: counts.clone(),
            cost: cost.clone(),
        }
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.counts.measured).as_secs_f64()
    }

    /// Requests per second.
    #[allow(clippy::cast_precision_loss, reason = "a rate is read by people")]
    fn requests_per_second(&self) -> f64 {
        if self.counts.measured == 0 {
            return 0.0;
        }
        self.counts.answered_in_window as f64 / self.seconds()
    }

    #[allow(clippy::cast_precision_loss, reason = "a batch has at most 1,000 messages")]
    fn messages_per_second(&self) -> f64 {
        self.requests_per_second() * self.batch as f64
    }

    /// CPU time per message in microseconds, and the share of a core.
    #[allow(clippy::cast_precision_loss, reason = "a cost is read by people")]
    fn per_message(&self, spent: Option<Spent>) -> Option<(f64, f64)> {
        let spent = spent?;
        let messages = spent.answered * self.batch as u64;
        let cpu = spent.cpu.as_secs_f64();
        let known = messages > 0 && !spent.elapsed.is_zero();
        known.then(|| (cpu * 1e6 / messages as f64, cpu / spent.elapsed.as_secs_f64()))
    }

    fn latency(&self, percentile: f64) -> u64 {
        self.counts.latency.value_at_quantile(percentile / 100.0)
    }

    /// The report for people.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a text takes everything");
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let counts = &self.counts;
        let pace = if self.rate == 0 {
            "closed loop".to_owned()
        } else {
            format!("open loop at {} messages/s", grouped(self.rate))
        };
        writeln!(
            out,
            "{}: {pace}, {} connections, {} in flight on each, {} in a request, {} bytes each, {:.1} s",
            self.url,
            self.connections,
            self.pipeline,
            counted(self.batch as u64, "message"),
            self.message_bytes,
            self.seconds(),
        )?;
        writeln!(
            out,
            "throughput  {} messages/s  ({} requests/s)",
            rounded(self.messages_per_second()),
            rounded(self.requests_per_second())
        )?;
        write!(out, "latency    ")?;
        for (name, _, percentile) in PERCENTILES {
            write!(out, " {name} {} ", milliseconds(self.latency(percentile)))?;
        }
        writeln!(out, " max {} ", milliseconds(counts.latency.max()))?;
        if self.rate > 0 {
            writeln!(out, "            counted from the time a request was due")?;
        }
        writeln!(out, "errors      {}", grouped(counts.errors()))?;
        for (failure, count) in &counts.failed {
            writeln!(out, "            {} x {failure}", grouped(*count))?;
        }
        let others = [
            (counts.unanswered, "requests had no answer when the run ended"),
            (counts.unsent, "requests were due and not sent: every connection was busy"),
            (counts.refused, "attempts to connect again failed"),
        ];
        for (count, what) in others {
            if count > 0 {
                writeln!(out, "            {} {what}", grouped(count))?;
            }
        }
        self.write_cpu(out)
    }

    fn write_cpu(&self, out: &mut String) -> std::fmt::Result {
        let cost = |spent| match self.per_message(spent) {
            Some((micros, cores)) => format!("{micros:.2} us/message ({cores:.2} cores)"),
            None => "not known".to_owned(),
        };
        write!(out, "CPU         server {}", cost(self.cost.server))?;
        writeln!(out, "  generator {}", cost(self.cost.generator))?;
        match &self.cost.note {
            Some(note) => writeln!(out, "            {note}"),
            None => Ok(()),
        }
    }

    /// The report for programs. Latencies in microseconds.
    pub(crate) fn to_json(&self) -> Value {
        let counts = &self.counts;
        let mut latency = Map::new();
        for (_, name, percentile) in PERCENTILES {
            latency.insert(name.to_owned(), json!(micros(self.latency(percentile))));
        }
        latency.insert("max".to_owned(), json!(micros(counts.latency.max())));
        latency.insert("mean".to_owned(), json!((counts.latency.mean() / 1e3).round()));
        let errors: Map<_, _> =
            counts.failed.iter().map(|(kind, count)| (kind.to_string(), json!(count))).collect();
        let cost = |spent| self.per_message(spent).map(|(micros, _)| micros);
        json!({
            "url": self.url,
            "loop": if self.rate == 0 { "closed" } else { "open" },
            "rate": self.rate,
            "connections": self.connections,
            "pipeline": self.pipeline,
            "batch": self.batch,
            "message_bytes": self.message_bytes,
            "threads": self.threads,
            "seconds": self.seconds(),
            "requests": counts.answered_in_window,
            "messages": counts.answered_in_window * self.batch as u64,
            "answered": counts.answered,
            "requests_per_second": self.requests_per_second(),
            "messages_per_second": self.messages_per_second(),
            "latency_us": latency,
            "errors": errors,
            "errors_total": counts.errors(),
            "unanswered": counts.unanswered,
            "unsent": counts.unsent,
            "reconnects_failed": counts.refused,
            "server_cpu_us_per_message": cost(self.cost.server),
            "generator_cpu_us_per_message": cost(self.cost.generator),
            "note": self.cost.note,
        })
    }
}

fn micros(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64() * 1e6
}

fn milliseconds(nanos: u64) -> String {
    format!("{:.3} ms", Duration::from_nanos(nanos).as_secs_f64() * 1e3)
}

fn counted(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(count)) }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive and far below 2^53"
)]
fn rounded(value: f64) -> String {
    grouped(value.round() as u64)
}

/// A number with a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
