//! The only place in the client that asks what time it is.

use std::sync::OnceLock;
use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use felice_protocol::time::{Instant, Now};

static START: OnceLock<StdInstant> = OnceLock::new();

/// The monotonic time.
pub(crate) fn instant() -> Instant {
    let start = START.get_or_init(StdInstant::now);
    Instant(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// The wall time in milliseconds.
pub(crate) fn wall_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Both.
pub(crate) fn now() -> Now {
    Now { monotonic_nanos: instant().0, wall_millis: wall_millis() }
}

/// The time from now to `at`.
pub(crate) fn until(at: Instant) -> Duration {
    at - instant()
}
