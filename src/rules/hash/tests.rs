//! Words tell texts apart.

use super::{WORD_BYTES, word};

#[test]
fn two_short_texts_have_two_words() {
    // All texts of two letters and of every length, and those with one other byte in each place.
    let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
    for count in 1..=WORD_BYTES {
        for bits in 0..1_u8 << count {
            let letter = |at: usize| if bits >> at & 1 == 1 { b'b' } else { b'a' };
            texts.push((0..count).map(letter).collect());
        }
        for at in 0..count {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut text = vec![b'a'; count];
                text[at] = byte;
                texts.push(text);
            }
        }
        texts.push(vec![0; count]);
    }
    texts.sort();
    texts.dedup();
    let mut words: Vec<u64> = texts.iter().map(|text| word(text)).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), texts.len());
}
