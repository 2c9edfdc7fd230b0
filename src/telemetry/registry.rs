//! Which cells a core has, what they held at one moment, and the moments of all cores as one.
//!
//! Invariants:
//! - one name and equal labels give the same cell, however often it is asked for;
//! - a label's value has at most [`LABEL_BYTES_MAX`] bytes;
//! - a registry never holds more than [`SERIES_MAX`] cells, whatever the labels come from;
//! - a merged snapshot is sorted by name, then labels, so that equal states give equal text.

use crate::families;
use crate::metric::{
    Counter, CounterFamily, Gauge, GaugeFamily, Histogram, HistogramFamily, Merge,
};
use crate::summary::{Summary, SummaryFamily};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Labels of one cell.
pub const LABELS_MAX: usize = 8;

/// The longest value of a label; a longer one is cut at a character. Unit: bytes. Names of routes,
/// types and reasons are far shorter.
pub const LABEL_BYTES_MAX: usize = 128;

/// Cells of one core. What is asked for beyond gets a cell that nobody scrapes, and is counted in
/// `distric_metric_series_refused_total`: a label taken from a client's text must not eat memory.
pub const SERIES_MAX: usize = 4_096;

/// Labels in the order of their names. Shared with snapshots: a scrape copies no text.
type Labels = Arc<[(&'static str, String)]>;

/// What tells one cell from another.
type Key = (&'static str, Labels);

/// A name, and what kind of cell goes by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Counter(&'static CounterFamily),
    Gauge(&'static GaugeFamily),
    Histogram(&'static HistogramFamily),
    Summary(&'static SummaryFamily),
}

impl Family {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Counter(family) => family.name,
            Self::Gauge(family) => family.name,
            Self::Histogram(family) => family.name,
            Self::Summary(family) => family.name,
        }
    }

    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::Counter(family) => family.help,
            Self::Gauge(family) => family.help,
            Self::Histogram(family) => family.help,
            Self::Summary(family) => family.help,
        }
    }

    /// A label that is the format's own.
    fn reserved(self) -> Option<&'static str> {
        match self {
            Self::Counter(_) | Self::Gauge(_) => None,
            Self::Histogram(_) => Some("le"),
            Self::Summary(_) => Some("quantile"),
        }
    }
}

#[derive(Clone, Debug)]
enum Cells {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
    Summary(Summary),
}

/// The cells of one core. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Registry {
    series: Rc<RefCell<BTreeMap<Key, (Family, Cells)>>>,
    refused: Counter,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// A registry that holds nothing but its own count of refusals.
    pub fn new() -> Self {
        let mut registry = Self { series: Rc::default(), refused: Counter::default() };
        registry.refused = registry.counter(&families::METRIC_SERIES_REFUSED, &[]);
        registry
    }

    /// The counter of `family` with these labels.
    pub fn counter(
        &self,
        family: &'static CounterFamily,
        labels: &[(&'static str, &str)],
    ) -> Counter {
        let fresh = || Cells::Counter(Counter::default());
        match self.cells(Family::Counter(family), labels, fresh) {
            Cells::Counter(counter) => counter,
            other => panic!("{} is a counter and {other:?}", family.name),
        }
    }

    /// The gauge of `family` with these labels.
    pub fn gauge(&self, family: &'static GaugeFamily, labels: &[(&'static str, &str)]) -> Gauge {
        let fresh = || Cells::Gauge(Gauge::default());
        match self.cells(Family::Gauge(family), labels, fresh) {
            Cells::Gauge(gauge) => gauge,
            other => panic!("{} is a gauge and {other:?}", family.name),
        }
    }

    /// The histogram of `family` with these labels.
    pub fn histogram(
        &self,
        family: &'static HistogramFamily,
        labels: &[(&'static str, &str)],
    ) -> Histogram {
        let fresh = || Cells::Histogram(Histogram::new(family));
        match self.cells(Family::Histogram(family), labels, fresh) {
            Cells::Histogram(histogram) => histogram,
            other => panic!("{} is a histogram and {other:?}", family.name),
        }
    }

    /// The summary of `family` with these labels.
    pub fn summary(
        &self,
        family: &'static SummaryFamily,
        labels: &[(&'static str, &str)],
    ) -> Summary {
        let fresh = || Cells::Summary(Summary::default());
        match self.cells(Family::Summary(family), labels, fresh) {
            Cells::Summary(summary) => summary,
            other => panic!("{} is a summary and {other:?}", family.name),
        }
    }

    fn cells(
        &self,
        family: Family,
        labels: &[(&'static str, &str)],
        fresh: impl FnOnce() -> Cells,
    ) -> Cells {
        let mut series = self.series.borrow_mut();
        let key = (family.name(), sorted(family, labels));
        if let Some((_, cells)) = series.get(&key) {
            return cells.clone();
        }
        if series.len() == SERIES_MAX {
            self.refused.increment();
            return fresh();
        }
        let cells = fresh();
        series.insert(key, (family, cells.clone()));
        cells
    }

    /// What every cell holds now.
    pub fn snapshot(&self) -> Snapshot {
        let series = self.series.borrow();
        let samples = series.iter().map(|((_, labels), (family, cells))| Sample {
            family: *family,
            labels: Arc::clone(labels),
            value: match cells {
                Cells::Counter(counter) => Value::Count(counter.value()),
                Cells::Gauge(gauge) => Value::Level(gauge.value()),
                Cells::Histogram(histogram) => {
                    Value::Buckets { buckets: histogram.buckets(), sum: histogram.sum() }
                }
                Cells::Summary(summary) => {
                    Value::Quantiles { buckets: summary.buckets(), sum: summary.sum() }
                }
            },
        });
        Snapshot { samples: samples.collect() }
    }
}

/// Checks and sorts labels. Their names are the program's own: a wrong one is a mistake of ours.
fn sorted(family: Family, labels: &[(&'static str, &str)]) -> Labels {
    let name = family.name();
    assert!(labels.len() <= LABELS_MAX, "{name} has {} labels", labels.len());
    let mut sorted: Vec<_> =
        labels.iter().map(|(label, value)| (*label, bounded(value).to_owned())).collect();
    sorted.sort_unstable();
    for (at, (label, _)) in sorted.iter().enumerate() {
        assert!(is_label(label), "{name}: `{label}` is a label's name");
        let is_reserved = family.reserved() == Some(*label);
        assert!(!is_reserved, "{name}: `{label}` is the format's own");
        assert!(at == 0 || sorted[at - 1].0 != *label, "{name}: `{label}` is given once");
    }
    sorted.into()
}

fn bounded(value: &str) -> &str {
    &value[..value.floor_char_boundary(LABEL_BYTES_MAX)]
}

fn is_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with("__")
}

/// What a cell held.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A counter's.
    Count(u64),
    /// A gauge's.
    Level(f64),
    /// A histogram's.
    Buckets {
        /// Observations per bucket, the last being those above all bounds.
        buckets: Vec<u64>,
        /// Their sum, in the family's unit.
        sum: u64,
    },
    /// A summary's.
    Quantiles {
        /// Observations per bucket of the summary's own, up to the last bucket that has any.
        buckets: Vec<u64>,
        /// Their sum, in the family's unit.
        sum: u64,
    },
}

/// One cell at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub(crate) family: Family,
    pub(crate) labels: Labels,
    pub(crate) value: Value,
}

impl Sample {
    /// The family's name.
    pub fn name(&self) -> &'static str {
        self.family.name()
    }

    /// The labels, in the order of their names.
    pub fn labels(&self) -> &[(&'static str, String)] {
        &self.labels
    }

    /// What the cell held.
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn absorb(&mut self, other: &Value) {
        let family = self.family;
        match (&mut self.value, other) {
            (Value::Count(mine), Value::Count(theirs)) => *mine = mine.wrapping_add(*theirs),
            (Value::Level(mine), Value::Level(theirs)) => match family {
                Family::Gauge(GaugeFamily { merge: Merge::Max, .. }) => *mine = mine.max(*theirs),
                _ => *mine += *theirs,
            },
            (
                Value::Buckets { buckets, sum },
                Value::Buckets { buckets: their_buckets, sum: their_sum },
            ) => {
                assert!(buckets.len() == their_buckets.len(), "one family has one set of buckets");
                for (mine, theirs) in buckets.iter_mut().zip(their_buckets) {
                    *mine = mine.wrapping_add(*theirs);
                }
                *sum = sum.wrapping_add(*their_sum);
            }
            (
                Value::Quantiles { buckets, sum },
                Value::Quantiles { buckets: their_buckets, sum: their_sum },
            ) => {
                buckets.resize(buckets.len().max(their_buckets.len()), 0);
                for (mine, theirs) in buckets.iter_mut().zip(their_buckets) {
                    *mine = mine.wrapping_add(*theirs);
                }
                *sum = sum.wrapping_add(*their_sum);
            }
            (mine, theirs) => panic!("{} is {mine:?} and {theirs:?}", family.name()),
        }
    }
}

/// What the cells of a core, or of all, held at one moment. Plain data: it may leave its core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub(crate) samples: Vec<Sample>,
}

impl Snapshot {
    /// The samples, by name, then labels.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }
}

/// The snapshots of all cores as one.
pub fn merge(snapshots: impl IntoIterator<Item = Snapshot>) -> Snapshot {
    let mut merged: BTreeMap<Key, Sample> = BTreeMap::new();
    for sample in snapshots.into_iter().flat_map(|snapshot| snapshot.samples) {
        let key = (sample.family.name(), Arc::clone(&sample.labels));
        match merged.get_mut(&key) {
            Some(mine) => mine.absorb(&sample.value),
            None => {
                merged.insert(key, sample);
            }
        }
    }
    Snapshot { samples: merged.into_values().collect() }
}

#[cfg(test)]
mod tests;
