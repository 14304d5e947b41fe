//! Lines of the log: to the program's callback, to a queue, or to standard error.

use std::ffi::{CString, c_int};

use crate::handle::Kafka;

/// A line of the log.
#[derive(Debug)]
pub(crate) struct Line {
    /// Its severity, as syslog has them.
    pub(crate) level: c_int,
    /// What it is about, in one word.
    pub(crate) facility: CString,
    /// The line.
    pub(crate) text: CString,
}

impl Line {
    /// Gives it to the program's callback, or writes it to standard error.
    pub(crate) fn print(&self, kafka: &Kafka) {
        match kafka.conf.callbacks.log_cb {
            // SAFETY: the program's own function; the texts live until it has come back.
            Some(callback) => unsafe {
                callback(kafka.pointer(), self.level, self.facility.as_ptr(), self.text.as_ptr());
            },
            None => eprintln!(
                "%{}|{}|{}| {}",
                self.level,
                self.facility.to_string_lossy(),
                kafka.name.to_string_lossy(),
                self.text.to_string_lossy()
            ),
        }
    }
}
