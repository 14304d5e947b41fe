//! Moving a group's offsets: planned first, so that it can be shown, then done.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::pin::Pin;

use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::Error;

use super::group::{Group, nothing_to_do};
use super::{OffsetSpec, PerItem};
use crate::reader::Seek;

#[derive(Clone, Debug)]
enum Target {
    To(Seek),
    By(i64),
    Offsets(BTreeMap<TopicPartition, i64>),
}

/// A plan being made, from [`Group::plan_seek`] and its siblings; awaiting it gives a [`SeekPlan`].
///
/// # Errors
/// Where a broker does not answer, a partition cannot be asked for its ends, or there is nothing to move: the group has committed nothing and no
/// topic is named.
#[derive(Clone, Debug)]
#[must_use = "await it to make the plan"]
pub struct PlanSeek {
    group: Group,
    target: Target,
    topics: BTreeSet<String>,
}

impl PlanSeek {
    pub(super) fn to(group: Group, to: Seek) -> Self {
        Self { group, target: Target::To(to), topics: BTreeSet::new() }
    }

    pub(super) fn by(group: Group, records: i64) -> Self {
        Self { group, target: Target::By(records), topics: BTreeSet::new() }
    }

    pub(super) fn offsets(group: Group, offsets: BTreeMap<TopicPartition, i64>) -> Self {
        Self { group, target: Target::Offsets(offsets), topics: BTreeSet::new() }
    }

    /// Only this topic, and all its partitions, whether or not the group has committed them; may be called for more. Without it, every
    /// partition that the group has committed.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.insert(topic.into());
        self
    }

    async fn plan(self) -> Result<SeekPlan, Error> {
        let admin = &self.group.admin;
        let committed: BTreeMap<TopicPartition, i64> =
            self.group.committed().await?.into_iter().map(|(p, committed)| (p, committed.offset)).collect();
        let mut partitions: BTreeSet<TopicPartition> = match &self.target {
            Target::Offsets(offsets) => offsets.keys().cloned().collect(),
            Target::To(_) | Target::By(_) => committed.keys().cloned().collect(),
        };
        if !self.topics.is_empty() {
            partitions.retain(|p| self.topics.contains(p.topic.as_str()));
            if !matches!(self.target, Target::Offsets(_)) {
                for topic in &self.topics {
                    let topic = admin.topic(topic).await?;
                    partitions
                        .extend(topic.partitions.iter().map(|p| TopicPartition::new(topic.name.clone(), p.partition)));
                }
            }
        }
        if partitions.is_empty() {
            return Err(nothing_to_do(&self.group.id));
        }
        let times = match self.target {
            Target::To(Seek::Time(millis)) => {
                let asked = partitions.iter().map(|p| (p.clone(), OffsetSpec::Time(millis)));
                admin.list_offsets(asked).await?.all()?.into_iter().collect()
            }
            Target::To(_) | Target::By(_) | Target::Offsets(_) => BTreeMap::new(),
        };
        // Every end is needed: an offset outside the log would be reset by the members, elsewhere.
        let starts = admin.list_offsets(partitions.iter().map(|p| (p.clone(), OffsetSpec::Earliest))).await?.all()?;
        let ends = admin.list_offsets(partitions.iter().map(|p| (p.clone(), OffsetSpec::Latest))).await?.all()?;
        let (starts, ends): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (starts.into_iter().collect(), ends.into_iter().collect());
        let moves = partitions.into_iter().map(|partition| {
            let start = starts.get(&partition).and_then(|listed| listed.offset).unwrap_or(0);
            let end = ends.get(&partition).and_then(|listed| listed.offset).unwrap_or(start);
            let committed = committed.get(&partition).copied();
            let wanted = match &self.target {
                Target::To(Seek::Start) => start,
                Target::To(Seek::End) => end,
                Target::To(Seek::Offset(offset)) => *offset,
                Target::To(Seek::BeforeEnd(n)) => end.saturating_sub(*n),
                Target::To(Seek::Time(_)) => times.get(&partition).and_then(|listed| listed.offset).unwrap_or(end),
                Target::By(n) => committed.unwrap_or(start).saturating_add(*n),
                Target::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(start),
            };
            Move { target: wanted.clamp(start, end.max(start)), partition, committed, end_offset: end }
        });
        Ok(SeekPlan { moves: moves.collect(), group: self.group })
    }
}

impl IntoFuture for PlanSeek {
    type Output = Result<SeekPlan, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.plan())
    }
}

/// Where a group's offsets would go. Dropping it changes nothing.
#[derive(Clone, Debug)]
#[must_use = "`apply` does it"]
pub struct SeekPlan {
    group: Group,
    moves: Vec<Move>,
}

/// One partition of a [`SeekPlan`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Move {
    /// The partition.
    pub partition: TopicPartition,
    /// What the group has committed; `None` where it has not.
    pub committed: Option<i64>,
    /// What it would have; never outside the log.
    pub target: i64,
    /// The offset behind the partition's last record.
    pub end_offset: i64,
}

impl SeekPlan {
    /// Each partition, by topic and number.
    pub fn moves(&self) -> &[Move] {
        &self.moves
    }

    /// Commits the targets. The group must have no members.
    ///
    /// # Errors
    /// As [`Group::commit`].
    pub async fn apply(self) -> Result<PerItem<TopicPartition, ()>, Error> {
        let offsets = self.moves.into_iter().map(|m| (m.partition, OffsetAndMetadata::new(m.target)));
        self.group.commit(offsets).await
    }
}
