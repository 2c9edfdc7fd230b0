//! How fast a cluster gossips, and what of it can work.

use std::fmt;
use std::time::Duration;

/// The times and counts of gossip. All nodes of a cluster should have the same: a quicker one only
/// suspects sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How often each member is asked whether it is alive. Default 1 s.
    pub period: Duration,
    /// How long an answer may take before others are asked to ask. Default 500 ms; at most half of
    /// the period, so that their answer comes within it.
    pub probe_timeout: Duration,
    /// How many others are asked, and to how many news are sent at once. Default 3.
    pub indirect_probes: usize,
    /// How many members this one watches: those behind it on the ring of all members' hashes. With
    /// each member watched by as many, one that fails is noticed within a period, whereas the
    /// members that SWIM probes at random are found with a long tail (a random probe has missed a
    /// dead member for k periods with probability e^-k: Das et al. 2002, section 3.2). Default 3.
    pub watched: usize,
    /// How long a suspect has to say that it is alive when nobody confirms the suspicion: periods,
    /// default 3. With the confirmations of two others it is one period.
    pub suspicion_periods: u32,
    /// How often news are sent while there are any. Default 200 ms.
    pub interval: Duration,
    /// How often the view is compared with another member's. Default 10 s.
    pub sync: Duration,
    /// How long one that failed or left is remembered, and failed ones are called, at most once in
    /// five seconds. Default one hour.
    pub forget: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            period: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_probes: 3,
            watched: 3,
            suspicion_periods: 3,
            interval: Duration::from_millis(200),
            sync: Duration::from_secs(10),
            forget: Duration::from_hours(1),
        }
    }
}

/// What is wrong with a pace: the field, and what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}, and {wanted}")]
pub struct PaceError {
    /// Which field of [`Pace`].
    pub field: &'static str,
    /// What it is.
    pub value: String,
    /// What it should be: as a sentence about it.
    pub wanted: String,
}

/// Of times. The shortest probe timeout is twice the delay of a wake-up that counts as a stall: answers
/// that only this node was late to read must not make suspects; the shortest period has room for two of
/// them. With the longest period a failure is known after minutes.
const TIMES: [(&str, Duration, Duration); 5] = [
    ("period", Duration::from_millis(400), Duration::from_mins(1)),
    ("probe_timeout", Duration::from_millis(200), Duration::from_secs(30)),
    ("interval", Duration::from_millis(20), Duration::from_secs(10)),
    ("sync", Duration::from_secs(1), Duration::from_mins(10)),
    ("forget", Duration::from_mins(1), Duration::from_hours(24)),
];

/// Of counts. All that are asked or watched are sent to at once, in every period; a suspicion of more
/// than sixty periods would fail nobody.
const COUNTS: [(&str, usize, usize); 3] =
    [("indirect_probes", 1, 16), ("watched", 1, 16), ("suspicion_periods", 1, 60)];

impl Pace {
    /// Whether it can work.
    ///
    /// # Errors
    /// The first field that cannot.
    pub fn check(&self) -> Result<(), PaceError> {
        let times = [self.period, self.probe_timeout, self.interval, self.sync, self.forget];
        for (value, (field, min, max)) in times.into_iter().zip(TIMES) {
            if !(min..=max).contains(&value) {
                let wanted = format!("can be {} to {}", Text(min), Text(max));
                return Err(PaceError { field, value: Text(value).to_string(), wanted });
            }
        }
        let periods = usize::try_from(self.suspicion_periods).unwrap_or(usize::MAX);
        let counts = [self.indirect_probes, self.watched, periods];
        for (value, (field, min, max)) in counts.into_iter().zip(COUNTS) {
            if !(min..=max).contains(&value) {
                let wanted = format!("can be {min} to {max}");
                return Err(PaceError { field, value: value.to_string(), wanted });
            }
        }
        if self.probe_timeout * 2 > self.period {
            return Err(PaceError {
                field: "probe_timeout",
                value: Text(self.probe_timeout).to_string(),
                wanted: format!(
                    "can be at most half of the period ({}), within which others are asked to ask: \
                     make it shorter, or the period longer",
                    Text(self.period)
                ),
            });
        }
        if self.interval > self.period {
            return Err(PaceError {
                field: "interval",
                value: Text(self.interval).to_string(),
                wanted: format!(
                    "can be at most the period ({}), or a suspect hears of it too late to object",
                    Text(self.period)
                ),
            });
        }
        Ok(())
    }
}

/// A time as people write it in settings.
struct Text(Duration);

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        let units = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match units.into_iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit)) {
            Some((unit, name)) => write!(f, "{}{name}", ms / unit),
            None => write!(f, "{ms}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_work_and_each_bound_is_said_with_the_field_and_its_value() {
        let pace = Pace::default();
        assert_eq!(pace.check(), Ok(()));
        let ms = Duration::from_millis;
        let rows = [
            (Pace { period: ms(100), ..pace }, "period is 100ms, and can be 400ms to 1m"),
            (Pace { period: ms(61_000), ..pace }, "period is 61s, and can be 400ms to 1m"),
            (
                Pace { probe_timeout: ms(50), ..pace },
                "probe_timeout is 50ms, and can be 200ms to 30s",
            ),
            (
                Pace { probe_timeout: ms(501), ..pace },
                "probe_timeout is 501ms, and can be at most half of the period (1s), within which \
                 others are asked to ask: make it shorter, or the period longer",
            ),
            (Pace { indirect_probes: 0, ..pace }, "indirect_probes is 0, and can be 1 to 16"),
            (Pace { watched: 17, ..pace }, "watched is 17, and can be 1 to 16"),
            (Pace { suspicion_periods: 0, ..pace }, "suspicion_periods is 0, and can be 1 to 60"),
            (Pace { interval: ms(0), ..pace }, "interval is 0ms, and can be 20ms to 10s"),
            (
                Pace { interval: ms(1_500), ..pace },
                "interval is 1500ms, and can be at most the period (1s), or a suspect hears of it too \
                 late to object",
            ),
            (Pace { sync: ms(999), ..pace }, "sync is 999ms, and can be 1s to 10m"),
            (Pace { forget: ms(90_000_000), ..pace }, "forget is 25h, and can be 1m to 24h"),
        ];
        for (pace, said) in rows {
            assert_eq!(pace.check().unwrap_err().to_string(), said);
        }
    }
}
