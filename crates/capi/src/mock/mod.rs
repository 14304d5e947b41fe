//! `rdkafka_mock.h`: a cluster in this process, to test programs with, made of [`felice_broker::mock`]. What it is: `docs/mock.md`.
//!
//! - `brokers`: its nodes · `topics`: topics and partitions · `faults`: what goes wrong, and what was asked · `groups`: coordinators and groups
//! - this file: the cluster, and the property `test.mock.num.brokers`
//!
//! Share groups and telemetry are not in it: the client has neither.

pub mod brokers;
pub mod faults;
pub mod groups;
pub mod topics;

use std::ffi::{CString, c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use felice::{Error, ErrorCode, ErrorKind, Properties};
use felice_broker::mock::MockCluster;

use crate::boundary::{guard, without_signals};
use crate::conf::Conf;
use crate::handle::Kafka;
use crate::types::RespErr;

/// What librdkafka's mock cluster waits for members of a group to gather.
const INITIAL_REBALANCE_DELAY: Duration = Duration::from_secs(3);
/// `group.consumer.session.timeout.ms` there.
const CONSUMER_SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// `group.consumer.heartbeat.interval.ms` there.
const CONSUMER_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);

/// `rd_kafka_mock_cluster_t`.
#[derive(Debug)]
pub struct Mock {
    pub(crate) cluster: MockCluster,
    bootstraps: CString,
    /// The handle that it was made with.
    handle: AtomicPtr<Kafka>,
}

impl Mock {
    fn start(nodes: c_int) -> Option<Self> {
        let cluster = without_signals(|| MockCluster::start(nodes)).ok()?;
        cluster.with(|c, _| {
            c.set_initial_rebalance_delay(INITIAL_REBALANCE_DELAY);
            c.set_consumer_session_timeout(CONSUMER_SESSION_TIMEOUT);
            c.set_consumer_heartbeat_interval(CONSUMER_HEARTBEAT_INTERVAL);
            c.set_current_epochs(true);
        });
        let bootstraps = CString::new(cluster.bootstrap()).ok()?;
        Some(Self { cluster, bootstraps, handle: AtomicPtr::default() })
    }

    /// Where `test.mock.num.brokers` asks for one: a cluster, to which the properties then lead, whatever they led to before.
    pub(crate) fn from_conf(conf: &Conf, properties: &mut Properties) -> Result<Option<Self>, Error> {
        let nodes = c_int::try_from(conf.int("test.mock.num.brokers")).unwrap_or(0);
        if nodes <= 0 {
            return Ok(None);
        }
        let failed = || Error::new(ErrorKind::Config, "Failed to create mock cluster, see logs");
        let mock = Self::start(nodes).ok_or_else(failed)?;
        properties.set("bootstrap.servers", mock.cluster.bootstrap())?;
        properties.set("security.protocol", "plaintext")?;
        let rtt = Duration::from_millis(u64::try_from(conf.int("test.mock.broker.rtt")).unwrap_or(0));
        mock.cluster.with(|c, now| {
            for node in c.nodes() {
                // The nodes were just made.
                let _ = c.set_rtt(now, node, rtt);
            }
        });
        Ok(Some(mock))
    }

    pub(crate) fn attach(&self, handle: *mut Kafka) {
        self.handle.store(handle, Ordering::Relaxed);
    }
}

/// Does something to a cluster; NULL is an invalid argument.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
pub(super) unsafe fn on(mcluster: *const Mock, act: impl FnOnce(&Mock) -> RespErr) -> RespErr {
    guard(RespErr::FAIL, || {
        // SAFETY: the caller vouches for it.
        unsafe { mcluster.as_ref() }.map_or(RespErr::INVALID_ARG, act)
    })
}

/// What a broker's error is in C.
pub(super) fn code(result: Result<(), ErrorCode>) -> RespErr {
    result.map_or_else(|code| RespErr(code.0.into()), |()| RespErr::NO_ERROR)
}

/// A time that C gives in milliseconds; what is negative is none.
pub(super) fn millis(count: c_int) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}

/// A cluster of `broker_cnt` brokers with ids from 1 on; NULL where it cannot be. `rk` is only kept for `rd_kafka_mock_cluster_handle`.
///
/// # Safety
/// None is needed: `rk` is not looked at.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cluster_new(rk: *mut Kafka, broker_cnt: c_int) -> *mut Mock {
    guard(std::ptr::null_mut(), || {
        let Some(mock) = Mock::start(broker_cnt) else { return std::ptr::null_mut() };
        mock.attach(rk);
        Box::into_raw(Box::new(mock))
    })
}

/// Ends a cluster: its connections are closed.
///
/// # Safety
/// `mcluster` is NULL or came from [`rd_kafka_mock_cluster_new`], and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cluster_destroy(mcluster: *mut Mock) {
    guard((), || {
        if !mcluster.is_null() {
            // SAFETY: it came from `Box::into_raw`, and the caller vouches that this is its last use.
            drop(unsafe { Box::from_raw(mcluster) });
        }
    });
}

/// The handle that a cluster was made with.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cluster_handle(mcluster: *const Mock) -> *mut Kafka {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        unsafe { mcluster.as_ref() }.map_or(std::ptr::null_mut(), |mock| mock.handle.load(Ordering::Relaxed))
    })
}

/// The cluster that `test.mock.num.brokers` has made for a handle, which goes with the handle; NULL where there is none.
///
/// # Safety
/// `rk` is NULL or came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_handle_mock_cluster(rk: *const Kafka) -> *mut Mock {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let mock = unsafe { rk.as_ref() }.and_then(|rk| rk.mock.as_deref());
        mock.map_or(std::ptr::null_mut(), |mock| std::ptr::from_ref(mock).cast_mut())
    })
}

/// The addresses of the brokers, for `bootstrap.servers`; valid as long as the cluster.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_cluster_bootstraps(mcluster: *const Mock) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for it.
        unsafe { mcluster.as_ref() }.map_or(std::ptr::null(), |mock| mock.bootstraps.as_ptr())
    })
}

/// Telemetry is not there: `__UNSUPPORTED_FEATURE`.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_telemetry_set_requested_metrics(
    mcluster: *mut Mock,
    metrics: *mut *mut c_char,
    metrics_cnt: usize,
) -> RespErr {
    let _ = (mcluster, metrics, metrics_cnt);
    RespErr::UNSUPPORTED_FEATURE
}

/// Telemetry is not there: `__UNSUPPORTED_FEATURE`.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_telemetry_set_push_interval(
    mcluster: *mut Mock,
    push_interval_ms: i64,
) -> RespErr {
    let _ = (mcluster, push_interval_ms);
    RespErr::UNSUPPORTED_FEATURE
}
