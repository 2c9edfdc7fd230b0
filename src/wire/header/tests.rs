use super::*;

#[test]
fn a_header_has_the_layout_of_the_requirements() {
    let header = Header {
        version: 1,
        flags: Flags::URGENT | Flags::TRACED | Flags::RESPONSE,
        kind: Kind(0x1234),
        payload_bytes: 0x0506_0708,
        crc: 0x090a_0b0c,
        call: 0x0d0e_0f10_1112_1314,
        sent_at: UnixMicros(0x1516_1718_191a_1b1c),
    };
    let bytes =
        *b"DIST\x01\x1c\x12\x34\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\
        \x15\x16\x17\x18\x19\x1a\x1b\x1c";
    assert_eq!(header.encode(), bytes);
    assert_eq!(Header::decode(&bytes), Ok(header));
    let flags =
        [Flags::COMPRESSED, Flags::ENCRYPTED, Flags::URGENT, Flags::TRACED, Flags::RESPONSE];
    assert_eq!(flags.map(|flag| flag.0), [1, 2, 4, 8, 16]);
}

#[test]
fn every_kind_has_a_name_of_its_own_and_every_other_number_none() {
    let mut names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
    assert!(!names.contains(&"unknown"));
    assert!(Kind::ALL.is_sorted());
    assert_eq!(Kind(0x9999).name(), "unknown");
    assert_eq!(
        (Kind::SUBMIT.to_string(), Kind(0x9999).to_string()),
        ("submit".into(), "0x9999".into())
    );
}
