//! Any message in any version: what can be read can be written, and what was written is read and written as the same bytes.
#![no_main]

use bytes::Bytes;
use felice_protocol::messages::all::ALL;
use felice_protocol::messages::entry::RecodeError;
use felice_protocol::primitives::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [high, low, version, body @ ..] = data else { return };
    let entry = &ALL[usize::from(u16::from_be_bytes([*high, *low])) % ALL.len()];
    let version = i16::from(*version);
    let once = match (entry.recode)(Bytes::copy_from_slice(body), version) {
        Ok(frame) => joined(&frame),
        Err(RecodeError::Decode(_)) => return,
        Err(RecodeError::Encode(error)) => panic!("{} v{version} was read and cannot be written: {error}", entry.name),
    };
    match (entry.recode)(once.clone(), version) {
        Ok(frame) => assert_eq!(joined(&frame), once, "{} v{version}", entry.name),
        Err(error) => panic!("{} v{version} was written and cannot be read: {error}", entry.name),
    }
});

fn joined(frame: &Frame) -> Bytes {
    frame.chunks.concat().into()
}
