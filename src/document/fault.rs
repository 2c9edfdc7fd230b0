//! What is wrong with a text, and where.

use crate::node::{Node, Span};
use std::fmt;

/// The most faults that are shown at once: more help nobody.
pub const FAULTS_MAX: usize = 20;

/// The longest piece of a source line that is shown. Unit: characters.
const EXCERPT_CHARACTERS_MAX: usize = 100;

/// A text and the name people know it by: a file's path, or "request body".
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Shown in front of every fault.
    pub name: &'a str,
    /// The whole text.
    pub text: &'a str,
}

impl Source<'_> {
    /// Where the byte `at` of a node's text stands, if the text was written as it is: in one line,
    /// without escapes. `text` is the node's, or a beginning of it.
    pub fn place_in(self, node: &Node, text: &str, at: usize) -> Option<Span> {
        let column = usize::try_from(node.span.column).ok()?.checked_sub(1)?;
        let line = line_of(self.text, node.span.line)?;
        let (start, _) = line.char_indices().nth(column)?;
        let written = &line[start..];
        let unquoted = written.strip_prefix(['"', '\'']).unwrap_or(written);
        let before = text.get(..at)?;
        if !unquoted.starts_with(before) {
            return None;
        }
        let quote = u32::from(unquoted.len() < written.len());
        let characters = u32::try_from(before.chars().count()).ok()?;
        Some(Span { line: node.span.line, column: node.span.column + quote + characters })
    }

    pub(crate) fn has_extension(&self, extensions: &[&str]) -> bool {
        self.name.rsplit_once('.').is_some_and(|(_, extension)| {
            extensions.iter().any(|known| extension.eq_ignore_ascii_case(known))
        })
    }
}

/// The lines of a text as YAML counts them: ended by `\n`, `\r\n` or `\r`.
pub(crate) fn line_of(text: &str, line: u32) -> Option<&str> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    for _ in 1..line {
        let end = rest.find(['\n', '\r'])?;
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    rest.split(['\n', '\r']).next()
}

/// A text and where its lines begin: many faults of one text then cost its length once.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    source: Source<'a>,
    /// Where each line begins. Unit: bytes.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Looks for the lines of a text.
    pub fn of(source: Source<'a>) -> Self {
        let bytes = source.text.as_bytes();
        let mut starts = vec![if source.text.starts_with('\u{feff}') { 3 } else { 0 }];
        for (at, byte) in bytes.iter().enumerate() {
            let is_half = *byte == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            if matches!(byte, b'\n' | b'\r') && !is_half {
                starts.push(at + 1);
            }
        }
        Self { source, starts }
    }

    /// The text.
    pub fn source(&self) -> Source<'a> {
        self.source
    }

    /// The same as [`Fault::at`].
    pub fn fault(&self, span: Span, what: impl Into<String>) -> Fault {
        let start = usize::try_from(span.line).ok().and_then(|line| self.starts.get(line - 1));
        let rest = start.map(|start| &self.source.text[*start..]);
        let line = rest.and_then(|rest| rest.split(['\n', '\r']).next()).map(str::to_owned);
        Fault { span, line, ..Fault::nowhere(self.source, what) }
    }
}

/// One thing that is wrong. Shown as
/// ```text
/// payments.yaml:7:9: unknown operator `equal`
///   7 |         op: equal
///     |             ^
///     = did you mean `equals`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the source.
    pub file: String,
    /// Where.
    pub span: Span,
    /// What is wrong: lower case, no full stop.
    pub what: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The line it is on.
    pub line: Option<String>,
}

impl Fault {
    /// A fault at a place of a source. Takes time in the length of the text: see [`Lines`].
    pub fn at(source: Source<'_>, span: Span, what: impl Into<String>) -> Self {
        let line = line_of(source.text, span.line).map(str::to_owned);
        Self { file: source.name.to_owned(), span, what: what.into(), hint: None, line }
    }

    /// A fault of the text as a whole: no line is shown.
    pub fn nowhere(source: Source<'_>, what: impl Into<String>) -> Self {
        Self {
            file: source.name.to_owned(),
            span: Span::START,
            what: what.into(),
            hint: None,
            line: None,
        }
    }

    /// The same with advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with "did you mean", if `word` is near to one of the known words; else with the
    /// list of them.
    pub fn expecting(self, word: &str, known: &[&str]) -> Self {
        match crate::did_you_mean(word, known.iter().copied()) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => self,
            None => self.hint(format!("known here: {}", known.join(", "))),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { line: number, column } = self.span;
        write!(out, "{}:{number}:{column}: {}", self.file, self.what)?;
        let gutter = number.to_string().len() + 2;
        if let Some(line) = &self.line {
            let (excerpt, caret) = excerpt(line, column);
            write!(out, "\n  {number} | {}", excerpt.trim_end())?;
            write!(out, "\n{:gutter$} | {:caret$}^", "", "")?;
        }
        if let Some(hint) = &self.hint {
            write!(out, "\n{:gutter$} = {hint}", "")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// The part of `line` around `column`, tabs as one space each so that the caret stands right, and
/// how many characters lie before the caret.
fn excerpt(line: &str, column: u32) -> (String, usize) {
    let at = column as usize - 1;
    let first = at.saturating_sub(EXCERPT_CHARACTERS_MAX * 3 / 4);
    let text: String = line
        .chars()
        .skip(first)
        .take(EXCERPT_CHARACTERS_MAX)
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    (text, at - first)
}

/// Everything that is wrong with a source, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().take(FAULTS_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(out, "{separator}{fault}")?;
        }
        if self.0.len() > FAULTS_MAX {
            write!(out, "\nand {} more", self.0.len() - FAULTS_MAX)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
