//! `rd_kafka_msg_partitioner_*`: librdkafka's partitioners as functions, and what chooses partitions where our client's own do not do.

use std::cell::Cell;
use std::ffi::c_void;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock, Weak};

use felice::RecordTag;
use felice::raw::{crc32, fnv1a, murmur2};

use crate::boundary::{bytes, guard};
use crate::conf::callbacks::PartitionerCb;
use crate::topic::{Topic, Topics};
use crate::types::PARTITION_UA;

thread_local! {
    static RANDOM: Cell<u64> = Cell::new(RandomState::new().hash_one(0) | 1);
}

/// Some number below `count`.
fn random(count: i32) -> i32 {
    let mut state = RANDOM.get();
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    RANDOM.set(state);
    let count = u64::try_from(count).unwrap_or(0).max(1);
    i32::try_from((state >> 16) % count).unwrap_or(0)
}

fn modulo(hash: u32, count: i32) -> i32 {
    i32::try_from(u32::try_from(count).ok().and_then(|count| hash.checked_rem(count)).unwrap_or(0)).unwrap_or(0)
}

/// How a record's partition is found, where our client's partitioners are not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// By librdkafka's partitioner of this name, each record for itself: nothing sticks.
    Named(Named),
    /// By the program.
    Program(Program),
}

/// librdkafka's partitioners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Random,
    Consistent,
    ConsistentRandom,
    Murmur2,
    Murmur2Random,
    Fnv1a,
    Fnv1aRandom,
}

impl Named {
    pub(crate) fn find(name: &str) -> Option<Self> {
        Some(match name {
            "random" => Self::Random,
            "consistent" => Self::Consistent,
            "consistent_random" => Self::ConsistentRandom,
            "murmur2" => Self::Murmur2,
            "murmur2_random" => Self::Murmur2Random,
            "fnv1a" => Self::Fnv1a,
            "fnv1a_random" => Self::Fnv1aRandom,
            _ => return None,
        })
    }

    /// The partition of a key; none where any will do.
    fn of_key(self, key: Option<&[u8]>, count: i32) -> Option<i32> {
        let any = key.unwrap_or_default();
        match self {
            Self::Random => None,
            Self::ConsistentRandom if any.is_empty() => None,
            Self::Consistent | Self::ConsistentRandom => Some(modulo(crc32(any), count)),
            Self::Murmur2 => Some(modulo(murmur2(any) & 0x7fff_ffff, count)),
            Self::Murmur2Random => key.map(|key| modulo(murmur2(key) & 0x7fff_ffff, count)),
            // sarama takes the absolute value.
            Self::Fnv1a => Some(modulo(fnv1a(any).cast_signed().unsigned_abs(), count)),
            Self::Fnv1aRandom => key.map(|key| modulo(fnv1a(key).cast_signed().unsigned_abs(), count)),
        }
    }

    fn partition(self, key: Option<&[u8]>, count: i32, is_available: impl Fn(i32) -> bool) -> i32 {
        self.of_key(key, count).unwrap_or_else(|| {
            let first = random(count);
            // Another try, not a search: as librdkafka.
            if is_available(first) { first } else { random(count) }
        })
    }
}

/// A partitioner of the program's, with the pointer that it asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) callback: PartitionerCb,
    pub(crate) opaque: *mut c_void,
    /// It is not asked for records without a key: they stick to a partition for a while.
    pub(crate) sticks: bool,
}

impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::fn_addr_eq(self.callback, other.callback)
            && (self.opaque, self.sticks) == (other.opaque, other.sticks)
    }
}

impl Eq for Program {}

// SAFETY: the pointer is the program's, which asked to be called with it from any thread.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

impl Choice {
    /// Chooses for a topic of these; our client asks.
    pub(crate) fn choose(
        self,
        topics: &Arc<OnceLock<Weak<Topics>>>,
    ) -> impl Fn(&str, Option<&[u8]>, usize, Option<RecordTag>) -> Option<i32> + Send + Sync + use<> {
        let topics = topics.clone();
        move |name, key, count, tag| {
            if matches!(self, Self::Program(Program { sticks: true, .. })) && key.is_none() {
                return None;
            }
            let count = i32::try_from(count).unwrap_or(i32::MAX);
            let topic = topics.get().and_then(Weak::upgrade).and_then(|topics| topics.get(name))?;
            Some(match self {
                Self::Named(named) => named.partition(key, count, |partition| topic.is_available(partition)),
                Self::Program(Program { callback, opaque, .. }) => {
                    let (key, length) = crate::message::parts(key);
                    let record = std::ptr::with_exposed_provenance_mut(tag.map_or(0, |[opaque, _]| opaque));
                    // SAFETY: the program's own function with the arguments that it was promised; no lock of ours is held.
                    unsafe { callback(Arc::as_ptr(&topic), key.cast_const(), length, count, opaque, record) }
                }
            })
        }
    }
}

macro_rules! partitioners {
    ($($(#[$doc:meta])* $name:ident: $named:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            /// `rkt` is NULL or a topic; `key` has `keylen` bytes or is NULL. The last two are not looked at.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(
                rkt: *const Topic,
                key: *const c_void,
                keylen: usize,
                partition_cnt: i32,
                rkt_opaque: *mut c_void,
                msg_opaque: *mut c_void,
            ) -> i32 {
                let _ = (rkt_opaque, msg_opaque);
                guard(PARTITION_UA, || {
                    // SAFETY: the caller vouches for both.
                    let (topic, key) = unsafe { (rkt.as_ref(), bytes(key, keylen)) };
                    let is_available = |partition| topic.is_none_or(|topic| topic.is_available(partition));
                    Named::$named.partition(key, partition_cnt, is_available)
                })
            }
        )*
    };
}

partitioners! {
    /// Any partition.
    rd_kafka_msg_partitioner_random: Random;
    /// By CRC-32 of the key.
    rd_kafka_msg_partitioner_consistent: Consistent;
    /// By CRC-32 of the key; any partition without one.
    rd_kafka_msg_partitioner_consistent_random: ConsistentRandom;
    /// By murmur2 of the key, as Java.
    rd_kafka_msg_partitioner_murmur2: Murmur2;
    /// By murmur2 of the key, as Java; any partition without one.
    rd_kafka_msg_partitioner_murmur2_random: Murmur2Random;
    /// By FNV-1a of the key, as sarama.
    rd_kafka_msg_partitioner_fnv1a: Fnv1a;
    /// By FNV-1a of the key, as sarama; any partition without one.
    rd_kafka_msg_partitioner_fnv1a_random: Fnv1aRandom;
}

/// Whether a partition has a leader, for partitioners.
///
/// # Safety
/// `rkt` is a topic.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_topic_partition_available(rkt: *const Topic, partition: i32) -> std::ffi::c_int {
    // SAFETY: the caller vouches for the topic.
    guard(0, || unsafe { rkt.as_ref() }.map_or(0, |topic| topic.is_available(partition).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_those_of_the_original() {
        let keys: [Option<&[u8]>; 5] = [
            None,
            Some(b""),
            Some(b"23456"),
            Some(b"this is another string with more length to it perhaps"),
            Some(b"hejsan"),
        ];
        // From the command crc32, Java and sarama.
        let crc32 = [0, 0, 0xb1b4_51d7_u32, 0xb015_0df7, 0xd077_037e];
        let murmur2 = [0x106e_08d9, 0x106e_08d9, 0x058d_780f, 0x4f77_03da, 0x5ec1_9395];
        let fnv1a = [0x7ee3_623b, 0x7ee3_623b, 0x27e6_f469, 0x155e_3e5f, 0x17b1_e27a];
        // Each: its hashes, and how many of the keys from the first on go anywhere.
        for (named, hashes, anywhere) in [
            (Named::Consistent, crc32, 0),
            (Named::ConsistentRandom, crc32, 2),
            (Named::Murmur2, murmur2, 0),
            (Named::Murmur2Random, murmur2, 1),
            (Named::Fnv1a, fnv1a, 0),
            (Named::Fnv1aRandom, fnv1a, 1),
            (Named::Random, [0; 5], 5),
        ] {
            for (at, (key, hash)) in keys.into_iter().zip(hashes).enumerate() {
                let expected = (at >= anywhere).then_some((hash % 17) as i32);
                assert_eq!(named.of_key(key, 17), expected, "{named:?} {key:?}");
            }
        }
    }
}
