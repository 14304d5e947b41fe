//! What must hold in every history, one promise a file.
//!
//! - [`no_acknowledged_loss`]: what was acknowledged is in the log
//! - [`no_duplicates`]: an idempotent producer's record is there once
//! - [`order`]: an idempotent producer's records stand in the order in which they were handed over
//! - [`stable_offsets`]: an offset names one record for ever
//! - [`contiguous_reads`]: a reader skips nothing and sees nothing twice
//! - [`honest_failures`]: what is reported as not written is not there
//! - [`resolution`]: a record's fate is told once
//! - [`groups`]: consumer groups
//!
//! That everything settles once the faults stop is the world's to check: it alone knows when they stopped.

pub mod contiguous_reads;
pub mod groups;
pub mod honest_failures;
pub mod no_acknowledged_loss;
pub mod no_duplicates;
pub mod order;
pub mod resolution;
pub mod stable_offsets;

use crate::history::Event;

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The checker that found it.
    pub checker: &'static str,
    /// What was seen.
    pub what: String,
}

/// One promise, checked event by event.
pub trait Checker {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Takes the next event.
    ///
    /// # Errors
    /// What is broken.
    fn observe(&mut self, event: &Event) -> Result<(), String>;
}

/// All checkers.
pub struct Checkers(Vec<Box<dyn Checker>>);

impl Checkers {
    /// The checkers of a world with so many consumer groups.
    pub fn new(groups: usize) -> Self {
        let mut checkers: Vec<Box<dyn Checker>> = vec![
            Box::new(resolution::Resolution::default()),
            Box::new(no_acknowledged_loss::NoAcknowledgedLoss::default()),
            Box::new(no_duplicates::NoDuplicates::default()),
            Box::new(order::Order::default()),
            Box::new(stable_offsets::StableOffsets::default()),
            Box::new(contiguous_reads::ContiguousReads::default()),
            Box::new(honest_failures::HonestFailures::default()),
        ];
        if groups > 0 {
            checkers.extend::<[Box<dyn Checker>; 5]>([
                Box::new(groups::one_owner::OneOwner::default()),
                Box::new(groups::one_assignment::OneAssignment::default()),
                Box::new(groups::commits_go_on::CommitsGoOn::default()),
                Box::new(groups::handover::Handover::default()),
                Box::new(groups::at_least_once::AtLeastOnce::new(groups)),
            ]);
        }
        Self(checkers)
    }

    /// Shows an event to every checker; the first violation counts.
    ///
    /// # Errors
    /// The violation.
    pub fn observe(&mut self, event: &Event) -> Result<(), Violation> {
        for checker in &mut self.0 {
            checker.observe(event).map_err(|what| Violation { checker: checker.name(), what })?;
        }
        Ok(())
    }
}
