use crate::{Answer, List, Message, Submit, SubmitResponse, SubmitWriter, write_submit_response};

#[test]
fn a_submit_written_message_by_message_is_the_same_as_one_written_whole() {
    let bodies: [&[u8]; 3] = [b"{\"a\":1}", b"", b"{}"];
    for (producer, sequence, key) in [(0, 0, ""), (7, 1, ""), (0, 0, "order-17"), (7, 9, "k")] {
        let mut whole = Vec::new();
        Submit { producer, sequence, key, messages: List::from(&bodies) }.encode(&mut whole);
        let mut pieces = Vec::new();
        let mut writer = SubmitWriter::new(&mut pieces, producer, sequence, key);
        for body in bodies {
            writer.push(body);
        }
        assert_eq!(writer.finish(), 3);
        assert_eq!(pieces, whole);
        let read = Submit::decode(&pieces).unwrap();
        assert_eq!((read.producer, read.sequence, read.key), (producer, sequence, key));
        assert!(read.messages.iter().eq(bodies));
    }
}

#[test]
fn what_became_of_each_message_is_read_as_it_was_written() {
    let (none, two): (&[&str], &[&str]) = (&[], &["fraud_check", "audit"]);
    let refused = Answer::Refused {
        code: "bad_json",
        detail: "column 3",
        hint: "send JSON",
        retry_after_ms: 0,
    };
    let answers = [
        Answer::Accepted { id: 1, workflows: two },
        Answer::Accepted { id: 2, workflows: none },
        refused,
        Answer::Duplicate { id: u64::MAX, workflows: two },
        Answer::Conflict { id: 4 },
        refused,
    ];
    for count in 0..=answers.len() {
        let mut payload = Vec::new();
        write_submit_response(&mut payload, answers[..count].iter().copied());
        let response = SubmitResponse::decode(&payload).unwrap();
        assert_eq!(response.len(), count);
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(again, payload, "a message has one encoding");
        let mut read = Vec::new();
        write_submit_response(&mut read, response.answers());
        assert_eq!(read, payload);
    }
}
