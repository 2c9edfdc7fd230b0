use super::*;

#[test]
fn a_message_id_carries_its_partition_and_sequence_through_its_text() {
    for (partition, sequence) in [(0, 1), (3, 0xa1), (4095, (1 << 52) - 1)] {
        let id = MessageId::new(PartitionId(partition), sequence);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!((id.partition().0, id.sequence()), (partition, sequence));
    }
    assert_eq!(MessageId::new(PartitionId(3), 0xa1).to_string(), "00300000000000a1");
}

#[test]
fn a_text_that_is_no_id_is_refused() {
    for text in
        ["", "1", "00300000000000a", "+0300000000000a1", "00300000000000g1", "00300000000000a1-1"]
    {
        assert!(text.parse::<MessageId>().is_err(), "{text}");
    }
    for text in [
        "",
        "00300000000000a1",
        "00300000000000a1-",
        "00300000000000a1-0",
        "00300000000000a1-65536",
        "00300000000000a1-+1",
    ] {
        assert!(text.parse::<InstanceId>().is_err(), "{text}");
    }
}

#[test]
fn an_instance_id_reads_as_its_cause() {
    let id = InstanceId { message: MessageId::new(PartitionId(1), 2), ordinal: 7 };
    assert_eq!(id.to_string(), "0010000000000002-7");
    assert_eq!("0010000000000002-7".parse(), Ok(id));
}

#[test]
fn a_worker_is_never_taken_for_a_node() {
    for store in [0, 7, u64::MAX >> 1, u64::MAX] {
        let worker = WorkerId::of(StoreId(store));
        assert!(worker.0 > u64::from(u32::MAX));
        assert_eq!(worker.to_string().parse(), Ok(worker));
    }
    assert_eq!(WorkerId::of(StoreId(0xa1)).to_string(), "80000000000000a1");
}
