use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn whatever_stands_in_the_field_is_summed_as_zeros(
        mut frame in proptest::collection::vec(any::<u8>(), 16..600),
    ) {
        let crc = u32::from_be_bytes(*frame[CRC_AT..].first_chunk().unwrap());
        let sum = of_frame(&frame, crc);
        frame[CRC_AT..CRC_AT + 4].fill(0);
        prop_assert_eq!(sum, crc32fast::hash(&frame));
    }
}
