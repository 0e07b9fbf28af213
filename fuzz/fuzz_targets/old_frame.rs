//! Runs `properties::frames::old_frame` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::frames::old_frame(data));
