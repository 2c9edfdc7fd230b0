//! An expression as it was made up: written for both engines, taken apart where they differ.

use std::fmt::Write;

/// An operator, a call or a leaf, and the phrases in it.
#[derive(Clone, Debug)]
pub(super) struct Phrase {
    pub(super) form: Form,
    pub(super) parts: Vec<Phrase>,
}

/// What a [`Phrase`] does with its parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// A literal or a name.
    Leaf(String),
    /// `!` or `-`.
    Unary(&'static str),
    /// Every operator of two operands.
    Binary(&'static str),
    /// `a ? b : c`.
    Conditional,
    List,
    /// Keys and values by turns.
    Map,
    /// `a[b]`.
    Index,
    /// `a.name`.
    Field(&'static str),
    /// `has(a.name)`.
    Has(&'static str),
    /// `name(a, …)`.
    Call(&'static str),
    /// `a.name(b, …)`.
    Method(&'static str),
    /// `type(a) == name`, whole: a type is no value that both engines hand out.
    TypeIs(&'static str),
    /// `a.name(variable, b, …)`.
    Macro {
        name: &'static str,
        variable: &'static str,
    },
}

/// The binding strengths of `langdef.md`, weakest first.
const CONDITIONAL: u8 = 0;
const OR: u8 = 1;
const AND: u8 = 2;
const RELATION: u8 = 3;
const SUM: u8 = 4;
const PRODUCT: u8 = 5;
const UNARY: u8 = 6;
const MEMBER: u8 = 7;

impl Phrase {
    pub(super) fn leaf(text: impl Into<String>) -> Phrase {
        Phrase { form: Form::Leaf(text.into()), parts: Vec::new() }
    }

    pub(super) fn new(form: Form, parts: impl Into<Vec<Phrase>>) -> Phrase {
        Phrase { form, parts: parts.into() }
    }

    /// As text, with no more parentheses than it needs: so precedence is compared as well.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.write(CONDITIONAL, &mut text);
        text
    }

    fn strength(&self) -> u8 {
        match &self.form {
            // `-1` is an operator in front of a number, and `1.a` no member.
            Form::Leaf(text) if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => UNARY,
            Form::Unary(_) => UNARY,
            Form::Conditional => CONDITIONAL,
            Form::TypeIs(_) => RELATION,
            Form::Binary(operator) => match *operator {
                "||" => OR,
                "&&" => AND,
                "+" | "-" => SUM,
                "*" | "/" | "%" => PRODUCT,
                _ => RELATION,
            },
            _ => MEMBER,
        }
    }

    /// Writes it where only what binds at least so strongly may stand bare.
    fn write(&self, least: u8, text: &mut String) {
        let strength = self.strength();
        if strength < least {
            text.push('(');
            self.write(CONDITIONAL, text);
            text.push(')');
            return;
        }
        match &self.form {
            Form::Leaf(leaf) => text.push_str(leaf),
            Form::Unary(operator) => {
                text.push_str(operator);
                let operand = &self.parts[0];
                // `--x` is one row of signs; `!-x` is no CEL. The oracle cannot read two signs in
                // front of the least int: it drops them, and what is left is none.
                let least_int = i64::MIN.to_string();
                let same = match &operand.form {
                    Form::Leaf(leaf) => leaf.starts_with(operator) && *leaf != least_int,
                    form => *form == self.form,
                };
                operand.write(if same { UNARY } else { MEMBER }, text);
            }
            Form::Binary(operator) => {
                self.parts[0].write(strength, text);
                let _ = write!(text, " {operator} ");
                self.parts[1].write(strength + 1, text);
            }
            Form::Conditional => {
                self.parts[0].write(OR, text);
                text.push_str(" ? ");
                self.parts[1].write(OR, text);
                text.push_str(" : ");
                self.parts[2].write(CONDITIONAL, text);
            }
            Form::TypeIs(name) => {
                text.push_str("type(");
                self.parts[0].write(CONDITIONAL, text);
                let _ = write!(text, ") == {name}");
            }
            _ => self.write_member(text),
        }
    }

    fn write_member(&self, text: &mut String) {
        match &self.form {
            Form::List => write_parts("[", &self.parts, "]", text),
            Form::Map => {
                text.push('{');
                for (index, entry) in self.parts.chunks_exact(2).enumerate() {
                    text.push_str(if index == 0 { "" } else { ", " });
                    entry[0].write(CONDITIONAL, text);
                    text.push_str(": ");
                    entry[1].write(CONDITIONAL, text);
                }
                text.push('}');
            }
            Form::Index => {
                self.parts[0].write(MEMBER, text);
                write_parts("[", &self.parts[1..], "]", text);
            }
            Form::Field(name) => {
                self.parts[0].write(MEMBER, text);
                let _ = write!(text, ".{name}");
            }
            Form::Has(name) => {
                text.push_str("has(");
                self.parts[0].write(MEMBER, text);
                let _ = write!(text, ".{name})");
            }
            Form::Call(name) => {
                text.push_str(name);
                write_parts("(", &self.parts, ")", text);
            }
            Form::Method(name) => {
                self.parts[0].write(MEMBER, text);
                let _ = write!(text, ".{name}");
                write_parts("(", &self.parts[1..], ")", text);
            }
            Form::Macro { name, variable } => {
                self.parts[0].write(MEMBER, text);
                let _ = write!(text, ".{name}({variable}");
                write_parts(", ", &self.parts[1..], ")", text);
            }
            other => unreachable!("{other:?} is written by its strength"),
        }
    }

    /// Writes `to` for the variable `from`, wherever no inner macro has one of that name.
    pub(super) fn renamed(&self, from: &str, to: &str) -> Phrase {
        let rename_body = match &self.form {
            Form::Leaf(leaf) if leaf == from => return Phrase::leaf(to),
            Form::Macro { variable, .. } => *variable != from,
            _ => true,
        };
        let part = |(index, part): (usize, &Phrase)| {
            if index == 0 || rename_body { part.renamed(from, to) } else { part.clone() }
        };
        Phrase { form: self.form.clone(), parts: self.parts.iter().enumerate().map(part).collect() }
    }
}

fn write_parts(before: &str, parts: &[Phrase], behind: &str, text: &mut String) {
    text.push_str(before);
    for (index, part) in parts.iter().enumerate() {
        text.push_str(if index == 0 { "" } else { ", " });
        part.write(CONDITIONAL, text);
    }
    text.push_str(behind);
}
