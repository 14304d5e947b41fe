//! A record's fate is told once, and only of records that were handed over. (That it is told at all, the world checks when it settles.)

use std::collections::BTreeSet;

use super::Checker;
use crate::history::{Event, RecordId};

/// See the module.
#[derive(Debug, Default)]
pub struct Resolution {
    pending: BTreeSet<RecordId>,
}

impl Checker for Resolution {
    fn name(&self) -> &'static str {
        "a record's fate is told once"
    }

    fn observe(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Sent { record, .. } => {
                self.pending.insert(*record);
                Ok(())
            }
            Event::Acknowledged { record, .. } | Event::Failed { record, .. } => {
                if self.pending.remove(record) {
                    return Ok(());
                }
                Err(format!("{record} was reported twice, or never sent"))
            }
            Event::Started { .. }
            | Event::Settled { .. }
            | Event::Sought { .. }
            | Event::Read { .. }
            | Event::Fault(_)
            | Event::Group(_)
            | Event::Note(_) => Ok(()),
        }
    }
}
