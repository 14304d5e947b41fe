//! A record that its producer reported as not written is in no log: an unknown outcome is never called a failure.

use std::collections::BTreeMap;

use felice_client_core::error::Persisted;

use super::Checker;
use crate::history::{Contents, Event, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct HonestFailures {
    failed: BTreeMap<RecordId, String>,
}

impl HonestFailures {
    fn absent(&self, contents: &Contents) -> Result<(), String> {
        for (partition, records) in contents {
            for (offset, record) in records {
                if let Some(error) = self.failed.get(record) {
                    return Err(format!(
                        "{record} was reported as not written ({error}) and is at {partition}@{offset}"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Checker for HonestFailures {
    fn name(&self) -> &'static str {
        "what is reported as not written is not there"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Failed { record, persisted: Persisted::No, error } => {
                self.failed.insert(*record, error.clone());
                Ok(())
            }
            Event::Started { contents, .. } | Event::Settled { contents } => self.absent(contents),
            Event::Failed { .. }
            | Event::Sent { .. }
            | Event::Acknowledged { .. }
            | Event::Sought { .. }
            | Event::Read { .. }
            | Event::Fault(_)
            | Event::Group(_)
            | Event::Note(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failure_that_claims_to_know_is_held_to_it() {
        let record = RecordId { producer: 0, number: 0 };
        for (persisted, lies) in [(Persisted::No, true), (Persisted::Maybe, false)] {
            let mut checker = HonestFailures::default();
            checker.observe(&Event::Failed { record, persisted, error: "timed out".to_owned() }).unwrap();
            let contents = Contents::from([(0, [(0, record)].into())]);
            assert_eq!(checker.observe(&Event::Settled { contents }).is_err(), lies);
        }
    }
}
