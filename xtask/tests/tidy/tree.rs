//! Names, openings and lengths of files. It reads text and parses none of it.

use std::path::{Path, PathBuf};

use crate::assert_none;
use crate::workspace::{files, files_of, packages, read};

/// Names that say where code went and not what it is.
const BANNED_NAMES: &[&str] = &["common", "helper", "helpers", "manager", "misc", "util", "utils"];

/// Extensions of what people write here. Lock files and captured events are as long as they are.
const WRITTEN: &[&str] = &["css", "html", "js", "md", "mjs", "py", "rs", "sh", "ts", "tsx"];

/// More lines than this are two subjects. The habit is 400.
const MAX_FILE_LINES: usize = 600;

/// A function's `main` reads settings, builds clients and runs; a decision there could not be tested.
const MAX_MAIN_LINES: usize = 40;

#[test]
fn files_are_named_for_what_they_hold() {
    let vague = |path: &PathBuf| path.iter().any(|part| is_banned(Path::new(part)));
    let broken = files().into_iter().filter(vague);
    assert_none(broken.map(|path| format!("{}: name it for what is in it", path.display())));
}

#[test]
fn modules_are_named_for_what_they_hold() {
    // A module with a file of its own is found by that; this is for one inside another's braces.
    let vague = |path: &PathBuf| {
        let text = read(path);
        text.lines().filter_map(module).any(|name| is_banned(Path::new(name)))
    };
    let broken = files_of(&["rs"]).into_iter().filter(vague);
    assert_none(broken.map(|path| format!("{}: name its modules for what is in them", path.display())));
}

#[test]
fn every_source_file_opens_with_its_purpose() {
    let broken = files_of(&["rs"]).into_iter().filter(|path| !read(path).starts_with("//!"));
    assert_none(broken.map(|path| format!("{}: begin it with `//!` and its purpose", path.display())));
}

#[test]
fn no_file_is_too_long() {
    assert_none(longer_than(MAX_FILE_LINES, files_of(WRITTEN)));
}

#[test]
fn the_main_of_a_function_decides_nothing() {
    let is_main = |path: &PathBuf| path.starts_with("functions") && path.ends_with("src/main.rs");
    assert_none(longer_than(MAX_MAIN_LINES, files().into_iter().filter(is_main)));
}

#[test]
fn every_package_has_the_lints_of_the_workspace() {
    let broken = packages().into_iter().filter(|package| !inherits_lints(&package.manifest()));
    assert_none(broken.map(|package| format!("{}: add `[lints]` with `workspace = true`", package.name)));
}

fn is_banned(part: &Path) -> bool {
    part.file_stem().is_some_and(|stem| BANNED_NAMES.iter().any(|banned| stem == *banned))
}

fn longer_than(limit: usize, paths: impl IntoIterator<Item = PathBuf>) -> impl Iterator<Item = String> {
    paths.into_iter().filter_map(move |path| {
        let lines = read(&path).lines().count();
        (lines > limit).then(|| format!("{}: {lines} lines, at most {limit}", path.display()))
    })
}

/// The name of the module that a line opens or declares.
fn module(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let name = (words.next()? == "mod").then(|| words.next()).flatten()?;
    Some(name.trim_end_matches(['{', ';']))
}

/// Looks for the table, since `cargo metadata` does not tell.
fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')) == Some("workspace = true")
}

#[test]
fn a_module_is_found_by_its_line() {
    assert_eq!(module("    pub(crate) mod common {"), Some("common"));
    assert_eq!(module("mod utils;"), Some("utils"));
    assert_eq!(module("let model = 1;"), None);
}

#[test]
fn lints_count_only_when_inherited() {
    assert!(inherits_lints("[lints]\n# why\nworkspace = true\n"));
    assert!(!inherits_lints("[lints]\n\n[dependencies]\nx = { workspace = true }"));
    assert!(!inherits_lints("[package]\nname = \"x\""));
}
