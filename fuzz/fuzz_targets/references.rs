//! Runs `properties::names::references` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::names::references(data));
