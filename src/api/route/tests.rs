use super::*;
use crate::page::{Cursor, LIMIT_DEFAULT, Status};
use base::UnixMicros;
use proptest::prelude::*;

const ID: &str = "00300000000000a1";

fn message() -> MessageId {
    MessageId(0x0030_0000_0000_00a1)
}

fn worker() -> WorkerId {
    WorkerId(0x0030_0000_0000_00a1)
}

fn instance() -> InstanceId {
    InstanceId { message: message(), ordinal: 2 }
}

#[test]
fn every_path_of_the_api_is_found() {
    use Method::{Delete, Get, Head, Post, Put};
    let rule = || "high value/payment".to_owned();
    let rows = [
        (Post, "/api/v1/messages".to_owned(), Route::SubmitMessage),
        (Post, "/api/v1/messages:batch".to_owned(), Route::SubmitBatch),
        (Get, format!("/api/v1/messages/{ID}"), Route::Message(message())),
        (Head, format!("/api/v1/messages/{ID}"), Route::Message(message())),
        (Get, "/api/v1/workflows".to_owned(), Route::Instances(InstancesQuery::default())),
        (Get, format!("/api/v1/workflows/{ID}-2"), Route::Instance(instance())),
        (Post, format!("/api/v1/workflows/{ID}-2/cancel"), Route::CancelInstance(instance())),
        (Get, "/api/v1/rules".to_owned(), Route::Rules),
        (Post, "/api/v1/rules".to_owned(), Route::PostRules),
        (Get, "/api/v1/rules/high%20value%2Fpayment".to_owned(), Route::Rule(rule())),
        (Put, "/api/v1/rules/high%20value%2fpayment".to_owned(), Route::PutRule(rule())),
        (Delete, "/api/v1/rules/a+b".to_owned(), Route::DeleteRule("a+b".to_owned())),
        (Get, "/api/v1/definitions".to_owned(), Route::Definitions),
        (Post, "/api/v1/definitions".to_owned(), Route::PostDefinitions),
        (Get, "/api/v1/definitions/w".to_owned(), Route::Definition("w".to_owned())),
        (Put, "/api/v1/definitions/w".to_owned(), Route::PutDefinition("w".to_owned())),
        (Delete, "/api/v1/definitions/w".to_owned(), Route::DeleteDefinition("w".to_owned())),
        (Get, "/api/v1/events".to_owned(), Route::Events(EventsQuery::default())),
        (Get, "/api/v1/log".to_owned(), Route::LogFilter),
        (Put, "/api/v1/log".to_owned(), Route::PutLogFilter),
        (Get, "/api/v1/cluster/status".to_owned(), Route::ClusterStatus),
        (Get, "/api/v1/cluster/nodes".to_owned(), Route::ClusterNodes),
        (Post, "/api/v1/cluster/nodes".to_owned(), Route::AddNode),
        (Post, "/api/v1/cluster/nodes/4/promote".to_owned(), Route::PromoteNode(NodeId(4))),
        (Delete, "/api/v1/cluster/nodes/4".to_owned(), Route::RemoveNode(NodeId(4))),
        (Post, "/api/v1/cluster/transfer".to_owned(), Route::TransferLead),
        (Post, "/api/v1/cluster/checksum".to_owned(), Route::Checksum),
        (Get, "/api/v1/workers".to_owned(), Route::Workers),
        (Get, format!("/api/v1/workers/{ID}"), Route::Worker(worker())),
        (Post, format!("/api/v1/workers/{ID}/drain"), Route::DrainWorker(worker())),
        (Post, format!("/api/v1/workers/{ID}/resume"), Route::ResumeWorker(worker())),
        (Get, "/api/v1/plugins".to_owned(), Route::Plugins),
        (Get, "/metrics".to_owned(), Route::Metrics),
        (Get, "/health/live".to_owned(), Route::Live),
        (Get, "/health/ready".to_owned(), Route::Ready),
    ];
    for (method, path, expected) in rows {
        assert_eq!(route(method, &path, ""), Ok(expected), "{method:?} {path}");
    }
}

#[test]
fn a_path_that_does_not_exist_is_answered_404() {
    let paths = [
        "",
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v2/messages",
        "/api/v1/message",
        "/api/v1/messages/",
        "/api/v1//messages",
        "/api/v1/rules/a/b",
        "/api/v1/rules/a/b/c",
        "/api/v1/messages:batch/x",
        "/api/v1/cluster",
        "/api/v1/cluster/nodes/",
        "/api/v1/cluster/nodes/4/demote",
        "/api/v1/cluster/nodes/4/promote/now",
        "/metrics/",
        "/health",
    ];
    for path in paths {
        let error = route(Method::Get, path, "").unwrap_err();
        assert_eq!(error.code, Code::UnknownPath, "{path}");
    }
    let error = route(Method::Post, "/api/v1/messages/", "").unwrap_err();
    assert_eq!(error.hint, "leave out the slash at the end: /api/v1/messages");
}

#[test]
fn a_wrong_method_is_answered_405_with_what_is_allowed() {
    let rows = [
        (Method::Get, "/api/v1/messages", "POST"),
        (Method::Delete, "/api/v1/messages/00300000000000a1", "GET, HEAD"),
        (Method::Delete, "/api/v1/rules", "GET, HEAD, POST, PUT"),
        (Method::Put, "/api/v1/definitions", "GET, HEAD, POST"),
        (Method::Get, "/api/v1/rules/r/enable", "POST"),
        (Method::Post, "/api/v1/rules/r/versions", "GET, HEAD"),
        (Method::Put, "/api/v1/definitions/r/versions/1", "GET, HEAD"),
        (Method::Post, "/api/v1/definitions/x", "GET, HEAD, PUT, DELETE"),
        (Method::Get, "/api/v1/workflows/00300000000000a1-1/cancel", "POST"),
        (Method::Post, "/api/v1/events", "GET, HEAD"),
        (Method::Post, "/api/v1/log", "GET, HEAD, PUT"),
        (Method::Other, "/health/live", "GET, HEAD"),
    ];
    for (method, path, allow) in rows {
        let response = route(method, path, "").unwrap_err().to_response();
        assert_eq!((response.status, response.allow), (405, Some(allow)), "{method:?} {path}");
    }
}

#[test]
fn what_is_asked_of_the_catalogue_is_told_by_the_path() {
    let id = || "a b".to_owned();
    let rows = [
        (Method::Put, "rules", Route::ReplaceRules),
        (Method::Post, "rules/a%20b/enable", Route::EnableRule(id())),
        (Method::Post, "rules/a%20b/disable", Route::DisableRule(id())),
        (Method::Post, "rules/a%20b/rollback", Route::RollBackRule(id())),
        (Method::Get, "rules/a%20b/versions", Route::RuleVersions(id())),
        (Method::Get, "rules/a%20b/versions/7", Route::RuleVersion(id(), 7)),
        (Method::Post, "definitions/a%20b/rollback", Route::RollBackDefinition(id())),
        (Method::Head, "definitions/a%20b/versions", Route::DefinitionVersions(id())),
        (Method::Get, "definitions/a%20b/versions/1", Route::DefinitionVersion(id(), 1)),
    ];
    for (method, path, expected) in rows {
        assert_eq!(route(method, &format!("/api/v1/{path}"), ""), Ok(expected), "{path}");
    }
    let refused = [
        ("rules/r/versions/0", Code::BadId),
        ("rules/r/versions/4294967296", Code::BadId),
        ("rules/r/versions/", Code::BadId),
        ("rules/r/versions/1/2", Code::UnknownPath),
        ("definitions/r/enable", Code::UnknownPath),
        ("messages/r/versions/1", Code::UnknownPath),
    ];
    for (path, code) in refused {
        let found = route(Method::Get, &format!("/api/v1/{path}"), "");
        assert_eq!(found.map_err(|error| error.code), Err(code), "{path}");
    }
}

#[test]
fn an_id_that_is_none_is_answered_400_with_the_form_it_should_have() {
    let long = format!("/api/v1/rules/{}", "r".repeat(NAME_BYTES_MAX + 1));
    let paths = [
        "/api/v1/messages/12",
        "/api/v1/messages/zz300000000000a1",
        "/api/v1/workflows/00300000000000a1",
        "/api/v1/workflows/00300000000000a1-0",
        "/api/v1/workflows/00300000000000a1-99999",
        "/api/v1/rules/%4",
        "/api/v1/rules/%zz",
        "/api/v1/rules/%ff",
        &long,
    ];
    for path in paths {
        assert_eq!(route(Method::Get, path, "").unwrap_err().code, Code::BadId, "{path}");
    }
    let error = route(Method::Get, "/api/v1/messages/12", "").unwrap_err();
    assert_eq!(error.hint, "an id here is 16 hexadecimal digits, as in 00300000000000a1");
}

#[test]
fn instances_are_filtered_and_paged_by_the_query() {
    let asked = |query: &str| match route(Method::Get, "/api/v1/workflows", query) {
        Ok(Route::Instances(found)) => Ok(found),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    };
    let cursor = Cursor { started_at: UnixMicros(1_795_168_680_123_456), instance: instance() };
    let query = format!("status=failed&workflow=a+b%2Bc&limit=7&after={cursor}");
    let expected = InstancesQuery {
        status: Some(Status::Failed),
        workflow: Some("a b+c".to_owned()),
        key: None,
        limit: 7,
        after: Some(cursor),
    };
    assert_eq!(asked(&query), Ok(expected));
    assert_eq!(asked("status=&after=&"), Ok(InstancesQuery::default()));
    let mut key = String::from("workflow=w&key=");
    percent_encoded("a b&c=%ü", &mut key);
    assert_eq!(key, "workflow=w&key=a%20b%26c%3D%25%C3%BC");
    let expected = InstancesQuery {
        workflow: Some("w".to_owned()),
        key: Some("a b&c=%ü".to_owned()),
        ..InstancesQuery::default()
    };
    assert_eq!(asked(&key), Ok(expected));
    let refused = [
        "status=done",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=9999999999",
        "colour=red",
        "limit=1&limit=2",
        "after=zz",
        "after=0000000000000000-00300000000000a1",
        "after=+000000000000000-00300000000000a1-1",
        "workflow=%",
        "key=k",
        "key=k&workflow=",
    ];
    for query in refused {
        assert_eq!(asked(query), Err(Code::BadQuery), "{query}");
    }
}

#[test]
fn events_are_asked_for_from_a_number_on_with_a_time_to_wait() {
    let asked = |query: &str| match route(Method::Get, "/api/v1/events", query) {
        Ok(Route::Events(found)) => Ok((found.after, found.limit, found.wait)),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.code),
    };
    let rows = [
        ("", (0, LIMIT_DEFAULT, Duration::ZERO)),
        ("after=17&limit=1000&wait=30s", (17, 1_000, Duration::from_secs(30))),
        ("wait=500ms&after=", (0, LIMIT_DEFAULT, Duration::from_millis(500))),
        ("after=18446744073709551615&wait=60000ms", (u64::MAX, LIMIT_DEFAULT, WAIT_MAX)),
    ];
    for (query, expected) in rows {
        assert_eq!(asked(query), Ok(expected), "{query}");
    }
    let refused = [
        "after=-1",
        "after=18446744073709551616",
        "limit=0",
        "wait=61s",
        "wait=60001ms",
        "wait=30",
        "wait=s",
        "wait=18446744073709551615s",
        "wait=1s&wait=1s",
        "status=failed",
    ];
    for query in refused {
        assert_eq!(asked(query), Err(Code::BadQuery), "{query}");
    }
}

#[test]
fn a_route_without_parameters_refuses_them_but_probes_may_add_theirs() {
    let error = route(Method::Post, "/api/v1/messages", "sync=true").unwrap_err();
    assert_eq!(error.code, Code::BadQuery);
    assert!(error.detail.contains("POST /api/v1/messages takes no parameters"));
    assert_eq!(route(Method::Get, "/health/live", "t=17"), Ok(Route::Live));
    assert_eq!(route(Method::Get, "/metrics", "name[]=x"), Ok(Route::Metrics));
}

#[test]
fn a_cursor_comes_back_from_its_text() {
    let cursor = Cursor { started_at: UnixMicros(u64::MAX), instance: instance() };
    assert_eq!(cursor.to_string(), "ffffffffffffffff-00300000000000a1-2");
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Get),
        Just(Method::Head),
        Just(Method::Post),
        Just(Method::Put),
        Just(Method::Delete),
        Just(Method::Other),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_path_and_no_query_makes_it_panic(
        method in method(),
        path in "(/|/api/v1/|/api/v1/events|/api/v1/(messages|workflows|rules|definitions)/)?\\PC{0,40}",
        query in "((status|workflow|limit|after|wait)=[%+a-z0-9-]{0,9}&)?\\PC{0,20}",
    ) {
        if let Err(error) = route(method, &path, &query) {
            let body = error.to_response().body;
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(json["error"].as_str().unwrap(), error.code.as_str());
            prop_assert_eq!(error.allow.is_some(), error.code == Code::MethodNotAllowed);
        }
    }

    #[test]
    fn a_name_survives_percent_encoding(name in "\\PC{1,30}") {
        let encoded = name.bytes().map(|b| format!("%{b:02X}")).collect::<Vec<_>>().concat();
        let found = route(Method::Get, &format!("/api/v1/rules/{encoded}"), "");
        if name.len() <= NAME_BYTES_MAX {
            prop_assert_eq!(found, Ok(Route::Rule(name)));
        } else {
            prop_assert_eq!(found.unwrap_err().code, Code::BadId);
        }
    }
}
