//! One client's connection: frames in, answers out, in order.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use felice_broker_core::ConnectionId;
use felice_net::{FrameError, FrameReader, FrameWriter, ReadHalf, Stream, WriteHalf};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::driver::{Delivery, Driver, Slot};

/// Answers to requests that came together go out together, up to this many bytes.
const WRITE_TOGETHER: usize = 256 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_frame: usize,
    /// Until it is known who the client is.
    pub(crate) max_stranger_frame: usize,
    pub(crate) max_idle: Option<Duration>,
}

/// Serves a client until it goes, is idle for too long, or sends what cannot be.
pub(crate) async fn serve(driver: Rc<Driver>, listener: &str, stream: Stream, peer: SocketAddr, limits: Limits) {
    let (id, slot) = driver.connect(listener, peer.ip());
    // Of a stranger less is read: nobody is to fill this memory before it is known who it is.
    let stranger = !driver.is_authenticated(id);
    let max_frame = if stranger { limits.max_frame.min(limits.max_stranger_frame) } else { limits.max_frame };
    let (reader, writer) = stream.into_split();
    let mut connection = Connection {
        driver: Rc::clone(&driver),
        id,
        slot,
        reader: FrameReader::new(reader, max_frame),
        writer: FrameWriter::new(writer),
        next: None,
        stranger,
        max_frame: limits.max_frame,
        max_idle: limits.max_idle.unwrap_or(Duration::from_secs(60 * 60 * 24 * 365)),
    };
    match connection.run().await {
        End::Closed => debug!("{peer} has closed its connection"),
        End::Idle => debug!("{peer} was idle for too long"),
        End::Refused(reason) => warn!("connection of {peer} closed: {reason}"),
    }
    driver.disconnect(id);
}

struct Connection {
    driver: Rc<Driver>,
    id: ConnectionId,
    slot: Rc<Slot>,
    reader: FrameReader<ReadHalf>,
    writer: FrameWriter<WriteHalf>,
    /// A request that came before the one in front of it was answered.
    next: Option<Bytes>,
    /// It is not known yet who the client is.
    stranger: bool,
    max_frame: usize,
    max_idle: Duration,
}

enum End {
    Closed,
    Idle,
    Refused(String),
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        match error {
            // A client that goes without a word is not the broker's trouble.
            FrameError::Io(_) => Self::Closed,
            FrameError::Tls { .. } => Self::Refused(
                "the client speaks TLS and this listener is plaintext: set the client's security.protocol to PLAINTEXT"
                    .to_owned(),
            ),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl Connection {
    async fn run(&mut self) -> End {
        loop {
            let frame = match self.next_frame().await {
                Ok(frame) => frame,
                Err(end) => return end,
            };
            self.driver.request(self.id, frame);
            let delivery = match self.slot.take() {
                Some(delivery) => delivery,
                None => match self.wait().await {
                    Ok(delivery) => delivery,
                    Err(end) => return end,
                },
            };
            if self.stranger && self.driver.is_authenticated(self.id) {
                self.stranger = false;
                self.reader.set_max_frame(self.max_frame);
            }
            match delivery {
                Delivery::Frame(frame) => self.writer.push(frame),
                Delivery::Close(last, reason) => {
                    if let Some(frame) = last {
                        self.writer.push(frame);
                    }
                    let _ = self.flush().await;
                    let _ = self.writer.shutdown().await;
                    return End::Refused(reason);
                }
            }
        }
    }

    /// The next request. What is to be written goes out before anything is waited for.
    async fn next_frame(&mut self) -> Result<Bytes, End> {
        if let Some(frame) = self.next.take() {
            return Ok(frame);
        }
        if self.writer.queued_bytes() < WRITE_TOGETHER
            && let Some(frame) = self.reader.next_buffered()?
        {
            return Ok(frame);
        }
        self.flush().await?;
        match timeout(self.max_idle, self.reader.next()).await {
            Ok(frame) => frame?.ok_or(End::Closed),
            Err(_) => Err(End::Idle),
        }
    }

    /// Waits for the answer, and meanwhile notices a client that goes. One request is read ahead, no more.
    async fn wait(&mut self) -> Result<Delivery, End> {
        self.flush().await?;
        loop {
            if let Some(delivery) = self.slot.take() {
                return Ok(delivery);
            }
            tokio::select! {
                biased;
                () = self.slot.notify.notified() => {}
                frame = self.reader.next(), if self.next.is_none() => self.next = Some(frame?.ok_or(End::Closed)?),
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        if !self.writer.has_work() {
            return Ok(());
        }
        match timeout(self.max_idle, self.writer.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Closed),
            Err(_) => Err(End::Idle),
        }
    }
}
