//! Lists of partitions, to and from C.

use felice::TopicPartition;

use crate::admin::c_text;
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

    /// Adds a partition, and gives its element.
    pub(crate) fn add(&mut self, topic: &str, partition: i32) -> Option<&mut Element> {
        let topic = c_text(topic);
        // SAFETY: the list is this value's; the name ends in a NUL byte; elements stay until the next is added.
        unsafe { rd_kafka_topic_partition_list_add(self.0, topic.as_ptr(), partition).as_mut() }
    }

    /// Adds a partition with an offset, and an error.
    pub(crate) fn add_offset(&mut self, place: &Place, err: RespErr) {
        if let Some(element) = self.add(&place.partition.topic, place.partition.partition) {
            element.offset = if place.offset == -1 { offset::INVALID } else { place.offset };
            element.err = err;
            set_leader_epoch(element, place.leader_epoch);
            note(element, &place.metadata);
        }
    }

    pub(crate) fn as_ptr(&self) -> *const TopicPartitionList {
        self.0
    }

    /// The first element; NULL in an empty list.
    pub(crate) fn first(&self) -> *const Element {
        // SAFETY: the list is this value's, or NULL where there was no memory.
        let all = unsafe { self.0.as_ref().map_or(&[][..], |list| elements(list)) };
        all.first().map_or(std::ptr::null(), std::ptr::from_ref)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from `rd_kafka_topic_partition_list_new` and is this value's.
        unsafe { rd_kafka_topic_partition_list_destroy(self.0) };
    }
}

/// Notes something beside an element's offset.
fn note(element: &mut Element, note: &[u8]) {
    if note.is_empty() {
        return;
    }
    // SAFETY: malloc of as many bytes as are copied, and one for a NUL byte; what was there is of C's allocator or NULL.
    unsafe {
        let copy = libc::malloc(note.len() + 1).cast::<u8>();
        if !copy.is_null() {
            std::ptr::copy_nonoverlapping(note.as_ptr(), copy, note.len());
            copy.add(note.len()).write(0);
            libc::free(element.metadata);
            element.metadata = copy.cast();
            element.metadata_size = note.len();
        }
    }
}

/// A partition and where in it, as a list of C's names it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: Vec<u8>,
}

impl Place {
    pub(crate) fn of(topic: &str, partition: i32, offset: i64) -> Self {
        Self { partition: TopicPartition::new(topic, partition), offset, leader_epoch: -1, metadata: Vec::new() }
    }

    /// Groups places by topic, in the order of the list.
    pub(crate) fn by_topic(places: &[Self]) -> Vec<(felice::protocol::primitives::ByteStr, Vec<&Self>)> {
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
        let mut seen = std::collections::BTreeSet::new();
        !places.iter().all(|place| seen.insert(&place.partition))
    }
}

/// All of a list; `None` for NULL. A name that is no text counts as an empty one.
///
/// # Safety
/// `list` is NULL or came from `rd_kafka_topic_partition_list_new`.
pub(crate) unsafe fn read(list: *const TopicPartitionList) -> Option<Vec<Place>> {
    // SAFETY: the caller vouches for the list.
    let elements = unsafe { elements(list.as_ref()?) };
    let place = |element: &Element| {
        // SAFETY: an element of a list: its name ends in a NUL byte, and its note has the size that it says.
        let (topic, metadata) = unsafe { (text(element.topic), bytes(element.metadata, element.metadata_size)) };
        Place {
            partition: TopicPartition::new(topic.unwrap_or_default(), element.partition),
            offset: element.offset,
            leader_epoch: leader_epoch(element).unwrap_or(-1),
            metadata: metadata.unwrap_or_default().to_vec(),
        }
    };
    Some(elements.iter().map(place).collect())
}
