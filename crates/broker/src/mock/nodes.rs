//! The nodes' sockets: a node that is down keeps its port, but does not listen on it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use felice_net::Listener;
use felice_protocol::error_code::ErrorCode;
use socket2::{Domain, Type};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::connection::serve;
use super::driver::Driver;

pub(super) use socket2::Socket;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What is to be done to a node's socket, and whom to tell.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) reply: mpsc::Sender<Result<u16, ErrorCode>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Command {
    Up(i32),
    Down(i32),
    Add(i32),
    Remove(i32),
}

/// Takes a port, a free one where none is named, without listening on it.
pub(super) fn bind(address: Option<SocketAddr>) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(address.is_some())?;
    let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    socket.bind(&address.into())?;
    // Connections inherit it, and still hold the port when they were just closed. A free port is taken without it, though: else the system
    // may give one that a node which is down holds.
    socket.set_reuse_address(true)?;
    let bound = socket.local_addr()?.as_socket();
    Ok((socket, bound.ok_or(io::ErrorKind::AddrNotAvailable)?))
}

/// The sockets of all nodes.
#[derive(Debug)]
pub(super) struct Sockets {
    driver: Rc<Driver>,
    nodes: BTreeMap<i32, Endpoint>,
}

#[derive(Debug)]
struct Endpoint {
    address: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The task that accepts.
    Up(JoinHandle<()>),
    /// The socket that holds the port.
    Down(Option<Socket>),
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let State::Up(task) = &self.state {
            task.abort();
        }
    }
}

impl Sockets {
    pub(super) fn new(driver: Rc<Driver>) -> Self {
        Self { driver, nodes: BTreeMap::new() }
    }

    /// Lets a node accept connections.
    pub(super) fn listen(&mut self, node: i32, socket: Socket, address: SocketAddr) -> io::Result<()> {
        socket.listen(BACKLOG)?;
        let listener = Listener::from_std(socket.into(), None)?;
        let task = tokio::task::spawn_local(accept(Rc::clone(&self.driver), node, listener));
        self.nodes.insert(node, Endpoint { address, state: State::Up(task) });
        Ok(())
    }

    pub(super) async fn carry_out(&mut self, command: Command) -> Result<u16, ErrorCode> {
        let failed = |error: io::Error| {
            warn!("a node's socket: {error}");
            ErrorCode::BROKER_NOT_AVAILABLE
        };
        match command {
            Command::Down(node) => {
                let endpoint = self.nodes.get_mut(&node).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                self.driver.with(|core, now| core.set_up(now, node, false))?;
                if let State::Up(task) = &mut endpoint.state {
                    task.abort();
                    // The listener is closed when the task is gone.
                    let _ = task.await;
                    endpoint.state = State::Down(bind(Some(endpoint.address)).ok().map(|(socket, _)| socket));
                }
                Ok(endpoint.address.port())
            }
            Command::Up(node) => {
                let endpoint = self.nodes.get_mut(&node).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                let address = endpoint.address;
                if let State::Down(socket) = &mut endpoint.state {
                    let socket = match socket.take() {
                        Some(socket) => socket,
                        None => bind(Some(address)).map_err(failed)?.0,
                    };
                    self.listen(node, socket, address).map_err(failed)?;
                }
                self.driver.with(|core, now| core.set_up(now, node, true))?;
                Ok(address.port())
            }
            Command::Add(node) => {
                let (socket, address) = bind(None).map_err(failed)?;
                let host = address.ip().to_string();
                if !self.driver.with(|core, now| core.add_node(now, node, &host, address.port())) {
                    return Err(ErrorCode::INVALID_REQUEST);
                }
                self.listen(node, socket, address).map_err(failed)?;
                Ok(address.port())
            }
            Command::Remove(node) => {
                let endpoint = self.nodes.remove(&node).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
                self.driver.with(|core, now| core.remove_node(now, node));
                Ok(endpoint.address.port())
            }
        }
    }
}

async fn accept(driver: Rc<Driver>, node: i32, listener: Listener) {
    loop {
        let incoming = match listener.accept().await {
            Ok(incoming) => incoming,
            Err(error) => {
                // Too many open files, most likely: that passes when connections close.
                warn!("node {node} cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = incoming.peer_addr().ip();
        let driver = Rc::clone(&driver);
        tokio::task::spawn_local(async move {
            match incoming.handshake(Duration::from_secs(10)).await {
                Ok(stream) => serve(driver, node, stream, peer).await,
                Err(error) => debug!("{peer}: {error}"),
            }
        });
    }
}
