//! `rd_kafka_consumer_group_metadata_t`: who a member is, for a transaction that commits its offsets.

use std::ffi::{CStr, CString, c_char, c_void};

use super::failed::failed;
use super::grouped;
use crate::boundary::guard;
use crate::errors::object::ErrorObject;
use crate::handle::Kafka;
use crate::types::RespErr;

/// `rd_kafka_consumer_group_metadata_t`.
#[derive(Clone, Debug)]
pub struct GroupMetadata {
    group: CString,
    generation: i32,
    member: CString,
    instance: Option<CString>,
}

/// What a serialized one begins with.
const MAGIC: &[u8; 7] = b"CGMDv2:";

fn give(metadata: GroupMetadata) -> *mut GroupMetadata {
    Box::into_raw(Box::new(metadata))
}

/// A C string, copied; `None` for NULL.
///
/// # Safety
/// `text` is NULL or ends in a NUL byte.
unsafe fn copied(text: *const c_char) -> Option<CString> {
    // SAFETY: the caller vouches for the NUL byte.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
}

/// Who this consumer is to its group now; NULL without a group.
///
/// # Safety
/// `rk` came from `rd_kafka_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata(rk: *mut Kafka) -> *mut GroupMetadata {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for `rk`.
        let Ok(side) = (unsafe { grouped(rk) }) else { return std::ptr::null_mut() };
        let Some(group) = &side.settings.group else { return std::ptr::null_mut() };
        let member = side.state().member.clone();
        let text = |text: &str| CString::new(text).unwrap_or_default();
        give(GroupMetadata {
            group: text(&group.group_id),
            generation: if member.member_id.is_empty() { -1 } else { member.generation_or_epoch },
            member: text(&member.member_id),
            instance: group.group_instance_id.as_deref().map(text),
        })
    })
}

/// A group, and nobody's member; NULL for no name.
///
/// # Safety
/// `group_id` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_new(group_id: *const c_char) -> *mut GroupMetadata {
    // SAFETY: the same promise.
    unsafe { rd_kafka_consumer_group_metadata_new_with_genid(group_id, -1, c"".as_ptr(), std::ptr::null()) }
}

/// A member of a group in a generation; NULL for no name.
///
/// # Safety
/// The three end in NUL bytes; the last may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_new_with_genid(
    group_id: *const c_char,
    generation_id: i32,
    member_id: *const c_char,
    group_instance_id: *const c_char,
) -> *mut GroupMetadata {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for all three.
        let (group, member, instance) = unsafe { (copied(group_id), copied(member_id), copied(group_instance_id)) };
        let (Some(group), Some(member)) = (group, member) else { return std::ptr::null_mut() };
        give(GroupMetadata { group, generation: generation_id, member, instance })
    })
}

/// The group's name, which is the object's.
///
/// # Safety
/// `group_metadata` came from one of the calls above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_group_id(
    group_metadata: *const GroupMetadata,
) -> *const c_char {
    // SAFETY: the caller vouches for the object.
    guard(std::ptr::null(), || unsafe { group_metadata.as_ref() }.map_or(std::ptr::null(), |it| it.group.as_ptr()))
}

/// The member's id, which is the object's.
///
/// # Safety
/// `group_metadata` came from one of the calls above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_member_id(
    group_metadata: *const GroupMetadata,
) -> *const c_char {
    // SAFETY: the caller vouches for the object.
    guard(std::ptr::null(), || unsafe { group_metadata.as_ref() }.map_or(std::ptr::null(), |it| it.member.as_ptr()))
}

/// The member's `group.instance.id`, which is the object's; NULL where it has none.
///
/// # Safety
/// `group_metadata` came from one of the calls above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_group_instance_id(
    group_metadata: *const GroupMetadata,
) -> *const c_char {
    guard(std::ptr::null(), || {
        // SAFETY: the caller vouches for the object.
        let instance = unsafe { group_metadata.as_ref() }.and_then(|it| it.instance.as_ref());
        instance.map_or(std::ptr::null(), |instance| instance.as_ptr())
    })
}

/// The generation; −1 for nobody's member.
///
/// # Safety
/// `group_metadata` came from one of the calls above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_generation_id(group_metadata: *const GroupMetadata) -> i32 {
    // SAFETY: the caller vouches for the object.
    guard(-1, || unsafe { group_metadata.as_ref() }.map_or(-1, |it| it.generation))
}

/// Frees it.
///
/// # Safety
/// It is NULL or came from one of the calls above and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_destroy(group_metadata: *mut GroupMetadata) {
    guard((), || {
        if !group_metadata.is_null() {
            // SAFETY: the caller vouches that this is the last use of what `Box::into_raw` gave.
            drop(unsafe { Box::from_raw(group_metadata) });
        }
    });
}

/// Writes it into memory that the program frees. NULL, or an error to be destroyed.
///
/// # Safety
/// `cgmd` came from one of the calls above; `bufferp` and `sizep` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_write(
    cgmd: *const GroupMetadata,
    bufferp: *mut *mut c_void,
    sizep: *mut usize,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the object.
        let Some(metadata) = (unsafe { cgmd.as_ref() }) else { return failed(RespErr::INVALID_ARG, "no object") };
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&metadata.generation.to_ne_bytes());
        bytes.extend_from_slice(metadata.group.as_bytes_with_nul());
        bytes.extend_from_slice(metadata.member.as_bytes_with_nul());
        bytes.push(u8::from(metadata.instance.is_none()));
        bytes.extend_from_slice(metadata.instance.as_ref().map_or(&[][..], |it| it.as_bytes_with_nul()));
        // SAFETY: malloc of as many bytes as are copied; the caller vouches for both places.
        unsafe {
            let buffer = libc::malloc(bytes.len()).cast::<u8>();
            if buffer.is_null() {
                return failed(RespErr::FAIL, "no memory is left");
            }
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, bytes.len());
            bufferp.write(buffer.cast());
            sizep.write(bytes.len());
        }
        std::ptr::null_mut()
    })
}

/// The text at the start, up to its NUL byte, all printable; and what follows.
fn printable(bytes: &[u8]) -> Option<(CString, &[u8])> {
    let text = CStr::from_bytes_until_nul(bytes).ok()?;
    let is_safe = text.to_bytes().iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    is_safe.then(|| (text.to_owned(), bytes.get(text.to_bytes_with_nul().len()..).unwrap_or_default()))
}

fn parse(bytes: &[u8]) -> Result<GroupMetadata, &'static str> {
    if bytes.len() < MAGIC.len() + 4 + 3 {
        return Err("Input buffer is too short");
    }
    let unmarked = bytes.strip_prefix(MAGIC);
    let unmarked = unmarked.ok_or("Input buffer is not a serialized consumer group metadata object")?;
    let (generation, rest) = unmarked.split_first_chunk::<4>().ok_or("Input buffer is too short")?;
    let (group, rest) = printable(rest).ok_or("Input buffer group id is not safe")?;
    let (member, rest) = printable(rest).ok_or("Input buffer member id is not safe")?;
    let (without, rest) = rest.split_first().ok_or("Input buffer bad length")?;
    let (instance, rest) = if *without == 0 {
        let (instance, rest) = printable(rest).ok_or("Input buffer group instance id is not safe")?;
        (Some(instance), rest)
    } else {
        (None, rest)
    };
    if !rest.is_empty() {
        return Err("Input buffer bad length");
    }
    Ok(GroupMetadata { group, generation: i32::from_ne_bytes(*generation), member, instance })
}

/// Reads what [`rd_kafka_consumer_group_metadata_write`] wrote. NULL, or an error to be destroyed.
///
/// # Safety
/// `cgmdp` is writable; `buffer` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_metadata_read(
    cgmdp: *mut *mut GroupMetadata,
    buffer: *const c_void,
    size: usize,
) -> *mut ErrorObject {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for the bytes.
        match parse(unsafe { crate::boundary::bytes(buffer, size) }.unwrap_or_default()) {
            Ok(metadata) => {
                // SAFETY: the caller vouches for the place.
                unsafe { cgmdp.write(give(metadata)) };
                std::ptr::null_mut()
            }
            Err(text) => failed(RespErr::BAD_MSG, text),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for instance in [None, Some(c"i".into())] {
            let metadata = GroupMetadata { group: c"g".into(), generation: 7, member: c"m".into(), instance };
            let (mut buffer, mut size, mut read) = (std::ptr::null_mut(), 0, std::ptr::null_mut());
            // SAFETY: all places are on this stack, and what is made is freed once.
            unsafe {
                assert!(
                    rd_kafka_consumer_group_metadata_write(&raw const metadata, &raw mut buffer, &raw mut size)
                        .is_null()
                );
                assert!(rd_kafka_consumer_group_metadata_read(&raw mut read, buffer, size).is_null());
                assert_eq!((*read).generation, 7);
                assert_eq!((*read).instance, metadata.instance);
                rd_kafka_consumer_group_metadata_destroy(read);
                let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), size);
                assert!((0..size).all(|cut| parse(&bytes[..cut]).is_err()));
                libc::free(buffer);
            }
        }
    }
}
