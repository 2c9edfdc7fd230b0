use super::*;
use crate::effect::Effect;
use crate::{Definition, Start};
use base::{MessageId, Outbox};

const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);

fn definition() -> Definition {
    let text = "
id: golden
tasks:
  - { id: a, type: transform, with: { n: '${ input.n }', f: 1.0 } }
  - { id: skipped, type: transform, when: false, with: 1 }
  - { id: call, type: http, depends_on: [a], timeout: 5s, retry: { max: 3, jitter: none }, with: { url: 'http://x' } }
  - { id: slow, type: http, timeout: 1s, retry: { max: 3, jitter: none }, with: { url: 'http://x' } }
  - { id: bad, type: fail, depends_on: [skipped], run_if: always }
  - { id: rest, type: delay, with: { for: 1h } }
  - { id: after, type: transform, depends_on: [call], with: 1 }
";
    let source = document::Source { name: "golden.yaml", text };
    crate::parse(source, crate::Plugins::Any).unwrap().remove(0)
}

/// An instance with something in every field.
fn instance(definition: &Definition) -> Instance {
    let mut out: Outbox<Effect> = Outbox::new();
    let start = Start {
        id: InstanceId { message: MessageId(0x0030_0000_0000_00a1), ordinal: 2 },
        definition,
        message: Value::parse_json(br#"{"n":18446744073709551615,"t":"\u0000\"x","d":1e300}"#)
            .unwrap(),
        params: Value::map([("level", Value::text("high"))]),
        now: NOW,
        timeout: Some(std::time::Duration::from_mins(2)),
        retry: Some(4),
    };
    let mut instance = Instance::start(start, &mut out);
    let call = definition.task("call").unwrap();
    let error = TaskError::passing("http_503", "busy");
    instance.on_result(definition, call, 1, Err(error), UnixMicros(NOW.0 + 7), &mut out);
    instance.on_time(definition, UnixMicros(NOW.0 + 1_000_000), &mut out);
    instance
}

#[test]
fn an_image_is_the_instance() {
    let definition = definition();
    let instance = instance(&definition);
    let image = instance.image();
    let read = Instance::from_image(&image).unwrap();
    assert_eq!(read, instance);
    assert_eq!(read.image(), image);
    assert_eq!(read.to_json(&definition, &()), instance.to_json(&definition, &()));
    assert!(read.belongs_to(&definition));
}

/// The image of [`instance`] as version 1 wrote it, 32 bytes a line. Its tasks had lost no worker.
const VERSION_1: &str = include_str!("version_1.hex");

/// The image of [`instance`] as version 2 writes it, with what [`lossy`] has lost. It is never written
/// anew: a change of the layout needs a new version, and this one must stay readable.
const VERSION_2: &str = include_str!("version_2.hex");

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn lossy(definition: &Definition) -> Instance {
    let mut instance = instance(definition);
    let call = &mut instance.tasks[definition.task("call").unwrap().index()];
    (call.attempt, call.losses, call.released) = (0x708, 2, 0x304);
    instance
}

#[test]
fn the_layout_of_version_2_is_frozen() {
    let instance = lossy(&definition());
    let lines: Vec<String> = instance
        .image()
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
        .collect();
    let written = lines.join("\n");
    assert!(written == VERSION_2.trim_end(), "what is written is:\n{written}");
    assert_eq!(Instance::from_image(&bytes_of(VERSION_2)).unwrap(), instance);
}

#[test]
fn an_image_of_version_1_is_still_read() {
    assert_eq!(Instance::from_image(&bytes_of(VERSION_1)).unwrap(), instance(&definition()));
}

#[test]
fn damaged_bytes_are_an_error_and_never_a_panic() {
    let definition = definition();
    let image = instance(&definition).image();
    assert!(matches!(Instance::from_image(&[]), Err(ImageError::Empty)));
    assert!(matches!(Instance::from_image(&[9]), Err(ImageError::Version { version: 9 })));
    for length in 1..image.len() {
        assert!(Instance::from_image(&image[..length]).is_err(), "cut to {length}");
    }
    for place in 0..image.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = image.clone();
            damaged[place] ^= flip;
            // What is still an instance is one whose parts go together.
            if let Ok(read) = Instance::from_image(&damaged) {
                assert!(read.check().is_ok());
                assert_eq!(Instance::from_image(&read.image()).unwrap(), read);
            }
        }
    }
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    type Break<'a> = &'a dyn Fn(&mut Instance);
    let definition = definition();
    let running = definition.task("rest").unwrap().index();
    let ready = definition.task("call").unwrap().index();
    let changes: [(&str, Break<'_>); 8] = [
        ("an instance ends with its last task", &|i| i.status = InstanceStatus::Failed),
        ("an instance that ended has an end", &|i| i.ended = Some(NOW)),
        ("a task that ended has an end", &|i| i.tasks[running].ended = Some(NOW)),
        ("a task waits exactly while it is pending", &|i| i.tasks[running].waiting = 1),
        ("only a task between attempts waits for a stop", &|i| i.tasks[running].stopping = true),
        ("an attempt has a number", &|i| i.tasks[running].attempt = 0),
        ("what was lost was an attempt", &|i| i.tasks[running].losses = 2),
        ("a ready task waits for something", &|i| i.tasks[ready].wake = None),
    ];
    for (rule, change) in changes {
        let mut instance = instance(&definition);
        change(&mut instance);
        match Instance::from_image(&instance.image()) {
            Err(ImageError::Contradiction { what }) => assert_eq!(what, rule),
            other => panic!("{rule}: {other:?}"),
        }
    }
    let mut instance = instance(&definition);
    instance.error =
        Some(Failure { task: Some(TaskIndex(99)), error: TaskError::lasting("a", "b") });
    assert!(matches!(
        Instance::from_image(&instance.image()),
        Err(ImageError::Contradiction { what: "a task that the instance does not have" })
    ));
}
