//! Control batches: one record each, which no application sees. A transaction's end is such a record in every partition it wrote to.
//! Java knows these as `ControlRecordType` and `EndTransactionMarker`.

use bytes::{Bytes, BytesMut};

use super::{Producer, RecordBatch, RecordBatchBuilder, RecordBatchError, RecordRef};
use crate::compression::{Compression, Compressor, Decompressor};
use crate::primitives::{DecodeError, DecodeErrorKind};

/// No control record comes near this size; it bounds the decompression of one, which nobody should have compressed.
const LIMIT: usize = 64 * 1024;

/// What a control record says, as its key has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControlRecordType {
    /// A transaction was aborted.
    Abort,
    /// A transaction was committed.
    Commit,
    /// A leader of the metadata quorum has begun.
    LeaderChange,
    /// A snapshot begins.
    SnapshotHeader,
    /// A snapshot ends.
    SnapshotFooter,
    /// The version of the quorum's protocol.
    KRaftVersion,
    /// The quorum's voters.
    KRaftVoters,
    /// A type that this version of Felice does not know: to be skipped.
    Unknown(i16),
}

impl ControlRecordType {
    /// Reads a control record's key.
    ///
    /// # Errors
    /// Where the key is null, too short, or of a negative version.
    pub fn parse(key: Option<&[u8]>) -> Result<Self, DecodeError> {
        let error = |kind| DecodeError { kind, offset: 0, field: "control record key" };
        let key = key.ok_or(error(DecodeErrorKind::UnexpectedNull))?;
        // A newer version may have more behind these four bytes.
        let Some([v0, v1, t0, t1]) = key.first_chunk() else {
            return Err(error(DecodeErrorKind::Truncated { needed: 4, left: key.len() }));
        };
        if i16::from_be_bytes([*v0, *v1]) < 0 {
            return Err(error(DecodeErrorKind::Invalid("a control record's version is negative")));
        }
        Ok(match i16::from_be_bytes([*t0, *t1]) {
            0 => Self::Abort,
            1 => Self::Commit,
            2 => Self::LeaderChange,
            3 => Self::SnapshotHeader,
            4 => Self::SnapshotFooter,
            5 => Self::KRaftVersion,
            6 => Self::KRaftVoters,
            other => Self::Unknown(other),
        })
    }

    /// The type's number.
    pub fn id(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
            Self::LeaderChange => 2,
            Self::SnapshotHeader => 3,
            Self::SnapshotFooter => 4,
            Self::KRaftVersion => 5,
            Self::KRaftVoters => 6,
            Self::Unknown(other) => other,
        }
    }

    /// The key of a control record of this type.
    pub fn key(self) -> [u8; 4] {
        let [t0, t1] = self.id().to_be_bytes();
        [0, 0, t0, t1]
    }
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Whether the transaction was committed, and not aborted.
    pub committed: bool,
    /// The epoch of the coordinator that decided so.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The control batch that ends the transaction of this producer.
    pub fn to_batch(
        self,
        base_offset: i64,
        timestamp: i64,
        leader_epoch: i32,
        producer_id: i64,
        producer_epoch: i16,
    ) -> Bytes {
        let kind = if self.committed { ControlRecordType::Commit } else { ControlRecordType::Abort };
        let mut value = [0; 6];
        if let Some(epoch) = value.last_chunk_mut() {
            *epoch = self.coordinator_epoch.to_be_bytes();
        }
        let mut builder = RecordBatchBuilder::new(BytesMut::with_capacity(128));
        builder.append(timestamp, Some(&kind.key()), Some(&value), &[]);
        let mut batch = builder.close(&mut Compressor::new(), Compression::None, None);
        // A marker has no sequence number.
        batch.seal_control(
            Producer { id: producer_id, epoch: producer_epoch, base_sequence: -1 },
            base_offset,
            leader_epoch,
        )
    }

    /// Reads a control record; `None` where it is not a transaction's end.
    ///
    /// # Errors
    /// Where key or value cannot be a marker's.
    pub fn parse(record: &RecordRef<'_>) -> Result<Option<Self>, DecodeError> {
        let committed = match ControlRecordType::parse(record.key)? {
            ControlRecordType::Commit => true,
            ControlRecordType::Abort => false,
            _ => return Ok(None),
        };
        let error = |kind| DecodeError { kind, offset: 0, field: "end transaction marker" };
        let value = record.value.ok_or(error(DecodeErrorKind::UnexpectedNull))?;
        let Some([v0, v1, epoch @ ..]) = value.first_chunk::<6>() else {
            return Err(error(DecodeErrorKind::Truncated { needed: 6, left: value.len() }));
        };
        if i16::from_be_bytes([*v0, *v1]) < 0 {
            return Err(error(DecodeErrorKind::Invalid("a marker's version is negative")));
        }
        Ok(Some(Self { committed, coordinator_epoch: i32::from_be_bytes(*epoch) }))
    }
}

impl RecordBatch {
    /// The transaction's end that this batch is; `None` where it is not a control batch, or one of another type.
    ///
    /// # Errors
    /// Where the batch's record cannot be read.
    pub fn end_transaction_marker(&self) -> Result<Option<EndTransactionMarker>, RecordBatchError> {
        if !self.is_control() {
            return Ok(None);
        }
        let mut records = self.records(&mut Decompressor::new(), LIMIT)?;
        match records.next_record() {
            Some(record) => EndTransactionMarker::parse(&record?).map_err(|source| RecordBatchError::Record {
                base_offset: self.base_offset,
                index: 0,
                source,
            }),
            None => Ok(None),
        }
    }
}
