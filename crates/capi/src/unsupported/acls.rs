//! ACLs: bindings hold their data; requests are refused.

use std::ffi::{CString, c_char, c_int};

use crate::admin::options::AdminOptions;
use crate::admin::result::{CREATE_ACLS, DELETE_ACLS, DESCRIBE_ACLS, optional};
use crate::admin::{Array, c_text, destroyers, getters};
use crate::boundary::{guard, text, write_text};
use crate::errors::object::ErrorObject;
use crate::event::Event;
use crate::handle::Kafka;
use crate::queue::QueueRef;

use super::refuse;

/// How many kinds of resources, patterns, operations and permissions there are; the first two of each, unknown and any, name none.
const RESOURCES: c_int = 6;
const PATTERNS: c_int = 5;
const OPERATIONS: c_int = 13;
const PERMISSIONS: c_int = 4;
/// `RD_KAFKA_RESOURCE_PATTERN_MATCH`.
const MATCH: c_int = 2;

/// `rd_kafka_AclBinding_t`, which is `rd_kafka_AclBindingFilter_t` too.
#[derive(Debug)]
pub struct AclBinding {
    resource: c_int,
    name: Option<CString>,
    pattern: c_int,
    principal: Option<CString>,
    host: Option<CString>,
    operation: c_int,
    permission: c_int,
}

impl AclBinding {
    /// `of` is the lowest number that each may be.
    fn check(&self, of: c_int) -> Result<(), &'static str> {
        let is = |number: c_int, count| (of..count).contains(&number);
        match self {
            _ if !is(self.resource, RESOURCES) => Err("Invalid resource type"),
            _ if !is(self.pattern, PATTERNS) || (of > 1 && self.pattern == MATCH) => {
                Err("Invalid resource pattern type")
            }
            _ if !is(self.operation, OPERATIONS) => Err("Invalid operation"),
            _ if !is(self.permission, PERMISSIONS) => Err("Invalid permission type"),
            _ => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), &'static str> {
        match self {
            Self { name: None, .. } => Err("Invalid resource name"),
            Self { principal: None, .. } => Err("Invalid principal"),
            Self { host: None, .. } => Err("Invalid host"),
            _ => Ok(()),
        }
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident: $check:expr;)*) => {
        $(
            $(#[$doc])*
            ///
            /// NULL where an argument is no good, and `errstr` says why.
            ///
            /// # Safety
            /// The texts are NULL or end in NUL bytes; `errstr` has `errstr_size` bytes or is NULL.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(
                restype: c_int,
                name: *const c_char,
                resource_pattern_type: c_int,
                principal: *const c_char,
                host: *const c_char,
                operation: c_int,
                permission_type: c_int,
                errstr: *mut c_char,
                errstr_size: usize,
            ) -> *mut AclBinding {
                guard(std::ptr::null_mut(), || {
                    // SAFETY: the caller vouches for the texts.
                    let (name, principal, host) = unsafe { (text(name), text(principal), text(host)) };
                    let binding = AclBinding {
                        resource: restype,
                        name: name.map(c_text),
                        pattern: resource_pattern_type,
                        principal: principal.map(c_text),
                        host: host.map(c_text),
                        operation,
                        permission: permission_type,
                    };
                    let check: fn(&AclBinding) -> Result<(), &'static str> = $check;
                    match check(&binding) {
                        Ok(()) => Box::into_raw(Box::new(binding)),
                        Err(text) => {
                            // SAFETY: the caller vouches for the buffer.
                            unsafe { write_text(errstr, errstr_size, text) };
                            std::ptr::null_mut()
                        }
                    }
                })
            }
        )*
    };
}

constructors! {
    /// A rule.
    rd_kafka_AclBinding_new: |binding| binding.check_names().and_then(|()| binding.check(2));
    /// What rules are to match: NULL and "any" match all.
    rd_kafka_AclBindingFilter_new: |binding| binding.check(1);
}

getters! { AclBinding;
    /// The kind of resource.
    rd_kafka_AclBinding_restype -> c_int = 0, |binding| binding.resource;
    /// The resource's name.
    rd_kafka_AclBinding_name -> *const c_char = std::ptr::null(), |binding| optional(binding.name.as_ref());
    /// The principal.
    rd_kafka_AclBinding_principal -> *const c_char = std::ptr::null(), |binding| optional(binding.principal.as_ref());
    /// The host.
    rd_kafka_AclBinding_host -> *const c_char = std::ptr::null(), |binding| optional(binding.host.as_ref());
    /// The operation.
    rd_kafka_AclBinding_operation -> c_int = 0, |binding| binding.operation;
    /// Whether it is allowed.
    rd_kafka_AclBinding_permission_type -> c_int = 0, |binding| binding.permission;
    /// How the name is matched.
    rd_kafka_AclBinding_resource_pattern_type -> c_int = 0, |binding| binding.pattern;
    /// None: no broker gave it.
    rd_kafka_AclBinding_error -> *const ErrorObject = std::ptr::null(), |_| std::ptr::null();
}

destroyers! { AclBinding: rd_kafka_AclBinding_destroy rd_kafka_AclBinding_destroy_array; }

/// `rd_kafka_acl_result_t`: none is ever made.
#[derive(Debug)]
pub struct AclResult {}

/// `rd_kafka_DeleteAcls_result_response_t`: none is ever made.
#[derive(Debug)]
pub struct DeleteAclsResponse {}

getters! { AclResult;
    /// None.
    rd_kafka_acl_result_error -> *const ErrorObject = std::ptr::null(), |_| std::ptr::null();
}

getters! { DeleteAclsResponse;
    /// None.
    rd_kafka_DeleteAcls_result_response_error -> *const ErrorObject = std::ptr::null(), |_| std::ptr::null();
}

getters! { DeleteAclsResponse [array];
    /// None.
    rd_kafka_DeleteAcls_result_response_matching_acls -> AclBinding = |_| None::<&Array<AclBinding>>;
}

getters! { Event [array];
    /// None.
    rd_kafka_CreateAcls_result_acls -> AclResult = |_| None;
    /// None.
    rd_kafka_DescribeAcls_result_acls -> AclBinding = |_| None;
    /// None.
    rd_kafka_DeleteAcls_result_responses -> DeleteAclsResponse = |_| None;
}

const WHAT: &str = "ACLs Admin API (KIP-140)";

/// Refused.
///
/// # Safety
/// `rk` came from `rd_kafka_new`, `rkqu` from a call that gives a queue, `options` from `rd_kafka_AdminOptions_new` or is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_CreateAcls(
    rk: *mut Kafka,
    _new_acls: *const *mut AclBinding,
    _new_acls_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe { refuse(rk, options, rkqu, &CREATE_ACLS, WHAT, || Ok(())) };
}

/// Refused.
///
/// # Safety
/// As for [`rd_kafka_CreateAcls`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DescribeAcls(
    rk: *mut Kafka,
    _acl_filter: *const AclBinding,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe { refuse(rk, options, rkqu, &DESCRIBE_ACLS, WHAT, || Ok(())) };
}

/// Refused.
///
/// # Safety
/// As for [`rd_kafka_CreateAcls`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_DeleteAcls(
    rk: *mut Kafka,
    _del_acls: *const *mut AclBinding,
    _del_acls_cnt: usize,
    options: *const AdminOptions,
    rkqu: *mut QueueRef,
) {
    // SAFETY: the same promises.
    unsafe { refuse(rk, options, rkqu, &DELETE_ACLS, WHAT, || Ok(())) };
}
