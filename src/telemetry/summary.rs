//! Quantiles: where half of all observations lie, and the worst hundredth and thousandth.
//!
//! Observations are counted in buckets of which each power of two has 32, so a quantile is told with
//! an error of a 32nd, upwards, whatever the range; and cores are merged without losing anything,
//! which quantiles themselves cannot be. They are of all observations since the start: a histogram,
//! whose buckets a scraper can subtract, tells of the last minutes.
//!
//! Source of the buckets: Gil Tene's HdrHistogram, with 5 bits of precision.

use crate::metric::{Unit, nanoseconds};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// Buckets of one power of two, as bits.
const BITS: u32 = 5;

/// Buckets of one power of two.
const PER_DOUBLING: usize = 1 << BITS;

/// Buckets for all numbers of 64 bits. 15 KiB.
const BUCKETS: usize = (u64::BITS - BITS + 1) as usize * PER_DOUBLING;

/// What is told, in thousandths, and as the label has it.
pub(crate) const QUANTILES: [(u16, &str); 4] =
    [(500, "0.5"), (900, "0.9"), (990, "0.99"), (999, "0.999")];

/// A summary's name and meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct SummaryFamily {
    /// Its name.
    pub name: &'static str,
    /// Its meaning, one sentence.
    pub help: &'static str,
    /// What is observed.
    pub unit: Unit,
}

/// How large observations are, as quantiles.
#[derive(Clone, Debug)]
pub struct Summary {
    cells: Rc<SummaryCells>,
}

#[derive(Debug)]
struct SummaryCells {
    buckets: Box<[Cell<u64>]>,
    sum: Cell<u64>,
}

impl Default for Summary {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|_| Cell::new(0)).collect();
        Self { cells: Rc::new(SummaryCells { buckets, sum: Cell::new(0) }) }
    }
}

impl Summary {
    /// One observation, in the family's unit.
    pub fn observe(&self, value: u64) {
        let cells = &*self.cells;
        let bucket = &cells.buckets[bucket_of(value)];
        bucket.set(bucket.get().wrapping_add(1));
        cells.sum.set(cells.sum.get().wrapping_add(value));
    }

    /// One observation of time, for a summary of nanoseconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(nanoseconds(duration));
    }

    /// How many observations lie in each bucket, up to the last bucket that has any.
    pub(crate) fn buckets(&self) -> Vec<u64> {
        let buckets = &self.cells.buckets;
        let used = buckets.iter().rposition(|bucket| bucket.get() > 0).map_or(0, |last| last + 1);
        buckets[..used].iter().map(Cell::get).collect()
    }

    /// The sum of all observations.
    pub fn sum(&self) -> u64 {
        self.cells.sum.get()
    }
}

fn bucket_of(value: u64) -> usize {
    let doubling = value.checked_ilog2().unwrap_or(0).saturating_sub(BITS);
    // The leading one and the bits behind it; small numbers are their own buckets.
    let place = usize::try_from(value >> doubling).expect("it has 6 bits");
    doubling as usize * PER_DOUBLING + place
}

/// The largest number of a bucket.
fn largest_of(bucket: usize) -> u64 {
    let doubling = (bucket / PER_DOUBLING).saturating_sub(1);
    let place = (bucket - doubling * PER_DOUBLING) as u64;
    (place << doubling) + ((1 << doubling) - 1)
}

/// The number that `thousandths` of all observations do not exceed, a 32nd more at most; none
/// without observations.
pub(crate) fn quantile(buckets: &[u64], thousandths: u16) -> Option<u64> {
    let count: u128 = buckets.iter().map(|count| u128::from(*count)).sum();
    let rank = (count * u128::from(thousandths)).div_ceil(1_000).max(1);
    let mut below = 0;
    let bucket = buckets.iter().position(|count| {
        below += u128::from(*count);
        below >= rank
    });
    bucket.map(largest_of)
}

#[cfg(test)]
mod tests;
