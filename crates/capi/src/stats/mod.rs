//! Statistics as JSON, every `statistics.interval.ms`: to `stats_cb`, or as an event.
//!
//! - this file: when they are made, and the text that a program may keep
//! - `document`: what they say
//! - `window`: values of the last interval
//! - `source`: what producers and consumers tell of their partitions

mod document;
mod source;
mod window;

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::source::{PartitionStats, Produced};
pub(crate) use self::window::Window;
use crate::event::kind;
use crate::handle::Kafka;
use crate::op::Op;

/// Begins to make statistics, where the program wants any.
pub(crate) fn start(kafka: &Arc<Kafka>) {
    let interval = u64::try_from(kafka.conf.int("statistics.interval.ms")).unwrap_or(0);
    let wanted = kafka.conf.callbacks.stats_cb.is_some() || kafka.conf.enabled_events & kind::STATS != 0;
    if interval == 0 || !wanted {
        return;
    }
    let weak = Arc::downgrade(kafka);
    let interval = Duration::from_millis(interval);
    let mut due = kafka.since + interval;
    felice::raw::spawn(&kafka.client, async move {
        loop {
            felice::raw::sleep(due.saturating_duration_since(std::time::Instant::now())).await;
            // Counted from the last time that was due, so that the intervals do not drift.
            due = (due + interval).max(std::time::Instant::now());
            let open = || weak.upgrade().filter(|kafka| !kafka.is_ending());
            let Some(kafka) = open() else { return };
            let producers = kafka.producer.as_ref().map(|side| side.all()).unwrap_or_default();
            // Nobody's end waits for the answers.
            drop(kafka);
            let mut senders = Vec::new();
            for producer in &producers {
                senders.extend(felice::raw::standing(producer).await);
            }
            drop(producers);
            let Some(kafka) = open() else { return };
            if let Some(json) = Json::new(&document::make(&kafka, &senders).to_string()) {
                kafka.main.push(Op::Stats(Box::new(json)));
            }
        }
    });
}

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
