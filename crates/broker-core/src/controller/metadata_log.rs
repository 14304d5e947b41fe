//! `__cluster_metadata-0`: the log of the metadata records. Each change is one batch, synced before it is believed.

use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use felice_log::{AppendOrigin, Disk, Log, LogConfig, LogError, RecoveryHint};
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{Producer, RecordBatchBuilder, RecordBatches};
use felice_protocol::time::Now;

use super::records::MetadataRecord;

/// The one partition of the metadata topic.
pub(crate) const DIR: &str = "__cluster_metadata-0";
/// Kafka's bound on a batch of metadata records.
const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;
/// The epoch of the one controller that there is.
const EPOCH: i32 = 1;

#[derive(Debug)]
pub(super) struct MetadataLog {
    log: Option<Log>,
    end_offset: i64,
    /// A change was written, but not made durable: the next start may believe it, so that nothing may be written behind it.
    in_doubt: bool,
}

impl MetadataLog {
    /// Opens the log and reads all of it.
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        data_dir: &Path,
        clean_shutdown: bool,
        now: Now,
    ) -> Result<(Self, Vec<MetadataRecord>), LogError> {
        let config = LogConfig { delete: false, retention: None, ..LogConfig::default() };
        let hint = RecoveryHint { clean_shutdown, ..RecoveryHint::default() };
        let log = Log::open(disk, data_dir.join(DIR), config, hint, now)?;
        let records = replay(&log)?;
        let end_offset = log.log_end_offset();
        Ok((Self { log: Some(log), end_offset, in_doubt: false }, records))
    }

    pub(super) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Appends one change as one batch, which a crash leaves whole or not at all, and makes it durable.
    pub(super) fn append(&mut self, now: Now, records: &[MetadataRecord]) -> Result<(), LogError> {
        self.append_unsynced(now, records)?;
        let flushed = self.log.as_mut().map_or(Ok(()), Log::flush);
        self.in_doubt |= flushed.is_err();
        flushed
    }

    /// Appends what may be lost with the machine's power, because every start writes it again.
    pub(super) fn append_unsynced(&mut self, now: Now, records: &[MetadataRecord]) -> Result<(), LogError> {
        if self.in_doubt {
            let reason = "an earlier change could not be made durable: start the broker again".to_owned();
            return Err(LogError::Offline { reason });
        }
        let log = self.log.as_mut().ok_or(LogError::Bug("the metadata log is closed"))?;
        let mut builder = RecordBatchBuilder::new(BytesMut::with_capacity(1024));
        for record in records {
            let value = record.encode().map_err(|_| LogError::Bug("a metadata record cannot be written"))?;
            builder.append(now.wall_millis, None, Some(&value), &[]);
        }
        let mut batch = builder.close(&mut Compressor::default(), Compression::None, None);
        let bytes = batch.seal(Producer::NONE, false);
        if bytes.len() > MAX_BATCH_BYTES {
            return Err(LogError::Bug("a batch of metadata records is too large"));
        }
        log.append_as_leader(now, BytesMut::from(bytes), EPOCH, AppendOrigin::Coordinator).map_err(
            |error| match error {
                felice_log::AppendError::Log(error) => error,
                _ => LogError::Bug("the metadata log refused a batch"),
            },
        )?;
        self.end_offset = log.log_end_offset();
        Ok(())
    }

    pub(super) fn close(&mut self, now: Now) -> Result<(), LogError> {
        self.log.take().map_or(Ok(()), |log| log.close(now))
    }
}

fn replay(log: &Log) -> Result<Vec<MetadataRecord>, LogError> {
    let mut decompressor = Decompressor::default();
    let mut records = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let read = log.read(offset, MAX_BATCH_BYTES, i64::MAX, true)?;
        if read.next_offset <= offset {
            break;
        }
        let corrupt = |position: u64, cause: String| LogError::Corrupt {
            path: log.dir().join(format!("{:020}.log", read.segment_base_offset)),
            position: read.position + position,
            cause,
        };
        for batch in RecordBatches::new(read.records.clone()) {
            let batch = batch.map_err(|error| corrupt(0, error.to_string()))?;
            if batch.is_control() {
                continue;
            }
            let decoded =
                batch.records(&mut decompressor, MAX_BATCH_BYTES).map_err(|error| corrupt(0, error.to_string()))?;
            for record in &decoded {
                let record = record.map_err(|error| corrupt(0, error.to_string()))?;
                let value = bytes::Bytes::copy_from_slice(record.value.unwrap_or_default());
                records
                    .push(MetadataRecord::decode(value).map_err(|error| {
                        corrupt(0, format!("metadata record at offset {}: {error}", record.offset))
                    })?);
            }
        }
        offset = read.next_offset;
    }
    Ok(records)
}
