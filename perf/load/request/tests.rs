use super::*;
use crate::options::Options;
use clap::Parser as _;

fn text(arguments: &[&str], number: u64) -> String {
    let name = ["distric-load", "--url", "http://127.0.0.1:9", "--size", "120"];
    let options = Options::try_parse_from(name.iter().chain(arguments)).unwrap();
    let plan = Plan::new(&options).unwrap();
    let mut out = Vec::new();
    let mut image = Image::new(&plan, 0xabc);
    image.append(&plan, 99, &mut out);
    out.clear();
    image.append(&plan, number, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_single_message_is_posted_as_json() {
    let text = text(&[], 5);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\
         Content-Type: application/json\r\nContent-Length: 120"
    );
    assert_eq!(body.len(), 120);
    assert!(body.contains("\"seq\":100000000005"), "{body}");
}

#[test]
fn a_batch_is_posted_as_lines_each_with_a_number_of_its_own() {
    let text = text(&["--batch", "3", "--keys"], 5);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        head,
        "POST /api/v1/messages:batch HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: 363\r\n\
         Idempotency-Key: 0000000000000abc-100000000005"
    );
    assert_eq!(body.len(), 363);
    for (line, number) in body.lines().zip([100_000_000_015_u64, 100_000_000_016, 100_000_000_017])
    {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["seq"], number);
    }
}
