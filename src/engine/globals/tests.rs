use super::*;
use crate::record::{CatalogueChanged, Change, WorkerDrained, WorkerJoined, WorkerPlugin};
use base::{WorkerId, hash64};

const WORKFLOW: &str =
    r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"log","with":{"message":"hi"}}]}"#;

fn rule(version: u32, value: &str) -> String {
    format!(
        "{{\"id\":\"r\",\"version\":{version},\"conditions\":[{{\"field\":\"kind\",\"op\":\"equals\",\
         \"value\":\"{value}\"}}],\"actions\":[{{\"workflow\":\"w\"}}]}}"
    )
}

fn apply(globals: &mut Globals, changes: Vec<Change>) -> Changed {
    let change = CatalogueChanged::new("default", "ann", changes);
    apply_at(globals, change, UnixMicros(5))
}

fn apply_at(globals: &mut Globals, change: CatalogueChanged, stamp: UnixMicros) -> Changed {
    let prepared = Prepared::new(&globals.catalogue, Arc::new(Draft::of(change)));
    if let Some(next) = prepared.next(stamp) {
        globals.catalogue = Arc::clone(next);
    }
    Changed::clone(prepared.changed())
}

/// Applies what must not be refused: the catalogue's version, and the rules added, changed and
/// deleted.
fn applied(globals: &mut Globals, changes: Vec<Change>) -> (u64, [Vec<String>; 3]) {
    match apply(globals, changes) {
        Changed::Applied { version, edits } => {
            let Edits { added, changed, deleted } = Edits::clone(&edits.rules);
            (version, [added, changed, deleted])
        }
        Changed::Refused { detail, .. } => panic!("{detail}"),
    }
}

fn refused(globals: &mut Globals, changes: Vec<Change>) -> (Refusal, String) {
    match apply(globals, changes) {
        Changed::Refused { why, detail, .. } => (why, detail),
        Changed::Applied { version, .. } => panic!("applied as {version}"),
    }
}

fn ids<const N: usize>(added: [&str; N], changed: &[&str], deleted: &[&str]) -> [Vec<String>; 3] {
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
    [texts(&added), texts(changed), texts(deleted)]
}

/// What is told of an id's versions: number and how, the newest first.
fn told(globals: &Globals, id: &str) -> Vec<(u32, How)> {
    let current =
        globals.catalogue.rules.get(id).map(|stored| (stored.rule.version, stored.came.how));
    let past =
        globals.catalogue.history.of(Table::Rules, id).map(|past| (past.version, past.came.how));
    current.into_iter().chain(past).collect()
}

fn header(boot: u64, number: u64, catalogue: u64) -> SectionHeader {
    SectionHeader {
        node: NodeId(1),
        boot: BootId(boot),
        core: CoreId(0),
        number,
        catalogue,
        round: 0,
    }
}

fn filled() -> Globals {
    let mut globals = Globals::default();
    let changes = vec![Change::PutDefinition(WORKFLOW.into()), Change::PutRule(rule(1, "a"))];
    assert_eq!(applied(&mut globals, changes), (1, ids(["r"], &[], &[])));
    globals
}

#[test]
fn a_change_is_applied_whole_or_not_at_all() {
    let mut globals = filled();
    let before = globals.image();
    let rows: [(Vec<Change>, Refusal, &str); 5] = [
        (
            vec![Change::PutRule(rule(2, "b")), Change::DeleteRule("unknown".into())],
            Refusal::Unknown,
            "there is no rule `unknown`",
        ),
        (
            vec![Change::PutRule(rule(1, "b"))],
            Refusal::Conflict,
            "rule `r` is there in version 1 with another text",
        ),
        (
            vec![Change::DeleteDefinition("w".into())],
            Refusal::InUse,
            "rule `r` starts workflow `w`",
        ),
        (
            vec![Change::PutRule(rule(2, "b").replace("\"w\"", "\"x\""))],
            Refusal::Conflict,
            "rule `r` starts workflow `x`, which is not defined",
        ),
        (vec![Change::PutRule("{".into())], Refusal::Invalid, ""),
    ];
    for (changes, expected, expected_detail) in rows {
        match apply(&mut globals, changes) {
            Changed::Refused { why, detail, hint } => {
                assert_eq!(why, expected, "{detail}");
                assert!(detail.contains(expected_detail), "{detail}");
                assert!(!hint.is_empty());
            }
            Changed::Applied { .. } => panic!("{expected_detail} was applied"),
        }
        assert!(globals.image() == before, "a refused change leaves no trace");
    }
}

#[test]
fn the_same_text_again_changes_nothing_and_a_new_version_does() {
    let mut globals = filled();
    let same = applied(&mut globals, vec![Change::PutRule(rule(1, "a"))]);
    assert_eq!(same, (1, ids([], &[], &[])));
    let next = applied(&mut globals, vec![Change::PutRule(rule(2, "b"))]);
    assert_eq!(next, (2, ids([], &["r"], &[])));
    assert_eq!(globals.catalogue.rules["r"].rule.version, 2);
    let gone = vec![Change::DeleteRule("r".into()), Change::DeleteDefinition("w".into())];
    assert_eq!(applied(&mut globals, gone), (3, ids([], &[], &["r"])));
    assert!(globals.catalogue.rules.is_empty() && globals.catalogue.definitions.is_empty());
}

#[test]
fn a_rule_is_disabled_and_enabled_without_its_text_and_keeps_its_version() {
    let mut globals = filled();
    let flip = |enabled| vec![Change::EnableRule("r".into(), enabled)];
    assert_eq!(applied(&mut globals, flip(true)).0, 1, "it is enabled already");
    assert_eq!(applied(&mut globals, flip(false)), (2, ids([], &["r"], &[])));
    assert!(!globals.catalogue.rules["r"].rule.enabled && globals.catalogue.compiled.is_empty());
    assert_eq!(applied(&mut globals, flip(false)).0, 2);
    // The text as it was written says that it is enabled, in the version that is there.
    let again = vec![Change::PutRule(rule(1, "a"))];
    assert_eq!(applied(&mut globals, again), (3, ids([], &["r"], &[])));
    assert_eq!(
        (globals.catalogue.compiled.len(), &globals.catalogue.rules["r"].rule.source),
        (1, &rule(1, "a"))
    );
    applied(&mut globals, flip(false));
    applied(&mut globals, flip(true));
    assert_eq!(globals.catalogue.rules["r"].rule.source, rule(1, "a"), "as if nothing had been");
    let expected =
        [How::Enabled, How::Disabled, How::Enabled, How::Disabled, How::Stored].map(|how| (1, how));
    assert_eq!(told(&globals, "r"), expected);
    let unknown = vec![Change::EnableRule("x".into(), true)];
    assert_eq!(refused(&mut globals, unknown).0, Refusal::Unknown);
}

/// A log that was written before must give the same catalogue versions for ever.
#[test]
fn records_of_the_first_layout_are_applied_as_they_were() {
    let mut globals = filled();
    let disabled = rule(1, "a").replace("\"id\"", "\"enabled\":false,\"id\"");
    let mut change = CatalogueChanged::new("default", "", vec![Change::PutRule(disabled)]);
    change.flips = false;
    let Changed::Refused { why, detail, .. } =
        apply_at(&mut globals, change.clone(), UnixMicros(6))
    else {
        panic!("the version is the same, the text is not")
    };
    assert_eq!((why, detail.contains("version 1 with another text")), (Refusal::Conflict, true));
    change.flips = true;
    let changed = apply_at(&mut globals, change, UnixMicros(6));
    assert!(matches!(changed, Changed::Applied { version: 2, .. }));
}

#[test]
fn an_earlier_version_is_stored_again_as_a_new_one() {
    let mut globals = filled();
    for version in 2..=3 {
        applied(&mut globals, vec![Change::PutRule(rule(version, &format!("v{version}")))]);
    }
    let back = |version| vec![Change::RollBackRule("r".into(), version)];
    assert_eq!(applied(&mut globals, back(3)).0, 3, "it is in force");
    assert_eq!(applied(&mut globals, back(1)), (4, ids([], &["r"], &[])));
    assert_eq!(globals.catalogue.rules["r"].rule.source, rule(4, "a"));
    let stored = |version| (version, How::Stored);
    let expected = vec![(4, How::RolledBack(1)), stored(3), stored(2), stored(1)];
    assert_eq!(told(&globals, "r"), expected);
    let (why, detail) = refused(&mut globals, back(9));
    assert_eq!((why, detail.as_str()), (Refusal::Unknown, "of rule `r` no version 9 is kept"));
    let nobody = vec![Change::RollBackRule("x".into(), 1)];
    assert_eq!(refused(&mut globals, nobody), (Refusal::Unknown, "there is no rule `x`".into()));
    // What was deleted comes back, above all its versions.
    applied(&mut globals, vec![Change::DeleteRule("r".into())]);
    assert_eq!(applied(&mut globals, back(2)), (6, ids(["r"], &[], &[])));
    assert_eq!(globals.catalogue.rules["r"].rule.source, rule(5, "v2"));
    assert_eq!(told(&globals, "r")[..2], [(5, How::RolledBack(2)), (4, How::Deleted)]);
    // Its workflow must be there.
    let gone = vec![Change::DeleteRule("r".into()), Change::DeleteDefinition("w".into())];
    applied(&mut globals, gone);
    assert_eq!(refused(&mut globals, back(2)).0, Refusal::Conflict);
    let both = vec![Change::RollBackDefinition("w".into(), 1), back(2).remove(0)];
    assert_eq!(applied(&mut globals, both), (8, ids(["r"], &[], &[])));
    assert_eq!(globals.catalogue.definitions["w"].definition.version, 2);
    // There is a highest version.
    applied(&mut globals, vec![Change::PutRule(rule(u32::MAX, "x"))]);
    assert_eq!(refused(&mut globals, back(2)).0, Refusal::Conflict);
}

#[test]
fn a_set_of_rules_replaces_all_rules() {
    let named =
        |id: &str, version, value| rule(version, value).replace("\"r\"", &format!("\"{id}\""));
    let mut globals = filled();
    let put = ["s", "t"].map(|id| Change::PutRule(named(id, 1, "a")));
    applied(&mut globals, put.to_vec());
    let keep = |id: &str, text: &str| (id.to_owned(), hash64(text.as_bytes()));
    let set = |keep, put| vec![Change::ReplaceRules(keep, put)];
    let kept = vec![keep("s", &named("s", 1, "a"))];
    let put = vec![named("t", 2, "b"), named("u", 1, "b")];
    let before = globals.image();
    let stale = set(vec![keep("s", "another text")], put.clone());
    assert_eq!(refused(&mut globals, stale).0, Refusal::Conflict);
    let older = set(kept.clone(), vec![named("t", 1, "b")]);
    assert_eq!(refused(&mut globals, older).0, Refusal::Conflict);
    let homeless = vec![named("u", 1, "b").replace("\"w\"", "\"x\"")];
    assert_eq!(refused(&mut globals, set(kept.clone(), homeless)).0, Refusal::Conflict);
    assert!(globals.image() == before, "a refused set leaves no trace");
    let changed = applied(&mut globals, set(kept, put));
    assert_eq!(changed, (3, ids(["u"], &["t"], &["r"])));
    assert_eq!(globals.catalogue.rules.keys().map(|id| &**id).collect::<Vec<_>>(), ["s", "t", "u"]);
    assert_eq!(
        applied(&mut globals, set(Vec::new(), Vec::new())),
        (4, ids([], &[], &["s", "t", "u"]))
    );
}

#[test]
fn a_workflow_is_in_use_as_long_as_any_rule_starts_it() {
    let mut globals = filled();
    let other = WORKFLOW.replace("\"w\"", "\"w2\"");
    let moved = rule(2, "a").replace("\"w\"", "\"w2\"");
    let drop = Change::DeleteDefinition("w".into());
    assert_eq!(refused(&mut globals, vec![drop.clone()]).0, Refusal::InUse);
    // Moved and dropped in one change, in whatever order.
    let changes = vec![drop, Change::PutDefinition(other), Change::PutRule(moved)];
    applied(&mut globals, changes);
    let drop = Change::DeleteDefinition("w2".into());
    assert_eq!(refused(&mut globals, vec![drop.clone()]).0, Refusal::InUse);
    let again = Globals::from_image(&globals.image()).unwrap();
    assert_eq!(again.catalogue.uses, globals.catalogue.uses);
    applied(&mut globals, vec![Change::DeleteRule("r".into()), drop]);
    assert!(globals.catalogue.uses.is_empty());
}

/// Many small changes: never merged from outside, merged at once, merged some changes late; and all
/// at once: the same rules match.
#[test]
fn how_far_the_rules_are_merged_makes_no_difference() {
    let text = |at: usize, version: u32| {
        let value = format!("v{}", at % 7);
        rule(version, &value).replace("\"r\"", &format!("\"r{at:03}\""))
    };
    let (mut busy, mut resting, mut late) = (filled(), filled(), filled());
    let (mut at_once, mut matcher) = (0, rules::Matcher::new());
    let (mut under_way, mut caught_up, mut useless) = (None, 0, 0);
    for step in 0..900 {
        let at = step * 37 % 300;
        let version = u32::try_from(step / 300 + 1).unwrap();
        let change = match step % 5 {
            4 if busy.catalogue.rules.contains_key(&*format!("r{at:03}")) => {
                Change::DeleteRule(format!("r{at:03}"))
            }
            _ => Change::PutRule(text(at, version)),
        };
        applied(&mut busy, vec![change.clone()]);
        at_once += usize::from(busy.catalogue.touched.is_empty());
        applied(&mut late, vec![change.clone()]);
        let (due, merged) = under_way.take().unwrap_or_else(|| (step + step % 90, None));
        let merged = merged.unwrap_or_else(|| late.catalogue.merged());
        if step < due {
            under_way = Some((due, Some(merged)));
        } else if let Some(over) = late.catalogue.over(&merged) {
            caught_up += 1;
            late.catalogue = Arc::new(over);
        } else {
            assert!(late.catalogue.is_past(&merged));
            useless += 1;
        }
        applied(&mut resting, vec![change]);
        if resting.catalogue.needs_merge() {
            let merged = resting.catalogue.over(&resting.catalogue.merged());
            resting.catalogue = Arc::new(merged.unwrap());
        }
        assert!(!resting.catalogue.needs_merge());
    }
    assert!((1..300).contains(&at_once), "{at_once} merges while busy");
    assert!(caught_up > 5 && useless > 5, "{caught_up} merges in time, {useless} too late");
    let whole = Globals::from_image(&busy.image()).unwrap();
    assert!(whole.image() == resting.image() && whole.image() == late.image());
    for value in 0..7 {
        let message = format!(r#"{{"kind":"v{value}"}}"#);
        let mut woken = |globals: &Globals| -> Vec<(String, u32)> {
            let mut found = rules::Matches::new();
            matcher.matches(&globals.catalogue.compiled, message.as_bytes(), &mut found).unwrap();
            let rules = found.iter().map(|index| globals.catalogue.compiled.rule(*index));
            rules.map(|rule| (rule.id.clone(), rule.version)).collect()
        };
        let expected = woken(&whole);
        assert!(expected.len() > 20);
        assert_eq!(
            [woken(&busy), woken(&resting), woken(&late)],
            [(); 3].map(|()| expected.clone())
        );
    }
}

#[test]
fn only_the_successor_of_a_sessions_last_batch_is_admitted() {
    let mut globals = Globals::default();
    let rows = [
        (header(5, 2, 0), Admission::Gap, "a gap at the start"),
        (header(5, 1, 0), Admission::Admitted, "the first"),
        (header(5, 1, 0), Admission::OutOfOrder, "the same again"),
        (header(5, 2, 9), Admission::OtherCatalogue, "another catalogue"),
        (header(5, 2, 0), Admission::Admitted, "again under its number"),
        (header(6, 2, 0), Admission::Gap, "a new boot begins at 1"),
        (header(6, 1, 0), Admission::Admitted, "the new boot's first"),
        (header(5, 3, 0), Admission::OutOfOrder, "the old boot is over"),
    ];
    for (header, expected, what) in rows {
        assert_eq!(globals.admit(&header), expected, "{what}");
    }
}

#[test]
fn an_image_gives_back_the_same_globals() {
    let mut globals = filled();
    globals.applied = 7;
    globals.stamp = UnixMicros(9);
    globals.apply_born(Born {
        cluster_id: 1,
        partitions: 4,
        retention_bytes: 2,
        keys_max: 3,
        key_ttl_ms: 4,
    });
    assert_eq!(globals.admit(&header(3, 1, 1)), Admission::Admitted);
    applied(&mut globals, vec![Change::PutRule(rule(2, "b"))]);
    applied(&mut globals, vec![Change::EnableRule("r".into(), false)]);
    applied(&mut globals, vec![Change::RollBackRule("r".into(), 1)]);
    let image = globals.image();
    let again = Globals::from_image(&image).unwrap();
    assert!(again.image() == image);
    assert_eq!((again.catalogue.compiled.len(), told(&again, "r")), (1, told(&globals, "r")));
    assert_eq!(again.catalogue.rules["r"].came.by(), "ann");
    assert!(Globals::from_image(&image[..image.len() - 1]).is_err());
}

/// An image as the release before wrote it, with one rule, one workflow and one session.
fn image_of_version_2() -> Vec<u8> {
    let globals = filled();
    let old = version_2::GlobalsImageV2 {
        applied: 7,
        stamp: UnixMicros(9),
        born: Some(Born {
            cluster_id: 1,
            partitions: 1,
            retention_bytes: 2,
            keys_max: 3,
            key_ttl_ms: 4,
        }),
        catalogue_version: 1,
        rules: vec![(UnixMicros(5), globals.catalogue.rules["r"].rule.source.clone())],
        definitions: vec![(
            UnixMicros(6),
            globals.catalogue.definitions["w"].definition.source.clone(),
        )],
        sessions: vec![(NodeId(1), CoreId(0), BootId(3), 12)],
    };
    rkyv::to_bytes::<Rancor>(&old).unwrap().to_vec()
}

#[test]
fn an_image_of_the_version_before_is_read() {
    let old = image_of_version_2();
    let hex: Vec<String> = old.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex.concat(), include_str!("version_2.hex").trim(), "the layout is frozen");
    for version in [1, 2] {
        let image = upgraded(version, &old).unwrap();
        let mut globals = Globals::from_image(&image).unwrap();
        assert_eq!(
            (globals.applied, globals.stamp, globals.catalogue.version),
            (7, UnixMicros(9), 1)
        );
        assert_eq!(told(&globals, "r"), [(1, How::Stored)]);
        assert_eq!(globals.catalogue.rules["r"].came.at(), UnixMicros(5));
        assert_eq!(globals.admit(&header(3, 13, 1)), Admission::Admitted);
        assert!(upgraded(version, &old[..old.len() - 1]).is_err());
    }
    assert!(upgraded(9, &old).is_err());
}

/// An image as it was before workers, with one rule, one workflow, one earlier version and one session.
fn image_of_version_4() -> Vec<u8> {
    let globals = filled();
    let stored = |at, text: &str| StoredImage {
        at: UnixMicros(at),
        by: "ann".into(),
        how: How::Stored,
        text: text.into(),
    };
    let old = version_4::GlobalsImageV4 {
        applied: 7,
        stamp: UnixMicros(9),
        born: None,
        catalogue_version: 1,
        rules: vec![stored(5, &globals.catalogue.rules["r"].rule.source)],
        definitions: vec![stored(6, &globals.catalogue.definitions["w"].definition.source)],
        past: vec![PastImage {
            table: Table::Rules,
            id: "r".into(),
            version: 3,
            stored: stored(4, "{}"),
        }],
        sessions: vec![(NodeId(1), CoreId(0), BootId(3), 12)],
    };
    rkyv::to_bytes::<Rancor>(&old).unwrap().to_vec()
}

#[test]
fn an_image_of_before_workers_is_read() {
    let old = image_of_version_4();
    assert_eq!(hex(&old), include_str!("version_4.hex").trim(), "the layout is frozen");
    for version in [3, 4] {
        let image = upgraded(version, &old).unwrap();
        let mut globals = Globals::from_image(&image).unwrap();
        assert_eq!((globals.applied, globals.workers.iter().len()), (7, 0));
        assert_eq!(globals.catalogue.rules["r"].came.by(), "ann");
        assert_eq!(globals.admit(&header(3, 13, 1)), Admission::Admitted);
        assert!(upgraded(version, &old[..old.len() - 1]).is_err());
    }
}

/// What a release wrote is read for ever. A change here needs a new version.
#[test]
fn the_layout_with_workers_is_frozen() {
    let mut globals = Globals { applied: 7, stamp: UnixMicros(9), ..Globals::default() };
    let plugin = WorkerPlugin { name: "check".into(), version: "1.2".into(), abi: 3 };
    let record = WorkerJoined {
        worker: WorkerId(0x80a0),
        boot: BootId(11),
        name: "w-1".into(),
        address: "10.0.0.7:9090".into(),
        capacity: 8,
        zone: "a".into(),
        plugins: vec![plugin],
    };
    assert_eq!(globals.workers.join(record, UnixMicros(8)), Join::Joined { lost: None });
    assert!(globals.workers.drain(WorkerDrained { worker: WorkerId(0x80a0), on: true }));
    let image = globals.image();
    assert_eq!(hex(&image), include_str!("version_5.hex").trim());
    let again = Globals::from_image(&image).unwrap();
    assert!(again.workers.iter().eq(globals.workers.iter()));
    assert_eq!(again.image(), image);
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// A rule that needs others: `continue_from` the first, `requires` the rest.
fn needing(id: &str, needs: &[&str]) -> Change {
    let continued = needs.first().map(|id| format!(",\"continue_from\":\"{id}\""));
    let others: Vec<String> = needs.iter().skip(1).map(|id| format!("\"{id}\"")).collect();
    let requires = (!others.is_empty()).then(|| format!(",\"requires\":[{}]", others.join(",")));
    let (continued, requires) = (continued.unwrap_or_default(), requires.unwrap_or_default());
    Change::PutRule(format!(
        "{{\"id\":\"{id}\",\"version\":1,\"conditions\":[{{\"field\":\"a\",\"op\":\"exists\"}}],\
         \"enrich\":{{\"x\":1}}{continued}{requires}}}"
    ))
}

#[test]
fn no_rule_needs_one_that_is_not_there_whatever_a_change_puts_and_removes() {
    let delete = |id: &str| Change::DeleteRule(id.into());
    let rows: [(&[Change], Option<Refusal>); 9] = [
        (&[needing("b", &["a"])], Some(Refusal::Conflict)),
        (&[needing("b", &["a"]), needing("a", &[])], None),
        (&[delete("a")], Some(Refusal::InUse)),
        (&[needing("c", &["b", "a"])], None),
        (&[delete("b"), delete("a")], Some(Refusal::InUse)),
        (&[Change::EnableRule("a".into(), false)], None),
        (&[Change::ReplaceRules(Vec::new(), Vec::new())], None),
        (&[needing("a", &["b"]), needing("b", &["a"])], Some(Refusal::Conflict)),
        (&[needing("a", &[]), needing("b", &["a"]), delete("b"), delete("a")], None),
    ];
    let mut globals = Globals::default();
    for (changes, expected) in rows {
        let refused = match apply(&mut globals, changes.to_vec()) {
            Changed::Applied { .. } => None,
            Changed::Refused { why, .. } => Some(why),
        };
        assert_eq!(refused, expected, "{changes:?}");
        let again = Globals::from_image(&globals.image()).unwrap();
        let dependents = |globals: &Globals| Arc::clone(&globals.catalogue.dependents);
        assert_eq!(dependents(&again), dependents(&globals), "known again from the image");
    }
}

#[test]
fn a_chain_that_a_change_makes_too_long_is_refused_though_it_does_not_name_its_end() {
    let mut globals = Globals::default();
    let id = |at: usize| format!("r{at:02}");
    let mut changes = vec![needing(&id(1), &[])];
    changes.extend((2..=rules::CHAIN_RULES_MAX).map(|at| needing(&id(at), &[&id(at - 1)])));
    assert!(matches!(apply(&mut globals, changes), Changed::Applied { .. }));
    let Change::PutRule(longer) = needing(&id(1), &["r00"]) else { unreachable!() };
    let longer = Change::PutRule(longer.replace("\"version\":1", "\"version\":2"));
    let told = apply(&mut globals, vec![needing("r00", &[]), longer]);
    assert!(matches!(told, Changed::Refused { why: Refusal::Conflict, .. }), "{told:?}");
}
