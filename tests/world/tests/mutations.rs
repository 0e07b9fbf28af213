//! The world catches bugs: each that can be switched on is found within some hundred seeds, and none is found when none is on.

use std::thread;

use world::{Mutation, Plan, Simulator};

/// Seeds within which a bug must be found. The rarest needs about a hundred.
const SEEDS: u64 = 600;

/// The seed that finds it, and what it finds.
fn caught(mutation: Mutation) -> Option<(u64, String)> {
    let mut simulator = Simulator::default();
    (0..SEEDS).find_map(|seed| {
        let report = simulator.run(&Plan { mutation: Some(mutation), ..Plan::of(seed) }, false);
        Some((seed, report.findings.into_iter().next()?))
    })
}

/// Those of a half, so that two processes share the work.
fn check(half: usize) {
    let mutations: Vec<Mutation> = Mutation::all().iter().copied().skip(half).step_by(2).collect();
    let found: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = mutations.iter().map(|mutation| scope.spawn(|| (*mutation, caught(*mutation)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    for (mutation, found) in &found {
        match found {
            Some((seed, finding)) => println!("{}: seed {seed}, {finding}", mutation.name()),
            None => println!("{}: not caught", mutation.name()),
        }
    }
    let missed: Vec<String> =
        found.iter().filter(|(_, found)| found.is_none()).map(|(mutation, _)| mutation.name()).collect();
    assert!(missed.is_empty(), "not caught in {SEEDS} seeds: {missed:?}");
}

#[test]
fn every_other_bug_is_caught() {
    check(0);
}

#[test]
fn the_others_are_caught_too() {
    check(1);
}

#[test]
fn one_seed_is_one_history() {
    for seed in [3, 7] {
        let run = || Simulator::default().run(&Plan::of(seed), true).history;
        let (first, second) = (run(), run());
        assert!(first.len() > 100, "a history of {} events", first.len());
        let differ = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differ, None, "seed {seed}");
    }
}
