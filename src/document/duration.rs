//! Spans of time as people write them.

use crate::fault::{Fault, Source};
use crate::node::{Kind, Node};
use std::time::Duration;

/// The longest duration a file may name: ten years. A longer one is a slip of the hand.
pub const DURATION_MAX: Duration = Duration::from_hours(3_650 * 24);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a whole number with a unit.
    #[error(
        "`{text}` is not a duration: a whole number and a unit, as in 500ms, 30s, 15m, 4h, 30d"
    )]
    Malformed {
        /// What was given.
        text: String,
    },
    /// Beyond [`DURATION_MAX`].
    #[error("`{text}` is too long: the longest duration is 3650d")]
    TooLong {
        /// What was given.
        text: String,
    },
}

/// Reads `500ms`, `30s`, `15m`, `4h`, `30d`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed { text: text.chars().take(40).collect() };
    let trimmed = text.trim();
    let digits = trimmed.len() - trimmed.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() {
        return Err(malformed());
    }
    let unit_ms: u64 = match unit.trim_start() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60 * 1_000,
        "h" => 60 * 60 * 1_000,
        "d" => 24 * 60 * 60 * 1_000,
        _ => return Err(malformed()),
    };
    // All digits: what does not parse is too large.
    let duration = number
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(unit_ms))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= DURATION_MAX);
    duration.ok_or_else(|| DurationError::TooLong { text: text.chars().take(40).collect() })
}

/// The duration a node holds: text as [`parse_duration`] reads it, or a number of seconds.
pub fn duration(source: Source<'_>, node: &Node) -> Result<Duration, Fault> {
    let text = match &node.kind {
        Kind::Text { value, .. } => value.clone(),
        Kind::Int(_) | Kind::Number(_) | Kind::Float(_) => node.to_json(),
        _ => {
            let what = format!("a duration was expected, this is {}", node.kind_name());
            return Err(Fault::at(source, node.span, what).hint("as in 500ms, 30s, 15m, 4h, 30d"));
        }
    };
    parse_duration(&text).map_err(|error| Fault::at(source, node.span, error.to_string()))
}
