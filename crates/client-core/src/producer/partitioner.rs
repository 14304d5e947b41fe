//! Which partition a record goes to: by the hash of its key, or, without a key, the one that the producer sticks to for the time being.

use crate::config::Partitioner;

/// Java's murmur2 over a key.
pub fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h = 0x9747_b28c ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// CRC-32 (the one of Ethernet), as librdkafka's `consistent` takes it.
pub fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// 32-bit FNV-1a, as sarama takes it.
pub fn fnv1a(data: &[u8]) -> u32 {
    data.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Partitioner {
    /// The partition of a key among `count`, or `None` where this partitioner lets the record stick.
    pub fn partition(self, key: Option<&[u8]>, count: usize) -> Option<usize> {
        let hashes_all = matches!(self, Self::Murmur2 | Self::Consistent | Self::Fnv1a);
        let key = key.or(hashes_all.then_some(&[]))?;
        let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
        let partition = match self {
            Self::Murmur2Random | Self::Murmur2 => (murmur2(key) & 0x7fff_ffff) % count,
            // librdkafka treats an empty key as none.
            Self::ConsistentRandom if key.is_empty() => return None,
            Self::ConsistentRandom | Self::Consistent => crc32(key) % count,
            // sarama takes the absolute value of the signed remainder.
            Self::Fnv1aRandom | Self::Fnv1a => {
                let signed = i64::from(fnv1a(key).cast_signed()) % i64::from(count);
                u32::try_from(signed.abs()).unwrap_or_default()
            }
            Self::Random => return None,
        };
        usize::try_from(partition).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_java_s() {
        for (text, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("", 275_646_681),
        ] {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn those_that_hash_all_hash_no_key_as_an_empty_one() {
        for partitioner in [Partitioner::Murmur2, Partitioner::Consistent, Partitioner::Fnv1a] {
            assert_eq!(partitioner.partition(None, 7), partitioner.partition(Some(b""), 7));
            assert!(partitioner.partition(None, 7).is_some());
        }
    }

    #[test]
    fn crc32_and_fnv1a_are_the_known_ones() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }
}
