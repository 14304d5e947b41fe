//! One group: its offsets, its lag, and their changes. Java: `Admin.listConsumerGroupOffsets`, `alterConsumerGroupOffsets`,
//! `deleteConsumerGroupOffsets`, `removeMembersFromConsumerGroup`.

use std::collections::BTreeMap;

use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    LeaveGroupRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse, leave_group,
    offset_commit, offset_delete, offset_fetch,
};
use felice_protocol::primitives::ByteStr;

use super::coordinator::ask;
use super::groups::group_error;
use super::seek::PlanSeek;
use super::{Admin, GroupDescription, OffsetSpec, PerItem, check};
use crate::reader::Seek;

/// The highest versions of OffsetCommit and OffsetFetch that name topics: a group keeps its offsets by name, also those of a topic that is gone.
const BY_NAME: i16 = 9;

/// One group, from [`Admin::group`]: nothing is asked of a broker before a method is called.
///
/// # Cancel safety
/// As for [`Admin`]: a change that has left is made all the same.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// use felice::{NewRecord, OffsetAndMetadata, Seek, TopicPartition};
/// let producer = client.producer().build().await?;
/// producer.send(NewRecord::to("orders").value("a")).await?;
///
/// let group = client.admin().group("billing");
/// let p = TopicPartition::new("orders", 0);
/// group.commit([(p.clone(), OffsetAndMetadata::new(1))]).await?.all()?;
/// assert_eq!(group.lag().await?[0].lag, Some(0));
///
/// let plan = group.plan_seek(Seek::Start).await?;                  // shows, then does
/// assert_eq!((plan.moves()[0].committed, plan.moves()[0].target), (Some(1), 0));
/// plan.apply().await?.all()?;
/// assert_eq!(group.lag().await?[0].lag, Some(1));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) admin: Admin,
    pub(super) id: ByteStr,
}

/// How far a group is behind in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionLag {
    /// The partition.
    pub partition: TopicPartition,
    /// What the group has committed; `None` where it has not.
    pub committed: Option<i64>,
    /// The first offset that is still there; `None` where the partition cannot be asked.
    pub log_start_offset: Option<i64>,
    /// The offset behind the last record; `None` where the partition cannot be asked.
    pub end_offset: Option<i64>,
    /// Records that are not committed yet; `None` where either end is not known.
    pub lag: Option<i64>,
    /// The member that has the partition, where one has.
    pub member: Option<ByteStr>,
}

impl Group {
    pub(super) fn new(admin: Admin, id: ByteStr) -> Self {
        Self { admin, id }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its state and members.
    ///
    /// # Errors
    /// [`ErrorCode::GROUP_ID_NOT_FOUND`] where it does not exist.
    pub async fn describe(&self) -> Result<GroupDescription, Error> {
        self.admin.describe_group(&self.id).await
    }

    /// All that it has committed, by partition. A group that does not exist has committed nothing.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn committed(&self) -> Result<BTreeMap<TopicPartition, OffsetAndMetadata>, Error> {
        use offset_fetch::request::OffsetFetchRequestGroup;
        let group_id = self.id.clone();
        let build = move |version| match version {
            // Versions 0 and 1 cannot ask for all topics; brokers before Kafka 0.10.2 know no other.
            ..8 => OffsetFetchRequest { group_id: group_id.clone(), topics: None, ..Default::default() },
            8.. => OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: group_id.clone(),
                    topics: None,
                    ..Default::default()
                }],
                ..Default::default()
            },
        };
        let code = |r: &OffsetFetchResponse| r.groups.first().map_or(r.error_code, |group| group.error_code);
        let response = ask(&self.admin.client, &self.id, BY_NAME, build, code).await?;
        let mut all = BTreeMap::new();
        let mut take =
            |topic: &ByteStr, partition, error_code: ErrorCode, offset, leader_epoch, metadata: Option<ByteStr>| {
                check(error_code, None).map_err(|error| error.on_partition(topic, partition))?;
                if offset >= 0 {
                    let committed = OffsetAndMetadata { offset, leader_epoch, metadata: metadata.unwrap_or_default() };
                    all.insert(TopicPartition { topic: topic.clone(), partition }, committed);
                }
                Ok::<(), Error>(())
            };
        if let Some(group) = response.groups.into_iter().next() {
            check(group.error_code, None)?;
            for topic in group.topics {
                for p in topic.partitions {
                    take(
                        &topic.name,
                        p.partition_index,
                        p.error_code,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        p.metadata,
                    )?;
                }
            }
        } else {
            check(response.error_code, None)?;
            for topic in response.topics {
                for p in topic.partitions {
                    take(
                        &topic.name,
                        p.partition_index,
                        p.error_code,
                        p.committed_offset,
                        p.committed_leader_epoch,
                        p.metadata,
                    )?;
                }
            }
        }
        Ok(all)
    }

    /// Commits offsets in the group's name. The group must have no members: theirs would be overwritten, or overwrite these.
    ///
    /// # Errors
    /// Where no answer came; each partition has a result of its own, [`ErrorCode::UNKNOWN_MEMBER_ID`] where the group has members.
    pub async fn commit(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<PerItem<TopicPartition, ()>, Error> {
        use offset_commit::request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
        let mut topics: BTreeMap<ByteStr, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (p, committed) in offsets {
            topics.entry(p.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: p.partition,
                committed_offset: committed.offset,
                committed_leader_epoch: committed.leader_epoch,
                committed_metadata: Some(committed.metadata),
                ..Default::default()
            });
        }
        let topics: Vec<OffsetCommitRequestTopic> = topics
            .into_iter()
            .map(|(name, partitions)| OffsetCommitRequestTopic { name, partitions, ..Default::default() })
            .collect();
        let group_id = self.id.clone();
        let build = move |_| OffsetCommitRequest {
            group_id: group_id.clone(),
            generation_id_or_member_epoch: -1,
            topics: topics.clone(),
            ..Default::default()
        };
        let response = ask(&self.admin.client, &self.id, BY_NAME, build, |response| {
            response.topics.iter().flat_map(|topic| &topic.partitions).next().map_or(ErrorCode::NONE, |p| p.error_code)
        })
        .await?;
        let results = response.topics.into_iter().flat_map(|topic| {
            topic.partitions.into_iter().map(move |p| {
                let result = p.error_code.ok().map_err(|c| group_error(c).on_partition(&topic.name, p.partition_index));
                (TopicPartition::new(topic.name.clone(), p.partition_index), result)
            })
        });
        Ok(PerItem(results.collect()))
    }

    /// Forgets what it has committed for these partitions.
    ///
    /// # Errors
    /// Where no answer came, or the group does not exist; each partition has a result of its own:
    /// [`ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC`] where members read the topic.
    pub async fn delete_offsets(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<PerItem<TopicPartition, ()>, Error> {
        use offset_delete::request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
        let mut topics: BTreeMap<ByteStr, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for p in partitions {
            topics.entry(p.topic).or_default().push(OffsetDeleteRequestPartition { partition_index: p.partition });
        }
        let topics: Vec<OffsetDeleteRequestTopic> =
            topics.into_iter().map(|(name, partitions)| OffsetDeleteRequestTopic { name, partitions }).collect();
        let group_id = self.id.clone();
        let build = move |_| OffsetDeleteRequest { group_id: group_id.clone(), topics: topics.clone() };
        let response = ask(&self.admin.client, &self.id, i16::MAX, build, |response| response.error_code).await?;
        response.error_code.ok().map_err(group_error)?;
        let results = response.topics.into_iter().flat_map(|topic| {
            topic.partitions.into_iter().map(move |p| {
                let result = p.error_code.ok().map_err(|c| group_error(c).on_partition(&topic.name, p.partition_index));
                (TopicPartition::new(topic.name.clone(), p.partition_index), result)
            })
        });
        Ok(PerItem(results.collect()))
    }

    /// Takes members out of a group, by `group.instance.id` where they are static, else by their id. A member that lives comes back as a
    /// new one: this is for those that do not.
    ///
    /// # Errors
    /// Where no answer came; each member has a result of its own, [`ErrorCode::UNKNOWN_MEMBER_ID`] where it is not there.
    pub async fn remove_members<T: AsRef<str>>(
        &self,
        members: impl IntoIterator<Item = T>,
    ) -> Result<PerItem<String, ()>, Error> {
        use leave_group::request::MemberIdentity;
        let known = self.describe().await?.members;
        let (mut names, mut identities) = (Vec::new(), Vec::new());
        for name in members {
            let name = name.as_ref();
            let is_instance = known.iter().any(|member| member.instance_id.as_deref() == Some(name));
            identities.push(MemberIdentity {
                member_id: if is_instance { ByteStr::default() } else { name.into() },
                group_instance_id: is_instance.then(|| name.into()),
                reason: Some(ByteStr::from_static("removed by an administrator")),
                ..Default::default()
            });
            names.push(name.to_owned());
        }
        let group_id = self.id.clone();
        let build = move |_| LeaveGroupRequest {
            group_id: group_id.clone(),
            members: identities.clone(),
            ..Default::default()
        };
        let response = ask(&self.admin.client, &self.id, i16::MAX, build, |response| response.error_code).await?;
        check(response.error_code, None)?;
        let results = response.members.into_iter().map(|member| member.error_code.ok());
        let results = results.map(|result| result.map_err(|code| Error::from_code(code, None)));
        Ok(PerItem(names.into_iter().zip(results).collect()))
    }

    /// How far it is behind, in each partition that it has committed or that a member has, by partition.
    ///
    /// # Errors
    /// [`ErrorCode::GROUP_ID_NOT_FOUND`] where it does not exist.
    pub async fn lag(&self) -> Result<Vec<PartitionLag>, Error> {
        let description = self.describe().await?;
        let committed = self.committed().await?;
        let mut rows: BTreeMap<TopicPartition, PartitionLag> = BTreeMap::new();
        let row = |partition: &TopicPartition| PartitionLag {
            partition: partition.clone(),
            committed: None,
            log_start_offset: None,
            end_offset: None,
            lag: None,
            member: None,
        };
        for member in &description.members {
            for partition in &member.assignment {
                rows.entry(partition.clone()).or_insert_with(|| row(partition)).member = Some(member.id.clone());
            }
        }
        for (partition, committed) in &committed {
            rows.entry(partition.clone()).or_insert_with(|| row(partition)).committed = Some(committed.offset);
        }
        let (starts, ends) = self.admin.ends(rows.keys()).await?;
        for (partition, row) in &mut rows {
            row.log_start_offset = starts.get(partition).copied();
            row.end_offset = ends.get(partition).copied();
            // What was committed and is deleted by now cannot be read any more.
            let from = row.committed.map(|committed| committed.max(row.log_start_offset.unwrap_or(0)));
            row.lag = from.zip(row.end_offset).map(|(from, end)| (end - from).max(0));
        }
        Ok(rows.into_values().collect())
    }

    /// Plans to let the group read on from another place; awaiting it asks the brokers and changes nothing yet.
    pub fn plan_seek(&self, to: Seek) -> PlanSeek {
        PlanSeek::to(self.clone(), to)
    }

    /// As [`Self::plan_seek`], by so many records forwards, or backwards where it is negative.
    pub fn plan_shift(&self, records: i64) -> PlanSeek {
        PlanSeek::by(self.clone(), records)
    }

    /// As [`Self::plan_seek`], to an offset for each partition.
    pub fn plan_offsets(&self, offsets: impl IntoIterator<Item = (TopicPartition, i64)>) -> PlanSeek {
        PlanSeek::offsets(self.clone(), offsets.into_iter().collect())
    }
}

impl Admin {
    /// The first and the end offset of partitions; one that cannot be asked is left out.
    pub(super) async fn ends<'a>(
        &self,
        of: impl Iterator<Item = &'a TopicPartition> + Clone,
    ) -> Result<(BTreeMap<TopicPartition, i64>, BTreeMap<TopicPartition, i64>), Error> {
        let starts = self.list_offsets(of.clone().map(|p| (p.clone(), OffsetSpec::Earliest))).await?;
        let ends = self.list_offsets(of.map(|p| (p.clone(), OffsetSpec::Latest))).await?;
        let known = |listed: PerItem<TopicPartition, super::ListedOffset>| {
            listed.0.into_iter().filter_map(|(p, listed)| Some((p, listed.ok()?.offset?))).collect()
        };
        Ok((known(starts), known(ends)))
    }
}

/// No partition to act on.
pub(super) fn nothing_to_do(id: &str) -> Error {
    Error::new(ErrorKind::Broker, format!("group {id:?} has committed nothing"))
        .code_of(ErrorCode::GROUP_ID_NOT_FOUND)
        .hinting("name a topic: its partitions are then set whether or not the group has read them")
}
