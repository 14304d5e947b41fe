//! What the tests share: batches, logs, a disk of the operating system.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "every test binary uses another part of it"
)]

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use felice_log::{AppendOrigin, Disk, DiskFile, Log, LogConfig, LogError, MemDisk, OpenMode, RecoveryHint};
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{Header, Producer, RecordBatchBuilder, RecordBatches};
use felice_protocol::time::Now;

/// The wall time of the first record.
pub const START: i64 = 1_700_000_000_000;

pub fn now(millis: i64) -> Now {
    Now { monotonic_nanos: millis.unsigned_abs() * 1_000_000, wall_millis: START + millis }
}

/// A batch of `count` records, a millisecond apart from `START + time` on.
pub fn batch(time: i64, count: usize, compression: Compression, producer: Producer, transactional: bool) -> BytesMut {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    for index in 0..count {
        let key = format!("key {index}");
        let value = format!("value {index} at {time}, and again, and again, and again");
        let timestamp = START + time + i64::try_from(index).unwrap();
        builder.append(timestamp, Some(key.as_bytes()), Some(value.as_bytes()), &[Header::new("header", b"h")]);
    }
    let mut closed = builder.close(&mut Compressor::new(), compression, None);
    BytesMut::from(&closed.seal(producer, transactional)[..])
}

/// A batch of keyed records, a millisecond apart from `START + time` on.
pub fn keyed(
    time: i64,
    records: &[(&str, Option<&str>)],
    compression: Compression,
    producer: Producer,
    transactional: bool,
) -> BytesMut {
    let mut builder = RecordBatchBuilder::new(BytesMut::new());
    for (timestamp, (key, value)) in (START + time..).zip(records) {
        let headers = [Header::new("header", b"h")];
        builder.append(timestamp, Some(key.as_bytes()), value.map(str::as_bytes), &headers);
    }
    let mut closed = builder.close(&mut Compressor::new(), compression, None);
    BytesMut::from(&closed.seal(producer, transactional)[..])
}

pub fn plain(time: i64, count: usize) -> BytesMut {
    batch(time, count, Compression::None, Producer::NONE, false)
}

pub fn from_producer(id: i64, epoch: i16, base_sequence: i32, count: usize) -> BytesMut {
    batch(i64::from(base_sequence), count, Compression::None, Producer { id, epoch, base_sequence }, false)
}

pub fn transactional(id: i64, epoch: i16, base_sequence: i32, count: usize) -> BytesMut {
    batch(i64::from(base_sequence), count, Compression::None, Producer { id, epoch, base_sequence }, true)
}

pub fn append(log: &mut Log, batch: BytesMut) -> felice_log::AppendInfo {
    log.append_as_leader(now(0), batch, 0, AppendOrigin::Client).unwrap()
}

/// Small segments, and an index entry for nearly every batch.
pub fn small() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, retention: None, ..LogConfig::default() }
}

pub fn dir() -> PathBuf {
    PathBuf::from("/data/topic-0")
}

pub fn open(disk: &MemDisk, config: LogConfig, hint: RecoveryHint) -> Result<Log, LogError> {
    Log::open(Arc::new(disk.clone()), dir(), config, hint, now(0))
}

pub fn fresh(config: LogConfig) -> (MemDisk, Log) {
    let disk = MemDisk::new();
    let log = open(&disk, config, RecoveryHint::default()).unwrap();
    (disk, log)
}

pub fn after_crash(recovery_point: i64) -> RecoveryHint {
    RecoveryHint { recovery_point, ..RecoveryHint::default() }
}

pub fn after_clean_stop() -> RecoveryHint {
    RecoveryHint { clean_shutdown: true, ..RecoveryHint::default() }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    pub is_control: bool,
}

/// Every record of a log, read by the piece, each batch with its checksum checked.
pub fn read_all(log: &Log, max_bytes: usize) -> Vec<Found> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let read = log.read(offset, max_bytes, i64::MAX, true).unwrap();
        assert!(!read.records.is_empty(), "nothing at {offset}, before the end {}", log.log_end_offset());
        assert!(read.next_offset > offset);
        for batch in RecordBatches::new(read.records) {
            let batch = batch.unwrap();
            batch.verify_crc().unwrap();
            let records = batch.records(&mut Decompressor::new(), 1 << 20).unwrap();
            for record in records.iter() {
                let record = record.unwrap();
                let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
                found.push(Found {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(copy),
                    value: record.value.map(copy),
                    headers: record.headers().map(|h| (copy(h.key), h.value.map(copy))).collect(),
                    is_control: batch.is_control(),
                });
            }
        }
        offset = read.next_offset;
    }
    found
}

/// The operating system's files, for tests that a program outside has to read.
#[derive(Debug)]
pub struct OsDisk;

#[derive(Debug)]
#[expect(clippy::disallowed_types, reason = "the implementation of a Disk, for tests")]
struct OsFile(std::fs::File);

impl Disk for OsDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(mode != OpenMode::Read).create(mode == OpenMode::Create);
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            names.push(entry?.file_name().into_string().unwrap());
        }
        names.sort();
        Ok(names)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let mut buffer = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.0.read_at(&mut buffer[filled..], position + filled as u64)? {
                0 => break,
                read => filled += read,
            }
        }
        buffer.truncate(filled);
        Ok(buffer.into())
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
