use super::*;
use serde_json::Value;

fn filled(template: &Template, sequence: u64) -> String {
    let mut message = template.text().to_vec();
    template.fill(&mut message, sequence);
    String::from_utf8(message).unwrap()
}

#[test]
fn a_place_takes_a_number_of_12_digits_in_text_and_bare() {
    let template = Template::parse(" {\"n\":{seq},\n\"id\":\"u-{seq}\",\"o\":{}}\n").unwrap();
    assert_eq!(filled(&template, 7), r#"{"n":100000000007, "id":"u-100000000007","o":{}}"#);
    assert_eq!(filled(&template, NUMBERS + 7), filled(&template, 7));
}

#[test]
fn every_message_has_the_size_that_was_asked_for_and_is_json() {
    for bytes in [120, 256, 4_096] {
        let template = Template::of_size(bytes).unwrap();
        for sequence in [0, 1, 999_999_999_999, u64::MAX] {
            let message = filled(&template, sequence);
            assert_eq!(message.len(), bytes);
            let value: Value = serde_json::from_str(&message).unwrap();
            assert_eq!(value["event_type"], "load_test");
        }
    }
    assert!(Template::of_size(10).unwrap_err().to_string().contains("smallest"));
}

#[test]
fn what_is_called_random_differs_from_message_to_message() {
    let template = Template::parse(r#"{"id":"{random}"}"#).unwrap();
    assert_ne!(filled(&template, 1), filled(&template, 2));
    assert_eq!(filled(&template, 1), filled(&template, 1));
}

#[test]
fn a_template_that_gives_no_object_is_refused() {
    for text in ["", "[1]", "{", "{\"a\":}", "7"] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}
