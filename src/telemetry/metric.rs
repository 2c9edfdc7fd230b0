//! The cells that a core counts in.
//!
//! Invariants:
//! - a cell belongs to one core: an update is a plain load and store, no atomic, no lock;
//! - counters and histograms hold whole numbers, so that merging loses nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What a cell's whole number counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things: written as they are.
    One,
    /// Nanoseconds: written in seconds, Prometheus' unit of time.
    Nanoseconds,
}

/// How cells of one name and equal labels become one when cores are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They are added: each core holds its share.
    Sum,
    /// The largest counts: each core holds its own view of one thing.
    Max,
}

/// A counter's name and meaning. The name ends in `_total`.
#[derive(Debug, PartialEq, Eq)]
pub struct CounterFamily {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, one sentence.
    pub help: &'static str,
    /// What is counted.
    pub unit: Unit,
}

/// A gauge's name and meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct GaugeFamily {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, one sentence.
    pub help: &'static str,
    /// How cores are merged.
    pub merge: Merge,
}

/// A histogram's name, meaning and buckets.
#[derive(Debug, PartialEq, Eq)]
pub struct HistogramFamily {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, one sentence.
    pub help: &'static str,
    /// What is observed.
    pub unit: Unit,
    /// The upper bounds of its buckets, each included, ascending. What is larger than the last goes
    /// into one more bucket.
    pub bounds: &'static [u64],
}

/// A number that only goes up.
#[derive(Clone, Debug, Default)]
pub struct Counter {
    cell: Rc<Cell<u64>>,
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        self.cell.set(self.cell.get().wrapping_add(count));
    }

    /// So much time more, for a counter of nanoseconds.
    pub fn add_duration(&self, duration: Duration) {
        self.add(nanoseconds(duration));
    }

    /// Follows a counter that is kept elsewhere (the kernel's, say): the cell becomes `total`, unless
    /// it is ahead already.
    pub fn advance_to(&self, total: u64) {
        self.cell.set(self.cell.get().max(total));
    }

    /// The count.
    pub fn value(&self) -> u64 {
        self.cell.get()
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge {
    cell: Rc<Cell<f64>>,
}

impl Gauge {
    /// It is `value` now.
    pub fn set(&self, value: f64) {
        self.cell.set(value);
    }

    /// It is `count` now. Above 2^53 the last digits are lost.
    #[allow(clippy::cast_precision_loss, reason = "a gauge is read by people and dashboards")]
    pub fn set_count(&self, count: u64) {
        self.cell.set(count as f64);
    }

    /// `by` more; less when it is below zero.
    pub fn add(&self, by: f64) {
        self.cell.set(self.cell.get() + by);
    }

    /// Its value.
    pub fn value(&self) -> f64 {
        self.cell.get()
    }
}

/// How often which size was observed.
#[derive(Clone, Debug)]
pub struct Histogram {
    cells: Rc<HistogramCells>,
}

#[derive(Debug)]
struct HistogramCells {
    bounds: &'static [u64],
    /// One per bound, and one for what is larger than all of them.
    buckets: Box<[Cell<u64>]>,
    sum: Cell<u64>,
}

impl Histogram {
    /// A histogram of `family` that nobody scrapes, unless a registry hands it out.
    pub fn new(family: &'static HistogramFamily) -> Self {
        assert!(family.bounds.is_sorted_by(|a, b| a < b), "{}: bounds ascend", family.name);
        let buckets = (0..=family.bounds.len()).map(|_| Cell::new(0)).collect();
        let cells = HistogramCells { bounds: family.bounds, buckets, sum: Cell::new(0) };
        Self { cells: Rc::new(cells) }
    }

    /// One observation, in the family's unit.
    pub fn observe(&self, value: u64) {
        self.observe_many(value, 1);
    }

    /// `count` observations of the same value: what was measured once for a whole batch.
    pub fn observe_many(&self, value: u64, count: u64) {
        let cells = &*self.cells;
        let bucket = &cells.buckets[cells.bounds.partition_point(|bound| *bound < value)];
        bucket.set(bucket.get().wrapping_add(count));
        cells.sum.set(cells.sum.get().wrapping_add(value.wrapping_mul(count)));
    }

    /// One observation of time, for a histogram of nanoseconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(nanoseconds(duration));
    }

    /// How many observations lie in each bucket, the last being those above all bounds.
    pub fn buckets(&self) -> Vec<u64> {
        self.cells.buckets.iter().map(Cell::get).collect()
    }

    /// The sum of all observations.
    pub fn sum(&self) -> u64 {
        self.cells.sum.get()
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
