//! JSON as the judge reads it: a tree by recursive descent, numbers kept as they are written.

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a text that is known to be JSON.
    pub(crate) fn parse(text: &str) -> Tree {
        let mut reader = Reader { left: text };
        let tree = reader.value();
        reader.space();
        assert!(reader.left.is_empty(), "not JSON: {text}");
        tree
    }

    /// What stands under a key of an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        match self {
            Tree::Object(entries) => entries.iter().find(|(own, _)| own == key).map(|(_, v)| v),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn elements(&self) -> Option<&[Tree]> {
        match self {
            Tree::Array(elements) => Some(elements),
            _ => None,
        }
    }
}

struct Reader<'t> {
    left: &'t str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.left = self.left.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, what: &str) -> bool {
        self.space();
        let rest = self.left.strip_prefix(what);
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    fn value(&mut self) -> Tree {
        if self.take("null") {
            Tree::Null
        } else if self.take("true") {
            Tree::Bool(true)
        } else if self.take("false") {
            Tree::Bool(false)
        } else if self.take("[") {
            let mut elements = Vec::new();
            while !self.take("]") {
                elements.push(self.value());
                self.take(",");
            }
            Tree::Array(elements)
        } else if self.take("{") {
            let mut entries = Vec::new();
            while !self.take("}") {
                let Tree::Text(key) = self.value() else { panic!("a key is text: {}", self.left) };
                assert!(self.take(":"));
                entries.push((key, self.value()));
                self.take(",");
            }
            Tree::Object(entries)
        } else if self.take("\"") {
            Tree::Text(self.rest_of_text())
        } else {
            let end = self.left.find(|c: char| !"+-.0123456789eE".contains(c));
            let (number, rest) = self.left.split_at(end.unwrap_or(self.left.len()));
            assert!(!number.is_empty(), "not JSON: {}", self.left);
            self.left = rest;
            Tree::Number(number.to_owned())
        }
    }

    fn rest_of_text(&mut self) -> String {
        let mut units: Vec<u16> = Vec::new();
        let mut characters = self.left.chars();
        loop {
            let character = characters.next().expect("a text ends");
            let meant = match character {
                '"' => break,
                '\\' => match characters.next().expect("an escape ends") {
                    'u' => {
                        let digits: String = characters.by_ref().take(4).collect();
                        units.push(u16::from_str_radix(&digits, 16).unwrap());
                        continue;
                    }
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    other => other,
                },
                other => other,
            };
            units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
        }
        self.left = characters.as_str();
        String::from_utf16(&units).unwrap()
    }
}
