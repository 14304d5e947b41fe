//! The structs whose fields C programs read and write, and the numbers they exchange. Layouts are librdkafka's; a test below holds them.

use std::ffi::{c_char, c_int, c_void};

/// `rd_kafka_resp_err_t`: any number may come from C, so it is no enum.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RespErr(pub c_int);

/// `rd_kafka_message_t`.
#[repr(C)]
#[derive(Debug)]
pub struct Message {
    /// The error, or 0.
    pub err: RespErr,
    /// The topic.
    pub rkt: *mut c_void,
    /// The partition.
    pub partition: i32,
    /// The value, or the error's text.
    pub payload: *mut c_void,
    /// The value's length.
    pub len: usize,
    /// The key.
    pub key: *mut c_void,
    /// The key's length.
    pub key_len: usize,
    /// The offset.
    pub offset: i64,
    /// In a delivery report what the program gave to produce; else this library's.
    pub private: *mut c_void,
}

/// `rd_kafka_topic_partition_t`.
#[repr(C)]
#[derive(Debug)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: *mut c_char,
    /// The partition.
    pub partition: i32,
    /// An offset, or one of the logical ones.
    pub offset: i64,
    /// The program's.
    pub metadata: *mut c_void,
    /// Its size.
    pub metadata_size: usize,
    /// The program's.
    pub opaque: *mut c_void,
    /// An error that belongs to the partition.
    pub err: RespErr,
    /// This library's.
    pub private: *mut c_void,
}

/// `rd_kafka_topic_partition_list_t`.
#[repr(C)]
#[derive(Debug)]
pub struct TopicPartitionList {
    /// Elements in use.
    pub cnt: c_int,
    /// Elements allocated.
    pub size: c_int,
    /// The elements.
    pub elems: *mut TopicPartition,
}

/// The logical offsets of `rdkafka.h`.
pub mod offset {
    /// The first record.
    pub const BEGINNING: i64 = -2;
    /// Behind the last record.
    pub const END: i64 = -1;
    /// What the group has committed.
    pub const STORED: i64 = -1000;
    /// None.
    pub const INVALID: i64 = -1001;
    /// `TAIL_BASE - n` is n records before the end.
    pub const TAIL_BASE: i64 = -2000;
}

/// `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
pub const PARTITION_UA: i32 = -1;

/// Flags of `rd_kafka_produce`.
pub mod msg_flag {
    /// The library frees the payload.
    pub const FREE: std::ffi::c_int = 0x1;
    /// The library copies the payload.
    pub const COPY: std::ffi::c_int = 0x2;
    /// Wait where the queue is full.
    pub const BLOCK: std::ffi::c_int = 0x4;
    /// Each message of a batch has a partition of its own.
    pub const PARTITION: std::ffi::c_int = 0x8;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn structs_have_librdkafkas_layout() {
        assert_eq!(size_of::<Message>(), 72);
        assert_eq!(
            [
                offset_of!(Message, rkt),
                offset_of!(Message, partition),
                offset_of!(Message, payload),
                offset_of!(Message, len),
                offset_of!(Message, key),
                offset_of!(Message, key_len),
                offset_of!(Message, offset),
                offset_of!(Message, private),
            ],
            [8, 16, 24, 32, 40, 48, 56, 64]
        );
        assert_eq!(size_of::<TopicPartition>(), 64);
        assert_eq!(offset_of!(TopicPartition, err), 48);
        assert_eq!(size_of::<TopicPartitionList>(), 16);
    }
}
