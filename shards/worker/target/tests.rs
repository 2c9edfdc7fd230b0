use super::*;

#[test]
fn a_url_is_an_origin_a_host_header_and_a_path() {
    for (url, origin, authority, path) in [
        ("http://a", (false, "a", 80), "a", "/"),
        ("https://A.b/x?y=1#z", (true, "a.b", 443), "A.b", "/x?y=1"),
        ("http://a:8080/?q", (false, "a", 8080), "a:8080", "/?q"),
        ("https://127.0.0.1:1/", (true, "127.0.0.1", 1), "127.0.0.1:1", "/"),
        ("http://[::1]:81/p", (false, "::1", 81), "[::1]:81", "/p"),
        ("HTTP://a/", (false, "a", 80), "a", "/"),
    ] {
        let target = Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        let (tls, host, port) = origin;
        assert_eq!(*target.origin(), Origin { tls, host: host.to_owned(), port }, "{url}");
        assert_eq!(target.authority(), authority, "{url}");
        assert_eq!(target.path().to_string(), path, "{url}");
    }
}

#[test]
fn an_address_is_told_from_a_name() {
    for (url, is_address) in
        [("http://a", false), ("http://10.0.0.1", true), ("http://[::1]", true)]
    {
        assert_eq!(Target::parse(url).unwrap().origin().address().is_some(), is_address, "{url}");
    }
    assert_eq!(Target::parse("http://[::1]").unwrap().origin().to_string(), "[::1]:80");
}

#[test]
fn what_is_no_url_is_refused_with_the_reason() {
    for (url, words) in [
        ("", "cannot be called"),
        ("/path", "neither http:// nor https://"),
        ("a.b/c", "cannot be called"),
        ("file:///etc/passwd", "cannot be called"),
        ("http://", "cannot be called"),
        ("http://a b/", "cannot be called"),
        ("http://a:x/", "cannot be called"),
        ("http://a:99999/", "its port is not a number below 65536"),
        ("http://a:0/", "its port is 0"),
        ("http://user:hunter2@a/", "belong into an authorization header"),
        ("http://ä/", "cannot be called"),
    ] {
        let error = Target::parse(url).expect_err(url);
        assert_eq!(error.code, CallErrorCode::BadUrl, "{url}");
        assert!(error.message.contains(words), "{url}: {error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
    let long = format!("http://a/{}", "x".repeat(URL_BYTES_MAX));
    let error = Target::parse(&long).unwrap_err();
    assert!(error.message.contains("more than 8192 bytes") && error.message.len() < 300, "{error}");
}
