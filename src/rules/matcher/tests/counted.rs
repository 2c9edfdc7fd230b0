//! How many rules are held against a message, one by one.

use super::{chain, matched};
use crate::{Catalogue, Matcher};

#[test]
fn rules_of_a_catalogue_of_its_changes_and_of_each_view_are_counted() {
    let message = r#"{"a":1}"#;
    let mut matcher = Matcher::new();
    let plain = Catalogue::compile(chain(&["a: a=1", "b: a=1"]));
    assert_eq!(matched(&plain, &mut matcher, message).len(), 2);
    assert_eq!(matcher.looked_at(), 2);
    let changed = plain.with_change(&chain(&["c: a=1", "d: a=1", "e: a=1"]), &[]);
    assert_eq!(matched(&changed, &mut matcher, message).len(), 5);
    assert_eq!(matcher.looked_at(), 2 + 3);

    let chained = Catalogue::compile(chain(&[
        "a: a=1, enrich: { x: 1 }",
        "b: a=1",
        "v: x=1, continue_from: a",
    ]));
    assert_eq!(matched(&chained, &mut matcher, message).len(), 3);
    assert_eq!(matcher.looked_at(), 2 + 1);
    let changed = chained.with_change(
        &chain(&[
            "c: a=1",
            "d: a=1",
            "e: a=1",
            "w: x=1, continue_from: a",
            "y: x=1, continue_from: a",
        ]),
        &[],
    );
    assert_eq!(matched(&changed, &mut matcher, message).len(), 8);
    assert_eq!(matcher.looked_at(), 2 + 3 + 1 + 2);
    // Each message is counted by itself.
    assert!(matched(&changed, &mut matcher, r#"{"a":2}"#).is_empty());
    assert_eq!(matcher.looked_at(), 0);
}

#[test]
fn what_ranks_below_a_stop_is_looked_at_only_for_those_that_need_it() {
    let catalogue = Catalogue::compile(chain(&[
        "asks: c=1, priority: 9, requires: [needed]",
        "above: a=1, priority: 8",
        "stop: a=1, priority: 5, stop: true",
        "below: a=1, priority: 4",
        "needed: a=1, priority: 3",
        "last: a=1",
    ]));
    let mut matcher = Matcher::new();
    assert_eq!(matched(&catalogue, &mut matcher, r#"{"a":1}"#), ["above", "stop"]);
    assert_eq!(matcher.looked_at(), 3, "above, stop and needed");
    assert_eq!(matched(&catalogue, &mut matcher, r#"{"a":1,"c":1}"#), ["asks", "above", "stop"]);
    assert_eq!(matcher.looked_at(), 4);
}
