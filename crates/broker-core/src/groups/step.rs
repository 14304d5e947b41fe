//! One step of a group's state machine: what it may look at, and what it leaves to be done.

use felice_protocol::time::Now;

use super::Waiter;
use super::answer::GroupAnswer;
use super::records::GroupRecord;
use crate::config::GroupConfig;

/// What a step is given, and collects.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a GroupConfig,
    /// To be written together, before any of the answers leaves.
    pub(crate) records: Vec<GroupRecord>,
    pub(crate) answers: Vec<(Waiter, GroupAnswer)>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(now: Now, config: &'a GroupConfig) -> Self {
        Self { now, config, records: Vec::new(), answers: Vec::new() }
    }

    pub(crate) fn record(&mut self, record: GroupRecord) {
        self.records.push(record);
    }

    pub(crate) fn answer(&mut self, waiter: Waiter, answer: GroupAnswer) {
        self.answers.push((waiter, answer));
    }
}
