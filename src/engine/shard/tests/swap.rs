//! Changes of the catalogue on their way: work is done when the test says so.

use super::*;
use crate::batch::{Section, SectionHeader};
use crate::message::{Answer, Part, Question};
use crate::record::{Accepted, CatalogueChanged, Match};

impl Case {
    /// A serving shard whose work is done when the test says so.
    fn patient() -> Self {
        let mut case = Self::serving();
        case.works = false;
        case
    }

    /// Does the work that was ordered first.
    fn do_one(&mut self) {
        let work = self.work.remove(0);
        self.shard.on_worked(work.run(), &mut self.out);
        self.drain();
        self.flush();
    }

    fn do_all(&mut self) {
        while !self.work.is_empty() {
            self.do_one();
        }
    }

    fn version(&self) -> u64 {
        self.shard.globals().catalogue.version
    }

    /// A change of another node, as it stands in the log.
    fn of_another(&self, number: u64, change: Change) -> Bytes {
        let mut section = Section::new(0);
        let mut body = Vec::new();
        CatalogueChanged::new("default", "", vec![change]).write(&mut body);
        section.push_change(&body);
        section.seal(&Self::header(number, self.version()))
    }

    fn header(number: u64, catalogue: u64) -> SectionHeader {
        let (node, boot, core) = (NodeId(2), BootId(1), CoreId(0));
        SectionHeader { node, boot, core, number, catalogue, round: 0 }
    }
}

fn named(id: &str, version: u32, kind: &str) -> String {
    rule(version, kind, "pure").replace("\"r\"", &format!("\"{id}\""))
}

#[test]
fn while_a_change_is_made_ready_the_shard_serves() {
    let mut case = Case::patient();
    case.post(1, "/api/v1/rules", None, &named("s", 1, "b"));
    assert_eq!((case.work.len(), case.submitted.len()), (1, 0), "nothing is in the log yet");
    case.message(2, r#"{"kind":"b"}"#);
    case.commit_all();
    assert_eq!(case.statuses(), [(2, 202)]);
    assert!(case.replies[0].2.contains("\"workflows_triggered\":[]"), "{:?}", case.replies);
    case.do_all();
    case.commit_all();
    case.message(3, r#"{"kind":"b"}"#);
    case.commit_all();
    assert_eq!(case.statuses(), [(2, 202), (1, 201), (3, 202)]);
    assert!(case.replies[2].2.contains("\"workflows_triggered\":[\"pure\"]"), "{:?}", case.replies);
}

#[test]
fn of_one_core_changes_are_made_ready_one_after_the_other() {
    let mut case = Case::patient();
    for (id, version) in [(1, 2), (2, 3), (3, 3)] {
        case.post(id, "/api/v1/rules", None, &rule(version, &format!("k{id}"), "pure"));
    }
    assert_eq!((case.work.len(), case.shard.unanswered()), (1, 3));
    for answered in 1..=3 {
        case.do_all();
        assert_eq!(case.submitted.len(), 1);
        case.commit_all();
        assert_eq!(case.replies.len(), answered);
    }
    case.do_all();
    assert_eq!(case.statuses(), [(1, 200), (2, 200), (3, 409)], "each was made for the last one's");
    assert_eq!(case.shard.unanswered(), 0);
}

#[test]
fn a_text_that_is_refused_never_comes_into_the_log_and_the_next_change_has_its_turn() {
    let mut case = Case::patient();
    case.post(1, "/api/v1/rules", None, "{");
    case.post(2, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.do_one();
    assert_eq!(case.statuses(), [(1, 400)]);
    case.do_one();
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 400), (2, 200)]);
}

#[test]
fn a_full_queue_of_changes_refuses_another_and_keeps_those_that_wait() {
    let mut case = Case::patient();
    let waiting = limits::CHANGES_MAX as u64;
    for id in 0..=waiting + 1 {
        case.post(id, "/api/v1/rules", None, &named(&format!("n{id}"), 1, "x"));
    }
    assert_eq!(case.statuses(), [(waiting + 1, 429)]);
    case.replies.clear();
    while !case.work.is_empty() {
        case.do_one();
        case.commit_all();
    }
    assert_eq!(case.replies.len() as u64, waiting + 1);
    assert!(case.statuses().iter().all(|(_, status)| *status == 201));
}

#[test]
fn a_change_that_another_one_overtakes_is_made_ready_again_and_at_last_goes_as_it_is() {
    let mut case = Case::patient();
    case.post(1, "/api/v1/rules", None, &named("slow", 1, "b"));
    for number in 1..=2 {
        let quick = case.of_another(
            number,
            Change::PutRule(named("quick", u32::try_from(number).unwrap(), "x")),
        );
        case.replay(&[quick]);
        // Ours is done later than the other's.
        case.work.rotate_left(1);
        case.do_one();
        assert_eq!(case.version(), 1 + number);
        case.do_one();
        assert_eq!((case.submitted.len(), case.work.len()), (0, 1), "it is made ready again");
    }
    let quick = case.of_another(3, Change::PutRule(named("quick", 3, "x")));
    case.replay(&[quick]);
    case.work.rotate_left(1);
    case.do_one();
    case.do_one();
    assert_eq!(case.submitted.len(), 1, "the third time it goes into the log");
    case.commit_all();
    assert_eq!((case.version(), case.work.len()), (4, 1), "what came with it is of no use");
    case.do_all();
    assert_eq!((case.version(), case.statuses()), (5, vec![(1, 201)]));
}

#[test]
fn a_change_that_apply_refuses_leaves_its_batch_and_its_messages_go_at_once() {
    let mut case = Case::patient();
    case.message(1, r#"{"kind":"a"}"#);
    case.post(2, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.do_one();
    assert_eq!(records(&case.submitted[0].2), 2);
    let ours = case.submitted.remove(0).2;
    let other = case.of_another(1, Change::PutRule(named("other", 1, "a")));
    case.replay(&[other]);
    case.do_all();
    case.commit(&[ours]);
    assert_eq!((case.submitted.len(), case.work.len()), (1, 1));
    assert_eq!(records(&case.submitted[0].2), 1, "the message alone, matched again");
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 202)]);
    assert!(case.replies[0].2.contains(r#"["pure","pure"]"#), "{:?}", case.replies);
    case.do_all();
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 202), (2, 200)]);
    assert_eq!(case.shard.unanswered(), 0);
}

#[test]
fn a_change_that_the_log_does_not_take_is_answered_and_forgotten() {
    let mut case = Case::patient();
    case.post(1, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.post(2, "/api/v1/rules", None, &rule(3, "c", "pure"));
    case.do_one();
    let (number, round, _) = case.submitted.remove(0);
    case.packet(ToShard::Refused { number, round, why: NotTaken::NoSpace });
    assert_eq!(case.statuses(), [(1, 503)]);
    case.do_all();
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 503), (2, 200)]);
    assert_eq!(case.shard.globals().catalogue.rules["r"].rule.version, 3);
}

#[test]
fn a_change_that_is_ready_after_the_node_began_to_stop_is_not_taken() {
    let mut case = Case::patient();
    case.post(1, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.shard.on_stop();
    assert!(!case.shard.is_drained());
    case.do_all();
    assert_eq!((case.statuses(), case.submitted.len()), (vec![(1, 503)], 0));
    assert!(case.shard.is_drained());
}

#[test]
fn apply_halts_before_a_change_that_is_not_ready_and_the_shard_does_all_else() {
    let mut case = Case::patient();
    let before = case.shard.applied();
    let matched = Match { rule: "other", version: 1 };
    let message = |payload, matches| Accepted { matches, payload, ..Accepted::default() };
    let mut early = Section::new(0);
    early.push_accepted(PartitionId(0), &message(br#"{"kind":"x"}"#, &[]));
    let other = case.of_another(2, Change::PutRule(named("other", 1, "x")));
    let mut late = Section::new(0);
    late.push_accepted(PartitionId(0), &message(br#"{"kind":"x"}"#, &[matched]));
    let early = early.seal(&Case::header(1, case.version()));
    let late = late.seal(&Case::header(3, case.version() + 1));
    // The change in the middle of an entry, and an entry behind it.
    case.replay(&[early, other]);
    case.replay(&[late]);
    assert_eq!((case.shard.applied(), case.messages()), (before, 1));
    // Whoever asks whether the entry is applied waits; so does an image.
    let question = Question::AppliedThrough(before + 1);
    case.shard.on_packet(case.now, CoreId(1), ToShard::Ask { ticket: 9, question }, &mut case.out);
    let image = ToShard::TakeImage(Part::Partition(PartitionId(0)));
    case.shard.on_packet(case.now, CoreId(0), image, &mut case.out);
    assert!(case.out.is_empty(), "{:?}", case.out.take());
    // Reads are answered, and messages are taken, for the catalogue that is in force here.
    case.get(1, "/api/v1/rules", "");
    case.message(2, r#"{"kind":"x"}"#);
    case.flush();
    assert_eq!((case.statuses(), case.submitted.len()), (vec![(1, 200)], 1));
    let work = case.work.remove(0);
    case.shard.on_worked(work.run(), &mut case.out);
    let effects = case.out.take();
    let at = |wanted: &dyn Fn(&ShardEffect) -> bool| effects.iter().position(wanted);
    let applied = at(&|effect| {
        let ShardEffect::ToConsensus(ToConsensus::Applied { index }) = effect else { return false };
        *index == before + 2
    });
    let answer = at(&|effect| {
        let ShardEffect::ToShard { message, .. } = effect else { return false };
        matches!(message, ToShard::Answer { ticket: 9, answer: Answer::Applied, .. })
    });
    let image = at(&|effect| {
        let ShardEffect::ToConsensus(ToConsensus::Image { applied, .. }) = effect else {
            return false;
        };
        *applied == before + 2
    });
    assert!(applied.is_some() && answer.is_some() && image.is_some(), "{effects:?}");
    assert_eq!((case.shard.applied(), case.messages()), (before + 2, 2));
    // The message was matched with the old catalogue: refused, matched again, accepted.
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 200), (2, 202)]);
    assert!(case.replies[1].2.contains(r#"["pure"]"#), "{:?}", case.replies);
}

#[test]
fn a_log_that_was_read_again_gives_the_state_that_its_changes_made_ready_gave() {
    let mut log = Vec::new();
    let mut case = Case::serving();
    for version in 2..40 {
        case.post(u64::from(version), "/api/v1/rules", None, &rule(version, "a", "pure"));
        case.message(1_000, r#"{"kind":"a"}"#);
        case.flush();
        while !case.submitted.is_empty() {
            let (_, _, section) = case.submitted.remove(0);
            log.push(section.clone());
            case.commit(&[section]);
            case.flush();
        }
    }
    let mut again = Case::serving();
    again.packet(ToShard::Role { leading: false, term: 2, leader: None });
    again.stamp = case.stamp - log.len() as u64;
    for section in &log {
        again.replay(std::slice::from_ref(section));
    }
    let state = |case: &Case| {
        let partitions: Vec<u64> = case.shard.partitions().map(Partition::checksum).collect();
        (partitions, case.shard.globals().image())
    };
    assert!(state(&case) == state(&again));
}
