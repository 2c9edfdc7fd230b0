use super::*;
use proptest::prelude::*;

fn answers(pieces: &[&[u8]]) -> Result<Vec<(u16, bool)>, BadAnswer> {
    let mut reader = Reader::default();
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(answer) = reader.next(&mut input)? {
            found.push((answer.status, answer.closes));
        }
        assert!(input.is_empty(), "everything is taken");
    }
    Ok(found)
}

#[test]
fn answers_are_read_and_their_bodies_skipped() {
    let rows: &[(&str, &[(u16, bool)])] = &[
        ("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}", &[(202, false)]),
        ("HTTP/1.1 204 No Content\r\n\r\n", &[(204, false)]),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", &[(200, true)]),
        (
            "HTTP/1.1 503 x\r\nCONTENT-LENGTH:4\r\nretry-after: 1\r\n\r\n\r\n\r\n\
             HTTP/1.1 202 \r\ncontent-length: 1\r\n\r\n.",
            &[(503, false), (202, false)],
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 \r\ncontent-length: 0\r\n\r\n",
            &[(202, false)],
        ),
        ("HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{", &[]),
        ("HTTP/1.1 202 Accepted\r\ncontent-length", &[]),
    ];
    for (text, expected) in rows {
        assert_eq!(answers(&[text.as_bytes()]).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_BYTES_MAX));
    let rows = [
        ("SSH-2.0-x\r\n\r\n", BadAnswer::NotHttp),
        ("HTTP/1.1 2x2 \r\n\r\n", BadAnswer::NotHttp),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", BadAnswer::NotHttp),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", BadAnswer::Chunked),
        ("HTTP/1.1 200 OK\r\n\r\n", BadAnswer::NoLength),
        (&long, BadAnswer::HeadTooLong),
    ];
    for (text, expected) in rows {
        assert_eq!(answers(&[text.as_bytes()]), Err(expected));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn however_the_bytes_are_cut_the_same_answers_come_out(
        made in prop::collection::vec((200_u16..600, 0_usize..40, any::<bool>()), 1..5),
        cuts in prop::collection::vec(0_usize..600, 0..12),
    ) {
        let mut text = Vec::new();
        for (status, length, interim) in &made {
            if *interim {
                text.extend_from_slice(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n");
            }
            let head = format!("HTTP/1.1 {status} X\r\nserver: s\r\ncontent-length: {length}\r\n\r\n");
            text.extend_from_slice(head.as_bytes());
            // A body of what ends a head, to see that it is skipped and not searched.
            text.extend(b"\r\n".iter().cycle().take(*length));
        }
        let mut at: Vec<_> = cuts.iter().map(|cut| cut % text.len()).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<_> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let expected: Vec<_> = made
            .iter()
            .map(|(status, _, _)| (*status, false))
            .collect();
        // 204 and 304 have no body, whatever they say of its length.
        prop_assume!(made.iter().all(|(status, _, _)| *status != 204 && *status != 304));
        prop_assert_eq!(answers(&pieces), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)) {
        let mut reader = Reader::default();
        for piece in &pieces {
            let mut input = piece.as_slice();
            while let Ok(Some(_)) = reader.next(&mut input) {}
        }
    }
}
