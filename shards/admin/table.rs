//! Tables and values for a terminal.

use comfy_table::{Table, presets};
use serde_json::Value;
use std::borrow::Cow;
use std::io::{self, Write};

/// What stands where there is nothing.
const NOTHING: &str = "-";

/// The longest value that is shown. Unit: characters.
const VALUE_CHARACTERS_MAX: usize = 120;

/// `text` without control characters, line ends and tabs excepted.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let wild = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if text.contains(wild) {
        Cow::Owned(text.replace(wild, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A value as a cell shows it, on one line.
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => NOTHING.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            let names: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            if names.is_empty() { NOTHING.to_owned() } else { names.join(", ") }
        }
        Some(other) => other.to_string(),
    };
    let text = text.replace(char::is_control, "\u{fffd}");
    match text.char_indices().nth(VALUE_CHARACTERS_MAX) {
        None => text,
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// One line per element of `rows`, the fields `names` of it side by side under their titles.
pub(crate) fn write_table(
    out: &mut dyn Write,
    columns: &[(&str, &str)],
    rows: Option<&Value>,
) -> io::Result<()> {
    let rows = rows.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|(title, _)| *title));
    for row in rows {
        table.add_row(columns.iter().map(|(_, name)| cell(at(row, name))));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The field of `value` at `path`, whose names are separated by points.
pub(crate) fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}
