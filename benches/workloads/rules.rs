//! The workloads of the rules' figures: catalogues and messages made from a seed, the same in every
//! run and for every engine.

use base::Prng;
use serde_json::{Value, json};
use std::fmt::Write;

/// Rules as conditions in the language of rule files, and the messages that they are held against.
pub(crate) struct Workload {
    /// What it is called in tables.
    pub(crate) name: String,
    /// The `conditions` of each rule.
    pub(crate) conditions: Vec<Value>,
    /// One JSON object each.
    pub(crate) messages: Vec<String>,
}

impl Workload {
    /// The rules, read as a file of rules is.
    pub(crate) fn rules(&self) -> Vec<rules::Rule> {
        // A file holds at most a million nodes: several files make a large catalogue.
        let mut rules = Vec::with_capacity(self.conditions.len());
        for (part, conditions) in self.conditions.chunks(10_000).enumerate() {
            let rule = |(at, when): (usize, &Value)| json!({"id": format!("r{part}-{at}"), "conditions": when, "actions": [{"workflow": "w"}]});
            let file = Value::from_iter(conditions.iter().enumerate().map(rule)).to_string();
            let source = document::Source { name: "workload.json", text: &file };
            rules.extend(rules::parse(source).expect("the workload's rules are right"));
        }
        rules
    }
}

fn pick<'a>(prng: &mut Prng, from: &[&'a str]) -> &'a str {
    from[index(prng, from.len())]
}

fn index(prng: &mut Prng, below: usize) -> usize {
    usize::try_from(prng.below(below as u64)).expect("below a usize")
}

const COUNTRIES: [&str; 50] = [
    "AT", "AU", "BE", "BG", "BR", "CA", "CH", "CL", "CN", "CO", "CY", "CZ", "DE", "DK", "EE", "EG",
    "ES", "FI", "FR", "GB", "GR", "HR", "HU", "ID", "IE", "IL", "IN", "IT", "JP", "KE", "KR", "LT",
    "LU", "LV", "MT", "MX", "MY", "NG", "NL", "NO", "NZ", "PE", "PL", "PT", "RO", "SE", "SG", "SI",
    "SK", "US",
];

/// How many types of events there are.
const TYPES: u64 = 50;

/// `event_type` equals something, `amount` lies in a range, `country` is one of one to five.
pub(crate) fn payments(count: usize) -> Workload {
    let mut prng = Prng::new(1);
    let mut rule = || {
        let low = prng.below(99_000);
        let countries: Vec<&str> =
            (0..=prng.below(5)).map(|_| pick(&mut prng, &COUNTRIES)).collect();
        json!([
            {"field": "event_type", "op": "equals", "value": format!("payment_{}", prng.below(TYPES))},
            {"field": "amount", "op": "in_range", "value": [low, low + 1_000]},
            {"field": "country", "op": "in", "value": countries},
        ])
    };
    let conditions = (0..count).map(|_| rule()).collect();
    Workload { name: format!("payments, {count} rules"), conditions, messages: payment_messages() }
}

fn payment_messages() -> Vec<String> {
    let mut prng = Prng::new(2);
    let mut message = || {
        let amount = prng.below(100_000);
        let cents = prng.below(100);
        let kind = prng.below(TYPES);
        let country = pick(&mut prng, &COUNTRIES);
        let (event, payer, payee) =
            (prng.below(1 << 40), prng.below(1_000_000), prng.below(1_000_000));
        let verified = prng.chance(1, 2);
        format!(
            r#"{{"event_id":"evt_{event:016x}","event_type":"payment_{kind}","occurred_at":"2026-11-20T12:34:56.789Z","amount":{amount}.{cents:02},"currency":"EUR","country":"{country}","payer":{{"id":"user_{payer:06}","name":"Ada Lovelace","email":"ada.lovelace@example.com","verified":{verified},"since":2014}},"payee":{{"id":"shop_{payee:06}","name":"Analytical Engines Ltd","category":5732}},"device":{{"type":"phone","os":"iOS 19.1","ip":"203.0.113.77"}},"reference":"order 2026-0117/4711","attempt":1,"risk":0.125,"test":false}}"#
        )
    };
    (0..1_000).map(|_| message()).collect()
}

/// Two equalities each, of identifiers that few messages have.
pub(crate) fn exact(count: usize) -> Workload {
    let mut prng = Prng::new(3);
    let mut rule = || {
        json!([
            {"field": "payer.id", "op": "equals", "value": format!("user_{:06}", prng.below(1_000_000))},
            {"field": "event_type", "op": "equals", "value": format!("payment_{}", prng.below(TYPES))},
        ])
    };
    let conditions = (0..count).map(|_| rule()).collect();
    Workload {
        name: format!("equals alone, {count} rules"),
        conditions,
        messages: payment_messages(),
    }
}

const STREETS: [&str; 12] = [
    "UNKNOWN",
    "TAYLOR",
    "JEFFERSON",
    "BEACH",
    "NORTHPOINT",
    "LEAVENWORTH",
    "HYDE",
    "COLUMBUS",
    "BAY",
    "FRANCISCO",
    "CHESTNUT",
    "LOMBARD",
];

/// Five rules of one operator each, on parcels of a city's map: about 800 bytes, mostly numbers.
pub(crate) fn parcels() -> Vec<Workload> {
    let five = |op: &str, field: &str, values: [Value; 5]| {
        values
            .into_iter()
            .map(|value| json!([{"field": field, "op": op, "value": value}]))
            .collect()
    };
    let street = "properties.STREET";
    let texts = |values: [&str; 5]| values.map(Value::from);
    let rows: [(&str, Vec<Value>); 7] = [
        (
            "equals",
            five(
                "equals",
                "properties.MAPBLKLOT",
                texts(["1430022", "2607117", "2607218", "3745012", "VACSTWIL"]),
            ),
        ),
        (
            "wildcard",
            five(
                "wildcard",
                "properties.MAPBLKLOT",
                texts(["143*", "2*0*1*7", "*218", "3*5*", "VAC*IL"]),
            ),
        ),
        ("starts_with", five("starts_with", street, texts(["AC", "BL", "DR", "FU", "RH"]))),
        ("ends_with", five("ends_with", street, texts(["ON", "KE", "MM", "ING", "GO"]))),
        (
            "equals_ignore_case",
            five(
                "equals_ignore_case",
                street,
                texts(["jefferson", "bEaCh", "Hyde", "CHESTNUT", "columbus"]),
            ),
        ),
        (
            "in_range",
            five(
                "in_range",
                "properties.LOT_NUM",
                [
                    json!([1, 5]),
                    json!([9, 9]),
                    json!([40, 60]),
                    json!({"gt": 90}),
                    json!({"lt": 2}),
                ],
            ),
        ),
        (
            "not_in",
            five(
                "not_in",
                street,
                [
                    json!(["FULTON"]),
                    json!(["MASON"]),
                    json!(["JEFFERSON"]),
                    json!(["FULTON", "MASON"]),
                    json!(["UNKNOWN"]),
                ],
            ),
        ),
    ];
    let messages = parcel_messages();
    let workload = |(op, conditions): (&str, Vec<Value>)| Workload {
        name: format!("five rules, {op}"),
        conditions,
        messages: messages.clone(),
    };
    rows.into_iter().map(workload).collect()
}

fn parcel_messages() -> Vec<String> {
    let mut prng = Prng::new(4);
    let mut message = || {
        let (block, lot) = (prng.below(10_000), prng.below(100));
        let street = pick(&mut prng, &STREETS);
        let from = prng.below(3_000);
        let mut points = String::new();
        for at in 0..9 {
            let comma = if at > 0 { ", " } else { "" };
            let (x, y) = (prng.below(1 << 40), prng.below(1 << 40));
            write!(points, "{comma}[ -122.42{x:013}, 37.80{y:013}, 0.0 ]")
                .expect("a String takes all");
        }
        format!(
            r#"{{ "type": "Feature", "properties": {{ "MAPBLKLOT": "{block:04}{lot:03}", "BLKLOT": "{block:04}{lot:03}", "BLOCK_NUM": "{block:04}", "LOT_NUM": {lot}, "FROM_ST": "{from}", "TO_ST": "{from}", "STREET": "{street}", "ST_TYPE": "ST", "ODD_EVEN": "E", "ZONING": "RH-3", "ASSESSED": 1250000, "UNITS": 4, "OWNER": "CITY AND COUNTY" }}, "geometry": {{ "type": "Polygon", "coordinates": [ [ {points} ] ] }} }}"#
        )
    };
    (0..1_000).map(|_| message()).collect()
}

const WORDS: [&str; 40] = [
    "alpha", "bridge", "copper", "delta", "engine", "falcon", "garden", "harbor", "island",
    "jungle", "kettle", "lantern", "marble", "needle", "orange", "pepper", "quartz", "ribbon",
    "saddle", "timber", "umbrella", "velvet", "walnut", "yellow", "zephyr", "anchor", "basket",
    "candle", "dagger", "ember", "feather", "glacier", "hammer", "ivory", "jasmine", "kernel",
    "ladder", "meadow", "nectar", "oyster",
];

/// Fields that the mixed catalogue asks for.
const FIELDS: u64 = 300;

fn word(prng: &mut Prng) -> String {
    format!("{}-{}", pick(prng, &WORDS), pick(prng, &WORDS))
}

fn field(prng: &mut Prng) -> String {
    let field = prng.below(FIELDS);
    // A third at the top, the rest in groups of ten.
    if field < 100 {
        format!("field_{field:03}")
    } else {
        format!("group_{:02}.field_{field:03}", field / 10)
    }
}

fn mixed_predicate(prng: &mut Prng) -> Value {
    let field = field(prng);
    let text = word(prng);
    match prng.below(20) {
        0..7 => json!({"field": field, "op": "contains", "value": text}),
        7..11 => json!({"field": field, "op": "ends_with", "value": text}),
        11..15 => json!({"field": field, "op": "starts_with", "value": text}),
        15..17 => {
            let other = pick(prng, &WORDS);
            json!({"field": field, "op": "wildcard", "value": format!("*{text}*{other}*")})
        }
        17 => json!({"field": field, "op": "equals", "value": text}),
        18 => json!({"field": field, "op": "not_equals", "value": text}),
        _ => json!({"field": field, "op": "exists"}),
    }
}

fn mixed_group(prng: &mut Prng, depth: u32) -> Value {
    let members: Vec<Value> = (0..2 + prng.below(2))
        .map(|_| {
            if depth > 0 && prng.chance(1, 3) {
                mixed_group(prng, depth - 1)
            } else {
                mixed_predicate(prng)
            }
        })
        .collect();
    match prng.below(10) {
        0..6 => json!({ "all": members }),
        6..9 => json!({ "any": members }),
        _ => {
            let some = mixed_predicate(prng);
            json!({ "all": [some, { "none": members }] })
        }
    }
}

/// Conditions on parts of texts, nested, over many fields: what grown catalogues look like.
pub(crate) fn mixed(count: usize) -> Workload {
    let mut prng = Prng::new(5);
    let conditions = (0..count).map(|_| mixed_group(&mut prng, 2)).collect();
    let mut message = || {
        let mut out = String::from("{");
        let text =
            |prng: &mut Prng| format!("{} {} {}", word(prng), pick(prng, &WORDS), word(prng));
        for field in 0..100 {
            if prng.chance(1, 4) {
                write!(out, "\"field_{field:03}\":\"{}\",", text(&mut prng))
                    .expect("a String takes all");
            }
        }
        for group in 10..30 {
            if prng.chance(1, 6) {
                write!(out, "\"group_{group:02}\":{{").expect("a String takes all");
                for field in 0..7 {
                    let comma = if field > 0 { "," } else { "" };
                    let value = text(&mut prng);
                    write!(out, "{comma}\"field_{:03}\":\"{value}\"", group * 10 + field)
                        .expect("a String takes all");
                }
                out.push_str("},");
            }
        }
        out.push_str("\"seen\":true}");
        out
    };
    let messages = (0..1_000).map(|_| message()).collect();
    Workload { name: format!("mixed, {count} rules"), conditions, messages }
}
