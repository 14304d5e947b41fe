//! A partition that this broker leads: its log, its leader epoch, its high watermark.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use felice_log::{
    AppendError, AppendInfo, AppendOrigin, Bug, Cleaner, CleanerStep, Flush, Log, LogConfig, LogError, LogToClean,
    TimestampOffset,
};
use felice_protocol::compression::Decompressor;
use felice_protocol::error_code::ErrorCode;
use felice_protocol::records::{RecordBatch, RecordBatchError, TimestampType};
use felice_protocol::time::Now;

use crate::config::FlushPolicy;

/// A partition with its log. As the only replica, it is the leader, and the high watermark is what the flush policy calls safe.
#[derive(Debug)]
pub(crate) struct Partition {
    index: i32,
    log: Log,
    leader_epoch: i32,
    high_watermark: i64,
    flush_policy: FlushPolicy,
}

impl Partition {
    pub(crate) fn new(index: i32, log: Log, leader_epoch: i32, flush_policy: FlushPolicy) -> Self {
        // What recovery kept is in the log for good: no replica could say otherwise.
        let high_watermark = log.log_end_offset();
        Self { index, log, leader_epoch, high_watermark, flush_policy }
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    pub(crate) fn last_stable_offset(&self) -> i64 {
        self.log.last_stable_offset(self.high_watermark)
    }

    pub(crate) fn log_start_offset(&self) -> i64 {
        self.log.log_start_offset()
    }

    pub(crate) fn log_end_offset(&self) -> i64 {
        self.log.log_end_offset()
    }

    pub(crate) fn recovery_point(&self) -> i64 {
        self.log.recovery_point()
    }

    /// Why nothing can be read or written, where that is so.
    pub(crate) fn offline(&self) -> Option<&str> {
        self.log.offline()
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.log.offline().is_some()
    }

    /// The epoch of the first record, where it is known.
    pub(crate) fn first_epoch(&self) -> i32 {
        self.log.epoch_for_offset(self.log.log_start_offset()).unwrap_or(self.leader_epoch)
    }

    pub(crate) fn end_offset_for_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        self.log.end_offset_for_epoch(epoch)
    }

    /// Whether a client that believes in this epoch may be served; -1 believes in any.
    pub(crate) fn check_leader(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            _ if self.is_offline() => Err(ErrorCode::KAFKA_STORAGE_ERROR),
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// The leader has changed: batches carry the next epoch from here on, and who believes in an older one is refused.
    pub(crate) fn begin_leader_epoch(&mut self) -> Result<i32, LogError> {
        let epoch = self.leader_epoch.saturating_add(1);
        self.log.assign_epoch_start_offset(epoch, self.log.log_end_offset())?;
        self.leader_epoch = epoch;
        Ok(epoch)
    }

    /// Appends a client's batch, whose records were checked.
    pub(crate) fn append(&mut self, now: Now, batch: BytesMut) -> Result<AppendInfo, AppendError> {
        let info = self.log.append_as_leader(now, batch, self.leader_epoch, AppendOrigin::Client)?;
        if self.flush_policy == FlushPolicy::None || self.log.config().bugs.has(Bug::HighWatermarkAhead) {
            self.advance_high_watermark(self.log.log_end_offset());
        }
        Ok(info)
    }

    fn advance_high_watermark(&mut self, offset: i64) {
        if offset > self.high_watermark {
            self.high_watermark = offset;
            self.log.handle_high_watermark(offset);
        }
    }

    /// Whole batches from the one that holds `from` on, and the offset behind them.
    pub(crate) fn read(
        &self,
        from: i64,
        max_bytes: usize,
        up_to: i64,
        whole_first: bool,
    ) -> Result<(Bytes, i64), ErrorCode> {
        if max_bytes == 0 && !whole_first && from <= self.log_end_offset() && from >= self.log_start_offset() {
            return Ok((Bytes::new(), from));
        }
        let read = self.log.read(from, max_bytes, up_to, whole_first).map_err(|error| error.error_code())?;
        Ok((read.records, read.next_offset))
    }

    /// The aborted transactions (producer id, first offset) that a reader of this range has to know.
    pub(crate) fn aborted_transactions(&self, from: i64, up_to: i64) -> Result<Vec<(i64, i64)>, ErrorCode> {
        let aborted = self.log.aborted_transactions(from, up_to).map_err(|error| error.error_code())?;
        Ok(aborted.iter().map(|transaction| (transaction.producer_id, transaction.first_offset)).collect())
    }

    /// Offset, timestamp and epoch of the first visible record that is at least as new.
    pub(crate) fn offset_for_timestamp(
        &self,
        timestamp: i64,
        decompressor: &mut Decompressor,
        limit: usize,
    ) -> Result<Option<(i64, i64, i32)>, ErrorCode> {
        let found = self.log.offset_for_timestamp(timestamp).map_err(|error| error.error_code())?;
        self.exact(found, timestamp, decompressor, limit)
    }

    /// Offset, timestamp and epoch of the newest record.
    pub(crate) fn max_timestamp(
        &self,
        decompressor: &mut Decompressor,
        limit: usize,
    ) -> Result<Option<(i64, i64, i32)>, ErrorCode> {
        let found = self.log.max_timestamp().map_err(|error| error.error_code())?;
        let timestamp = found.map_or(0, |found| found.timestamp);
        self.exact(found, timestamp, decompressor, limit)
    }

    /// The log knows batches; the record is found by reading the one batch.
    fn exact(
        &self,
        found: Option<TimestampOffset>,
        timestamp: i64,
        decompressor: &mut Decompressor,
        limit: usize,
    ) -> Result<Option<(i64, i64, i32)>, ErrorCode> {
        let Some(found) = found.filter(|found| found.offset < self.high_watermark) else { return Ok(None) };
        let (bytes, _) = self.read(found.offset, 1, self.high_watermark, true)?;
        let corrupt = |_: RecordBatchError| ErrorCode::CORRUPT_MESSAGE;
        let batch = RecordBatch::parse(bytes).map_err(corrupt)?;
        if batch.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(Some((found.offset, batch.max_timestamp(), batch.partition_leader_epoch())));
        }
        let records = batch.records(decompressor, limit).map_err(corrupt)?;
        for record in &records {
            let record = record.map_err(corrupt)?;
            if record.timestamp >= timestamp && record.offset >= self.log_start_offset() {
                return Ok(Some((record.offset, record.timestamp, batch.partition_leader_epoch())));
            }
        }
        Ok(Some((found.offset, found.timestamp, found.leader_epoch)))
    }

    /// What there is to sync; a failure has taken the partition offline.
    pub(crate) fn start_flush(&mut self) -> Result<Option<Arc<Flush>>, LogError> {
        Ok(self.log.start_flush()?.map(Arc::new))
    }

    /// Takes a sync's result in; says how many offsets became visible.
    pub(crate) fn complete_flush(&mut self, flush: &Flush, result: io::Result<()>) -> Result<(), LogError> {
        self.log.complete_flush(flush, result)?;
        self.advance_high_watermark(self.log.recovery_point());
        Ok(())
    }

    /// Makes all durable, now.
    pub(crate) fn flush(&mut self) -> Result<(), LogError> {
        self.log.flush()
    }

    /// Forgets what is in front of an offset; -1 means all that is visible. Gives the offset that the log then starts at.
    pub(crate) fn delete_records_before(&mut self, offset: i64) -> Result<i64, ErrorCode> {
        let offset = if offset == -1 { self.high_watermark } else { offset };
        if !(0..=self.high_watermark).contains(&offset) {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        self.log.advance_log_start_offset(offset).map_err(|error| error.error_code())?;
        Ok(self.log.log_start_offset())
    }

    /// Follows other properties from now on.
    pub(crate) fn set_log_config(&mut self, config: LogConfig) {
        self.log.set_config(config);
    }

    pub(crate) fn delete_old_segments(&mut self, now: Now) -> Result<usize, LogError> {
        self.log.remove_expired_producers(now);
        self.log.delete_old_segments(now, self.high_watermark)
    }

    /// What compaction has to do here, where it is worth it.
    pub(crate) fn to_clean(&self, now: Now) -> Option<LogToClean> {
        self.log.to_clean(now, self.high_watermark)
    }

    pub(crate) fn start_cleaning(
        &self,
        now: Now,
        cleaner: &mut Cleaner,
        to_clean: &LogToClean,
    ) -> Result<(), LogError> {
        cleaner.start(now, &self.log, to_clean)
    }

    pub(crate) fn clean(&mut self, now: Now, cleaner: &mut Cleaner) -> Result<CleanerStep, LogError> {
        cleaner.step(now, &mut self.log, self.high_watermark)
    }

    pub(crate) fn complete_cleaner_sync(
        &mut self,
        cleaner: &mut Cleaner,
        result: io::Result<()>,
    ) -> Result<(), LogError> {
        cleaner.handle_synced(&mut self.log, result)
    }

    /// Up to where the log is clean.
    pub(crate) fn cleaner_checkpoint(&self) -> i64 {
        self.log.cleaner_checkpoint()
    }

    pub(crate) fn set_cleaner_checkpoint(&mut self, offset: i64) {
        self.log.set_cleaner_checkpoint(offset);
    }

    /// The log, to be closed.
    pub(crate) fn into_log(self) -> Log {
        self.log
    }
}
