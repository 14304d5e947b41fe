//! A driver's side of a consumer without a driver: what the application can take between two of its steps.

use std::task::Waker;

use bytes::Bytes;
use felice_client_core::config::{OffsetReset, Properties};
use felice_client_core::consumer::fetcher::{Fetched, Fetcher};
use felice_client_core::consumer::group::{GroupEvent, ProposalId};
use felice_client_core::consumer::session::SessionConfig;

use super::*;
use crate::consumer::partition::Vitals;
use crate::driver::DriverShared;

fn fetched(entry: &Entry, budget: &Arc<Budget>) -> Fetched {
    Fetched {
        partition: entry.fetch.unwrap(),
        topic: "t".into(),
        index: 0,
        records: Bytes::new(),
        from: 0,
        next: 5,
        until: None,
        high_watermark: 5,
        log_start_offset: 0,
        aborted: Arc::new([]),
        generation: 0,
        charge: budget.charge(Bytes::new()),
    }
}

/// The application's thread takes whenever it likes, also between a loss and what the driver does about it: what the session has found handed out
/// and done would be old by then.
#[tokio::test]
async fn nothing_is_taken_of_a_lost_partition_once_the_session_has_heard() {
    let (now, partition) = (Now::default(), TopicPartition::new("t", 0));
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", "localhost:9092").unwrap();
    let fetch = properties.fetch_config().unwrap();
    let mut core = Core::new(properties.client_config().unwrap(), 1);
    let budget = Budget::new(1 << 20, Waker::noop().clone());
    let limits = Limits::new(None, &fetch);
    let reader = core.add_reader(Fetcher::new(fetch, budget.clone()));
    let driver = DriverShared::new(tokio::runtime::Handle::current());
    let shared = ConsumerShared::new(Vitals::new(driver, ConsumerKey(reader.0), false));
    let session = Session::new(SessionConfig {
        commit: None,
        commit_interval: Duration::from_secs(5),
        offset_reset: OffsetReset::Earliest,
        max_processing: Duration::from_secs(10),
        retry_backoff: Duration::from_secs(1),
        grouped: true,
    });
    let mut consumer = ConsumerDriver::new(session, None, reader, shared.clone(), budget.clone(), limits, None, now);
    consumer.session.assign(now, vec![(partition.clone(), Some(Position::Offset(0)))]);
    consumer.work(&mut core, now);
    let entry = &consumer.partitions[&partition];
    entry.shared.push(fetched(entry, &budget), usize::MAX);
    let held = shared.partition(&partition).unwrap();

    let error = Error::new(ErrorKind::Broker, "fenced");
    let lost = GroupEvent::Lost { id: ProposalId(1), partitions: vec![partition], error };
    consumer.handle_group(&mut core, now, lost);
    assert!(held.take(true).is_none());
    let (asked, answer) = oneshot::channel();
    consumer.commit(None, asked);
    consumer.work(&mut core, now);
    // Nothing was handed out, so nothing is missing.
    assert!(answer.await.unwrap().is_ok());
}
