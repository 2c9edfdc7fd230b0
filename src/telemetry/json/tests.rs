use super::*;
use proptest::prelude::*;

fn written(fill: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    fill(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn texts_are_escaped_as_rfc_8259_asks() {
    let rows = [
        ("", r#""""#),
        ("plain", r#""plain""#),
        ("say \"hi\"", r#""say \"hi\"""#),
        ("back\\slash", r#""back\\slash""#),
        ("two\nlines\r\tand", r#""two\nlines\r\tand""#),
        ("\u{0}\u{1f}", "\"\\u0000\\u001f\""),
        ("\u{7f}\u{80}\u{9b}2J\u{9f}", "\"\\u007f\\u0080\\u009b2J\\u009f\""),
        ("\u{a0}\u{bf}\u{c2}\u{2028}", "\"\u{a0}\u{bf}\u{c2}\u{2028}\""),
        ("größe 🦀", "\"größe 🦀\""),
    ];
    for (text, expected) in rows {
        assert_eq!(written(|out| write_string(out, text)), expected);
    }
}

#[test]
fn numbers_are_written_in_decimal() {
    for number in [0, 1, 9, 10, 12_345, u64::MAX] {
        assert_eq!(written(|out| write_number(out, number)), number.to_string());
    }
}

#[test]
fn objects_and_arrays_nest_with_commas_in_the_right_places() {
    let text = written(|out| {
        object(out, |o| {
            o.text("a", "x");
            o.text_if("none", None);
            o.number("b", 7);
            o.signed("c", -3);
            o.boolean("d", true);
            o.time("e", Some(UnixMicros(0)));
            o.time("f", None);
            o.null("g");
            o.raw("h", b"{\"y\":[1]}");
            o.display("i", "q\"q");
            o.object("j", |_| ());
            o.array("k", |list| {
                list.text("l");
                list.number(1);
                list.raw(b"null");
                list.object(|o| o.number("m", 2));
            });
            o.texts("n", ["p", "q"]);
        });
    });
    assert_eq!(
        text,
        concat!(
            r#"{"a":"x","b":7,"c":-3,"d":true,"e":"1970-01-01T00:00:00.000000Z","f":null,"#,
            r#""g":null,"h":{"y":[1]},"i":"q\"q","j":{},"k":["l",1,null,{"m":2}],"n":["p","q"]}"#
        )
    );
}

proptest! {
    #[test]
    fn any_text_comes_back_from_a_json_parser(text in any::<String>()) {
        let json = written(|out| write_string(out, &text));
        let back: String = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(back, text);
        prop_assert!(!json.bytes().any(|b| b < 0x20));
    }
}
