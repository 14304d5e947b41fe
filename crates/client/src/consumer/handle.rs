//! [`ConsumerHandle`]: a consumer's remote control, for any task.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use felice_client_core::client::ClientCore;
use felice_client_core::consumer::fetcher::Position;
use felice_client_core::consumer::group::{GroupMetadata, Subscription};
use felice_client_core::consumer::session::{CloseReport, Ticket};
use felice_client_core::consumer::{OffsetAndMetadata, TopicPartition};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::time::Now;
use tokio::sync::oneshot;

use super::carry::{ConsumerDriver, ConsumerKey};
use super::events::ConsumerEvents;
use super::shared::ConsumerShared;
use crate::admin::{ListedOffset, OffsetSpec};
use crate::client::{Client, closed};
use crate::producer::Tag;
use crate::reader::Seek;

/// How many records of a partition have not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lag {
    /// The partition.
    pub partition: TopicPartition,
    /// The next record to hand out; `None` while it is not known.
    pub position: Option<i64>,
    /// The end of what readers see.
    pub end: i64,
    /// The offsets from the position to the end; from the first record where no position is known.
    pub records: i64,
}

/// Commits, seeks, pauses, asks and closes from anywhere: a cheap clone, `Send` and `Sync`, that needs no hold of the [`Consumer`](super::Consumer).
///
/// What needs a broker is `async` and ends within `default.api.timeout.ms`. Dropping such a future recalls nothing: what was asked for happens,
/// its answer is lost.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// # client.producer().build().await?.send(felice::NewRecord::to("orders").value("x")).await?;
/// use felice::{Commit, Seek, StartAt, TopicPartition};
/// use futures::TryStreamExt;
///
/// let mut consumer =
///     client.consumer("billing").topics(["orders"]).start_at(StartAt::Earliest).commit(Commit::Manual).build().await?;
/// let handle = consumer.handle();
/// consumer.try_next().await?.unwrap().done();
/// handle.commit().await?;
///
/// let orders = TopicPartition::new("orders", 0);
/// assert_eq!(handle.assignment(), [orders.clone()]);
/// assert_eq!(handle.position(&orders), Some(1));
/// assert_eq!(handle.committed([orders.clone()]).await?[0].1.as_ref().map(|c| c.offset), Some(1));
/// handle.seek(&orders, Seek::Start).await?;
/// assert_eq!(handle.lag().await?[0].records, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ConsumerHandle {
    pub(super) shared: Arc<ConsumerShared>,
    pub(super) client: Client,
    pub(super) key: ConsumerKey,
}

impl ConsumerHandle {
    /// Does something with the consumer on the driver's thread; nothing where it is gone.
    pub(super) fn tell(&self, what: impl FnOnce(&mut ConsumerDriver, &mut ClientCore<Tag>, Now) + Send + 'static) {
        let key = self.key;
        self.client.driver().command(move |driver, now| driver.with_consumer(key, now, what));
    }

    async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&mut ConsumerDriver, &mut ClientCore<Tag>, Now, oneshot::Sender<T>) + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.tell(move |consumer, core, now| what(consumer, core, now, answer));
        answered.await.map_err(|_| consumer_closed())
    }

    pub(super) fn heard(&self, ticket: Ticket) {
        self.tell(move |consumer, _, now| consumer.heard(now, ticket));
    }

    /// Commits what is done of every assigned partition (with [`Commit::Stored`](super::Commit::Stored) what is stored, with
    /// [`Commit::Delivered`](super::Commit::Delivered) what was handed out), and waits for the answer. Nothing to commit is no error.
    ///
    /// # Errors
    /// The first partition's error, where the group refuses one: the others are committed. Also where partitions are gone, lost or given back,
    /// with something of them done and not committed, and the application does not know: their next owners read that again. With a
    /// [`RebalanceListener`](super::RebalanceListener) every commit says so until it has come back, as each may be asked by another task;
    /// without one the next commit does.
    ///
    /// # Cancel safety
    /// The commit happens; its answer is lost.
    pub async fn commit(&self) -> Result<(), Error> {
        self.ask(|consumer, _, _, answer| consumer.commit(None, answer)).await?
    }

    /// Commits these offsets, each the next to read, whatever is done. A subscribed consumer commits for its own partitions only; one without a
    /// subscription for any, as long as the group has no members.
    ///
    /// # Errors
    /// As [`Self::commit`]; also metadata longer than the broker's `offset.metadata.max.bytes`.
    ///
    /// # Cancel safety
    /// The commit happens; its answer is lost.
    pub async fn commit_offsets(
        &self,
        offsets: impl IntoIterator<Item = (TopicPartition, OffsetAndMetadata)>,
    ) -> Result<(), Error> {
        let offsets: Vec<_> = offsets.into_iter().collect();
        if let Some((partition, place)) = offsets.iter().find(|(_, place)| place.offset < 0) {
            return Err(Error::new(ErrorKind::Config, format!("offset {} cannot be committed", place.offset))
                .on_partition(&partition.topic, partition.partition)
                .hinting("commit the offset of the next record to read: 0 or more"));
        }
        self.ask(|consumer, _, _, answer| consumer.commit(Some(offsets), answer)).await?
    }

    /// Stores an offset, the next to read, for the next commit of what is stored. Waits for nothing. librdkafka: `rd_kafka_offsets_store`;
    /// sarama: `MarkOffset`, and `ResetOffset`, since it may also go back.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the partition is not assigned.
    pub fn store(&self, partition: &TopicPartition, offset: OffsetAndMetadata) -> Result<(), Error> {
        let found = self.shared.partition(partition).filter(|p| !p.is_ended());
        found.map(|p| p.store(offset)).ok_or_else(|| not_assigned(partition))
    }

    /// Reads a partition on from elsewhere, and tells from which offset. Once it returns, no record of an older position is handed out, and what
    /// was handed out before counts no more when it is done.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the partition is not assigned; where the offset cannot be looked up.
    ///
    /// # Cancel safety
    /// From its first poll on, it happens; where it led is not told.
    pub async fn seek(&self, partition: &TopicPartition, to: Seek) -> Result<i64, Error> {
        let shared =
            self.shared.partition(partition).filter(|p| !p.is_ended()).ok_or_else(|| not_assigned(partition))?;
        let to = Position::from(to);
        shared.seek(if let Position::Offset(offset) = to { Some(offset) } else { None });
        let partition = partition.clone();
        self.ask(move |consumer, core, now, answer| consumer.seek(core, now, &partition, to, answer)).await?
    }

    /// Hands out nothing of these partitions until they are resumed. Once it returns, that is so; a record handed out before can still be
    /// done. What was fetched of them ahead is fetched again after. Partitions that are not assigned are left out.
    pub fn pause(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        for partition in partitions {
            let Some(shared) = self.shared.partition(&partition).filter(|p| !p.is_ended()) else { continue };
            shared.pause();
            self.tell(move |consumer, core, now| consumer.pause(core, now, &partition, true));
        }
    }

    /// Hands out these partitions' records again.
    pub fn resume(&self, partitions: impl IntoIterator<Item = TopicPartition>) {
        for partition in partitions {
            let Some(shared) = self.shared.partition(&partition).filter(|p| !p.is_ended()) else { continue };
            shared.resume();
            self.tell(move |consumer, core, now| consumer.pause(core, now, &partition, false));
        }
    }

    /// Pauses every assigned partition; those that come later are not.
    pub fn pause_all(&self) {
        self.pause(self.assignment());
    }

    /// Resumes every assigned partition.
    pub fn resume_all(&self) {
        self.resume(self.assignment());
    }

    /// The assigned partitions that are paused.
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.shared.partitions().into_iter().filter(|p| p.is_paused()).map(|p| p.id.clone()).collect()
    }

    /// The partitions that this consumer has now; those on their way out are not among them.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.shared.partitions().into_iter().map(|p| p.id.clone()).collect()
    }

    /// Whether partitions were lost, not revoked, and none has come since.
    pub fn assignment_lost(&self) -> bool {
        self.shared.is_lost()
    }

    /// The next record of a partition to be handed out; `None` where it is not assigned or not known yet.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.shared.partition(partition).filter(|p| !p.is_ended())?.position()
    }

    /// What the group has committed for these partitions; `None` where nothing is.
    ///
    /// # Errors
    /// The first partition's, where one cannot be told; [`ErrorKind::Config`] without a group.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn committed(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<Vec<(TopicPartition, Option<OffsetAndMetadata>)>, Error> {
        let partitions: Vec<_> = partitions.into_iter().collect();
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.ask(|consumer, core, now, answer| consumer.committed(core, now, partitions, answer)).await??;
        found.into_iter().map(|(partition, place)| place.map(|place| (partition, place))).collect()
    }

    /// How far every assigned partition is behind its end, asked of the brokers now.
    ///
    /// # Errors
    /// Where no broker tells the ends.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn lag(&self) -> Result<Vec<Lag>, Error> {
        let assigned = self.assignment();
        let ends = self.list(assigned.iter().map(|p| (p.clone(), OffsetSpec::Latest))).await?;
        let mut lags = Vec::new();
        for partition in assigned {
            let end = ends.get(&partition).and_then(|at| at.offset).unwrap_or(0);
            let position = self.position(&partition);
            let start = match position {
                Some(position) => position,
                None => self
                    .list([(partition.clone(), OffsetSpec::Earliest)])
                    .await?
                    .get(&partition)
                    .and_then(|at| at.offset)
                    .unwrap_or(0),
            };
            lags.push(Lag { partition, position, end, records: (end - start).max(0) });
        }
        Ok(lags)
    }

    /// The first offset and the end of a partition, asked of its leader now. confluent-kafka-go: `QueryWatermarkOffsets`.
    ///
    /// # Errors
    /// Where no broker tells them.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn watermarks(&self, partition: &TopicPartition) -> Result<(i64, i64), Error> {
        let mut found = [0, 0];
        for (at, spec) in [OffsetSpec::Earliest, OffsetSpec::Latest].into_iter().enumerate() {
            let listed = self.list([(partition.clone(), spec)]).await?;
            found[at] = listed.get(partition).and_then(|at| at.offset).unwrap_or(0);
        }
        Ok((found[0], found[1]))
    }

    /// The first offset and the end of a partition as the last answer had them; `None` before there was one. Asks nobody. confluent-kafka-go:
    /// `GetWatermarkOffsets`; sarama: `HighWaterMarks`.
    pub fn cached_watermarks(&self, partition: &TopicPartition) -> Option<(i64, i64)> {
        self.shared.partition(partition)?.watermarks()
    }

    /// The first offsets at or after these times, in milliseconds since 1970; `None` where no record is that young.
    ///
    /// # Errors
    /// Where no broker tells them.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn offsets_for_times(
        &self,
        times: impl IntoIterator<Item = (TopicPartition, i64)>,
    ) -> Result<BTreeMap<TopicPartition, Option<i64>>, Error> {
        let found =
            self.list(times.into_iter().map(|(partition, millis)| (partition, OffsetSpec::Time(millis)))).await?;
        Ok(found.into_iter().map(|(partition, at)| (partition, at.offset)).collect())
    }

    async fn list(
        &self,
        of: impl IntoIterator<Item = (TopicPartition, OffsetSpec)>,
    ) -> Result<BTreeMap<TopicPartition, ListedOffset>, Error> {
        Ok(self.client.admin().list_offsets(of).await?.all()?.into_iter().collect())
    }

    /// Who this consumer is to its group now: for a transaction's offsets, and for logs.
    pub fn group_metadata(&self) -> GroupMetadata {
        self.shared.metadata()
    }

    /// `EAGER` or `COOPERATIVE`, as librdkafka and confluent-kafka-go name it; `None` before the group was joined.
    pub fn rebalance_protocol(&self) -> Option<&'static str> {
        self.shared.protocol()
    }

    /// What is subscribed to.
    pub fn subscription(&self) -> Option<Subscription> {
        self.shared.subscription()
    }

    /// Subscribes to these topics instead of whatever was subscribed to; partitions of topics that stay are not touched, where the protocol allows.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a group.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn subscribe<T: AsRef<str>>(&self, topics: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let topics = topics.into_iter().map(|topic| topic.as_ref().into()).collect();
        self.subscribe_to(Some(Subscription::Topics(topics))).await
    }

    /// Subscribes to all topics that this regular expression matches as a whole, now and later.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where it is none.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn subscribe_pattern(&self, pattern: &str) -> Result<(), Error> {
        self.subscribe_to(Some(Subscription::Pattern(pattern.to_owned()))).await
    }

    /// Gives every partition back and leaves the group; the consumer can subscribe anew.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] without a group.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn unsubscribe(&self) -> Result<(), Error> {
        self.subscribe_to(None).await
    }

    pub(super) async fn subscribe_to(&self, subscription: Option<Subscription>) -> Result<(), Error> {
        if subscription.is_some() {
            self.shared.revive();
        }
        self.ask(|consumer, core, now, answer| {
            // Whoever asked may have gone.
            let _ = answer.send(consumer.subscribe(core, now, subscription));
        })
        .await?
    }

    /// Reads exactly these partitions, from there or, with `None`, from what the group has committed; others are given back. No group hands
    /// them out, and nobody else is kept from them.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the consumer is.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn assign(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, Option<Seek>)>,
    ) -> Result<(), Error> {
        let wanted: BTreeMap<_, _> = partitions.into_iter().collect();
        let gone: Vec<_> = self.assignment().into_iter().filter(|p| !wanted.contains_key(p)).collect();
        self.unassign_these(gone).await?;
        self.incremental_assign(wanted).await
    }

    /// Reads these partitions beside those that it has.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the consumer is.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn incremental_assign(
        &self,
        partitions: impl IntoIterator<Item = (TopicPartition, Option<Seek>)>,
    ) -> Result<(), Error> {
        let partitions: Vec<_> = partitions.into_iter().map(|(p, seek)| (p, seek.map(Position::from))).collect();
        self.ask(|consumer, core, now, answer| {
            consumer.session.assign(now, partitions);
            consumer.work(core, now);
            let _ = answer.send(());
        })
        .await
    }

    /// Gives these partitions back: what is done of them is committed.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the consumer is.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn incremental_unassign(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
    ) -> Result<(), Error> {
        self.unassign_these(partitions.into_iter().collect()).await
    }

    /// Gives every partition back: what is done of them is committed.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where the consumer is.
    ///
    /// # Cancel safety
    /// It happens.
    pub async fn unassign(&self) -> Result<(), Error> {
        self.unassign_these(self.assignment()).await
    }

    async fn unassign_these(&self, partitions: Vec<TopicPartition>) -> Result<(), Error> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.ask(|consumer, core, now, answer| {
            consumer.session.unassign(now, partitions, Duration::from_secs(5));
            consumer.work(core, now);
            let _ = answer.send(());
        })
        .await
    }

    /// What the consumer tells of itself from now on.
    pub fn events(&self) -> ConsumerEvents {
        self.shared.vitals.events.subscribe()
    }

    /// Closes the consumer within ten seconds, wherever it is read: its stream ends. See [`Consumer::close`](super::Consumer::close).
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where it was closed before.
    ///
    /// # Cancel safety
    /// It happens; the report is lost.
    pub async fn close(&self) -> Result<CloseReport, Error> {
        self.close_within(super::CLOSE_WITHIN).await
    }

    /// As [`Self::close`], within another time.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] where it was closed before.
    ///
    /// # Cancel safety
    /// It happens; the report is lost.
    pub async fn close_within(&self, within: Duration) -> Result<CloseReport, Error> {
        self.ask(move |consumer, _, now, answer| consumer.close(now, within, Some(answer))).await
    }

    /// The client that the consumer belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

fn not_assigned(partition: &TopicPartition) -> Error {
    Error::new(ErrorKind::Closed, "the partition is not assigned to this consumer")
        .on_partition(&partition.topic, partition.partition)
        .hinting("see ConsumerHandle::assignment; the group may have moved it")
}

fn consumer_closed() -> Error {
    let error = closed();
    Error::new(error.kind(), "the consumer was closed")
}
