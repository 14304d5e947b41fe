//! One Kafka partition on disk, in Apache Kafka's own file format, behind a [`Disk`] that somebody else provides. In Java: `UnifiedLog` and
//! what it is made of. No clock, no thread, no lock: time is passed in, a method that syncs is named so, and the owner serialises calls.
//!
//! ```text
//! Log::open(disk, dir, config, RecoveryHint { recovery_point, log_start_offset, clean_shutdown }, now)   recovery is inside
//! log.append_as_leader(now, batch: BytesMut, leader_epoch, AppendOrigin) -> Result<AppendInfo, AppendError>
//!     one validated batch of format 2; patched in place (offset, epoch; with LogAppendTime also time and checksum), one write.
//!     AppendInfo { first_offset, last_offset, log_append_time, log_start_offset, duplicate, rolled, size }
//!     AppendError::error_code(): 45 out of order, 47 epoch, 48 transaction state, 52 coordinator fenced, 18, 2, 56
//! log.append_as_follower(now, Bytes) -> Result<AppendInfo, AppendError>      batches that have their offsets
//! log.read(from, max_bytes, up_to, min_one_batch) -> Result<LogRead, LogError>
//!     LogRead { records: Bytes, next_offset, .. }: whole batches of one segment, one allocation; empty at the end
//! log.offset_for_timestamp(t) -> Result<Option<TimestampOffset>, LogError>;  log.max_timestamp() likewise
//! log.log_start_offset()  log_end_offset()  recovery_point()  size()  first_unstable_offset(high_watermark)
//!     last_stable_offset(high_watermark)  aborted_transactions(from, up_to)  handle_high_watermark(high_watermark)
//! log.start_flush() -> Result<Option<Flush>>;  flush.run() anywhere, without the log;  log.complete_flush(flush, result)
//! log.flush()                          the three in one: everything up to the end is durable when it returns
//! log.roll(now)  log.delete_old_segments(now, high_watermark) -> count  log.advance_log_start_offset(offset)
//! log.truncate_to(offset, now)  log.truncate_fully_and_start_at(offset, now)
//! log.assign_epoch_start_offset(epoch, offset)  end_offset_for_epoch(epoch)  latest_epoch()  epoch_entries()
//! log.producer_state() -> entries      log.producer(id)      log.remove_expired_producers(now)
//! log.to_clean(now, high_watermark) -> Option<LogToClean>;  cleaner.start(now, &log, &to_clean);  cleaner.step(now, &mut log, high_watermark)
//!     CleanerStep::{More, Sync(flush), Done(stats), Abandoned};  after flush.run() anywhere: cleaner.handle_synced(&mut log, result)
//! log.set_config(config)  log.close(now)  (flush, producer snapshot: the clean stop)   log.offline() -> Option<&str>
//! ```
//!
//! ```
//! use std::sync::Arc;
//! use bytes::BytesMut;
//! use felice_log::{AppendOrigin, Log, LogConfig, MemDisk, RecoveryHint};
//! use felice_protocol::compression::{Compression, Compressor};
//! use felice_protocol::records::{Producer, RecordBatchBuilder};
//! use felice_protocol::time::Now;
//!
//! let now = Now { monotonic_nanos: 0, wall_millis: 1_700_000_000_000 };
//! let disk = Arc::new(MemDisk::new());
//! let mut log = Log::open(disk, "/data/orders-0".into(), LogConfig::default(), RecoveryHint::default(), now)?;
//!
//! let mut builder = RecordBatchBuilder::new(BytesMut::new());
//! builder.append(now.wall_millis, None, Some(b"hello"), &[]);
//! let batch = builder.close(&mut Compressor::default(), Compression::None, None).seal(Producer::NONE, false);
//! let info = log.append_as_leader(now, BytesMut::from(batch), 0, AppendOrigin::Client)?;
//! assert_eq!((info.first_offset, info.last_offset), (0, 0));
//! assert_eq!(log.read(0, 1 << 20, log.log_end_offset(), true)?.next_offset, 1);
//!
//! log.flush()?; // durable now
//! assert_eq!(log.recovery_point(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A write that fails is undone and the log goes on ([`LogError::Io`]; a full disk, for instance). A write that cannot be undone, or a sync that
//! fails, takes the log offline for good ([`LogError::Offline`], `KAFKA_STORAGE_ERROR`): open it anew.
//!
//! - [`checkpoint`]: `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`, `replication-offset-checkpoint`
//! - [`data_dir`]: `meta.properties`, `.kafka_cleanshutdown`, `partition.metadata`, names of partition directories
//! - [`Disk`], [`DiskFile`]: what is asked of a disk; [`MemDisk`] is one in memory, which can crash
//!
//! - [`Cleaner`]: compaction, step by step
//!
//! Inside: `segment` and `index` (files of a segment), `producer_state` and `producer_snapshot`, `leader_epochs`; `log` appends and reads,
//! `recovery` opens, `flush`, `retention`, `truncation` and `timestamps` do what they say.

#![warn(clippy::unwrap_used)]

mod batch;
mod bugs;
pub mod checkpoint;
mod cleaner;
mod config;
pub mod data_dir;
mod disk;
mod error;
mod flush;
mod index;
mod leader_epochs;
mod log;
mod mem_disk;
mod producer_snapshot;
mod producer_state;
mod recovery;
mod retention;
mod segment;
mod timestamps;
mod truncation;

#[doc(hidden)]
pub use bugs::{Bug, Bugs};
pub use cleaner::{Cleaner, CleanerConfig, CleanerStats, CleanerStep, LogToClean};
pub use config::{LogConfig, TimestampType};
pub use disk::{Disk, DiskFile, OpenMode};
pub use error::{AppendError, LogError};
pub use flush::Flush;
pub use index::AbortedTransaction;
pub use leader_epochs::EpochEntry;
pub use log::{AppendInfo, Log, LogRead};
pub use mem_disk::MemDisk;
pub use producer_state::{AppendOrigin, BATCHES_TO_RETAIN, BatchMetadata, ProducerStateEntry};
pub use recovery::RecoveryHint;
pub use timestamps::TimestampOffset;
