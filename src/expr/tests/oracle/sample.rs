//! Makes up expressions, and data for them, from a row of numbers.
//!
//! Every choice takes the next number, and where none is left the first and simplest: so proptest
//! shrinks an expression by shrinking a row. Nearly every operand has the kind that its place
//! wants, or nearly all would be compared by their errors alone.

use super::engines::Binding;
use super::phrase::{Form, Phrase};
use crate::value::{Map, Value};

/// How deep an expression nests at most.
const DEPTH_MAX: u32 = 4;

/// One of so many operands has a kind that its place does not want.
const WRONG_ONE_OF: usize = 48;

/// What a phrase comes to, as far as one can tell by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Uint,
    Double,
    Bool,
    Text,
    Null,
    Bytes,
    Timestamp,
    Duration,
    Ints,
    Doubles,
    Texts,
    Maps,
    Lists,
    Map,
}

use Kind::{
    Bool, Bytes, Double, Doubles, Duration, Int, Ints, Lists, Map as MapKind, Maps, Null, Text,
    Texts, Timestamp, Uint,
};

const KINDS: [Kind; 15] = [
    Int, Double, Bool, Text, Uint, Null, Bytes, Timestamp, Duration, Ints, Texts, Maps, MapKind,
    Doubles, Lists,
];

const LISTS: [Kind; 5] = [Ints, Texts, Maps, Doubles, Lists];

impl Kind {
    /// The kind of the elements.
    fn element(self) -> Option<Kind> {
        Some(match self {
            Ints => Int,
            Doubles => Double,
            Texts => Text,
            Maps => MapKind,
            Lists => Ints,
            _ => return None,
        })
    }

    /// The kind of lists of it, where there is one.
    fn list(self) -> Option<Kind> {
        LISTS.into_iter().find(|list| list.element() == Some(self))
    }
}

/// The names of the scope. `m`, and every other map, may have the fields of [`FIELDS`].
const NAMES: &[(&str, Kind)] = &[
    ("i", Int),
    ("j", Int),
    ("d", Double),
    ("b", Bool),
    ("s", Text),
    ("t", Text),
    ("u", Uint),
    ("n", Null),
    ("ints", Ints),
    ("doubles", Doubles),
    ("texts", Texts),
    ("maps", Maps),
    ("lists", Lists),
    ("m", MapKind),
];

const FIELDS: &[(&str, Kind)] = &[
    ("i", Int),
    ("s", Text),
    ("d", Double),
    ("b", Bool),
    ("l", Ints),
    ("m", MapKind),
    ("n", Null),
];

const INTS: &[i64] = &[
    0,
    1,
    2,
    3,
    -1,
    1,
    2,
    0,
    5,
    7,
    10,
    -3,
    100,
    i64::MAX,
    i64::MIN,
    9_007_199_254_740_993,
    1_700_000_000,
];
const DOUBLES: &[f64] = &[
    1.0,
    0.5,
    2.0,
    -1.5,
    2.5,
    0.0,
    3.0,
    -0.0,
    0.1,
    1e3,
    9_007_199_254_740_992.0,
    1e19,
    1e300,
    -1.0,
];
const UINTS: &[u64] = &[1, 0, 2, 5, 1 << 53 | 1, u64::MAX, 1 << 63];
const TEXTS: &[&str] = &[
    "a",
    "",
    "b",
    "ab",
    "abc",
    "i",
    "häß",
    "😀",
    "1",
    "-7",
    "2.5",
    "true",
    " x ",
    "a,b,c",
    "A-b",
    "1e3",
    "aXbX",
    "key\nline",
    "aßbßab",
    "äßaXß",
    "\\",
    "it's",
    "nope",
];
/// What is in one of [`TEXTS`] or in many, also behind what is no ASCII.
const PARTS: &[&str] = &["a", "ß", "b", "X", ",", "", "ab", "äß"];
const PATTERNS: &[&str] =
    &["a", "^a", "b$", "^[a-z]+$", "[0-9]+", "(a|b)c?", "", "h.ß", "(?i)A", "x*"];
const TIMES: &[&str] = &[
    "1970-01-01T00:00:00Z",
    "2026-01-31T09:15:00.25Z",
    "2024-03-01T00:30:00+02:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z",
    "1969-12-31T23:59:59.999Z",
];
const SPANS: &[&str] =
    &["1s", "0s", "90m", "1h30m", "-1.5s", "100ms", "24h", "-36h", "1us", "1ns", "0.5h", "+2m"];
const GETTERS: &[&str] = &[
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
];
const OFFSETS: &[&str] = &["UTC", "+02:00", "-09:30", "05:45", "-00:01"];

/// What two engines are asked.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) phrase: Phrase,
    pub(super) names: Vec<Binding>,
}

impl Sample {
    pub(super) fn from_choices(choices: &[u16]) -> Sample {
        let mut maker = Maker { choices: choices.iter(), variables: Vec::new() };
        let names =
            NAMES.iter().map(|(name, kind)| Binding::of(name, maker.datum(*kind, 2))).collect();
        let kind = maker.one_of(&[
            Bool, Int, Text, Bool, Double, Bool, Ints, Texts, Bool, Maps, MapKind, Uint, Bytes,
            Timestamp, Duration, Lists, Doubles,
        ]);
        Sample { phrase: maker.phrase(kind, DEPTH_MAX), names }
    }
}

struct Maker<'c> {
    choices: std::slice::Iter<'c, u16>,
    /// The variables of the macros around this place.
    variables: Vec<(&'static str, Kind)>,
}

fn method(name: &'static str, parts: impl Into<Vec<Phrase>>) -> Phrase {
    Phrase::new(Form::Method(name), parts)
}

fn call(name: &'static str, parts: impl Into<Vec<Phrase>>) -> Phrase {
    Phrase::new(Form::Call(name), parts)
}

impl Maker<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.choices.next().map_or(0, |choice| usize::from(*choice) % count)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    // -- data ----------------------------------------------------------------------------------

    fn datum(&mut self, kind: Kind, depth: usize) -> Value {
        match kind {
            Int => Value::Int(self.one_of(INTS)),
            Uint => Value::Uint(u64::MAX - u64::try_from(self.below(3)).unwrap()),
            Double => Value::Double(self.one_of(DOUBLES)),
            Bool => Value::Bool(self.below(2) == 1),
            Text => Value::text(self.one_of(TEXTS)),
            MapKind => {
                let mut entries = Vec::new();
                for (name, kind) in FIELDS {
                    if (depth > 0 || *kind != MapKind) && self.below(3) > 0 {
                        entries.push(((*name).into(), self.datum(*kind, depth.saturating_sub(1))));
                    }
                }
                Map::from_entries(entries).into()
            }
            list => match list.element() {
                Some(element) => {
                    let count = self.below(4);
                    (0..count)
                        .map(|_| self.datum(element, depth.saturating_sub(1)))
                        .collect::<Vec<_>>()
                        .into()
                }
                None => Value::Null,
            },
        }
    }

    // -- leaves --------------------------------------------------------------------------------

    fn literal_text(&mut self, text: &str) -> Phrase {
        let escaped = || text.replace('\\', "\\\\").replace('\n', "\\n").replace('\'', "\\'");
        let raw = !text.contains(['\'', '\n', '\\']);
        Phrase::leaf(match self.below(6) {
            3 => format!("\"{}\"", escaped()),
            4 if raw => format!("r'{text}'"),
            5 => format!("'''{}'''", escaped()),
            _ => format!("'{}'", escaped()),
        })
    }

    fn literal(&mut self, kind: Kind) -> Phrase {
        match kind {
            Int => {
                let number = self.one_of(INTS);
                let hex = number >= 0 && self.below(16) == 15;
                Phrase::leaf(if hex { format!("0x{number:X}") } else { number.to_string() })
            }
            Uint => Phrase::leaf(format!("{}u", self.one_of(UINTS))),
            Double => Phrase::leaf(format!("{:?}", self.one_of(DOUBLES))),
            Bool => Phrase::leaf(self.one_of(&["true", "false"])),
            Null => Phrase::leaf("null"),
            Text => {
                let text = self.one_of(TEXTS);
                self.literal_text(text)
            }
            Bytes => Phrase::leaf(self.one_of(&["b'abc'", "b''", r"b'\xff'", "b'ä'", r"b'\101'"])),
            Timestamp => {
                let text = self.one_of(TIMES);
                call("timestamp", [self.literal_text(text)])
            }
            Duration => {
                let text = self.one_of(SPANS);
                call("duration", [self.literal_text(text)])
            }
            MapKind => Phrase::new(Form::Map, []),
            _ => Phrase::new(Form::List, []),
        }
    }

    /// A name of this kind that can be seen from here, or a literal.
    fn leaf(&mut self, kind: Kind) -> Phrase {
        let mut seen: Vec<String> = Vec::new();
        for (at, (name, of)) in self.variables.iter().enumerate() {
            let hidden = self.variables[at + 1..].iter().any(|(inner, _)| inner == name);
            if *of == kind && !hidden {
                seen.push((*name).to_owned());
            }
        }
        for (name, of) in NAMES {
            if *of == kind {
                let hidden = self.variables.iter().any(|(inner, _)| inner == name);
                seen.push(if hidden { format!(".{name}") } else { (*name).to_owned() });
            }
        }
        if seen.is_empty() || self.below(2) == 0 {
            return self.literal(kind);
        }
        let index = self.below(seen.len());
        Phrase::leaf(std::mem::take(&mut seen[index]))
    }

    // -- phrases -------------------------------------------------------------------------------

    fn phrase(&mut self, kind: Kind, depth: u32) -> Phrase {
        if self.below(WRONG_ONE_OF) == WRONG_ONE_OF - 1 {
            let wrong = self.one_of(&KINDS);
            // No map stands for a list: the oracle goes over its keys in any order.
            if wrong != MapKind || kind.element().is_none() {
                return self.fitting(wrong, depth);
            }
        }
        self.fitting(kind, depth)
    }

    fn fitting(&mut self, kind: Kind, depth: u32) -> Phrase {
        if depth == 0 || self.choices.as_slice().is_empty() || self.below(6) == 0 {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match self.below(10) {
            8 => self.of_any_kind(kind, depth),
            9 => self.read_of(kind, depth),
            _ => self.own(kind, depth),
        }
    }

    /// What every kind can come out of.
    fn of_any_kind(&mut self, kind: Kind, depth: u32) -> Phrase {
        match self.below(4) {
            0 | 1 => {
                let condition = self.phrase(Bool, depth);
                let parts = [condition, self.phrase(kind, depth), self.phrase(kind, depth)];
                Phrase::new(Form::Conditional, parts)
            }
            2 => call("dyn", [self.phrase(kind, depth)]),
            _ => {
                let list =
                    Phrase::new(Form::List, [self.phrase(kind, depth), self.phrase(kind, depth)]);
                Phrase::new(
                    Form::Index,
                    [list, Phrase::leaf(self.one_of(&["0", "1", "1.0", "0u", "2"]))],
                )
            }
        }
    }

    /// Read out of a list or a map.
    fn read_of(&mut self, kind: Kind, depth: u32) -> Phrase {
        if let Some((name, _)) = FIELDS.iter().find(|(_, of)| *of == kind)
            && self.below(2) == 1
        {
            let map = self.phrase(MapKind, depth);
            return if self.below(3) == 2 {
                Phrase::new(Form::Index, [map, Phrase::leaf(format!("'{name}'"))])
            } else {
                Phrase::new(Form::Field(name), [map])
            };
        }
        match kind.list() {
            Some(list) => {
                let index = if self.below(3) == 2 {
                    self.phrase(Int, depth)
                } else {
                    Phrase::leaf(self.one_of(&["0", "1"]))
                };
                Phrase::new(Form::Index, [self.phrase(list, depth), index])
            }
            None => self.own(kind, depth),
        }
    }

    /// What makes this kind and no other.
    fn own(&mut self, kind: Kind, depth: u32) -> Phrase {
        match kind {
            Int => self.int(depth),
            Uint => match self.below(4) {
                0 => call("uint", [self.number(depth)]),
                1 => self.extreme(Uint, depth),
                _ => self.binary(&["+", "-", "*", "/", "%"], Uint, Uint, depth),
            },
            Double => self.double(depth),
            Bool => self.bool(depth),
            Text => self.text(depth),
            Bytes => match self.below(3) {
                0 => call("bytes", [self.phrase(Text, depth)]),
                1 => self.binary(&["+"], Bytes, Bytes, depth),
                _ => self.leaf(Bytes),
            },
            Null => self.leaf(Null),
            Timestamp => match self.below(4) {
                0 => call("timestamp", [self.phrase(Int, depth)]),
                1 => self.binary(&["+", "-"], Timestamp, Duration, depth),
                2 => self.binary(&["+"], Duration, Timestamp, depth),
                _ => self.leaf(Timestamp),
            },
            Duration => match self.below(3) {
                0 => self.binary(&["-"], Timestamp, Timestamp, depth),
                1 => self.binary(&["+", "-"], Duration, Duration, depth),
                _ => self.leaf(Duration),
            },
            MapKind => self.map(depth),
            list => self.list(list, depth),
        }
    }

    fn binary(
        &mut self,
        operators: &[&'static str],
        left: Kind,
        right: Kind,
        depth: u32,
    ) -> Phrase {
        let operator = self.one_of(operators);
        let left = self.phrase(left, depth);
        Phrase::new(Form::Binary(operator), [left, self.phrase(right, depth)])
    }

    fn number(&mut self, depth: u32) -> Phrase {
        let kind = self.one_of(&[Int, Double, Text, Uint]);
        self.phrase(kind, depth)
    }

    /// `math.greatest` and `math.least` of some, or of a list.
    fn extreme(&mut self, kind: Kind, depth: u32) -> Phrase {
        let name = self.one_of(&["math.greatest", "math.least"]);
        if let Some(list) = kind.list()
            && self.below(3) == 2
        {
            // The oracle refuses some literals while it reads: a name is none.
            let list = NAMES.iter().find(|(_, of)| *of == list).expect("every list has a name");
            let hidden = self.variables.iter().any(|(inner, _)| *inner == list.0);
            return call(
                name,
                [Phrase::leaf(format!("{}{}", if hidden { "." } else { "" }, list.0))],
            );
        }
        let count = 1 + self.below(3);
        let parts: Vec<_> = (0..count).map(|_| self.fitting(kind, depth)).collect();
        call(name, parts)
    }

    fn int(&mut self, depth: u32) -> Phrase {
        match self.below(12) {
            0..=3 => self.binary(&["+", "-", "*", "/", "%"], Int, Int, depth),
            4 => Phrase::new(Form::Unary("-"), [self.phrase(Int, depth)]),
            5 | 6 => {
                let kind = self.one_of(&[Text, Ints, MapKind, Bytes, Texts, Maps]);
                let sized = [self.phrase(kind, depth)];
                if self.below(2) == 0 { call("size", sized) } else { method("size", sized) }
            }
            7 => {
                let kind = self.one_of(&[Double, Text, Uint, Int, Timestamp, Double]);
                call("int", [self.phrase(kind, depth)])
            }
            8 => {
                let name = self.one_of(&["indexOf", "lastIndexOf"]);
                let mut parts = vec![self.phrase(Text, depth), self.part(depth)];
                if self.below(2) == 1 {
                    parts.push(self.position(depth));
                }
                method(name, parts)
            }
            9 => {
                let name = self.one_of(&["math.abs", "math.sign"]);
                call(name, [self.phrase(Int, depth)])
            }
            10 => self.extreme(Int, depth),
            _ => {
                let name = self.one_of(GETTERS);
                if self.below(4) == 3 {
                    return method(self.one_of(&GETTERS[6..]), [self.phrase(Duration, depth)]);
                }
                let mut parts = vec![self.phrase(Timestamp, depth)];
                if self.below(3) == 2 {
                    let offset = self.one_of(OFFSETS);
                    parts.push(self.literal_text(offset));
                }
                method(name, parts)
            }
        }
    }

    /// What a text is searched for, mostly something that it may have.
    fn part(&mut self, depth: u32) -> Phrase {
        if self.below(4) == 3 {
            return self.phrase(Text, depth);
        }
        let part = self.one_of(PARTS);
        self.literal_text(part)
    }

    /// A place in a text, mostly a good one.
    fn position(&mut self, depth: u32) -> Phrase {
        if self.below(4) == 3 {
            self.phrase(Int, depth)
        } else {
            Phrase::leaf(self.one_of(&["0", "1", "2"]))
        }
    }

    fn double(&mut self, depth: u32) -> Phrase {
        match self.below(8) {
            0..=3 => self.binary(&["+", "-", "*", "/"], Double, Double, depth),
            4 => Phrase::new(Form::Unary("-"), [self.phrase(Double, depth)]),
            5 => call("double", [self.number(depth)]),
            6 => {
                let names = [
                    "math.ceil",
                    "math.floor",
                    "math.round",
                    "math.trunc",
                    "math.abs",
                    "math.sign",
                ];
                call(self.one_of(&names), [self.phrase(Double, depth)])
            }
            _ => self.extreme(Double, depth),
        }
    }

    fn bool(&mut self, depth: u32) -> Phrase {
        match self.below(16) {
            0..=2 => self.binary(&["&&", "||"], Bool, Bool, depth),
            3 => Phrase::new(Form::Unary("!"), [self.phrase(Bool, depth)]),
            4 | 5 => {
                let kind = self.one_of(&KINDS);
                self.binary(&["==", "!="], kind, kind, depth)
            }
            6 => {
                let kind =
                    self.one_of(&[Int, Text, Double, Uint, Bool, Bytes, Timestamp, Duration]);
                self.binary(&["<", "<=", ">", ">="], kind, kind, depth)
            }
            7 => {
                let (left, right) =
                    (self.one_of(&[Int, Double, Uint]), self.one_of(&[Double, Uint, Int]));
                self.binary(&["<", "<=", ">", ">=", "==", "!="], left, right, depth)
            }
            8 => {
                let list = self.one_of(&LISTS);
                let element = list.element().expect("a list has elements");
                self.binary(&["in"], element, list, depth)
            }
            9 => self.binary(&["in"], Text, MapKind, depth),
            10 => {
                let name = self.one_of(&["contains", "startsWith", "endsWith"]);
                method(name, [self.phrase(Text, depth), self.phrase(Text, depth)])
            }
            11 => {
                let pattern = self.one_of(PATTERNS);
                let parts = [self.phrase(Text, depth), self.literal_text(pattern)];
                if self.below(2) == 0 { method("matches", parts) } else { call("matches", parts) }
            }
            12 => {
                let (name, _) = self.one_of(FIELDS);
                Phrase::new(Form::Has(name), [self.map_or_missing(depth)])
            }
            13 => {
                let kind = self.one_of(&KINDS);
                let types = [
                    "int",
                    "double",
                    "string",
                    "bool",
                    "list",
                    "map",
                    "uint",
                    "null_type",
                    "bytes",
                ];
                Phrase::new(Form::TypeIs(self.one_of(&types)), [self.phrase(kind, depth)])
            }
            14 => {
                let kind = self.one_of(&[Text, Bool]);
                call("bool", [self.phrase(kind, depth)])
            }
            _ => {
                let name = self.one_of(&["all", "exists", "exists_one"]);
                let range = self.one_of(&[Ints, Texts, MapKind, Maps, Doubles, Lists]);
                self.each(name, range, &[Bool], depth)
            }
        }
    }

    fn map_or_missing(&mut self, depth: u32) -> Phrase {
        match self.below(6) {
            4 => Phrase::new(Form::Field("m"), [self.phrase(MapKind, depth)]),
            5 => Phrase::new(Form::Field("nope"), [Phrase::leaf("m")]),
            _ => self.phrase(MapKind, depth),
        }
    }

    /// A macro over a list or a map, its variable at times one that hides another.
    fn each(&mut self, name: &'static str, range: Kind, bodies: &[Kind], depth: u32) -> Phrase {
        let variable = self.one_of(&["x", "y", "i", "s", "m"]);
        let mut parts = vec![self.phrase(range, depth)];
        self.variables.push((variable, range.element().unwrap_or(Text)));
        for body in bodies {
            parts.push(self.phrase(*body, depth));
        }
        self.variables.pop();
        Phrase::new(Form::Macro { name, variable }, parts)
    }

    fn text(&mut self, depth: u32) -> Phrase {
        match self.below(10) {
            0..=2 => self.binary(&["+"], Text, Text, depth),
            3 | 4 => {
                let kind =
                    self.one_of(&[Int, Bool, Text, Bytes, Uint, Timestamp, Duration, Double]);
                call("string", [self.phrase(kind, depth)])
            }
            5 => {
                let text = self.phrase(Text, depth);
                method("charAt", [text, self.position(depth)])
            }
            6 => {
                let mut parts = vec![self.phrase(Text, depth), self.position(depth)];
                if self.below(2) == 1 {
                    parts.push(self.position(depth));
                }
                method("substring", parts)
            }
            7 => {
                let name = self.one_of(&["lowerAscii", "upperAscii", "trim", "reverse"]);
                method(name, [self.phrase(Text, depth)])
            }
            8 => {
                let mut parts = vec![
                    self.phrase(Text, depth),
                    self.phrase(Text, depth),
                    self.phrase(Text, depth),
                ];
                if self.below(2) == 1 {
                    parts.push(self.phrase(Int, depth));
                }
                method("replace", parts)
            }
            _ => {
                let mut parts = vec![self.phrase(Texts, depth)];
                if self.below(2) == 1 {
                    parts.push(self.phrase(Text, depth));
                }
                method("join", parts)
            }
        }
    }

    fn map(&mut self, depth: u32) -> Phrase {
        let mut parts = Vec::new();
        let from = self.below(FIELDS.len());
        let count = self.below(4);
        for (name, kind) in FIELDS.iter().cycle().skip(from).take(count) {
            // A name is at times a key that is no text, or one that stands there already.
            let key = self.one_of(&["", "", "", "", "", "", "t", "i"]);
            parts.push(Phrase::leaf(if key.is_empty() {
                format!("'{name}'")
            } else {
                key.to_owned()
            }));
            parts.push(self.phrase(*kind, depth));
        }
        Phrase::new(Form::Map, parts)
    }

    fn list(&mut self, list: Kind, depth: u32) -> Phrase {
        let element = list.element().expect("a list has elements");
        match self.below(8) {
            0 | 1 => {
                let count = self.below(4);
                let parts: Vec<_> = (0..count).map(|_| self.phrase(element, depth)).collect();
                Phrase::new(Form::List, parts)
            }
            2 => self.binary(&["+"], list, list, depth),
            3 | 4 => self.each("filter", list, &[Bool], depth),
            7 if list == Texts => {
                let mut parts = vec![self.phrase(Text, depth), self.part(depth)];
                if self.below(2) == 1 {
                    parts.push(self.phrase(Int, depth));
                }
                method("split", parts)
            }
            number => {
                let range = self.one_of(&LISTS);
                let bodies = if number == 5 { &[element][..] } else { &[Bool, element] };
                self.each("map", range, bodies, depth)
            }
        }
    }
}
