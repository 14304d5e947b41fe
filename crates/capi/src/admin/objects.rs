//! What the objects of the Admin API have in common: arrays that are lent, strings, and exports that only read a field or free an object.

use std::ffi::CString;

/// A text for C; what is behind a NUL byte is lost.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

/// Objects that are lent to C as an array of pointers.
#[derive(Debug)]
pub(crate) struct Array<T>(Vec<*mut T>);

// SAFETY: the objects are this value's alone.
unsafe impl<T: Send> Send for Array<T> {}

impl<T> Default for Array<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().map(|item| Box::into_raw(Box::new(item))).collect())
    }
}

impl<T: Clone> Clone for Array<T> {
    fn clone(&self) -> Self {
        self.iter().cloned().collect()
    }
}

impl<T> Array<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.0.push(Box::into_raw(Box::new(item)));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        // SAFETY: each came from `Box::into_raw` and is this value's until it is dropped.
        self.0.iter().filter_map(|item| unsafe { item.as_ref() })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The object at an index; NULL behind the last.
    pub(crate) fn get(&self, index: usize) -> *const T {
        self.0.get(index).map_or(std::ptr::null(), |item| item.cast_const())
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        for item in self.0.drain(..) {
            // SAFETY: it came from `Box::into_raw`, and what C was lent ends with this value.
            drop(unsafe { Box::from_raw(item) });
        }
    }
}

/// The array's address, NULL for an empty one or for none, and its length through `cntp`.
///
/// # Safety
/// `cntp` is NULL or writable.
pub(crate) unsafe fn lend<T>(array: Option<&Array<T>>, cntp: *mut usize) -> *const *const T {
    let count = array.map_or(0, Array::len);
    // SAFETY: the caller vouches for it.
    if let Some(place) = unsafe { cntp.as_mut() } {
        *place = count;
    }
    match array {
        Some(array) if count > 0 => array.0.as_ptr().cast(),
        Some(_) | None => std::ptr::null(),
    }
}

/// The objects of an array of C's.
///
/// # Safety
/// `items` is NULL or has `count` pointers, each NULL or to an object that lives as long as the answer is in use.
pub(crate) unsafe fn taken<'a, T>(items: *const *mut T, count: usize) -> Vec<&'a T> {
    if items.is_null() {
        return Vec::new();
    }
    // SAFETY: the caller vouches for so many pointers.
    let items = unsafe { std::slice::from_raw_parts(items, count) };
    // SAFETY: the caller vouches for each.
    items.iter().filter_map(|item| unsafe { item.as_ref() }).collect()
}

/// Exports that read something of an object.
macro_rules! getters {
    ($of:ty; $($(#[$doc:meta])* $name:ident -> $answer:ty = $failure:expr, $read:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// The argument is NULL or an object of this library's that is not destroyed.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(of: *const $of) -> $answer {
                let read: fn(&$of) -> $answer = $read;
                // SAFETY: the caller vouches for the object.
                $crate::boundary::guard($failure, || unsafe { of.as_ref() }.map_or($failure, read))
            }
        )*
    };
    // Arrays of objects, whose number goes through `cntp`.
    ($of:ty [array]; $($(#[$doc:meta])* $name:ident -> $item:ty = $read:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// Its length goes through `cntp`; it lives as long as the object.
            ///
            /// # Safety
            /// The first argument is NULL or an object of this library's that is not destroyed; `cntp` is NULL or writable.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(of: *const $of, cntp: *mut usize) -> *const *const $item {
                let read: fn(&$of) -> Option<&$crate::admin::Array<$item>> = $read;
                $crate::boundary::guard(std::ptr::null(), || {
                    // SAFETY: the caller vouches for the object.
                    let array = unsafe { of.as_ref() }.and_then(read);
                    // SAFETY: the caller vouches for `cntp`.
                    unsafe { $crate::admin::lend(array, cntp) }
                })
            }
        )*
    };
}
pub(crate) use getters;

/// Exports that free an object, or all of an array.
macro_rules! destroyers {
    ($($of:ty: $one:ident $($all:ident)?;)*) => {
        $(
            /// Frees an object; NULL is nothing.
            ///
            /// # Safety
            /// `object` is NULL or one that the program was given to keep, and is not used again.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $one(object: *mut $of) {
                $crate::boundary::guard((), || {
                    if !object.is_null() {
                        // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
                        drop(unsafe { Box::from_raw(object) });
                    }
                });
            }
            $(
                /// Frees the objects of an array, but not the array.
                ///
                /// # Safety
                /// `objects` has `count` pointers, each as for the function that frees one.
                #[unsafe(no_mangle)]
                pub unsafe extern "C" fn $all(objects: *const *mut $of, count: usize) {
                    $crate::boundary::guard((), || {
                        if objects.is_null() {
                            return;
                        }
                        for index in 0..count {
                            // SAFETY: the caller vouches for so many pointers, and for each.
                            unsafe { $one(*objects.add(index)) };
                        }
                    });
                }
            )?
        )*
    };
}
pub(crate) use destroyers;
