//! Any bytes as a request: the header is read, and the body as its API and version say.
#![no_main]

use bytes::Bytes;
use felice_protocol::messages::{ApiKey, all::ALL, decode_request_header};
use felice_protocol::primitives::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(Bytes::copy_from_slice(data));
    let Ok(header) = decode_request_header(&mut decoder) else { return };
    let Some(name) = ApiKey(header.request_api_key).name() else { return };
    let request = format!("{name}Request");
    if let Some(entry) = ALL.iter().find(|entry| entry.name == request) {
        let _ = (entry.recode)(decoder.rest(), header.request_api_version);
    }
});
