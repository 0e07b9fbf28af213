//! The `vartalap` command.
fn main() {}
