//! Virtual time: it stands still while code runs and jumps from one event to the next.

use std::fmt;
use std::time::Duration;

use felice_protocol::time::{Instant, Now};

/// Wall time at the start of every simulated world: 2026-01-01.
const EPOCH_MILLIS: i64 = 1_767_225_600_000;

/// The clock of a simulated world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock {
    nanos: u64,
}

impl Clock {
    /// The time as the cores are told it.
    pub fn now(self) -> Now {
        let millis = i64::try_from(self.nanos / 1_000_000).unwrap_or(i64::MAX - EPOCH_MILLIS);
        Now { monotonic_nanos: self.nanos, wall_millis: EPOCH_MILLIS + millis }
    }

    /// The monotonic part.
    pub fn instant(self) -> Instant {
        Instant(self.nanos)
    }

    /// Goes on to an instant; never back.
    pub fn advance(&mut self, to: Instant) {
        self.nanos = self.nanos.max(to.0);
    }

    /// Time since the world began.
    pub fn elapsed(self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5}.{:06}", self.nanos / 1_000_000_000, self.nanos / 1000 % 1_000_000)
    }
}
