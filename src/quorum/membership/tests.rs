use super::*;
use proptest::prelude::*;
use std::fmt::Write;

fn member(store: u64) -> Member {
    let address = Address::parse(&format!("node-{store}.example:9100")).unwrap();
    Member { store: StoreId(store), address: Some(address) }
}

fn founded(voters: u64) -> Membership {
    Membership::founded((1..=voters).map(|node| (NodeId(node), member(node)))).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn the_bytes_of_version_1_stay_as_they_are() {
    let address = Address::parse("10.0.0.7:9100").unwrap();
    let membership = Membership::founded([
        (NodeId(1), Member { store: StoreId(0x0102), address: None }),
        (NodeId(2), Member { store: StoreId(3), address: Some(address.clone()) }),
    ])
    .unwrap();
    let golden = "01020100000000000000020100000000000001000002000000000000000300000000000000\
                  010d0031302e302e302e373a39313030";
    assert_eq!(hex(&membership.to_bytes()), golden);
    assert_eq!(Membership::from_bytes(&membership.to_bytes()), Ok(membership));
    let change = Change {
        steps: vec![
            Step::Learn { node: NodeId(4), member: Member { store: StoreId(5), address: None } },
            Step::Promote { node: NodeId(3) },
            Step::Remove { node: NodeId(2) },
            Step::Move { node: NodeId(1), address },
        ],
    };
    let golden = "0104010400000000000000050000000000000000000203000000000000000302000000000000\
                  000401000000000000000d0031302e302e302e373a39313030";
    assert_eq!(hex(&change.to_bytes()), golden);
    assert_eq!(Change::from_bytes(&change.to_bytes()), Ok(change));
    assert_eq!(hex(&Change::LEAVE.to_bytes()), "0100");
}

#[test]
fn bytes_that_are_none_are_refused_with_the_reason() {
    let good = founded(2).to_bytes();
    for length in 0..good.len() {
        let error = Membership::from_bytes(&good[..length]).unwrap_err();
        assert_eq!(error, ReadError::Short { bytes: length });
    }
    let with = |at: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = value;
        Membership::from_bytes(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 2), ReadError::Version { version: 2 });
    assert_eq!(with(1, 200), ReadError::Count { count: 200, max: 22 });
    assert_eq!(with(2, 0), ReadError::Order { node: NodeId(0) });
    assert_eq!(with(18, 5), ReadError::Standing { node: NodeId(1), standing: 5 });
    assert!(matches!(with(21, b'!'), ReadError::Address { .. }));
    let mut long = good.to_vec();
    long.push(0);
    assert_eq!(Membership::from_bytes(&long), Err(ReadError::Long { bytes: 1 }));
    assert_eq!(
        Change::from_bytes(&[1, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0]),
        Err(ReadError::Kind { kind: 9 })
    );
}

#[test]
fn a_change_of_one_step_is_in_force_at_once_and_more_pass_through_both_majorities() {
    let learner = founded(3).changed(&Change::learn(NodeId(4), member(4))).unwrap();
    assert!(!learner.is_joint() && learner.is_learner(NodeId(4)));
    let joint = learner.changed(&Change::replace(NodeId(1), NodeId(4))).unwrap();
    assert!(joint.is_joint());
    assert_eq!(joint.voters().collect::<Vec<_>>(), [2, 3, 4].map(NodeId));
    assert_eq!(joint.outgoing().collect::<Vec<_>>(), [1, 2, 3].map(NodeId));
    assert!(joint.member(NodeId(1)).is_some(), "it still votes");
    assert_eq!(joint.changed(&Change::remove(NodeId(2))), Err(ChangeError::Joint));
    let left = joint.changed(&Change::LEAVE).unwrap();
    assert!(!left.is_joint() && left.member(NodeId(1)).is_none());
    assert_eq!(left.changed(&Change::LEAVE), Err(ChangeError::Empty));
}

#[test]
fn the_bounds_hold() {
    let nodes = |range: std::ops::RangeInclusive<u64>| range.map(|n| (NodeId(n), member(n)));
    assert_eq!(Membership::founded(nodes(1..=8)), Err(ChangeError::TooManyVoters { voters: 8 }));
    assert_eq!(Membership::founded([]), Err(ChangeError::NoVoter));
    assert_eq!(Membership::founded(nodes(0..=2)), Err(ChangeError::Nobody));
    let twice = nodes(1..=2).chain(nodes(2..=2));
    assert_eq!(Membership::founded(twice), Err(ChangeError::Twice { node: NodeId(2) }));
    assert_eq!(founded(1).changed(&Change::remove(NodeId(1))), Err(ChangeError::NoVoter));
    let mut group = founded(3);
    for node in 4..12 {
        group = group.changed(&Change::learn(NodeId(node), member(node))).unwrap();
    }
    let more = group.changed(&Change::learn(NodeId(12), member(12)));
    assert_eq!(more, Err(ChangeError::TooManyLearners { learners: 9 }));
    let steps = vec![Step::Remove { node: NodeId(1) }; 15];
    assert_eq!(group.changed(&Change { steps }), Err(ChangeError::TooManySteps { steps: 15 }));
    let moved = Step::Move { node: NodeId(1), address: Address::parse("a:1").unwrap() };
    let both = Change { steps: vec![moved.clone(), Step::Remove { node: NodeId(2) }] };
    assert_eq!(group.changed(&both), Err(ChangeError::MoveAlone { node: NodeId(1) }));
    let alone = group.changed(&Change { steps: vec![moved] }).unwrap();
    assert_eq!(alone.member(NodeId(1)).unwrap().address, Some(Address::parse("a:1").unwrap()));
}

fn any_step() -> impl Strategy<Value = Step> {
    let node = || (0..12_u64).prop_map(NodeId);
    prop_oneof![
        (node(), 1..5_u64).prop_map(|(node, store)| Step::Learn { node, member: member(store) }),
        node().prop_map(|node| Step::Promote { node }),
        node().prop_map(|node| Step::Remove { node }),
        node().prop_map(|node| Step::Move { node, address: Address::parse("a:1").unwrap() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_a_change_makes_is_read_as_it_was_written(
        voters in 1..8_u64,
        changes in proptest::collection::vec(proptest::collection::vec(any_step(), 0..4), 0..12),
    ) {
        let mut group = founded(voters);
        for steps in changes {
            let change = Change { steps };
            prop_assert_eq!(&Change::from_bytes(&change.to_bytes()).unwrap(), &change);
            if let Ok(next) = group.changed(&change) {
                group = next;
            }
            prop_assert_eq!(&Membership::from_bytes(&group.to_bytes()).unwrap(), &group);
            prop_assert!(group.voters().len() > 0);
            prop_assert!(group.learners().all(|node| !group.is_voter(node)));
        }
    }

    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _refused = Membership::from_bytes(&bytes);
        let _refused = Change::from_bytes(&bytes);
    }
}
