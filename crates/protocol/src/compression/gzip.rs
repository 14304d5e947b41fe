//! Gzip (RFC 1952). Header and trailer are written and read here, because the deflate contexts can be reset only without them.

use flate2::{Compress, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Compression, CompressionError, over_limit, split, split_array};

pub(super) const DEFAULT_LEVEL: i32 = 6;
/// No name, no time, no extra fields, an unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

#[derive(Default)]
pub(super) struct Compressor {
    context: Option<(u32, Compress)>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        level: Option<i32>,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let level = level.and_then(|level| u32::try_from(level).ok()).unwrap_or(DEFAULT_LEVEL as u32);
        let context = match &mut self.context {
            Some((at, context)) if *at == level => {
                context.reset();
                context
            }
            other => &mut other.insert((level, Compress::new(flate2::Compression::new(level), false))).1,
        };
        output.reserve(HEADER.len() + input.len() / 2 + 64);
        output.extend_from_slice(&HEADER);
        let mut rest = input;
        loop {
            let before = context.total_in();
            let status = context
                .compress_vec(rest, output, FlushCompress::Finish)
                .map_err(|_| CompressionError::Failed { codec: Compression::Gzip, reason: "deflate failed" })?;
            rest = rest.get((context.total_in() - before) as usize..).unwrap_or_default();
            if status == Status::StreamEnd {
                break;
            }
            output.reserve(rest.len() / 2 + 64);
        }
        let mut crc = Crc::new();
        crc.update(input);
        output.extend_from_slice(&crc.sum().to_le_bytes());
        output.extend_from_slice(&(input.len() as u32).to_le_bytes());
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    context: Option<Decompress>,
}

impl Decompressor {
    /// Reads one member after another, as Java does.
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        limit: usize,
        expected: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        let mut output = Vec::with_capacity(expected);
        let mut rest = input;
        loop {
            let at = input.len() - rest.len();
            skip_header(&mut rest).ok_or(corrupt("not a gzip header", at))?;
            let start = output.len();
            self.inflate(input, &mut rest, &mut output, limit)?;
            let at = input.len() - rest.len();
            let (Some(sum), Some(size)) = (split_array(&mut rest), split_array(&mut rest)) else {
                return Err(corrupt("the trailer is cut off", at));
            };
            let plain = output.get(start..).unwrap_or_default();
            let mut crc = Crc::new();
            crc.update(plain);
            if crc.sum() != u32::from_le_bytes(sum) || plain.len() as u32 != u32::from_le_bytes(size) {
                return Err(corrupt("the checksum is wrong", at));
            }
            if rest.is_empty() {
                return Ok(output);
            }
        }
    }

    fn inflate(
        &mut self,
        input: &[u8],
        rest: &mut &[u8],
        output: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), CompressionError> {
        let context = self.context.get_or_insert_with(|| Decompress::new(false));
        context.reset(false);
        loop {
            let (taken, made) = (context.total_in(), context.total_out());
            let at = input.len() - rest.len();
            let status = context
                .decompress_vec(rest, output, FlushDecompress::None)
                .map_err(|_| corrupt("not deflated bytes", at))?;
            let (taken, made) = (context.total_in() - taken, context.total_out() - made);
            *rest = rest.get(taken as usize..).unwrap_or_default();
            if output.len() > limit {
                return Err(over_limit(Compression::Gzip, input, limit));
            }
            if status == Status::StreamEnd {
                return Ok(());
            }
            if output.len() < output.capacity() {
                if taken == 0 && made == 0 {
                    return Err(corrupt("the deflated bytes are cut off", input.len() - rest.len()));
                }
            } else {
                // One byte past the limit is enough to know that there is more.
                output.reserve_exact(output.len().clamp(1024, 1 << 20).min(limit + 1 - output.len()));
            }
        }
    }
}

/// Skips a member's header with all that may be in it.
fn skip_header(rest: &mut &[u8]) -> Option<()> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let [0x1f, 0x8b, 8, flags, ..] = split_array::<10>(rest)? else { return None };
    if flags & EXTRA != 0 {
        let length = u16::from_le_bytes(split_array(rest)?);
        split(rest, length.into())?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            split(rest, end + 1)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        split(rest, 2)?;
    }
    Some(())
}

fn corrupt(reason: &'static str, offset: usize) -> CompressionError {
    CompressionError::Corrupt { codec: Compression::Gzip, reason, offset }
}
