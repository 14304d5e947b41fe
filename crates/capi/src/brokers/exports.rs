//! The C functions: which brokers there are, and more of them.

use std::ffi::{c_char, c_int};

use crate::boundary::{guard, text};
use crate::handle::Kafka;

/// The ids of the brokers that metadata has named, in memory for the program to free; `cntp` gets how many.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `cntp` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_brokers_learned_ids(rk: *mut Kafka, cntp: *mut usize) -> *mut i32 {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for both.
        let (Some(rk), Some(count)) = (unsafe { (rk.as_ref(), cntp.as_mut()) }) else { return std::ptr::null_mut() };
        let ids: Vec<i32> = rk.brokers.cluster().brokers.keys().copied().collect();
        // SAFETY: room for so many, and one more so that none is not nothing.
        let memory = unsafe { libc::malloc((ids.len() + 1) * size_of::<i32>()) }.cast::<i32>();
        *count = if memory.is_null() { 0 } else { ids.len() };
        if !memory.is_null() {
            // SAFETY: as much was allocated, and the two do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(ids.as_ptr(), memory, ids.len()) };
        }
        memory
    })
}

/// The addresses of a list such as `bootstrap.servers`, each with a port.
fn addresses(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(str::trim).filter(|address| !address.is_empty()).map(|address| {
        let address = address.split_once("://").map_or(address, |(_, behind)| behind);
        let has_port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if has_port { address.to_owned() } else { format!("{address}:9092") }
    })
}

/// Addresses to try besides those of the configuration: `HOST:PORT` with commas between. Returns how many are new.
///
/// # Safety
/// `rk` came from `rd_kafka_new`; `brokerlist` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_brokers_add(rk: *mut Kafka, brokerlist: *const c_char) -> c_int {
    guard(0, || {
        // SAFETY: the caller vouches for both.
        let (Some(rk), Some(list)) = (unsafe { (rk.as_ref(), text(brokerlist)) }) else { return 0 };
        let new = rk.brokers.configured(addresses(list));
        let count = c_int::try_from(new.len()).unwrap_or(c_int::MAX);
        felice::raw::add_bootstrap(&rk.client, new);
        count
    })
}
