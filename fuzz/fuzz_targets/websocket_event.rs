//! Runs `properties::events::websocket_event` for `cargo fuzz`; it checks nothing itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::events::websocket_event(data));
