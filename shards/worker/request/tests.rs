use super::*;

fn request() -> HttpRequest {
    HttpRequest {
        method: "POST".to_owned(),
        url: "http://bank.local:8080/holds?a=1".to_owned(),
        headers: vec![("X-One".to_owned(), "1".to_owned()), ("x-one".to_owned(), "2".to_owned())],
        body: Bytes::from_static(b"{}"),
        timeout: Duration::from_secs(1),
        idempotency_key: Some("i/t/0".to_owned()),
    }
}

fn error(change: impl FnOnce(&mut HttpRequest)) -> CallError {
    let mut request = request();
    change(&mut request);
    Prepared::new(request).err().expect("refused")
}

#[test]
fn a_request_is_sent_with_its_headers_and_those_of_the_client() {
    let prepared = Prepared::new(request()).unwrap();
    assert!(prepared.has_key);
    let request = prepared.request();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "/holds?a=1");
    let headers: Vec<String> =
        request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert!(headers.contains(&"host: \"bank.local:8080\"".to_owned()), "{headers:?}");
    assert!(headers.contains(&"idempotency-key: \"i/t/0\"".to_owned()), "{headers:?}");
    assert!(headers.contains(&"x-one: \"1\"".to_owned()), "{headers:?}");
    assert!(headers.contains(&"x-one: \"2\"".to_owned()), "{headers:?}");
    assert!(headers.iter().any(|header| header.starts_with("user-agent: \"distric/")));
}

#[test]
fn the_tasks_key_stands_before_one_written_by_hand_and_a_user_agent_after() {
    let mut request = request();
    request.headers = vec![
        ("Idempotency-Key".to_owned(), "mine".to_owned()),
        ("User-Agent".to_owned(), "me".to_owned()),
    ];
    let headers = Prepared::new(request.clone()).unwrap().request().headers().clone();
    assert_eq!(headers.get_all("idempotency-key").iter().collect::<Vec<_>>(), ["i/t/0"]);
    assert_eq!(headers["user-agent"], "me");
    request.idempotency_key = None;
    assert!(Prepared::new(request).unwrap().has_key);
}

#[test]
fn what_cannot_be_sent_is_refused_before_anybody_is_asked() {
    for (change, code, words) in [
        (
            (|r: &mut HttpRequest| r.method = "post".to_owned()) as fn(&mut HttpRequest),
            CallErrorCode::BadRequest,
            "`post` is not a method",
        ),
        (|r| r.method = "CONNECT".to_owned(), CallErrorCode::BadRequest, "is not a method"),
        (
            |r| r.headers[0].0 = "two words".to_owned(),
            CallErrorCode::BadRequest,
            "`two words` is not the name of a header",
        ),
        (
            |r| r.headers[0] = ("secret".to_owned(), "top\r\nx: y".to_owned()),
            CallErrorCode::BadRequest,
            "the value of the header `secret` has control characters",
        ),
        (
            |r| r.headers[0].0 = "Content-Length".to_owned(),
            CallErrorCode::BadRequest,
            "`content-length` is set by the client",
        ),
        (
            |r| r.headers[0].0 = "transfer-encoding".to_owned(),
            CallErrorCode::BadRequest,
            "is set by the client",
        ),
        (
            |r| r.headers = vec![("a".to_owned(), String::new()); 97],
            CallErrorCode::TooLarge,
            "97 headers, at most 96",
        ),
        (
            |r| r.body = vec![0; REQUEST_BYTES_MAX + 1].into(),
            CallErrorCode::TooLarge,
            "has 1048577 bytes",
        ),
        (
            |r| r.idempotency_key = Some("a\nb".to_owned()),
            CallErrorCode::BadRequest,
            "`idempotency-key` has control characters",
        ),
        (|r| r.url = "ftp://x/".to_owned(), CallErrorCode::BadUrl, "neither http:// nor https://"),
    ] {
        let error = error(change);
        assert_eq!(error.code, code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.retryable, "{error}");
    }
}

#[test]
fn a_secret_value_is_not_repeated() {
    let error = error(|r| r.headers[0].1 = "hunter2\n".to_owned());
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn codes_have_the_names_that_retry_rules_use() {
    for (code, text) in [
        (CallErrorCode::Timeout, "timeout"),
        (CallErrorCode::Refused, "refused"),
        (CallErrorCode::Unreachable, "unreachable"),
        (CallErrorCode::Dns, "dns"),
        (CallErrorCode::Tls, "tls"),
        (CallErrorCode::TooLarge, "too_large"),
        (CallErrorCode::BadUrl, "bad_url"),
        (CallErrorCode::BadRequest, "bad_request"),
        (CallErrorCode::Broken, "broken"),
        (CallErrorCode::Protocol, "protocol"),
        (CallErrorCode::Busy, "busy"),
        (CallErrorCode::Exhausted, "exhausted"),
    ] {
        assert_eq!(code.to_string(), text);
    }
}

#[test]
fn a_traced_call_says_so_in_the_place_of_what_was_written_by_hand() {
    let written = [("TraceParent", "by hand"), ("tracestate", "x=1"), ("x-one", "1")];
    let mut plain = request();
    plain.headers =
        written.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(plain.clone().with_trace(None), plain);
    let traced = plain.with_trace(Some(TraceContext { trace: 0xabc, span: 0xdef }));
    let headers = Prepared::new(traced).unwrap().request().headers().clone();
    assert_eq!(
        headers.get_all("traceparent").iter().collect::<Vec<_>>(),
        ["00-00000000000000000000000000000abc-0000000000000def-01"]
    );
    assert!(!headers.contains_key("tracestate"));
    assert_eq!(headers["x-one"], "1");
}
