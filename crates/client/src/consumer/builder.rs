//! [`ConsumerBuilder`], and what it chooses between.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use felice_client_core::config::{GroupProtocol, OffsetReset, Properties};
use felice_client_core::consumer::TopicPartition;
use felice_client_core::consumer::assignor::{Assignor, PartitionAssignor};
use felice_client_core::consumer::budget::Budget;
use felice_client_core::consumer::fetcher::{Fetcher, Position};
use felice_client_core::consumer::group::Subscription;
use felice_client_core::consumer::offsets::CommitSource;
use felice_client_core::consumer::session::{Session, SessionConfig};
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::primitives::ByteStr;
use tokio::sync::{mpsc, oneshot};

use super::Consumer;
use super::carry::{ConsumerDriver, ConsumerKey, Limits};
use super::handle::ConsumerHandle;
use super::listener::{Heard, Listening, RebalanceListener};
use super::partition::Vitals;
use super::shared::ConsumerShared;
use crate::client::{Client, closed};
use crate::driver::waker;
use crate::reader::Seek;

/// Where to start in a partition for which the group has committed nothing, or whose committed offset is not in the log
/// (`auto.offset.reset`). There is no silent default: [`Fail`](Self::Fail) unless chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartAt {
    /// At the first record.
    Earliest,
    /// Behind the last record.
    Latest,
    /// At the first record that is at most this old (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: it is an error, and a seek goes on.
    Fail,
}

/// What is committed in the background, and before partitions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Commit {
    /// What is done without a gap, every so often (`auto.commit.interval.ms`, 5 s). The default: at least once, by what is done.
    Done,
    /// Nothing: the application commits, by [`ConsumerHandle::commit`] what is done, by [`ConsumerHandle::commit_offsets`] anything.
    Manual,
    /// What was stored by [`Message::store`](super::Message::store), [`Batch::store`](super::Batch::store) or [`ConsumerHandle::store`]
    /// (`enable.auto.offset.store=false`).
    Stored,
    /// What was handed out, whether or not it is done: what Java and librdkafka do with `enable.auto.commit`. A crash may lose what was
    /// handed out and not done.
    Delivered,
}

type MakeListener = Box<dyn FnOnce(mpsc::UnboundedReceiver<Heard>, ConsumerHandle) -> Listening + Send>;

/// Builds a [`Consumer`], from [`Client::consumer`]. What is set here goes before what the client was given.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// use felice::{Commit, GroupProtocol, StartAt};
/// use std::time::Duration;
///
/// let consumer = client
///     .consumer("billing")
///     .topics(["orders", "returns"])
///     .start_at(StartAt::ByDuration(Duration::from_secs(3600)))
///     .protocol(GroupProtocol::Classic)
///     .assignors(["cooperative-sticky"])
///     .commit(Commit::Done)
///     .instance_id("billing-1")
///     .max_processing(Duration::from_secs(30))
///     .set("fetch.min.bytes", "1000")
///     .build()
///     .await?;
/// consumer.close().await?;
///
/// let error = client.consumer("").topics(["orders"]).build().await.unwrap_err();
/// assert_eq!(error.kind(), felice::ErrorKind::Config);
/// # Ok(()) }
/// ```
#[must_use]
pub struct ConsumerBuilder {
    client: Client,
    grouped: bool,
    subscription: Option<Subscription>,
    assigned: Vec<(TopicPartition, Option<Position>)>,
    properties: BTreeMap<String, String>,
    assignors: Vec<Assignor>,
    commit: Option<Commit>,
    max_processing: Option<Duration>,
    listener: Option<MakeListener>,
}

impl fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerBuilder")
            .field("subscription", &self.subscription)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

impl ConsumerBuilder {
    pub(crate) fn new(client: Client, group: Option<&str>) -> Self {
        let properties = group.map(|group| ("group.id".to_owned(), group.to_owned())).into_iter().collect();
        Self {
            client,
            grouped: group.is_some(),
            subscription: None,
            assigned: Vec::new(),
            properties,
            assignors: Vec::new(),
            commit: None,
            max_processing: None,
            listener: None,
        }
    }

    /// Subscribes to these topics, whether they exist yet or not, beside those named before.
    pub fn topics<T: AsRef<str>>(mut self, topics: impl IntoIterator<Item = T>) -> Self {
        let more = topics.into_iter().map(|topic| ByteStr::from(topic.as_ref()));
        match &mut self.subscription {
            Some(Subscription::Topics(topics)) => topics.extend(more),
            Some(Subscription::Pattern(_)) | None => self.subscription = Some(Subscription::Topics(more.collect())),
        }
        self
    }

    /// Subscribes to all topics that this regular expression matches as a whole, also those that appear later. Instead of topics named before.
    pub fn pattern(mut self, pattern: &str) -> Self {
        self.subscription = Some(Subscription::Pattern(pattern.to_owned()));
        self
    }

    /// Reads this partition without the group's doing, from there or, with `None`, from what the group has committed.
    pub fn assign(mut self, partition: TopicPartition, from: Option<Seek>) -> Self {
        self.assigned.push((partition, from.map(Position::from)));
        self
    }

    /// Where to start without a committed offset (`auto.offset.reset`): it is an error unless told.
    pub fn start_at(self, start: StartAt) -> Self {
        let value = match start {
            StartAt::Earliest => "earliest".to_owned(),
            StartAt::Latest => "latest".to_owned(),
            StartAt::ByDuration(age) => format!("by_duration:PT{}S", age.as_secs_f64()),
            StartAt::Fail => "none".to_owned(),
        };
        self.set("auto.offset.reset", &value)
    }

    /// Which group protocol is spoken (`group.protocol`): KIP-848 where the broker has it, else classic, unless told.
    pub fn protocol(self, protocol: GroupProtocol) -> Self {
        self.set(
            "group.protocol",
            match protocol {
                GroupProtocol::Auto => "auto",
                GroupProtocol::Classic => "classic",
                GroupProtocol::Consumer => "consumer",
            },
        )
    }

    /// Which assignors to offer, best first, under the classic protocol (`partition.assignment.strategy`): `range`, `roundrobin`, `sticky`,
    /// `cooperative-sticky`.
    pub fn assignors<T: AsRef<str>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names: Vec<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.set("partition.assignment.strategy", &names.join(","))
    }

    /// Which of the coordinator's assignors divides the partitions under KIP-848 (`group.remote.assignor`): `uniform`, `range`.
    pub fn remote_assignor(self, name: &str) -> Self {
        self.set("group.remote.assignor", name)
    }

    /// Offers an assignor of one's own, before all others; the protocol is the classic one then.
    pub fn custom_assignor(mut self, assignor: Arc<dyn PartitionAssignor>) -> Self {
        self.assignors.push(Assignor::Custom(assignor));
        self
    }

    /// What is committed in the background: what is done, unless told. Properties are understood too: `enable.auto.commit=false` is
    /// [`Commit::Manual`], `enable.auto.offset.store` is [`Commit::Stored`] or [`Commit::Delivered`].
    pub fn commit(mut self, commit: Commit) -> Self {
        self.commit = Some(commit);
        self
    }

    /// How often (`auto.commit.interval.ms`): 5 s unless told.
    pub fn commit_every(self, interval: Duration) -> Self {
        self.set("auto.commit.interval.ms", &interval.as_millis().to_string())
    }

    /// Makes this a static member (`group.instance.id`, KIP-345): one that comes back within the session timeout gets its partitions back without a
    /// rebalance.
    pub fn instance_id(self, id: &str) -> Self {
        self.set("group.instance.id", id)
    }

    /// After how long a record that is not done, or a partition that does not get on for another reason, is told of as
    /// [`ConsumerEvent::Stalled`](crate::ConsumerEvent::Stalled), and again each time as long: half of `max.poll.interval.ms` unless told. The consumer
    /// leaves its group only where the application neither takes nor finishes anything for `max.poll.interval.ms`.
    pub fn max_processing(mut self, limit: Duration) -> Self {
        self.max_processing = Some(limit);
        self
    }

    /// Hears when partitions come and go.
    pub fn listener(mut self, listener: impl RebalanceListener) -> Self {
        self.listener = Some(Box::new(move |calls, handle| Listening::new(listener, calls, handle)));
        self
    }

    /// Sets a property by its Java or librdkafka name. A mistake is reported by [`Self::build`].
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Builds the consumer, and begins to join its group. Waits for no broker: an error of the group is the stream's first item.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a property that is unknown or does not fit, a group id that is empty or too long, a pattern that is no regular
    /// expression.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn build(self) -> Result<Consumer, Error> {
        let properties = self.client.with(&self.properties)?;
        let fetch = properties.fetch_config()?;
        let config = if self.grouped { Some(properties.consumer_config()?) } else { None };
        if self.subscription.is_some() && config.is_none() {
            return Err(Error::new(ErrorKind::Config, "a subscription needs a group")
                .hinting("name one: client.consumer(\"group\"), or assign partitions"));
        }
        if let Some(Subscription::Topics(topics)) = &self.subscription
            && let Some(wrong) = topics.iter().find(|topic| topic.is_empty() || topic.len() > 249)
        {
            let message = format!("a topic's name has 1 to 249 characters; this has {}", wrong.len());
            return Err(Error::new(ErrorKind::Config, message));
        }
        let max_poll = config.as_ref().map_or(Duration::from_secs(300), |config| config.max_poll_interval);
        let session = SessionConfig {
            commit: self.commit.unwrap_or_else(|| commit_of(&properties)).source().filter(|_| self.grouped),
            commit_interval: config.as_ref().map_or(max_poll, |c| c.auto_commit_interval).max(Duration::from_millis(1)),
            offset_reset: fetch.offset_reset,
            max_processing: self.max_processing.unwrap_or(max_poll / 2).max(Duration::from_millis(1)),
            retry_backoff: fetch.retry_backoff_max,
            grouped: self.grouped,
        };
        let limits = Limits::new(config.as_ref(), &fetch);
        let driver = self.client.driver().clone();
        let spares = driver.spares.clone();
        let recycler = Box::new(move |response| spares.put(response));
        let budget = Budget::with_recycler(fetch.buffer_bytes, waker(&driver), recycler);
        let (tell_calls, calls) = match &self.listener {
            Some(_) => {
                let (tell, hear) = mpsc::unbounded_channel();
                (Some(tell), Some(hear))
            }
            None => (None, None),
        };
        let (built, answer) = oneshot::channel();
        let (assignors, assigned, subscription) = (self.assignors, self.assigned, self.subscription);
        let (for_driver, check_crcs) = (driver.clone(), fetch.check_crcs);
        driver.command(move |driver, now| {
            let member = match config.map(|config| driver.core.add_member(config, assignors)).transpose() {
                Ok(member) => member,
                Err(error) => {
                    let _ = built.send(Err(error));
                    return;
                }
            };
            let reader = driver.core.add_reader(Fetcher::new(fetch, budget.clone()));
            // Readers' keys are never given twice.
            let key = ConsumerKey(reader.0);
            let shared = ConsumerShared::new(Vitals::new(for_driver, key, check_crcs));
            let mut consumer = ConsumerDriver::new(
                Session::new(session),
                member,
                reader,
                shared.clone(),
                budget,
                limits,
                tell_calls,
                now,
            );
            let subscribed = match subscription {
                Some(subscription) => consumer.subscribe(&mut driver.core, now, Some(subscription)),
                None => Ok(()),
            };
            if !assigned.is_empty() {
                consumer.session.assign(now, assigned);
            }
            let result = subscribed.map(|()| (key, shared));
            let failed = result.is_err();
            // Whoever builds may have gone.
            if built.send(result).is_err() || failed {
                consumer.discard(&mut driver.core);
            } else {
                driver.consumers.insert(key, consumer);
            }
        });
        let (key, shared) = answer.await.map_err(|_| closed())??;
        let handle = ConsumerHandle { shared: shared.clone(), client: self.client, key };
        let listening = match (self.listener, calls) {
            (Some(make), Some(calls)) => make(calls, handle.clone()),
            _ => Listening::none(),
        };
        Ok(Consumer::new(handle, listening))
    }
}

impl Commit {
    fn source(self) -> Option<CommitSource> {
        match self {
            Self::Done => Some(CommitSource::Done),
            Self::Manual => None,
            Self::Stored => Some(CommitSource::Stored),
            Self::Delivered => Some(CommitSource::Delivered),
        }
    }
}

/// What the properties say about commits, where they say something.
fn commit_of(properties: &Properties) -> Commit {
    let is = |name: &str, value: &str| properties.value(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    let store = "enable.auto.offset.store";
    if is("enable.auto.commit", "false") {
        Commit::Manual
    } else if is(store, "false") {
        Commit::Stored
    } else if properties.is_set(store) || properties.is_set("enable.auto.commit") {
        Commit::Delivered
    } else {
        Commit::Done
    }
}

impl From<StartAt> for OffsetReset {
    fn from(start: StartAt) -> Self {
        match start {
            StartAt::Earliest => Self::Earliest,
            StartAt::Latest => Self::Latest,
            StartAt::ByDuration(age) => Self::ByDuration(age),
            StartAt::Fail => Self::Fail,
        }
    }
}
