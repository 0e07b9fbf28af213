//! deliver
fn main() {}
