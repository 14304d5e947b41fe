//! Zstandard. Both directions work on whole buffers with a kept context: the streaming ones would copy through a window of their own,
//! whose size comes from the bytes.

use zstd::zstd_safe::zstd_sys::{ZSTD_EndDirective, ZSTD_ErrorCode};
use zstd::zstd_safe::{self, CCtx, CParameter, DCtx, InBuffer, OutBuffer, get_error_name};

use super::{Compression, CompressionError, over_limit};

pub(super) const DEFAULT_LEVEL: i32 = 3;
/// Above this many plain bytes for each compressed one, a declared size is not believed at once.
const PLAUSIBLE_RATIO: usize = 64;

#[derive(Default)]
pub(super) struct Compressor {
    context: Option<(i32, CCtx<'static>)>,
}

impl Compressor {
    pub(super) fn compress(
        &mut self,
        level: Option<i32>,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        let failed = |reason| CompressionError::Failed { codec: Compression::Zstd, reason };
        let level = level.unwrap_or(DEFAULT_LEVEL);
        let context = match &mut self.context {
            Some((at, context)) if *at == level => context,
            other => {
                let mut context = CCtx::try_create().ok_or(failed("no memory for a context"))?;
                context
                    .set_parameter(CParameter::CompressionLevel(level))
                    .map_err(|code| failed(get_error_name(code)))?;
                &mut other.insert((level, context)).1
            }
        };
        let start = output.len();
        // With room for the worst case, one call does it all, straight into the output.
        output.reserve(zstd_safe::compress_bound(input.len()));
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around_pos(output, start);
        match context.compress_stream2(&mut target, &mut source, ZSTD_EndDirective::ZSTD_e_end) {
            Ok(0) => Ok(()),
            outcome => {
                self.context = None;
                Err(failed(outcome.map_or_else(get_error_name, |_| "more than the worst case")))
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Decompressor {
    context: Option<DCtx<'static>>,
}

impl Decompressor {
    pub(super) fn decompress(
        &mut self,
        input: &[u8],
        limit: usize,
        expected: usize,
    ) -> Result<Vec<u8>, CompressionError> {
        let corrupt = |reason| CompressionError::Corrupt { codec: Compression::Zstd, reason, offset: 0 };
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(DCtx::try_create().ok_or(corrupt("no memory for a context"))?),
        };
        let declared = zstd_safe::get_frame_content_size(input).ok().flatten();
        let mut capacity = match declared.map(|size| usize::try_from(size).unwrap_or(usize::MAX)) {
            Some(size) if size <= input.len().saturating_mul(PLAUSIBLE_RATIO) => size.min(limit),
            _ => expected,
        };
        // Writers that stream do not declare a size: then the buffer grows until it fits.
        loop {
            let mut output = Vec::with_capacity(capacity);
            let capacity_had = output.capacity();
            match context.decompress(&mut output, input) {
                Ok(_) if output.len() > limit => return Err(over_limit(Compression::Zstd, input, limit)),
                Ok(_) => return Ok(output),
                Err(code) if code == too_small() => {
                    if capacity_had >= limit {
                        return Err(over_limit(Compression::Zstd, input, limit));
                    }
                    capacity = capacity_had.saturating_mul(2).max(1024).min(limit);
                }
                Err(code) => return Err(corrupt(get_error_name(code))),
            }
        }
    }
}

/// How zstd says that the output does not fit: its error codes are the negated values of this enum.
fn too_small() -> usize {
    (ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg()
}
