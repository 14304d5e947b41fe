//! The one error of the client, and what it asks the caller to do. What a core does about a broker's code is decided next to each API.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use felice_protocol::error_code::ErrorCode;
use felice_protocol::primitives::{ByteStr, DecodeError, EncodeError};

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The same call may work when it is made again; the client itself has already tried until its time was up.
    Retry,
    /// The open transaction must be aborted; the producer can go on after that.
    AbortTransaction,
    /// This call failed and will fail again as it is; others are not concerned.
    Fail,
    /// Nothing more can be done with this producer, consumer or client.
    Fatal,
}

/// Whether a record whose sending failed is in the log all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persisted {
    /// It is not: sending it again cannot duplicate it.
    No,
    /// Nobody knows: it left, and no answer told its fate.
    Maybe,
    /// It is.
    Yes,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection could be made, or it was lost and the time was up before another one.
    Connect,
    /// The broker refused the credentials.
    Authentication,
    /// TLS could not be agreed upon.
    Tls,
    /// The time was up.
    Timeout,
    /// A broker answered with an error code.
    Broker,
    /// The topic or partition does not exist.
    UnknownTopic,
    /// A record is larger than a request or a batch may be.
    RecordTooLarge,
    /// The buffer has no room; only calls that never wait say this.
    BufferFull,
    /// The producer, reader or client was closed before.
    Closed,
    /// A property is unknown or its value does not fit.
    Config,
    /// Bytes from a broker do not follow the protocol, or a record batch is corrupt.
    Decode,
    /// The broker does not know an API or a version of it that this needs.
    Unsupported,
    /// The asked offset is not in the log.
    OffsetOutOfRange,
    /// The log was cut off below what was read of it: a leader was elected that had not all records (KIP-320).
    LogTruncated,
    /// The application's own code failed at a record.
    Application,
    /// The application gave the record up: `Producer::purge`.
    Purged,
    /// An invariant of this client does not hold.
    Bug,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<ErrorCode>,
    broker: Option<String>,
    topic: Option<ByteStr>,
    partition: Option<i32>,
    hint: Option<String>,
    refused: Vec<RefusedRecord>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A record for which a broker refused a whole batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedRecord {
    /// Its place in the batch, from 0.
    pub index: i32,
    /// The broker's words.
    pub message: Option<ByteStr>,
}

/// The client's error: cheap to clone, with the place, the cause and, where there is one, the way out.
///
/// ```
/// use felice_client_core::error::{Error, ErrorKind};
/// let error = Error::new(ErrorKind::Timeout, "3 attempts in 30 s").broker_at("b2:9092").hinting("is the broker up?");
/// assert_eq!(error.to_string(), "3 attempts in 30 s (broker b2:9092)");
/// assert_eq!(error.hint(), Some("is the broker up?"));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            code: None,
            broker: None,
            topic: None,
            partition: None,
            hint: None,
            refused: Vec::new(),
            source: None,
        }))
    }

    /// The error for a broker's code, with a hint where the commonest cause is known.
    pub fn from_code(code: ErrorCode, message: Option<&str>) -> Self {
        let kind = match code {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => ErrorKind::UnknownTopic,
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => ErrorKind::RecordTooLarge,
            ErrorCode::SASL_AUTHENTICATION_FAILED => ErrorKind::Authentication,
            ErrorCode::OFFSET_OUT_OF_RANGE => ErrorKind::OffsetOutOfRange,
            ErrorCode::UNSUPPORTED_VERSION => ErrorKind::Unsupported,
            _ => ErrorKind::Broker,
        };
        let text = match message {
            Some(message) if !message.is_empty() => format!("{code}: {message}"),
            _ => code.to_string(),
        };
        let error = Self::new(kind, text).code_of(code);
        match hint_for(code) {
            Some(hint) => error.hinting(hint),
            None => error,
        }
    }

    fn edit(mut self, edit: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            edit(inner);
            return self;
        }
        let old = &self.0;
        let mut inner = Inner {
            kind: old.kind,
            message: old.message.clone(),
            code: old.code,
            broker: old.broker.clone(),
            topic: old.topic.clone(),
            partition: old.partition,
            hint: old.hint.clone(),
            refused: old.refused.clone(),
            source: old.source.clone(),
        };
        edit(&mut inner);
        Self(Arc::new(inner))
    }

    /// The same error with Kafka's code.
    #[must_use]
    pub fn code_of(self, code: ErrorCode) -> Self {
        self.edit(|inner| inner.code = Some(code))
    }

    /// The same error with the broker's address.
    #[must_use]
    pub fn broker_at(self, broker: impl Into<String>) -> Self {
        let broker = broker.into();
        self.edit(|inner| inner.broker = Some(broker))
    }

    /// The same error with the topic.
    #[must_use]
    pub fn on_topic(self, topic: &str) -> Self {
        self.edit(|inner| inner.topic = Some(topic.into()))
    }

    /// The same error with topic and partition.
    #[must_use]
    pub fn on_partition(self, topic: &str, partition: i32) -> Self {
        self.edit(|inner| {
            inner.topic = Some(topic.into());
            inner.partition = Some(partition);
        })
    }

    /// The same error with what the reader may do about it.
    #[must_use]
    pub fn hinting(self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.edit(|inner| inner.hint = Some(hint))
    }

    /// The same error with the records that the broker blames.
    pub(crate) fn refusing(self, refused: Vec<RefusedRecord>) -> Self {
        self.edit(|inner| inner.refused = refused)
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.source = Some(Arc::new(source)))
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without its context.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Kafka's code, where a broker gave one.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0.code
    }

    /// The address of the broker concerned.
    pub fn broker(&self) -> Option<&str> {
        self.0.broker.as_deref()
    }

    /// The topic concerned.
    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }

    /// The partition concerned.
    pub fn partition(&self) -> Option<i32> {
        self.0.partition
    }

    /// The records for which a broker refused their batch, in order; the batch's others are without fault. Empty where it named none.
    pub fn refused_records(&self) -> &[RefusedRecord] {
        &self.0.refused
    }

    /// What the reader may do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// What the caller does about it.
    pub fn disposition(&self) -> Disposition {
        match self.0.kind {
            ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::BufferFull => Disposition::Retry,
            ErrorKind::Broker if self.0.code.is_some_and(ErrorCode::is_retriable) => Disposition::Retry,
            ErrorKind::Broker
            | ErrorKind::UnknownTopic
            | ErrorKind::RecordTooLarge
            | ErrorKind::Config
            | ErrorKind::Decode
            | ErrorKind::OffsetOutOfRange
            | ErrorKind::LogTruncated
            | ErrorKind::Tls
            | ErrorKind::Application
            | ErrorKind::Purged
            | ErrorKind::Unsupported => Disposition::Fail,
            ErrorKind::Authentication | ErrorKind::Closed | ErrorKind::Bug => Disposition::Fatal,
        }
    }
}

fn hint_for(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::MESSAGE_TOO_LARGE => {
            "the broker or the topic allows smaller batches: raise max.message.bytes there, or lower batch.size here"
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "create the topic first, or check its name",
        ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => {
            "fewer replicas are in sync than min.insync.replicas asks for"
        }
        ErrorCode::SASL_AUTHENTICATION_FAILED => "check sasl.username, sasl.password and sasl.mechanism",
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => "the broker does not offer this sasl.mechanism on this listener",
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => "the user lacks a permission on this topic",
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "the user lacks a permission on the cluster; an idempotent producer needs IdempotentWrite or Write"
        }
        ErrorCode::INVALID_REPLICATION_FACTOR => "there are fewer brokers than the replication factor asks for",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        let place = match (&self.0.topic, self.0.partition) {
            (Some(topic), Some(partition)) => Some(format!("{topic}[{partition}]")),
            (Some(topic), None) => Some(format!("topic {topic}")),
            (None, _) => None,
        };
        match (place, &self.0.broker) {
            (Some(place), Some(broker)) => write!(f, " ({place}, broker {broker})"),
            (Some(place), None) => write!(f, " ({place})"),
            (None, Some(broker)) => write!(f, " (broker {broker})"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("Error");
        s.field("kind", &self.0.kind).field("message", &self.to_string());
        if let Some(code) = self.0.code {
            s.field("code", &code);
        }
        if let Some(hint) = &self.0.hint {
            s.field("hint", hint);
        }
        if let Some(source) = &self.0.source {
            s.field("source", source);
        }
        s.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Decode, format!("a broker's bytes do not follow the protocol: {error}")).caused_by(error)
    }
}

impl From<EncodeError> for Error {
    fn from(error: EncodeError) -> Self {
        Self::new(ErrorKind::Unsupported, format!("the request cannot be written: {error}")).caused_by(error)
    }
}
