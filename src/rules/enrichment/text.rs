//! Edits made in the text of a message: what is not touched stays byte for byte, so that a number
//! of thirty digits still has them.

use super::{Edit, by_key, is_whole};
use std::borrow::Cow;

/// Writes `message`, which is known to be one JSON object, into `out` with the edits made.
pub(crate) fn splice(message: &[u8], edits: &[Edit<'_>], out: &mut Vec<u8>) {
    let mut reader = Reader { text: message, at: 0 };
    reader.space();
    reader.object(0, edits, out);
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
}

/// Writes the members of one object.
struct Members {
    is_first: bool,
}

impl Members {
    fn next(&mut self, out: &mut Vec<u8>) {
        if !std::mem::take(&mut self.is_first) {
            out.push(b',');
        }
    }
}

impl Reader<'_> {
    fn peek(&self) -> u8 {
        *self.text.get(self.at).expect("an object that was read has an end")
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(|byte| b" \n\t\r".contains(byte)) {
            self.at += 1;
        }
    }

    /// An object, whose brace comes next, with the edits that begin `depth` keys below the top.
    /// Recursion: as deep as a field path is long.
    fn object(&mut self, depth: usize, edits: &[Edit<'_>], out: &mut Vec<u8>) {
        self.at += 1;
        out.push(b'{');
        let mut members = Members { is_first: true };
        let mut groups: Vec<_> = by_key(edits, depth).map(|group| (group, false)).collect();
        loop {
            self.space();
            match self.peek() {
                b'}' => break,
                b',' => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let start = self.at;
            self.string();
            let key = unescaped(&self.text[start + 1..self.at - 1]);
            self.space();
            self.at += 1;
            self.space();
            let value = self.at;
            let meant = groups.iter_mut().find(|((own, _), _)| own.as_bytes() == &*key);
            let Some(((_, group), is_done)) = meant else {
                self.skip();
                members.next(out);
                out.extend_from_slice(&self.text[start..self.at]);
                continue;
            };
            // Of equal keys the first counts, so the others go.
            if std::mem::replace(is_done, true) {
                self.skip();
            } else if !is_whole(group, depth) && self.peek() == b'{' {
                members.next(out);
                out.extend_from_slice(&self.text[start..value]);
                self.object(depth + 1, group, out);
            } else {
                self.skip();
                write_new(group, depth, &mut members, out);
            }
        }
        self.at += 1;
        for ((_, group), _) in groups.iter().filter(|(_, is_done)| !is_done) {
            write_new(group, depth, &mut members, out);
        }
        out.push(b'}');
    }

    /// A string, whose quote comes next.
    fn string(&mut self) {
        self.at += 1;
        while self.peek() != b'"' {
            self.at += if self.peek() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
    }

    /// A value, which comes next.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                _ => {
                    while !b",:}] \n\t\r".contains(&self.peek()) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return;
            }
        }
    }
}

/// A member that is not there yet, if there is something to write. Recursion: as deep as a field
/// path is long.
fn write_new(group: &[Edit<'_>], depth: usize, members: &mut Members, out: &mut Vec<u8>) {
    if group.iter().all(|edit| edit.value.is_none()) {
        return;
    }
    members.next(out);
    expr::Value::Text(group[0].keys[depth].clone()).write_json(out);
    out.push(b':');
    if is_whole(group, depth) {
        group[0].value.as_ref().expect("was looked at").write_json(out);
        return;
    }
    out.push(b'{');
    let mut inside = Members { is_first: true };
    for (_, group) in by_key(group, depth + 1) {
        write_new(group, depth + 1, &mut inside, out);
    }
    out.push(b'}');
}

/// The key that is meant by what stands between two quotes.
fn unescaped(written: &[u8]) -> Cow<'_, [u8]> {
    if !written.contains(&b'\\') {
        return Cow::Borrowed(written);
    }
    let mut text = Vec::with_capacity(written.len() + 2);
    text.push(b'"');
    text.extend_from_slice(written);
    text.push(b'"');
    let value = expr::Value::parse_json(&text).expect("a key that was read is a text");
    let key = value.as_text().expect("what stands in quotes is a text");
    Cow::Owned(key.as_bytes().to_vec())
}
