//! The meaning of rules, spelled out over trees: slow, and written from the words of docs, not from
//! the matcher. The way it treats arrays is another one on purpose: it tries every choice of
//! elements instead of walking down. Numbers are decimals, compared as one does on paper.

use super::formula::Formula;
use super::tree::Tree;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::LazyLock;

/// Conditions as they are written, ready to be asked often.
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    None(Vec<Condition>),
    Predicate(Predicate),
    Expression(Formula),
}

/// One step of a field's path.
#[derive(Clone)]
enum Step {
    Key(String),
    Index(String),
}

pub(crate) struct Predicate {
    steps: Vec<Step>,
    quantifier: String,
    operator: String,
    value: Tree,
    pattern: Option<regex::Regex>,
}

impl Condition {
    pub(crate) fn of(written: &Tree) -> Self {
        let members = |tree: &Tree| tree.elements().unwrap().iter().map(Self::of).collect();
        if written.elements().is_some() {
            return Self::All(members(written));
        }
        let long = written
            .get("combinator")
            .map(|word| (word.text().unwrap().to_owned(), written.get("conditions").unwrap()));
        let short = [("all", "AND"), ("any", "OR"), ("none", "NOT")];
        let short = short
            .into_iter()
            .find_map(|(key, name)| written.get(key).map(|members| (name.to_owned(), members)));
        match long.or(short) {
            Some((name, list)) => match name.as_str() {
                "AND" => Self::All(members(list)),
                "OR" => Self::Any(members(list)),
                "NOT" => Self::None(members(list)),
                other => panic!("no such combinator: {other}"),
            },
            None => match written.get("expr") {
                Some(text) => Self::Expression(Formula::of(text.text().unwrap())),
                None => Self::Predicate(Predicate::of(written)),
            },
        }
    }

    /// Whether a message satisfies it.
    pub(crate) fn holds(&self, message: &Tree) -> bool {
        match self {
            Self::Any(members) => members.iter().any(|member| member.holds(message)),
            Self::None(members) => !members.iter().any(|member| member.holds(message)),
            Self::Predicate(predicate) => all(&[predicate], message),
            Self::Expression(formula) => formula.holds(message),
            // The predicates of an AND group are bound to each other, its groups are on their own.
            Self::All(members) => {
                let predicates: Vec<&Predicate> =
                    members.iter().filter_map(Self::predicate).collect();
                all(&predicates, message)
                    && members
                        .iter()
                        .filter(|member| member.predicate().is_none())
                        .all(|member| member.holds(message))
            }
        }
    }

    fn predicate(&self) -> Option<&Predicate> {
        match self {
            Self::Predicate(predicate) => Some(predicate),
            _ => None,
        }
    }
}

impl Predicate {
    fn of(condition: &Tree) -> Self {
        let text = |key: &str| condition.get(key).and_then(Tree::text).map(str::to_owned);
        let operator = text("op").unwrap();
        let mut value = condition.get("value").cloned().unwrap_or(Tree::Null);
        if operator.contains("than") || operator.contains("or_equal") || operator == "in_range" {
            value = unquoted(&value);
        }
        let pattern =
            (operator == "regex").then(|| regex::Regex::new(value.text().unwrap()).unwrap());
        Self {
            steps: steps(&text("field").unwrap()),
            quantifier: text("quantifier").unwrap_or_else(|| "any".to_owned()),
            operator,
            value,
            pattern,
        }
    }

    fn is_absence(&self) -> bool {
        self.operator == "not_exists"
    }
}

/// Escapes are taken out of the way before the text is cut, and put back as what they mean.
fn steps(field: &str) -> Vec<Step> {
    let hidden = [
        (r"\\", "\u{1}", "\\"),
        (r"\.", "\u{2}", "."),
        (r"\[", "\u{3}", "["),
        (r"\]", "\u{4}", "]"),
    ];
    let cut = hidden.iter().fold(field.to_owned(), |text, (from, to, _)| text.replace(from, to));
    let meant = |key: &str| {
        hidden.iter().fold(key.to_owned(), |text, (_, from, to)| text.replace(from, to))
    };
    let mut steps = Vec::new();
    for part in cut.split('.') {
        let mut pieces = part.split('[');
        steps.push(Step::Key(meant(pieces.next().unwrap())));
        steps.extend(pieces.map(|piece| Step::Index(piece.trim_end_matches(']').to_owned())));
    }
    steps
}

/// The element of an array that an index means.
fn element<'m>(elements: &'m [Tree], index: &str) -> Option<&'m Tree> {
    elements.get(index.parse::<usize>().ok()?)
}

fn all(predicates: &[&Predicate], message: &Tree) -> bool {
    let (bound, free): (Vec<&Predicate>, Vec<&Predicate>) =
        predicates.iter().partition(|predicate| predicate.quantifier == "any");
    together(&bound, message, &mut Choices::new())
        && free.iter().all(|predicate| quantified(predicate, message))
}

/// All values, or none of them; to have one takes more than none.
fn quantified(predicate: &Predicate, message: &Tree) -> bool {
    let mut reached = Vec::new();
    reach(message, &predicate.steps, "", &Choices::new(), false, &mut reached);
    reached.retain(|(value, _)| value.elements().is_none());
    let mut verdicts =
        reached.iter().map(|(value, is_element)| operator_holds(predicate, value, *is_element));
    match predicate.quantifier.as_str() {
        "all" => verdicts.len() > 0 && verdicts.all(|holds| holds),
        "none" => !verdicts.any(|holds| holds),
        other => panic!("no such quantifier: {other}"),
    }
}

/// Which element was chosen of the array at a place.
type Choices = BTreeMap<String, usize>;

/// Is there a choice of one element for every array on the way of a predicate that asks for
/// presence, so that all predicates hold? Absence looks at the chosen elements where there is a
/// choice, and at all of them elsewhere.
fn together(predicates: &[&Predicate], message: &Tree, choices: &mut Choices) -> bool {
    let open = predicates
        .iter()
        .filter(|predicate| !predicate.is_absence())
        .find_map(|predicate| open_array(predicate, message, choices));
    let Some((place, length)) = open else {
        return predicates.iter().all(|predicate| holds_chosen(predicate, message, choices));
    };
    (0..length).any(|index| {
        choices.insert(place.clone(), index);
        let holds = together(predicates, message, choices);
        choices.remove(&place);
        holds
    })
}

/// The first array on the way of a predicate of which no element was chosen yet.
fn open_array(predicate: &Predicate, message: &Tree, choices: &Choices) -> Option<(String, usize)> {
    let mut place = String::new();
    let mut at = message;
    let mut is_element = false;
    let mut steps = predicate.steps.iter().peekable();
    loop {
        if let Some(elements) = at.elements() {
            if let Some(Step::Index(index)) = steps.peek() {
                // The element that is meant is known: there is no choice. Nor is it the one that
                // somebody else has chosen, even if it is the same.
                if is_element {
                    return None;
                }
                at = element(elements, index)?;
                place = format!("{place}#{index}");
                steps.next();
                continue;
            }
            let asks_for_whole = matches!(&*predicate.operator, "exists" | "contains");
            if steps.peek().is_none() && asks_for_whole {
                return None;
            }
            let Some(index) = choices.get(&place) else { return Some((place, elements.len())) };
            at = &elements[*index];
            is_element = true;
            place = format!("{place}[{index}]");
        } else {
            let Step::Key(key) = steps.next()? else { return None };
            at = at.get(key)?;
            is_element = false;
            place = format!("{place}/{key:?}");
        }
    }
}

fn holds_chosen(predicate: &Predicate, message: &Tree, choices: &Choices) -> bool {
    let mut reached = Vec::new();
    // `contains` asks about the array at the end as a whole, whatever was chosen of it.
    let end = (predicate.operator == "contains").then(Choices::new);
    reach_end(message, &predicate.steps, "", choices, end.as_ref(), &mut reached);
    match &*predicate.operator {
        "exists" => !reached.is_empty(),
        "not_exists" => reached.is_empty(),
        _ => reached.iter().any(|(value, is_element)| {
            value.elements().is_none() && operator_holds(predicate, value, *is_element)
        }),
    }
}

/// [`reach`], with other choices once all keys are gone.
fn reach_end<'m>(
    message: &'m Tree,
    steps: &[Step],
    place: &str,
    choices: &Choices,
    end: Option<&Choices>,
    reached: &mut Vec<(&'m Tree, bool)>,
) {
    let Some((last, before)) = steps.split_last() else { panic!("a path has a key") };
    let Some(end) = end else {
        return reach(message, steps, place, choices, false, reached);
    };
    // Only in an object a key can follow, only in an array that is no element itself an index.
    let mut holders = Vec::new();
    reach(message, before, place, choices, false, &mut holders);
    for (holder, is_element) in holders {
        let value = match last {
            Step::Key(key) => holder.get(key),
            Step::Index(_) if is_element => None,
            Step::Index(index) => holder.elements().and_then(|elements| element(elements, index)),
        };
        if let Some(value) = value {
            reach(value, &[], "", end, false, reached);
        }
    }
}

/// Everything at the end of a path, the chosen elements only where there is a choice. Arrays are
/// in it, and their elements too.
fn reach<'m>(
    at: &'m Tree,
    steps: &[Step],
    place: &str,
    choices: &Choices,
    is_element: bool,
    reached: &mut Vec<(&'m Tree, bool)>,
) {
    if steps.is_empty() {
        reached.push((at, is_element));
    }
    match (at.elements(), steps.split_first()) {
        (Some(elements), Some((Step::Index(index), rest))) => {
            if let Some(value) = element(elements, index).filter(|_| !is_element) {
                reach(value, rest, &format!("{place}#{index}"), choices, false, reached);
            }
        }
        (Some(elements), _) => {
            for (index, element) in elements.iter().enumerate() {
                if choices.get(place).is_none_or(|chosen| *chosen == index) {
                    reach(element, steps, &format!("{place}[{index}]"), choices, true, reached);
                }
            }
        }
        (None, Some((Step::Key(key), rest))) => {
            if let Some(value) = at.get(key) {
                reach(value, rest, &format!("{place}/{key:?}"), choices, false, reached);
            }
        }
        (None, _) => {}
    }
}

fn operator_holds(predicate: &Predicate, seen: &Tree, is_element: bool) -> bool {
    let value = &predicate.value;
    let list = || value.elements().unwrap();
    let order = |bound: &Tree| compare(seen, bound);
    let texts = || Some((seen.text()?, value.text()?));
    match &*predicate.operator {
        "equals" => equal(seen, value),
        "not_equals" => !equal(seen, value),
        "greater_than" => order(value).is_some_and(Ordering::is_gt),
        "greater_or_equal" => order(value).is_some_and(Ordering::is_ge),
        "less_than" => order(value).is_some_and(Ordering::is_lt),
        "less_or_equal" => order(value).is_some_and(Ordering::is_le),
        "in_range" => {
            if let Some([low, high]) = value.elements() {
                return order(low).is_some_and(Ordering::is_ge)
                    && order(high).is_some_and(Ordering::is_le);
            }
            let end = |key: &str, holds: fn(Ordering) -> bool| {
                value.get(key).is_none_or(|end| order(end).is_some_and(holds))
            };
            end("gt", Ordering::is_gt)
                && end("gte", Ordering::is_ge)
                && end("lt", Ordering::is_lt)
                && end("lte", Ordering::is_le)
        }
        "in" => list().iter().any(|value| equal(seen, value)),
        "not_in" => !list().iter().any(|value| equal(seen, value)),
        "contains" if is_element => equal(seen, value),
        "contains" => texts().is_some_and(|(text, part)| text.contains(part)),
        "starts_with" => texts().is_some_and(|(text, part)| text.starts_with(part)),
        "ends_with" => texts().is_some_and(|(text, part)| text.ends_with(part)),
        "wildcard" => texts().is_some_and(|(text, pattern)| {
            let (text, pattern): (Vec<char>, Vec<char>) =
                (text.chars().collect(), pattern.chars().collect());
            wildcard(&pattern, &text)
        }),
        "regex" => seen.text().is_some_and(|t| predicate.pattern.as_ref().unwrap().is_match(t)),
        "equals_ignore_case" => {
            texts().is_some_and(|(text, value)| text.chars().map(fold).eq(value.chars().map(fold)))
        }
        "cidr" => seen.text().is_some_and(|text| match value.elements() {
            Some(networks) => networks.iter().any(|n| in_network(text, n.text().unwrap())),
            None => in_network(text, value.text().unwrap()),
        }),
        other => panic!("no such operator: {other}"),
    }
}

/// A quoted number as the bound of an order is a number.
fn unquoted(bound: &Tree) -> Tree {
    static NUMBER: LazyLock<regex::Regex> = LazyLock::new(|| {
        regex::Regex::new(r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$").unwrap()
    });
    match bound {
        Tree::Text(text) if NUMBER.is_match(text) => Tree::Number(text.clone()),
        Tree::Array(ends) => Tree::Array(ends.iter().map(unquoted).collect()),
        Tree::Object(ends) => {
            Tree::Object(ends.iter().map(|(key, end)| (key.clone(), unquoted(end))).collect())
        }
        other => other.clone(),
    }
}

/// The simple foldings of the letters that the tests use.
fn fold(letter: char) -> char {
    match letter {
        '\u{212a}' => 'k',
        '\u{17f}' => 's',
        'É' => 'é',
        'ẞ' => 'ß',
        'Σ' | 'ς' => 'σ',
        other => other.to_ascii_lowercase(),
    }
}

fn equal(left: &Tree, right: &Tree) -> bool {
    match (left, right) {
        (Tree::Number(left), Tree::Number(right)) => decimal(left) == decimal(right),
        (Tree::Object(_) | Tree::Array(_), _) => false,
        _ => left == right,
    }
}

fn compare(left: &Tree, right: &Tree) -> Option<Ordering> {
    match (left, right) {
        (Tree::Number(left), Tree::Number(right)) => Some(compare_decimals(left, right)),
        (Tree::Text(left), Tree::Text(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        _ => None,
    }
}

/// Sign, digits without zeros at either end, and the power of ten behind the last digit. Zero has
/// no digits.
fn decimal(text: &str) -> (bool, String, i64) {
    let unsigned = text.trim_start_matches('-');
    let lower = unsigned.to_ascii_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // Beyond these all powers of ten are alike: see docs/RULES.md, Bounds.
    let exponent_max: i64 = 1 << 56;
    let exponent: i64 = match exponent.trim_start_matches('+').parse() {
        Ok(exponent) => i64::clamp(exponent, -exponent_max, exponent_max),
        Err(_) if exponent.starts_with('-') => -exponent_max,
        Err(_) => exponent_max,
    };
    let digits = format!("{whole}{fraction}");
    let power = exponent - i64::try_from(fraction.len()).unwrap();
    let kept = digits.trim_end_matches('0');
    let power = power + i64::try_from(digits.len() - kept.len()).unwrap();
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return (false, String::new(), 0);
    }
    (text.starts_with('-'), kept.to_owned(), power)
}

fn compare_decimals(left: &str, right: &str) -> Ordering {
    let (left, right) = (decimal(left), decimal(right));
    let sign = |number: &(bool, String, i64)| match number {
        (_, digits, _) if digits.is_empty() => 0,
        (true, ..) => -1,
        (false, ..) => 1,
    };
    let by_sign = sign(&left).cmp(&sign(&right));
    if by_sign.is_ne() || sign(&left) == 0 {
        return by_sign;
    }
    let top = |number: &(bool, String, i64)| number.2 + i64::try_from(number.1.len()).unwrap();
    // With the first digits at the same place, digits compare as texts do.
    let magnitude = top(&left).cmp(&top(&right)).then_with(|| left.1.cmp(&right.1));
    if left.0 { magnitude.reverse() } else { magnitude }
}

fn wildcard(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|taken| wildcard(rest, &text[taken..])),
        ['?', rest @ ..] => !text.is_empty() && wildcard(rest, &text[1..]),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && wildcard(rest, &text[1..])
        }
    }
}

fn in_network(text: &str, network: &str) -> bool {
    let (base, prefix) = network.split_once('/').unwrap_or((network, "128"));
    let bits = |address: IpAddr| -> String {
        match address.to_canonical() {
            IpAddr::V4(address) => format!("{:032b}", u32::from(address)),
            IpAddr::V6(address) => format!("{:0128b}", u128::from(address)),
        }
    };
    let Ok(address) = text.parse::<IpAddr>() else { return false };
    let (address, base) = (bits(address), bits(base.parse().unwrap()));
    let prefix = prefix.parse::<usize>().unwrap().min(base.len());
    address.len() == base.len() && address[..prefix] == base[..prefix]
}
