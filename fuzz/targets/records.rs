//! Record batches from outside: as they come, or built well and then damaged, in every codec, never more than the limit decompressed.
#![no_main]

use bytes::{Bytes, BytesMut};
use felice_fuzz::Input;
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{RecordBatch, RecordBatches, RecordRef, patch};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => raw_codec(&mut input),
        1 => damaged_codec(&mut input),
        2 => read(Bytes::copy_from_slice(input.0)),
        _ => damaged_batch(&mut input),
    }
});

fn raw_codec(input: &mut Input<'_>) {
    let codec = input.codec();
    decompress(codec, input.0);
}

fn decompress(codec: Compression, bytes: &[u8]) -> Option<Vec<u8>> {
    let plain = Decompressor::new().decompress(codec, bytes, LIMIT).ok();
    assert!(plain.as_ref().is_none_or(|plain| plain.len() <= LIMIT));
    plain
}

fn damaged_codec(input: &mut Input<'_>) {
    let codec = input.codec();
    let mut changes = Input(input.take(22));
    let plain = input.0;
    let mut compressed = Vec::new();
    Compressor::new().compress(codec, None, plain, &mut compressed).expect("plain bytes can be compressed");
    assert_eq!(decompress(codec, &compressed).as_deref(), Some(plain));
    changes.damage(&mut compressed);
    decompress(codec, &compressed);
}

fn damaged_batch(input: &mut Input<'_>) {
    let mut changes = Input(input.take(22));
    let whole = input.batch();
    let batch = RecordBatch::parse(whole.clone()).expect("a batch of ours");
    let count = batch.validate(&mut Decompressor::new(), LIMIT).expect("a batch of ours is valid").iter().count();
    assert_eq!(i64::try_from(count), Ok(i64::from(batch.count())));
    let mut damaged = BytesMut::from(&whole[..]);
    changes.damage(&mut damaged);
    // With the right checksum the damage gets past it, as it would from a hostile client.
    let _ = patch::update_crc(&mut damaged);
    read(damaged.freeze());
}

fn read(bytes: Bytes) {
    let mut decompressor = Decompressor::new();
    let mut left = bytes.len();
    for batch in RecordBatches::new(bytes) {
        let Ok(batch) = batch else { break };
        assert!(batch.size_in_bytes() <= left, "batches overlap");
        left -= batch.size_in_bytes();
        let header = batch.header();
        let _ = (header.last_offset(), header.next_offset(), header.last_sequence(), header.compression());
        let _ = batch.verify_crc();
        let _ = batch.validate(&mut decompressor, LIMIT);
        let _ = batch.end_transaction_marker();
        if let Ok(records) = batch.records(&mut decompressor, LIMIT) {
            assert!(records.bytes().len() <= LIMIT.max(batch.size_in_bytes()));
            for record in &records {
                let Ok(record) = record else { break };
                visit(&record);
            }
        }
    }
}

fn visit(record: &RecordRef<'_>) {
    let _ = (record.offset, record.timestamp, record.key, record.value);
    for header in record.headers() {
        let _ = header.key_str();
    }
}
