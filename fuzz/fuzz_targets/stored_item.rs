//! Runs `properties::items::stored_item` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::items::stored_item(data));
