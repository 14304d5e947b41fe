//! Time, as it is passed into every core: nothing here or above asks the clock by itself.

use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant: monotonic nanoseconds for deadlines, wall milliseconds for record timestamps. A driver makes it from the clock, a simulator
/// from its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now {
    /// Nanoseconds since some fixed start; never goes back.
    pub monotonic_nanos: u64,
    /// Milliseconds since 1970; may jump.
    pub wall_millis: i64,
}

impl Now {
    /// The time from `earlier` to this, zero where that is later.
    pub fn since(self, earlier: Instant) -> Duration {
        self.instant().since(earlier)
    }

    /// The monotonic part, to keep as a deadline.
    pub fn instant(self) -> Instant {
        Instant(self.monotonic_nanos)
    }
}

/// A monotonic instant in nanoseconds: what deadlines are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The time from `earlier` to this, zero where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}
