use super::*;

fn written(fields: impl FnOnce(&mut TlvWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    fields(&mut TlvWriter::new(&mut out));
    out
}

/// The only field of a record.
fn only(record: &[u8]) -> Value<'_> {
    TlvReader::new(record).next().unwrap().unwrap().value
}

#[test]
fn every_type_is_read_as_it_was_written() {
    let record = written(|out| {
        out.u8(0, u8::MAX);
        out.u16(1, u16::MAX - 1);
        out.u32(2, u32::MAX - 2);
        out.u64(3, u64::MAX - 3);
        out.i64(4, i64::MIN);
        out.f64(5, -0.125);
        out.bool(6, true);
        out.string(7, "größer");
        out.bytes(8, &[0, 255]);
        out.array(9, |array| {
            array.u64(1);
            array.string("two");
            array.bytes(b"three");
            array.map(|map| map.u8(4, 4));
            array.array(|array| array.u64(5));
        });
        out.map(u16::MAX, |map| map.map(0, |map| map.bool(0, false)));
    });
    let mut reader = TlvReader::new(&record);
    let mut tags = Vec::new();
    let mut value = || {
        let field = reader.next().unwrap().unwrap();
        tags.push(field.tag);
        field.value
    };
    assert_eq!(value().u8(), Ok(u8::MAX));
    assert_eq!(value().u16(), Ok(u16::MAX - 1));
    assert_eq!(value().u32(), Ok(u32::MAX - 2));
    assert_eq!(value().u64(), Ok(u64::MAX - 3));
    assert_eq!(value().i64(), Ok(i64::MIN));
    assert_eq!(value().f64(), Ok(-0.125));
    assert_eq!(value().bool(), Ok(true));
    assert_eq!(value().string(), Ok("größer"));
    assert_eq!(value().bytes(), Ok(&[0, 255][..]));
    let mut array = value().array().unwrap();
    assert_eq!(array.count(), 5);
    let mut element = || array.next().unwrap().unwrap();
    assert_eq!(element().u64(), Ok(1));
    assert_eq!(element().string(), Ok("two"));
    assert_eq!(element().bytes(), Ok(&b"three"[..]));
    assert_eq!(only(element().raw()).u8(), Ok(4));
    assert_eq!(element().array().unwrap().next().unwrap().unwrap().u64(), Ok(5));
    assert!(array.next().unwrap().is_none());
    let inner = value().map().unwrap().next().unwrap().unwrap();
    assert_eq!(only(inner.value.raw()).bool(), Ok(false));
    assert_eq!(tags, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, u16::MAX]);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn the_bytes_of_every_type_are_frozen() {
    for (record, bytes) in [
        (written(|out| out.u8(0x102, 3)), &b"\x01\x02\x01\0\0\0\x01\x03"[..]),
        (written(|out| out.u16(1, 0x203)), b"\0\x01\x02\0\0\0\x02\x02\x03"),
        (written(|out| out.u32(1, 2)), b"\0\x01\x03\0\0\0\x04\0\0\0\x02"),
        (written(|out| out.u64(1, 2)), b"\0\x01\x04\0\0\0\x08\0\0\0\0\0\0\0\x02"),
        (written(|out| out.i64(1, -2)), b"\0\x01\x05\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xfe"),
        (written(|out| out.f64(1, 1.0)), b"\0\x01\x06\0\0\0\x08\x3f\xf0\0\0\0\0\0\0"),
        (written(|out| out.bool(1, true)), b"\0\x01\x07\0\0\0\x01\x01"),
        (written(|out| out.string(1, "ab")), b"\0\x01\x10\0\0\0\x02ab"),
        (written(|out| out.bytes(1, b"")), b"\0\x01\x11\0\0\0\0"),
        (written(|out| out.array(1, |_| ())), b"\0\x01\x20\0\0\0\x04\0\0\0\0"),
        (
            written(|out| out.array(1, |array| array.string("a"))),
            b"\0\x01\x20\0\0\0\x0a\0\0\0\x01\x10\0\0\0\x01a",
        ),
        (
            written(|out| out.map(1, |map| map.u8(2, 3))),
            b"\0\x01\x21\0\0\0\x08\0\x02\x01\0\0\0\x01\x03",
        ),
    ] {
        assert_eq!(record, bytes);
    }
    for kind in Type::ALL {
        assert_eq!(Type::from_code(kind.code()), Some(*kind));
    }
    assert_eq!(Type::from_code(0), None);
}

#[test]
fn a_value_is_not_read_as_another_type() {
    let record = written(|out| out.u32(1, 2));
    let value = only(&record);
    let error = |expected| Fault::Type { found: 3, expected };
    assert_eq!(value.u8(), Err(error(Type::U8)));
    assert_eq!(value.i64(), Err(error(Type::I64)));
    assert_eq!(value.bool(), Err(error(Type::Bool)));
    assert_eq!(value.string(), Err(error(Type::String)));
    assert_eq!(value.bytes(), Err(error(Type::Bytes)));
    assert_eq!(value.array().unwrap_err(), error(Type::Array));
    assert_eq!(value.map().unwrap_err(), error(Type::Map));
}

#[test]
fn arrays_and_maps_lie_within_each_other_as_deep_as_is_allowed_and_no_deeper() {
    fn nest(out: &mut TlvWriter<'_>, depth: u8) {
        if depth > 0 {
            out.map(1, |map| nest(map, depth - 1));
        }
    }
    fn arrays(out: &mut ArrayWriter<'_>, depth: u8) {
        if depth > 0 {
            out.array(|array| arrays(array, depth - 1));
        }
    }
    for (depth, is_fine) in [(DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
        let record = written(|out| nest(out, depth));
        let (mut reader, mut reached) = (TlvReader::new(&record), 0);
        let end = loop {
            match reader.next().unwrap().map(|field| field.value.map()) {
                Some(Ok(inner)) => (reader, reached) = (inner, reached + 1),
                Some(Err(fault)) => break Some(fault),
                None => break None,
            }
        };
        assert_eq!(reached, DEPTH_MAX);
        assert_eq!(reader.depth(), DEPTH_MAX);
        assert_eq!(end.is_none(), is_fine);

        let record = written(|out| out.array(1, |array| arrays(array, depth - 1)));
        let (mut value, mut reached) = (only(&record), 0);
        let end = loop {
            match value.array() {
                Ok(mut array) => {
                    reached += 1;
                    let Some(inner) = array.next().unwrap() else { break None };
                    value = inner;
                }
                Err(fault) => break Some(fault),
            }
        };
        assert_eq!(reached, DEPTH_MAX);
        let too_deep = (!is_fine).then_some(Fault::TooDeep { depth_max: DEPTH_MAX });
        assert_eq!(end, too_deep);
    }
}

#[test]
#[should_panic(expected = "tags rise: 2 after 2")]
fn our_own_tags_rise_or_we_are_wrong() {
    written(|out| {
        out.u8(2, 0);
        out.u8(2, 0);
    });
}

#[test]
fn what_is_sought_is_found_whatever_lies_before_it() {
    let record = written(|out| {
        out.u8(1, 1);
        out.string(3, "three");
        out.u64(5, 5);
        out.bytes(7, b"seven");
    });
    let mut reader = TlvReader::new(&record);
    assert_eq!(reader.find(3, Type::String), Ok(Some(&b"three"[..])));
    assert_eq!(reader.find_fixed::<1>(4, Type::U8), Ok(None));
    assert_eq!(reader.find_fixed(5, Type::U64), Ok(Some(&5_u64.to_be_bytes())));
    assert_eq!(reader.find(6, Type::Bytes), Ok(None));
    assert_eq!(reader.finish(), Ok(()));
    let mut reader = TlvReader::new(&record);
    assert_eq!(reader.find_fixed(5, Type::U64), Ok(Some(&5_u64.to_be_bytes())));
    assert_eq!(reader.find(9, Type::Bytes), Ok(None));
    assert_eq!(reader.find(10, Type::Bytes), Ok(None));
    assert_eq!(reader.finish(), Ok(()));
}
