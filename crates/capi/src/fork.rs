//! Whether this process is a fork of the one in which something was made: its threads and connections are the parent's, and its locks may be held by
//! threads that do not exist here.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Which process this is: another number in each fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Process {
    /// This one. Forks are counted from the first call on.
    pub(crate) fn this() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            // Without it a fork hangs where it could fail. SAFETY: the function touches one atomic number, and the library is never unloaded.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(count)) };
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is another process than the one in which [`Self::this`] was called: costs a load.
    #[inline]
    pub(crate) fn is_forked(self) -> bool {
        self.0 != FORKS.load(Ordering::Relaxed)
    }
}
