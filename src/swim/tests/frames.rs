//! Bytes: what is sent is right and fits, what is received may be anything.

use super::world::{CLUSTER, GROUP, World, address, id};
use crate::bridge::UPDATES_MAX;
use crate::data::{DATA_BYTES_MAX, Said};
use crate::datagram::{Addressee, NEWS_BYTES_MAX, Outgoing, SEAL_BYTES, Talk, decode};
use crate::identity::{Identity, UPDATE_BYTES, Update};
use crate::keys::Nonces;
use crate::{DATAGRAM_BYTES_MAX, Dropped, KeyRing, KeyRingError, MemberData, State};
use base::{Prng, UnixMicros};
use std::net::SocketAddr;
use std::time::Duration;
use wire::{Frame, Kind};

const KINDS: [Kind; 11] = [
    Kind::GOSSIP_PING,
    Kind::GOSSIP_ACK,
    Kind::GOSSIP_INDIRECT_PING,
    Kind::MEMBERSHIP_UPDATE,
    Kind::GOSSIP_RELAYED_PING,
    Kind::GOSSIP_RELAYED_ACK,
    Kind::GOSSIP_FORWARDED_ACK,
    Kind::GOSSIP_FAILED,
    Kind::GOSSIP_SUSPICION,
    Kind::GOSSIP_SYNC,
    Kind::GOSSIP_SEARCH,
];

fn update(member: u64, address: &str, state: State) -> Update {
    let identity = Identity {
        member,
        boot: 0x0102_0304_0506_0708,
        renewal: 3,
        address: address.parse().unwrap(),
        leaving: state == State::Left,
    };
    Update { identity, incarnation: 7, state }
}

#[test]
fn an_update_has_the_bytes_that_were_once_given_to_it() {
    let left = update(9, "10.1.2.3:9201", State::Left);
    let bytes = [
        &[0, 0, 0, 0, 0, 0, 0, 9][..],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 0, 0, 3],
        &[0, 7],
        &[4],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3],
        &[0x23, 0xf1],
    ]
    .concat();
    assert_eq!(left.encode()[..], bytes);
    for (state, code) in
        [(State::Alive, 1), (State::Suspected, 2), (State::Failed, 3), (State::Left, 4)]
    {
        for address in ["10.1.2.3:9201", "[fd00::4]:1"] {
            let update = update(9, address, state);
            let bytes = update.encode();
            assert_eq!(bytes[22], code);
            let again = Update::decode(&bytes).unwrap();
            assert_eq!((again, again.identity.address), (update, update.identity.address));
            assert_eq!(again.identity.leaving, state == State::Left);
        }
    }
}

#[test]
fn an_update_that_cannot_be_is_refused() {
    let fine = update(9, "10.1.2.3:9201", State::Alive).encode();
    let with = |at: usize, bytes: &[u8]| {
        let mut wrong = fine;
        wrong[at..at + bytes.len()].copy_from_slice(bytes);
        Update::decode(&wrong)
    };
    assert!(with(0, &[]).is_ok());
    for (what, wrong) in [
        ("nobody", with(0, &[0; 8])),
        ("state 0", with(22, &[0])),
        ("state 5", with(22, &[5])),
        ("a group", with(35, &[224, 0, 0, 1])),
        ("everybody", with(35, &[255; 4])),
        ("anywhere", with(35, &[0; 4])),
        ("port 0", with(39, &[0; 2])),
    ] {
        assert!(wrong.is_err(), "{what}");
    }
}

#[test]
fn the_fullest_datagram_of_every_kind_fits_also_when_it_is_sealed() {
    let keys = KeyRing::parse(&"07".repeat(32)).unwrap();
    let from = update(u64::MAX, "[fd00:1:2:3:4:5:6:7]:65535", State::Alive);
    for kind in KINDS {
        let mut talk = Talk::new(kind, from, from.identity);
        (talk.probe, talk.other, talk.flag) = (255, Some(from), true);
        let to = Addressee { member: u64::MAX, boot: u64::MAX, renewal: u32::MAX };
        let updates: Vec<u8> = (0..UPDATES_MAX).flat_map(|_| from.encode()).collect();
        let digests = if kind == Kind::GOSSIP_SYNC { vec![1; 256] } else { Vec::new() };
        let used = if digests.is_empty() { updates.len() } else { digests.len() };
        let updates = if digests.is_empty() { &updates[..] } else { &[] };
        let record = vec![3; (NEWS_BYTES_MAX - used).saturating_sub(5).min(DATA_BYTES_MAX)];
        let data = [&record[..]];
        let out = Outgoing { cluster: 1, talk: &talk, to, updates, data: &data, digests: &digests };
        let frame = out.encode(UnixMicros(1));
        let sealed = keys.seal(&frame, [0; 12], UnixMicros(1));
        assert_eq!(sealed.len(), frame.len() + SEAL_BYTES, "{kind}");
        assert!(sealed.len() <= DATAGRAM_BYTES_MAX, "{kind}");
        let opened = keys.open(&Frame::decode(&sealed, DATAGRAM_BYTES_MAX).unwrap()).unwrap();
        assert_eq!(opened, frame);
        let incoming = decode(&Frame::decode(&opened, DATAGRAM_BYTES_MAX).unwrap()).unwrap();
        assert_eq!((incoming.from, incoming.to), (from, to));
        assert_eq!(incoming.updates.len(), updates.len() / UPDATE_BYTES);
        assert_eq!(incoming.digests, digests);
    }
}

#[test]
fn the_longest_data_fit_a_record_and_longer_texts_are_refused() {
    let text = "x".repeat(crate::TEXT_BYTES_MAX);
    let data = MemberData {
        name: text.clone(),
        zone: text.clone(),
        http_address: text.clone(),
        version_min: 1,
        version_max: 2,
        capacity: u32::MAX,
        load_permille: 1_000,
        leader_term: u64::MAX,
        worker: Some(base::WorkerId(u64::MAX)),
        ..super::world::data(0)
    };
    let said = Said::new((1, 2), 3, UnixMicros(4), data.clone());
    assert_eq!(Said::decode(&said.record).unwrap(), said);
    let long = MemberData { zone: format!("{text}x"), ..data };
    assert_eq!(
        long.check().unwrap_err().to_string(),
        "a member's zone has 129 bytes, at most 128 are allowed"
    );
    for cut in 0..said.record.len() {
        // Between two fields it is a record, of one who says less.
        assert_ne!(Said::decode(&said.record[..cut]), Some(said.clone()), "{cut}");
    }
}

#[test]
fn a_key_ring_is_refused_by_its_line() {
    let (one, two) = ("0a".repeat(32), "0B".repeat(32));
    let nine = (0..9).map(|key| format!("{key:064x}\n")).collect::<Vec<_>>().concat();
    let fine = [one.clone(), format!("# keys\n\n {one} \n{two}\n"), nine[..8 * 65].to_owned()];
    let counts = fine.map(|text| KeyRing::parse(&text).unwrap().ids().count());
    assert_eq!(counts, [1, 2, 8]);
    for (text, refused) in [
        (String::new(), KeyRingError::Empty),
        ("# nothing\n".to_owned(), KeyRingError::Empty),
        (format!("{one}\n0a0b\n"), KeyRingError::Key { line: 2 }),
        (format!("{}zz", &one[2..]), KeyRingError::Key { line: 1 }),
        (format!("+{}", &one[1..]), KeyRingError::Key { line: 1 }),
        (format!("{one}\n#\n{one}"), KeyRingError::Twice { line: 3 }),
        (nine, KeyRingError::TooMany),
    ] {
        assert_eq!(KeyRing::parse(&text).unwrap_err(), refused, "{text}");
    }
    let shown = format!("{:?}", KeyRing::parse(&one).unwrap());
    assert!(!shown.contains("0a0a"), "{shown}");
}

#[test]
fn a_sealed_datagram_that_was_changed_anywhere_is_not_opened() {
    let ring = |text: &str| KeyRing::parse(text).unwrap();
    let (ours, other) = (ring(&"01".repeat(32)), ring(&"02".repeat(32)));
    let sealed = ours.seal(b"a frame", [9; 12], UnixMicros(0));
    let open = |ring: &KeyRing, bytes: &[u8]| {
        ring.open(&Frame::decode(bytes, DATAGRAM_BYTES_MAX).map_err(|_| Dropped::Malformed)?)
    };
    assert_eq!(open(&ours, &sealed), Ok(b"a frame".to_vec()));
    assert_eq!(open(&other, &sealed), Err(Dropped::Key));
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&ours, &changed).is_err(), "bit {bit}: by the checksum");
    }
    // Behind the checksum: of the message itself, by the tag.
    let frame = Frame::decode(&sealed, DATAGRAM_BYTES_MAX).unwrap();
    for at in frame.payload.len() - 23..frame.payload.len() {
        let mut payload = frame.payload.to_vec();
        payload[at] ^= 1;
        let changed = Frame { payload: &payload, ..frame };
        assert_eq!(ours.open(&changed), Err(Dropped::Forged), "{at}");
    }
}

#[test]
fn nonces_go_on_with_the_next_eight_bytes_when_their_count_is_used_up() {
    let mut nonces = Nonces::new(u64::MAX);
    assert_eq!(nonces.next(), [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!(nonces.next()[11], 1);
    let mut nonces = Nonces::at(7, u32::MAX);
    assert_eq!(nonces.next(), [0, 0, 0, 0, 0, 0, 0, 7, 255, 255, 255, 255]);
    assert_eq!(nonces.next(), [0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
}

/// Real datagrams of a cluster in which much happens.
fn recorded() -> Vec<Vec<u8>> {
    let mut world = World::new(5, &[0]).tuned(|config| config.group = Some(GROUP));
    world.record = Some(Vec::new());
    (0..8).for_each(|_| _ = world.add());
    world.run(Duration::from_secs(5));
    world.crash(3);
    world.leave(4);
    world.stall(5, Duration::from_secs(7));
    world.network.loss_permille = 200;
    world.run(Duration::from_secs(25));
    world.record.take().unwrap()
}

/// Whatever comes: nothing panics, nothing that is sent is too long, and foca agrees.
#[test]
fn damaged_datagrams_do_no_harm() {
    let recorded = recorded();
    let kinds = |kind: &Kind| {
        recorded.iter().any(|bytes| Frame::decode(bytes, 1_400).unwrap().header.kind == *kind)
    };
    assert!(KINDS.iter().all(kinds), "each kind was sent");
    let mut world = World::new(6, &[0]);
    (0..3).for_each(|_| _ = world.add());
    world.run(Duration::from_secs(2));
    let mut prng = Prng::new(7);
    for round in 0..20_000_usize {
        let mut bytes = recorded[round % recorded.len()].clone();
        for _ in 0..prng.below(4) {
            let at = usize::try_from(prng.below(bytes.len() as u64)).unwrap();
            match prng.below(3) {
                0 => bytes[at] = prng.next_u64().to_le_bytes()[0],
                1 => bytes.truncate(at.max(1)),
                _ => bytes.extend_from_slice(&recorded[at % recorded.len()][..at % 40]),
            }
        }
        // Behind the checksum.
        if bytes.len() >= wire::HEADER_BYTES {
            let payload_bytes = u32::try_from(bytes.len() - wire::HEADER_BYTES).unwrap();
            bytes[8..12].copy_from_slice(&payload_bytes.to_be_bytes());
            let kind = Kind(u16::from_be_bytes([bytes[6], bytes[7]]));
            let head = wire::Head {
                kind,
                flags: wire::Flags::NONE,
                call: 0,
                sent_at: UnixMicros(0),
                trace: None,
            };
            let payload = bytes[wire::HEADER_BYTES..].to_vec();
            bytes.clear();
            wire::write_frame(&mut bytes, &head, |out| out.extend_from_slice(&payload));
        }
        let from = address(usize::try_from(prng.below(8)).unwrap());
        world.with(0, |membership, now, out| match round % 4 {
            0 => membership.on_group_datagram(now, from, &bytes, out),
            _ => membership.on_datagram(now, from, &bytes, out),
        });
        if round % 100 == 0 {
            world.run(Duration::from_millis(50));
            let [ours, theirs] = world.nodes[0].membership.both_views();
            assert_eq!(ours, theirs);
        }
    }
    let counts = world.nodes[0].membership.counts();
    assert!(counts.dropped[&Dropped::Malformed] > 100, "{counts:?}");
    assert!(world.nodes[0].membership.member(id(3)).is_some(), "some were whole: {counts:?}");
}

#[test]
fn what_is_not_for_this_member_is_dropped_for_its_reason() {
    let mut world = World::new(8, &[0]);
    (0..2).for_each(|_| _ = world.add());
    world.run(Duration::from_secs(1));
    let sender = |member: u64| Update {
        identity: Identity { member, boot: 1, renewal: 0, address: address(1), leaving: false },
        incarnation: 0,
        state: State::Alive,
    };
    let send = |world: &mut World, cluster: u64, from: Update, to: Addressee, door: SocketAddr| {
        let talk = Talk::new(Kind::GOSSIP_PING, from, from.identity);
        let out = Outgoing { cluster, talk: &talk, to, updates: b"", data: &[], digests: b"" };
        let bytes = out.encode(UnixMicros(0));
        let before = world.nodes[0].membership.counts().dropped.clone();
        world.with(0, |membership, now, out| membership.on_datagram(now, door, &bytes, out));
        let after = &world.nodes[0].membership.counts().dropped;
        after.iter().find(|(why, count)| before.get(why) != Some(count)).map(|(why, _)| *why)
    };
    let to = Addressee { member: 1, boot: 1, renewal: 0 };
    let other = Addressee { renewal: 1, ..to };
    for (cluster, from, to, door, expected) in [
        (CLUSTER, 2, to, address(1), None),
        (CLUSTER + 1, 2, to, address(1), Some(Dropped::Cluster)),
        (CLUSTER, 2, to, address(0), Some(Dropped::Address)),
        (CLUSTER, 1, to, address(1), Some(Dropped::Own)),
        (CLUSTER, 2, other, address(1), Some(Dropped::Addressee)),
        (CLUSTER, 2, Addressee { member: 0, ..to }, address(1), Some(Dropped::Addressee)),
    ] {
        assert_eq!(send(&mut world, cluster, sender(from), to, door), expected);
    }
    world.leave(0);
    assert_eq!(send(&mut world, CLUSTER, sender(2), to, address(1)), Some(Dropped::Gone));
}
