//! Runs `properties::records::hand_over` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::records::hand_over(data));
