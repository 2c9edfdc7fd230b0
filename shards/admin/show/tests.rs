//! The tables are fed with what the node's own writers make, so that a field that changes its name
//! there is found here.

use super::*;
use base::{
    Address, CoreId, InstanceId, MessageId, NodeId, Outbox, PartitionId, StoreId, UnixMicros,
    WorkerId,
};

fn shown(
    write: impl FnOnce(&mut Vec<u8>),
    show: impl FnOnce(&Value, &mut dyn Write) -> io::Result<()>,
) -> String {
    let mut body = Vec::new();
    write(&mut body);
    let mut out = Vec::new();
    show(&serde_json::from_slice(&body).unwrap(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The words of each line, so that no test depends on the width of a column.
fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

fn id() -> InstanceId {
    InstanceId { message: MessageId::new(PartitionId(3), 0xa1), ordinal: 1 }
}

fn summary() -> api::InstanceSummary<'static> {
    api::InstanceSummary {
        instance: id(),
        workflow: "fraud_check",
        version: 3,
        status: "running",
        started_at: UnixMicros(0),
        ended_at: None,
        message: id().message,
        key: None,
    }
}

fn node(address: &Address) -> api::NodeView<'_> {
    api::NodeView {
        node: NodeId(4),
        standing: api::Standing::Learner,
        leads: false,
        store_id: StoreId(0xdef),
        address: Some(address),
        progress: Some(api::NodeProgress { match_index: 7, lag: 3, heard: true, snapshot: false }),
    }
}

fn members<'a>(nodes: &'a [api::NodeView<'a>], absent: Option<&'a str>) -> api::NodesView<'a> {
    api::NodesView { nodes, progress_absent: absent, members: Err("it takes no gossip") }
}

#[test]
fn the_members_are_listed_with_how_far_they_are_or_why_that_is_not_known() {
    let address = Address::parse("10.0.0.4:9101").unwrap();
    let text = shown(|out| members(&[node(&address)], None).write(out), nodes);
    let lines = words(&text);
    let titles = "NODE STANDING LEADER ADDRESS STORE MATCH LAG HEARD SNAPSHOT";
    assert_eq!(lines[0].join(" "), titles);
    let row = "4 learner false 10.0.0.4:9101 0000000000000def 7 3 true false";
    assert_eq!(lines[1].join(" "), row);
    let absent = "who else is there is not known: it takes no gossip";
    assert_eq!((lines[3].join(" "), lines.len()), (absent.to_owned(), 4));
    let silent = api::NodeView { progress: None, ..node(&address) };
    let text = shown(|out| members(&[silent], Some("nobody leads")).write(out), nodes);
    let lines = words(&text);
    assert_eq!(lines[1].join(" "), "4 learner false 10.0.0.4:9101 0000000000000def - - - -");
    assert_eq!(lines[2].join(" "), "how far they are is not known: nobody leads");
}

#[test]
fn everybody_whom_gossip_knows_is_listed_below() {
    let worker = api::MemberView {
        node: None,
        worker: Some(WorkerId(0x9f3c)),
        name: "worker-1",
        roles: &["worker"],
        state: "suspected",
        since: UnixMicros(0),
        leads: false,
        gossip: "10.0.0.7:9201".parse().unwrap(),
        http: "10.0.0.7:8080",
        zone: "",
        capacity: 8,
        load_permille: 310,
        versions: (1, 2),
    };
    let view = api::NodesView { nodes: &[], progress_absent: None, members: Ok(&[worker]) };
    let text = shown(|out| view.write(out), nodes);
    let lines = words(&text);
    let titles =
        "NAME NODE WORKER ROLES STATE SINCE LEADER LOAD CAPACITY ZONE HTTP GOSSIP VERSIONS";
    assert_eq!(lines[2].join(" "), titles);
    let row = "worker-1 - 0000000000009f3c worker suspected 1970-01-01T00:00:00.000000Z false 310 8 \
               10.0.0.7:8080 10.0.0.7:9201 [1,2]";
    assert_eq!((lines[3].join(" "), lines.len()), (row.to_owned(), 4));
}

#[test]
fn a_comparison_says_whether_all_are_equal_or_who_is_missing() {
    let node = |node, checksum| api::NodeChecksum { node: NodeId(node), checksum };
    let rows: [(Option<u64>, &[api::NodeChecksum<'_>], &str); 4] = [
        (Some(9), &[node(1, Ok(5)), node(2, Ok(5))], "all nodes are equal at entry 9"),
        (Some(9), &[node(1, Ok(5)), node(2, Ok(6))], "THE NODES DIFFER at entry 9"),
        (Some(9), &[node(1, Ok(5)), node(2, Err("silent"))], "not known: 1 of 2 are missing"),
        (None, &[node(1, Err("silent"))], "nothing was compared"),
    ];
    for (index, nodes, verdict) in rows {
        let text = shown(|out| api::ChecksumView { index, nodes }.write(out), checksum);
        assert!(text.lines().last().unwrap().starts_with(verdict), "{text}");
    }
}

#[test]
fn the_cluster_status_shows_role_log_and_cores() {
    let address = Address::parse("10.0.0.4:9101").unwrap();
    let node = [node(&address)];
    let view = api::ClusterStatus {
        node: NodeId(1),
        cluster_id: 0xabc,
        store_id: StoreId(0xdef),
        role: "leader",
        leader: Some(NodeId(1)),
        voters: &[NodeId(1)],
        nodes: members(&node, None),
        term: 4,
        commit_index: 17,
        applied_index: 16,
        format_level: 1,
        catalogue_version: 2,
        partitions: 64,
        cores: &[api::CoreStatus {
            core: CoreId(0),
            cpu: 3,
            roles: &["consensus", "shard"],
            partitions: 32,
            connections: 5,
            instances_running: 6,
        }],
        uptime_seconds: 3_700,
        program_version: "0.1.0",
    };
    let text = shown(|out| view.write(out), cluster_status);
    let lines = words(&text);
    assert_eq!(lines[0].join(" "), "node 1: leader in term 4");
    assert_eq!(lines[1].join(" "), "version 0.1.0, up 1 h 1 min");
    assert!(text.contains("committed 17, applied 16"), "{text}");
    assert_eq!(lines.last().unwrap().join(" "), "0 3 consensus, shard 32 5 6");
    assert!(text.contains("learner"), "{text}");
    assert!(!text.lines().skip(8).any(|line| line.contains(" - ")), "{text}");
}

#[test]
fn rules_and_definitions_are_listed_with_the_version_of_the_catalogue() {
    let rules_view = api::RulesView {
        version: 12,
        rules: &[api::RuleSummary {
            id: "r",
            version: 1,
            priority: -5,
            enabled: false,
            workflows: &["a", "b"],
            hash: 1,
        }],
    };
    let text = shown(|out| rules_view.write(out), rules);
    assert_eq!(words(&text)[1].join(" "), "-5 r 1 false a, b");
    assert_eq!(words(&text)[2].join(" "), "catalogue version 12");
    let definitions_view = api::DefinitionsView {
        version: 12,
        definitions: &[api::DefinitionSummary { id: "w", version: 2, tasks: &["t", "u"], hash: 1 }],
    };
    let text = shown(|out| definitions_view.write(out), definitions);
    assert_eq!(words(&text)[1].join(" "), "w 2 t, u");
}

#[test]
fn a_page_of_instances_says_where_the_next_begins() {
    let rows = [summary()];
    let page = api::InstancesView { instances: &rows, next: Some(rows[0].cursor()) };
    let text = shown(|out| page.write(out), instances);
    assert_eq!(
        words(&text)[1].join(" "),
        "00300000000000a1-1 fraud_check 3 running 1970-01-01T00:00:00.000000Z -"
    );
    assert_eq!(
        words(&text)[2].join(" "),
        "there are more: --after 0000000000000000-00300000000000a1-1"
    );
}

#[test]
fn a_message_shows_its_rules_and_instances() {
    let view = api::MessageView {
        message_id: id().message,
        status: "accepted",
        accepted_at: UnixMicros(0),
        idempotency_key: Some("order-17"),
        rules: &[api::RuleMatch { rule: "large", version: 2, workflows: &["fraud_check"] }],
        instances: &[summary()],
        keyed: &[api::KeyedStart { workflow: "follow", key: "p-17" }],
        message: b"{\"amount\":15000,\"note\":\"\\u001b[2J\"}",
    };
    let text = shown(|out| view.write(out), message);
    assert!(text.contains("key      order-17"), "{text}");
    assert!(text.contains("large"), "{text}");
    assert!(text.contains("00300000000000a1-1"), "{text}");
    assert!(text.contains("p-17"), "{text}");
    assert!(!text.contains('\u{1b}'), "no escape reaches the terminal");
}

#[test]
fn an_instance_shows_its_tasks_and_its_history() {
    let text = "
workflow:
  id: greet
  tasks:
    - { id: words, type: transform, with: { text: 'hello' } }
    - { id: stop, type: fail, depends_on: [words], with: { code: NO, message: 'not today' } }
";
    let source = document::Source { name: "greet.yaml", text };
    let parsed = flow::parse(source, flow::Plugins::Any).unwrap();
    let start = flow::Start {
        id: id(),
        definition: &parsed[0],
        message: expr::Value::Null,
        params: expr::Value::Null,
        now: UnixMicros(1),
        timeout: None,
        retry: None,
    };
    let run = flow::Instance::start(start, &mut Outbox::new());
    let json = run.to_json(&parsed[0], &());
    let text = shown(|out| out.extend_from_slice(json.as_bytes()), instance);
    let lines = words(&text);
    assert_eq!(lines[0].join(" "), "instance 00300000000000a1-1: greet version 1, failed");
    assert!(text.contains("error   in stop: NO: not"), "{text}");
    let task = lines.iter().find(|line| line.first() == Some(&"words")).unwrap();
    assert_eq!(task[1..4], ["transform", "completed", "1"], "{text}");
    assert_eq!(task[4], "1970-01-01T00:00:00.000001Z", "{text}");
    assert!(task.last().unwrap().contains("hello"), "{text}");
    let history = lines.iter().filter(|line| line.first().is_some_and(|at| at.starts_with("1970")));
    assert!(history.count() >= 3, "{text}");
}

#[test]
fn an_uptime_is_shown_in_its_two_largest_units() {
    let rows = [(5, "5 s"), (65, "1 min 5 s"), (7_260, "2 h 1 min"), (200_000, "2 d 7 h")];
    for (seconds, expected) in rows {
        assert_eq!(duration(seconds), expected);
    }
}
