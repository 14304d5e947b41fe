//! The cluster's brokers. An id of −1 stands for all of them where the function says so.

use std::ffi::{c_char, c_int};

use felice_broker::mock::{ApiKey, ErrorCode};

use super::{Mock, code, millis, on};
use crate::boundary::{guard, text};
use crate::types::RespErr;

/// Does something to one broker, or to all of them.
fn each(mock: &Mock, broker_id: i32, mut act: impl FnMut(i32) -> Result<(), ErrorCode>) -> RespErr {
    if broker_id != -1 {
        return code(act(broker_id));
    }
    code(mock.cluster.with(|c, _| c.nodes()).into_iter().try_for_each(&mut act))
}

/// Takes a broker down (−1: all): connections are closed and refused. Leaders stay.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_set_down(mcluster: *mut Mock, broker_id: i32) -> RespErr {
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, |mock| each(mock, broker_id, |id| mock.cluster.set_down(id))) }
}

/// Lets a broker (−1: all) take connections again.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_set_up(mcluster: *mut Mock, broker_id: i32) -> RespErr {
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, |mock| each(mock, broker_id, |id| mock.cluster.set_up(id))) }
}

/// Says how long a round trip to a broker (−1: all) takes, in milliseconds.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_set_rtt(mcluster: *mut Mock, broker_id: i32, rtt_ms: c_int) -> RespErr {
    let set = |mock: &Mock| each(mock, broker_id, |id| mock.cluster.with(|c, now| c.set_rtt(now, id, millis(rtt_ms))));
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, set) }
}

/// Says which rack Metadata tells of a broker (−1: all); NULL is none.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `rack` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_set_rack(
    mcluster: *mut Mock,
    broker_id: i32,
    rack: *const c_char,
) -> RespErr {
    // SAFETY: the caller vouches for both.
    unsafe {
        on(mcluster, |mock| {
            let rack = text(rack);
            each(mock, broker_id, |id| mock.cluster.with(|c, _| c.set_rack(id, rack)))
        })
    }
}

/// Says which address the cluster tells of a broker; it listens where it did.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives; `host` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_set_host_port(
    mcluster: *mut Mock,
    broker_id: i32,
    host: *const c_char,
    port: c_int,
) {
    guard((), || {
        // SAFETY: the caller vouches for both.
        let (mock, host) = unsafe { (mcluster.as_ref(), text(host)) };
        if let (Some(mock), Some(host), Ok(port)) = (mock, host, u16::try_from(port)) {
            // A broker that is not there has no address to change.
            let _ = mock.cluster.with(|c, _| c.set_address(broker_id, host, port));
        }
    });
}

/// Takes a broker away for good; its partitions go to the others.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_decommission(mcluster: *mut Mock, broker_id: i32) -> RespErr {
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, |mock| each(mock, broker_id, |id| mock.cluster.remove_node(id))) }
}

/// Has Metadata tell of a broker no more; its partitions go to the others, its connections stay.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_remove_from_metadata(mcluster: *mut Mock, broker_id: i32) -> RespErr {
    let remove = |mock: &Mock| each(mock, broker_id, |id| mock.cluster.with(|c, now| c.set_listed(now, id, false)));
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, remove) }
}

/// Adds a broker, and spreads all partitions anew; `__INVALID_ARG` where the id is taken.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_broker_add(mcluster: *mut Mock, broker_id: i32) -> RespErr {
    let add = |mock: &Mock| match mock.cluster.add_node(broker_id) {
        Ok(_) => RespErr::NO_ERROR,
        Err(ErrorCode::INVALID_REQUEST) => RespErr::INVALID_ARG,
        Err(_) => RespErr::TRANSPORT,
    };
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, add) }
}

/// Says which broker Metadata calls the controller.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_set_controller_id(mcluster: *mut Mock, controller_id: i32) {
    guard((), || {
        // SAFETY: the caller vouches for it.
        if let Some(mock) = unsafe { mcluster.as_ref() } {
            mock.cluster.with(|c, _| c.set_controller(controller_id));
        }
    });
}

/// Offers an API in these versions only; −1 and −1 offer it not at all.
///
/// # Safety
/// `mcluster` is NULL or a cluster that lives.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_mock_set_apiversion(
    mcluster: *mut Mock,
    api_key: i16,
    min_version: i16,
    max_version: i16,
) -> RespErr {
    let set = |mock: &Mock| {
        if api_key < 0 {
            return RespErr::INVALID_ARG;
        }
        let versions = (max_version >= 0).then_some((min_version.max(0), max_version));
        mock.cluster.with(|c, _| c.set_versions(ApiKey(api_key), versions));
        RespErr::NO_ERROR
    };
    // SAFETY: the caller vouches for it.
    unsafe { on(mcluster, set) }
}
