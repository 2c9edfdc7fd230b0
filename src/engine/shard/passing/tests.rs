use super::super::tests::Case;
use super::*;
use crate::batch::SectionView;
use crate::message::NotTaken;
use bytes::Bytes;

/// A shard with four partitions whose rule `k` starts a workflow for a key, and is served.
fn case() -> Case {
    let mut case = Case::serving();
    let rule = r#"{"id":"k","version":1,"conditions":[{"field":"k","op":"exists"}],"actions":[{"workflow":"pure","key":"${ msg.k }"}]}"#;
    case.post(900, "/api/v1/rules", None, rule);
    case.commit_all();
    assert_eq!(case.statuses(), [(900, 201)]);
    case
}

/// Submits a message with a key and commits it, not what it asks for.
fn message(case: &mut Case, id: u64, key: &str) {
    case.message(id, &format!("{{\"k\":\"{key}\"}}"));
    case.flush();
    let (_, _, section) = case.submitted.remove(0);
    case.commit(&[section]);
    assert_eq!(case.statuses().last(), Some(&(id, 202)));
}

fn instances(case: &Case) -> usize {
    case.shard.partitions().map(|partition| partition.instances().count()).sum()
}

fn waiting(case: &Case) -> usize {
    case.shard.partitions().filter(|partition| partition.has_orders()).count()
}

/// The orders in what was submitted: who gives, who takes, and the number.
fn orders(section: &Bytes) -> Vec<(u16, u16, u64)> {
    let view = SectionView::of(section).unwrap();
    let records = view.records().map(|record| record.unwrap());
    records
        .filter(|record| record.kind == RecordType::Passed)
        .map(|record| {
            let number = PassedView::read(record.body).unwrap().number;
            (record.from.unwrap().0, record.partition.0, number)
        })
        .collect()
}

#[test]
fn an_order_goes_out_once_its_message_is_applied_and_is_done_once() {
    let mut case = case();
    message(&mut case, 1, "a");
    assert_eq!((instances(&case), waiting(&case)), (0, 1));
    case.flush();
    assert_eq!(case.submitted.len(), 1);
    let sent = orders(&case.submitted[0].2);
    assert_eq!(sent.len(), 1);
    case.flush();
    assert_eq!(case.submitted.len(), 1, "what is on its way does not go again");
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
    assert!(case.shard.is_drained() && case.submitted.is_empty());
    case.get(2, "/api/v1/workflows", "workflow=pure&key=a");
    assert!(case.replies.last().unwrap().2.contains(r#""key":"a""#));
}

#[test]
fn orders_that_the_log_did_not_take_go_again_after_a_while_from_the_last_one_passed_on() {
    let mut case = case();
    for id in 0..3 {
        message(&mut case, id, "a");
    }
    case.flush();
    let (number, round, section) = case.submitted.remove(0);
    let sent = orders(&section);
    assert!(!sent.is_empty());
    case.packet(ToShard::Refused { number, round, why: NotTaken::NoSpace });
    case.flush();
    assert!(case.submitted.is_empty(), "not at once");
    case.now.instant = case.shard.deadline().unwrap();
    let now = case.now;
    let mut out = Outbox::new();
    case.shard.on_deadline(now, &mut out);
    let again = out.drain().find_map(|effect| match effect {
        ShardEffect::ToConsensus(crate::message::ToConsensus::Submit { section, .. }) => {
            Some(section)
        }
        _ => None,
    });
    let again = again.unwrap();
    assert_eq!(orders(&again), sent);
    case.commit(&[again]);
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
    assert_eq!(case.shard.deadline(), None);
}

#[test]
fn orders_whose_batch_is_made_anew_go_with_the_next_one_and_bring_what_the_catalogue_lost() {
    let mut case = case();
    message(&mut case, 1, "a");
    case.flush();
    let (_, _, orders_section) = case.submitted.remove(0);
    // Rules and definition go before the order arrives.
    case.post(2, "/api/v1/rules", None, &disabled());
    case.flush();
    let (_, _, change) = case.submitted.remove(0);
    case.commit(&[change, orders_section]);
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
}

/// A change that matters to no message.
fn disabled() -> String {
    r#"{"id":"other","version":1,"enabled":false,"conditions":[{"field":"x","op":"exists"}],"actions":[{"workflow":"pure"}]}"#.into()
}

#[test]
fn whoever_takes_office_again_sends_all_that_waits_and_what_comes_twice_acts_once() {
    let mut case = case();
    message(&mut case, 1, "a");
    case.flush();
    let (_, _, first) = case.submitted.remove(0);
    case.packet(ToShard::Role { leading: false, term: 1, leader: None });
    case.flush();
    assert!(case.submitted.is_empty());
    case.packet(ToShard::Role { leading: true, term: 1, leader: Some(base::NodeId(1)) });
    case.commit(&[]);
    case.flush();
    let (_, _, again) = case.submitted.remove(0);
    assert_eq!(orders(&again), orders(&first));
    case.commit(&[first, again]);
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
}

#[test]
fn nothing_goes_to_a_partition_that_is_full_until_it_is_no_longer() {
    let mut case = case();
    for id in (0..4).map(PartitionId) {
        case.packet(ToShard::Full { partition: id, is_full: true });
    }
    message(&mut case, 1, "a");
    case.shard.passing.full = (0..4).map(PartitionId).collect();
    case.flush();
    assert_eq!((case.submitted.len(), waiting(&case)), (0, 1));
    for id in (0..4).map(PartitionId) {
        case.packet(ToShard::Full { partition: id, is_full: false });
    }
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
}

#[test]
fn what_is_on_its_way_is_bounded_for_each_pair_of_partitions() {
    let mut case = case();
    let lines: Vec<String> = (0..1_000).map(|_| r#"{"k":"a"}"#.to_owned()).collect();
    case.post(1, "/api/v1/messages:batch", None, &lines.join("\n"));
    case.flush();
    let (_, _, section) = case.submitted.remove(0);
    case.commit(&[section]);
    case.flush();
    let sent: Vec<_> = case.submitted.iter().flat_map(|(_, _, section)| orders(section)).collect();
    let givers = case.shard.partitions().filter(|partition| partition.has_orders()).count();
    assert_eq!(sent.len(), givers * PASSING_OF_LINK_MAX);
    case.commit_all();
    assert_eq!((instances(&case), waiting(&case)), (1, 0));
}
