//! The body of `messages:batch` cut into its messages: lines (NDJSON) or the elements of an array.
//! What is in a message is not looked at here; whoever matches it finds whether it is JSON.
//!
//! Invariants:
//! - the pieces are in order, do not overlap, and hold everything but separators and white space;
//! - a body is an array of JSON values exactly when it splits and every piece is a JSON value;
//! - at most `BATCH_MESSAGES_MAX` pieces, none over `MESSAGE_BYTES_MAX`.

use crate::error::{ApiError, Code};
use crate::request::{FORM, media_type, unsupported};
use base::limits::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, MESSAGE_BYTES_MAX};
use std::ops::Range;

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLine {
    /// Its line in the body (empty lines count), or its place in the array; from 1.
    pub number: u32,
    /// Where it stands in the body.
    pub range: Range<usize>,
}

/// How a batch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Lines,
    Array,
}

/// Cuts `body` into messages and puts them into `lines`, which is emptied first. Any fault refuses
/// the whole batch.
pub fn split_batch(
    content_type: Option<&str>,
    body: &[u8],
    lines: &mut Vec<BatchLine>,
) -> Result<(), ApiError> {
    lines.clear();
    if body.len() > BATCH_BYTES_MAX {
        return Err(ApiError::too_large(body.len(), BATCH_BYTES_MAX));
    }
    match form(content_type, body)? {
        Form::Lines => split_lines(body, lines)?,
        Form::Array => split_array(body, lines)?,
    }
    if lines.is_empty() {
        return Err(ApiError::new(Code::EmptyBatch, "the batch holds no message"));
    }
    Ok(())
}

/// NDJSON has a type of its own. JSON, no type and curl's default leave it to the body: an array
/// begins with a bracket, and no message does.
fn form(content_type: Option<&str>, body: &[u8]) -> Result<Form, ApiError> {
    const LINES: [&str; 4] = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
    ];
    const ANY: [&str; 3] = ["application/json", FORM, ""];
    let given = content_type.unwrap_or_default();
    let (essence, utf8) = media_type(given);
    if utf8 && LINES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        return Ok(Form::Lines);
    }
    if utf8 && ANY.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        let array = body.iter().find(|byte| !is_space(**byte)) == Some(&b'[');
        return Ok(if array { Form::Array } else { Form::Lines });
    }
    Err(unsupported(given, "application/x-ndjson or application/json"))
}

/// White space of RFC 8259, section 2.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn split_lines(body: &[u8], lines: &mut Vec<BatchLine>) -> Result<(), ApiError> {
    let mut start = 0;
    let mut number = 0;
    while start < body.len() {
        number += 1;
        let rest = &body[start..];
        let bytes = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        push(body, number, start..start + bytes, lines)?;
        start += bytes + 1;
    }
    Ok(())
}

/// Adds the piece at `range`, without the white space around it; an empty one is left out.
fn push(
    body: &[u8],
    number: u32,
    range: Range<usize>,
    lines: &mut Vec<BatchLine>,
) -> Result<(), ApiError> {
    let piece = &body[range.clone()];
    let Some(first) = piece.iter().position(|byte| !is_space(*byte)) else { return Ok(()) };
    let last = piece.iter().rposition(|byte| !is_space(*byte)).expect("a first one was found");
    let range = range.start + first..range.start + last + 1;
    if range.len() > MESSAGE_BYTES_MAX {
        let detail = format!(
            "the message has {} bytes, at most {MESSAGE_BYTES_MAX} are allowed",
            range.len()
        );
        return Err(ApiError::new(Code::TooLarge, detail).at_line(number));
    }
    if lines.len() == BATCH_MESSAGES_MAX {
        let detail = format!("the batch holds more than {BATCH_MESSAGES_MAX} messages");
        return Err(ApiError::new(Code::TooLarge, detail).at_line(number));
    }
    lines.push(BatchLine { number, range });
    Ok(())
}

/// Cuts at the commas that lie directly in the outermost array. Inside an element it only keeps
/// count of strings and depth: an element whose own brackets do not match is no JSON, and is found
/// so when it is read.
fn split_array(body: &[u8], lines: &mut Vec<BatchLine>) -> Result<(), ApiError> {
    let open = body.iter().position(|byte| !is_space(*byte)).expect("the form was told by it");
    let mut start = open + 1;
    let mut number = 1;
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => at = string_end(body, at, number)?,
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            b',' if depth == 0 => {
                element(body, number, start..at, lines)?;
                number += 1;
                start = at + 1;
            }
            b']' => return close(body, number, start..at, lines),
            b'}' => return Err(broken("the array has a `}` that nothing opened", number)),
            _ => {}
        }
        at += 1;
    }
    Err(broken("the array is not closed with `]`", number))
}

/// Where the string that begins at `open` has its closing quote.
fn string_end(body: &[u8], open: usize, number: u32) -> Result<usize, ApiError> {
    let mut at = open + 1;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'"' => return Ok(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Err(broken("a string is not closed", number))
}

fn element(
    body: &[u8],
    number: u32,
    range: Range<usize>,
    lines: &mut Vec<BatchLine>,
) -> Result<(), ApiError> {
    let count = lines.len();
    push(body, number, range, lines)?;
    if lines.len() == count {
        return Err(broken("an element of the array is missing beside a comma", number));
    }
    Ok(())
}

/// The array's end: its last element, unless it has none at all, and nothing behind it.
fn close(
    body: &[u8],
    number: u32,
    range: Range<usize>,
    lines: &mut Vec<BatchLine>,
) -> Result<(), ApiError> {
    let end = range.end + 1;
    let empty = number == 1 && body[range.clone()].iter().all(|byte| is_space(*byte));
    if !empty {
        element(body, number, range, lines)?;
    }
    if body[end..].iter().any(|byte| !is_space(*byte)) {
        return Err(broken("something follows the array", number));
    }
    Ok(())
}

fn broken(what: &'static str, number: u32) -> ApiError {
    ApiError::new(Code::BadJson, what)
        .at_line(number)
        .with_hint("send a JSON array of objects, or one object per line (NDJSON)")
}

#[cfg(test)]
mod tests;
