//! A cluster of several nodes in this process, for tests of clients: leaders and coordinators where a test wants them, and faults on request.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use felice_broker::mock::{ApiKey, ErrorCode, Fault, MockCluster};
//!
//! let cluster = MockCluster::start(3)?;
//! cluster.with(|c, now| c.create_topic(now, "orders", 1, 3))?;
//! // The next two requests to produce fail, whoever sends them; a third would be served.
//! cluster.with(|c, _| c.push_faults(ApiKey::PRODUCE, [Fault::Error(ErrorCode::REQUEST_TIMED_OUT), Fault::Disconnect]));
//! println!("point any Kafka client at {}", cluster.bootstrap());
//! # Ok(()) }
//! ```
//!
//! What can be done to it are the methods of [`MockCore`], reached by [`MockCluster::with`]; what needs its sockets as well are methods of
//! [`MockCluster`]. The nodes share one broker's state: nothing is replicated, and what one leader wrote the next one has.
//! `docs/mock.md` has a page about it; librdkafka's `rdkafka_mock.h` is made of it.

mod cluster;
mod connection;
mod driver;
mod nodes;

pub use cluster::{MockCluster, MockClusterBuilder};
pub use felice_broker_core::mock::{CoordinatorKind, Fault, MockCore, TrackedRequest};
pub use felice_protocol::error_code::ErrorCode;
pub use felice_protocol::messages::ApiKey;
pub use felice_protocol::time::Now;
