//! The list of what is JSON and what is not: testdata/json.txt.

const TEXTS: &str = include_str!("../testdata/json.txt");

/// What is to be said of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Valid,
    Invalid,
    LoneSurrogate,
}

/// A line of the file, its `<1f>` made bytes.
fn bytes(line: &str) -> Vec<u8> {
    let (first, rest) = line.split_once('<').map_or((line, None), |(a, b)| (a, Some(b)));
    let mut bytes = first.as_bytes().to_vec();
    for piece in rest.into_iter().flat_map(|rest| rest.split('<')) {
        let (hex, plain) = piece.split_once('>').expect("`<` stands before two digits and `>`");
        bytes.push(u8::from_str_radix(hex, 16).expect("two hex digits"));
        bytes.extend_from_slice(plain.as_bytes());
    }
    bytes
}

/// The lines of the sections of this kind: `values` or `objects`.
pub(crate) fn texts(kind: &str) -> Vec<(Vec<u8>, Verdict)> {
    let mut section = None;
    let mut texts = Vec::new();
    for line in TEXTS.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            let (its, verdict) = title.split_once(": ").unwrap();
            let verdict = match verdict {
                "valid" => Verdict::Valid,
                "invalid" => Verdict::Invalid,
                "lone surrogates" => Verdict::LoneSurrogate,
                other => panic!("no such section: {other}"),
            };
            section = (its == kind).then_some(verdict);
        } else if let Some(verdict) = section.filter(|_| !line.is_empty()) {
            texts.push((bytes(line), verdict));
        }
    }
    texts
}
