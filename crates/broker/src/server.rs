//! The broker's thread: its runtime, its listener, its end.

use std::rc::Rc;
use std::time::Duration;

use felice_net::Listener;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tracing::{debug, warn};

use crate::Error;
use crate::connection::{self, Limits};
use crate::driver::Driver;

/// How long a TLS client may take to agree.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long answers that are ready may take to go out when the broker stops.
const LAST_WORDS: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) listeners: Vec<(String, Listener)>,
    pub(crate) driver: Rc<Driver>,
    pub(crate) limits: Limits,
    pub(crate) max_connections: usize,
}

impl Server {
    /// Serves until `stop` says so (or whoever holds it is gone), then closes the data directory.
    pub(crate) async fn run(self, tasks: &LocalSet, stop: oneshot::Receiver<()>) -> Result<(), Error> {
        let driver = Rc::clone(&self.driver);
        tasks
            .run_until(async move {
                tokio::task::spawn_local(Rc::clone(&driver).keep_time());
                for (name, listener) in self.listeners {
                    let (driver, limits, max_connections) = (Rc::clone(&driver), self.limits, self.max_connections);
                    tokio::task::spawn_local(accept(name.into(), listener, driver, limits, max_connections));
                }
                // Whether it was said or whoever could say it is gone: it is over.
                let _ = stop.await;
                let closed = driver.shutdown();
                // Long polls were just answered: let them hear it.
                if driver.connections() > 0 {
                    tokio::time::sleep(LAST_WORDS).await;
                }
                closed.map_err(Error::from)
            })
            .await
    }
}

/// Accepts the connections of one listener, for ever.
async fn accept(name: Rc<str>, listener: Listener, driver: Rc<Driver>, limits: Limits, max_connections: usize) {
    loop {
        let incoming = match listener.accept().await {
            Ok(incoming) => incoming,
            Err(error) => {
                // Too many open files, most likely: that passes when connections close.
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let peer = incoming.peer_addr();
        if driver.connections() >= max_connections {
            warn!("connection of {peer} closed: max.connections is {max_connections}");
            continue;
        }
        let (driver, name) = (Rc::clone(&driver), Rc::clone(&name));
        tokio::task::spawn_local(async move {
            match incoming.handshake(HANDSHAKE).await {
                Ok(stream) => connection::serve(driver, &name, stream, peer, limits).await,
                // Whoever only looks whether the port is open is no trouble.
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => debug!("{peer} has gone: {error}"),
                Err(error) => warn!("connection of {peer} to listener {name} closed: no TLS came about: {error}"),
            }
        });
    }
}
