//! Members that go: by themselves, or because a deadline is over.

use std::collections::BTreeSet;

use felice_protocol::primitives::ByteStr;
use felice_protocol::time::Now;

use super::change::Change;
use super::config::ConsumerGroupConfig;
use super::{ConsumerGroup, Records};
use crate::groups::topics_view::TopicsView;

/// What became of the members that went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fenced {
    /// They are gone.
    Removed,
    /// Those that stay all use the classic protocol, and the policy allows it: the group is to become classic, without these members.
    BecomeClassic(BTreeSet<ByteStr>),
}

impl ConsumerGroup {
    /// Takes members out of the group: their partitions are free at once, and the next heartbeat of any member makes a new target.
    ///
    /// Where the group should rather become classic, nothing is changed.
    pub(super) fn fence(
        &mut self,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
        members: BTreeSet<ByteStr>,
        records: &mut Records,
    ) -> Fenced {
        if members.is_empty() {
            return Fenced::Removed;
        }
        if self.may_become_classic(&members, config) {
            return Fenced::BecomeClassic(members);
        }
        let regexes: BTreeSet<ByteStr> =
            members.iter().filter_map(|id| self.members.get(id)?.metadata.regex().cloned()).collect();
        for id in &members {
            self.remove_member(id, records);
            self.timers.cancel_all(id);
        }
        for regex in regexes {
            self.forget_regex_without_members(&regex, records);
        }
        self.raise_epoch(view, true, records);
        Fenced::Removed
    }

    /// The tombstones of a member.
    pub(super) fn remove_member(&mut self, id: &ByteStr, records: &mut Records) {
        records.make(self, Change::Current(id.clone(), None));
        records.make(self, Change::TargetMember(id.clone(), None));
        records.make(self, Change::Member(id.clone(), None));
    }

    /// A regular expression that no member has any more need not be kept.
    pub(super) fn forget_regex_without_members(&mut self, regex: &ByteStr, records: &mut Records) {
        if !self.regex_counts.contains_key(regex) && self.regexes.contains_key(regex) {
            records.make(self, Change::Regex(regex.clone(), None));
        }
    }

    /// Whether, without these members, only classic ones stay, and the group may follow them.
    pub(super) fn may_become_classic(&self, without: &BTreeSet<ByteStr>, config: &ConsumerGroupConfig) -> bool {
        let stay = self.members.len() - without.len();
        stay > 0
            && stay <= config.classic_max_size
            && config.migration_policy.allows_downgrade()
            && self.members.iter().all(|(id, member)| member.uses_classic_protocol() || without.contains(id))
            && without.iter().any(|id| self.members.get(id).is_some_and(|member| !member.uses_classic_protocol()))
    }

    /// Takes out the members whose deadlines are over.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Now,
        view: TopicsView<'_>,
        config: &ConsumerGroupConfig,
    ) -> (Records, Fenced) {
        let mut expired = BTreeSet::new();
        while let Some((id, _)) = self.timers.pop(now.instant()) {
            if self.members.contains_key(&id) {
                expired.insert(id);
            }
        }
        let mut records = Records::default();
        let fenced = self.fence(view, config, expired, &mut records);
        (records, fenced)
    }
}
