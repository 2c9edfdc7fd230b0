use super::*;

fn with(json: &str) -> Result<HttpRequest, BadRequest> {
    request(&Value::parse_json(json.as_bytes()).unwrap(), None)
}

fn shown(json: &str) -> String {
    match with(json) {
        Err(error) => error.to_string(),
        Ok(HttpRequest { method, url, headers, body, timeout: _ }) => {
            let headers: Vec<String> =
                headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let body = body.map_or("-".to_owned(), |body| String::from_utf8(body).unwrap());
            format!("{method} {url} [{}] {body}", headers.join("; "))
        }
    }
}

#[test]
fn a_request_is_what_with_says_and_no_more() {
    let rows = [
        (r#"{"url":"http://a/b?c"}"#, "GET http://a/b?c [] -"),
        (
            r#"{"method":"POST","url":"https://a","body":{"n":1.0,"a":[null]}}"#,
            r#"POST https://a [content-type: application/json] {"a":[null],"n":1.0}"#,
        ),
        (
            r#"{"method":"PUT","url":"http://a","body":"x y"}"#,
            "PUT http://a [content-type: text/plain; charset=utf-8] x y",
        ),
        (
            r#"{"method":"POST","url":"http://a","headers":{"X-N":5,"Content-Type":"text/csv","a":null},"body":"x"}"#,
            "POST http://a [content-type: text/csv; x-n: 5] x",
        ),
        (r#"{"method":"POST","url":"http://a","body":null}"#, "POST http://a [] -"),
    ];
    for (json, expected) in rows {
        assert_eq!(shown(json), expected, "{json}");
    }
}

#[test]
fn what_would_break_out_of_its_line_is_refused() {
    let rows = [
        (
            r#"{"url":"http://a","headers":{"x":"1\r\nhost: b"}}"#,
            "the value of the header `x` is too long or holds a control character",
        ),
        (r#"{"url":"http://a","headers":{"x\r\n":"1"}}"#, "`x\r\n` is no name of a header"),
        (
            r#"{"url":"http://a/ b"}"#,
            "a url holds only visible characters of ASCII; escape others as in %20",
        ),
        (
            r#"{"url":"http://a/\n"}"#,
            "a url holds only visible characters of ASCII; escape others as in %20",
        ),
        (r#"{"url":"ftp://a"}"#, "a url begins with http:// or https:// and a host"),
        (r#"{"url":"http:///b"}"#, "a url begins with http:// or https:// and a host"),
        (r#"{"url":7}"#, "`url` must be text, this is int"),
        (
            r#"{"url":"http://a","method":"get"}"#,
            "there is no method `get`: known are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ),
        (
            r#"{"url":"http://a","headers":{"Host":"b"}}"#,
            "the header `host` is set by the one who makes the call",
        ),
        (
            r#"{"url":"http://a","headers":{"A":"1","a":"2"}}"#,
            "the header `a` is given twice: case does not count",
        ),
        (r#"{"url":"http://a","headers":[1]}"#, "`headers` must be a map, this is list"),
        (
            r#"{"url":"http://a","headers":{"a":[1]}}"#,
            "`headers` must be a map of texts and numbers, this is list",
        ),
    ];
    for (json, expected) in rows {
        assert_eq!(shown(json), expected, "{json}");
    }
    let large = format!(r#"{{"url":"http://a","body":"{}"}}"#, "x".repeat(BODY_BYTES_MAX + 1));
    assert_eq!(with(&large).unwrap_err(), BadRequest::Body { bytes: BODY_BYTES_MAX + 1 });
    let long = format!(r#"{{"url":"http://{}"}}"#, "x".repeat(URL_BYTES_MAX));
    assert_eq!(with(&long).unwrap_err(), BadRequest::UrlLength { bytes: URL_BYTES_MAX + 7 });
}

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> String {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    match response(status, &headers, body) {
        Ok(value) => value.to_json(),
        Err(TaskError { code, message, retryable }) => {
            format!("{code} {} {message}", if retryable { "passing" } else { "lasting" })
        }
    }
}

#[test]
fn an_answer_of_2xx_is_a_result() {
    let json = [("Content-Type", "application/json; charset=utf-8"), ("X-A", "1"), ("x-a", "2")];
    assert_eq!(
        answer(200, &json, br#"{"b":[1]}"#),
        r#"{"body":{"b":[1]},"headers":{"content-type":"application/json; charset=utf-8","x-a":"1, 2"},"status":200}"#
    );
    assert_eq!(answer(204, &[], b""), r#"{"body":null,"headers":{},"status":204}"#);
    assert_eq!(answer(201, &[], b"ok"), r#"{"body":"ok","headers":{},"status":201}"#);
    assert_eq!(
        answer(200, &[("content-type", "application/problem+json")], b"[]"),
        r#"{"body":[],"headers":{"content-type":"application/problem+json"},"status":200}"#
    );
}

#[test]
fn any_other_answer_is_an_error_and_only_some_are_worth_another_attempt() {
    let rows: [(u16, &[u8], &str); 6] = [
        (503, b" busy\n", "http_503 passing the server answered 503: busy"),
        (429, b"", "http_429 passing the server answered 429 without a body"),
        (408, b"", "http_408 passing the server answered 408 without a body"),
        (404, b"no", "http_404 lasting the server answered 404: no"),
        (302, b"", "http_302 lasting the server answered 302 without a body"),
        (101, b"", "http_101 lasting the server answered 101 without a body"),
    ];
    for (status, body, expected) in rows {
        assert_eq!(answer(status, &[], body), expected);
    }
    let json = [("content-type", "application/json")];
    assert!(
        answer(200, &json, b"{").starts_with("bad_answer lasting the answer says it is JSON, but ")
    );
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(answer(200, &json, deep(NESTING_MAX - 1).as_bytes()).starts_with('{'));
    for levels in [NESTING_MAX, NESTING_MAX + 1] {
        assert!(answer(200, &json, deep(levels).as_bytes()).starts_with("bad_answer lasting"));
    }
    let large = vec![b'x'; BODY_BYTES_MAX + 1];
    assert!(answer(200, &[], &large).starts_with("too_large lasting the answer has 262145 bytes"));
    // A body that is no text is shown as well as it can be.
    assert_eq!(answer(500, &[], &[0xff]), "http_500 passing the server answered 500: \u{fffd}");
}
