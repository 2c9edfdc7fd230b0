//! The meaning of rules, spelled out over serde_json's trees: slow, and written from the words of
//! docs, not from the matcher. The way it treats arrays is another one on purpose: it tries every
//! choice of elements instead of walking down.

use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Whether a message satisfies conditions, both as they are written.
pub(super) fn holds(conditions: &Value, message: &Value) -> bool {
    if let Some(members) = conditions.as_array() {
        return all(members, message);
    }
    for (key, combinator) in [("all", "AND"), ("any", "OR"), ("none", "NOT")] {
        if let Some(members) = conditions.get(key) {
            return group(combinator, members.as_array().unwrap(), message);
        }
    }
    match conditions.get("combinator") {
        Some(combinator) => {
            let members = conditions["conditions"].as_array().unwrap();
            group(combinator.as_str().unwrap(), members, message)
        }
        None => match Predicate::of(conditions) {
            predicate if predicate.quantifier == "any" => together(&[predicate], message),
            predicate => quantified(&predicate, message),
        },
    }
}

/// All values, or none of them; to have one takes more than none.
fn quantified(predicate: &Predicate<'_>, message: &Value) -> bool {
    let mut reached = Vec::new();
    reach(message, &predicate.keys, "", &Choices::new(), false, &mut reached);
    reached.retain(|(value, _)| !value.is_array());
    let mut verdicts =
        reached.iter().map(|(value, is_element)| operator_holds(predicate, value, *is_element));
    match predicate.quantifier {
        "all" => verdicts.len() > 0 && verdicts.all(|holds| holds),
        "none" => !verdicts.any(|holds| holds),
        other => panic!("no such quantifier: {other}"),
    }
}

fn group(combinator: &str, members: &[Value], message: &Value) -> bool {
    match combinator {
        "AND" => all(members, message),
        "OR" => members.iter().any(|member| holds(member, message)),
        "NOT" => !members.iter().any(|member| holds(member, message)),
        other => panic!("no such combinator: {other}"),
    }
}

/// The predicates of an AND group are bound to each other, its groups are on their own.
fn all(members: &[Value], message: &Value) -> bool {
    let (predicates, groups): (Vec<&Value>, Vec<&Value>) =
        members.iter().partition(|member| member.get("field").is_some());
    let predicates: Vec<Predicate<'_>> = predicates.into_iter().map(Predicate::of).collect();
    let (bound, free): (Vec<Predicate<'_>>, Vec<Predicate<'_>>) =
        predicates.into_iter().partition(|predicate| predicate.quantifier == "any");
    together(&bound, message)
        && free.iter().all(|predicate| quantified(predicate, message))
        && groups.iter().all(|group| holds(group, message))
}

struct Predicate<'a> {
    keys: Vec<String>,
    quantifier: &'a str,
    operator: &'a str,
    value: &'a Value,
}

impl<'a> Predicate<'a> {
    fn of(condition: &'a Value) -> Self {
        // A dot that is not escaped separates keys; the tests use no other escape.
        let field = condition["field"].as_str().unwrap().replace("\\.", "\u{0}");
        let keys = field.split('.').map(|key| key.replace('\u{0}', ".")).collect();
        Self {
            keys,
            quantifier: condition.get("quantifier").map_or("any", |word| word.as_str().unwrap()),
            operator: condition["op"].as_str().unwrap(),
            value: condition.get("value").unwrap_or(&Value::Null),
        }
    }

    fn is_absence(&self) -> bool {
        self.operator == "not_exists"
    }
}

/// Which element was chosen of the array at a place.
type Choices = BTreeMap<String, usize>;

/// Is there a choice of one element for every array on the way of a predicate that asks for
/// presence, so that all predicates hold? Absence looks at the chosen elements where there is a
/// choice, and at all of them elsewhere.
fn together(predicates: &[Predicate<'_>], message: &Value) -> bool {
    try_choices(predicates, message, &mut Choices::new())
}

fn try_choices(predicates: &[Predicate<'_>], message: &Value, choices: &mut Choices) -> bool {
    let open = predicates
        .iter()
        .filter(|predicate| !predicate.is_absence())
        .find_map(|predicate| open_array(predicate, message, choices));
    let Some((place, length)) = open else {
        return predicates.iter().all(|predicate| holds_chosen(predicate, message, choices));
    };
    (0..length).any(|index| {
        choices.insert(place.clone(), index);
        let holds = try_choices(predicates, message, choices);
        choices.remove(&place);
        holds
    })
}

/// The first array on the way of a predicate of which no element was chosen yet.
fn open_array(
    predicate: &Predicate<'_>,
    message: &Value,
    choices: &Choices,
) -> Option<(String, usize)> {
    let mut place = String::new();
    let mut at = message;
    let mut keys = predicate.keys.iter();
    loop {
        if let Value::Array(elements) = at {
            let asks_for_whole = matches!(predicate.operator, "exists" | "contains");
            if keys.len() == 0 && asks_for_whole {
                return None;
            }
            let Some(index) = choices.get(&place) else {
                return Some((place, elements.len()));
            };
            at = &elements[*index];
            place = format!("{place}[{index}]");
        } else {
            let key = keys.next()?;
            at = at.get(key)?;
            place = format!("{place}/{key}");
        }
    }
}

fn holds_chosen(predicate: &Predicate<'_>, message: &Value, choices: &Choices) -> bool {
    let mut reached = Vec::new();
    reach(message, &predicate.keys, "", choices, false, &mut reached);
    match predicate.operator {
        "exists" => !reached.is_empty(),
        "not_exists" => reached.is_empty(),
        _ => reached.iter().any(|(value, is_element)| {
            !value.is_array() && operator_holds(predicate, value, *is_element)
        }),
    }
}

/// Everything at the end of a path, the chosen elements only where there is a choice. Arrays are
/// in it, and their elements too.
fn reach<'m>(
    at: &'m Value,
    keys: &[String],
    place: &str,
    choices: &Choices,
    is_element: bool,
    reached: &mut Vec<(&'m Value, bool)>,
) {
    if keys.is_empty() {
        reached.push((at, is_element));
    }
    if let Value::Array(elements) = at {
        for (index, element) in elements.iter().enumerate() {
            if choices.get(place).is_none_or(|chosen| *chosen == index) {
                reach(element, keys, &format!("{place}[{index}]"), choices, true, reached);
            }
        }
    } else if let Some((key, rest)) = keys.split_first()
        && let Some(value) = at.get(key)
    {
        reach(value, rest, &format!("{place}/{key}"), choices, false, reached);
    }
}

fn operator_holds(predicate: &Predicate<'_>, seen: &Value, is_element: bool) -> bool {
    let value = predicate.value;
    let list = || value.as_array().unwrap();
    let order = |value: &Value| compare(seen, value);
    let texts = || Some((seen.as_str()?, value.as_str()?));
    match predicate.operator {
        "equals" => equal(seen, value),
        "not_equals" => !equal(seen, value),
        "greater_than" => order(value).is_some_and(|order| order > 0),
        "greater_or_equal" => order(value).is_some_and(|order| order >= 0),
        "less_than" => order(value).is_some_and(|order| order < 0),
        "less_or_equal" => order(value).is_some_and(|order| order <= 0),
        "in_range" => match value {
            Value::Array(ends) => {
                order(&ends[0]).is_some_and(|o| o >= 0) && order(&ends[1]).is_some_and(|o| o <= 0)
            }
            ends => {
                let end = |key: &str, holds: fn(i32) -> bool| {
                    ends.get(key).is_none_or(|end| order(end).is_some_and(holds))
                };
                end("gt", |o| o > 0)
                    && end("gte", |o| o >= 0)
                    && end("lt", |o| o < 0)
                    && end("lte", |o| o <= 0)
            }
        },
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
        "regex" => texts()
            .is_some_and(|(text, pattern)| regex::Regex::new(pattern).unwrap().is_match(text)),
        "equals_ignore_case" => {
            texts().is_some_and(|(text, value)| text.to_lowercase() == value.to_lowercase())
        }
        "cidr" => seen.as_str().is_some_and(|text| in_network(text, value.as_str().unwrap())),
        other => panic!("no such operator: {other}"),
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => compare(left, right) == Some(0),
        (Value::Object(_) | Value::Array(_), _) => false,
        _ => left == right,
    }
}

/// -1, 0 or 1. Numbers are halves of whole ones in these tests.
#[allow(clippy::cast_possible_truncation, reason = "only small numbers are not whole")]
fn compare(left: &Value, right: &Value) -> Option<i32> {
    let halves = |value: &Value| -> Option<i128> {
        let number = value.as_number()?;
        Some(match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => i128::from(whole) * 2,
            (_, Some(whole), _) => i128::from(whole) * 2,
            (_, _, Some(float)) => (float * 2.0) as i128,
            _ => unreachable!(),
        })
    };
    let order = match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) => left.as_bytes().cmp(right.as_bytes()),
        _ => halves(left)?.cmp(&halves(right)?),
    };
    Some(order as i32)
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
    let (base, prefix) = network.split_once('/').unwrap();
    let prefix: usize = prefix.parse().unwrap();
    let bits = |address: IpAddr| -> String {
        match address {
            IpAddr::V4(address) => format!("{:032b}", u32::from(address)),
            IpAddr::V6(address) => format!("{:0128b}", u128::from(address)),
        }
    };
    let Ok(address) = text.parse::<IpAddr>() else { return false };
    let (address, base) = (bits(address), bits(base.parse().unwrap()));
    address.len() == base.len() && address[..prefix] == base[..prefix]
}
