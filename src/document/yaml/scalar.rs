//! What a plain (unquoted) scalar means.

use crate::node::Kind;
use crate::number;

/// Why a plain scalar is refused.
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) hint: String,
}

/// The core schema (YAML 1.2.2, section 10.3.2).
pub(super) fn plain(text: &str) -> Result<Kind, Refusal> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        "true" | "True" | "TRUE" => return Ok(Kind::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Kind::Bool(false)),
        _ => {}
    }
    if let Some(kind) = radix(text)? {
        return Ok(kind);
    }
    if let Some(number) = Decimal::of(text) {
        return number.kind(text);
    }
    if is_special_float(text) {
        let what = format!("`{text}` is a number that JSON does not have");
        return Err(quote(text, what));
    }
    Ok(Kind::Text { value: text.to_owned(), quoted: false })
}

fn quote(text: &str, what: String) -> Refusal {
    Refusal { what, hint: format!("put it in quotes if it is text: \"{text}\"") }
}

fn is_special_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

/// `0x1f` and `0o17`.
fn radix(text: &str) -> Result<Option<Kind>, Refusal> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        _ => return Ok(None),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Ok(None);
    }
    match u64::from_str_radix(digits, radix) {
        Ok(value) => Ok(Some(number::from_json_text(&value.to_string()))),
        Err(_) => Err(quote(text, format!("`{text}` is larger than 64 bits"))),
    }
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`, taken apart.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    /// Without the point; `None` if there was none.
    fraction: Option<&'a str>,
    exponent: Option<&'a str>,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        if let Some(exponent) = exponent {
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || !is_digits(digits) {
                return None;
            }
        }
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let has_digit = !whole.is_empty() || fraction.is_some_and(|digits| !digits.is_empty());
        let all_digits = is_digits(whole) && fraction.is_none_or(is_digits);
        (has_digit && all_digits).then_some(Self {
            negative: text.starts_with('-'),
            whole,
            fraction,
            exponent,
        })
    }

    fn kind(&self, text: &str) -> Result<Kind, Refusal> {
        if self.whole.len() > 1 && self.whole.starts_with('0') {
            let what = format!("the number `{text}` begins with 0");
            return Err(quote(text, what));
        }
        let mut json = String::with_capacity(text.len() + 2);
        if self.negative {
            json.push('-');
        }
        json.push_str(if self.whole.is_empty() { "0" } else { self.whole });
        if let Some(fraction) = self.fraction {
            json.push('.');
            json.push_str(if fraction.is_empty() { "0" } else { fraction });
        }
        if let Some(exponent) = self.exponent {
            json.push('e');
            json.push_str(exponent);
        }
        Ok(number::from_json_text(&json))
    }
}

/// Whether `text` opens `${` and does not close it: YAML took the rest for a comment or a key.
pub(super) fn is_cut(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        match end_of_expression(&rest[at + 2..]) {
            Some(after) => rest = after,
            None => return true,
        }
    }
    false
}

/// What follows the brace that closes an expression; braces inside texts do not count.
fn end_of_expression(text: &str) -> Option<&str> {
    let mut depth = 1;
    let mut quote: Option<char> = None;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match (quote, character) {
            (Some(_), '\\') => {
                characters.next();
            }
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[at + 1..]);
                }
            }
            _ => {}
        }
    }
    None
}
