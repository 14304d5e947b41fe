//! What a broker checks before it appends a producer's batch. Java knows this as `LogValidator`.

use super::{RecordBatch, RecordBatchError, Records, TimestampType};
use crate::compression::Decompressor;

impl RecordBatch {
    /// Checks the batch as a producer may send it, whole: checksum, every record's structure, offset deltas 0 to count − 1 without a gap,
    /// the count, and that the largest timestamp is the records' largest. Returns the decompressed records, at their start.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self, decompressor: &mut Decompressor, limit: usize) -> Result<Records, RecordBatchError> {
        self.validate_header()?;
        self.verify_crc()?;
        let records = self.records(decompressor, limit)?;
        let mut max_timestamp = i64::MIN;
        for (index, record) in (0_i64..).zip(&records) {
            let record = record?;
            let offset_delta = record.offset - self.base_offset;
            if offset_delta != index {
                return Err(self.invalid(format!("record {index} has offset delta {offset_delta}")));
            }
            if record.timestamp < -1 {
                return Err(self.invalid(format!("record {index} has timestamp {}", record.timestamp)));
            }
            max_timestamp = max_timestamp.max(record.timestamp);
        }
        if self.timestamp_type() == TimestampType::CreateTime && max_timestamp != self.max_timestamp {
            let stated = self.max_timestamp;
            return Err(self.invalid(format!("the largest timestamp is {max_timestamp}, the header says {stated}")));
        }
        Ok(records)
    }

    /// Checks what the header alone tells: a count above zero that fits the last offset delta, and a producer's id, epoch and sequence that
    /// go together.
    ///
    /// # Errors
    /// [`RecordBatchError::Invalid`].
    pub fn validate_header(&self) -> Result<(), RecordBatchError> {
        let header = self.header();
        if header.records_count < 1 {
            return Err(self.invalid("it has no records".into()));
        }
        if header.last_offset_delta != header.records_count - 1 {
            let (count, delta) = (header.records_count, header.last_offset_delta);
            return Err(self.invalid(format!("{count} records do not fit a last offset delta of {delta}")));
        }
        if header.producer_id >= 0 && (header.producer_epoch < 0 || (header.base_sequence < 0 && !header.is_control()))
        {
            let (id, epoch, sequence) = (header.producer_id, header.producer_epoch, header.base_sequence);
            return Err(self.invalid(format!("producer {id} has epoch {epoch} and base sequence {sequence}")));
        }
        if header.is_transactional() && header.producer_id < 0 {
            return Err(self.invalid("it is transactional and has no producer id".into()));
        }
        Ok(())
    }

    fn invalid(&self, reason: String) -> RecordBatchError {
        RecordBatchError::Invalid { base_offset: self.base_offset, reason: reason.into() }
    }
}
