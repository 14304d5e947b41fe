//! A partition's directory with anything in its files: opening recovers it or fails, and what opened can be read, written and closed.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use felice_fuzz::Input;
use felice_log::{AppendOrigin, Disk, Log, LogConfig, MemDisk, OpenMode, RecoveryHint};
use felice_protocol::records::patch;
use felice_protocol::time::Now;
use libfuzzer_sys::fuzz_target;

const DIR: &str = "t-0";

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let flags = input.byte();
    let hint = RecoveryHint {
        recovery_point: i64::from(input.byte()) - 1,
        log_start_offset: i64::from(input.byte() % 16) - 1,
        clean_shutdown: flags & 1 != 0,
    };
    let disk = MemDisk::new();
    if flags & 2 == 0 {
        written(&disk, &mut input, flags & 4 != 0);
    }
    if flags & 8 != 0 {
        disk.crash_torn(u64::from(input.short()));
    }
    damage(&disk, &mut input);
    let Some(mut log) = open(&disk, hint) else { return };
    read_all(&log);
    for _ in 0..2 {
        let _ = log.append_as_leader(now(1), BytesMut::from(&input.batch()[..]), 7, AppendOrigin::Client);
    }
    let _ = log.roll(now(2));
    read_all(&log);
    let end = log.log_end_offset();
    let sound = log.close(now(3)).is_ok();
    // What was closed well is there again.
    let clean = RecoveryHint { recovery_point: end, log_start_offset: hint.log_start_offset, clean_shutdown: true };
    if let Some(again) = open(&disk, clean).filter(|_| sound) {
        assert_eq!(again.log_end_offset(), end);
    }
});

fn now(seconds: u64) -> Now {
    Now { monotonic_nanos: seconds * 1_000_000_000, wall_millis: 1_700_000_000_000 }
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 2048, index_interval_bytes: 64, segment_index_bytes: 4096, ..LogConfig::default() }
}

fn open(disk: &MemDisk, hint: RecoveryHint) -> Option<Log> {
    Log::open(Arc::new(disk.clone()), PathBuf::from(DIR), config(), hint, now(0)).ok()
}

/// A log as a broker leaves it, closed or not.
fn written(disk: &MemDisk, input: &mut Input<'_>, close: bool) {
    let Some(mut log) = open(disk, RecoveryHint::default()) else { panic!("an empty directory can be opened") };
    for epoch in 0..i32::from(input.byte() % 6) {
        let batch = BytesMut::from(&input.batch()[..]);
        let _ = log.append_as_leader(now(0), batch, epoch, AppendOrigin::Client);
        if epoch == 2 {
            let _ = log.flush();
        }
    }
    if close {
        let _ = log.close(now(0));
    }
}

/// Changes bytes in the files, cuts them, or puts whole new ones there.
fn damage(disk: &MemDisk, input: &mut Input<'_>) {
    let dir = Path::new(DIR);
    let _ = disk.create_dir_all(dir);
    for _ in 0..input.byte() % 5 {
        let what = input.byte();
        let names = disk.list(dir).unwrap_or_default();
        let name = match what % 8 {
            0 => "00000000000000000000.log".to_owned(),
            1 => "00000000000000000007.log".to_owned(),
            2 => "00000000000000000007.snapshot".to_owned(),
            3 => "leader-epoch-checkpoint".to_owned(),
            _ if names.is_empty() => "00000000000000000000.index".to_owned(),
            _ => names[usize::from(input.byte()) % names.len()].clone(),
        };
        let path = dir.join(name);
        if disk.list(&path).is_ok() {
            continue;
        }
        let mut bytes = disk.read(&path).map(|bytes| bytes.to_vec()).unwrap_or_default();
        match what >> 6 {
            0 => bytes.truncate(usize::from(input.short())),
            1 => {
                let length = usize::from(input.byte()) * 4;
                bytes = input.take(length).to_vec();
            }
            _ => input.damage(&mut bytes),
        }
        if what & 0x20 != 0 {
            right_checksums(&mut bytes);
        }
        if let Ok(file) = disk.open(&path, OpenMode::Create) {
            let _ = file.truncate(0).and_then(|()| file.write_at(0, &bytes)).and_then(|()| file.sync());
        }
    }
}

/// Gives every batch that can be made out the checksum of what it now holds, so that the damage gets past it.
fn right_checksums(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(Some(length)) = bytes.get(at + 8..).map(|rest| rest.first_chunk::<4>()) {
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return };
        let Some(batch) = bytes.get_mut(at..at.saturating_add(12 + length)) else { return };
        let mut patched = BytesMut::from(&batch[..]);
        if patch::update_crc(&mut patched).is_ok() {
            batch.copy_from_slice(&patched);
        }
        at += 12 + length;
    }
}

fn read_all(log: &Log) {
    let end = log.log_end_offset();
    let mut offset = log.log_start_offset();
    assert!(offset <= end, "a log that starts at {offset} and ends at {end}");
    for _ in 0..100 {
        match log.read(offset, 512, end, true) {
            Ok(read) if read.next_offset > offset => offset = read.next_offset,
            _ => break,
        }
    }
    let _ = log.offset_for_timestamp(1_001);
    let _ = log.max_timestamp();
    let _ = log.aborted_transactions(log.log_start_offset(), end);
    for epoch in -1..8 {
        let _ = log.end_offset_for_epoch(epoch);
    }
}
