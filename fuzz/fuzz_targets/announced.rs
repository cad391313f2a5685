//! Thin target: the property is in the library, where stable replays it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| parefeu_fuzz::announced(data));
