//! `rd_kafka_Uuid_t`: the id of a topic.

use std::ffi::{CStr, c_char};

use crate::boundary::guard;

/// `rd_kafka_Uuid_t`.
#[derive(Debug)]
pub struct Uuid {
    most_significant_bits: i64,
    least_significant_bits: i64,
    /// Base 64 without padding: 22 letters.
    text: [u8; 23],
}

impl Uuid {
    /// An id of two halves.
    pub(crate) fn new(most_significant_bits: i64, least_significant_bits: i64) -> Self {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let bits = u128::from(most_significant_bits.cast_unsigned()) << 64
            | u128::from(least_significant_bits.cast_unsigned());
        let mut text = [0; 23];
        // 128 bits are 21 letters of six and one of two, which has four zeros behind it.
        for (index, letter) in text.iter_mut().take(22).enumerate() {
            let six = if index < 21 { bits >> (122 - 6 * index) } else { bits << 4 } & 63;
            *letter = LETTERS.get(six as usize).copied().unwrap_or_default();
        }
        Self { most_significant_bits, least_significant_bits, text }
    }
}

/// An id of two halves; freed by [`rd_kafka_Uuid_destroy`].
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_Uuid_new(most_significant_bits: i64, least_significant_bits: i64) -> *mut Uuid {
    guard(std::ptr::null_mut(), || Box::into_raw(Box::new(Uuid::new(most_significant_bits, least_significant_bits))))
}

/// A copy; freed by [`rd_kafka_Uuid_destroy`].
///
/// # Safety
/// `uuid` is NULL or an id of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_Uuid_copy(uuid: *const Uuid) -> *mut Uuid {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `uuid`.
        let uuid = unsafe { uuid.as_ref() };
        uuid.map_or(std::ptr::null_mut(), |uuid| {
            rd_kafka_Uuid_new(uuid.most_significant_bits, uuid.least_significant_bits)
        })
    })
}

/// Frees an id; NULL is nothing.
///
/// # Safety
/// `uuid` is NULL or came from [`rd_kafka_Uuid_new`] or [`rd_kafka_Uuid_copy`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_Uuid_destroy(uuid: *mut Uuid) {
    guard((), || {
        if !uuid.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(uuid) });
        }
    });
}

/// The id in base 64, without padding, valid as long as the id.
///
/// # Safety
/// `uuid` is NULL or an id of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_Uuid_base64str(uuid: *const Uuid) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for `uuid`.
        let uuid = unsafe { uuid.as_ref() };
        uuid.and_then(|uuid| CStr::from_bytes_until_nul(&uuid.text).ok()).map_or(std::ptr::null(), CStr::as_ptr)
    })
}

/// The first half of the id.
///
/// # Safety
/// `uuid` is NULL or an id of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_Uuid_most_significant_bits(uuid: *const Uuid) -> i64 {
    // SAFETY: the caller vouches for `uuid`.
    guard(0, || unsafe { uuid.as_ref() }.map_or(0, |uuid| uuid.most_significant_bits))
}

/// The second half of the id.
///
/// # Safety
/// `uuid` is NULL or an id of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_Uuid_least_significant_bits(uuid: *const Uuid) -> i64 {
    // SAFETY: the caller vouches for `uuid`.
    guard(0, || unsafe { uuid.as_ref() }.map_or(0, |uuid| uuid.least_significant_bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_text_that_librdkafka_gives_them() {
        let uuid = Uuid::new(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210_u64.cast_signed());
        assert_eq!(CStr::from_bytes_until_nul(&uuid.text).unwrap(), c"ASNFZ4mrze/+3LqYdlQyEA");
        assert_eq!(CStr::from_bytes_until_nul(&Uuid::new(0, 0).text).unwrap(), c"AAAAAAAAAAAAAAAAAAAAAA");
    }
}
