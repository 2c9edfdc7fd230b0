//! Expressions as the judge takes them: a few forms, taken apart by hand and calculated over the tree.
//! What is held against each other is how a rule's expression gets at the message, so the forms are
//! those that get at it in different ways.

use super::tree::Tree;
use std::cmp::Ordering;

/// `${ left operator right }`, `${ has(path) }` or `${ path }`; several of them with `&&` between.
pub(crate) struct Formula(Vec<Part>);

enum Part {
    Has(Vec<String>),
    Alone(Term),
    Compared { left: Term, operator: String, right: Term },
}

enum Term {
    /// A literal of JSON.
    Constant(Tree),
    /// The names behind `msg`.
    Path(Vec<String>),
    Size(Box<Term>),
    /// `list[index]`, `map[key]`.
    Element(Box<Term>, Box<Term>),
}

/// A value in the kinds that expressions calculate with.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Null,
    Bool(bool),
    Whole(i128),
    Double(f64),
    Text(String),
    List(Vec<Kind>),
    Map(Vec<(String, Kind)>),
}

impl Formula {
    pub(crate) fn of(text: &str) -> Self {
        let inside = text.strip_prefix("${ ").and_then(|text| text.strip_suffix(" }")).unwrap();
        Self(inside.split(" && ").map(Part::of).collect())
    }

    pub(crate) fn holds(&self, message: &Tree) -> bool {
        self.0.iter().all(|part| part.value(message) == Some(true))
    }
}

impl Part {
    fn of(text: &str) -> Self {
        if let Some(path) = text.strip_prefix("has(") {
            return Self::Has(names(path.strip_suffix(')').unwrap()));
        }
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        match words[..] {
            [path] => Self::Alone(Term::of(path)),
            [left, operator, right] => Self::Compared {
                left: Term::of(left),
                operator: operator.to_owned(),
                right: Term::of(right),
            },
            _ => panic!("no such form: {text}"),
        }
    }

    /// `None`: an error, or a value that is neither true nor false.
    fn value(&self, message: &Tree) -> Option<bool> {
        match self {
            Self::Has(names) => Some(walk(message, names).is_some()),
            Self::Alone(term) => match term.value(message)? {
                Kind::Bool(value) => Some(value),
                _ => None,
            },
            Self::Compared { left, operator, right } => {
                let (left, right) = (left.value(message)?, right.value(message)?);
                match operator.as_str() {
                    "==" => Some(equal(&left, &right)),
                    "!=" => Some(!equal(&left, &right)),
                    "<" => Some(order(&left, &right)?.is_lt()),
                    ">=" => Some(order(&left, &right)?.is_ge()),
                    "in" => is_in(&left, &right),
                    other => panic!("no such operator: {other}"),
                }
            }
        }
    }
}

fn is_in(left: &Kind, right: &Kind) -> Option<bool> {
    match right {
        Kind::List(elements) => Some(elements.iter().any(|element| equal(left, element))),
        Kind::Map(entries) => {
            Some(entries.iter().any(|(key, _)| matches!(left, Kind::Text(text) if text == key)))
        }
        _ => None,
    }
}

fn names(path: &str) -> Vec<String> {
    path.strip_prefix("msg").unwrap().split('.').skip(1).map(str::to_owned).collect()
}

impl Term {
    fn of(text: &str) -> Self {
        if let Some(inside) = text.strip_prefix("size(") {
            return Self::Size(Box::new(Self::of(inside.strip_suffix(')').unwrap())));
        }
        if !text.starts_with("msg") {
            return Self::Constant(Tree::parse(text));
        }
        match text.split_once('[') {
            Some((of, at)) => {
                let at = at.strip_suffix(']').unwrap();
                Self::Element(Box::new(Self::of(of)), Box::new(Self::of(at)))
            }
            None => Self::Path(names(text)),
        }
    }

    fn value(&self, message: &Tree) -> Option<Kind> {
        let whole = |count: usize| Some(Kind::Whole(i128::try_from(count).unwrap()));
        match self {
            Self::Constant(tree) => kind(tree),
            Self::Path(names) => kind(walk(message, names)?),
            Self::Size(term) => match term.value(message)? {
                Kind::Text(text) => whole(text.chars().count()),
                Kind::List(elements) => whole(elements.len()),
                Kind::Map(entries) => whole(entries.len()),
                _ => None,
            },
            Self::Element(of, at) => match (of.value(message)?, at.value(message)?) {
                (Kind::List(elements), index) => {
                    let is_it =
                        |at: &usize| equal(&index, &Kind::Whole(i128::try_from(*at).unwrap()));
                    (0..elements.len()).find(is_it).map(|at| elements[at].clone())
                }
                (Kind::Map(entries), Kind::Text(wanted)) => {
                    entries.into_iter().find(|(key, _)| *key == wanted).map(|(_, value)| value)
                }
                _ => None,
            },
        }
    }
}

/// Through objects alone: an expression enters no array.
fn walk<'m>(message: &'m Tree, names: &[String]) -> Option<&'m Tree> {
    let value = names.iter().try_fold(message, |at, name| at.get(name))?;
    // What holds a number that no double is near is not there.
    kind(value).map(|_| value)
}

fn kind(tree: &Tree) -> Option<Kind> {
    Some(match tree {
        Tree::Null => Kind::Null,
        Tree::Bool(value) => Kind::Bool(*value),
        Tree::Text(text) => Kind::Text(text.clone()),
        Tree::Number(text) => {
            let whole = text.parse::<i128>().ok();
            match whole.filter(|n| i64::try_from(*n).is_ok() || u64::try_from(*n).is_ok()) {
                Some(number) => Kind::Whole(number),
                None => Kind::Double(text.parse::<f64>().ok().filter(|double| double.is_finite())?),
            }
        }
        Tree::Array(elements) => Kind::List(elements.iter().map(kind).collect::<Option<_>>()?),
        Tree::Object(entries) => {
            let entry = |(key, value): &(String, Tree)| Some((key.clone(), kind(value)?));
            Kind::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

fn order(left: &Kind, right: &Kind) -> Option<Ordering> {
    Some(match (left, right) {
        (Kind::Whole(left), Kind::Whole(right)) => left.cmp(right),
        (Kind::Double(left), Kind::Double(right)) => left.partial_cmp(right).unwrap(),
        (Kind::Whole(left), Kind::Double(right)) => compare(*left, *right),
        (Kind::Double(left), Kind::Whole(right)) => compare(*right, *left).reverse(),
        (Kind::Bool(left), Kind::Bool(right)) => left.cmp(right),
        (Kind::Text(left), Kind::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        _ => return None,
    })
}

/// Exactly. No whole number is beyond 65 bits: a double that is has its place by its sign.
fn compare(whole: i128, double: f64) -> Ordering {
    if double.abs() >= 1e30 {
        return 0.0_f64.partial_cmp(&double).unwrap();
    }
    let floor = double.floor();
    #[allow(clippy::cast_possible_truncation, reason = "a whole number below 1e30")]
    let beside = whole.cmp(&(floor as i128));
    if beside.is_eq() && double > floor { Ordering::Less } else { beside }
}

fn equal(left: &Kind, right: &Kind) -> bool {
    match (left, right) {
        (Kind::Whole(_) | Kind::Double(_), Kind::Whole(_) | Kind::Double(_)) => {
            order(left, right).unwrap().is_eq()
        }
        (Kind::List(left), Kind::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Kind::Map(left), Kind::Map(right)) => {
            let has = |(key, value): &(String, Kind)| {
                right.iter().any(|(other, beside)| other == key && equal(value, beside))
            };
            left.len() == right.len() && left.iter().all(has)
        }
        _ => left == right,
    }
}
