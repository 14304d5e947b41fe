//! Snappy. Kafka's Java code frames it as the library xerial does: a header of 16 bytes, then blocks with their compressed size in front.
//! Other clients have written one bare block, so that is read too.

use super::{Compression, CompressionError, over_limit, split, split_array};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// The format's version, and the oldest version that can read it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// The most plain bytes that Java puts into one block.
const BLOCK_SIZE: usize = 32 * 1024;
/// No element of the format makes more than 64 bytes of three.
const HIGHEST_RATIO: usize = 22;

#[derive(Default)]
pub(super) struct Compressor {
    context: Option<Box<snap::raw::Encoder>>,
}

impl Compressor {
    pub(super) fn compress(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), CompressionError> {
        let context = self.context.get_or_insert_with(|| Box::new(snap::raw::Encoder::new()));
        output.reserve(16 + input.len() / 2 + 64);
        output.extend_from_slice(&MAGIC);
        output.extend_from_slice(&VERSIONS);
        for block in input.chunks(BLOCK_SIZE) {
            let size_at = output.len();
            let start = size_at + 4;
            output.resize(start + snap::raw::max_compress_len(block.len()), 0);
            let space = output.get_mut(start..).unwrap_or_default();
            let size = context
                .compress(block, space)
                .map_err(|_| CompressionError::Failed { codec: Compression::Snappy, reason: "a block failed" })?;
            output.truncate(start + size);
            if let Some(at) = output.get_mut(size_at..start) {
                at.copy_from_slice(&(size as u32).to_be_bytes());
            }
        }
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    context: snap::raw::Decoder,
}

impl Decompressor {
    pub(super) fn decompress(&mut self, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::new();
        if !input.starts_with(&MAGIC) {
            self.block(input, input, 0, limit, &mut output)?;
            return Ok(output);
        }
        let mut rest = input;
        while !rest.is_empty() {
            let at = input.len() - rest.len();
            // Streams may follow one another, each with its header.
            if rest.starts_with(&MAGIC) {
                split(&mut rest, MAGIC.len() + VERSIONS.len()).ok_or(corrupt("the header is cut off", at))?;
                continue;
            }
            let size = split_array(&mut rest).ok_or(corrupt("a block's size is cut off", at))?;
            let block = split(&mut rest, u32::from_be_bytes(size) as usize).ok_or(corrupt("a block is cut off", at))?;
            self.block(input, block, at + 4, limit, &mut output)?;
        }
        Ok(output)
    }

    fn block(
        &mut self,
        input: &[u8],
        block: &[u8],
        at: usize,
        limit: usize,
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let declared = snap::raw::decompress_len(block).map_err(|_| corrupt("not a snappy block", at))?;
        if declared > limit - output.len() {
            return Err(over_limit(Compression::Snappy, input, limit));
        }
        if declared > block.len().saturating_mul(HIGHEST_RATIO) {
            return Err(corrupt("a block declares more than its bytes can hold", at));
        }
        let start = output.len();
        output.resize(start + declared, 0);
        let space = output.get_mut(start..).unwrap_or_default();
        match self.context.decompress(block, space) {
            Ok(made) if made == declared => Ok(()),
            _ => Err(corrupt("not a snappy block", at)),
        }
    }
}

fn corrupt(reason: &'static str, offset: usize) -> CompressionError {
    CompressionError::Corrupt { codec: Compression::Snappy, reason, offset }
}
