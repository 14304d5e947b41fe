//! The log read again: at start, and where an append failed and memory is ahead of what is written.

use std::collections::BTreeSet;

use bytes::Bytes;
use felice_log::Bug;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, DecodeError};
use felice_protocol::time::Now;

use super::offsets::CommittedOffset;
use super::records::ReplayRecord;
use super::step::Step;
use super::{ClassicGroup, Entry, Group, GroupCoordinator};

impl GroupCoordinator {
    /// Takes a record of the log in.
    ///
    /// # Errors
    /// Where it cannot be read; the state is as before.
    pub(crate) fn replay(&mut self, key: Bytes, value: Option<Bytes>) -> Result<(), DecodeError> {
        match ReplayRecord::decode(key, value)? {
            ReplayRecord::Offset(key, Some(value)) => {
                let only_first = self.config.bugs.has(Bug::FirstCommitReplayed);
                let entry = self.replayed(&key.group);
                if only_first && entry.offsets.get(&key.topic, key.partition).is_some() {
                    return Ok(());
                }
                entry.offsets.insert(&key.topic, key.partition, CommittedOffset::replay(value));
            }
            ReplayRecord::Offset(key, None) => {
                if let Some(entry) = self.groups.get_mut(&key.group) {
                    entry.offsets.remove(&key.topic, key.partition);
                }
            }
            ReplayRecord::Group(id, Some(value)) => {
                let group = ClassicGroup::replay(id.clone(), value);
                self.replayed(&id).group = Group::Classic(group);
            }
            ReplayRecord::Group(id, None) => {
                // A group that became one of the consumer protocol leaves this behind, too.
                if let Some(Entry { group: Group::Classic(_), .. }) = self.groups.get(&id) {
                    self.forget_group(&id);
                }
            }
            ReplayRecord::Consumer { api_key, mut key, value } => self.replay_consumer(api_key, &mut key, value)?,
            ReplayRecord::Other => {}
        }
        Ok(())
    }

    fn replayed(&mut self, id: &ByteStr) -> &mut Entry {
        // The log is what is known of it: not even since when it is empty.
        self.groups.entry(id.clone()).or_insert_with(|| Entry::classic(ClassicGroup::unknown(id.clone())))
    }

    /// The group's record is gone; its offsets may still be there.
    fn forget_group(&mut self, id: &ByteStr) {
        let Some(entry) = self.groups.get_mut(id) else { return };
        if entry.offsets.is_empty() {
            self.groups.remove(id);
        } else {
            entry.group = Group::Classic(ClassicGroup::unknown(id.clone()));
        }
    }

    /// All of a partition of `__consumer_offsets` is read: its groups live from now on.
    pub(crate) fn loaded(&mut self, now: Now, partition: i32) {
        self.offline.remove(&partition);
        for id in self.groups_of(partition) {
            match self.groups.get_mut(&id).map(|entry| &mut entry.group) {
                Some(_) if self.config.bugs.has(Bug::SessionsForgotten) => {}
                Some(Group::Classic(group)) => group.loaded(now),
                Some(Group::Consumer(group)) => group.loaded(now, &self.config.consumer),
                None => {}
            }
            self.settle(&id, Vec::new(), Vec::new());
        }
    }

    /// What a partition held is forgotten: it cannot be written, or has to be read again. Whoever waits in its groups hears that.
    pub(crate) fn unload(&mut self, now: Now, partition: i32) {
        self.offline.insert(partition);
        for id in self.groups_of(partition) {
            let Some(entry) = self.groups.remove(&id) else { continue };
            if let Some(timer) = entry.timer {
                self.timers.remove(&(timer, id.clone()));
            }
            if let Group::Classic(mut group) = entry.group {
                let mut step = Step::new(now, &self.config);
                group.refuse_waiting(&mut step, ErrorCode::NOT_COORDINATOR);
                let answers = step.answers;
                self.settle(&id, Vec::new(), answers);
            }
        }
    }

    fn groups_of(&self, partition: i32) -> BTreeSet<ByteStr> {
        self.groups.keys().filter(|id| self.partition_for(id) == partition).cloned().collect()
    }
}
