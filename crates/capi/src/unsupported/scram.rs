//! Users with SCRAM credentials: alterations hold their data and are checked; requests are refused.

use std::ffi::{c_char, c_int, c_uchar};

use crate::admin::describe::texts;
use crate::admin::options::AdminOptions;
use crate::admin::result::{ALTER_USER_SCRAM_CREDENTIALS, DESCRIBE_USER_SCRAM_CREDENTIALS};
use crate::admin::{Failure, destroyers, getters, taken};
use crate::boundary::{bytes, guard, text};
use crate::errors::object::ErrorObject;
use crate::event::Event;
use crate::handle::Kafka;
use crate::queue::QueueRef;

use super::refuse;

/// `rd_kafka_UserScramCredentialAlteration_t`.
#[derive(Debug)]
pub struct UserScramCredentialAlteration {
    user: String,
    mechanism: c_int,
    upsertion: Option<Upsertion>,
}

#[derive(Debug)]
struct Upsertion {
    iterations: i32,
    password_size: usize,
    /// As many as the library would choose, where the program gives none.
    salt_size: usize,
}

/// The size of a salt that the library chooses.
const SALT_SIZE: usize = 64;

/// A user that is to have credentials; without a salt, one is chosen.
///
/// # Safety
/// `username` ends in a NUL byte; password and salt have as many bytes as is said, or are NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_UserScramCredentialUpsertion_new(
    username: *const c_char,
    mechanism: c_int,
    iterations: i32,
    password: *const c_uchar,
    password_size: usize,
    salt: *const c_uchar,
    salt_size: usize,
) -> *mut UserScramCredentialAlteration {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for all three.
        let (user, password, salt) =
            unsafe { (text(username), bytes(password.cast(), password_size), bytes(salt.cast(), salt_size)) };
        let upsertion = Upsertion {
            iterations,
            password_size: password.map_or(0, <[u8]>::len),
            salt_size: salt.map_or(SALT_SIZE, <[u8]>::len),
        };
        let user = user.unwrap_or_default().to_owned();
        Box::into_raw(Box::new(UserScramCredentialAlteration { user, mechanism, upsertion: Some(upsertion) }))
    })
}

/// A user that is to have no credentials any more.
///
/// # Safety
/// `username` ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_UserScramCredentialDeletion_new(
    username: *const c_char,
    mechanism: c_int,
) -> *mut UserScramCredentialAlteration {
    guard(std::ptr::null_mut(), || {
        // SAFETY: the caller vouches for it.
        let user = unsafe { text(username) }.unwrap_or_default().to_owned();
        Box::into_raw(Box::new(UserScramCredentialAlteration { user, mechanism, upsertion: None }))
    })
}

destroyers! {
    UserScramCredentialAlteration: rd_kafka_UserScramCredentialAlteration_destroy
        rd_kafka_UserScramCredentialAlteration_destroy_array;
}

/// `rd_kafka_ScramCredentialInfo_t`: none is ever made.
#[derive(Debug)]
pub struct ScramCredentialInfo {}

/// `rd_kafka_UserScramCredentialsDescription_t`: none is ever made.
#[derive(Debug)]
pub struct UserScramCredentialsDescription {}

/// `rd_kafka_AlterUserScramCredentials_result_response_t`: none is ever made.
#[derive(Debug)]
pub struct AlterUserScramCredentialsResponse {}

getters! { ScramCredentialInfo;
    /// None.
    rd_kafka_ScramCredentialInfo_mechanism -> c_int = 0, |_| 0;
    /// None.
    rd_kafka_ScramCredentialInfo_iterations -> i32 = 0, |_| 0;
}

getters! { UserScramCredentialsDescription;
    /// None.
    rd_kafka_UserScramCredentialsDescription_user -> *const c_char = std::ptr::null(), |_| std::ptr::null();
    /// None.
    rd_kafka_UserScramCredentialsDescription_error -> *const ErrorObject = std::ptr::null(), |_| std::ptr::null();
    /// None.
    rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count -> usize = 0, |_| 0;
}

/// None.
#[unsafe(no_mangle)]
pub extern "C" fn rd_kafka_UserScramCredentialsDescription_scramcredentialinfo(
    _description: *const UserScramCredentialsDescription,
    _idx: usize,
) -> *const ScramCredentialInfo {
    std::ptr::null()
}

getters! { AlterUserScramCredentialsResponse;
    /// None.
    rd_kafka_AlterUserScramCredentials_result_response_user -> *const c_char = std::ptr::null(), |_| std::ptr::null();
    /// None.
    rd_kafka_AlterUserScramCredentials_result_response_error -> *const ErrorObject = std::ptr::null(),
        |_| std::ptr::null();
}

getters! { Event [array];
    /// None.
    rd_kafka_DescribeUserScramCredentials_result_descriptions -> UserScramCredentialsDescription = |_| None;
    /// None.
    rd_kafka_AlterUserScramCredentials_result_responses -> AlterUserScramCredentialsResponse = |_| None;
}

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL; there are as
/// many users as is said, each ending in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeUserScramCredentials(
    rk: *mut Kafka,
    users: *const *const c_char,
    user_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    const WHAT: &str = "DescribeUserScramCredentials API (KIP-554)";
    // SAFETY: the same promises.
    unsafe {
        refuse(rk, options, rkqu, &DESCRIBE_USER_SCRAM_CREDENTIALS, WHAT, || {
            let users = texts(users, user_cnt);
            if let Some(index) = users.iter().position(String::is_empty) {
                return Err(Failure::argument(format!("Empty users aren't allowed, index {index}")));
            }
            let mut seen = std::collections::BTreeSet::new();
            if !users.iter().all(|user| seen.insert(user)) {
                return Err(Failure::argument("Duplicate users aren't allowed in the same request"));
            }
            Ok(())
        });
    }
}

/// Refused.
///
/// # Safety
/// As for [`rd_kafka_DescribeUserScramCredentials`]; there are as many alterations as is said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_AlterUserScramCredentials(
    rk: *mut Kafka,
    alterations: *const *mut UserScramCredentialAlteration,
    alteration_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    const WHAT: &str = "AlterUserScramCredentials API (KIP-554)";
    // SAFETY: the same promises.
    unsafe {
        refuse(rk, options, rkqu, &ALTER_USER_SCRAM_CREDENTIALS, WHAT, || {
            let alterations = taken(alterations, alteration_cnt);
            if alterations.is_empty() {
                return Err(Failure::argument("At least one alteration is required"));
            }
            for (index, alteration) in alterations.into_iter().enumerate() {
                let wrong = match alteration {
                    UserScramCredentialAlteration { mechanism: 0, .. } => "SCRAM mechanism must be specified",
                    UserScramCredentialAlteration { user, .. } if user.is_empty() => "Empty user",
                    UserScramCredentialAlteration { upsertion: Some(upsertion), .. } => match upsertion {
                        Upsertion { password_size: 0, .. } => "Empty password",
                        Upsertion { salt_size: 0, .. } => "Empty salt",
                        Upsertion { iterations: ..=0, .. } => "Non-positive iterations",
                        Upsertion { .. } => continue,
                    },
                    UserScramCredentialAlteration { upsertion: None, .. } => continue,
                };
                return Err(Failure::argument(format!("{wrong} at index {index}")));
            }
            Ok(())
        });
    }
}
