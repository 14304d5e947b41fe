//! The driver threads: one pool for the process, made with the first client, gone after the last.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use felice_client_core::error::{Error, ErrorKind};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Most driver threads.
const THREADS_MAX: usize = 4;
/// Most threads for blocking work (name look-ups, compression) of one driver thread.
const BLOCKING_MAX: usize = 2;

struct Thread {
    handle: Handle,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<()>,
}

struct Pool {
    /// The process that made the threads: after a fork they do not exist.
    process: u32,
    threads: Vec<Thread>,
    users: usize,
    next: usize,
}

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// While it lives, no thread makes or ends driver threads.
pub(crate) struct Hold {
    _pool: MutexGuard<'static, Option<Pool>>,
}

impl std::fmt::Debug for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hold")
    }
}

/// Waits until nobody makes or ends driver threads.
pub(crate) fn hold() -> Hold {
    Hold { _pool: POOL.lock().unwrap_or_else(PoisonError::into_inner) }
}

/// A place on a driver thread; the pool lives as long as there is one.
#[derive(Debug)]
pub(crate) struct Seat {
    handle: Handle,
}

impl Seat {
    /// A place on the thread whose turn it is.
    pub(crate) fn take() -> Result<Self, Error> {
        let mut guard = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = guard.take_if(|pool| pool.process != std::process::id()) {
            // The parent's threads: here there is nothing to stop, and dropping a runtime's handle could wait for it.
            std::mem::forget(old);
        }
        let pool =
            guard.get_or_insert_with(|| Pool { process: std::process::id(), threads: Vec::new(), users: 0, next: 0 });
        let most = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        if pool.threads.len() < most && pool.users >= pool.threads.len() {
            let started = start(pool.threads.len());
            match started {
                Ok(thread) => pool.threads.push(thread),
                Err(error) if pool.threads.is_empty() => {
                    return Err(Error::new(ErrorKind::Bug, "no driver thread can be started").caused_by(error));
                }
                Err(_) => {}
            }
        }
        let turn = pool.next % pool.threads.len().max(1);
        let Some(thread) = pool.threads.get(turn) else {
            return Err(Error::new(ErrorKind::Bug, "there is no driver thread"));
        };
        let handle = thread.handle.clone();
        pool.next = pool.next.wrapping_add(1);
        pool.users += 1;
        Ok(Self { handle })
    }

    /// The runtime of the thread.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut guard = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pool) = guard.as_mut() else { return };
        if pool.process != std::process::id() {
            return;
        }
        pool.users -= 1;
        if pool.users == 0 {
            // Dropping the senders ends the threads; nothing waits for them here.
            *guard = None;
        }
    }
}

/// How many driver threads there are.
pub(crate) fn threads() -> usize {
    let pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.as_ref().filter(|pool| pool.process == std::process::id()).map_or(0, |pool| pool.threads.len())
}

/// The one function that makes a driver thread.
fn start(number: usize) -> std::io::Result<Thread> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("felice-blocking")
        .build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    thread::Builder::new().name(format!("felice-{number}")).spawn(move || {
        // Only the sender's end is ever heard.
        let _ = runtime.block_on(stopped);
        runtime.shutdown_background();
    })?;
    Ok(Thread { handle, _stop: stop })
}
