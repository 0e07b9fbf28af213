//! Runs `properties::records::job` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::records::job(data));
