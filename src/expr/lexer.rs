//! The text of an expression as tokens.

mod strings;

use crate::error::{ParseError, Problem};
use crate::limits::EXPRESSION_BYTES_MAX;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token<'t> {
    /// A name or a word.
    Name(&'t str),
    /// A whole number without its sign.
    Whole(u64),
    /// A whole number with a `u` behind it.
    Uint(u64),
    /// A number with a fraction or an exponent, without its sign.
    Double(f64),
    /// A string, its escapes replaced.
    Text(String),
    /// Bytes, their escapes replaced.
    Bytes(Vec<u8>),
    /// The name of a field in backticks.
    Quoted(&'t str),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token and where it stands in the text. Unit: bytes.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<'t> {
    pub(crate) token: Token<'t>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The operators and brackets, the longer before those they begin with.
const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-",
    "+", "*", "/", "%", "<", ">",
];

/// Reads tokens off a text, from where the expression begins to wherever it ends.
pub(crate) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// Where the expression becomes too long.
    bytes_end: usize,
}

impl<'t> Lexer<'t> {
    pub(crate) fn new(text: &'t str, start: usize) -> Lexer<'t> {
        Lexer { text, at: start, bytes_end: start + EXPRESSION_BYTES_MAX }
    }

    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    pub(crate) fn error(&self, at: usize, problem: Problem) -> ParseError {
        ParseError::new(self.text, at, problem)
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Spanned<'t>, ParseError> {
        self.skip_blanks();
        let start = self.at;
        let token = self.token()?;
        if self.at > self.bytes_end {
            return Err(self.error(start, Problem::TooLong));
        }
        Ok(Spanned { token, start, end: self.at })
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// White space and comments to the end of the line.
    fn skip_blanks(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c') => self.at += 1,
                Some(b'/') if self.byte(1) == Some(b'/') => {
                    self.at += self.rest().find(['\n', '\r']).unwrap_or(self.rest().len());
                }
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Result<Token<'t>, ParseError> {
        let Some(first) = self.byte(0) else { return Ok(Token::End) };
        match first {
            b'"' | b'\'' => self.string(self.at, false).map(Token::Text),
            b'r' | b'R' if matches!(self.byte(1), Some(b'"' | b'\'')) => {
                self.at += 1;
                self.string(self.at - 1, true).map(Token::Text)
            }
            b'b' | b'B' if self.bytes_literal_begins() => self.bytes(),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Ok(Token::Name(self.name())),
            b'0'..=b'9' => self.number(),
            b'.' if matches!(self.byte(1), Some(b'0'..=b'9')) => self.number(),
            b'`' => self.quoted(),
            _ => self.symbol(),
        }
    }

    fn bytes_literal_begins(&self) -> bool {
        match self.byte(1) {
            Some(b'"' | b'\'') => true,
            Some(b'r' | b'R') => matches!(self.byte(2), Some(b'"' | b'\'')),
            _ => false,
        }
    }

    /// A name in backticks, whose first is here.
    fn quoted(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let rest = &self.rest()[1..];
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-/ ".contains(c);
        let end = rest.find(|c| !allowed(c)).unwrap_or(rest.len());
        if end == 0 || !rest[end..].starts_with('`') {
            let expected = "letters, digits, `_.-/` or blanks, and then a backtick";
            let found =
                rest[end..].chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
            return Err(self.error(start + 1 + end, Problem::Expected { expected, found }));
        }
        self.at += end + 2;
        Ok(Token::Quoted(&rest[..end]))
    }

    fn symbol(&mut self) -> Result<Token<'t>, ParseError> {
        let rest = self.rest();
        if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let found = rest.chars().next().map_or_else(String::new, |c| format!("`{c}`"));
        let expected = match rest.as_bytes()[0] {
            b'=' => "`==`",
            b'&' => "`&&`",
            b'|' => "`||`",
            _ => "a value or an operator",
        };
        Err(self.error(self.at, Problem::Expected { expected, found }))
    }

    fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        let name = &rest[..end.unwrap_or(rest.len())];
        self.at += name.len();
        name
    }

    fn skip_digits(&mut self) {
        while matches!(self.byte(0), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Token<'t>, ParseError> {
        let start = self.at;
        let hex = self.byte(0) == Some(b'0') && matches!(self.byte(1), Some(b'x' | b'X'));
        let mut whole = true;
        if hex {
            self.at += 2;
            while self.byte(0).is_some_and(|byte| byte.is_ascii_hexdigit()) {
                self.at += 1;
            }
        } else {
            self.skip_digits();
            if self.byte(0) == Some(b'.') && matches!(self.byte(1), Some(b'0'..=b'9')) {
                whole = false;
                self.at += 1;
                self.skip_digits();
            }
            if let Some(b'e' | b'E') = self.byte(0) {
                let sign = usize::from(matches!(self.byte(1), Some(b'+' | b'-')));
                if matches!(self.byte(1 + sign), Some(b'0'..=b'9')) {
                    whole = false;
                    self.at += 1 + sign;
                    self.skip_digits();
                }
            }
        }
        let digits = &self.text[start..self.at];
        let unsigned = matches!(self.byte(0), Some(b'u' | b'U')) && whole;
        if unsigned {
            self.at += 1;
        }
        let goes_on = |c: &char| *c == '_' || c.is_alphanumeric();
        let behind: String = self.rest().chars().next().filter(goes_on).into_iter().collect();
        if !behind.is_empty() || (hex && digits.len() == 2) {
            let found = format!("`{digits}{behind}`");
            return Err(self.error(start, Problem::Expected { expected: "a number", found }));
        }
        let of_kind = |number| if unsigned { Token::Uint(number) } else { Token::Whole(number) };
        let token = if hex {
            u64::from_str_radix(&digits[2..], 16).ok().map(of_kind)
        } else if whole {
            digits.parse().ok().map(of_kind)
        } else {
            digits.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Double)
        };
        token.ok_or_else(|| self.error(start, Problem::NumberRange))
    }
}
