use super::*;
use crate::globals::{Draft, Prepared};
use crate::record::{Accepted, CatalogueChanged, Change, Match};

/// The text of a rule whose one action is given.
fn rule(id: &str, enrich: &str, action: &str) -> String {
    format!(
        r#"{{"id":"{id}","conditions":[{{"field":"l","op":"exists"}}]{enrich},"actions":[{{"workflow":"w"{action}}}]}}"#
    )
}

fn globals(rules: &[String]) -> Globals {
    let workflow =
        r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"delay","with":{"for":"1s"}}]}"#;
    let mut changes = vec![Change::PutDefinition(workflow.into())];
    changes.extend(rules.iter().map(|rule| Change::PutRule(rule.as_str().into())));
    let change = CatalogueChanged::new("default", "", changes);
    let mut globals = Globals::default();
    let prepared = Prepared::new(&globals.catalogue, Arc::new(Draft::of(change)));
    globals.catalogue = Arc::clone(prepared.next(UnixMicros(0)).expect("it is not refused"));
    globals
}

/// What becomes of the starts of a message that matches these rules, each told in a word.
fn told(globals: &Globals, ids: &[&str], message: &str) -> Vec<String> {
    let matches: Vec<Match<'_>> = ids.iter().map(|rule| Match { rule, version: 1 }).collect();
    let accepted = Accepted {
        namespace: "default",
        matches: &matches,
        payload: message.as_bytes(),
        ..Accepted::default()
    };
    let mut body = Vec::new();
    accepted.write(&mut body);
    let record = AcceptedView::read(accepted.version(), &body).unwrap();
    let message = Value::parse_json(message.as_bytes()).unwrap();
    let starts = starts(globals, &record, MessageId::new(base::PartitionId(0), 1));
    let plan = plan(globals, &record, &message, &starts);
    let told = |planned: &Planned| match planned {
        Planned::Own { .. } => "own".to_owned(),
        Planned::Failed(error) => format!("{}: {}", error.code, error.message),
        Planned::Keyed(order) => format!("keyed {}", order.start.key),
    };
    plan.planned.iter().map(told).collect()
}

/// A list of so many numbers as the field `l`.
fn list(count: usize) -> String {
    let numbers: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    format!(r#"{{"l":[{}]}}"#, numbers.join(","))
}

const TOGETHER: &str = "expression: all that the message starts: the evaluations take more than 4194304 steps together";

/// Of a list of 200 it takes some 200,000 steps.
const COSTLY: &str = "${ msg.l.exists(x, msg.l.exists(y, x + y < 0)) }";

#[test]
fn the_starts_of_one_message_share_their_steps_and_those_beyond_them_fail() {
    let ids: Vec<String> = (0..30).map(|n| format!("r{n:02}")).collect();
    let costly = |id: &String| rule(id, "", &format!(r#","params":{{"p":"{COSTLY}"}}"#));
    let mut rules: Vec<String> = ids.iter().map(costly).collect();
    rules.push(rule("s-cheap", "", r#","key":"${ 'k' + string(msg.l[0]) }""#));
    rules.push(rule("t-plain", "", r#","params":{"p":1}"#));
    let globals = globals(&rules);
    let mut ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    ids.extend(["s-cheap", "t-plain"]);

    let told_of = |ids: &[&str]| told(&globals, ids, &list(200));
    let all = told_of(&ids);
    let fit = all.iter().position(|told| told == TOGETHER).expect("not all fit");
    assert!((16..25).contains(&fit), "{fit}");
    assert!(all[..fit].iter().all(|told| told == "own"));
    // What is small fails, too; what needs no steps does not.
    assert!(all[fit..31].iter().all(|told| told == TOGETHER));
    assert_eq!(all[31], "own");
    // The same again, and what a message has less of, all others may have.
    assert_eq!(told_of(&ids), all);
    assert_eq!(told_of(&ids[30..]), ["keyed k0", "own"]);
    assert_eq!(told_of(&ids[30 - fit..]).iter().filter(|told| *told == "own").count(), fit + 1);
    assert!(told(&globals, &ids, &list(20)).iter().all(|told| told != TOGETHER));
}

#[test]
fn what_enrichments_take_is_shared_and_never_half_of_one_is_seen() {
    let enrich = |more: &str| format!(r#","enrich":{{"e":"{COSTLY}"{more}}}"#);
    let ids: Vec<String> = (0..30).map(|n| format!("r{n:02}")).collect();
    let rules: Vec<String> = ids.iter().map(|id| rule(id, &enrich(""), "")).collect();
    let globals = globals(&rules);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let all = told(&globals, &ids, &list(200));
    let fit = all.iter().position(|told| told == TOGETHER).expect("not all fit");
    assert!((16..25).contains(&fit), "{fit}");
    assert!(all[fit..].iter().all(|told| told == TOGETHER));
}

#[test]
fn what_is_written_for_the_starts_is_paid_for() {
    let ids: Vec<String> = (0..300).map(|n| format!("r{n:03}")).collect();
    let rules: Vec<String> =
        ids.iter().map(|id| rule(id, "", r#","params":{"p":"${ msg.n }"}"#)).collect();
    let globals = globals(&rules);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let text = "x".repeat(base::limits::MESSAGE_BYTES_MAX - 100);
    let all = told(&globals, &ids, &format!(r#"{{"n":1,"l":"{text}"}}"#));
    let fit = all.iter().position(|told| told == TOGETHER).expect("not all fit");
    assert!((120..=128).contains(&fit), "{fit}");
    assert!(told(&globals, &ids, r#"{"n":1,"l":"x"}"#).iter().all(|told| told == "own"));
}
