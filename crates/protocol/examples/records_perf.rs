//! Nanoseconds a record for what every record passes: `cargo run --release -p felice-protocol --example records_perf`.

#![expect(clippy::disallowed_methods, reason = "measuring is done by the clock")]

use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use felice_protocol::compression::{Compression, Compressor, Decompressor};
use felice_protocol::records::{Producer, RecordBatch, RecordBatchBuilder};

const RECORDS: usize = 146;
const ROUNDS: usize = 1_400;
const SIZE: usize = 100;

fn main() {
    let value = [b'v'; SIZE];
    let build = |buffer: BytesMut| {
        let mut builder = RecordBatchBuilder::new(buffer);
        for i in 0..RECORDS as i64 {
            builder.append(1_700_000_000_000 + (i >> 4), black_box(None), black_box(Some(&value)), &[]);
        }
        builder
    };
    println!("{RECORDS} records of {SIZE} B a batch; ns a record, the best of 7 rounds");
    print("encode", || {
        black_box(build(BytesMut::with_capacity(16 * 1024 + 128)));
    });
    // `reserve` takes the memory back once nobody holds the batch: what a pool of buffers would give.
    let mut pool = BytesMut::with_capacity(16 * 1024 + 128);
    print("encode, buffer used again", || {
        let mut batch = build(std::mem::take(&mut pool)).close(&mut Compressor::new(), Compression::None, None);
        let bytes = batch.seal(Producer::NONE, false);
        drop(batch);
        pool = bytes.try_into_mut().unwrap_or_default();
    });

    let mut closed = build(BytesMut::new()).close(&mut Compressor::new(), Compression::None, None);
    let mut sequence = 0;
    print("seal with CRC-32C", || {
        sequence += 1;
        black_box(closed.seal(Producer { id: 1, epoch: 0, base_sequence: sequence }, false));
    });

    let words: Vec<u8> =
        (0..SIZE as u32 * 200).map(|i| b"abcdefgh"[(i.wrapping_mul(2_654_435_761) >> 29) as usize]).collect();
    let mut compressor = Compressor::new();
    let mut decompressor = Decompressor::new();
    for codec in Compression::ALL {
        let text = || {
            let mut builder = RecordBatchBuilder::new(BytesMut::with_capacity(16 * 1024 + 128));
            for i in 0..RECORDS {
                builder.append(i as i64, None, words.get(i * SIZE..(i + 1) * SIZE), &[]);
            }
            builder
        };
        let mut batch = text().close(&mut compressor, codec, None);
        let size = batch.size_in_bytes();
        print(&format!("{codec}: encode and close ({size} B)"), || {
            black_box(text().close(&mut compressor, codec, None));
        });
        let batch = RecordBatch::parse(batch.seal(Producer::NONE, false)).unwrap_or_else(|error| panic!("{error}"));
        print(&format!("{codec}: decode, borrowed"), || {
            let records = batch.records(&mut decompressor, 1 << 20).unwrap_or_else(|error| panic!("{error}"));
            for record in &records {
                black_box(record.map(|record| record.value.map(<[u8]>::len)).ok());
            }
        });
        print(&format!("{codec}: decode, as ranges"), || {
            let mut records = batch.records(&mut decompressor, 1 << 20).unwrap_or_else(|error| panic!("{error}"));
            while let Some(record) = records.next_ranges() {
                black_box(record.ok());
            }
        });
        print(&format!("{codec}: validate, with CRC"), || {
            black_box(batch.validate(&mut decompressor, 1 << 20).is_ok());
        });
    }
}

fn print(name: &str, mut round: impl FnMut()) {
    let once = |round: &mut dyn FnMut()| {
        let start = Instant::now();
        for _ in 0..ROUNDS / 7 {
            round();
        }
        start.elapsed().as_nanos() as f64 / (ROUNDS / 7 * RECORDS) as f64
    };
    let best = (0..7).map(|_| once(&mut round)).fold(f64::MAX, f64::min);
    println!("{name:40} {best:8.2}");
}
