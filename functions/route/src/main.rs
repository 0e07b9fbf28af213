//! route
fn main() {}
