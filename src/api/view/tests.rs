use super::*;
use crate::page::Cursor;
use base::{Address, CoreId, InstanceId, MessageId, NodeId, StoreId, UnixMicros, WorkerId};

const AT: UnixMicros = UnixMicros(1_795_168_680_123_456);
const LATER: UnixMicros = UnixMicros(1_795_168_681_000_000);
const MESSAGE: MessageId = MessageId(0x0030_0000_0000_00a1);
const INSTANCE: InstanceId = InstanceId { message: MESSAGE, ordinal: 1 };

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    serde_json::from_slice::<serde_json::Value>(&out).expect("every view is JSON");
    String::from_utf8(out).unwrap()
}

fn summary() -> InstanceSummary<'static> {
    InstanceSummary {
        instance: INSTANCE,
        workflow: "fraud_check",
        version: 3,
        status: "completed",
        started_at: AT,
        ended_at: Some(LATER),
        message: INSTANCE.message,
        key: None,
    }
}

const SUMMARY: &str = concat!(
    r#""instance":"00300000000000a1-1","workflow":"fraud_check","version":3,"status":"completed","#,
    r#""started_at":"2026-11-20T09:58:00.123456Z","ended_at":"2026-11-20T09:58:01.000000Z","#,
    r#""message_id":"00300000000000a1""#
);

#[test]
fn a_message_shows_its_rules_and_instances() {
    let view = MessageView {
        message_id: MESSAGE,
        status: "completed",
        accepted_at: AT,
        idempotency_key: Some("order-17"),
        rules: &[RuleMatch { rule: "high-value", version: 2, workflows: &["fraud_check"] }],
        instances: &[summary()],
        keyed: &[],
        message: br#"{"amount":15000}"#,
    };
    assert_eq!(
        text(|out| view.write(out)),
        format!(
            "{}{SUMMARY}{}",
            concat!(
                r#"{"message_id":"00300000000000a1","status":"completed","#,
                r#""accepted_at":"2026-11-20T09:58:00.123456Z","idempotency_key":"order-17","#,
                r#""rules":[{"rule":"high-value","version":2,"workflows":["fraud_check"]}],"#,
                r#""instances":[{"#
            ),
            r#"}],"message":{"amount":15000}}"#
        )
    );
}

#[test]
fn a_message_tells_where_to_find_the_instances_of_its_keys() {
    let view = MessageView {
        message_id: MESSAGE,
        status: "completed",
        accepted_at: AT,
        idempotency_key: None,
        rules: &[],
        instances: &[],
        keyed: &[KeyedStart { workflow: "pay", key: "order 17" }],
        message: b"{}",
    };
    let shown = text(|out| view.write(out));
    let expected = concat!(
        r#""instances":[],"keyed":[{"workflow":"pay","key":"order 17","#,
        r#""instances":"/api/v1/workflows?workflow=pay&key=order%2017"}],"message":{}}"#
    );
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn an_instance_with_a_key_names_the_message_that_caused_it() {
    let instance = InstanceSummary { message: MessageId(7), key: Some("k"), ..summary() };
    let view = InstancesView { instances: &[instance], next: None };
    let shown = text(|out| view.write(out));
    assert!(shown.contains(r#""message_id":"0000000000000007","key":"k"}"#), "{shown}");
}

#[test]
fn a_page_of_instances_names_where_the_next_begins() {
    let instances = [summary()];
    let next = Some(instances[0].cursor());
    assert_eq!(next, Some(Cursor { started_at: AT, instance: INSTANCE }));
    assert_eq!(
        text(|out| InstancesView { instances: &instances, next }.write(out)),
        format!(r#"{{"workflows":[{{{SUMMARY}}}],"next":"000660b2477d9c40-00300000000000a1-1"}}"#)
    );
    let last = InstancesView { instances: &[], next: None };
    assert_eq!(text(|out| last.write(out)), r#"{"workflows":[],"next":null}"#);
}

#[test]
fn the_catalogue_lists_rules_and_definitions_with_its_version() {
    let rules = RulesView {
        version: 12,
        rules: &[RuleSummary {
            id: "r",
            version: 1,
            priority: -5,
            enabled: false,
            workflows: &["a", "b"],
            hash: 0xfeed,
        }],
    };
    assert_eq!(
        text(|out| rules.write(out)),
        r#"{"version":12,"rules":[{"id":"r","version":1,"priority":-5,"enabled":false,"workflows":["a","b"],"hash":"000000000000feed"}]}"#
    );
    let definitions = DefinitionsView {
        version: 12,
        definitions: &[DefinitionSummary { id: "w", version: 2, tasks: &["t"], hash: u64::MAX }],
    };
    assert_eq!(
        text(|out| definitions.write(out)),
        r#"{"version":12,"definitions":[{"id":"w","version":2,"tasks":["t"],"hash":"ffffffffffffffff"}]}"#
    );
    let change = CatalogueChange { version: 13, stored: &["r"], deleted: &[] };
    assert_eq!(text(|out| change.write(out)), r#"{"version":13,"stored":["r"],"deleted":[]}"#);
    let (added, deleted) = (["a".to_owned()], ["d".to_owned(), "e".to_owned()]);
    let set = CatalogueReplaced {
        version: 14,
        added: &added,
        changed: &[],
        deleted: &deleted,
        unchanged: 7,
    };
    assert_eq!(
        text(|out| set.write(out)),
        r#"{"version":14,"added":["a"],"changed":[],"deleted":["d","e"],"unchanged":7}"#
    );
}

#[test]
fn the_versions_of_a_rule_say_what_happened_when_and_by_whom() {
    let versions = [
        VersionSummary { version: 4, how: VersionHow::RolledBack(2), at: LATER, by: "ann" },
        VersionSummary { version: 3, how: VersionHow::Disabled, at: AT, by: "" },
    ];
    assert_eq!(
        text(|out| VersionsView { id: "r", versions: &versions }.write(out)),
        concat!(
            r#"{"id":"r","versions":["#,
            r#"{"version":4,"action":"rolled_back","to":2,"at":"2026-11-20T09:58:01.000000Z","by":"ann"},"#,
            r#"{"version":3,"action":"disabled","at":"2026-11-20T09:58:00.123456Z","by":""}]}"#
        )
    );
}

#[test]
fn the_cluster_status_shows_the_log_and_the_cores() {
    let view = ClusterStatus {
        node: NodeId(1),
        cluster_id: 0xabc,
        store_id: StoreId(0xdef),
        role: "leader",
        leader: Some(NodeId(1)),
        voters: &[NodeId(1)],
        nodes: NodesView { nodes: &[], progress_absent: None, members: Err("no gossip") },
        term: 4,
        commit_index: 17,
        applied_index: 16,
        format_level: 1,
        catalogue_version: 2,
        partitions: 64,
        cores: &[CoreStatus {
            core: CoreId(0),
            cpu: 3,
            roles: &["consensus", "shard"],
            partitions: 32,
            connections: 5,
            instances_running: 6,
        }],
        uptime_seconds: 99,
        program_version: "0.1.0",
    };
    assert_eq!(
        text(|out| view.write(out)),
        concat!(
            r#"{"node":1,"cluster_id":"0000000000000abc","store_id":"0000000000000def","role":"leader","#,
            r#""leader":1,"voters":[1],"term":4,"commit_index":17,"applied_index":16,"format_level":1,"catalogue_version":2,"#,
            r#""partitions":64,"cores":[{"core":0,"cpu":3,"roles":["consensus","shard"],"partitions":32,"#,
            r#""connections":5,"instances_running":6}],"nodes":[],"members_absent":"no gossip","uptime_seconds":99,"version":"0.1.0"}"#
        )
    );
}

#[test]
fn the_members_of_the_group_are_listed_with_what_the_leader_says_of_them() {
    let address = Address::parse("10.0.0.2:9101").unwrap();
    let learner = NodeView {
        node: NodeId(2),
        standing: Standing::Learner,
        leads: false,
        store_id: StoreId(0xdef),
        address: Some(&address),
        progress: Some(NodeProgress { match_index: 7, lag: 3, heard: true, snapshot: false }),
    };
    let nodes = std::slice::from_ref(&learner);
    let told = NodesView { nodes, progress_absent: None, members: Ok(&[]) };
    assert_eq!(
        text(|out| told.write(out)),
        concat!(
            r#"{"nodes":[{"node":2,"standing":"learner","leader":false,"store_id":"0000000000000def","#,
            r#""address":"10.0.0.2:9101","match_index":7,"lag":3,"heard":true,"snapshot":false}],"members":[]}"#
        )
    );
    let voter = NodeView {
        standing: Standing::Voter,
        leads: true,
        address: None,
        progress: None,
        ..learner
    };
    let untold = NodesView {
        nodes: &[voter],
        progress_absent: Some("nobody leads"),
        members: Err("no gossip"),
    };
    assert_eq!(
        text(|out| untold.write(out)),
        concat!(
            r#"{"nodes":[{"node":2,"standing":"voter","leader":true,"store_id":"0000000000000def","#,
            r#""address":null}],"progress_absent":"nobody leads","members_absent":"no gossip"}"#
        )
    );
}

#[test]
fn everybody_is_listed_with_what_gossip_knows() {
    let both = MemberView {
        node: Some(NodeId(2)),
        worker: Some(WorkerId(0x9f3c)),
        name: "node-2",
        roles: &["coordinator", "worker"],
        state: "alive",
        since: AT,
        leads: true,
        gossip: "10.0.0.2:9201".parse().unwrap(),
        http: "10.0.0.2:8080",
        zone: "a",
        capacity: 8,
        load_permille: 310,
        versions: (1, 2),
    };
    let stranger = MemberView {
        node: None,
        name: "",
        roles: &[],
        state: "failed",
        leads: false,
        http: "",
        zone: "",
        capacity: 0,
        load_permille: 0,
        versions: (0, 0),
        ..both.clone()
    };
    let members = [both, stranger];
    let view = NodesView { nodes: &[], progress_absent: None, members: Ok(&members) };
    assert_eq!(
        text(|out| view.write(out)),
        concat!(
            r#"{"nodes":[],"members":[{"node":2,"worker":"0000000000009f3c","name":"node-2","#,
            r#""roles":["coordinator","worker"],"state":"alive","since":"2026-11-20T09:58:00.123456Z","#,
            r#""leader":true,"gossip":"10.0.0.2:9201","http":"10.0.0.2:8080","zone":"a","capacity":8,"#,
            r#""load_permille":310,"versions":[1,2]},{"node":null,"worker":"0000000000009f3c","name":"","#,
            r#""roles":[],"state":"failed","since":"2026-11-20T09:58:00.123456Z","leader":false,"#,
            r#""gossip":"10.0.0.2:9201","http":"","zone":"","capacity":0,"load_permille":0,"#,
            r#""versions":[0,0]}]}"#
        )
    );
}

#[test]
fn a_change_of_the_group_names_its_node_and_its_entry() {
    let changed = GroupChanged { node: NodeId(4), is: "voter", index: Some(9) };
    assert_eq!(text(|out| changed.write(out)), r#"{"node":4,"is":"voter","index":9}"#);
    let leads = GroupChanged { node: NodeId(4), is: "leader", index: None };
    assert_eq!(text(|out| leads.write(out)), r#"{"node":4,"is":"leader"}"#);
}

#[test]
fn checksums_are_equal_only_when_every_member_has_said_the_same() {
    let node = |node, checksum| NodeChecksum { node: NodeId(node), checksum };
    let rows: [(&[NodeChecksum<'_>], bool); 5] = [
        (&[], false),
        (&[node(1, Ok(5))], true),
        (&[node(1, Ok(5)), node(2, Ok(5))], true),
        (&[node(1, Ok(5)), node(2, Ok(6))], false),
        (&[node(1, Ok(5)), node(2, Err("it said nothing"))], false),
    ];
    for (nodes, is_equal) in rows {
        let view = ChecksumView { index: Some(3), nodes };
        assert_eq!(view.is_equal(), is_equal, "{nodes:?}");
    }
    let nodes = [node(1, Ok(5)), node(2, Err("it said nothing"))];
    assert_eq!(
        text(|out| ChecksumView { index: Some(3), nodes: &nodes }.write(out)),
        concat!(
            r#"{"equal":false,"index":3,"nodes":[{"node":1,"checksum":"0000000000000005"},"#,
            r#"{"node":2,"missing":"it said nothing"}]}"#
        )
    );
}

#[test]
fn events_are_listed_with_the_fields_of_their_kind() {
    let change = CatalogueEvent { version: 7, stored: &["a", "b"], deleted: &[] };
    let kinds = [
        EventKind::RulesChanged(change),
        EventKind::DefinitionsChanged(CatalogueEvent { stored: &[], deleted: &["w"], ..change }),
        EventKind::TaskFailed {
            instance: INSTANCE,
            workflow: "w",
            task: "call",
            attempts: 3,
            code: "timeout",
            message: "no answer \"in time\"",
        },
        EventKind::LeaderElected { node: NodeId(1), term: 4 },
    ];
    let events: Vec<_> =
        (5..).zip(kinds).map(|(number, kind)| EventView { number, at: AT, kind }).collect();
    let page = EventsView { start: 2, events: &events, next: 8, lost: 4 };
    let at = r#""at":"2026-11-20T09:58:00.123456Z""#;
    let expected = [
        r#"{"start":2,"events":["#,
        &format!(
            r#"{{"number":5,{at},"kind":"rules_changed","version":7,"stored":["a","b"],"deleted":[]}},"#
        ),
        &format!(
            r#"{{"number":6,{at},"kind":"definitions_changed","version":7,"stored":[],"deleted":["w"]}},"#
        ),
        &format!(
            r#"{{"number":7,{at},"kind":"task_failed","instance":"{INSTANCE}","workflow":"w","task":"call","attempts":3,"code":"timeout","message":"no answer \"in time\""}},"#
        ),
        &format!(r#"{{"number":8,{at},"kind":"leader_elected","node":1,"term":4}}"#),
        r#"],"next":8,"lost":4}"#,
    ];
    assert_eq!(text(|out| page.write(out)), expected.concat());
    let none = EventsView { events: &[], ..page };
    assert_eq!(text(|out| none.write(out)), r#"{"start":2,"events":[],"next":8,"lost":4}"#);
}
