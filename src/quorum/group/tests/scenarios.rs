//! What the group does, one story each.

use super::world::{MS, World, member};
use crate::group::ProposeError;
use crate::{Change, ChangeError, Dropped, Message, Role, Step};
use base::{NodeId, StoreId};

fn node(number: u64) -> NodeId {
    NodeId(number)
}

#[test]
fn groups_of_one_three_five_and_seven_elect_a_leader_and_commit() {
    for voters in [1, 3, 5, 7] {
        let mut world = World::elected(voters, voters);
        for _ in 0..20 {
            world.commit();
        }
        world.settle();
        assert_eq!(world.term(1), 1, "the first election decided");
    }
}

#[test]
fn a_healthy_leader_is_never_challenged() {
    let mut world = World::elected(5, 3);
    let (leader, term) = (world.leader(), world.term(1));
    world.run(60_000);
    assert_eq!((world.leader(), world.term(1)), (leader, term));
}

#[test]
fn a_split_vote_is_followed_by_an_election_that_decides() {
    // Four of five are up, and two stand in the same term before any pre-vote reached the others.
    let mut world = World::new(11, 5);
    for number in 1..=4 {
        world.start(number);
    }
    for number in [1, 2] {
        world.with(number, crate::Group::on_campaign);
    }
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.settle();
    world.commit();
}

#[test]
fn an_old_leaders_tail_is_superseded() {
    let mut world = World::elected(2, 3);
    let old = world.leader().unwrap();
    world.commit();
    world.cut_off(old);
    for _ in 0..10 {
        world.propose(old).expect("it does not know yet");
    }
    world.run_until("another leader", 3_000, |world| world.leader() != Some(old));
    for _ in 0..3 {
        world.commit();
    }
    world.heal();
    world.settle();
    assert_eq!(world.told.len(), 4, "nothing of the old leader's tail was committed");
}

#[test]
fn a_leader_alone_steps_down_and_commits_nothing() {
    let mut world = World::elected(4, 3);
    let old = world.leader().unwrap();
    world.cut_off(old);
    let lost = world.propose(old).unwrap();
    world.run(1_000);
    assert_ne!(world.role(old), Role::Leader);
    assert!(!world.told.contains_key(&lost));
    let refused = world.with(old, |group, out| group.on_propose("x".into(), out)).unwrap();
    assert!(matches!(refused, Err(ProposeError::NotLeader { leader: 0, .. })), "{refused:?}");
}

#[test]
fn a_minority_decides_nothing_and_comes_back() {
    let mut world = World::elected(6, 3);
    let leader = world.leader().unwrap();
    let others: Vec<u64> = world.up().into_iter().filter(|other| *other != leader).collect();
    for other in &others {
        world.crash(*other);
    }
    let data = world.propose(leader).unwrap();
    world.run(5_000);
    assert!(world.leader().is_none() && !world.told.contains_key(&data));
    for other in others {
        world.start(other);
    }
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.settle();
    world.commit();
}

#[test]
fn a_rejoining_node_disturbs_nobody() {
    let mut world = World::elected(7, 3);
    let leader = world.leader().unwrap();
    let away = (1..=3).find(|other| *other != leader).unwrap();
    let term = world.term(leader);
    world.cut_off(away);
    for _ in 0..20 {
        world.commit();
        world.run(500);
    }
    assert_eq!(world.term(away), term, "a pre-vote changes nobody's term, nor its own");
    world.heal();
    world.settle();
    assert_eq!((world.leader(), world.term(leader)), (Some(leader), term));
}

#[test]
fn a_follower_that_fell_behind_the_log_gets_a_snapshot() {
    let mut world = World::elected(8, 3);
    world.snapshot_every = 10;
    let leader = world.leader().unwrap();
    let away = (1..=3).find(|other| *other != leader).unwrap();
    world.crash(away);
    for _ in 0..50 {
        world.commit();
    }
    world.run(100);
    // What the leader still had in memory would do: a leader that was started again has nothing.
    for other in world.up() {
        world.crash(other);
    }
    for other in 1..=3 {
        world.start(other);
    }
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.settle();
    assert_eq!(world.saw("install"), 1);
    assert!(world.machines[&away].disk.begin.0 > 0);
}

#[test]
fn a_snapshot_is_taken_when_a_follower_needs_one() {
    let mut world = World::elected(9, 3);
    for _ in 0..5 {
        world.commit();
    }
    world.add(4, 40);
    world.make(&Change::learn(node(4), member(40)));
    world.settle();
    assert!(world.saw("snapshot wanted") > 0);
    assert_eq!(world.saw("install"), 1);
}

#[test]
fn the_leader_dies_while_its_snapshot_is_fetched() {
    let mut world = World::elected(10, 3);
    world.snapshot_every = 10;
    for _ in 0..30 {
        world.commit();
    }
    world.add(4, 40);
    world.make(&Change::learn(node(4), member(40)));
    world.run_until("an offer", 5_000, |world| world.saw("fetch") > 0);
    let leader = world.leader().unwrap();
    world.crash(leader);
    world.run_until("another leader", 3_000, |world| {
        world.leader().is_some_and(|other| other != leader)
    });
    world.commit();
    world.settle();
    assert_eq!(world.applied(4), world.applied(world.leader().unwrap()));
}

#[test]
fn a_slow_follower_is_served_from_the_journal() {
    let mut world = World::elected(12, 3);
    let leader = world.leader().unwrap();
    let away = (1..=3).find(|other| *other != leader).unwrap();
    world.crash(away);
    for _ in 0..200 {
        let leader = world.leader().unwrap();
        world.propose_bytes(leader, 50_000);
        world.run(5);
    }
    // All of it is applied: who starts again keeps nothing of it in memory.
    world.run(100);
    world.replay_at_start = Some(true);
    for other in world.up() {
        world.crash(other);
    }
    for other in 1..=3 {
        world.start(other);
    }
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.settle();
    assert!(world.saw("entries wanted") >= 10, "ten megabytes, one at a time");
    assert_eq!(world.saw("install"), 0);
    world.commit();
}

#[test]
fn members_are_added_promoted_removed_and_replaced() {
    let mut world = World::elected(13, 3);
    world.commit();
    world.add(4, 40);
    world.make(&Change::learn(node(4), member(40)));
    world.settle();
    world.make(&Change::promote(node(4)));
    world.commit();
    world.settle();
    let leader = world.leader().unwrap();
    let away = (1..=3).find(|other| *other != leader).unwrap();
    world.make(&Change::remove(node(away)));
    world.crash(away);
    world.add(5, 50);
    world.make(&Change::learn(node(5), member(50)));
    world.settle();
    let leader = world.leader().unwrap();
    let old = (1..=4).find(|other| *other != leader && *other != away).unwrap();
    world.make(&Change::replace(node(old), node(5)));
    world.commit();
    world.settle();
    let state = &world.machines[&world.leader().unwrap()].state;
    assert_eq!(state.membership.voters().len(), 3);
    assert!(state.membership.is_voter(node(5)) && state.membership.member(node(old)).is_none());
    assert!(!state.membership.is_joint());
}

#[test]
fn two_learners_become_voters_in_one_change() {
    let mut world = World::elected(14, 3);
    for number in [4, 5] {
        world.add(number, 10 * number);
        world.make(&Change::learn(node(number), member(10 * number)));
    }
    world.settle();
    let steps = vec![Step::Promote { node: node(4) }, Step::Promote { node: node(5) }];
    world.make(&Change { steps });
    world.commit();
    world.settle();
    let leader = world.leader().unwrap();
    // Five survive two.
    for other in (1..=5).filter(|other| *other != leader).take(2) {
        world.crash(other);
    }
    world.commit();
}

#[test]
fn the_leader_may_be_removed() {
    let mut world = World::elected(15, 3);
    let leader = world.leader().unwrap();
    world.commit();
    let index = world.change(&Change::remove(node(leader))).unwrap();
    world.run_until("another leader", 3_000, |world| {
        world.leader().is_some_and(|other| other != leader)
    });
    world.commit();
    world.settle();
    assert!(world.applied(world.leader().unwrap()) > index);
    assert_ne!(world.role(leader), Role::Leader);
    world.run(2_000);
    assert_ne!(world.role(leader), Role::Leader, "who was removed never leads again");
}

#[test]
fn joint_majorities_end_though_their_leader_died() {
    let mut world = World::elected(16, 3);
    world.add(4, 40);
    world.make(&Change::learn(node(4), member(40)));
    world.settle();
    let leader = world.leader().unwrap();
    let old = (1..=3).find(|other| *other != leader).unwrap();
    world.begin(&Change::replace(node(old), node(4)));
    world.run_until("joint majorities", 1_000, |world| {
        world.machines.values().any(|machine| machine.state.membership.is_joint())
    });
    world.crash(leader);
    world.run_until("another leader", 3_000, |world| world.leader().is_some());
    world.run_until("the end of joint majorities", 3_000, |world| {
        let state = &world.machines[&world.leader().unwrap()].state;
        !state.membership.is_joint() && state.membership.is_voter(node(4))
    });
    world.commit();
}

#[test]
fn impossible_changes_are_refused_before_they_are_proposed() {
    let mut world = World::elected(17, 7);
    for number in [8, 9] {
        world.add(number, 10 * number);
        world.make(&Change::learn(node(number), member(10 * number)));
    }
    world.settle();
    let refusals = [
        (Change::promote(node(8)), ChangeError::TooManyVoters { voters: 8 }),
        (Change::promote(node(1)), ChangeError::NoLearner { node: node(1) }),
        (Change::remove(node(77)), ChangeError::Unknown { node: node(77) }),
        (Change::learn(node(8), member(80)), ChangeError::Known { node: node(8) }),
        (Change::learn(node(0), member(80)), ChangeError::Nobody),
        (Change::default(), ChangeError::Empty),
    ];
    for (change, error) in refusals {
        assert_eq!(world.change(&change), Err(error.into()), "{change:?}");
    }
    // At the bound of seven, one takes another's place.
    let leader = world.leader().unwrap();
    let old = (1..=7).find(|other| *other != leader).unwrap();
    world.make(&Change::replace(node(old), node(8)));
    // While a change is on its way no other is taken.
    world.change(&Change::remove(node(9))).unwrap();
    let refused = world.change(&Change::remove(node(9)));
    assert_eq!(refused, Err(ProposeError::ChangeUnderWay));
}

#[test]
fn a_learner_that_has_nothing_is_not_promoted() {
    let mut world = World::elected(18, 3);
    world.make(&Change::learn(node(4), member(40)));
    let refused = world.change(&Change::promote(node(4)));
    assert!(matches!(refused, Err(ProposeError::Behind { matched: 0, .. })), "{refused:?}");
}

#[test]
fn a_wiped_voter_never_votes_and_comes_back_as_a_learner() {
    let mut world = World::elected(19, 3);
    world.commit();
    let leader = world.leader().unwrap();
    let wiped = (1..=3).find(|other| *other != leader).unwrap();
    let third = (1..=3).find(|other| *other != leader && *other != wiped).unwrap();
    world.crash(third);
    world.wipe(wiped, 77);
    world.start(wiped);
    let lost = world.propose(leader).unwrap();
    world.run(5_000);
    assert!(!world.told.contains_key(&lost), "the wiped node acknowledges nothing that counts");
    assert!(world.leader().is_none(), "nor does it vote");
    assert!(world.dropped(Dropped::ForeignStore) > 0);
    world.start(third);
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.commit();
    world.make(&Change::remove(node(wiped)));
    world.make(&Change::learn(node(wiped), member(77)));
    world.settle();
    world.make(&Change::promote(node(wiped)));
    let leader = world.leader().unwrap();
    let other = (1..=3).find(|other| *other != leader && *other != wiped).unwrap();
    world.crash(other);
    world.commit();
}

#[test]
fn a_vote_of_another_store_is_dropped() {
    let mut world = World::new(20, 3);
    world.start(1);
    world.run_until("a pre-vote", 1_000, |world| world.role(1) == Role::Candidate);
    let ballot = crate::Ballot { term: 1, reject: false, commit: 0, commit_term: 0 };
    for message in [Message::PreVoteResponse(ballot), Message::RequestVoteResponse(ballot)] {
        for from in [2, 3] {
            let taken = world.with(1, |group, out| {
                group.on_message(node(from), StoreId(99), message.clone(), out)
            });
            assert_eq!(taken, Some(Err(Dropped::ForeignStore)));
        }
    }
    world.run(5_000);
    assert_eq!((world.role(1) == Role::Leader, world.term(1)), (false, 0));
}

#[test]
fn the_lead_is_handed_over() {
    let mut world = World::elected(22, 3);
    world.commit();
    let leader = world.leader().unwrap();
    let before = world.now;
    let to = world.with(leader, |group, out| group.on_transfer(None, out)).unwrap().unwrap();
    let refused = world.with(leader, |group, out| group.on_propose("x".into(), out)).unwrap();
    assert_eq!(refused, Err(ProposeError::Transferring { to }));
    world.run_until("the successor", 100, |world| world.leader() == Some(to.0));
    assert!(world.now - before < 50 * MS, "a planned hand-over takes less than 50 ms");
    world.commit();
}

#[test]
fn a_hand_over_to_somebody_who_is_gone_ends_by_itself() {
    let mut world = World::elected(23, 3);
    world.commit();
    let leader = world.leader().unwrap();
    let gone = (1..=3).find(|other| *other != leader).unwrap();
    world.crash(gone);
    let taken = world.with(leader, |group, out| group.on_transfer(Some(node(gone)), out));
    assert!(taken.unwrap().is_ok());
    world.run(400);
    assert_eq!(world.leader(), Some(leader));
    world.commit();
}

#[test]
fn reads_are_answered_on_every_node() {
    let mut world = World::elected(24, 3);
    for _ in 0..5 {
        world.commit();
        for number in 1..=3 {
            world.read(number);
        }
    }
    world.run(100);
    assert_eq!((world.reads_done, world.reads_expired), (15, 0));
}

#[test]
fn reads_survive_a_change_of_leader_and_never_see_an_old_state() {
    let mut world = World::elected(25, 3);
    let old = world.leader().unwrap();
    world.cut_off(old);
    // An old leader that does not know yet answers no read: nobody confirms that it leads.
    world.read(old);
    for number in (1..=3).filter(|other| *other != old) {
        world.read(number);
    }
    world.run_until("another leader", 3_000, |world| {
        world.leader().is_some_and(|leader| leader != old)
    });
    world.run(150);
    assert_eq!(world.reads_done, 2, "those who found the new leader");
    world.commit();
    world.read(old);
    world.heal();
    world.run(1_500);
    assert_eq!(world.reads_done + world.reads_expired, 4);
    assert!(world.reads_done >= 3);
}

#[test]
fn a_lone_voter_answers_a_read_at_once() {
    let mut world = World::elected(26, 1);
    world.commit();
    let before = world.now;
    world.read(1);
    assert_eq!((world.reads_done, world.now), (1, before));
}

#[test]
fn a_dead_leader_is_replaced_in_rank_quicker_than_by_the_timeout() {
    for seed in 0..20 {
        let mut world = World::elected(100 + seed, 3);
        world.commit();
        let leader = world.leader().unwrap();
        let before = world.now;
        world.kill(leader);
        world.run_until("another leader", 400, |world| world.leader().is_some());
        let taken = world.now - before;
        assert!(taken < 40 * MS, "seed {seed}: {} ms", taken / MS);
        let expected = (1..=3).find(|other| *other != leader);
        assert_eq!(world.leader(), expected, "the lowest number stands first");
        world.commit();
    }
}

#[test]
fn who_has_not_noticed_yet_holds_the_ranked_election_up_only_briefly() {
    let mut world = World::elected(130, 3);
    world.commit();
    let leader = world.leader().unwrap();
    world.end(leader);
    let others = world.up();
    let before = world.now;
    world.with(others[0], |group, out| group.on_leader_gone(node(leader), out));
    world.run(20);
    assert!(world.leader().is_none(), "the other one still trusts its leader");
    world.with(others[1], |group, out| group.on_leader_gone(node(leader), out));
    world.run_until("another leader", 400, |world| world.leader().is_some());
    assert!(world.now - before < 100 * MS);
}

#[test]
fn the_next_in_rank_stands_when_the_first_is_dead_too() {
    let mut world = World::elected(140, 5);
    world.commit();
    let leader = world.leader().unwrap();
    let first = (1..=5).find(|other| *other != leader).unwrap();
    world.end(first);
    let before = world.now;
    world.kill(leader);
    world.run_until("another leader", 400, |world| world.leader().is_some());
    assert!(world.now - before < 80 * MS, "{} ms", (world.now - before) / MS);
}

#[test]
fn a_false_alarm_changes_nobodys_term() {
    let mut world = World::elected(150, 3);
    let (leader, term) = (world.leader().unwrap(), world.term(1));
    let other = (1..=3).find(|other| *other != leader).unwrap();
    for _ in 0..20 {
        world.with(other, |group, out| group.on_leader_gone(node(leader), out));
        world.run(300);
    }
    assert_eq!((world.leader(), world.term(other)), (Some(leader), term));
}

#[test]
fn a_node_that_is_late_itself_waits_longer_for_its_leader() {
    let mut world = World::elected(160, 3);
    let group = world.machines.get_mut(&1).unwrap().group();
    assert_eq!(group.election_window(), (15, 30));
    group.on_late(10);
    assert_eq!(group.election_window(), (25, 50));
    group.on_late(1_000);
    assert_eq!(group.election_window(), (60, 120));
    world.run(60_000);
    let group = world.machines.get_mut(&1).unwrap().group();
    assert_eq!(group.election_window(), (15, 30), "it is forgotten in time");
}

/// Found by the simulator (`cargo sim group --seed 1594`): a follower whose leader stays keeps the
/// timeout that it has drawn, and each bout of lateness made that one longer.
#[test]
fn lateness_that_comes_and_goes_lengthens_no_timeout_beyond_what_the_library_allows() {
    let mut world = World::elected(161, 3);
    for _ in 0..4 {
        for node in 1..=3 {
            world.machines.get_mut(&node).unwrap().group().on_late(1_000);
        }
        world.run(40_000);
    }
    let group = world.machines.get_mut(&1).unwrap().group();
    assert_eq!(group.election_window(), (15, 30));
}

#[test]
fn the_largest_entries_are_held_back_from_a_follower_that_does_not_answer() {
    let mut world = World::elected(170, 3);
    let leader = world.leader().unwrap();
    let slow = (1..=3).find(|other| *other != leader).unwrap();
    // Its answers are lost; it is heard of otherwise, or the leader would not send at all.
    world.cut.insert((slow, leader));
    for _ in 0..30 {
        world.propose_bytes(leader, 2 << 20);
        world.run(2);
    }
    let progress = world.machines.get_mut(&leader).unwrap().group().progress();
    let bytes = progress.iter().find(|progress| progress.node == node(slow)).unwrap();
    assert!(bytes.in_flight_bytes <= 20 << 20, "{bytes:?}");
    world.heal();
    world.settle();
}

#[test]
fn a_voter_that_lagged_while_all_others_were_replaced_is_not_deaf() {
    let mut world = World::elected(180, 3);
    let leader = world.leader().unwrap();
    let away = (1..=3).find(|other| *other != leader).unwrap();
    let third = 6 - leader - away;
    world.cut_off(away);
    for (old, new) in [(third, 4), (leader, 5)] {
        world.add(new, 10 * new);
        world.cut.insert((new, away));
        world.cut.insert((away, new));
        world.make(&Change::learn(node(new), member(10 * new)));
        world.run(500);
        if world.leader() == Some(old) {
            world.with(old, |group, out| group.on_transfer(Some(node(4)), out));
            world.run(200);
        }
        world.make(&Change::replace(node(old), node(new)));
        world.crash(old);
        world.run(500);
    }
    world.run_until("a leader", 3_000, |world| world.leader().is_some());
    world.heal();
    world.settle();
    assert!(world.machines[&away].state.membership.is_voter(node(5)));
    // And it counts: one of the new ones goes.
    let leader = world.leader().unwrap();
    world.crash(if leader == 4 { 5 } else { 4 });
    world.run_until("a leader", 3_000, |world| {
        world.leader().is_some_and(|leader| world.machines[&leader].up.is_some())
    });
    world.run(1_000);
    world.commit();
}
