//! When requests are due.
//!
//! Invariants:
//! - the n-th request is due at n divided by the rate, computed from n: no error adds up;
//! - several threads share one schedule without talking: thread t of T has the requests t, t+T, …

/// The times at which one thread's requests are due. Unit: nanoseconds since the run's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// Messages per second, over all threads.
    rate: u64,
    /// Messages of one request.
    batch: u64,
    thread: u64,
    threads: u64,
}

impl Schedule {
    /// The share of `thread` out of `threads` of `rate` messages per second in requests of `batch`.
    pub(crate) fn new(rate: u64, batch: usize, thread: usize, threads: usize) -> Self {
        assert!(rate > 0 && batch > 0, "an open loop has a rate");
        assert!(thread < threads, "a thread is one of the threads");
        Self { rate, batch: batch as u64, thread: thread as u64, threads: threads as u64 }
    }

    /// When the thread's `index`-th request is due, counted from 0.
    pub(crate) fn due(&self, index: u64) -> u64 {
        const NANOS_PER_SECOND: u128 = 1_000_000_000;
        let request = u128::from(index) * u128::from(self.threads) + u128::from(self.thread);
        let nanos = request * u128::from(self.batch) * NANOS_PER_SECOND / u128::from(self.rate);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
