//! Frames into a connection.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use felice_protocol::primitives::Frame;
use tokio::io::AsyncWrite;

/// As many pieces as one system call takes without harm; Linux's limit is 1,024.
const SLICES: usize = 64;

/// Queues frames and writes many with one call, straight from where their bytes are.
#[derive(Debug)]
pub struct FrameWriter<W> {
    writer: W,
    queue: VecDeque<Bytes>,
    queued: usize,
    written: u64,
    /// Bytes are with a layer that keeps them until it is flushed (TLS).
    unflushed: bool,
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// A writer with nothing to write.
    pub fn new(writer: W) -> Self {
        Self { writer, queue: VecDeque::new(), queued: 0, written: 0, unflushed: false }
    }

    /// Queues a frame; its length is its first bytes already.
    pub fn push(&mut self, frame: Frame) {
        self.queued += frame.len();
        self.queue.extend(frame.chunks);
    }

    /// Queues bytes.
    pub fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queued
    }

    /// Whether [`flush`](Self::flush) has something to do.
    pub fn has_work(&self) -> bool {
        self.queued > 0 || self.unflushed
    }

    /// Bytes written since the beginning.
    pub fn written_bytes(&self) -> u64 {
        self.written
    }

    /// Writes everything that is queued.
    ///
    /// # Errors
    /// The connection failed and is of no further use.
    ///
    /// # Cancel safety
    /// What was not written stays queued; call again to go on.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// As [`flush`](Self::flush), for a loop that polls.
    ///
    /// # Errors
    /// As [`flush`](Self::flush).
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.queued > 0 {
            let written = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut count = 0;
                for (slice, chunk) in slices.iter_mut().zip(&self.queue) {
                    *slice = IoSlice::new(chunk);
                    count += 1;
                }
                let slices = slices.get(..count).unwrap_or_default();
                ready!(Pin::new(&mut self.writer).poll_write_vectored(cx, slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.writer).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what is queued and says that nothing follows.
    ///
    /// # Errors
    /// The connection failed.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        poll_fn(|cx| Pin::new(&mut self.writer).poll_shutdown(cx)).await
    }

    fn advance(&mut self, written: usize) {
        self.queued -= written;
        self.written += written as u64;
        let mut left = written;
        while left > 0
            && let Some(front) = self.queue.front_mut()
        {
            if front.len() > left {
                front.advance(left);
                return;
            }
            left -= front.len();
            self.queue.pop_front();
        }
    }
}

/// Writes frames and flushes: for callers that keep no queue.
///
/// # Errors
/// The connection failed and is of no further use.
///
/// # Cancel safety
/// None: a frame may have been written in part.
pub async fn write_frames<W: AsyncWrite + Unpin>(
    writer: &mut W,
    frames: impl IntoIterator<Item = Frame>,
) -> io::Result<()> {
    let mut queue = FrameWriter::new(writer);
    for frame in frames {
        queue.push(frame);
    }
    queue.flush().await
}
