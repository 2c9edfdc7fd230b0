//! Field paths as people write them: `payload.user.age`.

/// The longest path of a rule. Unit: keys. Half of what a message may nest, which nobody writes.
const KEYS_MAX: usize = 32;

/// The keys from the message's top to a field. `\.` in the text is a dot inside a key, `\\` a
/// backslash. Arrays need no mention: they are entered, whatever their depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath(Vec<String>);

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
    #[error("in the field path `{text}` a `\\` stands before neither `.` nor `\\`")]
    Escape {
        /// What was given.
        text: String,
    },
    /// `items[0]`, which a later version will read.
    #[error("an index in a field path is not supported yet: `{text}`")]
    Index {
        /// What was given.
        text: String,
    },
    /// Longer than any message nests.
    #[error("the field path `{text}` has more than {KEYS_MAX} keys")]
    TooLong {
        /// What was given.
        text: String,
    },
}

impl FieldPath {
    /// Reads `payload.user.age`.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut keys = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let key = keys.last_mut().expect("never empty");
            match character {
                '.' if key.is_empty() => {
                    return Err(FieldPathError::EmptyKey { text: text.into() });
                }
                '.' => keys.push(String::new()),
                '\\' => match characters.next() {
                    Some(escaped @ ('.' | '\\')) => key.push(escaped),
                    _ => return Err(FieldPathError::Escape { text: text.into() }),
                },
                // Refused, so that no path changes its meaning when indexes come.
                '[' | ']' => return Err(FieldPathError::Index { text: text.into() }),
                other => key.push(other),
            }
        }
        if keys.last().is_none_or(String::is_empty) {
            return Err(FieldPathError::EmptyKey { text: text.into() });
        }
        if keys.len() > KEYS_MAX {
            return Err(FieldPathError::TooLong { text: text.into() });
        }
        Ok(Self(keys))
    }

    /// The keys, outermost first; at least one.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The outermost key.
    pub(crate) fn first(&self) -> &str {
        &self.0[0]
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, key) in self.0.iter().enumerate() {
            let dot = if index == 0 { "" } else { "." };
            write!(out, "{dot}{}", key.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}
