//! Words tell texts apart, and so does comparing them.

use super::{WORD_BYTES, same, word};

#[test]
fn a_text_is_the_same_as_itself_and_no_other() {
    for count in 0..40_usize {
        let text: Vec<u8> = (0..40).map(|at| at * 5).take(count).collect();
        assert!(same(&text, &text.clone()), "{count}");
        for at in 0..count {
            for bit in 0..8 {
                let mut other = text.clone();
                other[at] ^= 1 << bit;
                assert!(!same(&text, &other), "{count}: {at}");
            }
        }
        assert!(!same(&text, &[&text[..], b"x"].concat()));
    }
}

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
