//! Field paths as people write them: `payload.user.age`, `items[0].price`.

use std::borrow::Cow;

/// The longest path of a rule. Unit: keys. Half of what a message may nest, which nobody writes.
pub(crate) const KEYS_MAX: usize = 32;

/// The largest index, and its negative the smallest. An array with so many elements is half a
/// message.
pub(crate) const INDEX_MAX: i32 = 65_535;

/// The most indexes of one path. What stands in an array is read once for each way that leads to it,
/// by index and as any element: twice as often with every index.
pub(crate) const INDEXES_MAX: usize = 4;

/// The way from the message's top to a field. `\` in the text takes the meaning from the `.`, `[`,
/// `]` or `\` behind it. Arrays need no mention: they are entered, whatever their depth. An index
/// stands for one element alone, and no other array is entered there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<PathStep>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// The value under a key of an object.
    Key(String),
    /// One element of the array under the key before it, from 0. A negative one is never there.
    Index(i32),
}

/// Why a text is no field path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldPathError {
    /// Nothing, or nothing between two dots.
    #[error("the field path `{text}` has an empty key")]
    EmptyKey {
        /// What was given.
        text: String,
    },
    /// A backslash before something that needs none.
    #[error("in the field path `{text}` a `\\` stands before none of `.`, `[`, `]` and `\\`")]
    Escape {
        /// What was given.
        text: String,
    },
    /// `items[x]`, `items[01]`, `items]`.
    #[error(
        "in the field path `{text}` an index is not a whole number in brackets, as in `items[0]`; a \
         bracket inside a key is written `\\[` or `\\]`"
    )]
    Index {
        /// What was given.
        text: String,
    },
    /// Larger than any array.
    #[error("in the field path `{text}` an index is beyond {INDEX_MAX}")]
    IndexTooLarge {
        /// What was given.
        text: String,
    },
    /// `items[0]price`.
    #[error("in the field path `{text}` neither `.` nor `[` stands behind a `]`")]
    NoDot {
        /// What was given.
        text: String,
    },
    /// Longer than any message nests.
    #[error("the field path `{text}` has more than {KEYS_MAX} keys and indexes")]
    TooLong {
        /// What was given.
        text: String,
    },
    /// More indexes than are worth it.
    #[error("the field path `{text}` has more than {INDEXES_MAX} indexes")]
    TooManyIndexes {
        /// What was given.
        text: String,
    },
}

impl FieldPath {
    /// Reads `payload.items[0].price`.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) = read_key(text, rest)?;
            steps.push(PathStep::Key(key));
            rest = after;
            while let Some(inside) = rest.strip_prefix('[') {
                let (index, after) = read_index(text, inside)?;
                steps.push(PathStep::Index(index));
                rest = after;
            }
            if rest.is_empty() {
                break;
            }
            let Some(after) = rest.strip_prefix('.') else {
                return Err(FieldPathError::NoDot { text: text.into() });
            };
            rest = after;
        }
        if steps.len() > KEYS_MAX {
            return Err(FieldPathError::TooLong { text: text.into() });
        }
        let path = Self(steps);
        if path.indexes().count() > INDEXES_MAX {
            return Err(FieldPathError::TooManyIndexes { text: text.into() });
        }
        Ok(path)
    }

    /// The steps, outermost first; at least one, and the first is a key.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// The indexes among the steps.
    pub fn indexes(&self) -> impl Iterator<Item = i32> {
        self.0.iter().filter_map(|step| match step {
            PathStep::Key(_) => None,
            PathStep::Index(index) => Some(*index),
        })
    }

    /// The outermost key.
    pub(crate) fn first(&self) -> &str {
        match &self.0[0] {
            PathStep::Key(key) => key,
            PathStep::Index(_) => unreachable!("a path begins with a key"),
        }
    }
}

/// The key that `rest` begins with, and what follows: nothing, `.` or `[`.
fn read_key<'t>(text: &str, rest: &'t str) -> Result<(String, &'t str), FieldPathError> {
    let mut key = String::new();
    let mut characters = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, character)) = characters.next() {
        match character {
            '.' | '[' => {
                end = at;
                break;
            }
            ']' => return Err(FieldPathError::Index { text: text.into() }),
            '\\' => match characters.next() {
                Some((_, escaped @ ('.' | '[' | ']' | '\\'))) => key.push(escaped),
                _ => return Err(FieldPathError::Escape { text: text.into() }),
            },
            other => key.push(other),
        }
    }
    if key.is_empty() {
        return Err(FieldPathError::EmptyKey { text: text.into() });
    }
    Ok((key, &rest[end..]))
}

/// The index that stands behind a `[`, and what follows the `]`.
fn read_index<'t>(text: &str, inside: &'t str) -> Result<(i32, &'t str), FieldPathError> {
    let not_an_index = || FieldPathError::Index { text: text.into() };
    let (written, after) = inside.split_once(']').ok_or_else(not_an_index)?;
    let digits = written.strip_prefix('-').unwrap_or(written);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // One spelling for each: no leading zero, no minus zero.
    if !is_whole || (digits.starts_with('0') && written != "0") {
        return Err(not_an_index());
    }
    match written.parse::<i32>() {
        Ok(index) if (-INDEX_MAX..=INDEX_MAX).contains(&index) => Ok((index, after)),
        _ => Err(FieldPathError::IndexTooLarge { text: text.into() }),
    }
}

/// A key as it is written in a path.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    if !key.contains(['.', '[', ']', '\\']) {
        return key.into();
    }
    let mut escaped = String::with_capacity(key.len() + 2);
    for character in key.chars() {
        if matches!(character, '.' | '[' | ']' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped.into()
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                PathStep::Index(index) => write!(out, "[{index}]")?,
                PathStep::Key(key) if at == 0 => out.write_str(&escape(key))?,
                PathStep::Key(key) => write!(out, ".{}", escape(key))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
