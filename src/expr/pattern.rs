//! Regular expressions: the `regex` crate's, which take time linear in the text whatever they say.

use crate::error::EvalError;
use crate::evaluate::Meter;
use crate::limits::{
    REGEX_COMPILE_STEPS, REGEX_COMPILED_BYTES_MAX, REGEX_DEPTH_MAX, REGEX_STEP_BYTES,
};
use regex::{Regex, RegexBuilder};

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// Compiles one that stands in the expression; else says why it cannot be.
    pub(crate) fn parse(text: &str) -> Result<Pattern, String> {
        match build(text) {
            Ok(regex) => Ok(Pattern(regex)),
            // The last line says what is wrong, those before it show where.
            Err(error) => {
                let shown = error.to_string();
                let last = shown.lines().last().unwrap_or_default();
                Err(last.trim_start_matches("error: ").to_owned())
            }
        }
    }

    /// Compiles one that is data. What is wrong with it stays unsaid.
    pub(crate) fn compiled_now(text: &str, meter: &mut Meter) -> Result<Pattern, EvalError> {
        meter.spend(REGEX_COMPILE_STEPS)?;
        build(text).map(Pattern).map_err(|_| EvalError::BadRegex)
    }

    /// Whether it has a match anywhere in the text.
    pub(crate) fn is_match(&self, text: &str, meter: &mut Meter) -> Result<bool, EvalError> {
        meter.spend(text.len() / REGEX_STEP_BYTES)?;
        Ok(self.0.is_match(text))
    }
}

fn build(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(REGEX_COMPILED_BYTES_MAX)
        .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
        .nest_limit(REGEX_DEPTH_MAX)
        .build()
}
