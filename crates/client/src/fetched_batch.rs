//! [`FetchedBatch`]: what one answer brought of one partition, decoded as it is read.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use felice_client_core::consumer::fetcher::Fetched;
use felice_client_core::error::{Error, ErrorKind};
use felice_protocol::compression::Decompressor;
use felice_protocol::records::{RecordBatch, RecordBatches, Records};

use crate::record::{BatchData, BatchHold, BorrowedRecord, Record};

/// Most bytes that one batch may decompress to.
const DECOMPRESSED_MAX: usize = 256 << 20;

/// What one answer brought of one partition: lends its records, decoding each when it is asked for. `'static` and `Send`.
pub struct FetchedBatch {
    batches: RecordBatches,
    check_crcs: bool,
    current: Option<(Arc<BatchData>, Records)>,
    /// Offsets below are skipped: a batch may begin before the position.
    from: i64,
    until: i64,
    decompressor: Decompressor,
    /// Producers whose transaction is aborted where the batches stand now.
    aborting: BTreeSet<i64>,
    aborted: VecDeque<(i64, i64)>,
    failed: bool,
    /// An error met by a run that had records to hand out first.
    deferred: Option<Error>,
    /// Last, because its charge must outlive all that refers to the response: then the response's memory is used again.
    fetched: Fetched,
}

impl std::fmt::Debug for FetchedBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedBatch")
            .field("topic", &self.fetched.topic)
            .field("partition", &self.fetched.index)
            .field("from", &self.fetched.from)
            .finish_non_exhaustive()
    }
}

impl FetchedBatch {
    pub(crate) fn new(fetched: Fetched, check_crcs: bool) -> Self {
        let mut aborted: Vec<(i64, i64)> = fetched.aborted.to_vec();
        // The protocol promises no order.
        aborted.sort_by_key(|(_, first_offset)| *first_offset);
        Self {
            batches: RecordBatches::new(fetched.records.clone()),
            check_crcs,
            current: None,
            from: fetched.from,
            until: fetched.until.unwrap_or(i64::MAX),
            decompressor: Decompressor::default(),
            aborting: BTreeSet::new(),
            aborted: aborted.into(),
            failed: false,
            deferred: None,
            fetched,
        }
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        self.fetched.topic.as_str()
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.fetched.index
    }

    /// The end of what readers see, as of this answer.
    pub fn high_watermark(&self) -> i64 {
        self.fetched.high_watermark
    }

    /// The first offset that is still there, as of this answer.
    pub fn log_start_offset(&self) -> i64 {
        self.fetched.log_start_offset
    }

    /// The size of the answer's part for this partition, in bytes.
    pub fn size_in_bytes(&self) -> usize {
        self.fetched.records.len()
    }

    /// The next record, borrowed; `None` where the batch is done.
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where it cannot be read, which ends the batch.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<BorrowedRecord<'_>, Error>> {
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        // `advance` stands before a record that is wanted.
        let (data, records) = self.current.as_mut()?;
        let ranges = match records.next_ranges()? {
            Ok(ranges) => ranges,
            Err(error) => {
                self.failed = true;
                let error = decode_error(&self.fetched, &error);
                return Some(Err(error));
            }
        };
        Some(Ok(BorrowedRecord { data, record: ranges.of(&data.bytes) }))
    }

    /// Calls `f` with at most `most` records of one record batch, and how many of it were left before each, and gives what keeps their bytes
    /// where they are: for callers who hand out pointers into them. `None` where no record is left.
    ///
    /// # Errors
    /// Where a record cannot be read; those before it were given to `f` by earlier calls.
    pub fn next_run(
        &mut self,
        most: usize,
        mut f: impl FnMut(usize, BorrowedRecord<'_>),
    ) -> Option<Result<BatchHold, Error>> {
        if let Some(error) = self.deferred.take() {
            return Some(Err(error));
        }
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        let (data, records) = self.current.as_mut()?;
        let hold = BatchHold(data.clone());
        for given in 0..most {
            let left = records.remaining();
            match records.next_ranges() {
                Some(Ok(ranges)) if ranges.offset < self.until => {
                    f(left, BorrowedRecord { data, record: ranges.of(&data.bytes) });
                }
                Some(Ok(_)) => {
                    self.failed = true;
                    break;
                }
                Some(Err(error)) => {
                    self.failed = true;
                    let error = decode_error(&self.fetched, &error);
                    if given == 0 {
                        return Some(Err(error));
                    }
                    self.deferred = Some(error);
                    break;
                }
                None => break,
            }
        }
        Some(Ok(hold))
    }

    /// The next record, to keep; `None` where the batch is done.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub fn next_owned(&mut self) -> Option<Result<Record, Error>> {
        if let Err(error) = self.advance()? {
            return Some(Err(error));
        }
        let (data, records) = self.current.as_mut()?;
        match records.next_ranges()? {
            Ok(ranges) => Some(Ok(Record { data: data.clone(), ranges })),
            Err(error) => {
                self.failed = true;
                Some(Err(decode_error(&self.fetched, &error)))
            }
        }
    }

    /// Calls `f` with every record that is left: the fastest way through a batch.
    ///
    /// # Errors
    /// Where a record cannot be read; those before it were given to `f`.
    pub fn for_each(&mut self, mut f: impl FnMut(BorrowedRecord<'_>)) -> Result<(), Error> {
        while let Some(ready) = self.advance() {
            ready?;
            let Some((data, records)) = self.current.take() else { return Ok(()) };
            for record in &records {
                let record = record.map_err(|error| decode_error(&self.fetched, &error))?;
                if record.offset >= self.until {
                    self.failed = true;
                    return Ok(());
                }
                f(BorrowedRecord { data: &data, record });
            }
        }
        Ok(())
    }

    /// Stands before the next wanted record, `None` where there is none.
    #[inline]
    fn advance(&mut self) -> Option<Result<(), Error>> {
        loop {
            if self.failed {
                return None;
            }
            if let Some((_, records)) = &mut self.current {
                if records.remaining() > 0 {
                    return self.skip();
                }
                self.current = None;
            }
            match self.batches.next()? {
                Ok(batch) => {
                    if let Err(error) = self.open(&batch) {
                        self.failed = true;
                        return Some(Err(error));
                    }
                }
                Err(error) => {
                    self.failed = true;
                    return Some(Err(decode_error(&self.fetched, &error)));
                }
            }
        }
    }

    /// Passes records before the position, and ends at the last that is wanted.
    #[inline]
    fn skip(&mut self) -> Option<Result<(), Error>> {
        // Only the first batch can begin too early, and only one with an end needs to be looked at.
        if self.from == i64::MIN && self.until == i64::MAX {
            return Some(Ok(()));
        }
        let (_, records) = self.current.as_mut()?;
        loop {
            let mut ahead = records.iter();
            let Some(Ok(next)) = ahead.next() else {
                // The error, or the end, shows when the record is read.
                return Some(Ok(()));
            };
            if next.offset >= self.until {
                self.failed = true;
                return None;
            }
            if next.offset >= self.from {
                self.from = i64::MIN;
                return Some(Ok(()));
            }
            records.next_ranges();
        }
    }

    /// Begins a batch: checksum, decompression, transactions.
    fn open(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        while let Some(&(producer, _)) = self.aborted.front().filter(|(_, first)| *first <= batch.last_offset()) {
            self.aborting.insert(producer);
            self.aborted.pop_front();
        }
        if batch.is_control() {
            if !self.aborting.is_empty()
                && let Ok(Some(_)) = batch.end_transaction_marker()
            {
                self.aborting.remove(&batch.producer_id());
            }
            return Ok(());
        }
        let unwanted = batch.last_offset() < self.from
            || batch.base_offset() >= self.until
            || (batch.is_transactional() && self.aborting.contains(&batch.producer_id()));
        if unwanted {
            return Ok(());
        }
        if self.check_crcs {
            batch.verify_crc().map_err(|error| decode_error(&self.fetched, &error))?;
        }
        if batch.base_offset() >= self.from {
            self.from = i64::MIN;
        }
        let records = batch
            .records(&mut self.decompressor, DECOMPRESSED_MAX)
            .map_err(|error| decode_error(&self.fetched, &error))?;
        let data = BatchData {
            topic: self.fetched.topic.clone(),
            partition: self.fetched.index,
            leader_epoch: batch.partition_leader_epoch(),
            bytes: records.bytes().clone(),
            charge: self.fetched.charge.clone(),
            timestamp_type: batch.timestamp_type(),
        };
        self.current = Some((Arc::new(data), records));
        Ok(())
    }
}

fn decode_error(fetched: &Fetched, error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Decode, format!("a record batch cannot be read: {error}"))
        .on_partition(&fetched.topic, fetched.index)
}
