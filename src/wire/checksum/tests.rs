use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_stands_in_a_field_is_summed_as_what_should(
        mut frame in proptest::collection::vec(any::<u8>(), 16..600),
        payload_bytes: u32,
    ) {
        let crc = u32::from_be_bytes(*frame[CRC_AT..].first_chunk().unwrap());
        let received = of_received(&frame, crc);
        frame[CRC_AT..CRC_AT + 4].fill(0);
        prop_assert_eq!(received, crc32fast::hash(&frame));

        frame[PAYLOAD_BYTES_AT..PAYLOAD_BYTES_AT + 4].fill(0);
        let written = of_written(&frame, payload_bytes);
        frame[PAYLOAD_BYTES_AT..PAYLOAD_BYTES_AT + 4].copy_from_slice(&payload_bytes.to_be_bytes());
        prop_assert_eq!(written, crc32fast::hash(&frame));
    }
}
