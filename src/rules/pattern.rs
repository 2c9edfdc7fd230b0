//! Texts that are matched by shape: regular expressions, wildcards, and equality without case.
//!
//! All of it takes linear time in the text, whatever the pattern: the `regex` crate has no
//! backtracking, and nothing here adds any.

use regex::{Regex, RegexBuilder};
use std::hash::{Hash, Hasher};

/// The longest pattern of a rule. Unit: bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 4 * 1024;

/// What one compiled expression may take. Unit: bytes. Ten thousand rules with expressions of
/// usual size (10 KiB) fit a core's memory; one `\w{1000}` does not.
const COMPILED_BYTES_MAX: usize = 512 * 1024;

/// A regular expression; equal to another of the same text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, regex::Error> {
        let mut builder = RegexBuilder::new(text);
        builder.size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX).nest_limit(64);
        builder.build().map(Self)
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        // The scanner has refused all else, but for bytes that were wrongly trusted.
        std::str::from_utf8(text).is_ok_and(|text| self.0.is_match(text))
    }

    /// The expression as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_str().hash(state);
    }
}

/// `*` is any run of characters, `?` is one; `\` takes the next character as it is. The whole text
/// must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Wildcard {
    Exact(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    Part(Box<str>),
    /// `first*middle*…*last`: runs alone, no single characters.
    Pieces {
        first: Box<str>,
        middle: Box<[Box<str>]>,
        last: Box<str>,
    },
    Any {
        pattern: Pattern,
        longest: Box<str>,
    },
}

/// Why a text is no wildcard pattern.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WildcardError {
    #[error("a `\\` at the end of the pattern has nothing to escape")]
    Escape,
    #[error("the pattern is too large: {0}")]
    TooLarge(#[from] regex::Error),
}

enum Piece {
    Run,
    One,
    Literal(String),
}

impl Wildcard {
    pub(crate) fn parse(text: &str) -> Result<Self, WildcardError> {
        let pieces = pieces(text)?;
        // The usual shapes need no automaton.
        Ok(match pieces.as_slice() {
            [] => Self::Exact("".into()),
            [Piece::Run] => Self::Prefix("".into()),
            [Piece::Literal(text)] => Self::Exact(text.as_str().into()),
            [Piece::Literal(text), Piece::Run] => Self::Prefix(text.as_str().into()),
            [Piece::Run, Piece::Literal(text)] => Self::Suffix(text.as_str().into()),
            [Piece::Run, Piece::Literal(text), Piece::Run] => Self::Part(text.as_str().into()),
            pieces if !pieces.iter().any(|piece| matches!(piece, Piece::One)) => {
                let literal = |piece: Option<&Piece>| match piece {
                    Some(Piece::Literal(text)) => text.as_str().into(),
                    _ => "".into(),
                };
                let (first, last) = (literal(pieces.first()), literal(pieces.last()));
                let middle = pieces[1..pieces.len() - 1].iter().filter_map(|piece| match piece {
                    Piece::Literal(text) => Some(text.as_str().into()),
                    _ => None,
                });
                Self::Pieces { first, middle: middle.collect(), last }
            }
            _ => {
                let mut expression = String::from(r"(?s)\A");
                for piece in &pieces {
                    match piece {
                        Piece::Run => expression.push_str(".*"),
                        Piece::One => expression.push('.'),
                        Piece::Literal(text) => expression.push_str(&regex::escape(text)),
                    }
                }
                expression.push_str(r"\z");
                let literals = pieces.iter().filter_map(|piece| match piece {
                    Piece::Literal(text) => Some(text.as_str()),
                    _ => None,
                });
                let longest = literals.max_by_key(|text| text.len()).unwrap_or_default().into();
                Self::Any { pattern: Pattern::parse(&expression)?, longest }
            }
        })
    }

    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => exact.as_bytes() == text,
            Self::Prefix(part) => text.starts_with(part.as_bytes()),
            Self::Suffix(part) => text.ends_with(part.as_bytes()),
            Self::Part(part) => memchr::memmem::find(text, part.as_bytes()).is_some(),
            Self::Pieces { first, middle, last } => {
                let Some(mut rest) = text.strip_prefix(first.as_bytes()) else { return false };
                let Some(all) = rest.strip_suffix(last.as_bytes()) else { return false };
                rest = all;
                // The leftmost place is as good as any: what comes after has the most room.
                middle.iter().all(|part| match memchr::memmem::find(rest, part.as_bytes()) {
                    Some(at) => {
                        rest = &rest[at + part.len()..];
                        true
                    }
                    None => false,
                })
            }
            Self::Any { pattern, .. } => pattern.is_match(text),
        }
    }
}

/// As it could have been written; one with single characters as an expression.
impl std::fmt::Display for Wildcard {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(text) => out.write_str(text),
            Self::Prefix(text) => write!(out, "{text}*"),
            Self::Suffix(text) => write!(out, "*{text}"),
            Self::Part(text) => write!(out, "*{text}*"),
            Self::Pieces { first, middle, last } => {
                write!(out, "{first}*")?;
                middle.iter().try_for_each(|part| write!(out, "{part}*"))?;
                out.write_str(last)
            }
            Self::Any { pattern, .. } => out.write_str(pattern.as_str()),
        }
    }
}

fn pieces(text: &str) -> Result<Vec<Piece>, WildcardError> {
    let mut pieces = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '*' => {
                if !matches!(pieces.last(), Some(Piece::Run)) {
                    pieces.push(Piece::Run);
                }
                continue;
            }
            '?' => {
                pieces.push(Piece::One);
                continue;
            }
            '\\' => characters.next().ok_or(WildcardError::Escape)?,
            other => other,
        };
        match pieces.last_mut() {
            Some(Piece::Literal(text)) => text.push(literal),
            _ => pieces.push(Piece::Literal(literal.to_string())),
        }
    }
    Ok(pieces)
}

/// A text that others equal but for case, by Unicode's simple case folding: one character is
/// compared with one, so `ß` is not `ss`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Folded {
    /// ASCII in lower case.
    Ascii(Box<str>),
    /// The `regex` crate holds the table of foldings.
    Unicode(Pattern),
}

impl Folded {
    pub(crate) fn of(text: &str) -> Result<Self, regex::Error> {
        if text.is_ascii() {
            return Ok(Self::Ascii(text.to_ascii_lowercase().into()));
        }
        Pattern::parse(&format!(r"(?i)\A{}\z", regex::escape(text))).map(Self::Unicode)
    }

    pub(crate) fn equals(&self, text: &[u8]) -> bool {
        match self {
            Self::Ascii(folded) if text.is_ascii() => folded.as_bytes().eq_ignore_ascii_case(text),
            Self::Ascii(folded) => {
                let Ok(text) = std::str::from_utf8(text) else { return false };
                let mut wanted = folded.bytes();
                let all = text.chars().all(|character| {
                    wanted.next().is_some_and(|byte| char::from(byte) == fold(character))
                });
                all && wanted.next().is_none()
            }
            Self::Unicode(pattern) => pattern.is_match(text),
        }
    }
}

/// The ASCII that a character folds to; another character if there is none.
pub(crate) fn fold(character: char) -> char {
    match character {
        // The only two characters beyond ASCII that fold into it.
        '\u{212a}' => 'k', // kelvin sign
        '\u{17f}' => 's',  // long s
        other => other.to_ascii_lowercase(),
    }
}
