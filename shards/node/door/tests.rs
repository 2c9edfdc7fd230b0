use super::*;
use api::Method;

#[test]
fn what_is_no_filter_is_refused_with_an_example() {
    let rows: [(&[u8], Option<&str>, Code, &str); 7] = [
        (b"", None, Code::BadJson, "the body is not JSON"),
        (b"info", None, Code::BadJson, "the body is not JSON"),
        (b"\"info\"", None, Code::BadRequest, "no object with `filter`"),
        (b"{}", None, Code::BadRequest, "no object with `filter`"),
        (b"{\"filter\":7}", None, Code::BadRequest, "no object with `filter`"),
        (b"{\"filter\":\"info\",\"filters\":1}", None, Code::BadRequest, "no object with `filter`"),
        (b"{\"filter\":\"a=loud\"}", None, Code::BadRequest, "`a=loud` is no part of a log filter"),
    ];
    for (body, content_type, code, detail) in rows {
        let request = Request {
            method: Method::Put,
            path: "/api/v1/log",
            query: "",
            content_type,
            idempotency_key: None,
            by: None,
            trace: None,
            body,
        };
        let error = set_filter(&request).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.detail.contains(detail), "{error}");
    }
}
