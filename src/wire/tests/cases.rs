//! Each message at least once with every field, and once with nothing that can be left out.

use crate::{
    AppendEntries, AppendEntriesResponse, Cancel, ClusterAnswer, ClusterRequest, Configuration,
    Entry, ErrorReply, FieldInfo, Flags, Forward, ForwardRefused, GossipAck, GossipFailed,
    GossipForwardedAck, GossipIndirectPing, GossipPing, GossipRelayedAck, GossipRelayedPing,
    GossipSealed, GossipSearch, GossipSuspicion, GossipSync, Gossiper, Head, Heartbeat,
    HeartbeatResponse, Hello, InstallSnapshot, InstallSnapshotResponse, Kind, List, MemberData,
    MembershipUpdate, Message, MessageError, Ping, Plugin, PreVote, PreVoteResponse, Query,
    QueryResult, ReadIndex, ReadIndexResponse, Record, Refusal, RequestVote, RequestVoteResponse,
    SnapshotGone, SnapshotPiece, SnapshotWanted, Started, Submit, SubmitResponse, TaskAccepted,
    TaskAssignment, TaskName, TaskRecorded, TaskRefused, TaskResult, TaskStatus,
    TaskStatusResponse, TaskStop, TaskValidate, TaskValidated, TimeoutNow, TransferLeader, Welcome,
    WorkerDrain, WorkerLeave, WorkerLeft, WorkerLost, WorkerNotTaken, WorkerRegister,
    WorkerRegistered, write_frame,
};
use base::UnixMicros;
use telemetry::TraceContext;

/// A payload that was decoded and is encoded again.
pub(super) type Again = fn(&[u8]) -> Result<Vec<u8>, MessageError>;

/// One frame.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) record: &'static str,
    pub(super) head: Head,
    pub(super) payload: Vec<u8>,
    pub(super) again: Again,
}

impl Case {
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        write_frame(&mut frame, &self.head, |out| out.extend_from_slice(&self.payload));
        frame
    }
}

/// Every record that is a message, by name: its kind, its fields, and how its payload is read.
macro_rules! messages {
    ($($name:ident)*) => {
        pub(super) fn messages() -> Vec<(&'static str, Kind, &'static [FieldInfo], Again)> {
            vec![$({
                let again: Again = |payload| {
                    let mut out = Vec::new();
                    $name::decode(payload)?.encode(&mut out);
                    Ok(out)
                };
                ($name::NAME, $name::KIND, $name::FIELDS, again)
            },)*]
        }
    };
}

messages! {
    Hello ErrorReply Cancel Ping
    RequestVote RequestVoteResponse AppendEntries AppendEntriesResponse InstallSnapshot
    InstallSnapshotResponse PreVote PreVoteResponse Heartbeat HeartbeatResponse TimeoutNow
    TransferLeader ReadIndex ReadIndexResponse
    Forward ForwardRefused SnapshotWanted SnapshotPiece SnapshotGone Welcome ClusterRequest
    ClusterAnswer
    GossipPing GossipAck GossipIndirectPing MembershipUpdate GossipRelayedPing GossipRelayedAck
    GossipForwardedAck GossipFailed GossipSuspicion GossipSync GossipSealed GossipSearch
    TaskAssignment TaskResult TaskStatus TaskStatusResponse
    WorkerRegister WorkerRegistered WorkerNotTaken TaskAccepted TaskRefused TaskStop TaskRecorded
    WorkerDrain WorkerLeave WorkerLeft WorkerLost TaskValidate TaskValidated
    Submit SubmitResponse Query QueryResult
}

/// The records that stand within others.
pub(super) const PARTS: &[(&str, &[FieldInfo])] = &[
    (Entry::NAME, Entry::FIELDS),
    (Configuration::NAME, Configuration::FIELDS),
    (Gossiper::NAME, Gossiper::FIELDS),
    (MemberData::NAME, MemberData::FIELDS),
    (TaskName::NAME, TaskName::FIELDS),
    (Plugin::NAME, Plugin::FIELDS),
    (Started::NAME, Started::FIELDS),
    (Refusal::NAME, Refusal::FIELDS),
];

fn case<'a, M: Message<'a>>(name: &'static str, flags: Flags, message: &M) -> Case {
    let (_, _, _, again) = messages()
        .into_iter()
        .find(|(record, ..)| *record == M::NAME)
        .expect("every message is in the list");
    let mut payload = Vec::new();
    message.encode(&mut payload);
    let sent_at = UnixMicros(1_763_640_000_123_456);
    let call = 0x0102_0304_0506_0708;
    let head = Head { kind: M::KIND, flags, call, sent_at, trace: None };
    Case { name, record: M::NAME, head, payload, again }
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = session();
    cases.extend(votes());
    cases.extend(log());
    cases.extend(reads());
    cases.extend(peers());
    cases.extend(gossip());
    cases.extend(tasks());
    cases.extend(workers());
    cases.extend(running());
    cases.extend(client());
    cases
}

const ASKS: Flags = Flags::NONE;
const ANSWERS: Flags = Flags::RESPONSE;

fn session() -> Vec<Case> {
    let hello = Hello {
        version_min: 1,
        version_max: 2,
        node: 3,
        features: 1 << 63,
        program: "distric 0.1.0",
        payload_bytes_max: 4_194_304,
        calls_max: 1024,
        ..Hello::of(Hello::BOTH)
    };
    let of_a_cluster = Hello {
        cluster: 0x0c15_7e12_0000_0001,
        store: 0x0123_4567_89ab_cdef,
        boot: 0x9a3f_0000_1111_2222,
        to_store: 0xfedc_ba98_7654_3210,
        format_min: 1,
        format_max: 2,
        ..hello
    };
    let that_gossips = Hello { gossip: "10.0.0.1:9201", ..of_a_cluster };
    let least = Hello::of(Hello::CLIENT);
    let error = ErrorReply {
        code: "overloaded",
        detail: "1,024 calls are in flight",
        hint: "wait, then send again",
        retry_after_ms: 250,
        version: 1,
    };
    let word = ErrorReply { code: "closed", detail: "", hint: "", retry_after_ms: 0, version: 0 };
    let mut traced = case("ping, traced and urgent", Flags::URGENT, &Ping {});
    traced.head.trace = Some(TraceContext {
        trace: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
        span: 0x00f0_67aa_0ba9_02b7,
    });
    vec![
        // As it was before the fields of a cluster came.
        case("hello", ASKS, &hello),
        case("hello, of a coordinator", ASKS, &of_a_cluster),
        case("hello, of a coordinator that gossips", ASKS, &that_gossips),
        case("hello, the least", ANSWERS, &least),
        case("error", ANSWERS, &error),
        case("error, the least", ANSWERS, &word),
        case("cancel", ASKS, &Cancel {}),
        case("ping", ASKS, &Ping {}),
        traced,
    ]
}

fn votes() -> Vec<Case> {
    let (from, to, term, store) = (1, 2, 12, 0x0123_4567_89ab_cdef);
    let vote = RequestVote {
        from,
        to,
        term,
        store,
        index: 1 << 40,
        log_term: 11,
        commit: (1 << 40) - 3,
        commit_term: 10,
        context: b"CampaignTransfer",
        priority: -5,
    };
    let least = RequestVote { commit: 0, commit_term: 0, context: b"", priority: 0, ..vote };
    let RequestVote { index, log_term, commit, commit_term, context, priority, .. } = vote;
    let pre =
        PreVote { from, to, term, store, index, log_term, commit, commit_term, context, priority };
    let pre_least = PreVote { commit: 0, commit_term: 0, context: b"", priority: 0, ..pre };
    let no =
        RequestVoteResponse { from: to, to: from, term, store, reject: true, commit, commit_term };
    let yes = RequestVoteResponse { reject: false, commit: 0, commit_term: 0, ..no };
    let pre_no =
        PreVoteResponse { from: to, to: from, term, store, reject: true, commit, commit_term };
    let pre_yes = PreVoteResponse { reject: false, commit: 0, commit_term: 0, ..pre_no };
    vec![
        case("request_vote", ASKS, &vote),
        case("request_vote, the least", ASKS, &least),
        case("request_vote_response", ASKS, &no),
        case("request_vote_response, the least", ASKS, &yes),
        case("pre_vote", ASKS, &pre),
        case("pre_vote, the least", ASKS, &pre_least),
        case("pre_vote_response", ASKS, &pre_no),
        case("pre_vote_response, the least", ASKS, &pre_yes),
    ]
}

fn log() -> Vec<Case> {
    let (from, to, term, store) = (1, 2, 12, 0x0123_4567_89ab_cdef);
    let entries = [
        Entry { index: 43, term: 11, kind: 0, data: b"a batch", context: b"" },
        Entry { index: 44, term: 12, kind: 2, data: b"", context: b"why" },
    ];
    let entries = List::from(&entries);
    let append =
        AppendEntries { from, to, term, store, index: 42, log_term: 11, commit: 40, entries };
    let probe = AppendEntries { entries: List::EMPTY, ..append };
    let refused = AppendEntriesResponse {
        from: to,
        to: from,
        term,
        store,
        index: 42,
        reject: true,
        reject_hint: 39,
        log_term: 9,
        commit: 38,
        request_snapshot: 50,
    };
    let taken = AppendEntriesResponse {
        reject: false,
        reject_hint: 0,
        log_term: 0,
        commit: 0,
        request_snapshot: 0,
        ..refused
    };
    let configuration = Configuration {
        voters: List::from(&[1, 2, 3]),
        learners: List::from(&[4]),
        voters_outgoing: List::from(&[1, 2, 5]),
        learners_next: List::from(&[5]),
        auto_leave: true,
    };
    let piece = InstallSnapshot {
        from,
        to,
        term,
        store,
        snapshot: 7,
        index: 40,
        log_term: 11,
        configuration,
        offset: 65_536,
        total_bytes: 65_540,
        data: b"tail",
        membership: b"",
    };
    let all = InstallSnapshot { membership: b"members", ..piece };
    let none = Configuration {
        voters: List::EMPTY,
        learners: List::EMPTY,
        voters_outgoing: List::EMPTY,
        learners_next: List::EMPTY,
        auto_leave: false,
    };
    let empty = InstallSnapshot { configuration: none, offset: 0, data: b"", ..piece };
    let offer = InstallSnapshot { snapshot: 40, total_bytes: 0, membership: b"members", ..empty };
    let unwanted = InstallSnapshotResponse {
        from: to,
        to: from,
        term,
        store,
        snapshot: 7,
        offset: 65_540,
        reject: true,
    };
    let wanted = InstallSnapshotResponse { reject: false, ..unwanted };
    vec![
        case("append_entries", ASKS, &append),
        case("append_entries, the least", ASKS, &probe),
        case("append_entries_response", ASKS, &refused),
        case("append_entries_response, the least", ASKS, &taken),
        case("install_snapshot", ASKS, &piece),
        case("install_snapshot, the least", ASKS, &empty),
        case("install_snapshot, all", ASKS, &all),
        case("install_snapshot, an offer", ASKS, &offer),
        case("install_snapshot_response", ASKS, &unwanted),
        case("install_snapshot_response, the least", ASKS, &wanted),
    ]
}

fn reads() -> Vec<Case> {
    let (from, to, term, store) = (1, 2, 12, 0x0123_4567_89ab_cdef);
    let context = b"\x00\x01\xfe\xff";
    let beat = Heartbeat { from, to, term, store, commit: 40, context };
    let alone = Heartbeat { commit: 0, context: b"", ..beat };
    let alive = HeartbeatResponse { from: to, to: from, term, store, commit: 39, context };
    let merely = HeartbeatResponse { commit: 0, context: b"", ..alive };
    vec![
        case("heartbeat", ASKS, &beat),
        case("heartbeat, the least", ASKS, &alone),
        case("heartbeat_response", ASKS, &alive),
        case("heartbeat_response, the least", ASKS, &merely),
        case("timeout_now", ASKS, &TimeoutNow { from, to, term, store }),
        case("transfer_leader", ASKS, &TransferLeader { from: to, to: from, term, store }),
        case("read_index", ASKS, &ReadIndex { from: to, to: from, term, store, context }),
        case(
            "read_index_response",
            ASKS,
            &ReadIndexResponse { from, to, term, store, index: u64::MAX, context },
        ),
    ]
}

fn peers() -> Vec<Case> {
    let (boot, core, number, round) = (0x9a3f_0000_1111_2222, 3, 41, 7);
    let section = b"records";
    let (index, offset) = (1 << 40, 1 << 20);
    let total_bytes = (1 << 20) + 4;
    let (cluster, ticket) = (0x0c15_7e12_0000_0001, 9);
    vec![
        case("forward", ASKS, &Forward { boot, core, number, round, records: 2, section }),
        case("forward_refused", ASKS, &ForwardRefused { boot, core, number, round, why: 4 }),
        case("snapshot_wanted", ASKS, &SnapshotWanted { index, offset }),
        case("snapshot_piece", ASKS, &SnapshotPiece { index, offset, total_bytes, data: b"tail" }),
        case("snapshot_gone", ASKS, &SnapshotGone { index }),
        case("welcome", ASKS, &Welcome { cluster, founded: b"members" }),
        case("cluster_request", ASKS, &ClusterRequest { boot, ticket, body: b"question" }),
        case("cluster_answer", ASKS, &ClusterAnswer { boot, ticket, body: b"answer" }),
    ]
}

fn member_data(version: u64) -> Vec<u8> {
    let data = MemberData {
        member: 4,
        boot: 0x9a3f_0000_1111_2222,
        version,
        said_at: 1_764_000_000_000_000,
        roles: 3,
        name: "four",
        zone: "east",
        http_address: "10.0.0.4:8080",
        version_min: 1,
        version_max: 2,
        capacity: 64,
        load: 750,
        leader_term: 12,
        worker: if version == 3 { 0x9f3c_00d2_ab55_17e0 } else { 0 },
    };
    let least = MemberData {
        name: "",
        zone: "",
        http_address: "",
        capacity: 0,
        load: 0,
        leader_term: 0,
        ..data
    };
    let mut bytes = Vec::new();
    if version > 1 {
        data.write_fields(&mut bytes);
    } else {
        least.write_fields(&mut bytes);
    }
    bytes
}

/// Of each message one with all that it can have, and one with as little as may be.
macro_rules! twice {
    ($name:literal, $kind:ident { $($own:tt)* }, { $($least:tt)* }) => {{
        let from = Gossiper {
            member: 1,
            boot: 0x9a3f_0000_1111_2221,
            renewal: 2,
            incarnation: 5,
            address: &[10, 0, 0, 1, 0x1f, 0x0a],
        };
        let (data, least_data) = (member_data(2), member_data(1));
        let data = [&data[..], &least_data[..]];
        let all = $kind {
            cluster: 0x00d1_0000_0000_c001,
            from,
            to: 4,
            to_boot: 0x9a3f_0000_1111_2222,
            to_renewal: 1,
            updates: &[7; 41],
            data: List::from(&data),
            $($own)*
        };
        let few = $kind {
            from: Gossiper { renewal: 0, incarnation: 0, ..from },
            to: 0,
            to_boot: 0,
            to_renewal: 0,
            updates: b"",
            data: List::EMPTY,
            $($least)*
            ..all
        };
        [case($name, ASKS, &all), case(concat!($name, ", the least"), ASKS, &few)]
    }};
}

#[allow(clippy::needless_update, reason = "some messages have no field of their own")]
fn gossip() -> Vec<Case> {
    let address = &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0x1f, 0x0a];
    let other = Gossiper { member: 4, boot: 7, renewal: 1, incarnation: 3, address };
    let few = Gossiper { renewal: 0, incarnation: 0, ..other };
    let mut cases = Vec::new();
    cases.extend(twice!("gossip_ping", GossipPing { probe: 9 }, {}));
    cases.extend(twice!("gossip_ack", GossipAck { probe: 9 }, {}));
    cases.extend(
        twice!("gossip_indirect_ping", GossipIndirectPing { probe: 9, other, }, { other: few, }),
    );
    cases.extend(
        twice!("membership_update", MembershipUpdate { is_page: true, }, { is_page: false, }),
    );
    let own_worker = member_data(3);
    let own_worker = [&own_worker[..]];
    let of_worker = MembershipUpdate {
        cluster: 0x00d1_0000_0000_c001,
        from: few,
        to: 1,
        to_boot: 7,
        to_renewal: 0,
        updates: b"",
        data: List::from(&own_worker),
        is_page: false,
    };
    cases.push(case("membership_update, of a coordinator with a worker", ASKS, &of_worker));
    cases.extend(
        twice!("gossip_relayed_ping", GossipRelayedPing { probe: 9, other, }, { other: few, }),
    );
    cases.extend(
        twice!("gossip_relayed_ack", GossipRelayedAck { probe: 9, other, }, { other: few, }),
    );
    cases.extend(
        twice!("gossip_forwarded_ack", GossipForwardedAck { probe: 9, other, }, { other: few, }),
    );
    cases.extend(twice!("gossip_failed", GossipFailed {}, {}));
    cases.extend(twice!(
        "gossip_suspicion",
        GossipSuspicion { other, is_answer: true, },
        { other: few, is_answer: false, }
    ));
    cases.extend(twice!(
        "gossip_sync",
        GossipSync { digests: &[3; 256], is_answer: true, },
        { digests: b"", is_answer: false, }
    ));
    let sealed = GossipSealed { key: 0x0102_0304, nonce: &[1; 12], sealed: b"cipher" };
    cases.push(case("gossip_sealed", ASKS, &sealed));
    cases.extend(twice!("gossip_search", GossipSearch {}, {}));
    cases
}

fn tasks() -> Vec<Case> {
    let (worker, boot, message) = (4, 0x9a3f_0000_1111_2222, 0x0030_0000_0000_00a1);
    let assignment = TaskAssignment {
        worker,
        boot,
        term: 12,
        message,
        ordinal: 1,
        task: 2,
        attempt: 3,
        kind: "http",
        idempotency_key: "00300000000000a1-1/reserve",
        config: b"{\"url\":\"https://bank.local/holds\"}",
        input: b"{\"amount\":5000}",
        timeout_ms: 30_000,
        workflow: "",
        name: "",
    };
    let named = TaskAssignment { workflow: "fraud_check", name: "reserve", ..assignment };
    let bare = TaskAssignment { config: b"", input: b"", timeout_ms: 0, ..assignment };
    let failed = TaskResult {
        worker,
        boot,
        message,
        ordinal: 1,
        task: 2,
        attempt: 3,
        outcome: 2,
        output: b"{\"status\":503}",
        error_code: "http_503",
        error_message: "bank.local answered 503",
        duration_us: 81_234,
        retryable: false,
    };
    let again = TaskResult { retryable: true, ..failed };
    let done = TaskResult {
        outcome: 1,
        output: b"",
        error_code: "",
        error_message: "",
        duration_us: 0,
        ..failed
    };
    let (one, two) = (
        TaskName { message, ordinal: 1, task: 2, attempt: 3 },
        TaskName { message, ordinal: u16::MAX, task: 0, attempt: 1 },
    );
    let (running, ended) = ([one, two], [two]);
    let (running, ended) = (List::from(&running), List::from(&ended));
    let status = TaskStatus {
        worker,
        boot,
        renewal: 77,
        capacity: 64,
        draining: true,
        running,
        ended,
        running_count: 0,
        cpu_permille: 0,
        memory_bytes: 0,
    };
    let loaded =
        TaskStatus { running_count: 2, cpu_permille: 870, memory_bytes: 48 << 20, ..status };
    let quiet = TaskStatus { draining: false, running: List::EMPTY, ended: List::EMPTY, ..status };
    let renewed = TaskStatusResponse {
        worker,
        boot,
        renewal: 77,
        term: 12,
        lease_ms: 3_000,
        recorded: ended,
        stop: running,
    };
    let merely = TaskStatusResponse { recorded: List::EMPTY, stop: List::EMPTY, ..renewed };
    vec![
        case("task_assignment", ASKS, &assignment),
        case("task_assignment, the least", ASKS, &bare),
        case("task_assignment, with names", ASKS, &named),
        case("task_result", ASKS, &failed),
        case("task_result, the least", ASKS, &done),
        case("task_result, retryable", ASKS, &again),
        case("task_status", ASKS, &status),
        case("task_status, the least", ASKS, &quiet),
        case("task_status, with load", ASKS, &loaded),
        case("task_status_response", ANSWERS, &renewed),
        case("task_status_response, the least", ANSWERS, &merely),
    ]
}

fn workers() -> Vec<Case> {
    let (worker, boot) = (0x9f3c_00d2_ab55_17e0, 3 << 20);
    let plugins = [
        Plugin { name: "payment_validator", version: "1.4.0", abi: 1 },
        Plugin { name: "webhook", version: "", abi: 2 },
    ];
    let register = WorkerRegister {
        worker,
        boot,
        name: "worker-1",
        address: "127.0.0.1:9310",
        capacity: 8,
        plugins: List::from(&plugins),
        zone: "a",
    };
    let bare = WorkerRegister { name: "", address: "", plugins: List::EMPTY, zone: "", ..register };
    let elsewhere = WorkerNotTaken { why: "node 2 leads", leader: "127.0.0.1:9202" };
    let nowhere = WorkerNotTaken { why: "", leader: "" };
    vec![
        case("worker_register", ASKS, &register),
        case("worker_register, the least", ASKS, &bare),
        case("worker_registered", ASKS, &WorkerRegistered { boot, lease_ms: 10_000 }),
        case("worker_not_taken", ASKS, &elsewhere),
        case("worker_not_taken, the least", ASKS, &nowhere),
        case("worker_drain", ASKS, &WorkerDrain { on: true }),
        case("worker_leave", ASKS, &WorkerLeave { boot }),
        case("worker_left", ASKS, &WorkerLeft {}),
        case("worker_lost", ASKS, &WorkerLost { boot }),
    ]
}

fn running() -> Vec<Case> {
    let (message, ordinal, task, attempt) = (0x0030_0000_0000_00a1, 1, 2, 3);
    let validate =
        TaskValidate { ticket: 9, plugin: "payment_validator", config: b"{\"limit\":5000}" };
    let fault = "limit must be above 0";
    let valid = TaskValidated { ticket: 9, valid: false, fault: "", unsaid: false };
    vec![
        case("task_accepted", ASKS, &TaskAccepted { message, ordinal, task, attempt }),
        case("task_refused", ASKS, &TaskRefused { message, ordinal, task, attempt, why: 2 }),
        case("task_stop", ASKS, &TaskStop { message, ordinal, task, attempt }),
        case("task_recorded", ASKS, &TaskRecorded { message, ordinal, task, attempt }),
        case("task_validate", ASKS, &validate),
        case("task_validate, the least", ASKS, &TaskValidate { config: b"", ..validate }),
        case("task_validated", ASKS, &TaskValidated { ticket: 9, fault, ..valid }),
        case("task_validated, unsaid", ASKS, &TaskValidated { fault, unsaid: true, ..valid }),
        case("task_validated, the least", ASKS, &TaskValidated { valid: true, ..valid }),
    ]
}

fn client() -> Vec<Case> {
    let bodies: [&[u8]; 2] = [b"{\"event_type\":\"payment_received\"}", b"{}"];
    let messages = List::from(&bodies);
    let submit = Submit { producer: 7, sequence: 41, key: "", messages };
    let keyed = Submit { producer: 0, sequence: 0, key: "order-17", messages };
    let all = Submit { key: "order-17", ..submit };
    let plain = Submit { key: "", ..keyed };
    let names = ["fraud_check", "audit"];
    let started = [Started { index: 0, names: List::from(&names) }];
    let refusals = [Refusal {
        index: 3,
        code: "bad_json",
        detail: "a comma is expected at column 7",
        hint: "send one JSON object in UTF-8",
        retry_after_ms: 1,
    }];
    let response = SubmitResponse {
        outcomes: &[0, 1, 2, 3],
        ids: b"\0\x20\0\0\0\0\0\x01\0\x20\0\0\0\0\0\x02\0\x20\0\0\0\0\0\x03\0\0\0\0\0\0\0\0",
        workflows: List::from(&started),
        refusals: List::from(&refusals),
    };
    let accepted = SubmitResponse {
        outcomes: &[0],
        ids: b"\0\x20\0\0\0\0\0\x01",
        workflows: List::EMPTY,
        refusals: List::EMPTY,
    };
    let result = QueryResult { status: 200, content_type: "application/json", body: b"{}" };
    let empty = QueryResult { status: 204, content_type: "", body: b"" };
    vec![
        case("submit", ASKS, &all),
        case("submit, of a producer", ASKS, &submit),
        case("submit, with a key", ASKS, &keyed),
        case("submit, the least", ASKS, &plain),
        case("response", ANSWERS, &response),
        case("response, the least", ANSWERS, &accepted),
        case("query", ASKS, &Query { path: "/api/v1/workflows?limit=10" }),
        case("query_result", ANSWERS, &result),
        case("query_result, the least", ANSWERS, &empty),
    ]
}
