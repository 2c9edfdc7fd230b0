use super::*;

const WORKFLOW: &str =
    r#"{"id":"w","version":1,"tasks":[{"id":"a","type":"log","with":{"message":"hi"}}]}"#;

fn rule(version: u32, value: &str) -> String {
    format!(
        "{{\"id\":\"r\",\"version\":{version},\"conditions\":[{{\"field\":\"kind\",\"op\":\"equals\",\
         \"value\":\"{value}\"}}],\"actions\":[{{\"workflow\":\"w\"}}]}}"
    )
}

fn apply(globals: &mut Globals, changes: Vec<Change>) -> Changed {
    let change = CatalogueChanged { namespace: "default".into(), changes };
    globals.apply_catalogue(&change, UnixMicros(5)).0
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
    assert_eq!(apply(&mut globals, changes), Changed::Applied { version: 1, created: true });
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
    let same = apply(&mut globals, vec![Change::PutRule(rule(1, "a"))]);
    assert_eq!(same, Changed::Applied { version: 1, created: false });
    let next = apply(&mut globals, vec![Change::PutRule(rule(2, "b"))]);
    assert_eq!(next, Changed::Applied { version: 2, created: false });
    assert_eq!(globals.rules["r"].rule.version, 2);
    let gone = vec![Change::DeleteRule("r".into()), Change::DeleteDefinition("w".into())];
    assert_eq!(apply(&mut globals, gone), Changed::Applied { version: 3, created: false });
    assert!(globals.rules.is_empty() && globals.definitions.is_empty());
}

#[test]
fn only_the_successor_of_a_sessions_last_batch_is_admitted() {
    let mut globals = Globals::default();
    let rows = [
        (header(5, 2, 0), Admission::OutOfOrder, "a gap at the start"),
        (header(5, 1, 0), Admission::Admitted, "the first"),
        (header(5, 1, 0), Admission::OutOfOrder, "the same again"),
        (header(5, 2, 9), Admission::OtherCatalogue, "another catalogue"),
        (header(5, 2, 0), Admission::Admitted, "again under its number"),
        (header(6, 2, 0), Admission::OutOfOrder, "a new boot begins at 1"),
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
    let image = globals.image();
    let again = Globals::from_image(&image).unwrap();
    assert!(again.image() == image);
    assert_eq!(again.compiled.len(), 1);
    assert!(Globals::from_image(&image[..image.len() - 1]).is_err());
}
