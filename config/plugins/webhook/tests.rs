use super::*;
use distric_plugin_sdk::testing;
use std::net::TcpListener;

/// Answers one request; returns where, and what it was sent.
fn serve(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(b"{\"a\":1}") {
            let bytes = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..bytes]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (format!("http://{address}/hook"), served)
}

#[test]
fn a_body_is_posted_with_its_key_and_the_answer_comes_back() {
    let (url, served) = serve("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"ok\":1}");
    let said = testing::run::<Webhook>(&json!({"url": url}), &json!({"a": 1}));
    assert_eq!(said, Ok(json!({"status": 200, "body": {"ok": 1}})));
    let request = served.join().unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nIdempotency-Key: test-1/task\r\n"), "{request}");
}

#[test]
fn an_answer_that_is_no_success_is_a_failure_and_the_servers_own_may_pass() {
    let rows = [
        ("HTTP/1.1 503 No\r\n\r\n", "http_503", true),
        ("HTTP/1.1 404 No\r\n\r\n", "http_404", false),
        ("SMTP\r\n\r\n", "bad_answer", false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "bad_answer", false),
    ];
    for (answer, code, retryable) in rows {
        let (url, served) = serve(answer);
        let failed = testing::run::<Webhook>(&json!({"url": url}), &json!({"a": 1})).unwrap_err();
        assert_eq!((failed.code(), failed.is_retryable()), (code, retryable), "{answer}");
        served.join().unwrap();
    }
    let nobody = testing::run::<Webhook>(&json!({"url": "http://127.0.0.1:1"}), &json!(1));
    assert_eq!(nobody.unwrap_err().code(), "no_answer");
}

#[test]
fn only_a_url_of_plain_http_is_taken() {
    for wrong in [
        json!(null),
        json!({"url": "https://a"}),
        json!({"url": "http:///x"}),
        json!({"url": "http://a b"}),
    ] {
        assert!(testing::validate::<Webhook>(&wrong).is_err(), "{wrong}");
    }
    assert_eq!(testing::validate::<Webhook>(&json!({"url": "http://[::1]:80/x"})), Ok(()));
}
