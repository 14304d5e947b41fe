//! Sockets by a program's own functions: `resolve_cb`, `socket_cb`, `connect_cb`, `closesocket_cb`.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use felice::raw::{BoxFuture, Connector, SocketOptions, Tcp, TcpConnector, Transport};
use tokio::net::TcpStream;

use crate::conf::Conf;
use crate::conf::callbacks::{ClosesocketCb, ConnectCb, ResolveCb, SocketCb};
use crate::handle::Alive;

/// Which addresses are wanted (`broker.address.family`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    fn has(self, address: &SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => address.is_ipv4(),
            Self::V6 => address.is_ipv6(),
        }
    }

    fn code(self) -> c_int {
        match self {
            Self::Any => libc::AF_UNSPEC,
            Self::V4 => libc::AF_INET,
            Self::V6 => libc::AF_INET6,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Opaque(*mut c_void);

// SAFETY: the program's pointer, which it asked to be called with from any thread; nothing here looks behind it.
unsafe impl Send for Opaque {}
// SAFETY: as above.
unsafe impl Sync for Opaque {}

/// The open sockets of a handle, by their own addresses: interceptors are told the descriptors.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<BTreeMap<SocketAddr, Weak<Socket>>>);

impl Sockets {
    fn add(&self, local: SocketAddr, socket: &Arc<Socket>) {
        let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|_, socket| socket.strong_count() > 0);
        sockets.insert(local, Arc::downgrade(socket));
    }

    /// The socket of a connection, by its address on this side.
    pub(crate) fn find(&self, local: Option<SocketAddr>) -> Weak<Socket> {
        let sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        local.and_then(|local| sockets.get(&local).cloned()).unwrap_or_default()
    }
}

/// Sockets as the configuration has them.
#[derive(Debug)]
struct Callbacks {
    sockets: Arc<Sockets>,
    /// Interceptors may hear of requests.
    is_watched: bool,
    family: Family,
    resolve: Option<ResolveCb>,
    socket: Option<SocketCb>,
    connect: Option<ConnectCb>,
    close: Option<ClosesocketCb>,
    opaque: Opaque,
    _alive: Alive,
}

/// Where a handle's sockets come from; `None` where it is the system alone. Those that are opened stand in `sockets`.
pub(crate) fn connector(conf: &Conf, sockets: &Arc<Sockets>, alive: &Alive) -> Option<Arc<dyn Connector>> {
    let family = match conf.text("broker.address.family") {
        Some("v4") => Family::V4,
        Some("v6") => Family::V6,
        _ => Family::Any,
    };
    let (callbacks, socket) = (conf.callbacks, conf.callbacks.own_socket_cb());
    let own = callbacks.resolve_cb.is_some()
        || socket.is_some()
        || callbacks.connect_cb.is_some()
        || callbacks.closesocket_cb.is_some()
        // Interceptors may want the descriptors.
        || conf.interceptors.has_new();
    if !own && family == Family::Any {
        return None;
    }
    Some(Arc::new(Callbacks {
        sockets: sockets.clone(),
        is_watched: conf.interceptors.has_new(),
        family,
        resolve: callbacks.resolve_cb,
        socket,
        connect: callbacks.connect_cb,
        close: callbacks.closesocket_cb,
        opaque: Opaque(conf.opaque),
        _alive: alive.clone(),
    }))
}

impl Connector for Callbacks {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let found = match self.resolve {
                None => TcpConnector.resolve(host, port).await?,
                Some(resolve) => ask(resolve, self.opaque, self.family, host, port)?,
            };
            Ok(found.into_iter().filter(|address| self.family.has(address)).collect())
        })
    }

    fn open<'a>(&'a self, address: SocketAddr, options: &'a SocketOptions) -> BoxFuture<'a, io::Result<Transport>> {
        Box::pin(async move {
            let socket = Arc::new(self.socket(address)?);
            self.connect(&socket, address)?;
            // The program closes its own descriptor; the connection uses another of the same socket.
            let used = socket.duplicate()?;
            if self.is_watched {
                // A new socket has none yet.
                let _ = socket.spare.set(socket.duplicate()?);
            }
            let stream = TcpStream::from_std(std::net::TcpStream::from(used))?;
            stream.writable().await?;
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            options.apply(&stream)?;
            if let Ok(local) = stream.local_addr() {
                self.sockets.add(local, &socket);
            }
            Ok(Transport::Tcp(Tcp::new(stream).holding(socket)))
        })
    }
}

impl Callbacks {
    fn socket(&self, address: SocketAddr) -> io::Result<Socket> {
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = match self.socket {
            // SAFETY: the program's own function with the arguments that it was promised.
            Some(socket) => unsafe { socket(family, libc::SOCK_STREAM, libc::IPPROTO_TCP, self.opaque.0) },
            // SAFETY: no pointers.
            None => unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, libc::IPPROTO_TCP) },
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket =
            Socket { fd, close: self.close, opaque: self.opaque, spare: OnceLock::new(), gone: AtomicBool::new(false) };
        // SAFETY: a descriptor, and no pointers.
        let set = unsafe { libc::fcntl(fd, libc::F_SETFL, libc::fcntl(fd, libc::F_GETFL) | libc::O_NONBLOCK) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
    }

    /// Begins to connect.
    fn connect(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        let (raw, len) = to_raw(address);
        let pointer = (&raw const raw).cast::<libc::sockaddr>();
        let code = match self.connect {
            Some(connect) => {
                let id = CString::new(address.to_string()).unwrap_or_default();
                let len = c_int::try_from(len).unwrap_or(0);
                // SAFETY: the program's own function; the address and the name live until it has come back.
                unsafe { connect(socket.fd, pointer, len, id.as_ptr(), self.opaque.0) }
            }
            // SAFETY: the address has that length.
            None => match unsafe { libc::connect(socket.fd, pointer, len) } {
                0 => 0,
                _ => io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO),
            },
        };
        match code {
            0 | libc::EINPROGRESS => Ok(()),
            // Some functions tell only that it failed.
            code if code < 0 => Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// A socket that the program knows, and closes where it has a function for that.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: c_int,
    close: Option<ClosesocketCb>,
    opaque: Opaque,
    /// Another descriptor of the same socket, where interceptors may close the first.
    spare: OnceLock<OwnedFd>,
    /// They did.
    gone: AtomicBool,
}

impl Socket {
    pub(crate) fn descriptor(&self) -> c_int {
        self.fd
    }

    fn duplicate(&self) -> io::Result<OwnedFd> {
        // SAFETY: a descriptor, and no pointers.
        let fd = unsafe { libc::fcntl(self.fd, libc::F_DUPFD_CLOEXEC, 0) };
        // SAFETY: the system has just given it to us.
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
    }

    /// After an interceptor: one that closes the descriptor means the connection.
    pub(crate) fn follow(&self) {
        // SAFETY: a number, and no pointers.
        let is_open = unsafe { libc::fcntl(self.fd, libc::F_GETFD) } >= 0;
        if !is_open
            && !self.gone.swap(true, Ordering::Relaxed)
            && let Some(spare) = self.spare.get()
        {
            // SAFETY: an open descriptor, and no pointers.
            unsafe { libc::shutdown(spare.as_raw_fd(), libc::SHUT_RDWR) };
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.gone.load(Ordering::Relaxed) {
            return;
        }
        // SAFETY: the last use of the descriptor; the program's own function with the arguments that it was promised.
        unsafe {
            match self.close {
                Some(close) => close(self.fd, self.opaque.0),
                None => libc::close(self.fd),
            };
        }
    }
}

/// The addresses that the program's function knows for a name.
fn ask(resolve: ResolveCb, opaque: Opaque, family: Family, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (node, service) = (CString::new(host)?, CString::new(port.to_string())?);
    // SAFETY: all zero is a valid `addrinfo`.
    let mut hints: libc::addrinfo = unsafe { MaybeUninit::zeroed().assume_init() };
    hints.ai_flags = libc::AI_ADDRCONFIG;
    hints.ai_family = family.code();
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_protocol = libc::IPPROTO_TCP;
    let mut found: *mut libc::addrinfo = std::ptr::null_mut();
    // SAFETY: the program's own function; what it is given lives until it has come back.
    let code = unsafe { resolve(node.as_ptr(), service.as_ptr(), &raw const hints, &raw mut found, opaque.0) };
    if code != 0 {
        return Err(io::Error::other(format!("failed to resolve '{host}:{port}': code {code}")));
    }
    let mut addresses = Vec::new();
    let mut next = found;
    // SAFETY: the program gives a list that ends in NULL, as `getaddrinfo` does.
    while let Some(info) = unsafe { next.as_ref() } {
        // SAFETY: each has an address of the length that it says.
        addresses.extend(unsafe { from_raw(info.ai_addr, info.ai_addrlen) });
        next = info.ai_next;
    }
    // SAFETY: the program frees what it gave, when it is called with nothing else.
    unsafe { resolve(std::ptr::null(), std::ptr::null(), std::ptr::null(), &raw mut found, opaque.0) };
    Ok(addresses)
}

fn to_raw(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zero is a valid `sockaddr_storage`.
    let mut storage: libc::sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
    let len = match address {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage has room and alignment for every kind of address.
            let raw = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in>() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from_ne_bytes(v4.ip().octets());
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above.
            let raw = unsafe { &mut *(&raw mut storage).cast::<libc::sockaddr_in6>() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, len as libc::socklen_t)
}

/// # Safety
/// `address` is NULL or has `len` bytes.
unsafe fn from_raw(address: *const libc::sockaddr, len: libc::socklen_t) -> Option<SocketAddr> {
    // SAFETY: the caller vouches for it.
    let family = c_int::from(unsafe { address.as_ref() }?.sa_family);
    let has = |size: usize| len as usize >= size;
    if family == libc::AF_INET && has(size_of::<libc::sockaddr_in>()) {
        // SAFETY: the family says what it is, and it is long enough; it may stand anywhere.
        let raw = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
        let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
        return Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into());
    }
    if family == libc::AF_INET6 && has(size_of::<libc::sockaddr_in6>()) {
        // SAFETY: as above.
        let raw = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
        let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
        return Some(SocketAddrV6::new(ip, u16::from_be(raw.sin6_port), 0, raw.sin6_scope_id).into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["127.1.2.3:4321", "[fe80::1]:9092"] {
            let address: SocketAddr = text.parse().unwrap();
            let (raw, len) = to_raw(address);
            // SAFETY: a storage of that length.
            assert_eq!(unsafe { from_raw((&raw const raw).cast(), len) }, Some(address));
        }
    }
}
