//! The background queue: served by a thread of the library's, which hands every event to `background_event_cb`.

use std::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::boundary::{guard, without_signals};
use crate::event::Event;
use crate::handle::Kafka;
use crate::op::{Serve, serve};
use crate::queue::{Queue, QueueRef};
use crate::wait::Deadline;

/// The queue, and the thread that serves it; made when first wanted.
#[derive(Debug, Default)]
pub(crate) struct Background {
    running: Mutex<Option<(Arc<Queue>, JoinHandle<()>)>>,
}

impl Background {
    /// The queue; `None` where no thread can be made.
    pub(crate) fn queue(&self, kafka: &Kafka) -> Option<Arc<Queue>> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((queue, _)) = &*running {
            return Some(queue.clone());
        }
        let queue = Queue::new();
        let (served, kafka) = (queue.clone(), kafka.hold());
        let builder = std::thread::Builder::new().name("rdk:bg".to_owned());
        let thread = without_signals(|| {
            builder.spawn(move || {
                THREADS.fetch_add(1, Ordering::Relaxed);
                work(&kafka, &served);
                THREADS.fetch_sub(1, Ordering::Relaxed);
            })
        })
        .ok()?;
        *running = Some((queue.clone(), thread));
        Some(queue)
    }

    /// Ends the thread, and waits for it unless it is this one.
    pub(crate) fn end(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((queue, thread)) = running {
            queue.close();
            if thread.thread().id() != std::thread::current().id() {
                // A panic of the thread was told where it happened.
                let _ = thread.join();
            }
        }
    }
}

/// Threads that serve background queues.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// How many threads serve background queues.
pub(crate) fn threads() -> usize {
    THREADS.load(Ordering::Relaxed)
}

fn work(kafka: &Arc<Kafka>, queue: &Queue) {
    let callback = kafka.conf.callbacks.background_event_cb;
    // Without a callback for events, the callbacks for each kind are called.
    let how = if callback.is_some() { Serve::Events } else { Serve::Callbacks };
    while !queue.is_closed() {
        let served = serve(kafka, queue, Deadline::NEVER, how);
        if let (Some(callback), Some(event)) = (callback, Event::new(kafka, served)) {
            let event = Box::into_raw(event).cast::<c_void>();
            // SAFETY: the program's own function; the event is its own from here on.
            unsafe { callback(kafka.pointer(), event, kafka.conf.opaque) };
        }
    }
}

/// The queue that a thread of the library serves, by `background_event_cb` or the callbacks for each kind.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_queue_get_background(rk: *mut Kafka) -> *mut QueueRef {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Some(rk) = (unsafe { rk.as_ref() }) else { return std::ptr::null_mut() };
        let queue = rk.background.queue(rk);
        queue.map_or(std::ptr::null_mut(), |queue| QueueRef::hand_out(rk, &queue))
    })
}
