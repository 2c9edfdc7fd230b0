//! How busy the machine's processors are.

use std::fs;

/// What `/proc/stat` counted so far, for all processors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    busy: u64,
    all: u64,
}

impl Load {
    /// Reads it; nothing where there is no `/proc`.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line: `cpu` and times since the machine's start, the fourth idle, the fifth waiting for
    /// a disk (proc(5)).
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.lines().next()?.split_ascii_whitespace();
        if words.next() != Some("cpu") {
            return None;
        }
        // The last two stand in the first two already.
        let times: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
        let all = times.iter().sum();
        let idle: u64 = times.iter().skip(3).take(2).sum();
        Some(Self { busy: all - idle, all })
    }

    /// The share of the time since `earlier` that the processors worked. Unit: thousandths.
    pub fn permille_since(self, earlier: Self) -> u32 {
        let passed = self.all.saturating_sub(earlier.all);
        let busy = self.busy.saturating_sub(earlier.busy);
        u32::try_from((busy * 1_000).checked_div(passed).unwrap_or(0)).unwrap_or(1_000).min(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_is_the_share_of_the_time_that_was_not_idle() {
        let at = |text: &str| Load::parse(text).expect("a first line");
        let before = at("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 2 3\n");
        let after = at("cpu  150 0 75 810 65 0 0 0 0 0\n");
        assert_eq!(after.permille_since(before), 750);
        assert_eq!(before.permille_since(before), 0);
        assert_eq!(Load::parse("intr 1"), None);
        assert!(Load::read().is_some_and(|load| load.all > 0));
    }
}
