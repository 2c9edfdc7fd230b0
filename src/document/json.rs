//! JSON (RFC 8259), strictly, with places.

use crate::NODES_MAX;
use crate::fault::{Fault, Source};
use crate::node::{Entry, Kind, Node, Span};
use crate::number;
use base::limits::NESTING_MAX;

pub(crate) fn parse(source: Source<'_>) -> Result<Node, Fault> {
    let rest = source.text.strip_prefix('\u{feff}').unwrap_or(source.text);
    let mut reader = Reader { source, rest, span: Span::START, nodes: 0 };
    reader.skip_white_space();
    let node = reader.value(0)?;
    reader.skip_white_space();
    if reader.rest.is_empty() {
        Ok(node)
    } else {
        Err(reader.fault("the document has ended, this is too much"))
    }
}

struct Reader<'a> {
    source: Source<'a>,
    rest: &'a str,
    span: Span,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, what: impl Into<String>) -> Fault {
        Fault::at(self.source, self.span, what)
    }

    /// What stands here, for a message.
    fn here(&self) -> String {
        match self.rest.chars().next() {
            None => "the text ends".to_owned(),
            Some(character) if character.is_control() => {
                format!("there is the control character U+{:04X}", u32::from(character))
            }
            Some(character) => format!("there is `{character}`"),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.bytes().next()
    }

    /// Steps over `bytes` bytes that hold no line break.
    fn advance(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        let characters = taken.chars().count();
        self.span.column += u32::try_from(characters).expect("texts are bounded");
        self.rest = rest;
    }

    fn skip_white_space(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.advance(1),
                Some(b'\n' | b'\r') => {
                    let width = if self.rest.starts_with("\r\n") { 2 } else { 1 };
                    self.rest = &self.rest[width..];
                    self.span = Span { line: self.span.line + 1, column: 1 };
                }
                _ => return,
            }
        }
    }

    /// Recursion: refused beyond `NESTING_MAX`.
    fn value(&mut self, depth: usize) -> Result<Node, Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(self.fault(format!("the document has more than {NODES_MAX} values")));
        }
        if depth == NESTING_MAX && matches!(self.peek(), Some(b'{' | b'[')) {
            return Err(self.fault(format!("nested deeper than {NESTING_MAX}")));
        }
        let span = self.span;
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Kind::Text { value: self.text()?, quoted: true },
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { span, kind })
    }

    fn word(&mut self) -> Result<Kind, Fault> {
        for (word, kind) in
            [("true", Kind::Bool(true)), ("false", Kind::Bool(false)), ("null", Kind::Null)]
        {
            let after = self.rest.strip_prefix(word);
            if after.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric())) {
                self.advance(word.len());
                return Ok(kind);
            }
        }
        Err(self.fault(format!("a value was expected, {}", self.here())))
    }

    fn list(&mut self, depth: usize) -> Result<Kind, Fault> {
        self.advance(1);
        let mut nodes = Vec::new();
        self.skip_white_space();
        if self.peek() == Some(b']') {
            self.advance(1);
            return Ok(Kind::List(nodes));
        }
        loop {
            self.skip_white_space();
            nodes.push(self.value(depth + 1)?);
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b']') => {
                    self.advance(1);
                    return Ok(Kind::List(nodes));
                }
                _ => return Err(self.fault(format!("`,` or `]` was expected, {}", self.here()))),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Kind, Fault> {
        self.advance(1);
        let mut entries = Vec::new();
        self.skip_white_space();
        if self.peek() == Some(b'}') {
            self.advance(1);
            return Ok(Kind::Map(entries));
        }
        loop {
            self.skip_white_space();
            let key_span = self.span;
            if self.peek() != Some(b'"') {
                let what = format!("a key in double quotes was expected, {}", self.here());
                return Err(self.fault(what));
            }
            let key = self.text()?;
            self.skip_white_space();
            if self.peek() != Some(b':') {
                return Err(self.fault(format!("`:` was expected, {}", self.here())));
            }
            self.advance(1);
            self.skip_white_space();
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, key_span, value });
            self.skip_white_space();
            match self.peek() {
                Some(b',') => self.advance(1),
                Some(b'}') => {
                    self.advance(1);
                    refuse_repeats(self.source, &entries)?;
                    return Ok(Kind::Map(entries));
                }
                _ => return Err(self.fault(format!("`,` or `}}` was expected, {}", self.here()))),
            }
        }
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let bytes = self.rest.as_bytes();
        let digits_from =
            |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = usize::from(bytes[0] == b'-');
        let mut end = whole + digits_from(whole);
        if end == whole {
            return Err(self.fault("a digit was expected after `-`"));
        }
        if bytes[whole] == b'0' && end > whole + 1 {
            return Err(self
                .fault("a number may not begin with 0")
                .hint("put it in quotes if it is text"));
        }
        if bytes.get(end) == Some(&b'.') {
            let digits = digits_from(end + 1);
            if digits == 0 {
                return Err(self.fault("a digit was expected after the point"));
            }
            end += 1 + digits;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let digits = digits_from(end + 1 + sign);
            if digits == 0 {
                return Err(self.fault("a digit was expected in the exponent"));
            }
            end += 1 + sign + digits;
        }
        let kind = number::from_json_text(&self.rest[..end]);
        self.advance(end);
        Ok(kind)
    }

    fn text(&mut self) -> Result<String, Fault> {
        self.advance(1);
        let mut value = String::new();
        loop {
            let plain = self
                .rest
                .find(|character: char| character < ' ' || matches!(character, '"' | '\\'))
                .unwrap_or(self.rest.len());
            value.push_str(&self.rest[..plain]);
            self.advance(plain);
            match self.peek() {
                Some(b'"') => {
                    self.advance(1);
                    return Ok(value);
                }
                Some(b'\\') => value.push(self.escape()?),
                None => return Err(self.fault("the text in quotes does not end")),
                Some(_) => {
                    return Err(self
                        .fault(format!("inside quotes {}", self.here()))
                        .hint("close the quotes on the same line; write a line break as \\n"));
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let character = match self.rest.as_bytes().get(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_code(),
            _ => return Err(self.fault("no such escape").hint("write `\\\\` for a backslash")),
        };
        self.advance(2);
        Ok(character)
    }

    fn escaped_code(&mut self) -> Result<char, Fault> {
        let unit = |text: &'a str| -> Option<u32> {
            let digits = text.strip_prefix("\\u")?.get(..4)?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex.then(|| u32::from_str_radix(digits, 16).expect("four hex digits"))
        };
        let first =
            unit(self.rest).ok_or_else(|| self.fault("four hex digits were expected after \\u"))?;
        let (code, width) = match first {
            0xd800..=0xdbff => match self.rest.get(6..).and_then(unit) {
                Some(second @ 0xdc00..=0xdfff) => {
                    (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                }
                _ => return Err(self.lone_surrogate(first)),
            },
            other => (other, 6),
        };
        let character = char::from_u32(code).ok_or_else(|| self.lone_surrogate(first))?;
        self.advance(width);
        Ok(character)
    }

    fn lone_surrogate(&self, unit: u32) -> Fault {
        self.fault(format!("\\u{unit:04x} is half of a surrogate pair, the other half is missing"))
    }
}

/// A fault if two entries of a map have the same key, at the later one.
pub(crate) fn refuse_repeats(source: Source<'_>, entries: &[Entry]) -> Result<(), Fault> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by(|left, right| left.key.cmp(&right.key)); // stable: the earlier one stays first
    let repeats = order.windows(2).filter(|pair| pair[0].key == pair[1].key);
    let Some(pair) = repeats.min_by_key(|pair| pair[1].key_span) else { return Ok(()) };
    let what = format!("the key `{}` is here twice", pair[1].key);
    let first = pair[0].key_span;
    Err(Fault::at(source, pair[1].key_span, what)
        .hint(format!("the first one is at {}:{}", first.line, first.column)))
}
