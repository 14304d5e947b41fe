//! Where sockets come from.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, lookup_host};

use crate::stream::Transport;
use crate::tcp::Tcp;

/// A boxed future, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Options of a TCP socket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketOptions {
    /// `send.buffer.bytes`; `None` leaves the system's, which grows by itself.
    pub send_buffer_bytes: Option<usize>,
    /// `receive.buffer.bytes`; `None` leaves the system's, which grows by itself.
    pub receive_buffer_bytes: Option<usize>,
    /// Send small packets at once (`TCP_NODELAY`). On by default: requests are written whole.
    pub nodelay: bool,
    /// Let the system probe a silent connection; `None` never probes.
    pub keepalive: Option<Duration>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            nodelay: true,
            keepalive: Some(Duration::from_secs(60)),
        }
    }
}

impl SocketOptions {
    /// Applies what can be set on a connected socket.
    ///
    /// # Errors
    /// What the system answers.
    pub fn apply(&self, socket: &tokio::net::TcpStream) -> io::Result<()> {
        let socket = SockRef::from(socket);
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        Ok(())
    }
}

/// Resolves names and opens connections. A host may bring its own: the C ABI its callbacks, a test pipes in memory.
pub trait Connector: Send + Sync + fmt::Debug {
    /// The addresses of a name, in the order in which they are tried.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// Connects to one address. The caller bounds the time.
    fn open<'a>(&'a self, address: SocketAddr, options: &'a SocketOptions) -> BoxFuture<'a, io::Result<Transport>>;
}

/// The system's resolver and TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
    }

    fn open<'a>(&'a self, address: SocketAddr, options: &'a SocketOptions) -> BoxFuture<'a, io::Result<Transport>> {
        Box::pin(async move {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Buffer sizes decide the window that is offered in the first packet, so they come before connecting.
            let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
            if let Some(bytes) = options.send_buffer_bytes {
                socket.set_send_buffer_size(size(bytes))?;
            }
            if let Some(bytes) = options.receive_buffer_bytes {
                socket.set_recv_buffer_size(size(bytes))?;
            }
            let stream = socket.connect(address).await?;
            options.apply(&stream)?;
            Ok(Transport::Tcp(Tcp::new(stream)))
        })
    }
}
