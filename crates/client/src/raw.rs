//! What the C ABI needs and no Rust program does.

use std::time::Duration;

pub use felice_client_core::metadata::ClusterMetadata;
pub use felice_net::{BoxFuture, Connector, SocketOptions, Tcp, TcpConnector, Transport};

use crate::client::Client;
pub use crate::observe::{Observed, Setup};

/// How many driver threads there are in this process.
pub fn threads() -> usize {
    crate::runtime::threads()
}

/// Runs a task on the client's driver thread. It ends with the task, or with the process's last client.
pub fn spawn(client: &Client, task: impl Future<Output = ()> + Send + 'static) {
    client.driver().spawn(task);
}

/// Waits, in a task of [`spawn`].
pub async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// Addresses (`HOST:PORT`) to try besides those of `bootstrap.servers`.
pub fn add_bootstrap(client: &Client, addresses: Vec<String>) {
    client.driver().command(move |driver, now| driver.core.add_bootstrap(now, addresses));
}
pub use felice_client_core::producer::partitioner::{crc32, fnv1a, murmur2};
