//! What can be wrong with an expression: when it is read, and when it is evaluated.

use crate::limits;
use thiserror::Error;

/// A text that is not an expression, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem} (at character {column})")]
pub struct ParseError {
    /// Where in the text that was given to the parser. Unit: bytes, from 0.
    pub at: usize,
    /// The same for people. Unit: characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl ParseError {
    pub(crate) fn new(text: &str, at: usize, problem: Problem) -> ParseError {
        let column = text.char_indices().take_while(|(index, _)| *index < at).count() + 1;
        ParseError { at, column, problem }
    }
}

/// What is wrong with a text that is not an expression.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// Something else was expected.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What was expected.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// CEL has it, we do not yet.
    #[error("{what} is not supported yet")]
    NotSupportedYet {
        /// What it is.
        what: String,
    },
    /// No such function or method.
    #[error("there is no function `{name}`; {hint}")]
    UnknownFunction {
        /// The name.
        name: String,
        /// What may have been meant, or what there is.
        hint: String,
    },
    /// A function with too many or too few arguments.
    #[error("`{name}` takes {} argument(s), not {count}", counts(*least, *most))]
    ArgumentCount {
        /// The name.
        name: &'static str,
        /// How many it takes at least.
        least: usize,
        /// How many it takes at most.
        most: usize,
        /// How many were given.
        count: usize,
    },
    /// A macro whose first argument is no name.
    #[error("`{name}` begins with the name of a variable, as in `{example}`")]
    NotAVariable {
        /// The macro.
        name: &'static str,
        /// How it is used.
        example: &'static str,
    },
    /// A message of protocol buffers.
    #[error(
        "there are no message types (`Name{{field: value}}`); a map is written \
         {{\"field\": value}}"
    )]
    Message,
    /// A pattern that is no regular expression.
    #[error("no regular expression: {what}")]
    Regex {
        /// What is wrong with it.
        what: String,
    },
    /// A time zone that is no offset.
    #[error("time zones are \"UTC\" or an offset like \"+02:00\"; their names are not known here")]
    TimeZone,
    /// `has()` of something that is no field.
    #[error("has() takes a path with a field, like `has(input.user)`")]
    NotAField,
    /// A word that CEL keeps for itself.
    #[error("`{word}` is a reserved word; a key of that name is reached with [\"{word}\"]")]
    Reserved {
        /// The word.
        word: String,
    },
    /// The same key twice in a map literal.
    #[error("the key \"{key}\" stands twice in this map")]
    RepeatedKey {
        /// The key.
        key: String,
    },
    /// A backslash with something unknown behind it, or a code that is no character.
    #[error("`\\{escape}` is no escape sequence")]
    Escape {
        /// What stands behind the backslash.
        escape: String,
    },
    /// A quote that is never closed.
    #[error("the string that begins here has no end")]
    OpenString,
    /// A number that is out of range.
    #[error("the number is out of range")]
    NumberRange,
    /// A `${` that is never closed.
    #[error(
        "`${{` has no `}}`; in YAML an expression that holds `: ` or ` #` must stand in quotes, or \
         it is cut there"
    )]
    Unclosed,
    /// The expression is too long.
    #[error("the expression is longer than {} bytes", limits::EXPRESSION_BYTES_MAX)]
    TooLong,
    /// The expression nests too deep.
    #[error("the expression nests deeper than {} levels", limits::EXPRESSION_DEPTH_MAX)]
    TooDeep,
}

/// "1", "1 or 2", "1 to 3", "at least 1".
fn counts(least: usize, most: usize) -> String {
    match most.checked_sub(least) {
        Some(0) => least.to_string(),
        Some(1) => format!("{least} or {most}"),
        Some(_) if most <= 8 => format!("{least} to {most}"),
        _ => format!("at least {least}"),
    }
}

/// An evaluation without a result. The texts name what is written in the expression, kinds and
/// counts, never data.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvalError {
    /// A name or a key that is not there.
    #[error("there is no `{path}`")]
    NoSuchKey {
        /// The path as written, up to and with the missing key.
        path: String,
    },
    /// An index outside of its list.
    #[error("there is no `{path}`: the list has {count} element(s)")]
    NoSuchElement {
        /// The path as written, up to and with the index.
        path: String,
        /// How many elements the list has.
        count: usize,
    },
    /// A field of something that has none.
    #[error("there is no `{path}`: what stands before is {kind}, not a map")]
    NotAMap {
        /// The path as written, up to and with the key.
        path: String,
        /// What stands before the key.
        kind: &'static str,
    },
    /// An operand or argument of a kind that the operation does not take.
    #[error("`{operation}` cannot take {kind}")]
    WrongKind {
        /// The operator or function.
        operation: &'static str,
        /// What it was given.
        kind: &'static str,
    },
    /// Two operands that do not go together.
    #[error("`{operation}` cannot take {left} and {right}")]
    WrongKinds {
        /// The operator.
        operation: &'static str,
        /// The kind on its left.
        left: &'static str,
        /// The kind on its right.
        right: &'static str,
    },
    /// A whole number beyond 64 bits.
    #[error("the result of `{operation}` is out of the range of whole numbers")]
    Overflow {
        /// The operator or function.
        operation: &'static str,
    },
    /// A whole number divided by zero.
    #[error("`{operation}` by zero")]
    DivisionByZero {
        /// The operator.
        operation: &'static str,
    },
    /// A double that is NaN or infinite.
    #[error("the result of `{operation}` is no finite number")]
    NotFinite {
        /// The operator or function.
        operation: &'static str,
    },
    /// A text that is no number.
    #[error("{function}() was given a string that is not such a number")]
    NotANumber {
        /// The function.
        function: &'static str,
    },
    /// A text that is not what a function reads.
    #[error("{function}() was given a string that is not {expected}")]
    BadText {
        /// The function.
        function: &'static str,
        /// What it reads.
        expected: &'static str,
    },
    /// A time or a duration that is too far off.
    #[error("the result of `{operation}` is out of the range of times")]
    TimeRange {
        /// The operator or function.
        operation: &'static str,
    },
    /// A time zone that is no offset.
    #[error("a time zone that is neither \"UTC\" nor an offset like \"+02:00\"")]
    TimeZone,
    /// A position outside of a text.
    #[error("`{operation}` was given a position outside of the string")]
    Position {
        /// The function.
        operation: &'static str,
    },
    /// The least or greatest of nothing.
    #[error("`{operation}` was given an empty list")]
    EmptyList {
        /// The function.
        operation: &'static str,
    },
    /// Bytes that are no text.
    #[error("string() was given bytes that are not UTF-8")]
    NotUtf8,
    /// A pattern that is no regular expression.
    #[error("matches() was given a string that is no regular expression")]
    BadRegex,
    /// A key of a map literal that came out the same as another.
    #[error("a key stands twice in a map")]
    RepeatedKey,
    /// More steps than one evaluation may take.
    #[error("the evaluation takes more than {} steps", limits::STEPS_MAX)]
    TooManySteps,
    /// More steps than evaluations that belong together may take: see [`Steps`](crate::Steps).
    #[error("the evaluations take more than {steps_max} steps together")]
    TooManyStepsTogether {
        /// How many they may take.
        steps_max: u32,
    },
    /// A longer text than an evaluation may build.
    #[error("the evaluation builds a string of more than {} bytes", limits::TEXT_BYTES_MAX)]
    TextTooLong,
    /// A longer list than an evaluation may build.
    #[error("the evaluation builds a list of more than {} elements", limits::LIST_ELEMENTS_MAX)]
    ListTooLong,
    /// A larger value than an evaluation may build.
    #[error("the evaluation builds a value of more than {} bytes", limits::VALUE_BYTES_MAX)]
    TooLarge,
    /// A deeper value than can be read back from JSON.
    #[error("the evaluation builds a value deeper than {} levels", base::limits::NESTING_MAX)]
    TooDeep,
}

impl EvalError {
    /// Whether a bound was hit: then `&&`, `||` and `has()` do not absorb it.
    pub(crate) fn is_bound(&self) -> bool {
        matches!(
            self,
            EvalError::TooManySteps
                | EvalError::TextTooLong
                | EvalError::ListTooLong
                | EvalError::TooLarge
                | EvalError::TooDeep
        )
    }

    /// Whether something that a path names is not there: then `has()` is false.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(
            self,
            EvalError::NoSuchKey { .. }
                | EvalError::NoSuchElement { .. }
                | EvalError::NotAMap { .. }
        )
    }
}
