//! `rd_kafka_topic_partition_list_*`: a list that C programs also read and write in place, so it lives in C's memory.

use std::ffi::{c_char, c_int, c_void};

use crate::boundary::guard;
use crate::types::{RespErr, TopicPartition, TopicPartitionList, offset};

/// A new list with room for `size` elements; NULL where there is no memory.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_topic_partition_list_new(size: c_int) -> *mut TopicPartitionList {
    guard(std::ptr::null_mut(), || {
        // SAFETY: calloc of one struct; all zero is a valid, empty list.
        let list = unsafe { libc::calloc(1, size_of::<TopicPartitionList>()) }.cast::<TopicPartitionList>();
        // SAFETY: `list` is NULL or what calloc gave.
        if let Some(list) = unsafe { list.as_mut() } {
            grow(list, size);
        }
        list
    })
}

/// Makes room for `size` elements; where there is no memory the list stays as it is.
fn grow(list: &mut TopicPartitionList, size: c_int) {
    let Ok(count) = usize::try_from(size) else { return };
    if size <= list.size {
        return;
    }
    // SAFETY: `elems` is NULL or came from this function.
    let elems = unsafe { libc::realloc(list.elems.cast(), count.saturating_mul(size_of::<TopicPartition>())) };
    if !elems.is_null() {
        list.elems = elems.cast();
        list.size = size;
    }
}

/// Adds a partition; the element may move when the next one is added. NULL where an argument is or there is no memory.
///
/// # Safety
/// `list` came from [`rd_kafka_topic_partition_list_new`]; `topic` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_add(
    list: *mut TopicPartitionList,
    topic: *const c_char,
    partition: i32,
) -> *mut TopicPartition {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the list.
        let Some(list) = (unsafe { list.as_mut() }) else { return std::ptr::null_mut() };
        if topic.is_null() {
            return std::ptr::null_mut();
        }
        if list.cnt >= list.size {
            grow(list, list.size.saturating_mul(2).max(8));
        }
        let Ok(index) = usize::try_from(list.cnt) else { return std::ptr::null_mut() };
        if list.cnt >= list.size {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller vouches for the NUL byte.
        let name = unsafe { libc::strdup(topic) };
        if name.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: `index` is below `size`, the number of elements allocated.
        let element = unsafe { list.elems.add(index) };
        let value = TopicPartition {
            topic: name,
            partition,
            offset: offset::INVALID,
            metadata: std::ptr::null_mut(),
            metadata_size: 0,
            opaque: std::ptr::null_mut(),
            err: RespErr::NO_ERROR,
            private: std::ptr::null_mut(),
        };
        // SAFETY: `element` is allocated and aligned; what lay there is not read.
        unsafe { element.write(value) };
        list.cnt += 1;
        element
    })
}

/// Frees a list and its elements; NULL is nothing.
///
/// # Safety
/// `list` is NULL or came from [`rd_kafka_topic_partition_list_new`] and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_destroy(list: *mut TopicPartitionList) {
    guard((), || {
        // SAFETY: the caller vouches for the list.
        let Some(held) = (unsafe { list.as_mut() }) else { return };
        // SAFETY: as above.
        for element in unsafe { elements(held) } {
            // SAFETY: names come from strdup, metadata by contract from C's allocator; both may be NULL.
            unsafe {
                libc::free(element.topic.cast());
                libc::free(element.metadata);
            }
        }
        // SAFETY: both came from C's allocator.
        unsafe {
            libc::free(held.elems.cast());
            libc::free(list.cast::<c_void>());
        }
    });
}

/// The elements in use.
///
/// # Safety
/// `list` came from [`rd_kafka_topic_partition_list_new`], and C has not made `cnt` larger than `size`.
pub(crate) unsafe fn elements(list: &TopicPartitionList) -> &[TopicPartition] {
    match usize::try_from(list.cnt) {
        // SAFETY: the caller vouches that so many elements are allocated and written.
        Ok(count) if !list.elems.is_null() => unsafe { std::slice::from_raw_parts(list.elems, count) },
        Ok(_) | Err(_) => &[],
    }
}
