//! Lists of partitions, to and from C.

use std::ffi::CString;

use felice::{OffsetAndMetadata, TopicPartition};

use crate::boundary::{bytes, text};
use crate::topic_partition::{
    elements, leader_epoch, rd_kafka_topic_partition_list_add, rd_kafka_topic_partition_list_destroy,
    rd_kafka_topic_partition_list_new, set_leader_epoch,
};
use crate::types::{RespErr, TopicPartition as Element, TopicPartitionList};

/// A list in C's memory that is this value's.
#[derive(Debug)]
pub(crate) struct OwnedList(*mut TopicPartitionList);

// SAFETY: the list is this value's alone.
unsafe impl Send for OwnedList {}

impl OwnedList {
    pub(crate) fn new() -> Self {
        Self(rd_kafka_topic_partition_list_new(0))
    }

    /// Adds a partition, and gives its element.
    pub(crate) fn add(&mut self, partition: &TopicPartition) -> Option<&mut Element> {
        let topic = CString::new(partition.topic.as_str()).ok()?;
        // SAFETY: the list is this value's; the name ends in a NUL byte; elements stay until the next is added.
        unsafe { rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition.partition).as_mut() }
    }

    /// Adds a partition with an offset, what is noted beside it, and an error.
    pub(crate) fn add_offset(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        epoch: i32,
        note: &[u8],
        err: RespErr,
    ) {
        if let Some(element) = self.add(partition) {
            element.offset = offset;
            element.err = err;
            set_leader_epoch(element, epoch);
            set_note(element, note);
        }
    }

    /// The list, which stays this value's.
    pub(crate) fn as_ptr(&self) -> *mut TopicPartitionList {
        self.0
    }

    /// The list, the program's from here on.
    pub(crate) fn give_away(self) -> *mut TopicPartitionList {
        std::mem::ManuallyDrop::new(self).0
    }

    pub(crate) fn of(partitions: &[TopicPartition]) -> Self {
        let mut list = Self::new();
        for partition in partitions {
            list.add(partition);
        }
        list
    }
}

impl Drop for OwnedList {
    fn drop(&mut self) {
        // SAFETY: it came from `rd_kafka_topic_partition_list_new` and is this value's.
        unsafe { rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// The leader's epoch of an element; −1 where it is not known.
pub(crate) fn epoch(element: &Element) -> i32 {
    leader_epoch(element).unwrap_or(-1)
}

/// Notes something beside an element's offset.
fn set_note(element: &mut Element, note: &[u8]) {
    // SAFETY: by contract metadata is of C's allocator or NULL.
    unsafe { libc::free(element.metadata) };
    element.metadata = std::ptr::null_mut();
    element.metadata_size = 0;
    if note.is_empty() {
        return;
    }
    // SAFETY: malloc of as many bytes as are copied, and one for a NUL byte.
    unsafe {
        let copy = libc::malloc(note.len() + 1).cast::<u8>();
        if !copy.is_null() {
            std::ptr::copy_nonoverlapping(note.as_ptr(), copy, note.len());
            copy.add(note.len()).write(0);
            element.metadata = copy.cast();
            element.metadata_size = note.len();
        }
    }
}

/// Writes what was found into an element.
pub(crate) fn write(element: &mut Element, offset: i64, epoch: i32, note: &[u8], err: RespErr) {
    element.offset = offset;
    element.err = err;
    set_leader_epoch(element, epoch);
    set_note(element, note);
}

/// The elements in use, to be written.
///
/// # Safety
/// `list` is NULL or came from `rd_kafka_topic_partition_list_new`; C has not made `cnt` larger than `size`, and nobody else uses it.
pub(crate) unsafe fn elements_mut<'a>(list: *mut TopicPartitionList) -> &'a mut [Element] {
    // SAFETY: the caller vouches for the list.
    let Some(list) = (unsafe { list.as_ref() }) else { return &mut [] };
    match usize::try_from(list.cnt) {
        // SAFETY: the caller vouches that so many elements are allocated and written.
        Ok(count) if !list.elems.is_null() => unsafe { std::slice::from_raw_parts_mut(list.elems, count) },
        Ok(_) | Err(_) => &mut [],
    }
}

/// The partition that an element names; `None` where its name is none.
///
/// # Safety
/// The element belongs to a list, so that its name ends in a NUL byte.
pub(crate) unsafe fn name(element: &Element) -> Option<TopicPartition> {
    // SAFETY: the caller vouches for the name.
    Some(TopicPartition::new(unsafe { text(element.topic) }?, element.partition))
}

/// What is noted beside an element's offset.
///
/// # Safety
/// As for [`name`]; the note has as many bytes as the element says.
pub(crate) unsafe fn note(element: &Element) -> &[u8] {
    // SAFETY: the caller vouches for the bytes.
    unsafe { bytes(element.metadata, element.metadata_size) }.unwrap_or_default()
}

/// A partition and where in it, as a list names it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
    pub(crate) note: Vec<u8>,
}

impl Named {
    pub(crate) fn to_commit(&self) -> (TopicPartition, OffsetAndMetadata) {
        let metadata = String::from_utf8_lossy(&self.note).into_owned().into();
        let place = OffsetAndMetadata { offset: self.offset, leader_epoch: self.epoch, metadata };
        (self.partition.clone(), place)
    }
}

/// All of a list; `None` where a name is none.
///
/// # Safety
/// `list` is NULL or came from `rd_kafka_topic_partition_list_new`.
pub(crate) unsafe fn read(list: *const TopicPartitionList) -> Option<Vec<Named>> {
    // SAFETY: the caller vouches for the list.
    let elements = unsafe { list.as_ref() }.map_or(&[][..], |list| unsafe { elements(list) });
    let one = |element: &Element| {
        // SAFETY: an element of a list.
        let (partition, note) = unsafe { (name(element)?, note(element).to_vec()) };
        Some(Named { partition, offset: element.offset, epoch: epoch(element), note })
    };
    elements.iter().map(one).collect()
}
