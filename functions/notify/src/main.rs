//! notify
fn main() {}
