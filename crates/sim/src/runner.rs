//! Runs seeds, one or many, on every core of the machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::checkers::Violation;
use crate::faults::FaultCounts;
use crate::plan::Settings;
use crate::world::{Report, World};

/// Runs one seed. A panic anywhere is a violation like any other.
pub fn run(settings: Settings) -> Report {
    let seed = settings.seed;
    let failed = |what: String, checker: &'static str| Report {
        seed,
        violation: Some(Violation { checker, what }),
        simulated: Duration::ZERO,
        faults: FaultCounts::default(),
        records: 0,
        reads: 0,
        steps: 0,
        hash: 0,
        text: String::new(),
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| World::new(settings).map(World::run)));
    match outcome {
        Ok(Ok(report)) => report,
        Ok(Err(what)) => failed(what, "the world begins"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            failed(text.unwrap_or_default(), "nothing panics")
        }
    }
}

/// What many seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that ran.
    pub seeds: u64,
    /// Virtual time, of all.
    pub simulated: Duration,
    /// Faults, of all.
    pub faults: FaultCounts,
    /// Records handed over.
    pub records: u64,
    /// Records read.
    pub reads: u64,
    /// Seeds that failed, and how.
    pub failures: Vec<(u64, Violation)>,
}

impl Summary {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.simulated += report.simulated;
        self.faults.merge(&report.faults);
        self.records += report.records;
        self.reads += report.reads;
        if let Some(violation) = report.violation {
            self.failures.push((report.seed, violation));
        }
    }
}

/// Runs seeds on `threads` threads until they are through, `limit` have failed, or `until` says so.
pub fn run_many(
    settings: &Settings,
    seeds: std::ops::Range<u64>,
    threads: usize,
    limit: usize,
    until: &(dyn Fn() -> bool + Sync),
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || until() {
                        return;
                    }
                    let report = run(Settings { seed, ..settings.clone() });
                    let mut summary = summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    if summary.failures.len() >= limit {
                        return;
                    }
                    summary.add(report);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    summary.failures.sort_by_key(|(seed, _)| *seed);
    summary
}
