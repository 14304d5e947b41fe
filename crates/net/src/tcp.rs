//! TCP sockets whose writes never raise SIGPIPE.

use std::any::Any;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Rust programs ignore SIGPIPE; a C program that loaded us does not, and a plain `writev` to a closed connection would end it.
/// Apple has no such flag: there the sockets carry `SO_NOSIGPIPE`, which the standard library sets. Windows has no such signal.
#[cfg(all(unix, not(target_vendor = "apple")))]
const SEND_FLAGS: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(all(unix, not(target_vendor = "apple"))))]
const SEND_FLAGS: i32 = 0;

/// The one function through which every TCP write goes.
fn send(socket: &TcpStream, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let sent =
            socket.try_io(Interest::WRITABLE, || SockRef::from(socket).send_vectored_with_flags(slices, SEND_FLAGS));
        match sent {
            // Readiness was stale and is cleared now: wait for the next.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Something that lives as long as a socket.
type Behind = Option<Arc<dyn Any + Send + Sync>>;

/// A connected TCP socket.
#[derive(Debug)]
pub struct Tcp {
    socket: TcpStream,
    behind: Behind,
}

impl Tcp {
    /// Takes over a connected socket.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket, behind: None }
    }

    /// Drops this once the socket is closed.
    #[must_use]
    pub fn holding(mut self, behind: Arc<dyn Any + Send + Sync>) -> Self {
        self.behind = Some(behind);
        self
    }

    /// The socket, for options and addresses; write to `self` instead.
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Two halves that share the socket without a lock.
    pub fn into_split(self) -> (TcpReader, TcpWriter) {
        let (reader, writer) = self.socket.into_split();
        let behind = self.behind;
        (TcpReader { socket: reader, _behind: behind.clone() }, TcpWriter { socket: writer, _behind: behind })
    }
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        send(&self.socket, cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        send(&self.socket, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The reading half of a [`Tcp`].
#[derive(Debug)]
pub struct TcpReader {
    socket: OwnedReadHalf,
    _behind: Behind,
}

impl AsyncRead for TcpReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

/// The writing half of a [`Tcp`]; dropping it ends the connection in this direction.
#[derive(Debug)]
pub struct TcpWriter {
    socket: OwnedWriteHalf,
    _behind: Behind,
}

impl AsyncWrite for TcpWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        send(self.socket.as_ref(), cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        send(self.socket.as_ref(), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
