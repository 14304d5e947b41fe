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

/// What only this library keeps with a partition.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Private {
    leader_epoch: i32,
}

/// A partition without an offset; NULL as its name where there is no memory or `topic` is NULL.
///
/// # Safety
/// `topic` is NULL or ends in a NUL byte.
unsafe fn partition_of(topic: *const c_char, partition: i32) -> TopicPartition {
    TopicPartition {
        // SAFETY: not NULL, and the caller vouches for the NUL byte.
        topic: if topic.is_null() { std::ptr::null_mut() } else { unsafe { libc::strdup(topic) } },
        partition,
        offset: offset::INVALID,
        metadata: std::ptr::null_mut(),
        metadata_size: 0,
        opaque: std::ptr::null_mut(),
        err: RespErr::NO_ERROR,
        private: std::ptr::null_mut(),
    }
}

/// Frees what a partition owns.
///
/// # Safety
/// The element is one of this library's, and what it owned is not used again.
unsafe fn free_content(element: &TopicPartition) {
    // SAFETY: names come from strdup, metadata by contract from C's allocator, private from malloc; each may be NULL.
    unsafe {
        libc::free(element.topic.cast());
        libc::free(element.metadata);
        libc::free(element.private);
    }
}

/// Copies what a partition carries besides its name and number.
///
/// # Safety
/// Both are valid; `from`'s metadata has as many bytes as it says.
unsafe fn copy_content(to: &mut TopicPartition, from: &TopicPartition) {
    to.offset = from.offset;
    to.opaque = from.opaque;
    to.err = from.err;
    if from.metadata_size > 0 && !from.metadata.is_null() {
        // SAFETY: malloc may answer NULL, which is looked at; both blocks have the size.
        unsafe {
            let block = libc::malloc(from.metadata_size);
            if !block.is_null() {
                std::ptr::copy_nonoverlapping(from.metadata.cast::<u8>(), block.cast::<u8>(), from.metadata_size);
                to.metadata = block;
                to.metadata_size = from.metadata_size;
            }
        }
    }
    if let Some(epoch) = leader_epoch(from) {
        set_leader_epoch(to, epoch);
    }
}

/// The epoch of the leader that had the partition's offset; `None` where it is not known.
pub(crate) fn leader_epoch(element: &TopicPartition) -> Option<i32> {
    // SAFETY: it is NULL or what `set_leader_epoch` put there.
    let private = unsafe { element.private.cast::<Private>().as_ref() };
    private.map(|private| private.leader_epoch).filter(|epoch| *epoch >= 0)
}

/// Keeps the epoch of the leader that had the partition's offset; −1 for none.
pub(crate) fn set_leader_epoch(element: &mut TopicPartition, leader_epoch: i32) {
    if element.private.is_null() {
        if leader_epoch == -1 {
            return;
        }
        // SAFETY: a block of the size.
        element.private = unsafe { libc::malloc(size_of::<Private>()) };
    }
    let private = element.private.cast::<Private>();
    if !private.is_null() {
        // SAFETY: it came from the line above, here or in an earlier call.
        unsafe { private.write(Private { leader_epoch }) };
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
        let value = unsafe { partition_of(topic, partition) };
        if value.topic.is_null() {
            return std::ptr::null_mut();
        }
        // SAFETY: `index` is below `size`, the number of elements allocated.
        let element = unsafe { list.elems.add(index) };
        // SAFETY: `element` is allocated and aligned; what lay there is not read.
        unsafe { element.write(value) };
        list.cnt += 1;
        element
    })
}

/// Adds the partitions from `start` to `stop`, both included.
///
/// # Safety
/// As for [`rd_kafka_topic_partition_list_add`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_add_range(
    list: *mut TopicPartitionList,
    topic: *const c_char,
    start: i32,
    stop: i32,
) {
    for partition in start..=stop {
        // SAFETY: the same promises.
        if unsafe { rd_kafka_topic_partition_list_add(list, topic, partition) }.is_null() {
            return;
        }
    }
}

/// The index of a partition.
///
/// # Safety
/// `list` is valid; `topic` is NULL or ends in a NUL byte.
unsafe fn index_of(list: &TopicPartitionList, topic: *const c_char, partition: i32) -> Option<usize> {
    if topic.is_null() {
        return None;
    }
    // SAFETY: the caller vouches for the list and the name; the names of a list end in NUL bytes.
    unsafe {
        elements(list).iter().position(|element| {
            element.partition == partition && !element.topic.is_null() && libc::strcmp(element.topic, topic) == 0
        })
    }
}

/// The element of a partition, NULL where it is not in the list.
///
/// # Safety
/// `list` is NULL or came from [`rd_kafka_topic_partition_list_new`]; `topic` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_find(
    list: *const TopicPartitionList,
    topic: *const c_char,
    partition: i32,
) -> *mut TopicPartition {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both; the index is that of an element.
        unsafe {
            let Some(list) = list.as_ref() else { return std::ptr::null_mut() };
            index_of(list, topic, partition).map_or(std::ptr::null_mut(), |index| list.elems.add(index))
        }
    })
}

/// Takes a partition out: 1, or 0 where it is not in the list.
///
/// # Safety
/// As for [`rd_kafka_topic_partition_list_find`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_del(
    list: *mut TopicPartitionList,
    topic: *const c_char,
    partition: i32,
) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for both.
        unsafe {
            let index = list.as_ref().and_then(|list| index_of(list, topic, partition));
            match index.map(c_int::try_from) {
                Some(Ok(index)) => rd_kafka_topic_partition_list_del_by_idx(list, index),
                _ => 0,
            }
        }
    })
}

/// Takes the element at an index out: 1, or 0 where there is none.
///
/// # Safety
/// `list` is NULL or came from [`rd_kafka_topic_partition_list_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_del_by_idx(list: *mut TopicPartitionList, idx: c_int) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for the list.
        let Some(list) = (unsafe { list.as_mut() }).filter(|list| (0..list.cnt).contains(&idx)) else { return 0 };
        let (Ok(index), Ok(behind)) = (usize::try_from(idx), usize::try_from(list.cnt - idx - 1)) else { return 0 };
        // SAFETY: `index` and the `behind` elements after it are in use.
        unsafe {
            let element = list.elems.add(index);
            free_content(&*element);
            std::ptr::copy(element.add(1), element, behind);
        }
        list.cnt -= 1;
        1
    })
}

/// A copy of a list with all that its elements carry.
///
/// # Safety
/// `src` is NULL or came from [`rd_kafka_topic_partition_list_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_copy(src: *const TopicPartitionList) -> *mut TopicPartitionList {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the list.
        let Some(from) = (unsafe { src.as_ref() }) else { return std::ptr::null_mut() };
        let to = rd_kafka_topic_partition_list_new(from.size);
        // SAFETY: the caller vouches for the list.
        for element in unsafe { elements(from) } {
            // SAFETY: `to` was just made; names of a list end in NUL bytes.
            unsafe {
                let added = rd_kafka_topic_partition_list_add(to, element.topic, element.partition);
                if let Some(added) = added.as_mut() {
                    copy_content(added, element);
                }
            }
        }
        to
    })
}

/// Gives a partition of the list an offset; `__UNKNOWN_PARTITION` where it is not in the list.
///
/// # Safety
/// As for [`rd_kafka_topic_partition_list_find`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_set_offset(
    list: *mut TopicPartitionList,
    topic: *const c_char,
    partition: i32,
    offset: i64,
) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for both.
        match unsafe { rd_kafka_topic_partition_list_find(list, topic, partition).as_mut() } {
            Some(element) => {
                element.offset = offset;
                RespErr::NO_ERROR
            }
            None => RespErr::UNKNOWN_PARTITION,
        }
    })
}

/// Compares two elements; negative, zero or positive.
pub type Compare = unsafe extern "C" fn(a: *const c_void, b: *const c_void, opaque: *mut c_void) -> c_int;

/// Sorts a list by `cmp`, or by topic and partition where that is NULL.
///
/// # Safety
/// `list` is NULL or came from [`rd_kafka_topic_partition_list_new`]; `cmp` may be called with two of its elements and `cmp_opaque`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_list_sort(
    list: *mut TopicPartitionList,
    cmp: Option<Compare>,
    cmp_opaque: *mut c_void,
) {
    guard((), || {
        // SAFETY: the caller vouches for the list.
        let Some(list) = (unsafe { list.as_mut() }).filter(|list| !list.elems.is_null()) else { return };
        let Ok(count) = usize::try_from(list.cnt) else { return };
        // SAFETY: so many elements are in use. A comparison that contradicts itself leaves some order: the sort looks at nothing else.
        unsafe {
            let order = |a: &*const TopicPartition, b: &*const TopicPartition| match cmp {
                Some(cmp) => cmp(a.cast(), b.cast(), cmp_opaque).cmp(&0),
                None => {
                    let (a, b) = (&**a, &**b);
                    let names = if a.topic.is_null() || b.topic.is_null() { 0 } else { libc::strcmp(a.topic, b.topic) };
                    names.cmp(&0).then(a.partition.cmp(&b.partition))
                }
            };
            // Pointers are sorted, so that no element is moved while C looks at it.
            let mut sorted: Vec<*const TopicPartition> = (0..count).map(|at| list.elems.add(at).cast_const()).collect();
            merge_sort(&mut sorted, order);
            let moved: Vec<TopicPartition> = sorted.iter().map(|element| element.read()).collect();
            for (at, element) in moved.into_iter().enumerate() {
                list.elems.add(at).write(element);
            }
        }
    });
}

/// A stable sort that takes any answers of `order`: the standard library's may panic where they contradict each other.
fn merge_sort<T: Copy>(items: &mut [T], order: impl Fn(&T, &T) -> std::cmp::Ordering + Copy) {
    if items.len() < 2 {
        return;
    }
    let (left, right) = items.split_at(items.len() / 2);
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    merge_sort(&mut left, order);
    merge_sort(&mut right, order);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    for place in items {
        let from_right = match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => order(b, a).is_lt(),
            (left, _) => left.is_none(),
        };
        if let Some(item) = if from_right { right.next() } else { left.next() } {
            *place = item;
        }
    }
}

/// The epoch of the leader that had the partition's offset; −1 where it is not known.
///
/// # Safety
/// `rktpar` is NULL or an element of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_get_leader_epoch(rktpar: *const TopicPartition) -> i32 {
    // SAFETY: the caller vouches for the element.
    guard(-1, || unsafe { rktpar.as_ref() }.and_then(leader_epoch).unwrap_or(-1))
}

/// Gives a partition the epoch of the leader that had its offset; −1 for none.
///
/// # Safety
/// `rktpar` is NULL or an element of this library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_set_leader_epoch(rktpar: *mut TopicPartition, leader_epoch: i32) {
    guard((), || {
        // SAFETY: the caller vouches for the element.
        if let Some(element) = unsafe { rktpar.as_mut() } {
            set_leader_epoch(element, leader_epoch);
        }
    });
}

/// A partition that is in no list, to be freed by [`rd_kafka_topic_partition_destroy`]; NULL where there is no memory.
///
/// # Safety
/// `topic` is NULL or ends in a NUL byte.
pub unsafe fn single(topic: *const c_char, partition: i32) -> *mut TopicPartition {
    // SAFETY: a block of the size, written before it is read; the caller vouches for the name.
    unsafe {
        let element = libc::malloc(size_of::<TopicPartition>()).cast::<TopicPartition>();
        if !element.is_null() {
            element.write(partition_of(topic, partition));
        }
        element
    }
}

/// Frees a partition that is in no list; NULL is nothing.
///
/// # Safety
/// `rktpar` is NULL or a single partition that the program was given, and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_destroy(rktpar: *mut TopicPartition) {
    guard((), || {
        // SAFETY: the caller vouches for it; it came from malloc.
        unsafe {
            if let Some(element) = rktpar.as_ref() {
                free_content(element);
                libc::free(rktpar.cast());
            }
        }
    });
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
            // SAFETY: the list goes, and all that is in it.
            unsafe { free_content(element) };
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

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn by_offset(a: *const c_void, b: *const c_void, _opaque: *mut c_void) -> c_int {
        // SAFETY: the list's elements.
        let (a, b) = unsafe { (&*a.cast::<TopicPartition>(), &*b.cast::<TopicPartition>()) };
        a.offset.cmp(&b.offset) as c_int
    }

    unsafe extern "C" fn nonsense(_a: *const c_void, _b: *const c_void, _opaque: *mut c_void) -> c_int {
        -1
    }

    fn numbers(list: *mut TopicPartitionList) -> Vec<(i32, i64)> {
        // SAFETY: made by the test.
        unsafe { elements(&*list) }.iter().map(|element| (element.partition, element.offset)).collect()
    }

    #[test]
    fn a_list_is_filled_searched_sorted_copied_and_emptied() {
        let list = rd_kafka_topic_partition_list_new(1);
        // SAFETY: all from here.
        unsafe {
            rd_kafka_topic_partition_list_add_range(list, c"t".as_ptr(), 0, 19);
            let moved = rd_kafka_topic_partition_list_add(list, c"a".as_ptr(), 7);
            (*moved).offset = -5;
            rd_kafka_topic_partition_set_leader_epoch(moved, 42);
            (*moved).metadata = libc::strdup(c"meta".as_ptr()).cast();
            (*moved).metadata_size = 4;
            for partition in 0..20 {
                let at = i64::from(100 - partition);
                let error = rd_kafka_topic_partition_list_set_offset(list, c"t".as_ptr(), partition, at);
                assert_eq!(error, RespErr::NO_ERROR);
            }
            let error = rd_kafka_topic_partition_list_set_offset(list, c"t".as_ptr(), 20, 1);
            assert_eq!(error, RespErr::UNKNOWN_PARTITION);
            rd_kafka_topic_partition_list_sort(list, Some(by_offset), std::ptr::null_mut());
            assert_eq!(numbers(list)[..3], [(7, -5), (19, 81), (18, 82)]);
            rd_kafka_topic_partition_list_sort(list, Some(nonsense), std::ptr::null_mut());
            rd_kafka_topic_partition_list_sort(list, None, std::ptr::null_mut());
            assert_eq!(numbers(list)[..3], [(7, -5), (0, 100), (1, 99)]);
            let copy = rd_kafka_topic_partition_list_copy(list);
            assert_eq!(rd_kafka_topic_partition_list_del(list, c"a".as_ptr(), 7), 1);
            assert_eq!(rd_kafka_topic_partition_list_del(list, c"a".as_ptr(), 7), 0);
            assert_eq!(rd_kafka_topic_partition_list_del_by_idx(list, 20), 0);
            assert_eq!(numbers(list).len(), 20);
            let found = rd_kafka_topic_partition_list_find(copy, c"a".as_ptr(), 7);
            assert_eq!(rd_kafka_topic_partition_get_leader_epoch(found), 42);
            assert_eq!((*found).metadata_size, 4);
            rd_kafka_topic_partition_list_destroy(list);
            rd_kafka_topic_partition_list_destroy(copy);
            rd_kafka_topic_partition_destroy(single(c"t".as_ptr(), 1));
        }
    }
}
