//! Runs every target a bounded number of times: on its seeds, on bytes at random, and on mutated seeds. `cargo fuzz` goes on
//! from there, without a bound.

mod mutation;

use std::fs;
use std::path::Path;

use properties::{TARGETS, Target};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// How many inputs a target is given of each kind: all targets take some three seconds together.
const RANDOM: u32 = 150;
const MUTATED: u32 = 400;

/// A failure is made smaller for as long as somebody waits for it.
const MAX_SHRINK_MS: u32 = 5_000;

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = (target.seeds)();
    for seed in &seeds {
        (target.check)(seed.as_bytes());
    }
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        r#"[\[\]{}",:.\\0-9a-z~*= ]{0,80}"#.prop_map(String::into_bytes),
    ];
    explore(target, RANDOM, &bytes.prop_map(Input));
    let originals = seeds.clone();
    let mutated = (any::<Index>(), mutation::mutations()).prop_map(move |(seed, mutations)| {
        Input(mutation::apply(&mutations, &originals[seed.index(originals.len())], &originals))
    });
    explore(target, MUTATED, &mutated);
}

fn explore(target: &Target, cases: u32, inputs: &impl Strategy<Value = Input>) {
    // What it finds becomes a test of its own, by name, so there is no file of seeds to keep.
    let config = Config { cases, failure_persistence: None, max_shrink_time: MAX_SHRINK_MS, ..Config::default() };
    // The same inputs in every run, so that what fails is what was changed; `fuzz/` is for new ones.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let found = runner.run(inputs, |input| {
        (target.check)(&input.0);
        Ok(())
    });
    match found {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => panic!("{}: {why}\nfor {input:?}", target.name),
        Err(TestError::Abort(why)) => panic!("{}: {why}", target.name),
    }
}

/// Bytes that are shown as the text that they mostly are.
#[derive(Clone)]
struct Input(Vec<u8>);

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match str::from_utf8(&self.0) {
            Ok(text) => write!(f, "{text:?}"),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

macro_rules! bounded {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                run(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($target)),*]);
        }
    };
}

bounded! {
    client_frame old_frame server_frame packing identifiers references websocket_event http_event authorizer_event sqs_event job
    hand_over stored_item token claims waits settings
}

#[test]
fn every_target_is_one_of_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let mut files: Vec<String> = fs::read_dir(folder.join("fuzz_targets"))
        .expect("a folder")
        .map(|file| file.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort_unstable();
    assert_eq!(files, names);
    for name in names {
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "{name} is not in fuzz/Cargo.toml");
    }
}
