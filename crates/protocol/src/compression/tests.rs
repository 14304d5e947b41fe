use super::*;
use proptest::prelude::*;

fn round_trip(codec: Compression, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    let mut compressed = b"gap".to_vec();
    Compressor::new().compress(codec, level, plain, &mut compressed).unwrap();
    assert_eq!(&compressed[..3], b"gap");
    assert_eq!(Decompressor::new().decompress(codec, &compressed[3..], plain.len()).unwrap(), plain, "{codec}");
    compressed.split_off(3)
}

/// Bytes that do not compress, the same in every run.
pub(crate) fn noise(n: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) as u8
    };
    (0..n).map(|_| step(&mut state)).collect()
}

#[test]
fn every_codec_gives_back_what_it_was_given() {
    for codec in Compression::ALL {
        for size in [0, 1, 100, 32_768, 32_769, 65_534, 65_535, 65_536, 65_537, 300_000] {
            round_trip(codec, None, &noise(size));
            round_trip(codec, None, &vec![b'x'; size]);
        }
    }
}

#[test]
fn contexts_are_used_again_at_any_level() {
    let mut compressor = Compressor::new();
    let mut decompressor = Decompressor::new();
    for level in [1, 9, 9, 3, -1, 6] {
        for codec in [Compression::Gzip, Compression::Zstd] {
            let mut output = Vec::new();
            let plain = format!("level {level} ").repeat(1000);
            compressor.compress(codec, Some(level), plain.as_bytes(), &mut output).unwrap();
            assert_eq!(decompressor.decompress(codec, &output, 1 << 20).unwrap(), plain.as_bytes());
        }
    }
}

#[test]
fn levels_are_kafkas() {
    for (codec, good, bad) in [
        (Compression::Gzip, [-1, 1, 9], [0, 10]),
        (Compression::Lz4, [1, 9, 17], [0, 18]),
        (Compression::Zstd, [-131_072, 0, 22], [-131_073, 23]),
    ] {
        for level in good {
            codec.check_level(Some(level)).unwrap();
        }
        for level in bad {
            assert_eq!(codec.check_level(Some(level)), Err(CompressionError::BadLevel { codec, level }));
        }
    }
}

#[test]
fn a_bomb_meets_its_limit() {
    for codec in Compression::ALL {
        let mut bomb = Vec::new();
        Compressor::new().compress(codec, None, &vec![0; 5_000_000], &mut bomb).unwrap();
        for limit in [0, 1, 1000, 100_000, 4_999_999] {
            let error = Decompressor::new().decompress(codec, &bomb, limit).unwrap_err();
            assert_eq!(error, CompressionError::OverLimit { codec, compressed: bomb.len(), limit });
        }
        assert_eq!(Decompressor::new().decompress(codec, &bomb, 5_000_000).unwrap().len(), 5_000_000);
    }
}

#[test]
fn a_size_that_snappy_only_declares_allocates_nothing() {
    // 4 GiB − 1, and then three bytes.
    let liar = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, b'x', b'y'];
    let error = Decompressor::new().decompress(Compression::Snappy, &liar, usize::MAX).unwrap_err();
    assert!(matches!(error, CompressionError::Corrupt { .. }), "{error}");
}

#[test]
fn a_bare_snappy_block_is_read() {
    let plain = b"bare ".repeat(100);
    let block = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(Decompressor::new().decompress(Compression::Snappy, &block, 500).unwrap(), plain);
}

#[test]
fn lz4_frames_of_other_writers_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use std::io::Write as _;
    let plain = [noise(70_000), b"again and ".repeat(30_000)].concat();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
            let info = FrameInfo::new()
                .block_mode(mode)
                .block_size(size)
                .block_checksums(true)
                .content_checksum(true)
                .content_size(Some(plain.len() as u64));
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(&plain).unwrap();
            let frame = encoder.finish().unwrap();
            assert_eq!(Decompressor::new().decompress(Compression::Lz4, &frame, plain.len()).unwrap(), plain);
        }
    }
}

#[test]
fn our_lz4_frames_are_lz4_frames() {
    let plain = [noise(70_000), b"again and ".repeat(30_000)].concat();
    let mut frame = Vec::new();
    Compressor::new().compress(Compression::Lz4, None, &plain, &mut frame).unwrap();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(&frame[..]), &mut read).unwrap();
    assert_eq!(read, plain);
}

proptest! {
    #[test]
    fn any_bytes_survive(codec in 0_u8..5, plain in proptest::collection::vec(any::<u8>(), 0..3000)) {
        round_trip(Compression::from_id(codec).unwrap(), None, &plain);
    }

    #[test]
    fn any_bytes_are_an_error_at_worst(codec in 0_u8..5, bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Decompressor::new().decompress(Compression::from_id(codec).unwrap(), &bytes, 10_000);
    }

    #[test]
    fn a_flipped_byte_is_an_error_at_worst(codec in 1_u8..5, at in any::<proptest::sample::Index>(), flip in 1_u8..=255) {
        let codec = Compression::from_id(codec).unwrap();
        let mut bytes = round_trip(codec, None, &[noise(500), vec![7; 500]].concat());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(plain) = Decompressor::new().decompress(codec, &bytes, 10_000) {
            prop_assert!(plain.len() <= 10_000);
        }
    }

    #[test]
    fn a_cut_off_end_is_an_error_or_less(codec in 1_u8..5, at in any::<proptest::sample::Index>()) {
        let codec = Compression::from_id(codec).unwrap();
        let bytes = round_trip(codec, None, &[noise(500), vec![7; 500]].concat());
        let cut = &bytes[..at.index(bytes.len())];
        if let Ok(plain) = Decompressor::new().decompress(codec, cut, 10_000) {
            // Only whole blocks of xerial's framing may be missing, and empty input is an empty stream to lz4 and zstd.
            prop_assert!(plain.is_empty());
        }
    }
}
