//! Why a message is refused.

use base::limits::{MESSAGE_BYTES_MAX, NESTING_MAX};
use std::fmt;

/// What a message must not be: it must be one JSON object (RFC 8259), strictly. Offsets count
/// bytes from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Nothing, or white space alone.
    #[error("the message is empty, a JSON object was expected")]
    Empty,
    /// Larger than any message may be.
    #[error("the message has {bytes} bytes, the limit is {MESSAGE_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not text.
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Where the first wrong byte is.
        offset: usize,
    },
    /// JSON, but not an object.
    #[error("a message is a JSON object, this is {what}")]
    NotAnObject {
        /// What it begins like: "an array".
        what: &'static str,
    },
    /// Not JSON.
    #[error("not JSON: at byte {offset} {expected} was expected, there is {found}")]
    NotJson {
        /// Where.
        offset: usize,
        /// What would have been right.
        expected: &'static str,
        /// What is there instead.
        found: Found,
    },
    /// `\ud83d` without its other half: no text can hold it.
    #[error("at byte {offset} an escape is half of a surrogate pair")]
    LoneSurrogate {
        /// Where the escape begins.
        offset: usize,
    },
    /// Nested too deep.
    #[error("at byte {offset} the message nests deeper than {NESTING_MAX}")]
    TooDeep {
        /// Where it opens one level too much.
        offset: usize,
    },
    /// A field that some rule asks for stands in the same object twice: no rule could tell which
    /// is meant.
    #[error("at byte {offset} the key `{key}` is there a second time")]
    RepeatedKey {
        /// Where the second key begins.
        offset: usize,
        /// The key.
        key: String,
    },
}

/// What stands where something else was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing more.
    End,
    /// This character.
    Character(char),
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => out.write_str("the end"),
            Self::Character(c) if c.is_control() => write!(out, "U+{:04X}", u32::from(*c)),
            Self::Character(c) => write!(out, "`{c}`"),
        }
    }
}
