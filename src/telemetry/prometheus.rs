//! Prometheus' text exposition format, version 0.0.4.
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>

use crate::json::write_number;
use crate::metric::Unit;
use crate::registry::{Family, Sample, Snapshot, Value};
use crate::summary::{QUANTILES, quantile};

/// Writes a snapshot as a scraper reads it. Families stand together, each under its HELP and TYPE.
pub fn prometheus(snapshot: &Snapshot, out: &mut Vec<u8>) {
    let mut last = "";
    for sample in &snapshot.samples {
        if sample.name() != last {
            last = sample.name();
            write_head(sample.family, out);
        }
        write_sample(sample, out);
    }
}

fn write_head(family: Family, out: &mut Vec<u8>) {
    let kind: &[u8] = match family {
        Family::Counter(_) => b"counter",
        Family::Gauge(_) => b"gauge",
        Family::Histogram(_) => b"histogram",
        Family::Summary(_) => b"summary",
    };
    out.extend_from_slice(b"# HELP ");
    out.extend_from_slice(family.name().as_bytes());
    out.push(b' ');
    write_escaped(family.help(), false, out);
    out.extend_from_slice(b"\n# TYPE ");
    out.extend_from_slice(family.name().as_bytes());
    out.push(b' ');
    out.extend_from_slice(kind);
    out.push(b'\n');
}

fn write_sample(sample: &Sample, out: &mut Vec<u8>) {
    match (&sample.value, sample.family) {
        (Value::Count(count), Family::Counter(family)) => {
            write_name(sample, "", None, out);
            write_scaled(*count, family.unit, out);
            out.push(b'\n');
        }
        (Value::Level(level), _) => {
            write_name(sample, "", None, out);
            write_float(*level, out);
            out.push(b'\n');
        }
        (Value::Buckets { buckets, sum }, Family::Histogram(family)) => {
            let mut count = 0;
            for (at, bucket) in buckets.iter().enumerate() {
                count += bucket;
                let mut bound = Vec::with_capacity(24);
                match family.bounds.get(at) {
                    Some(bound_value) => write_scaled(*bound_value, family.unit, &mut bound),
                    None => bound.extend_from_slice(b"+Inf"),
                }
                write_name(sample, "_bucket", Some(("le", &bound)), out);
                write_number(out, count);
                out.push(b'\n');
            }
            write_totals(sample, *sum, count, family.unit, out);
        }
        (Value::Quantiles { buckets, sum }, Family::Summary(family)) => {
            for (thousandths, text) in QUANTILES {
                write_name(sample, "", Some(("quantile", text.as_bytes())), out);
                match quantile(buckets, thousandths) {
                    Some(value) => write_scaled(value, family.unit, out),
                    // As Prometheus' own libraries say that there is nothing yet.
                    None => out.extend_from_slice(b"NaN"),
                }
                out.push(b'\n');
            }
            let count = buckets.iter().fold(0_u64, |sum, count| sum.wrapping_add(*count));
            write_totals(sample, *sum, count, family.unit, out);
        }
        (value, family) => panic!("{} holds {value:?}", family.name()),
    }
}

/// The last two lines of a histogram or a summary.
fn write_totals(sample: &Sample, sum: u64, count: u64, unit: Unit, out: &mut Vec<u8>) {
    write_name(sample, "_sum", None, out);
    write_scaled(sum, unit, out);
    out.push(b'\n');
    write_name(sample, "_count", None, out);
    write_number(out, count);
    out.push(b'\n');
}

/// Name, labels with one of the format's own at the end, and the space before the value.
fn write_name(sample: &Sample, suffix: &str, own: Option<(&str, &[u8])>, out: &mut Vec<u8>) {
    out.extend_from_slice(sample.name().as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let mut before = b'{';
    for (label, value) in &*sample.labels {
        out.push(before);
        before = b',';
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b"=\"");
        write_escaped(value, true, out);
        out.push(b'"');
    }
    if let Some((label, value)) = own {
        out.push(before);
        before = b',';
        out.extend_from_slice(label.as_bytes());
        out.extend_from_slice(b"=\"");
        out.extend_from_slice(value);
        out.push(b'"');
    }
    if before == b',' {
        out.push(b'}');
    }
    out.push(b' ');
}

/// Backslash and line feed are escaped everywhere, quotes in the values of labels.
fn write_escaped(text: &str, quotes: bool, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            other => out.push(other),
        }
    }
}

/// A whole number in its unit. Seconds are written digit by digit from nanoseconds, so that no
/// rounding stands between a cell and its text.
fn write_scaled(number: u64, unit: Unit, out: &mut Vec<u8>) {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    match unit {
        Unit::One => write_number(out, number),
        Unit::Nanoseconds => {
            write_number(out, number / NANOS_PER_SECOND);
            let nanos = number % NANOS_PER_SECOND;
            if nanos > 0 {
                let digits = format!("{nanos:09}");
                out.push(b'.');
                out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
            }
        }
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    let text = if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
