//! Gzip, snappy, lz4 and zstd, as Kafka frames them inside record batches.
//!
//! [`Compressor`] and [`Decompressor`] keep the codecs' contexts, whose creation would cost more than the work on a 16 KiB batch.
//! Every decompression has a limit in bytes, and no size that the bytes declare is believed before it is bounded by that limit and by
//! what the codec could make of so few bytes. Java knows this as `org.apache.kafka.common.compress`.

mod gzip;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;
mod zstd;

use std::fmt;
use std::str::FromStr;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Snappy, in xerial's framing.
    Snappy,
    /// Lz4's frame format.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// All five, in the order of their ids.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec of an id, as the lowest three bits of a batch's attributes have it.
    ///
    /// # Errors
    /// [`CompressionError::UnknownId`] for 5, 6 and 7.
    pub fn from_id(id: u8) -> Result<Self, CompressionError> {
        match id {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            other => Err(CompressionError::UnknownId(other)),
        }
    }

    /// The codec's id in a batch's attributes.
    pub fn id(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// The name, as in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that Kafka's `compression.<codec>.level` accepts, and the default; `None` for a codec without levels. Gzip also takes
    /// −1, which means its default.
    pub fn levels(self) -> Option<(std::ops::RangeInclusive<i32>, i32)> {
        match self {
            Self::None | Self::Snappy => None,
            Self::Gzip => Some((1..=9, gzip::DEFAULT_LEVEL)),
            Self::Lz4 => Some((1..=17, 9)),
            Self::Zstd => Some((-131_072..=22, zstd::DEFAULT_LEVEL)),
        }
    }

    /// Checks a level, where one is given.
    ///
    /// # Errors
    /// [`CompressionError::BadLevel`] where the codec does not have it.
    pub fn check_level(self, level: Option<i32>) -> Result<(), CompressionError> {
        let Some(level) = level else { return Ok(()) };
        match self.levels() {
            Some((range, _)) if range.contains(&level) => Ok(()),
            Some(_) if self == Self::Gzip && level == -1 => Ok(()),
            None => Ok(()),
            Some(_) => Err(CompressionError::BadLevel { codec: self, level }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| CompressionError::UnknownName(name.into()))
    }
}

/// What can go wrong between compressed bytes and plain ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// An id that Kafka has given to no codec.
    #[error("compression id {0} is not known")]
    UnknownId(u8),
    /// A name that is not one of the five.
    #[error("compression {0:?} is not known: none, gzip, snappy, lz4 and zstd are")]
    UnknownName(Box<str>),
    /// A level that the codec does not have.
    #[error("{codec} has no level {level}")]
    BadLevel {
        /// The codec.
        codec: Compression,
        /// The level asked for.
        level: i32,
    },
    /// The plain bytes would be more than the limit: perhaps a decompression bomb.
    #[error("{codec}: {compressed} compressed bytes hold more than the limit of {limit} bytes")]
    OverLimit {
        /// The codec.
        codec: Compression,
        /// The size of the compressed bytes.
        compressed: usize,
        /// The limit that was passed in.
        limit: usize,
    },
    /// Bytes that the codec cannot have written.
    #[error("{codec}: {reason}, near compressed byte {offset}")]
    Corrupt {
        /// The codec.
        codec: Compression,
        /// What is wrong.
        reason: &'static str,
        /// Where in the compressed bytes.
        offset: usize,
    },
    /// The codec failed to compress, for example for want of memory.
    #[error("{codec} failed to compress: {reason}")]
    Failed {
        /// The codec.
        codec: Compression,
        /// What it said.
        reason: &'static str,
    },
}

/// Compresses, and keeps what the codecs need for it from one batch to the next.
#[derive(Default)]
pub struct Compressor {
    gzip: gzip::Compressor,
    snappy: snappy::Compressor,
    lz4: lz4::Compressor,
    zstd: zstd::Compressor,
}

impl Compressor {
    /// A compressor without contexts: they are made when first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the compressed `input` to `output`. No level means the codec's default; lz4 and snappy have one speed, whatever the level.
    ///
    /// # Errors
    /// [`CompressionError::BadLevel`], and [`CompressionError::Failed`] where the codec is out of memory.
    pub fn compress(
        &mut self,
        codec: Compression,
        level: Option<i32>,
        input: &[u8],
        output: &mut Vec<u8>,
    ) -> Result<(), CompressionError> {
        codec.check_level(level)?;
        match codec {
            Compression::None => {
                output.extend_from_slice(input);
                Ok(())
            }
            Compression::Gzip => self.gzip.compress(level, input, output),
            Compression::Snappy => self.snappy.compress(input, output),
            Compression::Lz4 => self.lz4.compress(input, output),
            Compression::Zstd => self.zstd.compress(level, input, output),
        }
    }
}

/// Decompresses, and keeps what the codecs need for it from one batch to the next.
#[derive(Default)]
pub struct Decompressor {
    gzip: gzip::Decompressor,
    snappy: snappy::Decompressor,
    zstd: zstd::Decompressor,
    /// Plain bytes for each compressed byte of the last batch: the next batch of a topic is much like it, so the first buffer fits.
    ratio: usize,
}

impl Decompressor {
    /// A decompressor without contexts: they are made when first needed.
    pub fn new() -> Self {
        Self::default()
    }

    /// The plain bytes of `input`, at most `limit` of them.
    ///
    /// # Errors
    /// [`CompressionError::OverLimit`] where there would be more, [`CompressionError::Corrupt`] where the bytes are not the codec's.
    pub fn decompress(&mut self, codec: Compression, input: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
        let expected = input.len().saturating_mul(self.ratio.clamp(4, 32)).max(1024).min(limit);
        let output = match codec {
            Compression::None if input.len() > limit => return Err(over_limit(codec, input, limit)),
            Compression::None => return Ok(input.to_vec()),
            Compression::Gzip => self.gzip.decompress(input, limit, expected)?,
            Compression::Snappy => self.snappy.decompress(input, limit)?,
            Compression::Lz4 => lz4::decompress(input, limit, expected)?,
            Compression::Zstd => self.zstd.decompress(input, limit, expected)?,
        };
        self.ratio = output.len() / input.len().max(1) + 1;
        Ok(output)
    }
}

fn over_limit(codec: Compression, input: &[u8], limit: usize) -> CompressionError {
    CompressionError::OverLimit { codec, compressed: input.len(), limit }
}

/// Cuts `n` bytes off the front.
fn split<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(n)?;
    *rest = back;
    Some(front)
}

fn split_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (front, back) = rest.split_first_chunk::<N>()?;
    *rest = back;
    Some(*front)
}
