use super::*;

const SECOND: u64 = 1_000_000_000;

fn sight<'a>(
    asked: &'a [String],
    others: &'a [String],
    has_leader: bool,
    dropped: &'a BTreeMap<Dropped, (u64, SocketAddr)>,
) -> Sight<'a> {
    Sight {
        asked,
        others: others.len(),
        named: others,
        has_leader,
        runs_tasks: true,
        dropped,
        key: None,
        cluster: None,
    }
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// What is said, second by second.
fn said(
    lookout: &mut Lookout,
    seconds: std::ops::Range<u64>,
    sight: &Sight<'_>,
) -> Vec<(u64, Word)> {
    seconds
        .flat_map(|second| {
            let words = lookout.on_look(Instant(second * SECOND), sight);
            words.into_iter().map(move |word| (second, word))
        })
        .collect()
}

fn text(word: &Word) -> &str {
    match word {
        Word::Notice(text) | Word::Note(text) => text,
    }
}

#[test]
fn who_finds_nobody_says_so_after_five_seconds_and_ever_more_rarely_then() {
    let (asked, none) = (list(&["127.0.0.1:9999"]), BTreeMap::new());
    let mut lookout = Lookout::new();
    let said = said(&mut lookout, 0..7_600, &sight(&asked, &[], false, &none));
    let times: Vec<u64> = said.iter().map(|(second, _)| *second).collect();
    assert_eq!(times, [5, 65, 365, 2_165, 3_965, 5_765, 7_565]);
    assert!(said.iter().all(|(_, word)| matches!(word, Word::Notice(_))));
}

#[test]
fn each_word_has_what_was_asked_what_came_and_what_to_look_at() {
    let asked = list(&["127.0.0.1:9999", "node-2.example:9201"]);
    let others = list(&["node-2 at 127.0.0.1:9202"]);
    let from: SocketAddr = "127.0.0.1:9301".parse().unwrap();
    let none = BTreeMap::new();
    let sealed = BTreeMap::from([(Dropped::Key, (3, from)), (Dropped::Own, (9, from))]);
    let plain = sight(&asked, &[], false, &none);
    let rows: [(Sight<'_>, &[&str]); 5] = [
        (
            plain,
            &[
                "nobody has answered for 5 s",
                "Asked by UDP: 127.0.0.1:9999, node-2.example:9201; came: nothing",
                "whose --gossip that is (not its --http, --tcp or --peer)",
                "without gossip_keys, as there are none here",
            ],
        ),
        (
            Sight { key: Some(0xab12), cluster: Some(0xc1), ..plain },
            &[
                "with key 0000ab12 in its gossip_keys",
                "of cluster 00000000000000c1, as this data directory is",
            ],
        ),
        (
            Sight { dropped: &sealed, ..plain },
            &["came: 3 dropped, the last one from 127.0.0.1:9301 (it is sealed, and this node \
                 has no gossip_keys). A coordinator"],
        ),
        (
            Sight { others: 7, named: &others, ..plain },
            &["for 5 s none of those that are known says that it leads: node-2 at 127.0.0.1:9202 \
              and 6 more. "],
        ),
        (Sight { asked: &[], ..plain }, &["for 5 s nobody is known, so no leader is"]),
    ];
    for (sight, parts) in rows {
        let mut lookout = Lookout::new();
        let words = said(&mut lookout, 0..6, &sight);
        let (_, last) = words.last().unwrap();
        for part in parts {
            assert!(text(last).contains(part), "{last:?} lacks {part:?}");
        }
        assert_eq!(lookout.trouble(), Some(text(last)));
    }
}

#[test]
fn what_is_over_in_time_is_never_said_and_what_was_said_is_taken_back() {
    let (asked, others) = (list(&["127.0.0.1:9201"]), list(&["node-1 at 127.0.0.1:9201"]));
    let none = BTreeMap::new();
    let (alone, found) = (sight(&asked, &[], false, &none), sight(&asked, &others, true, &none));
    let mut lookout = Lookout::new();
    assert_eq!(said(&mut lookout, 0..5, &alone), []);
    assert_eq!(said(&mut lookout, 5..9, &found), []);
    let complained = said(&mut lookout, 9..20, &alone);
    assert_eq!(complained.len(), 1);
    assert!(lookout.trouble().is_some());
    let over = said(&mut lookout, 20..90, &found);
    let relief = "gossip: node-1 at 127.0.0.1:9201 is known, and who leads, after 11 s";
    assert_eq!(over, [(20, Word::Note(relief.to_owned()))]);
    assert_eq!(lookout.trouble(), None);
}

#[test]
fn another_trouble_gets_its_own_time_and_both_end_with_one_word() {
    let (asked, others) = (list(&["127.0.0.1:9201"]), list(&["node-2 at 127.0.0.1:9202"]));
    let none = BTreeMap::new();
    let alone = sight(&asked, &[], false, &none);
    let without_leader = sight(&asked, &others, false, &none);
    let found = sight(&asked, &others, true, &none);
    let mut lookout = Lookout::new();
    assert_eq!(said(&mut lookout, 0..10, &alone).len(), 1);
    let second = said(&mut lookout, 10..20, &without_leader);
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].0, 15);
    let over = said(&mut lookout, 20..30, &found);
    assert!(
        matches!(&over[..], [(20, Word::Note(text))] if text.ends_with("after 20 s")),
        "{over:?}"
    );
}

#[test]
fn who_runs_no_tasks_or_asks_nobody_misses_no_one() {
    let (others, none) = (list(&["node-2 at 127.0.0.1:9202"]), BTreeMap::new());
    let coordinator = Sight { runs_tasks: false, ..sight(&[], &[], false, &none) };
    for sight in [coordinator, Sight { others: 1, named: &others, ..coordinator }] {
        assert_eq!(said(&mut Lookout::new(), 0..100, &sight), []);
    }
}

#[test]
fn dropped_datagrams_are_told_by_reason_with_where_they_came_from_and_ever_more_rarely() {
    let others = list(&["node-2 at 127.0.0.1:9202"]);
    let from: SocketAddr = "10.0.0.9:9201".parse().unwrap();
    let mut lookout = Lookout::new();
    let mut told = Vec::new();
    for second in 0..500 {
        let dropped = BTreeMap::from([
            (Dropped::Cluster, (second + 1, from)),
            (Dropped::Own, (second + 1, from)),
        ]);
        let sight = Sight { cluster: Some(0xc1), ..sight(&[], &others, true, &dropped) };
        told.extend(said(&mut lookout, second..second + 1, &sight));
    }
    let times: Vec<u64> = told.iter().map(|(second, _)| *second).collect();
    assert_eq!(times, [0, 60, 360]);
    assert_eq!(
        text(&told[0].1),
        "gossip: a datagram from 10.0.0.9:9201 was dropped: it is of another cluster than this \
         node, which is of 00000000000000c1"
    );
    assert!(text(&told[1].1).contains("was dropped, the last of 60: "), "{:?}", told[1]);
}
