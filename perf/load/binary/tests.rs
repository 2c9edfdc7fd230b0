use super::*;

fn answers(frames: &[(u64, Kind, &[u8])]) -> Vec<Result<Answered, Failure>> {
    let mut bytes = Vec::new();
    for (call, kind, payload) in frames {
        let sent_at = base::UnixMicros(0);
        let head = Head { kind: *kind, flags: Flags::RESPONSE, call: *call, sent_at, trace: None };
        write_frame(&mut bytes, &head, |out| out.extend_from_slice(payload));
    }
    let mut binary = Binary { decoder: Decoder::new(ANSWER_BYTES_MAX) };
    binary.space()[..bytes.len()].copy_from_slice(&bytes);
    binary.filled(bytes.len());
    let mut answers = Vec::new();
    loop {
        match binary.next() {
            Ok(None) => return answers,
            Ok(Some(answer)) => answers.push(Ok(answer)),
            Err(failure) => {
                answers.push(Err(failure));
                return answers;
            }
        }
    }
}

fn response(answers: &[wire::Answer<'_, [&'static str; 0]>]) -> Vec<u8> {
    let mut payload = Vec::new();
    wire::write_submit_response(&mut payload, answers.iter().copied());
    payload
}

fn error(code: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    let reply = ErrorReply { code, detail: "", hint: "", retry_after_ms: 0, version: 0 };
    reply.encode(&mut payload);
    payload
}

#[test]
fn an_answer_is_good_when_all_of_its_messages_are_in_the_log() {
    let accepted = wire::Answer::Accepted { id: 1, workflows: [] };
    let duplicate = wire::Answer::Duplicate { id: 1, workflows: [] };
    let conflict = wire::Answer::Conflict { id: 1 };
    let refused =
        wire::Answer::Refused { code: "keys_full", detail: "", hint: "", retry_after_ms: 0 };
    let rows = [
        (vec![accepted, accepted], Ok(())),
        (vec![accepted, duplicate], Ok(())),
        (vec![accepted, refused, conflict], Err(Failure::Refused(Word::new("keys_full")))),
        (vec![conflict, refused], Err(Failure::Conflict)),
    ];
    for (messages, expected) in rows {
        let payload = response(&messages);
        assert_eq!(answers(&[(5, Kind::RESPONSE, &payload)]), [Ok((5, expected))]);
    }
}

#[test]
fn a_refusal_of_a_call_is_its_answer_and_one_of_the_connection_is_the_end() {
    let overloaded = error("overloaded");
    let refused = Failure::Refused(Word::new("overloaded"));
    let frames = [(0, Kind::PING, &[][..]), (3, Kind::ERROR, &overloaded)];
    assert_eq!(answers(&frames), [Ok((3, Err(refused)))]);
    assert_eq!(answers(&[(0, Kind::ERROR, &overloaded)]), [Err(refused)]);
}

#[test]
fn what_is_not_the_protocol_is_told() {
    let rows = [
        (Kind::RESPONSE, "an answer is not as the protocol says"),
        (Kind::ERROR, "an answer is not as the protocol says"),
        (Kind::SUBMIT, "a frame came that is no answer"),
    ];
    for (kind, expected) in rows {
        assert_eq!(answers(&[(1, kind, b"x")]), [Err(Failure::BadAnswer(expected))]);
    }
}
