//! One JSON object a line: `ts`, `level`, `component`, `msg`, then the fields.
//!
//! Invariants:
//! - a line is one JSON object and one line feed, at its end, whatever its values hold;
//! - a line has at most [`LINE_BYTES_MAX`] bytes; what does not fit is cut at a character, and the
//!   line then says `"truncated":true`.

use super::Level;
use crate::json::write_string;
use crate::time::write_time;
use base::UnixMicros;
use std::fmt;
use tracing_core::Event;
use tracing_core::field::{Field, Visit};

/// The longest line. Unit: bytes. A page or two: enough for an error with its causes; a payload does
/// not belong into a log.
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// What a closing quote, `"truncated":true` and the end of the line take, and some.
const END_BYTES: usize = 32;

/// What a number takes at most, and a field's comma, colon and quotes.
const NUMBER_BYTES: usize = 64;

/// The longest escape of one byte, `\u0000`.
const ESCAPE_BYTES_MAX: usize = 6;

/// A line that is being written.
#[derive(Debug)]
pub struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Where the line's own text has to end, in `out`.
    limit: usize,
    truncated: bool,
}

impl<'a> Line<'a> {
    /// Begins a line at the end of `out`.
    pub fn begin(
        out: &'a mut Vec<u8>,
        at: UnixMicros,
        level: Level,
        component: &str,
        message: fmt::Arguments<'_>,
    ) -> Self {
        let mut line = Self::head(out, at, level, component);
        line.formatted("msg", message, false);
        line
    }

    /// All that stands before the message.
    fn head(out: &'a mut Vec<u8>, at: UnixMicros, level: Level, component: &str) -> Self {
        let limit = out.len() + LINE_BYTES_MAX - END_BYTES;
        out.extend_from_slice(b"{\"ts\":\"");
        write_time(out, at);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(level.as_str().as_bytes());
        out.push(b'"');
        let mut line = Self { out, limit, truncated: false };
        line.text("component", component, false);
        line
    }

    /// A string.
    pub fn field(&mut self, name: &str, value: &str) {
        self.text(name, value, true);
    }

    /// A value in its text form.
    pub fn display(&mut self, name: &str, value: impl fmt::Display) {
        self.formatted(name, format_args!("{value}"), true);
    }

    /// A number or `true` or `false`: a value whose text form is JSON and has at most 40 bytes.
    fn plain(&mut self, name: &str, value: impl fmt::Display) {
        if self.name(name, true) {
            let written = fmt::write(&mut Text { line: self }, format_args!("{value}"));
            written.expect("numbers can be displayed");
        }
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.plain(name, value);
    }

    /// Ends the line.
    pub fn end(self) {
        if self.truncated {
            self.out.extend_from_slice(b",\"truncated\":true");
        }
        self.out.extend_from_slice(b"}\n");
    }

    /// Room that is left for values.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.out.len())
    }

    /// Writes a field's name and tells whether its value can follow: behind a cut nothing does. A
    /// field that is called like one of the line's own gets an underscore, so that no name stands
    /// twice.
    fn name(&mut self, name: &str, user: bool) -> bool {
        if self.truncated || self.room() < name.len() * ESCAPE_BYTES_MAX + NUMBER_BYTES {
            self.truncated = true;
            return false;
        }
        self.out.push(b',');
        write_string(self.out, name);
        if user && matches!(name, "ts" | "level" | "component" | "msg" | "truncated") {
            self.out.pop();
            self.out.extend_from_slice(b"_\"");
        }
        self.out.push(b':');
        true
    }

    fn text(&mut self, name: &str, value: &str, user: bool) {
        if self.name(name, user) {
            self.out.push(b'"');
            self.escaped(value);
            self.out.push(b'"');
        }
    }

    fn formatted(&mut self, name: &str, value: fmt::Arguments<'_>, user: bool) {
        if self.name(name, user) {
            self.out.push(b'"');
            // A value whose Display fails leaves what it wrote so far, which is a whole string.
            let _ = fmt::write(&mut Text { line: self }, value);
            self.out.push(b'"');
        }
    }

    /// Writes as much of `text` as there is room for.
    fn escaped(&mut self, text: &str) {
        if text.len() <= self.room() / ESCAPE_BYTES_MAX {
            crate::json::write_escaped(self.out, text);
            return;
        }
        // Character by character, only where it may not fit: a long text, or the end of a line.
        for character in text.chars() {
            let before = self.out.len();
            crate::json::write_escaped(self.out, character.encode_utf8(&mut [0; 4]));
            if self.out.len() > self.limit {
                self.out.truncate(before);
                self.truncated = true;
                return;
            }
        }
    }
}

/// Formatting straight into a line.
struct Text<'a, 'b> {
    line: &'a mut Line<'b>,
}

impl fmt::Write for Text<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.line.escaped(text);
        // Stops a Debug that would go on for megabytes.
        if self.line.truncated { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Whether a field of an event stands in its line as a field: the message stands in front, and
/// `log.*` is how the bridge from the `log` crate hands over what the line says already.
fn is_shown(field: &Field) -> bool {
    field.name() != "message" && !field.name().starts_with("log.")
}

/// The fields of an event of `tracing`.
impl Visit for Line<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field.name(), format_args!("{value:?}"));
        } else {
            self.display(field.name(), value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        // `log.line` is a number.
        if is_shown(field) {
            self.plain(field.name(), value);
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.plain(field.name(), value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.plain(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if is_shown(field) {
            self.field(field.name(), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_shown(field) {
            self.formatted(field.name(), format_args!("{value:?}"), true);
        }
    }
}

/// Finds the message among an event's fields, wherever it stands, so that it comes first.
struct Message<'a, 'b> {
    line: &'a mut Line<'b>,
    found: bool,
}

impl Message<'_, '_> {
    fn record(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if field.name() == "message" && !self.found {
            self.found = true;
            self.line.formatted("msg", value, false);
        }
    }
}

impl Visit for Message<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, format_args!("{value:?}"));
    }
}

/// Writes an event of `tracing` as one line.
pub fn write_event(
    out: &mut Vec<u8>,
    at: UnixMicros,
    level: Level,
    component: &str,
    event: &Event<'_>,
) {
    let mut line = Line::head(out, at, level, component);
    let mut message = Message { line: &mut line, found: false };
    event.record(&mut message);
    if !message.found {
        line.formatted("msg", format_args!("{}", event.metadata().name()), false);
    }
    event.record(&mut line);
    line.end();
}

#[cfg(test)]
mod tests;
