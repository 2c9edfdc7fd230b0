//! Bounds of the expression language, each with its reason.

/// The longest expression. Unit: bytes. A screen of text; what is longer belongs into a task.
pub const EXPRESSION_BYTES_MAX: usize = 4 * 1024;

/// How deep parentheses, brackets, braces and arguments nest in an expression. CEL asks for 32.
/// Each level costs the parser and the evaluator about nine frames of the stack.
pub const EXPRESSION_DEPTH_MAX: usize = 64;

/// The steps of one evaluation (of one expression, template or tree). A step is a node of the
/// expression, an element compared, or [`STEP_BYTES`] bytes compared or copied. So many take a few
/// milliseconds: the longest that one evaluation may hold up its core.
pub const STEPS_MAX: u32 = 1 << 18;

/// Bytes that count as one step. Unit: bytes. A cache line.
pub const STEP_BYTES: usize = 64;

/// The longest text that an evaluation builds. Unit: bytes. Four of them fit an entry of the log.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// The longest list that an evaluation builds. Unit: elements. About as much memory as the longest text.
pub const LIST_ELEMENTS_MAX: usize = 1 << 16;

/// The largest value that an evaluation builds. Unit: bytes as JSON, escapes not counted. Values
/// share their parts, so that a short expression could otherwise stand for a huge one.
pub const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// The steps in which what is constant in an expression is calculated while it is read. What takes
/// more is left to every evaluation. Every node of the longest expression has one.
pub const FOLD_STEPS_MAX: u32 = 4 * 1024;

/// What one regular expression may take when compiled. Unit: bytes. As much as one of a rule: usual
/// ones take 10 KiB, a `\w{1000}` is refused.
pub const REGEX_COMPILED_BYTES_MAX: usize = 512 * 1024;

/// How deep a regular expression nests. As deep as one of a rule.
pub const REGEX_DEPTH_MAX: u32 = 64;

/// The steps that compiling a regular expression takes which only the evaluation knows. So many of
/// the largest take about as long as the longest evaluation.
pub const REGEX_COMPILE_STEPS: usize = 1 << 14;

/// Bytes of a text that count as one step when a regular expression looks at them. Unit: bytes. An
/// automaton takes them one by one.
pub const REGEX_STEP_BYTES: usize = 8;

const _: () = assert!(FOLD_STEPS_MAX as usize >= EXPRESSION_BYTES_MAX);
const _: () = assert!(FOLD_STEPS_MAX <= STEPS_MAX);
// What is folded is short enough whatever text stands for it: the steps count whole cache lines, and
// the text of bytes is longer than they are.
const _: () = assert!(FOLD_STEPS_MAX as usize * STEP_BYTES * 2 <= TEXT_BYTES_MAX / 4 * 3);
const _: () = assert!(4 * TEXT_BYTES_MAX <= base::limits::ENTRY_BYTES_MAX);
const _: () = assert!(EXPRESSION_DEPTH_MAX <= base::limits::NESTING_MAX);
// Offsets into an expression are kept as u32.
const _: () = assert!(EXPRESSION_BYTES_MAX <= u32::MAX as usize);
