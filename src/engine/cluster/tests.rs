use super::*;
use std::fmt::Write;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn at() -> Address {
    Address::parse("10.0.0.4:9101").unwrap()
}

fn every_demand() -> Vec<(&'static str, Demand)> {
    let config =
        PluginConfig { plugin: "payment_validator".into(), config: r#"{"limit":5}"#.into() };
    vec![
        ("progress", Demand::Progress),
        ("add", Demand::Add { node: NodeId(4), address: at(), cluster: 0xc1 }),
        ("promote", Demand::Promote { node: NodeId(4) }),
        ("remove", Demand::Remove { node: NodeId(4) }),
        ("transfer to anybody", Demand::Transfer { to: None }),
        ("transfer", Demand::Transfer { to: Some(NodeId(2)) }),
        ("move", Demand::Move { address: at() }),
        ("clock", Demand::Clock { wall: UnixMicros(0x0c10c) }),
        ("validate", Demand::Validate { configs: vec![config] }),
    ]
}

fn every_answer() -> Vec<(&'static str, Answered)> {
    let reached = vec![Reached { node: NodeId(4), matched: 7, heard: true, snapshot: false }];
    let refused = ApiError::new(Code::WrongState, "it is no learner").with_retry_after(1);
    let answers = [
        ("progress", Fulfilled::Progress(Progress { commit: 9, reached })),
        ("changed", Fulfilled::Changed { index: 8 }),
        ("leads", Fulfilled::Leads { node: NodeId(2) }),
        ("refused", Fulfilled::Refused(refused)),
        ("validated", Fulfilled::Validated { faults: vec![(2, "limit must be above 0".into())] }),
    ];
    let hashed = |checksum| Answered::Hashed(Hashed { layout: 4, index: 9, checksum });
    let answers = answers.into_iter().map(|(name, answer)| (name, Answered::Demand(answer)));
    let hashed = [("hashed", hashed(Ok(0xabc))), ("not hashed", hashed(Err("it is ahead".into())))];
    answers.chain(hashed).collect()
}

/// Two releases speak with each other while a cluster is upgraded: a change here needs a new version.
#[test]
fn the_layout_of_every_body_is_frozen() {
    let demands = every_demand().into_iter();
    let demands =
        demands.map(|(name, demand)| format!("demand {name}: {}", hex(&demand.to_body())));
    let answers = every_answer().into_iter();
    let answers =
        answers.map(|(name, answer)| format!("answer {name}: {}", hex(&answer.to_body())));
    let found: Vec<String> = demands.chain(answers).collect();
    let golden: Vec<&str> = include_str!("golden.txt").lines().collect();
    assert_eq!(found, golden, "{}", found.join("\n"));
}

#[test]
fn a_body_reads_back_as_it_was_written() {
    for (name, demand) in every_demand() {
        assert_eq!(Demand::from_body(&demand.to_body()), Ok(demand), "{name}");
    }
    for (name, answer) in every_answer() {
        assert_eq!(Answered::from_body(&answer.to_body()), Ok(answer), "{name}");
    }
}

#[test]
fn what_is_no_body_is_refused_and_never_panics() {
    assert_eq!(Demand::from_body(&[]), Err(BadBody::Empty));
    assert_eq!(Demand::from_body(&[2, 0]), Err(BadBody::Version { version: 2 }));
    for (name, demand) in every_demand() {
        let body = demand.to_body();
        for cut in 1..body.len() {
            // What a text holds may read as another demand; frames are checked before.
            assert_ne!(Demand::from_body(&body[..cut]), Ok(demand.clone()), "{name} until {cut}");
        }
        for at in 1..body.len() {
            for bit in 0..8 {
                let mut flipped = body.to_vec();
                flipped[at] ^= 1 << bit;
                // It may well be another demand; it is never a panic.
                let _other = Demand::from_body(&flipped);
                let _other = Answered::from_body(&flipped);
            }
        }
    }
}

#[test]
fn a_code_of_a_later_release_is_a_refusal_all_the_same() {
    let refused = RefusedV1 {
        code: "not_known_yet".into(),
        detail: "d".into(),
        hint: "h".into(),
        retry_after_seconds: None,
    };
    let error = refused.into_error();
    assert_eq!((error.code, &*error.detail, &*error.hint), (Code::Internal, "d", "h"));
}
