//! What can go wrong with a log.

use std::io;
use std::path::PathBuf;

use felice_protocol::error_code::ErrorCode;

/// Why a log could not be opened, read or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The offset is below the log's start or above its end.
    #[error("offset {offset} is not in the log, which has {log_start_offset} to {log_end_offset}")]
    OffsetOutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The first offset there is.
        log_start_offset: i64,
        /// The offset the next record gets.
        log_end_offset: i64,
    },
    /// A write could not be undone, or a sync failed: what is on the disk is not known, and the log takes and gives nothing until it is opened
    /// anew.
    #[error("the log is offline: {reason}")]
    Offline {
        /// What happened first.
        reason: String,
    },
    /// The disk refused; the log is as it was.
    #[error("could not {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Bytes on the disk are not what Kafka writes.
    #[error("{} is damaged at byte {position}: {cause}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        position: u64,
        /// What is wrong.
        cause: String,
    },
    /// An invariant is broken: a fault of this library.
    #[error("bug: {0}")]
    Bug(&'static str),
}

impl LogError {
    /// The code that a broker answers with.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
            Self::Offline { .. } | Self::Io { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
            Self::Corrupt { .. } => ErrorCode::CORRUPT_MESSAGE,
            Self::Bug(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
        }
    }

    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// Why a batch was not appended. Nothing is written then, and no producer state changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The batch does not follow the producer's last one, and is none of its last five.
    #[error("producer {producer_id} sent sequence {sequence} of epoch {epoch}; {expected} comes next")]
    OutOfOrderSequence {
        /// Who sent it.
        producer_id: i64,
        /// The batch's epoch.
        epoch: i16,
        /// The batch's first sequence.
        sequence: i32,
        /// The sequence that would have been right.
        expected: i32,
    },
    /// A newer instance of the producer has been here.
    #[error("producer {producer_id} sent epoch {epoch}, but {current_epoch} is known")]
    InvalidProducerEpoch {
        /// Who sent it.
        producer_id: i64,
        /// The batch's epoch.
        epoch: i16,
        /// The epoch that is known.
        current_epoch: i16,
    },
    /// A batch outside a transaction from a producer that has one open here.
    #[error("producer {producer_id} has a transaction open since offset {first_offset} and sent a batch outside of it")]
    InvalidTxnState {
        /// Who sent it.
        producer_id: i64,
        /// Where its transaction began.
        first_offset: i64,
    },
    /// A marker of a transaction coordinator that is no longer the coordinator.
    #[error("marker of coordinator epoch {coordinator_epoch}, but {current_epoch} is known")]
    TransactionCoordinatorFenced {
        /// The marker's epoch.
        coordinator_epoch: i32,
        /// The epoch that is known.
        current_epoch: i32,
    },
    /// The batch does not fit into a segment.
    #[error("a batch of {size} bytes does not fit into a segment of {segment_bytes}")]
    RecordListTooLarge {
        /// Its size.
        size: usize,
        /// `segment.bytes`.
        segment_bytes: u32,
    },
    /// The bytes are not one batch of format 2.
    #[error("not a record batch: {0}")]
    CorruptMessage(&'static str),
    /// The log itself failed.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl AppendError {
    /// The code that a broker answers with.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::OutOfOrderSequence { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Self::InvalidProducerEpoch { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
            Self::InvalidTxnState { .. } => ErrorCode::INVALID_TXN_STATE,
            Self::TransactionCoordinatorFenced { .. } => ErrorCode::TRANSACTION_COORDINATOR_FENCED,
            Self::RecordListTooLarge { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
            Self::CorruptMessage(_) => ErrorCode::CORRUPT_MESSAGE,
            Self::Log(error) => error.error_code(),
        }
    }
}
