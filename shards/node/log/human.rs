//! A line for people, made of the JSON line:
//! `2026-11-20T09:58:00.123Z INFO  ingress: message key=value`.
//!
//! The writer's thread does it, so a core writes JSON whatever the output looks like.
//!
//! Invariants:
//! - One line stays one line: control characters, which may come from a client and move a
//!   terminal's cursor, are shown as escapes.
//! - A line that is not of our own shape is shown as it is.

/// How `2026-11-20T09:58:00.123456Z` is cut: milliseconds are enough for eyes.
const TIME_CHARACTERS: usize = "2026-11-20T09:58:00.123".len();

/// Appends what `line`, one JSON object and a line feed, says.
pub(super) fn write_line(out: &mut Vec<u8>, line: &[u8]) {
    let before = out.len();
    let shown = std::str::from_utf8(line).ok().and_then(|line| show(out, line.trim_end()));
    if shown.is_none() {
        out.truncate(before);
        out.extend_from_slice(line);
    }
}

fn show(out: &mut Vec<u8>, line: &str) -> Option<()> {
    let mut rest = line.strip_prefix('{')?.strip_suffix('}')?;
    while !rest.is_empty() {
        let (name, after) = split_string(rest)?;
        let (value, after) = split_value(after.strip_prefix(':')?)?;
        match unquoted(name)?.as_str() {
            "ts" => {
                let time = unquoted(value)?;
                out.extend_from_slice(time.get(..TIME_CHARACTERS)?.as_bytes());
                out.push(b'Z');
            }
            "level" => out.extend_from_slice(format!(" {:<5}", unquoted(value)?).as_bytes()),
            "component" => {
                out.push(b' ');
                write_visible(out, &unquoted(value)?);
                out.push(b':');
            }
            "msg" => {
                out.push(b' ');
                write_visible(out, &unquoted(value)?);
            }
            name => {
                out.push(b' ');
                write_visible(out, name);
                out.push(b'=');
                write_value(out, value)?;
            }
        }
        rest = match after.strip_prefix(',') {
            None if after.is_empty() => after,
            Some(more) if !more.is_empty() => more,
            _ => return None,
        };
    }
    out.push(b'\n');
    Some(())
}

/// A field's value: bare where it cannot be misread, else quoted as in JSON.
fn write_value(out: &mut Vec<u8>, json: &str) -> Option<()> {
    if json.starts_with('"') {
        let text = unquoted(json)?;
        let is_bare = !text.is_empty() && !text.contains([' ', '"', '=', '\\']);
        write_visible(out, if is_bare { &text } else { json });
    } else {
        write_visible(out, json);
    }
    Some(())
}

fn write_visible(out: &mut Vec<u8>, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            out.extend(
                character
                    .escape_default()
                    .map(|escaped| u8::try_from(escaped).expect("an escape is ASCII")),
            );
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// A JSON string at the start of `text`, with its quotes, and what follows.
fn split_string(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(text.split_at(at + r#""""#.len())),
            _ => {}
        }
    }
    None
}

/// A JSON string, number or literal at the start of `text`, and what follows. Our lines hold no
/// other values, and serde_json would change the digits of a number of 128 bits.
fn split_value(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('"') {
        return split_string(text);
    }
    let end = text.find(',').unwrap_or(text.len());
    if end == 0 || text.starts_with(['{', '[']) { None } else { Some(text.split_at(end)) }
}

fn unquoted(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests;
