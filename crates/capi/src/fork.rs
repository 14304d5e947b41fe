//! Whether this process is a fork of the one in which something was made: its threads and connections are the parent's, and its locks may be held by
//! threads that do not exist here. The few locks that belong to the process are the forking thread's own meanwhile.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{MutexGuard, Once};

static FORKS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// The locks of the process, while this thread forks.
    static HELD: RefCell<Option<(felice::raw::Hold, MutexGuard<'static, usize>)>> = const { RefCell::new(None) };
}

unsafe extern "C" fn before() {
    let held = (felice::raw::hold(), crate::handle::live());
    HELD.with_borrow_mut(|place| *place = Some(held));
}

unsafe extern "C" fn in_parent() {
    HELD.with_borrow_mut(|held| *held = None);
}

unsafe extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    HELD.with_borrow_mut(|held| {
        if let Some((_, live)) = held {
            // No handle was made here yet.
            **live = 0;
        }
        *held = None;
    });
}

/// Which process this is: another number in each fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

impl Default for Process {
    fn default() -> Self {
        Self::this()
    }
}

impl Process {
    /// This one. Forks are counted from the first call on.
    pub(crate) fn this() -> Self {
        static WATCH: Once = Once::new();
        WATCH.call_once(|| {
            // Without it a fork hangs where it could fail. SAFETY: the functions take and give back locks and touch an atomic number, and the
            // library is never unloaded.
            let _ = unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        });
        Self(FORKS.load(Ordering::Relaxed))
    }

    /// Whether this is another process than the one in which [`Self::this`] was called: costs a load.
    #[inline]
    pub(crate) fn is_forked(self) -> bool {
        self.0 != FORKS.load(Ordering::Relaxed)
    }
}
