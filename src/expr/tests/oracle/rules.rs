//! What is known to differ, one operation at a time.

use super::engines::Said;
use super::phrase::Form;
use crate::times::{Offset, Part, Timestamp};

/// An operation on which the engines differ although they agree on its operands.
#[derive(Debug)]
pub(super) struct Operation<'o> {
    pub(super) form: &'o Form,
    /// What the engines agree on; of a macro, what it goes over.
    pub(super) operands: Vec<Said>,
    pub(super) ours: Said,
    pub(super) theirs: Said,
}

/// A reason why the engines may differ.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) why: Why,
    /// An expression that the engines differ on for this reason.
    pub(super) example: &'static str,
    pub(super) knows: fn(&Operation<'_>) -> bool,
}

/// Whose doing it is.
#[derive(Debug)]
pub(super) enum Why {
    /// Ours on purpose: the words of the crate's front page that tell of it.
    Departure(&'static str),
    /// The oracle's: what CEL says, and what the oracle makes of it.
    Fault(&'static str),
}

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "an int and a double",
        why: Why::Departure("arithmetic between an int and a double is done in doubles"),
        example: "1 + 0.5",
        knows: |of| {
            of.is_arithmetic()
                && of.theirs == Said::Failure
                && of.operands.iter().all(is_number)
                && of.operands.iter().filter(|operand| is_double(operand)).count() == 1
        },
    },
    Rule {
        name: "whole numbers of two kinds",
        why: Why::Departure("Whole numbers calculate exactly whatever their kinds"),
        example: "1u - 2u",
        knows: |of| {
            (of.is_arithmetic() || of.form == &Form::Unary("-"))
                && of.theirs == Said::Failure
                && of.operands.iter().all(|operand| is_number(operand) && !is_double(operand))
                && of.operands.iter().any(|operand| matches!(operand, Said::Uint(_)))
        },
    },
    Rule {
        name: "rounding of whole numbers",
        why: Why::Departure("`math.ceil` and its like leave a whole number what it is"),
        example: "math.ceil(1)",
        knows: |of| {
            matches!(of.form, Form::Call("math.ceil" | "math.floor" | "math.round" | "math.trunc"))
                && of.theirs == Said::Failure
                && of.ours == of.operands[0]
                && !is_double(&of.operands[0])
        },
    },
    Rule {
        name: "no finite number",
        why: Why::Departure("A NaN or an infinity is an error"),
        example: "1.0 / 0.0",
        knows: |of| {
            of.ours == Said::Failure
                && matches!(of.theirs, Said::Double(number) if !number.is_finite())
        },
    },
    Rule {
        name: "exact comparison",
        why: Why::Departure("numbers compare by their exact mathematical value"),
        example: "9007199254740993 == 9007199254740992.0",
        knows: |of| {
            let compares = matches!(
                of.form,
                Form::Binary("==" | "!=" | "<" | "<=" | ">" | ">=" | "in")
                    | Form::Call("math.least" | "math.greatest")
            );
            let has = |is_so: &dyn Fn(&Said) -> bool| {
                of.operands.iter().any(|operand| operand.any(&|said| is_so(said)))
            };
            compares && has(&is_double) && has(&is_beyond_doubles)
        },
    },
    Rule {
        name: "has() of what is missing further up",
        why: Why::Departure("`has(a.b.c)` is false also when `a.b` is missing or is not a map"),
        example: "has({}.a.b)",
        knows: |of| {
            matches!(of.form, Form::Has(_))
                && of.ours == Said::Bool(false)
                && of.theirs == Said::Failure
                && !matches!(of.operands[0], Said::Map(_))
        },
    },
    Rule {
        name: "keys that are no strings",
        why: Why::Departure("Keys of a map are strings"),
        example: "{dyn(1): 2}",
        knows: |of| {
            let is_text = |said: &Said| matches!(said, Said::Text(_));
            of.form == &Form::Map
                && of.ours == Said::Failure
                && !of.operands.iter().step_by(2).all(is_text)
        },
    },
    Rule {
        name: "what is no key is in no map",
        why: Why::Departure("Keys of a map are strings, and nothing else is `in` one"),
        example: "null in {}",
        knows: |of| match (of.form, &of.operands[..]) {
            (Form::Binary("in"), [key, Said::Map(_)]) => {
                of.ours == Said::Bool(false)
                    && of.theirs == Said::Failure
                    && !is_number(key)
                    && !matches!(key, Said::Text(_) | Said::Bool(_) | Said::Failure)
            }
            _ => false,
        },
    },
    Rule {
        name: "doubles as text",
        why: Why::Departure("`string(2.0)` is `2.0`, the form that a double has in JSON"),
        example: "string(2.0)",
        knows: |of| match (of.form, &of.ours, &of.theirs) {
            (Form::Call("string"), Said::Text(ours), Said::Text(theirs)) => {
                is_double(&of.operands[0]) && ours.parse::<f64>() == theirs.parse::<f64>()
            }
            _ => false,
        },
    },
    Rule {
        name: "positions at the end of a text",
        why: Why::Departure("A position in a text may be right behind its last character"),
        example: "'a'.indexOf('b', 1)",
        knows: |of| match (of.form, &of.operands[..]) {
            (
                Form::Method("indexOf" | "lastIndexOf"),
                [Said::Text(text), Said::Text(part), Said::Int(position)],
            ) => {
                let count = i64::try_from(text.chars().count()).unwrap();
                if part.is_empty() {
                    *position > count && of.ours == Said::Failure
                } else {
                    *position == count && of.theirs == Said::Failure
                }
            }
            _ => false,
        },
    },
    Rule {
        name: "a uint as a position",
        why: Why::Departure("Where a function of texts takes an int, it takes a uint"),
        example: "'a'.charAt(0u)",
        knows: |of| {
            let is_uint = |said: &Said| matches!(said, Said::Uint(_));
            matches!(
                of.form,
                Form::Method(
                    "charAt" | "indexOf" | "lastIndexOf" | "replace" | "split" | "substring"
                )
            ) && of.theirs == Said::Failure
                && of.operands[1..].iter().any(is_uint)
        },
    },
    Rule {
        name: "two signs",
        why: Why::Fault(
            "no string has a sign, however often; the oracle drops signs by twos before it looks",
        ),
        example: "--'a'",
        knows: |of| {
            matches!(of.form, Form::Unary(_))
                && of.operands[0] == Said::Failure
                && of.ours == Said::Failure
        },
    },
    Rule {
        name: "a list and a map",
        why: Why::Fault("`+` joins two lists; the oracle adds a map's keys to a list"),
        example: "[] + {}",
        knows: |of| {
            of.form == &Form::Binary("+")
                && matches!(of.operands[..], [Said::List(_), Said::Map(_)])
                && of.ours == Said::Failure
        },
    },
    Rule {
        name: "milliseconds of a duration",
        why: Why::Fault(
            "by the conformance suite 321 of 123.321456789s; the oracle counts all that there are",
        ),
        example: "duration('24h').getMilliseconds()",
        knows: |of| match (of.form, &of.ours, &of.theirs) {
            (Form::Method("getMilliseconds"), Said::Int(ours), Said::Int(theirs)) => {
                matches!(of.operands[..], [Said::Duration(_)]) && theirs % 1_000 == *ours
            }
            _ => false,
        },
    },
    Rule {
        name: "the offset that a timestamp was written with",
        why: Why::Fault(
            "parts are in UTC unless a time zone is given; the oracle keeps the one that was written",
        ),
        example: "timestamp('2024-02-29T23:59:59+02:00').getHours()",
        knows: |of| match (of.form, &of.operands[..], &of.theirs) {
            (Form::Method(name), [Said::Timestamp(at)], Said::Int(theirs)) => {
                // The only one in the samples.
                let ahead = Offset::parse("+02:00").unwrap();
                let at = Timestamp::parse(at).unwrap();
                part(name).is_some_and(|part| at.part(part, ahead) == *theirs)
            }
            _ => false,
        },
    },
];

impl Operation<'_> {
    fn is_arithmetic(&self) -> bool {
        matches!(self.form, Form::Binary("+" | "-" | "*" | "/" | "%"))
    }
}

fn is_number(said: &Said) -> bool {
    matches!(said, Said::Int(_) | Said::Uint(_) | Said::Double(_))
}

fn is_double(said: &Said) -> bool {
    matches!(said, Said::Double(_))
}

/// A whole number that a double may not hold.
fn is_beyond_doubles(said: &Said) -> bool {
    const EXACT_MAX: u64 = 1 << 53;
    match said {
        Said::Int(number) => number.unsigned_abs() > EXACT_MAX,
        Said::Uint(number) => *number > EXACT_MAX,
        _ => false,
    }
}

fn part(method: &str) -> Option<Part> {
    crate::functions::Signature::named(method)?.function.part()
}
