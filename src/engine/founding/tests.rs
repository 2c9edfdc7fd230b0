use super::{
    Card, FORMATS, Foundation, Founding, FoundingError, Known, Met, Stranger, greet, meet,
};
use base::{Address, BootId, NodeId, StoreId};
use quorum::{Member, Membership};
use std::collections::BTreeMap;

fn card(node: u64) -> Card {
    Card {
        node: NodeId(node),
        store: StoreId(node * 11),
        boot: BootId(1),
        cluster: None,
        to_store: None,
        formats: FORMATS,
    }
}

fn of(cluster: u64, node: u64) -> Card {
    Card { cluster: Some(cluster), ..card(node) }
}

fn address(node: u64) -> Address {
    Address::parse(&format!("10.0.0.{node}:9100")).unwrap()
}

fn listed(nodes: &[u64]) -> BTreeMap<NodeId, Address> {
    nodes.iter().map(|node| (NodeId(*node), address(*node))).collect()
}

fn members(nodes: &[u64]) -> Membership {
    let member = |node: &u64| {
        let member = Member { store: StoreId(node * 11), address: Some(address(*node)) };
        (NodeId(*node), member)
    };
    Membership::founded(nodes.iter().map(member)).unwrap()
}

fn knows(members: &Membership, leading: bool) -> Known<'_> {
    Known { members, leading, latest: None, running: None }
}

#[test]
fn the_lowest_node_founds_once_all_were_met() {
    let mut founding = Founding::new(card(1), listed(&[1, 2, 3]), 77).unwrap();
    assert!(founding.is_founder());
    assert_eq!(founding.alone(), None);
    assert_eq!(founding.on_met(NodeId(2), &card(2)), Ok(Met::Waiting));
    assert_eq!(founding.to_meet(), [(NodeId(3), address(3))]);
    let foundation = Foundation { cluster: 77, founded: members(&[1, 2, 3]) };
    assert_eq!(founding.on_met(NodeId(3), &card(3)), Ok(Met::Founded(foundation)));
}

#[test]
fn a_node_met_again_counts_with_the_store_that_it_has_last() {
    let mut founding = Founding::new(card(1), listed(&[1, 2, 3]), 77).unwrap();
    founding.on_met(NodeId(2), &card(2)).unwrap();
    let wiped = Card { store: StoreId(99), ..card(2) };
    founding.on_met(NodeId(2), &wiped).unwrap();
    let Ok(Met::Founded(foundation)) = founding.on_met(NodeId(3), &card(3)) else { panic!() };
    assert_eq!(foundation.founded.member(NodeId(2)).unwrap().store, StoreId(99));
}

#[test]
fn a_node_that_is_not_the_lowest_founds_nothing() {
    let mut founding = Founding::new(card(2), listed(&[1, 2, 3]), 77).unwrap();
    assert!(!founding.is_founder());
    assert_eq!(founding.on_met(NodeId(1), &card(1)), Ok(Met::Waiting));
    assert_eq!(founding.on_met(NodeId(3), &card(3)), Ok(Met::Waiting));
    assert_eq!(founding.to_meet().len(), 2, "they are asked again");
}

#[test]
fn a_founder_whose_others_have_a_cluster_founds_none() {
    let mut founding = Founding::new(card(1), listed(&[1, 2, 3]), 77).unwrap();
    founding.on_met(NodeId(3), &card(3)).unwrap();
    let late = Met::TooLate { node: NodeId(2), cluster: 5 };
    assert_eq!(founding.on_met(NodeId(2), &of(5, 2)), Ok(late));
}

#[test]
fn one_node_alone_founds_at_once() {
    let founding = Founding::new(card(4), listed(&[4]), 77).unwrap();
    assert_eq!(founding.alone(), Some(Foundation { cluster: 77, founded: members(&[4]) }));
}

#[test]
fn lists_that_cannot_be_are_refused() {
    let absent = Founding::new(card(4), listed(&[1, 2, 3]), 7).unwrap_err();
    assert_eq!(
        absent.to_string(),
        "node 4 is not among the nodes that are to found the cluster (1, 2, 3)"
    );
    let many = Founding::new(card(1), listed(&[1, 2, 3, 4, 5, 6, 7, 8]), 7).unwrap_err();
    assert!(matches!(many, FoundingError::Members(_)), "{many}");
}

#[test]
fn a_wrong_answer_is_told_from_a_meeting() {
    let mut founding = Founding::new(card(1), listed(&[1, 2, 3]), 77).unwrap();
    let other = founding.on_met(NodeId(2), &card(3));
    assert_eq!(other, Err(Stranger::OtherNode { found: NodeId(3), wanted: NodeId(2) }));
    let nobody = founding.on_met(NodeId(2), &card(0));
    assert!(matches!(nobody, Err(Stranger::OtherNode { .. })), "{nobody:?}");
}

#[test]
fn who_is_spoken_to() {
    let (own, all) = (of(7, 1), members(&[1, 2, 3]));
    let twin = Card { store: StoreId(5), ..of(7, 1) };
    let wiped = Card { store: StoreId(5), ..card(2) };
    let meant = |store| Card { to_store: Some(StoreId(store)), ..of(7, 2) };
    let old = Card { formats: (0, 0), ..of(7, 2) };
    let later = Card { formats: (1, 2), ..of(7, 2) };
    let member = of(7, 2);
    let moved = Card { store: StoreId(5), ..of(7, 2) };
    // What is said, and whether it is listened to.
    let table = [
        (member, true),
        (meant(11), true),
        (later, true),
        // A node that does not know its cluster yet, and one that nobody knows.
        (card(2), true),
        (card(9), true),
        // This node may lag behind a change of members.
        (moved, true),
        (meant(12), false),
        (wiped, false),
        (twin, false),
        (of(8, 2), false),
        (old, false),
        (card(0), false),
    ];
    for (theirs, is_welcome) in table {
        let verdict = greet(&own, knows(&all, false), &theirs);
        assert_eq!(verdict.is_ok(), is_welcome, "{theirs:?}: {verdict:?}");
    }
}

#[test]
fn an_earlier_run_than_the_latest_is_a_copy() {
    let (own, all) = (of(7, 1), members(&[1, 2, 3]));
    let known = Known { latest: Some(BootId(4)), ..knows(&all, false) };
    let ran = |boot| Card { boot: BootId(boot), ..of(7, 2) };
    assert_eq!(greet(&own, known, &ran(3)), Err(Stranger::Copy { node: NodeId(2) }));
    assert_eq!(greet(&own, known, &ran(4)), Ok(()));
    assert_eq!(greet(&own, known, &ran(5)), Ok(()));
}

#[test]
fn of_two_runs_at_a_time_the_second_is_refused() {
    let (own, all) = (of(7, 1), members(&[1, 2, 3]));
    let ran = |boot| Card { boot: BootId(boot), to_store: Some(own.store), ..of(7, 2) };
    let known = Known { running: Some(ran(4)), ..knows(&all, false) };
    assert_eq!(greet(&own, known, &ran(5)), Err(Stranger::TwoRuns { node: NodeId(2) }));
    assert_eq!(greet(&own, known, &ran(4)), Ok(()), "its link was made again");
    let other = Card { store: StoreId(5), ..ran(5) };
    assert_eq!(greet(&own, known, &other), Ok(()), "it was removed and added with another store");
}

#[test]
fn a_round_of_meetings_begins_anew() {
    let mut founding = Founding::new(card(1), listed(&[1, 2, 3]), 77).unwrap();
    founding.on_met(NodeId(2), &card(2)).unwrap();
    founding.begin_round();
    assert_eq!(founding.on_met(NodeId(3), &card(3)), Ok(Met::Waiting));
    assert_eq!(founding.to_meet(), [(NodeId(2), address(2))]);
}

#[test]
fn a_leader_knows_who_was_removed() {
    let (own, all) = (of(7, 1), members(&[1, 2, 3]));
    let removed = greet(&own, knows(&all, true), &of(7, 4)).unwrap_err();
    assert_eq!(removed, Stranger::Removed { node: NodeId(4) });
    // One that follows may lag behind; one without a cluster has yet to be added.
    assert_eq!(greet(&own, knows(&all, false), &of(7, 4)), Ok(()));
    assert_eq!(greet(&own, knows(&all, true), &card(4)), Ok(()));
}

#[test]
fn who_answers_is_the_member_or_nobody() {
    let own = of(7, 1);
    let wanted = (NodeId(2), StoreId(22));
    assert_eq!(meet(&own, wanted, &of(7, 2)), Ok(false));
    assert_eq!(meet(&own, wanted, &card(2)), Ok(true), "it is to be told its cluster");
    let wiped = Card { store: StoreId(5), ..card(2) };
    let verdict = meet(&own, wanted, &wiped).unwrap_err();
    assert!(verdict.to_string().contains("nodes remove 2"), "{verdict}");
    assert!(meet(&own, wanted, &of(8, 2)).is_err());
    assert!(meet(&own, wanted, &of(7, 3)).is_err());
}

#[test]
fn nodes_of_two_clusters_are_told_so_although_they_have_one_number() {
    let other = Stranger::OtherCluster { node: NodeId(1), theirs: 6, ours: 5 };
    let theirs = Card { store: StoreId(99), ..of(6, 1) };
    assert_eq!(greet(&of(5, 1), knows(&members(&[1]), false), &theirs), Err(other));
}

#[test]
fn whoever_is_named_with_another_store_begins_with_nobody() {
    let foundation = Foundation { cluster: 7, founded: members(&[1, 2, 3]) };
    assert_eq!(foundation.of(NodeId(2), StoreId(22)), members(&[1, 2, 3]));
    assert_eq!(foundation.of(NodeId(4), StoreId(44)), members(&[1, 2, 3]));
    assert!(foundation.of(NodeId(2), StoreId(5)).is_empty());
}
