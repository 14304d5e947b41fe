//! `rd_kafka_topic_conf_t`: settings of one topic, or of all that have none of their own.

use std::ffi::c_void;

use super::callbacks::{MsgOrderCmp, PartitionerCb};
use super::table::{Kind, Property, Scope, find, properties};
use super::values::{Refusal, Value, Values};

/// `rd_kafka_topic_conf_t`.
#[derive(Debug)]
pub struct TopicConf {
    pub(super) values: Values,
    /// Chooses partitions, where the program does so itself.
    pub partitioner_cb: Option<PartitionerCb>,
    /// Kept for the program; nothing is ordered by it.
    pub(super) msg_order_cmp: Option<MsgOrderCmp>,
    /// The pointer that partitioners are given.
    pub opaque: *mut c_void,
}

// SAFETY: the raw pointers are the program's, which this library only hands back.
unsafe impl Send for TopicConf {}
// SAFETY: as above.
unsafe impl Sync for TopicConf {}

impl TopicConf {
    /// librdkafka's defaults.
    pub(crate) fn new() -> Self {
        Self {
            values: Values::new(Scope::Topic),
            partitioner_cb: None,
            msg_order_cmp: None,
            opaque: std::ptr::null_mut(),
        }
    }

    /// A text, or the name of a choice.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.text(name)
    }

    /// A number, a choice's number, or 0 and 1 for no and yes.
    pub(crate) fn int(&self, name: &str) -> i64 {
        self.values.int(name).into()
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> bool {
        self.values.int(name) != 0
    }

    /// Whether the program has set it.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.is_set(name)
    }

    /// Sets a property by name, which may have `topic.` in front.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        self.values.set(name.strip_prefix("topic.").unwrap_or(name), value)
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.shown(find(Scope::Topic, name)?)
    }

    /// The value of a property as it is shown; `None` where it has none.
    pub(super) fn shown(&self, property: &Property) -> Option<String> {
        match property.kind {
            Kind::Pointer => {
                let address = match property.name {
                    "partitioner_cb" => self.partitioner_cb.map_or(0, |function| function as usize),
                    "msg_order_cmp" => self.msg_order_cmp.map_or(0, |function| function as usize),
                    _ => self.opaque.addr(),
                };
                (address != 0).then(|| format!("{address:#x}"))
            }
            _ => self.values.shown(property),
        }
    }

    /// A copy of what the program has set.
    pub(crate) fn duplicate(&self) -> Self {
        let mut copy = Self::new();
        for property in properties(Scope::Topic) {
            let Some(value) = self.values.set_value(property.name) else { continue };
            if *value == Value::Pointer {
                match property.name {
                    "partitioner_cb" => copy.partitioner_cb = self.partitioner_cb,
                    "msg_order_cmp" => copy.msg_order_cmp = self.msg_order_cmp,
                    _ => copy.opaque = self.opaque,
                }
            }
            copy.values.put(property, value.clone());
        }
        copy
    }
}
