//! What no linter knows about this project: which crate may depend on which, what files may be called, how long they
//! may get, what the template and the functions say of each other.
//!
//! A rule that clippy, rustc, cargo-deny or the template's validators can check is in their configuration, not here.

mod arrows;
mod template;
mod tree;
mod workspace;

/// Fails with every broken rule at once, so that they can all be mended in one go.
fn assert_none(broken: impl IntoIterator<Item = String>) {
    let broken = Vec::from_iter(broken);
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}
