use super::*;
use crate::record::Born;

fn globals(partitions: u16) -> Vec<u8> {
    let mut globals = Globals::default();
    (globals.applied, globals.stamp) = (9, UnixMicros(4));
    globals.apply_born(Born {
        cluster_id: 1,
        partitions,
        retention_bytes: 0,
        keys_max: 0,
        key_ttl_ms: 0,
    });
    globals.image()
}

fn file() -> Vec<u8> {
    let mut file = chunk(Part::Globals, 9, 3, &globals(2));
    file.extend(chunk(Part::Partition(PartitionId(0)), 9, 3, b"zero"));
    file.extend(chunk(Part::Partition(PartitionId(1)), 11, 3, b"one"));
    file.extend(trailer(9));
    file
}

#[test]
fn a_chunk_has_these_bytes() {
    let bytes = chunk(Part::Partition(PartitionId(0x0102)), 3, 4, b"xy");
    let expected = [
        b"DSNP".as_slice(),
        &[5, 0, 2, 1],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[4, 0, 0, 0, 0, 0, 0, 0],
        &[2, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(bytes[..32], expected);
    assert_eq!(bytes[36..], [0, 0, 0, 0, b'x', b'y']);
    let mut zeroed = bytes.clone();
    zeroed[32..36].fill(0);
    assert_eq!(bytes[32..36], crc32fast::hash(&zeroed).to_le_bytes());
}

#[test]
fn a_whole_file_is_read_and_each_shard_gets_its_partitions() {
    let snapshot = read(&file().into()).unwrap();
    assert_eq!((snapshot.index, snapshot.term, snapshot.stamp), (9, 3, UnixMicros(4)));
    for (core, expected) in [(0, "zero"), (1, "one")] {
        let ToShard::Restore { partitions, .. } = snapshot.restore(core, 2) else {
            panic!("a shard starts by a restore")
        };
        assert_eq!(partitions, [Bytes::from(expected)]);
    }
}

/// A node starts from the snapshot that the release before left.
#[test]
fn a_file_of_the_version_before_is_read_and_its_images_are_made_anew() {
    let bytes = |hex: &'static str| -> Vec<u8> {
        let digits = hex.trim().as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
        digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
    };
    let image = bytes(include_str!("../partition/image/version_1.hex"));
    let old = bytes(include_str!("../globals/version_2.hex"));
    let mut file = chunk(Part::Globals, 1, 3, &old);
    file.extend(chunk(Part::Partition(PartitionId(0)), 2, 3, &image));
    file.extend(trailer(1));
    let mut at = 0;
    while at < file.len() {
        let length = u64::from_le_bytes(file[at + 24..at + 32].try_into().unwrap());
        let end = at + CHUNK_HEADER_BYTES + usize::try_from(length).unwrap();
        file[at + 4..at + 6].copy_from_slice(&1_u16.to_le_bytes());
        file[at + 32..at + 36].fill(0);
        let crc = crc32fast::hash(&file[at..end]);
        file[at + 32..at + 36].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
    let snapshot = read(&file.into()).unwrap();
    let born =
        Born { cluster_id: 1, partitions: 1, retention_bytes: 0, keys_max: 9, key_ttl_ms: 1 };
    let partition = crate::Partition::from_image(&snapshot.partitions[0].1, &born, 1).unwrap();
    assert_eq!((partition.accepted(), partition.running()), (2, 1));
}

#[test]
fn every_flipped_bit_and_every_truncation_is_found() {
    let file = file();
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(read(&damaged.into()).is_err(), "a flipped bit in byte {at}");
        assert!(read(&file[..at].to_vec().into()).is_err(), "a file of {at} bytes");
    }
    let longer = [&file[..], b"x"].concat();
    assert!(read(&longer.into()).is_err(), "bytes behind the trailer");
}

#[test]
fn a_file_that_lacks_a_partition_is_no_snapshot() {
    let mut file = chunk(Part::Globals, 9, 3, &globals(2));
    file.extend(chunk(Part::Partition(PartitionId(0)), 9, 3, b"zero"));
    file.extend(trailer(9));
    let error = read(&file.into()).unwrap_err().to_string();
    assert!(error.contains("1 of 2 partitions"), "{error}");
}

fn members() -> Membership {
    let member = quorum::Member { store: base::StoreId(9), address: None };
    Membership::founded([(base::NodeId(1), member)]).unwrap()
}

/// The file with the group's members.
fn file_of_group() -> Vec<u8> {
    let mut file = chunk(Part::Globals, 9, 3, &globals(1));
    file.extend(members_chunk(9, 3, &members()));
    file.extend(chunk(Part::Partition(PartitionId(0)), 9, 3, b"zero"));
    file.extend(trailer(9));
    file
}

#[test]
fn a_file_names_the_members_and_says_whether_it_was_sent() {
    let own = read(&file_of_group().into()).unwrap();
    assert_eq!((own.membership.clone(), own.was_sent), (Some(members()), false));
    assert_eq!(own.mark(&Membership::default()).membership, members());
    let mut sent = file_of_group();
    for _ in 0..2 {
        sent.extend(sent_mark(9));
        assert!(read(&sent.clone().into()).unwrap().was_sent, "also when it was sent on");
    }
    let older = read(&file().into()).unwrap();
    assert_eq!((older.membership.clone(), older.was_sent), (None, false));
    assert_eq!(older.mark(&members()).membership, members());
}

#[test]
fn the_chunks_of_a_group_have_these_bytes() {
    let bytes = members_chunk(9, 3, &members());
    assert_eq!(bytes[6..8], [0xfd, 0xff]);
    assert_eq!(bytes[CHUNK_HEADER_BYTES..], members().to_bytes()[..]);
    let mark = sent_mark(9);
    assert_eq!((mark.len(), &mark[6..8]), (CHUNK_HEADER_BYTES, &[0xfc, 0xff][..]));
    assert_eq!(mark[8..16], 9_u64.to_le_bytes());
}

#[test]
fn members_and_marks_of_another_index_or_place_are_no_snapshot() {
    let whole = file_of_group();
    let with = |parts: &[Vec<u8>]| read(&parts.concat().into());
    let (globals, other) =
        (chunk(Part::Globals, 9, 3, &globals(1)), members_chunk(8, 3, &members()));
    assert!(with(&[globals.clone(), other]).is_err());
    assert!(with(&[whole.clone(), sent_mark(8)]).is_err());
    assert!(with(&[whole.clone(), globals]).is_err());
    assert!(with(&[whole, members_chunk(9, 3, &members())]).is_err());
}
