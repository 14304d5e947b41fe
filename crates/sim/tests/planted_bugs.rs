//! The other half of `felice-sim --hunt`, which CI runs optimised: the seeds that find the planted bugs find nothing without them.

use felice_sim::bugs;
use felice_sim::plan::Settings;
use felice_sim::runner;

#[test]
fn without_a_bug_the_same_seeds_pass() {
    for bug in bugs::ALL {
        let report = runner::run(Settings { seed: bug.seed, groups: bug.groups, ..Settings::default() });
        assert_eq!(report.violation, None, "seed {}", bug.seed);
    }
}
