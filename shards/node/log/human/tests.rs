use super::write_line;

fn shown(line: &str) -> String {
    let mut out = Vec::new();
    write_line(&mut out, line.as_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_is_shown_for_people() {
    let head = r#"{"ts":"2026-11-20T09:58:00.123456Z","level":"INFO","component":"ingress","msg":"#;
    let shown_head = "2026-11-20T09:58:00.123Z INFO  ingress:";
    for (rest, expected) in [
        (r#""listening"}"#, " listening"),
        (r#""listening","port":8080,"quick":true}"#, " listening port=8080 quick=true"),
        (r#""a","path":"/x/y","text":"two words"}"#, r#" a path=/x/y text="two words""#),
        (r#""a","empty":"","sum":"1=1"}"#, r#" a empty="" sum="1=1""#),
        (r#""say \"hi\", {you}","quote":"\""}"#, r#" say "hi", {you} quote="\"""#),
        (r#""a","back":"c:\\d"}"#, r#" a back="c:\\d""#),
        (r#""\u001b[2Jgone\n","name":"\u0007"}"#, r" \u{1b}[2Jgone\n name=\u{7}"),
        (r#""two\nlines","three":"four\nfive six"}"#, r#" two\nlines three="four\nfive six""#),
        (
            r#""ä","id":340282366920938463463374607431768211455}"#,
            " ä id=340282366920938463463374607431768211455",
        ),
        (r#""","ratio":-1.5e300}"#, "  ratio=-1.5e300"),
    ] {
        assert_eq!(
            shown(&format!("{head}{rest}\n")),
            format!("{shown_head}{expected}\n"),
            "{rest}"
        );
    }
}

#[test]
fn a_line_of_another_shape_is_shown_as_it_is() {
    for line in [
        "not json\n",
        "\n",
        "{\"ts\":\"short\"}\n",
        "{\"ts\":\"2026-11-20T09:58:00.123456Z\",\"level\":\"INFO\"",
        "{\"a\":{\"nested\":1}}\n",
        "{\"a\":[1,2]}\n",
        "{\"a\":1,}\n",
        "{\"a\" 1}\n",
        "{\"a\":\"unfinished}\n",
        "{a:1}\n",
    ] {
        assert_eq!(shown(line), line);
    }
}
