//! Administrative calls.
//!
//! - this file: topics, configurations, the cluster; `changes`: of topics, records and configurations that are there
//! - `list_offsets`: where partitions begin and end
//! - `groups`: all groups; `group`: one, its offsets and lag; `behind`: its lag in time; `seek`: moving its offsets
//! - `coordinator`: calls that a group's coordinator answers

mod behind;
mod changes;
pub(crate) mod coordinator;
mod group;
mod groups;
mod list_offsets;
mod seek;

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::error_code::ErrorCode;
use felice_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, MetadataRequest, MetadataResponse, create_topics,
    delete_topics, describe_configs, metadata,
};
use felice_protocol::primitives::{ByteStr, Uuid};

pub use self::changes::ConfigChange;
pub use self::group::{Group, PartitionLag};
pub use self::groups::{GroupDescription, GroupListing, GroupMemberInfo, GroupType};
pub use self::list_offsets::{ListedOffset, OffsetSpec};
pub use self::seek::{Move, PlanSeek, SeekPlan};
use crate::client::Client;
use crate::clock;

/// How long a topic may take to have its leaders.
const WAIT_FOR_LEADERS: Duration = Duration::from_secs(5);
/// How long a topic that no broker knows may have been created just now by somebody else.
const WAIT_FOR_UNKNOWN: Duration = Duration::from_millis(350);

/// Administrative calls of a client, from [`Client::admin`]. Each waits for `default.api.timeout.ms` at most. Java: `Admin`.
///
/// # Cancel safety
/// A request that has left is acted upon all the same, for each call here; its answer is thrown away.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// use felice::{ConfigResource, ErrorKind};
/// let admin = client.admin();
/// admin.create_topic("orders").partitions(6).config("retention.ms", "3600000").await?;
/// assert_eq!(admin.topics().await?.len(), 1);
///
/// let configs = admin.configs(&ConfigResource::Topic("orders".into())).await?;
/// let set: Vec<_> = configs.iter().filter(|entry| !entry.is_default()).map(|entry| entry.name.as_str()).collect();
/// assert_eq!(set, ["retention.ms"]);
///
/// admin.delete_topics(["orders"]).await?.all()?;
/// assert_eq!(admin.topic("orders").await.unwrap_err().kind(), ErrorKind::UnknownTopic);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Admin {
    client: Client,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicInfo {
    /// Its name.
    pub name: ByteStr,
    /// Its id (KIP-516).
    pub id: Uuid,
    /// Whether Kafka made it for itself.
    pub is_internal: bool,
    /// Its partitions, by number.
    pub partitions: Vec<PartitionInfo>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionInfo {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; `None` where there is none now.
    pub leader: Option<i32>,
    /// The epoch of that leader.
    pub leader_epoch: i32,
    /// The brokers that have it.
    pub replicas: Vec<i32>,
    /// Which of them are in sync.
    pub in_sync_replicas: Vec<i32>,
    /// Which of them are not up.
    pub offline_replicas: Vec<i32>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerInfo {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: ByteStr,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<ByteStr>,
}

/// A cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterInfo {
    /// Its id.
    pub id: Option<ByteStr>,
    /// The broker that takes requests for the controller.
    pub controller: Option<i32>,
    /// Its brokers.
    pub brokers: Vec<BrokerInfo>,
}

/// What has a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// A broker, by id.
    Broker(i32),
    /// A group, by id.
    Group(String),
}

impl ConfigResource {
    /// As Kafka numbers its kind, and its name.
    fn encode(&self) -> (i8, ByteStr) {
        match self {
            Self::Topic(name) => (2, name.as_str().into()),
            Self::Broker(id) => (4, id.to_string().into()),
            Self::Group(id) => (32, id.as_str().into()),
        }
    }
}

/// A value of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigEntry {
    /// Its name.
    pub name: ByteStr,
    /// Its value; `None` where it is not shown.
    pub value: Option<ByteStr>,
    /// Where it comes from, as Kafka numbers it (1 topic, 4 static broker, 5 default…).
    pub source: i8,
    /// Whether it can be changed.
    pub read_only: bool,
    /// Whether it is a secret.
    pub sensitive: bool,
}

impl ConfigEntry {
    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.source == 5
    }
}

/// One result for each thing that was asked for.
#[derive(Clone, Debug)]
pub struct PerItem<K, V>(pub Vec<(K, Result<V, Error>)>);

impl<K, V> PerItem<K, V> {
    /// All of them, or the first error.
    ///
    /// # Errors
    /// The first one.
    pub fn all(self) -> Result<Vec<(K, V)>, Error> {
        self.0.into_iter().map(|(key, result)| result.map(|value| (key, value))).collect()
    }

    /// Those that failed.
    pub fn failed(&self) -> impl Iterator<Item = (&K, &Error)> + '_ {
        self.0.iter().filter_map(|(key, result)| result.as_ref().err().map(|error| (key, error)))
    }
}

impl Admin {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Begins a topic, which awaiting it creates: `admin.create_topic("orders").partitions(6).await?`.
    pub fn create_topic(&self, name: impl Into<String>) -> CreateTopic {
        CreateTopic {
            admin: self.clone(),
            name: name.into(),
            partitions: -1,
            replicas: -1,
            configs: BTreeMap::new(),
            if_not_exists: false,
            dry_run: false,
        }
    }

    /// Deletes topics, with all that is in them.
    ///
    /// # Errors
    /// Where no answer came; each topic has a result of its own.
    pub async fn delete_topics<T: AsRef<str>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<PerItem<String, ()>, Error> {
        let names: Vec<ByteStr> = topics.into_iter().map(|topic| topic.as_ref().into()).collect();
        let request = DeleteTopicsRequest {
            topics: names
                .iter()
                .map(|name| delete_topics::request::DeleteTopicState { name: Some(name.clone()), ..Default::default() })
                .collect(),
            topic_names: names.clone(),
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let response = self.controller(request).await?;
        Ok(PerItem(
            response
                .responses
                .into_iter()
                .map(|topic| {
                    let name = topic.name.unwrap_or_default();
                    let result =
                        check(topic.error_code, topic.error_message.as_deref()).map_err(|error| error.on_topic(&name));
                    (name.as_str().to_owned(), result)
                })
                .collect(),
        ))
    }

    /// All topics, Kafka's own included.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn topics(&self) -> Result<Vec<TopicInfo>, Error> {
        let response = self.metadata(None).await?;
        Ok(response.topics.into_iter().filter(|topic| topic.error_code.is_ok()).map(topic_info).collect())
    }

    /// One topic, waiting a moment for one that was created just now.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownTopic`] where it does not exist.
    pub async fn topic(&self, name: &str) -> Result<TopicInfo, Error> {
        self.await_topic(name, WAIT_FOR_UNKNOWN).await
    }

    /// A topic with its leaders, which may take [`WAIT_FOR_LEADERS`]; one that no broker knows is given up earlier.
    async fn await_topic(&self, name: &str, wait_for_unknown: Duration) -> Result<TopicInfo, Error> {
        let started = clock::instant();
        let deadline = started + WAIT_FOR_LEADERS;
        let give_up_unknown = started + wait_for_unknown;
        let mut pause = Duration::from_millis(20);
        loop {
            let response = self.metadata(Some(name)).await?;
            let Some(topic) = response.topics.into_iter().next() else {
                return Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the topic out").on_topic(name));
            };
            let leaderless = topic.partitions.iter().any(|p| p.leader_id < 0) || topic.partitions.is_empty();
            match topic.error_code.ok() {
                Ok(()) if !leaderless => return Ok(topic_info(topic)),
                // Brokers answer so until they have heard of the topic; of one that does not exist, for good.
                Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) if clock::instant() + pause > give_up_unknown => {
                    return Err(Error::from_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, None).on_topic(name));
                }
                Err(code) if !code.is_retriable() => return Err(Error::from_code(code, None).on_topic(name)),
                Ok(()) if clock::instant() > deadline && !topic.partitions.is_empty() => return Ok(topic_info(topic)),
                Ok(()) | Err(_) if clock::instant() > deadline => {
                    let error = Error::new(ErrorKind::Timeout, "the topic has no leader").on_topic(name);
                    return Err(topic
                        .error_code
                        .ok()
                        .map_or_else(|code| Error::from_code(code, None).on_topic(name), |()| error));
                }
                Ok(()) | Err(_) => {}
            }
            self.client.driver().timeout(pause, std::future::pending::<()>()).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn metadata(&self, topic: Option<&str>) -> Result<MetadataResponse, Error> {
        let topics = topic.map(|name| {
            vec![metadata::request::MetadataRequestTopic { name: Some(name.into()), ..Default::default() }]
        });
        self.client
            .request(MetadataRequest { topics, allow_auto_topic_creation: false, ..MetadataRequest::default() })
            .await
    }

    /// The cluster and its brokers.
    ///
    /// # Errors
    /// Where no answer came.
    pub async fn cluster(&self) -> Result<ClusterInfo, Error> {
        let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
        let response = self.client.request(request).await?;
        Ok(ClusterInfo {
            id: response.cluster_id,
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            brokers: response
                .brokers
                .into_iter()
                .map(|b| BrokerInfo { id: b.node_id, host: b.host, port: b.port, rack: b.rack })
                .collect(),
        })
    }

    /// The configuration of a topic, a broker or a group.
    ///
    /// # Errors
    /// Where no answer came, or the broker refused.
    pub async fn configs(&self, of: &ConfigResource) -> Result<Vec<ConfigEntry>, Error> {
        let (resource_type, resource_name) = of.encode();
        let request = DescribeConfigsRequest {
            resources: vec![describe_configs::request::DescribeConfigsResource {
                resource_type,
                resource_name,
                configuration_keys: None,
                ..Default::default()
            }],
            ..DescribeConfigsRequest::default()
        };
        let response = match of {
            ConfigResource::Broker(id) => self.client.request_to(*id, request).await?,
            ConfigResource::Topic(_) | ConfigResource::Group(_) => self.client.request(request).await?,
        };
        let Some(result) = response.results.into_iter().next() else {
            return Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the resource out"));
        };
        check(result.error_code, result.error_message.as_deref())?;
        Ok(result
            .configs
            .into_iter()
            .map(|c| ConfigEntry {
                name: c.name,
                value: c.value,
                source: c.config_source,
                read_only: c.read_only,
                sensitive: c.is_sensitive,
            })
            .collect())
    }

    /// A request for the controller; brokers with KRaft pass it on, whichever is asked.
    async fn controller<R>(&self, request: R) -> Result<R::Response, Error>
    where
        R: felice_protocol::messages::Request + Send + 'static,
    {
        self.client.request(request).await
    }
}

fn check(code: ErrorCode, message: Option<&str>) -> Result<(), Error> {
    code.ok().map_err(|code| Error::from_code(code, message))
}

fn topic_info(topic: metadata::response::MetadataResponseTopic) -> TopicInfo {
    let mut partitions: Vec<PartitionInfo> = topic
        .partitions
        .into_iter()
        .map(|p| PartitionInfo {
            partition: p.partition_index,
            leader: (p.leader_id >= 0).then_some(p.leader_id),
            leader_epoch: p.leader_epoch,
            replicas: p.replica_nodes,
            in_sync_replicas: p.isr_nodes,
            offline_replicas: p.offline_replicas,
        })
        .collect();
    partitions.sort_by_key(|p| p.partition);
    TopicInfo { name: topic.name.unwrap_or_default(), id: topic.topic_id, is_internal: topic.is_internal, partitions }
}

/// A topic to be created; awaiting it creates it, and waits up to 5 s until it has its leaders.
///
/// # Errors
/// [`ErrorKind::Broker`] where it exists, or cannot be as it is asked for: [`Error::code`] says which.
///
/// # Cancel safety
/// Perhaps it is created all the same: do it again with [`if_not_exists`](Self::if_not_exists).
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let broker = felice_broker::Broker::start().await?;
/// # let client = felice::Client::connect(broker.bootstrap()).await?;
/// use felice::ErrorCode;
/// let topic = client.admin().create_topic("orders").partitions(3).await?;
/// assert_eq!(topic.partitions.len(), 3);
///
/// let error = client.admin().create_topic("orders").await.unwrap_err();
/// assert_eq!(error.code(), Some(ErrorCode::TOPIC_ALREADY_EXISTS));
/// let topic = client.admin().create_topic("orders").if_not_exists().await?;
/// assert_eq!(topic.partitions.len(), 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "await it to create the topic"]
pub struct CreateTopic {
    admin: Admin,
    name: String,
    partitions: i32,
    replicas: i16,
    configs: BTreeMap<String, String>,
    if_not_exists: bool,
    dry_run: bool,
}

impl CreateTopic {
    /// With this many partitions; the broker's default unless told.
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = partitions;
        self
    }

    /// With this many replicas; the broker's default unless told.
    pub fn replicas(mut self, replicas: i16) -> Self {
        self.replicas = replicas;
        self
    }

    /// With this property of the topic, such as `retention.ms`; the broker's default for each that is not set.
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.configs.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A topic that is there already is no error, and stays as it is.
    pub fn if_not_exists(mut self) -> Self {
        self.if_not_exists = true;
        self
    }

    /// Only asks whether it could be created; then the answer has no partitions.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    async fn create(self) -> Result<TopicInfo, Error> {
        let request = CreateTopicsRequest {
            topics: vec![create_topics::request::CreatableTopic {
                name: self.name.as_str().into(),
                num_partitions: self.partitions,
                replication_factor: self.replicas,
                configs: self
                    .configs
                    .iter()
                    .map(|(name, value)| create_topics::request::CreatableTopicConfig {
                        name: name.as_str().into(),
                        value: Some(value.as_str().into()),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }],
            timeout_ms: 30_000,
            validate_only: self.dry_run,
            ..CreateTopicsRequest::default()
        };
        let response = self.admin.controller(request).await?;
        let Some(topic) = response.topics.into_iter().next() else {
            return Err(Error::new(ErrorKind::Decode, "the broker's answer leaves the topic out").on_topic(&self.name));
        };
        if !(self.if_not_exists && topic.error_code == ErrorCode::TOPIC_ALREADY_EXISTS) {
            check(topic.error_code, topic.error_message.as_deref()).map_err(|error| error.on_topic(&self.name))?;
        }
        if self.dry_run {
            return Ok(TopicInfo { name: topic.name, id: topic.topic_id, is_internal: false, partitions: Vec::new() });
        }
        // The controller has it, so that sooner or later the brokers do.
        self.admin.await_topic(&self.name, WAIT_FOR_LEADERS).await
    }
}

impl IntoFuture for CreateTopic {
    type Output = Result<TopicInfo, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.create())
    }
}

impl fmt::Display for TopicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} partitions)", self.name, self.partitions.len())
    }
}
