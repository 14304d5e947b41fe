//! Statistics as JSON.

use std::ffi::c_char;

/// A text in memory of C's, so that a program may keep and free it.
#[derive(Debug)]
pub(crate) struct Json {
    text: *mut c_char,
    len: usize,
}

// SAFETY: the text is this value's alone.
unsafe impl Send for Json {}

impl Json {
    /// A copy of a text; `None` where there is no memory.
    pub(crate) fn new(text: &str) -> Option<Self> {
        // SAFETY: room for the text and its NUL byte.
        let copy = unsafe { libc::malloc(text.len() + 1) }.cast::<c_char>();
        if copy.is_null() {
            return None;
        }
        // SAFETY: as much was allocated, and the two do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), copy, text.len());
            copy.add(text.len()).write(0);
        }
        Some(Self { text: copy, len: text.len() })
    }

    pub(crate) fn as_ptr(&self) -> *const c_char {
        self.text
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The program keeps it, and frees it.
    pub(crate) fn give_away(mut self) {
        self.text = std::ptr::null_mut();
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        // SAFETY: it came from malloc, or is NULL.
        unsafe { libc::free(self.text.cast()) };
    }
}
