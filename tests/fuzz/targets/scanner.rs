//! See `matching::scanner`.
#![no_main]

#[path = "../matching.rs"]
mod matching;

libfuzzer_sys::fuzz_target!(|data: &[u8]| matching::scanner(data));
