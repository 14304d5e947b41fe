//! The same seed gives the same history, byte for byte.

use felice_sim::plan::{Mode, Settings};
use felice_sim::runner;

#[test]
fn a_seed_has_one_history() {
    for (seed, mode) in [(0, Mode::Lite), (5, Mode::Swarm), (6, Mode::Full)] {
        let settings = Settings { seed, mode, keep_text: true, ..Settings::default() };
        let (first, second) = (runner::run(settings.clone()), runner::run(settings));
        assert!(first.text.lines().count() > 100, "seed {seed} has hardly a history");
        assert!(first.text == second.text, "seed {seed} has two histories");
        assert_eq!((first.hash, first.steps), (second.hash, second.steps));
    }
}

#[test]
fn another_seed_has_another_history() {
    let run = |seed| runner::run(Settings { seed, mode: Mode::Lite, ..Settings::default() }).hash;
    assert_ne!(run(1), run(2));
}

#[test]
fn a_world_without_faults_loses_and_repeats_nothing() {
    for seed in 0..5 {
        let report = runner::run(Settings { seed, mode: Mode::Lite, ..Settings::default() });
        assert_eq!(report.violation, None, "seed {seed}");
        assert!(report.reads >= report.records, "seed {seed}: {} read of {}", report.reads, report.records);
    }
}
