//! Zigzag variable-length integers over plain slices, for the hot path.

use crate::primitives::DecodeErrorKind;

pub(super) fn zigzag32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

pub(super) fn zigzag64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Bytes that an unsigned value takes: one for each seven bits, and one for zero.
pub(super) fn unsigned_size(value: u64) -> usize {
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Bytes that a signed 32-bit value takes.
pub(super) fn size32(value: i32) -> usize {
    unsigned_size(zigzag32(value).into())
}

/// Writes an unsigned value at `at` and returns where it ends.
#[inline]
pub(super) fn write_unsigned<const N: usize>(buffer: &mut [u8; N], mut at: usize, mut value: u64) -> usize {
    while value >= 0x80 {
        buffer[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    buffer[at] = value as u8;
    at + 1
}

/// Reads a 32-bit value and moves `at` behind it.
#[inline(always)]
pub(super) fn read32(bytes: &[u8], at: &mut usize) -> Result<i32, DecodeErrorKind> {
    // The lengths and deltas of small records take one byte or two.
    match bytes.get(*at..) {
        Some([first, ..]) if first & 0x80 == 0 => {
            *at += 1;
            Ok(unzigzag32(u32::from(*first)))
        }
        Some([first, second, ..]) if second & 0x80 == 0 => {
            *at += 2;
            Ok(unzigzag32(u32::from(first & 0x7f) | u32::from(*second) << 7))
        }
        _ => {
            let value = read_unsigned(bytes, at, 5)?;
            Ok(unzigzag32(u32::try_from(value).map_err(|_| DecodeErrorKind::BadVarint)?))
        }
    }
}

/// Reads a 64-bit value and moves `at` behind it.
#[inline(always)]
pub(super) fn read64(bytes: &[u8], at: &mut usize) -> Result<i64, DecodeErrorKind> {
    if let Some(byte) = bytes.get(*at).filter(|byte| *byte & 0x80 == 0) {
        *at += 1;
        return Ok(unzigzag32(u32::from(*byte)).into());
    }
    let value = read_unsigned(bytes, at, 10)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

#[inline]
fn unzigzag32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[inline(never)]
fn read_unsigned(bytes: &[u8], at: &mut usize, most: usize) -> Result<u64, DecodeErrorKind> {
    let rest = bytes.get(*at..).unwrap_or_default();
    let mut value = 0_u64;
    for (i, byte) in rest.iter().take(most).enumerate() {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if i == 9 && bits > 1 {
            return Err(DecodeErrorKind::BadVarint);
        }
        value |= bits << (7 * i);
        if byte & 0x80 == 0 {
            *at += i + 1;
            return Ok(value);
        }
    }
    if rest.len() < most {
        return Err(DecodeErrorKind::Truncated { needed: rest.len() + 1, left: rest.len() });
    }
    Err(DecodeErrorKind::BadVarint)
}
