//! Lists of partitions, to and from C.

use std::collections::BTreeSet;
use std::ffi::CString;

use felice::protocol::primitives::ByteStr;
use felice::{OffsetAndMetadata, TopicPartition};

use crate::boundary::{bytes, text};
use crate::topic_partition::{
    elements, leader_epoch, rd_kafka_topic_partition_list_add, rd_kafka_topic_partition_list_destroy,
    rd_kafka_topic_partition_list_new, set_leader_epoch,
};
use crate::types::{RespErr, TopicPartition as Element, TopicPartitionList, offset};

/// A list in C's memory that is this value's.
#[derive(Debug)]
pub(crate) struct List(*mut TopicPartitionList);

// SAFETY: the list is this value's alone.
unsafe impl Send for List {}

impl List {
    pub(crate) fn new() -> Self {
        Self(rd_kafka_topic_partition_list_new(0))
    }

    pub(crate) fn of(partitions: &[TopicPartition]) -> Self {
        let mut list = Self::new();
        for partition in partitions {
            list.add(&partition.topic, partition.partition);
        }
        list
    }

    /// Adds a partition, and gives its element; `None` for a name with a NUL byte in it, and where there is no memory.
    pub(crate) fn add(&mut self, topic: &str, partition: i32) -> Option<&mut Element> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the list is this value's; the name ends in a NUL byte; elements stay until the next is added.
        unsafe { rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition).as_mut() }
    }

    /// Adds a partition with an offset, and an error.
    pub(crate) fn add_place(&mut self, place: &Place, err: RespErr) {
        if let Some(element) = self.add(&place.partition.topic, place.partition.partition) {
            write(element, place.offset, place.leader_epoch, &place.metadata, err);
        }
    }

    /// The list, which stays this value's.
    pub(crate) fn as_ptr(&self) -> *mut TopicPartitionList {
        self.0
    }

    /// The first element; NULL in an empty list.
    pub(crate) fn first(&self) -> *const Element {
        // SAFETY: the list is this value's, or NULL where there was no memory.
        let all = unsafe { self.0.as_ref().map_or(&[][..], |list| elements(list)) };
        all.first().map_or(std::ptr::null(), std::ptr::from_ref)
    }

    /// The list, the program's from here on.
    pub(crate) fn give_away(self) -> *mut TopicPartitionList {
        std::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from `rd_kafka_topic_partition_list_new` and is this value's.
        unsafe { rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// A partition and where in it, as a list names it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    /// What is noted beside the offset.
    pub(crate) metadata: Vec<u8>,
}

impl Place {
    pub(crate) fn of(partition: TopicPartition, offset: i64) -> Self {
        Self { partition, offset, leader_epoch: -1, metadata: Vec::new() }
    }

    /// A partition without an offset.
    pub(crate) fn nowhere(partition: TopicPartition) -> Self {
        Self::of(partition, offset::INVALID)
    }

    pub(crate) fn to_commit(&self) -> (TopicPartition, OffsetAndMetadata) {
        let metadata = String::from_utf8_lossy(&self.metadata).into_owned().into();
        let place = OffsetAndMetadata { offset: self.offset, leader_epoch: self.leader_epoch, metadata };
        (self.partition.clone(), place)
    }

    /// Groups places by topic, in the order of the list.
    pub(crate) fn by_topic(places: &[Self]) -> Vec<(ByteStr, Vec<&Self>)> {
        let mut topics: Vec<(_, Vec<&Self>)> = Vec::new();
        for place in places {
            match topics.iter_mut().find(|(topic, _)| *topic == place.partition.topic) {
                Some((_, those)) => those.push(place),
                None => topics.push((place.partition.topic.clone(), vec![place])),
            }
        }
        topics
    }

    /// Whether a partition is named twice.
    pub(crate) fn has_duplicates(places: &[Self]) -> bool {
        let mut seen = BTreeSet::new();
        !places.iter().all(|place| seen.insert(&place.partition))
    }

    /// # Safety
    /// The element belongs to a list: its note has as many bytes as it says.
    unsafe fn read(element: &Element, partition: TopicPartition) -> Self {
        // SAFETY: the caller vouches for the bytes.
        let metadata = unsafe { note(element) }.to_vec();
        Self { partition, offset: element.offset, leader_epoch: epoch(element), metadata }
    }
}

/// All of a list, nothing for NULL; `None` where a name is no text.
///
/// # Safety
/// `list` is NULL or came from `rd_kafka_topic_partition_list_new`.
pub(crate) unsafe fn read(list: *const TopicPartitionList) -> Option<Vec<Place>> {
    // SAFETY: the caller vouches for the list.
    let elements = unsafe { list.as_ref() }.map_or(&[][..], |list| unsafe { elements(list) });
    // SAFETY: elements of a list.
    elements.iter().map(|element| unsafe { Some(Place::read(element, name(element)?)) }).collect()
}

/// All of a list where NULL means something of its own: `None` for NULL. A name that is no text counts as an empty one, which brokers refuse.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn read_unless_null(list: *const TopicPartitionList) -> Option<Vec<Place>> {
    // SAFETY: the caller vouches for the list.
    let elements = unsafe { elements(list.as_ref()?) };
    let place = |element: &Element| {
        // SAFETY: an element of a list.
        unsafe {
            let partition = name(element).unwrap_or_else(|| TopicPartition::new("", element.partition));
            Place::read(element, partition)
        }
    };
    Some(elements.iter().map(place).collect())
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

/// The leader's epoch of an element; −1 where it is not known.
pub(crate) fn epoch(element: &Element) -> i32 {
    leader_epoch(element).unwrap_or(-1)
}

/// What is noted beside an element's offset.
///
/// # Safety
/// As for [`name`]; the note has as many bytes as the element says.
pub(crate) unsafe fn note(element: &Element) -> &[u8] {
    // SAFETY: the caller vouches for the bytes.
    unsafe { bytes(element.metadata, element.metadata_size) }.unwrap_or_default()
}

/// Writes what was found into an element.
pub(crate) fn write(element: &mut Element, offset: i64, epoch: i32, note: &[u8], err: RespErr) {
    element.offset = offset;
    element.err = err;
    set_leader_epoch(element, epoch);
    set_note(element, note);
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
