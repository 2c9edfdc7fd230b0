mod swap;

use super::*;
use crate::batch::{BatchView, SectionView, join};
use crate::globals::Prepared;
use crate::message::{Committed, NotTaken};
use crate::submission::{LineResult, Origin, Submission};
use api::{Method, Request};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A shard and the log it talks to, committed by hand.
pub(super) struct Case {
    pub(super) shard: ShardCore,
    out: Outbox<ShardEffect>,
    /// Submitted and not yet committed: number, round, section.
    pub(super) submitted: Vec<(u64, u32, Bytes)>,
    pub(super) replies: Vec<(u64, u16, String)>,
    results: Vec<(u64, SubmitResults)>,
    calls: Vec<OrderId>,
    aborted: Vec<OrderId>,
    /// What was made ready of the sections that close with a change.
    carried: Vec<(Bytes, Arc<Prepared>)>,
    /// Whether work is done as soon as it is ordered.
    works: bool,
    /// Tickets of reads that wait for an index.
    pub(super) reads: Vec<u64>,
    work: Vec<Work>,
    index: u64,
    stamp: u64,
    pub(super) now: Now,
}

const WORKFLOWS: &str = r#"
workflows:
  - { id: pure, version: 1, tasks: [{ id: a, type: transform, with: { x: 1 } }] }
  - { id: call, version: 1, tasks: [{ id: a, type: http, timeout: 1s, with: { method: GET, url: "http://h/" } }] }
"#;

fn catalogue() -> Vec<Change> {
    let source = document::Source { name: "test", text: WORKFLOWS };
    let found = flow::parse(source, flow::Plugins::Any).unwrap().into_iter();
    let mut changes: Vec<Change> = found.map(|found| Change::PutDefinition(found.source)).collect();
    changes.push(Change::PutRule(rule(1, "a", "pure")));
    changes
}

fn rule(version: u32, kind: &str, workflow: &str) -> String {
    format!(
        "{{\"id\":\"r\",\"version\":{version},\"conditions\":[{{\"field\":\"kind\",\"op\":\"equals\",\
         \"value\":\"{kind}\"}}],\"actions\":[{{\"workflow\":\"{workflow}\"}}]}}"
    )
}

impl Case {
    /// A lone shard that leads and whose cluster is born.
    pub(super) fn serving() -> Self {
        let mut case = Self::new();
        case.lead();
        case.commit_all();
        assert!(case.shard.serving);
        case
    }

    fn new() -> Self {
        let born = Born {
            cluster_id: 1,
            partitions: 4,
            retention_bytes: 1 << 20,
            keys_max: 1_000,
            key_ttl_ms: 60_000,
        };
        let shard = ShardCore::new(ShardConfig {
            node: NodeId(1),
            boot: BootId(1),
            store: StoreId(1),
            core: CoreId(0),
            shards: 1,
            cpus: vec![0],
            program_version: "test",
            started_at: Instant(0),
            birth: Birth { born, catalogue: catalogue() },
            workers: crate::WorkersConfig::default(),
        });
        Self {
            shard,
            out: Outbox::new(),
            submitted: Vec::new(),
            replies: Vec::new(),
            results: Vec::new(),
            calls: Vec::new(),
            aborted: Vec::new(),
            carried: Vec::new(),
            works: true,
            reads: Vec::new(),
            work: Vec::new(),
            index: 0,
            stamp: 1_000,
            now: Now::default(),
        }
    }

    fn lead(&mut self) {
        self.packet(ToShard::Alone { since: Some(0) });
        self.packet(ToShard::Role { leading: true, term: 1, leader: Some(NodeId(1)) });
        self.commit_entry(Bytes::new());
    }

    pub(super) fn packet(&mut self, message: ToShard) {
        self.shard.on_packet(self.now, CoreId(0), message, &mut self.out);
        self.drain();
    }

    fn commit_entry(&mut self, data: Bytes) {
        self.commit_with(data, Vec::new());
    }

    fn commit_with(&mut self, data: Bytes, prepared: Vec<(usize, Arc<Prepared>)>) {
        self.index += 1;
        let entry = Committed { index: self.index, term: 1, data, prepared };
        self.packet(ToShard::Committed(vec![entry]));
    }

    /// Commits them in one entry, with what was made ready of them.
    pub(super) fn commit(&mut self, sections: &[Bytes]) {
        self.stamp += 1;
        let of = |section: &Bytes| self.carried.iter().find(|(carried, _)| carried == section);
        let prepared =
            sections.iter().zip(0..).filter_map(|(section, at)| Some((at, of(section)?)));
        let prepared = prepared.map(|(at, (_, prepared))| (at, Arc::clone(prepared))).collect();
        self.commit_with(join(UnixMicros(self.stamp), sections), prepared);
    }

    /// Commits them as a node reads them from its journal.
    fn replay(&mut self, sections: &[Bytes]) {
        self.stamp += 1;
        self.commit_entry(join(UnixMicros(self.stamp), sections));
    }

    /// Commits what was submitted, each batch in an entry of its own, until nothing is.
    pub(super) fn commit_all(&mut self) {
        self.shard.on_flush(&mut self.out);
        self.drain();
        while !self.submitted.is_empty() {
            let (_, _, section) = self.submitted.remove(0);
            self.commit(&[section]);
            self.shard.on_flush(&mut self.out);
            self.drain();
        }
    }

    pub(super) fn drain(&mut self) {
        for effect in self.out.take() {
            match effect {
                ShardEffect::ToConsensus(ToConsensus::Submit {
                    number,
                    round,
                    section,
                    prepared,
                    ..
                }) => {
                    self.carried.extend(prepared.map(|prepared| (section.clone(), prepared)));
                    self.submitted.push((number, round, section));
                }
                ShardEffect::Reply { request, response } => {
                    let body = String::from_utf8(response.body).unwrap();
                    self.replies.push((request.0, response.status, body));
                }
                ShardEffect::Submitted { request, results } => {
                    self.results.push((request.0, results));
                }
                ShardEffect::Call(order) => self.calls.push(OrderId::of(&order)),
                ShardEffect::Abort(id) => self.aborted.push(id),
                ShardEffect::ToConsensus(ToConsensus::ReadIndex { ticket }) => {
                    self.reads.push(ticket);
                }
                ShardEffect::Work(work) if self.works => {
                    self.shard.on_worked(work.run(), &mut self.out);
                }
                ShardEffect::Work(work) => self.work.push(work),
                ShardEffect::Fatal(reason) => panic!("{reason}"),
                _ => {}
            }
        }
        if !self.out.is_empty() {
            self.drain();
        }
    }

    pub(super) fn post(&mut self, id: u64, path: &str, key: Option<&str>, body: &str) {
        let request = Request {
            method: Method::Post,
            path,
            query: "",
            content_type: None,
            idempotency_key: key.map(str::as_bytes),
            by: None,
            trace: None,
            body: body.as_bytes(),
        };
        let route = api::route(request.method, request.path, request.query).unwrap();
        self.shard.on_request(self.now, RequestId(id), &route, &request, &mut self.out);
        self.drain();
    }

    pub(super) fn get(&mut self, id: u64, path: &str, query: &str) {
        let request = Request {
            method: Method::Get,
            path,
            query,
            content_type: None,
            idempotency_key: None,
            by: None,
            trace: None,
            body: b"",
        };
        let route = api::route(request.method, request.path, request.query).unwrap();
        self.shard.on_request(self.now, RequestId(id), &route, &request, &mut self.out);
        self.drain();
    }

    pub(super) fn message(&mut self, id: u64, body: &str) {
        self.post(id, "/api/v1/messages", None, body);
    }

    fn submit(&mut self, id: u64, origin: Origin<'_>, messages: &[&str]) {
        let messages: Vec<&[u8]> = messages.iter().map(|message| message.as_bytes()).collect();
        let submission = Submission { origin, messages: &messages, trace: None };
        self.shard.on_submit(RequestId(id), &submission, &mut self.out);
        self.drain();
    }

    /// What became of a submission's messages, each in a word, or of all of them.
    fn told(&self, id: u64) -> Vec<String> {
        let results = self.results.iter().find(|(request, _)| *request == id);
        let SubmitResults::Lines(lines) = &results.expect("it was answered").1 else {
            let SubmitResults::Refused(error) = &results.unwrap().1 else { unreachable!() };
            return vec![format!("refused whole: {}", error.code.as_str())];
        };
        let line = |line: &LineResult| match line {
            LineResult::Accepted { id, workflows } => format!("{id} {}", workflows.len()),
            LineResult::Duplicate { id, workflows } => format!("again {id} {}", workflows.len()),
            LineResult::Conflict { id } => format!("conflict {id}"),
            LineResult::Refused(error) => format!("refused: {}", error.code.as_str()),
        };
        lines.iter().map(line).collect()
    }

    fn messages(&self) -> usize {
        self.shard.partitions().map(|partition| partition.messages().count()).sum()
    }

    pub(super) fn flush(&mut self) {
        self.shard.on_flush(&mut self.out);
        self.drain();
    }

    pub(super) fn deadline(&mut self) {
        self.shard.on_deadline(self.now, &mut self.out);
        self.drain();
    }

    pub(super) fn statuses(&self) -> Vec<(u64, u16)> {
        self.replies.iter().map(|(id, status, _)| (*id, *status)).collect()
    }
}

fn records(section: &Bytes) -> u32 {
    SectionView::of(section).unwrap().records
}

#[test]
fn nothing_is_taken_before_the_cluster_is_born_and_led() {
    let mut case = Case::new();
    case.message(1, "{}");
    case.lead();
    case.message(2, "{}");
    case.commit_all();
    case.message(3, "{}");
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 503), (2, 503), (3, 202)]);
    assert!(case.replies[0].2.contains("\"starting\""), "{}", case.replies[0].2);
}

#[test]
fn a_message_is_answered_only_after_its_record_was_applied() {
    let mut case = Case::serving();
    case.message(1, r#"{"kind":"a"}"#);
    case.flush();
    assert_eq!((case.replies.len(), case.submitted.len()), (0, 1));
    case.commit_all();
    let (_, status, body) = &case.replies[0];
    assert_eq!(*status, 202);
    assert!(body.ends_with(r#""status":"accepted","workflows_triggered":["pure"]}"#), "{body}");
}

#[test]
fn messages_of_one_round_share_a_batch() {
    let mut case = Case::serving();
    for id in 1..=10 {
        case.message(id, "{}");
    }
    case.flush();
    assert_eq!(case.submitted.len(), 1);
    assert_eq!(records(&case.submitted[0].2), 10);
}

#[test]
fn a_batch_with_one_bad_line_is_refused_whole_and_leaves_nothing() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/messages:batch", None, "{\"n\":1}\n{\"n\":2}\n[3]\n");
    case.flush();
    assert!(case.submitted.is_empty());
    assert_eq!(case.statuses(), [(1, 400)]);
    assert!(case.replies[0].2.contains("line 3"), "{}", case.replies[0].2);
    case.post(2, "/api/v1/messages:batch", Some("k"), "{\"n\":1}\n{\"n\":2}\n");
    case.commit_all();
    case.post(3, "/api/v1/messages:batch", Some("k"), "{\"n\":1}\n{\"n\":9}\n");
    case.commit_all();
    assert_eq!(case.statuses()[1..], [(2, 202), (3, 202)]);
    let answer = &case.replies[2].2;
    assert!(answer.contains("duplicate") && answer.contains("conflict"), "{answer}");
}

#[test]
fn a_refused_batch_is_told_to_its_clients_and_its_number_is_used_again() {
    let mut case = Case::serving();
    case.message(1, "{}");
    case.flush();
    case.message(2, "{}");
    case.flush();
    let (number, round, _) = case.submitted[0];
    case.submitted.clear();
    case.packet(ToShard::Refused { number, round, why: NotTaken::NoSpace });
    assert_eq!(case.statuses(), [(1, 503), (2, 503)]);
    assert!(case.replies[0].2.contains("no_space"));
    case.message(3, "{}");
    case.flush();
    assert_eq!((case.submitted[0].0, case.submitted[0].1), (number, round + 1));
    case.commit_all();
    assert_eq!(case.statuses()[2..], [(3, 202)]);
    // The same refusal again, of the round that is over, changes nothing.
    case.packet(ToShard::Refused { number, round, why: NotTaken::NoSpace });
    assert_eq!(case.replies.len(), 3);
}

#[test]
fn batches_in_flight_are_matched_again_when_the_catalogue_changes_under_them() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.message(2, r#"{"kind":"a"}"#);
    case.flush();
    case.message(3, r#"{"kind":"b"}"#);
    let sections: Vec<Bytes> = case.submitted.drain(..).map(|(_, _, section)| section).collect();
    assert_eq!(sections.len(), 2, "nothing follows a change in its batch");
    // All in one entry: the second was matched with the catalogue that the first replaces.
    case.commit(&sections);
    case.commit_all();
    let answers: Vec<&str> = case.replies.iter().map(|(_, _, body)| body.as_str()).collect();
    assert_eq!(case.statuses(), [(1, 200), (2, 202), (3, 202)]);
    assert!(answers[1].contains(r#""workflows_triggered":[]"#), "{}", answers[1]);
    assert!(answers[2].contains(r#""workflows_triggered":["pure"]"#), "{}", answers[2]);
}

#[test]
fn a_message_that_the_new_catalogue_refuses_is_refused_with_its_whole_request() {
    let mut case = Case::serving();
    let twice = r#"{"b":1,"b":2}"#;
    let by_b = rule(2, "b", "pure").replace("\"kind\"", "\"b\"");
    case.post(1, "/api/v1/rules", None, &by_b);
    case.post(2, "/api/v1/messages:batch", None, &format!("{{\"n\":1}}\n{twice}\n"));
    case.message(3, "{}");
    case.commit_all();
    assert_eq!(case.statuses(), [(1, 200), (2, 400), (3, 202)]);
    let messages: usize = case.shard.partitions().map(|p| p.messages().count()).sum();
    assert_eq!(messages, 1, "of the refused request nothing is there");
}

#[test]
fn an_order_goes_out_in_office_only_and_its_result_is_recorded_once() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    case.message(2, r#"{"kind":"c"}"#);
    case.commit_all();
    let order = case.calls[0];
    // Another term begins: the order is outstanding and goes out again, as the same attempt.
    case.packet(ToShard::Role { leading: true, term: 1, leader: Some(NodeId(1)) });
    case.commit_entry(Bytes::new());
    assert_eq!(case.calls.len(), 1, "it is still running here");
    let ended = crate::record::Ended::Output(b"{\"status\":200}".to_vec());
    case.shard.on_call_ended(order, ended.clone(), &mut case.out);
    case.shard.on_call_ended(order, ended, &mut case.out);
    case.flush();
    assert_eq!(case.submitted.iter().map(|(_, _, s)| records(s)).sum::<u32>(), 1);
    case.commit_all();
    assert_eq!(case.shard.partitions().map(Partition::running).sum::<usize>(), 0);
}

#[test]
fn an_own_record_of_a_refused_batch_is_tried_again() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    case.message(2, r#"{"kind":"c"}"#);
    case.commit_all();
    let order = case.calls[0];
    let ended = crate::record::Ended::Output(b"{\"status\":200}".to_vec());
    case.shard.on_call_ended(order, ended, &mut case.out);
    case.flush();
    let (number, round, _) = case.submitted.remove(0);
    case.packet(ToShard::Refused { number, round, why: NotTaken::NoSpace });
    assert!(case.submitted.is_empty());
    let due = case.shard.deadline().expect("the record waits for its time");
    assert_eq!(due, Instant(0) + Duration::from_millis(limits::RETRY_MS));
    case.now.instant = due;
    case.shard.on_deadline(case.now, &mut case.out);
    case.drain();
    case.commit_all();
    assert_eq!(case.shard.partitions().map(Partition::running).sum::<usize>(), 0);
    assert!(case.shard.is_drained());
}

#[test]
fn a_timeout_withdraws_the_call_and_waits_until_it_has_stopped() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    case.message(2, r#"{"kind":"c"}"#);
    case.commit_all();
    let order = case.calls[0];
    case.stamp += 1_000_000;
    case.commit(&[]);
    assert_eq!(case.aborted, [order]);
    case.shard.on_call_stopped(order, &mut case.out);
    case.commit_all();
    assert_eq!(case.shard.partitions().map(Partition::running).sum::<usize>(), 0);
}

#[test]
fn a_core_that_stops_takes_nothing_new_and_answers_what_it_has() {
    let mut case = Case::serving();
    case.message(1, "{}");
    case.shard.on_stop();
    case.message(2, "{}");
    assert!(!case.shard.is_drained());
    case.commit_all();
    assert_eq!(case.statuses(), [(2, 503), (1, 202)]);
    assert!(case.shard.is_drained());
}

#[test]
fn what_is_gathered_is_bounded() {
    let mut case = Case::serving();
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(200_000));
    let mut id = 0;
    while case.replies.is_empty() {
        id += 1;
        case.message(id, &body);
        assert!(id < 1_000, "the core gathers without end");
    }
    assert_eq!(case.replies[0].1, 429);
    let waiting: usize = case.submitted.iter().map(|(_, _, section)| section.len()).sum();
    assert!(waiting <= limits::UNANSWERED_BYTES_MAX);
    let entry = join(UnixMicros(1), &[case.submitted[0].2.clone()]);
    assert_eq!(BatchView::parse(&entry).unwrap().sections().count(), 1);
}

#[test]
fn a_submission_is_told_what_became_of_each_message() {
    let mut case = Case::serving();
    case.submit(1, Origin::None, &[r#"{"kind":"a"}"#]);
    case.submit(2, Origin::Key("k"), &["{}", r#"{"n":1}"#]);
    case.commit_all();
    case.submit(3, Origin::Key("k"), &["{}", r#"{"n":2}"#]);
    case.submit(4, Origin::Key("k#1"), &["{}"]);
    case.commit_all();
    assert_eq!(case.told(1).len(), 1);
    assert!(case.told(1)[0].ends_with(" 1"), "{:?}", case.told(1));
    let [first, second] = &case.told(2)[..] else { panic!("{:?}", case.told(2)) };
    let conflict = second.trim_end_matches(" 0");
    assert_eq!(case.told(3), [format!("again {first}"), format!("conflict {conflict}")]);
    assert_eq!(case.told(4), [format!("again {first}")]);
}

#[test]
fn a_producer_that_sends_again_adds_nothing_whatever_the_way_and_the_order() {
    let mut case = Case::serving();
    let at = |sequence| Origin::Producer { producer: 9, sequence };
    case.submit(1, at(1), &[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
    case.submit(2, at(5), &[r#"{"n":5}"#]);
    case.commit_all();
    case.submit(3, at(2), &[r#"{"n":2}"#, r#"{"n":3}"#, r#"{"n":4}"#, r#"{"n":6}"#]);
    case.submit(4, Origin::Producer { producer: 10, sequence: 2 }, &["{}"]);
    case.commit_all();
    let (first, again) = (case.told(1), case.told(3));
    assert_eq!(again[..2], [format!("again {}", first[1]), format!("again {}", first[2])]);
    assert_eq!(again[3], format!("conflict {}", case.told(2)[0].trim_end_matches(" 0")));
    assert_eq!(case.told(4), ["refused: unknown_producer"]);
    assert_eq!(case.messages(), 5);
    case.submit(5, at(2_000), &["{}"]);
    case.submit(6, at(1), &[r#"{"n":1}"#]);
    case.commit_all();
    assert_eq!(case.told(6), ["refused: sequence_too_old"]);
}

#[test]
fn a_submission_that_cannot_be_taken_is_refused_whole_and_leaves_nothing() {
    let mut case = Case::serving();
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(250_000));
    let (many, long) = (vec!["{}"; 1_001], "k".repeat(300));
    let at = |producer, sequence| Origin::Producer { producer, sequence };
    let rows: [(Origin<'_>, &[&str], &str); 9] = [
        (Origin::None, &[], "empty_batch"),
        (Origin::None, &many, "too_large"),
        (Origin::None, &[large.as_str(); 5], "too_large"),
        (Origin::None, &["{}", "[]"], "not_an_object"),
        (Origin::Key(""), &["{}"], "bad_key"),
        (Origin::Key(&long), &["{}", "{}"], "key_too_long"),
        (at(0, 1), &["{}"], "bad_request"),
        (at(1, 0), &["{}"], "bad_request"),
        (at(1, u64::MAX), &["{}"], "bad_request"),
    ];
    case.submit(100, Origin::None, &["{}"]);
    for ((origin, messages, code), id) in rows.into_iter().zip(0..) {
        case.submit(id, origin, messages);
        assert_eq!(case.told(id), [format!("refused whole: {code}")]);
    }
    case.commit_all();
    assert_eq!((case.told(100).len(), case.messages()), (1, 1));
}

#[test]
fn a_group_that_does_not_fit_the_open_batch_goes_whole_into_the_next() {
    let mut case = Case::serving();
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(105_000));
    case.submit(1, Origin::None, &[&body, &body]);
    // How much more than its messages a group takes is known only when it is written.
    case.submit(2, Origin::None, &vec!["{}"; 1_000]);
    case.submit(3, Origin::None, &[&body, &body]);
    case.flush();
    let sealed: Vec<u32> = case.submitted.iter().map(|(_, _, section)| records(section)).collect();
    assert_eq!(sealed, [2, 1_000, 2]);
    assert!(case.submitted.iter().all(|(_, _, section)| section.len() <= limits::SECTION_BYTES));
    case.commit_all();
    assert_eq!(case.messages(), 1_004);
}

#[test]
fn a_producers_messages_keep_their_numbers_when_they_are_matched_again() {
    let mut case = Case::serving();
    let origin = Origin::Producer { producer: 3, sequence: 1 };
    case.post(1, "/api/v1/rules", None, &rule(2, "b", "pure"));
    case.submit(2, origin, &[r#"{"kind":"a"}"#, r#"{"kind":"b"}"#]);
    case.flush();
    let sections: Vec<Bytes> = case.submitted.drain(..).map(|(_, _, section)| section).collect();
    case.commit(&sections);
    case.commit_all();
    case.submit(3, origin, &[r#"{"kind":"a"}"#, r#"{"kind":"b"}"#]);
    case.commit_all();
    let again: Vec<String> = case.told(2).iter().map(|told| format!("again {told}")).collect();
    assert_eq!((case.told(3), case.messages()), (again, 2));
    assert!(case.told(2)[1].ends_with(" 1"), "{:?}", case.told(2));
}

#[test]
fn events_are_told_once_they_happen_and_who_waits_is_answered_in_time() {
    let mut case = Case::serving();
    let ask = |case: &mut Case, id, query: &str| case.get(id, "/api/v1/events", query);
    ask(&mut case, 1, "");
    let first = &case.replies[0].2;
    let places = ["leader_elected", "definitions_changed", "rules_changed", r#""next":3,"lost":0"#]
        .map(|part| first.find(part).unwrap_or_else(|| panic!("no {part} in {first}")));
    assert!(places.is_sorted(), "{first}");

    ask(&mut case, 2, "after=3&wait=30s");
    ask(&mut case, 3, "after=3&wait=10s");
    assert_eq!(case.replies.len(), 1, "nothing has happened yet");
    assert_eq!(case.shard.deadline(), Some(Instant(0) + Duration::from_secs(10)));
    case.now.instant = Instant(0) + Duration::from_secs(10);
    case.shard.on_deadline(case.now, &mut case.out);
    case.drain();
    assert_eq!(case.replies.len(), 2);
    assert!(case.replies[1].2.contains(r#""events":[],"next":3"#), "{}", case.replies[1].2);
    case.post(4, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    let told = case.replies.iter().find(|(id, ..)| *id == 2).expect("it was answered");
    assert!(told.2.contains(r#""kind":"rules_changed","version":2,"stored":["r"]"#), "{}", told.2);

    ask(&mut case, 5, "after=4&wait=60s");
    case.message(6, r#"{"kind":"c"}"#);
    case.commit_all();
    let failed =
        crate::record::Failed { code: "http_400".into(), message: "no".into(), retryable: false };
    case.shard.on_call_ended(case.calls[0], crate::record::Ended::Failed(failed), &mut case.out);
    case.commit_all();
    let told = case.replies.iter().find(|(id, ..)| *id == 5).expect("it was answered");
    let fields = r#""workflow":"call","task":"a","attempts":1,"code":"http_400","message":"no""#;
    assert!(told.2.contains(fields), "{}", told.2);

    ask(&mut case, 7, "after=5&wait=60s");
    case.shard.on_stop();
    assert!(!case.shard.is_drained());
    assert_eq!(case.shard.deadline(), Some(Instant(0)));
    case.shard.on_deadline(case.now, &mut case.out);
    case.drain();
    assert!(case.shard.is_drained(), "a stop waits for nobody who waits for events");
}

#[test]
fn those_who_wait_for_events_take_no_place_of_other_reads() {
    let mut case = Case::serving();
    for id in 0..limits::QUERIES_MAX as u64 {
        case.get(id, "/api/v1/events", "after=3&wait=60s");
    }
    let waiting = limits::QUERIES_MAX - case.replies.len();
    assert_eq!(waiting, limits::EVENT_WAITS_MAX, "the rest is refused");
    assert!(case.statuses().iter().all(|(_, status)| *status == 429), "{:?}", case.statuses());
    // What needs no waiting is still told, and so is everything else.
    case.replies.clear();
    case.get(5_001, "/api/v1/events", "after=0&wait=60s");
    case.get(5_002, "/api/v1/events", "after=3");
    case.get(5_003, "/api/v1/workflows", "");
    assert_eq!(case.statuses(), [(5_001, 200), (5_002, 200), (5_003, 200)]);
    // Whoever is answered makes room.
    case.post(5_004, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    case.replies.clear();
    case.get(5_005, "/api/v1/events", "after=4&wait=60s");
    assert_eq!(case.statuses(), []);
}

#[test]
fn an_order_carries_its_messages_trace_also_when_it_goes_out_again() {
    let mut case = Case::serving();
    case.post(1, "/api/v1/rules", None, &rule(2, "c", "call"));
    case.commit_all();
    let trace = Some(telemetry::TraceContext { trace: 1 << 100, span: 9 });
    let messages: [&[u8]; 1] = [br#"{"kind":"c"}"#];
    let submission = Submission { origin: Origin::None, messages: &messages, trace };
    case.shard.on_submit(RequestId(2), &submission, &mut case.out);
    case.shard.on_flush(&mut case.out);
    let ShardEffect::ToConsensus(ToConsensus::Submit { section, .. }) = &case.out.take()[0] else {
        panic!("a batch goes out")
    };
    let entry = Committed {
        index: case.index + 1,
        term: 1,
        data: join(UnixMicros(9_000), std::slice::from_ref(section)),
        prepared: Vec::new(),
    };
    case.shard.on_packet(case.now, CoreId(0), ToShard::Committed(vec![entry]), &mut case.out);
    let ordered = case.out.take().into_iter().find_map(|effect| match effect {
        ShardEffect::Call(order) => Some(order.trace),
        _ => None,
    });
    assert_eq!(ordered, Some(trace));
    let again: Vec<_> = case.shard.partitions().flat_map(Partition::outstanding).collect();
    assert_eq!(again.iter().map(|order| order.trace).collect::<Vec<_>>(), [trace]);
}

#[test]
fn a_snapshot_of_the_first_entries_alone_is_started_from_and_the_birth_comes_behind_it() {
    let mut case = Case::new();
    let mut globals = Globals::default();
    globals.applied = 1;
    case.packet(ToShard::Restore { globals: Box::new(globals), partitions: Vec::new() });
    case.index = 1;
    case.lead();
    case.commit_all();
    assert!(case.shard.serving);
    assert_eq!(case.shard.partitions().count(), 4);
    let mut other = Case::new();
    let (globals, image) = (Box::new(Globals::default()), Bytes::from_static(b"of nothing"));
    let message = ToShard::Restore { globals, partitions: vec![image] };
    other.shard.on_packet(other.now, CoreId(0), message, &mut other.out);
    let told = other.out.take();
    assert!(matches!(&told[..], [ShardEffect::Fatal(reason)] if reason.contains("birth")));
}
