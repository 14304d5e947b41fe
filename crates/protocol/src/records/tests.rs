use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::compression::{Compression, Compressor, Decompressor};
use crate::primitives::{DecodeError, DecodeErrorKind};

const LIMIT: usize = 1 << 20;

fn builder() -> RecordBatchBuilder {
    RecordBatchBuilder::new(BytesMut::new())
}

fn sealed(builder: RecordBatchBuilder) -> Bytes {
    builder.close(&mut Compressor::new(), Compression::None, None).seal(Producer::NONE, false)
}

fn two_records() -> Bytes {
    let mut builder = builder();
    builder.append(1000, Some(b"k"), Some(b"v"), &[Header::new("a", b"1")]);
    builder.append(999, None, Some(b""), &[Header::null("a"), Header::new("a", b"")]);
    sealed(builder)
}

/// The batch with other bytes at one place and a checksum that fits them.
fn with(batch: &Bytes, at: usize, bytes: &[u8]) -> RecordBatch {
    let mut batch = BytesMut::from(&batch[..]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    patch::update_crc(&mut batch).unwrap();
    RecordBatch::parse(batch.freeze()).unwrap()
}

#[test]
fn null_and_empty_are_told_apart_and_headers_keep_their_order() {
    let batch = RecordBatch::parse(two_records()).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.count(), batch.last_offset(), batch.base_timestamp(), batch.max_timestamp()), (2, 1, 1000, 1000));
    let mut records = batch.records(&mut Decompressor::new(), LIMIT).unwrap();
    let first = records.next_record().unwrap().unwrap();
    assert_eq!((first.offset, first.timestamp, first.key, first.value), (0, 1000, Some(&b"k"[..]), Some(&b"v"[..])));
    assert!(first.headers().eq([Header::new("a", b"1")]));
    let second = records.next_ranges().unwrap().unwrap();
    let second = second.of(records.bytes());
    assert_eq!((second.offset, second.timestamp, second.key, second.value), (1, 999, None, Some(&b""[..])));
    assert!(second.headers().eq([Header::null("a"), Header::new("a", b"")]));
    assert!(records.next_record().is_none());
}

#[test]
fn a_seal_with_another_epoch_changes_only_the_header() {
    let mut builder = builder();
    builder.append(1, None, Some(b"v"), &[]);
    let mut closed = builder.close(&mut Compressor::new(), Compression::Zstd, None);
    let first = closed.seal(Producer { id: 7, epoch: 0, base_sequence: 5 }, true);
    let again = closed.seal(Producer { id: 7, epoch: 0, base_sequence: 5 }, true);
    assert_eq!(first.as_ptr(), again.as_ptr(), "a plain retry sends the same bytes");
    let bumped = closed.seal(Producer { id: 7, epoch: 1, base_sequence: 0 }, true);
    for (bytes, epoch, sequence) in [(first, 0, 5), (bumped, 1, 0)] {
        let batch = RecordBatch::parse(bytes).unwrap();
        batch.validate(&mut Decompressor::new(), LIMIT).unwrap();
        assert_eq!((batch.producer_epoch(), batch.base_sequence(), batch.is_transactional()), (epoch, sequence, true));
    }
    assert_eq!(closed.records(&mut Decompressor::new()).unwrap().iter().count(), 1);
}

#[test]
fn sealing_does_not_copy_while_nobody_else_holds_the_bytes() {
    let mut builder = builder();
    builder.append(1, None, Some(&[b'v'; 100]), &[]);
    let mut closed = builder.close(&mut Compressor::new(), Compression::None, None);
    let first = closed.seal(Producer::NONE, false).as_ptr();
    assert_eq!(closed.seal(Producer { id: 1, epoch: 1, base_sequence: 1 }, false).as_ptr(), first);
}

#[test]
fn sequence_numbers_wrap_to_zero() {
    let mut builder = builder();
    for _ in 0..3 {
        builder.append(1, None, None, &[]);
    }
    let mut closed = builder.close(&mut Compressor::new(), Compression::None, None);
    closed.seal(Producer { id: 1, epoch: 0, base_sequence: i32::MAX - 1 }, false);
    assert_eq!(closed.header().last_sequence(), 0);
}

#[test]
fn log_append_time_is_every_records_timestamp() {
    let mut batch = BytesMut::from(&two_records()[..]);
    patch::set_base_offset(&mut batch, 500).unwrap();
    patch::set_partition_leader_epoch(&mut batch, 8).unwrap();
    patch::set_log_append_time(&mut batch, 777_777).unwrap();
    let batch = RecordBatch::parse(batch.freeze()).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!((batch.timestamp_type(), batch.partition_leader_epoch()), (TimestampType::LogAppendTime, 8));
    let records = batch.validate(&mut Decompressor::new(), LIMIT).unwrap();
    let seen: Vec<_> =
        records.iter().map(|record| record.unwrap()).map(|record| (record.offset, record.timestamp)).collect();
    assert_eq!(seen, [(500, 777_777), (501, 777_777)]);
}

#[test]
fn a_cut_off_tail_ends_the_batches_without_an_error() {
    let one = two_records();
    let two = [&one[..], &one[..]].concat();
    for cut in 0..one.len() {
        let mut batches = RecordBatches::new(Bytes::copy_from_slice(&two[..one.len() + cut]));
        assert!(batches.next().unwrap().is_ok());
        assert!(batches.next().is_none());
        assert_eq!(batches.remaining().len(), cut);
    }
    assert_eq!(RecordBatches::new(two.into()).filter(Result::is_ok).count(), 2);
}

#[test]
fn another_format_is_named_and_ends_the_batches() {
    let mut old = two_records().to_vec();
    old[16] = 1;
    old[8..12].copy_from_slice(&20_i32.to_be_bytes());
    old.truncate(32);
    let mut batches = RecordBatches::new(old.into());
    assert_eq!(batches.next(), Some(Err(RecordBatchError::Magic { base_offset: 0, magic: 1 })));
    assert_eq!(batches.next(), None);
}

#[test]
fn a_length_that_cannot_be_is_an_error_and_not_a_tail() {
    for length in [-1_i32, 0, 48, i32::MIN] {
        let mut bad = two_records().to_vec();
        bad[8..12].copy_from_slice(&length.to_be_bytes());
        let error = RecordBatches::new(bad.into()).next().unwrap().unwrap_err();
        let expected =
            DecodeError { kind: DecodeErrorKind::BadLength(length.into()), offset: 8, field: "batch_length" };
        assert_eq!(error, RecordBatchError::Header(expected));
    }
}

#[test]
fn a_wrong_checksum_is_told_with_both_sums() {
    let mut bad = two_records().to_vec();
    *bad.last_mut().unwrap() ^= 1;
    let error = RecordBatch::parse(bad.into()).unwrap().verify_crc().unwrap_err();
    assert!(matches!(error, RecordBatchError::Crc { stored, computed, .. } if stored != computed));
}

#[test]
fn counts_and_deltas_from_outside_are_bounded() {
    let good = two_records();
    let huge = with(&with(&good, 23, &i32::MAX.to_be_bytes()).into_bytes(), 57, &i32::MAX.to_be_bytes());
    let error = huge.records(&mut Decompressor::new(), LIMIT).unwrap_err();
    assert!(matches!(error, RecordBatchError::Header(DecodeError { field: "records_count", .. })), "{error}");
    let overflow = with(&good, 0, &i64::MAX.wrapping_sub(1).to_be_bytes()).into_bytes();
    let mut overflow = overflow.to_vec();
    overflow[23..27].copy_from_slice(&5_i32.to_be_bytes());
    assert!(RecordBatch::parse(overflow.into()).is_err());
}

#[test]
fn validation_says_what_does_not_fit() {
    let good = two_records();
    let mut decompressor = Decompressor::new();
    let mut reason = |batch: RecordBatch| batch.validate(&mut decompressor, LIMIT).unwrap_err().to_string();
    // The second record's offset delta; the first record is 14 bytes long.
    let first_length = usize::from(good[HEADER_SIZE]) / 2 + 1;
    let delta_at = HEADER_SIZE + first_length + 3;
    assert_eq!(good[delta_at], 2);
    assert!(reason(with(&good, delta_at, &[0])).ends_with("record 1 has offset delta 0"));
    assert!(reason(with(&good, delta_at, &[4])).contains("record 1: a length of 2 cannot be"));
    assert!(
        reason(with(&good, 35, &5_i64.to_be_bytes())).ends_with("the largest timestamp is 1000, the header says 5")
    );
    assert!(reason(with(&good, 57, &1_i32.to_be_bytes())).ends_with("1 records do not fit a last offset delta of 1"));
    assert!(reason(with(&good, 57, &0_i32.to_be_bytes())).ends_with("it has no records"));
    assert!(reason(with(&good, 43, &9_i64.to_be_bytes())).ends_with("producer 9 has epoch -1 and base sequence -1"));
    assert!(reason(with(&good, 21, &0x10_i16.to_be_bytes())).ends_with("it is transactional and has no producer id"));
    assert!(reason(with(&good, HEADER_SIZE, &[good[HEADER_SIZE] + 2])).contains("record 0:"));
}

#[test]
fn a_marker_comes_back() {
    for committed in [true, false] {
        let marker = EndTransactionMarker { committed, coordinator_epoch: 3 };
        let batch = RecordBatch::parse(marker.to_batch(9, 1000, 4, 77, 2)).unwrap();
        batch.validate(&mut Decompressor::new(), LIMIT).unwrap();
        assert_eq!(batch.end_transaction_marker().unwrap(), Some(marker));
        assert_eq!((batch.base_offset(), batch.producer_id(), batch.base_sequence()), (9, 77, -1));
    }
    assert_eq!(RecordBatch::parse(two_records()).unwrap().end_transaction_marker().unwrap(), None);
}

#[test]
fn a_header_without_records_is_an_empty_batch() {
    let mut header = *RecordBatch::parse(two_records()).unwrap().header();
    header.records_count = 0;
    header.batch_length = 49;
    header.attributes = 4;
    let batch = RecordBatch::parse(Bytes::copy_from_slice(&header.to_bytes())).unwrap();
    assert_eq!(batch.records(&mut Decompressor::new(), LIMIT).unwrap().iter().count(), 0);
}

type Owned = (i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![0..i64::MAX, 1_700_000_000_000..1_700_000_100_000_i64, Just(-1)];
    (timestamp, bytes(), bytes(), proptest::collection::vec((".{0,5}", bytes()), 0..4))
}

proptest! {
    #[test]
    fn any_records_come_back(records in proptest::collection::vec(record(), 1..40), codec in 0_u8..5) {
        let mut builder = builder();
        for (timestamp, key, value, headers) in &records {
            let headers: Vec<_> = headers.iter().map(|(key, value)| Header { key: key.as_bytes(), value: value.as_deref() }).collect();
            let before = builder.len();
            builder.append(*timestamp, key.as_deref(), value.as_deref(), &headers);
            prop_assert!(builder.len() - before <= RecordBatchBuilder::size_of_record(key.as_deref(), value.as_deref(), &headers));
        }
        let mut closed = builder.close(&mut Compressor::new(), Compression::from_id(codec).unwrap(), None);
        let batch = RecordBatch::parse(closed.seal(Producer::NONE, false)).unwrap();
        let read = batch.validate(&mut Decompressor::new(), LIMIT).unwrap();
        let read: Vec<Owned> = read.iter().map(|record| {
            let record = record.unwrap();
            let headers = record.headers().map(|header| (header.key_str().into_owned(), header.value.map(<[u8]>::to_vec)));
            (record.timestamp, record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec), headers.collect())
        }).collect();
        prop_assert_eq!(read, records);
    }

    #[test]
    fn any_payload_is_an_error_at_worst(payload in proptest::collection::vec(any::<u8>(), 0..300), count in 0..40_i32, codec in 0_u8..5) {
        let mut header = *RecordBatch::parse(two_records()).unwrap().header();
        header.batch_length = 49 + payload.len() as i32;
        header.records_count = count;
        header.last_offset_delta = 50;
        header.attributes = codec.into();
        let bytes = [&header.to_bytes()[..], &payload].concat();
        let batch = RecordBatch::parse(bytes.into()).unwrap();
        if let Ok(records) = batch.records(&mut Decompressor::new(), LIMIT) {
            for record in records.iter().flatten() { record.headers().count(); }
        }
        let _ = batch.validate(&mut Decompressor::new(), LIMIT);
    }

    #[test]
    fn a_flipped_byte_is_an_error_at_worst(at in any::<proptest::sample::Index>(), flip in 1_u8..=255) {
        let mut bytes = two_records().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        for batch in RecordBatches::new(bytes.into()).flatten() {
            if let Ok(records) = batch.records(&mut Decompressor::new(), LIMIT) {
                for record in records.iter().flatten() { record.headers().count(); }
            }
        }
    }
}
