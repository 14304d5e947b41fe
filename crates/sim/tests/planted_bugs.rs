//! The checkers, checked: each planted bug is found by the seed that is known to find it. When a change of the simulator moves the seeds,
//! `cargo run --release -p felice-sim -- --hunt` says which find them now.

use felice_sim::bugs;
use felice_sim::plan::Settings;
use felice_sim::runner;

#[test]
fn every_planted_bug_is_found() {
    let missed: Vec<&str> = bugs::ALL
        .iter()
        .filter(|bug| {
            let settings = Settings { seed: bug.seed, bug: Some(bug.name), ..Settings::default() };
            runner::run(settings).violation.is_none()
        })
        .map(|bug| bug.name)
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn without_a_bug_the_same_seeds_pass() {
    for bug in bugs::ALL {
        let report = runner::run(Settings { seed: bug.seed, ..Settings::default() });
        assert_eq!(report.violation, None, "seed {}", bug.seed);
    }
}
