//! Lz4's frame format, as Kafka uses it: independent blocks of at most 64 KiB and no checksums but the header's, which is therefore
//! constant. The frame is made here around lz4_flex's blocks, which compress and decompress in place. Checksums of frames that others
//! wrote are skipped: the batch's own CRC-32C covers the same bytes.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, decompress_into_with_dict, get_maximum_output_size,
};

use super::{Compression, CompressionError, over_limit, split, split_array};

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// Version 1, independent blocks, no checksum, no size; blocks of 64 KiB; the second byte of the xxHash of these two.
const DESCRIPTOR: [u8; 3] = [0x60, 0x40, 0x82];
const BLOCK_SIZE: usize = 64 * 1024;
/// The bit of a block's size that says that the block is not compressed.
const PLAIN: u32 = 1 << 31;
/// No byte of a block makes more than 255.
const HIGHEST_RATIO: usize = 255;
/// How far back a block that is not independent may look.
const WINDOW: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Compressor {
    /// For blocks below 64 KiB less one, which need a smaller table.
    small: Option<CompressTable>,
    large: Option<CompressTable>,
}

impl Compressor {
    pub(super) fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        output.reserve(16 + input.len() / 2 + 64);
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&DESCRIPTOR);
        for block in input.chunks(BLOCK_SIZE) {
            let table = if block.len() < usize::from(u16::MAX) {
                self.small.get_or_insert_with(CompressTable::small)
            } else {
                self.large.get_or_insert_with(CompressTable::large)
            };
            let size_at = output.len();
            let start = size_at + 4;
            output.resize(start + get_maximum_output_size(block.len()), 0);
            let space = output.get_mut(start..).unwrap_or_default();
            let size = compress_into_with_table(block, space, table)
                .map_err(|_| CompressionError::Failed { codec: Compression::Lz4, reason: "a block failed" })?;
            let word = if size < block.len() {
                output.truncate(start + size);
                size as u32
            } else {
                output.truncate(start);
                output.extend_from_slice(block);
                block.len() as u32 | PLAIN
            };
            if let Some(at) = output.get_mut(size_at..start) {
                at.copy_from_slice(&word.to_le_bytes());
            }
        }
        output.extend_from_slice(&[0; 4]);
        Ok(())
    }
}

pub(super) fn decompress(input: &[u8], limit: usize, expected: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(expected);
    let mut rest = input;
    while !rest.is_empty() {
        frame(input, &mut rest, limit, &mut output)?;
    }
    Ok(output)
}

fn frame(input: &[u8], rest: &mut &[u8], limit: usize, output: &mut Vec<u8>) -> Result<(), CompressionError> {
    let at = input.len() - rest.len();
    let Some([m0, m1, m2, m3, flags, sizes]) = split_array::<6>(rest) else {
        return Err(corrupt("the frame's header is cut off", at));
    };
    if [m0, m1, m2, m3] != MAGIC || flags >> 6 != 1 {
        return Err(corrupt("not an lz4 frame", at));
    }
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let (independent, block_checksum, has_size, checksum, dictionary) = (flag(5), flag(4), flag(3), flag(2), flag(0));
    let largest_block = match sizes >> 4 & 7 {
        4 => BLOCK_SIZE,
        5 => 256 * 1024,
        6 => 1024 * 1024,
        7 => 4 * 1024 * 1024,
        _ => return Err(corrupt("a block size that does not exist", at)),
    };
    if dictionary {
        return Err(corrupt("a frame that needs a dictionary", at));
    }
    // The declared size is not needed, and the byte of checksum ends the header.
    split(rest, if has_size { 9 } else { 1 }).ok_or(corrupt("the frame's header is cut off", at))?;
    let frame_start = output.len();
    loop {
        let at = input.len() - rest.len();
        let word = u32::from_le_bytes(split_array(rest).ok_or(corrupt("a block's size is cut off", at))?);
        if word == 0 {
            break;
        }
        let size = (word & !PLAIN) as usize;
        if size > largest_block {
            return Err(corrupt("a block is larger than the frame allows", at));
        }
        let block = split(rest, size).ok_or(corrupt("a block is cut off", at))?;
        if block_checksum {
            split(rest, 4).ok_or(corrupt("a block's checksum is cut off", at))?;
        }
        if word & PLAIN != 0 {
            if size > limit - output.len() {
                return Err(over_limit(Compression::Lz4, input, limit));
            }
            output.extend_from_slice(block);
            continue;
        }
        let start = output.len();
        let possible = size.saturating_mul(HIGHEST_RATIO).min(largest_block);
        let left = limit - start;
        output.resize(start + possible.min(left), 0);
        let (before, space) = output.split_at_mut(start);
        let window = before.get(frame_start..).unwrap_or_default();
        let made = if independent || window.is_empty() {
            decompress_into(block, space)
        } else {
            decompress_into_with_dict(
                block,
                space,
                window.get(window.len().saturating_sub(WINDOW)..).unwrap_or_default(),
            )
        };
        match made {
            Ok(made) => output.truncate(start + made),
            // The block wanted more than its space, and its space was the limit's rest.
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if left < possible => {
                return Err(over_limit(Compression::Lz4, input, limit));
            }
            Err(_) => return Err(corrupt("not an lz4 block", at)),
        }
    }
    if checksum {
        let at = input.len() - rest.len();
        split(rest, 4).ok_or(corrupt("the frame's checksum is cut off", at))?;
    }
    Ok(())
}

fn corrupt(reason: &'static str, offset: usize) -> CompressionError {
    CompressionError::Corrupt { codec: Compression::Lz4, reason, offset }
}
