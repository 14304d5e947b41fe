//! Administrative calls: what to ask and what an answer means. The calls themselves go through [`crate::client::ClientCore::call`].
//!
//! Each question is a struct that is a request ([`crate::connection::EncodeRequest`]) and reads its own answer; answers have one result an item. Java: `KafkaAdminClient`.

mod configs;
mod offsets;
mod topics;

pub use configs::{ConfigEntry, ConfigResource, DescribeConfigs};
pub use offsets::{ListOffsets, ListedOffset, OffsetSpec, TopicPartition};
pub use topics::{CreateTopics, CreatedTopic, DeleteTopics, DescribeTopics, NewTopic};

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::ByteStr;

use crate::error::Error;

/// What an answer says of one item: its name and how it went.
pub type PerItem<T> = Vec<(ByteStr, Result<T, Error>)>;

/// An item's error code as an error about a topic.
fn topic_result(topic: &ByteStr, code: ErrorCode, message: Option<&str>) -> Result<(), Error> {
    code.ok().map_err(|code| Error::from_code(code, message).on_topic(topic))
}
