//! `rd_kafka_headers_t`: headers as programs build and read them. Names and values are copied, and end in a NUL byte that does not count.

use std::ffi::{CStr, c_char, c_void};

use felice::protocol::records;

use crate::boundary::{bytes, guard};
use crate::types::RespErr;

/// One header: name, NUL, value, NUL, in one block.
#[derive(Clone, Debug)]
struct Header {
    block: Box<[u8]>,
    name: usize,
    /// The value's length; none for a header without a value.
    value: Option<usize>,
}

impl Header {
    fn new(name: &[u8], value: Option<&[u8]>) -> Self {
        let mut block = Vec::with_capacity(name.len() + value.map_or(0, <[u8]>::len) + 2);
        block.extend_from_slice(name);
        block.push(0);
        if let Some(value) = value {
            block.extend_from_slice(value);
            block.push(0);
        }
        Self { block: block.into(), name: name.len(), value: value.map(<[u8]>::len) }
    }

    fn name(&self) -> &[u8] {
        self.block.get(..self.name).unwrap_or_default()
    }

    fn value(&self) -> Option<&[u8]> {
        let from = self.name + 1;
        self.value.map(|length| self.block.get(from..from + length).unwrap_or_default())
    }

    /// Hands name and value out, where they are wanted.
    ///
    /// # Safety
    /// All three are NULL or writable.
    unsafe fn hand_out(&self, name: *mut *const c_char, value: *mut *const c_void, size: *mut usize) {
        // SAFETY: the caller vouches for all three.
        unsafe {
            if let Some(name) = name.as_mut() {
                *name = self.block.as_ptr().cast();
            }
            if let Some(value) = value.as_mut() {
                *value = self.value().map_or(std::ptr::null(), |value| value.as_ptr().cast());
            }
            if let Some(size) = size.as_mut() {
                *size = self.value.unwrap_or(0);
            }
        }
    }
}

/// `rd_kafka_headers_t`.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    list: Vec<Header>,
}

impl Headers {
    /// The headers of a record.
    pub(crate) fn read(wire: records::Headers<'_>) -> Self {
        Self { list: wire.map(|header| Header::new(header.key, header.value)).collect() }
    }

    pub(crate) fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.list.push(Header::new(name, value));
    }

    /// Names and values, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.list.iter().map(|header| (header.name(), header.value()))
    }

    /// About how many bytes they take in a record.
    pub(crate) fn size(&self) -> usize {
        self.list.iter().map(|header| header.block.len() + 2).sum()
    }

    /// Those of a name.
    fn named(&self, name: &CStr) -> impl DoubleEndedIterator<Item = &Header> {
        self.list.iter().filter(move |header| header.name() == name.to_bytes())
    }
}

/// The bytes of a name or value whose length may be told by its NUL byte.
///
/// # Safety
/// `data` is NULL or has `size` bytes, or, where `size` is −1, ends in a NUL byte.
pub(crate) unsafe fn sized<'a>(data: *const c_void, size: libc::ssize_t) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    match usize::try_from(size) {
        // SAFETY: the caller vouches for the size.
        Ok(size) => unsafe { bytes(data, size) },
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        Err(_) => Some(unsafe { CStr::from_ptr(data.cast()) }.to_bytes()),
    }
}

/// New headers, none at first.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_headers_new(initial_count: usize) -> *mut Headers {
    guard(std::ptr::null_mut(), || {
        let list = Vec::with_capacity(initial_count.min(1024));
        Box::into_raw(Box::new(Headers { list }))
    })
}

/// Frees headers that no message has taken.
///
/// # Safety
/// `hdrs` is NULL or came from a call that gives headers away, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_headers_destroy(hdrs: *mut Headers) {
    guard((), || {
        if !hdrs.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(hdrs) });
        }
    });
}

/// A copy of headers.
///
/// # Safety
/// `src` is NULL or came from a call that gives headers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_headers_copy(src: *const Headers) -> *mut Headers {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `src`.
        let src = unsafe { src.as_ref() };
        src.map_or(std::ptr::null_mut(), |src| Box::into_raw(Box::new(src.clone())))
    })
}

/// Adds a header behind those there are. A size of −1 is that up to the NUL byte; a value of NULL is none.
///
/// # Safety
/// `hdrs` came from a call that gives headers; name and value have their sizes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_add(
    hdrs: *mut Headers,
    name: *const c_char,
    name_size: libc::ssize_t,
    value: *const c_void,
    value_size: libc::ssize_t,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for all three.
        let (hdrs, name, value) = unsafe { (hdrs.as_mut(), sized(name.cast(), name_size), sized(value, value_size)) };
        let (Some(hdrs), Some(name)) = (hdrs, name) else { return RespErr::INVALID_ARG };
        hdrs.add(name, value);
        RespErr::NO_ERROR
    })
}

/// Removes all headers of a name; `__NOENT` where there is none.
///
/// # Safety
/// `hdrs` came from a call that gives headers; `name` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_remove(hdrs: *mut Headers, name: *const c_char) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(hdrs), false) = (unsafe { hdrs.as_mut() }, name.is_null()) else { return RespErr::INVALID_ARG };
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        let name = unsafe { CStr::from_ptr(name) }.to_bytes();
        let before = hdrs.list.len();
        hdrs.list.retain(|header| header.name() != name);
        if hdrs.list.len() < before { RespErr::NO_ERROR } else { RespErr::NOENT }
    })
}

/// Finds the last header of a name; `__NOENT` where there is none. What is handed out is the headers' own.
///
/// # Safety
/// `hdrs` came from a call that gives headers; `name` ends in a NUL byte; the others are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_get_last(
    hdrs: *const Headers,
    name: *const c_char,
    valuep: *mut *const c_void,
    sizep: *mut usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(hdrs), false) = (unsafe { hdrs.as_ref() }, name.is_null()) else { return RespErr::INVALID_ARG };
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        let Some(header) = hdrs.named(unsafe { CStr::from_ptr(name) }).next_back() else { return RespErr::NOENT };
        // SAFETY: the caller vouches for both places.
        unsafe { header.hand_out(std::ptr::null_mut(), valuep, sizep) };
        RespErr::NO_ERROR
    })
}

/// Finds the header of a name that has `idx` others before it; `__NOENT` where there are not so many.
///
/// # Safety
/// As for [`rd_kafka_header_get_last`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_get(
    hdrs: *const Headers,
    idx: usize,
    name: *const c_char,
    valuep: *mut *const c_void,
    sizep: *mut usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        let (Some(hdrs), false) = (unsafe { hdrs.as_ref() }, name.is_null()) else { return RespErr::INVALID_ARG };
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        let Some(header) = hdrs.named(unsafe { CStr::from_ptr(name) }).nth(idx) else { return RespErr::NOENT };
        // SAFETY: the caller vouches for both places.
        unsafe { header.hand_out(std::ptr::null_mut(), valuep, sizep) };
        RespErr::NO_ERROR
    })
}

/// The header that has `idx` others before it; `__NOENT` where there are not so many.
///
/// # Safety
/// `hdrs` came from a call that gives headers; the others are NULL or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_get_all(
    hdrs: *const Headers,
    idx: usize,
    namep: *mut *const c_char,
    valuep: *mut *const c_void,
    sizep: *mut usize,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for the headers.
        let Some(hdrs) = (unsafe { hdrs.as_ref() }) else { return RespErr::INVALID_ARG };
        let Some(header) = hdrs.list.get(idx) else { return RespErr::NOENT };
        // SAFETY: the caller vouches for all three places.
        unsafe { header.hand_out(namep, valuep, sizep) };
        RespErr::NO_ERROR
    })
}

/// How many headers there are.
///
/// # Safety
/// `hdrs` is NULL or came from a call that gives headers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_header_cnt(hdrs: *const Headers) -> usize {
    // SAFETY: the caller vouches for the headers.
    guard(0, || unsafe { hdrs.as_ref() }.map_or(0, |hdrs| hdrs.list.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_none_is_not_an_empty_one_and_both_are_kept_in_order() {
        let mut headers = Headers::default();
        headers.add(b"a", Some(b"1"));
        headers.add(b"b", None);
        headers.add(b"a", Some(b""));
        let all: Vec<_> = headers.iter().collect();
        assert_eq!(all, [(&b"a"[..], Some(&b"1"[..])), (b"b", None), (b"a", Some(b""))]);
        assert_eq!(headers.named(c"a").count(), 2);
        assert_eq!(headers.named(c"b").next().unwrap().value(), None);
    }
}
