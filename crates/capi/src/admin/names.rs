//! Names of the numbers of the Admin API, and numbers of names.

use std::ffi::{CStr, c_char, c_int};

use crate::boundary::{guard, text};

/// Names of states, by number.
pub(crate) const GROUP_STATES: &[&CStr] =
    &[c"Unknown", c"PreparingRebalance", c"CompletingRebalance", c"Stable", c"Dead", c"Empty"];
/// Names of types, by number.
pub(crate) const GROUP_TYPES: &[&CStr] = &[c"Unknown", c"Consumer", c"Classic"];

const CONFIG_SOURCES: &[&CStr] = &[
    c"UNKNOWN_CONFIG",
    c"DYNAMIC_TOPIC_CONFIG",
    c"DYNAMIC_BROKER_CONFIG",
    c"DYNAMIC_DEFAULT_BROKER_CONFIG",
    c"STATIC_BROKER_CONFIG",
    c"DEFAULT_CONFIG",
    c"DYNAMIC_BROKER_LOGGER_CONFIG",
    c"CLIENT_METRICS_CONFIG",
    c"GROUP_CONFIG",
];
const PATTERN_TYPES: &[&CStr] = &[c"UNKNOWN", c"ANY", c"MATCH", c"LITERAL", c"PREFIXED"];
const RESOURCE_TYPES: &[&CStr] = &[c"UNKNOWN", c"ANY", c"TOPIC", c"GROUP", c"BROKER", c"TRANSACTIONAL_ID"];
const ACL_OPERATIONS: &[&CStr] = &[
    c"UNKNOWN",
    c"ANY",
    c"ALL",
    c"READ",
    c"WRITE",
    c"CREATE",
    c"DELETE",
    c"ALTER",
    c"DESCRIBE",
    c"CLUSTER_ACTION",
    c"DESCRIBE_CONFIGS",
    c"ALTER_CONFIGS",
    c"IDEMPOTENT_WRITE",
];
const ACL_PERMISSIONS: &[&CStr] = &[c"UNKNOWN", c"ANY", c"DENY", c"ALLOW"];

/// The name at a number.
pub(crate) fn name(names: &'static [&'static CStr], number: c_int) -> Option<&'static CStr> {
    names.get(usize::try_from(number).ok()?).copied()
}

/// The number of a name, whatever its case; 0 for one that is not there.
pub(crate) fn number(names: &'static [&'static CStr], name: &str) -> c_int {
    let found = names.iter().position(|known| known.to_bytes().eq_ignore_ascii_case(name.as_bytes()));
    c_int::try_from(found.unwrap_or(0)).unwrap_or(0)
}

macro_rules! names {
    ($($(#[$doc:meta])* $function:ident: $names:ident, $otherwise:expr;)*) => {
        $(
            $(#[$doc])*
            #[unsafe(no_mangle)]
            pub extern "C" fn $function(number: c_int) -> *const c_char {
                guard($otherwise, || name($names, number).map_or($otherwise, CStr::as_ptr))
            }
        )*
    };
}

names! {
    /// The name of a group's state; NULL for none.
    rd_kafka_consumer_group_state_name: GROUP_STATES, std::ptr::null();
    /// The name of a group's type; NULL for none.
    rd_kafka_consumer_group_type_name: GROUP_TYPES, std::ptr::null();
    /// The name of where a configuration's value comes from.
    rd_kafka_ConfigSource_name: CONFIG_SOURCES, c"UNSUPPORTED".as_ptr();
    /// The name of a kind of pattern.
    rd_kafka_ResourcePatternType_name: PATTERN_TYPES, c"UNSUPPORTED".as_ptr();
    /// The name of a kind of resource.
    rd_kafka_ResourceType_name: RESOURCE_TYPES, c"UNSUPPORTED".as_ptr();
    /// The name of an operation.
    rd_kafka_AclOperation_name: ACL_OPERATIONS, c"UNSUPPORTED".as_ptr();
    /// The name of a permission.
    rd_kafka_AclPermissionType_name: ACL_PERMISSIONS, c"UNSUPPORTED".as_ptr();
}

/// The number of a group's state, whatever the case of its name; 0 for one that is not known.
///
/// # Safety
/// `name` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_state_code(name: *const c_char) -> c_int {
    // SAFETY: the caller vouches for it.
    guard(0, || number(GROUP_STATES, unsafe { text(name) }.unwrap_or_default()))
}

/// The number of a group's type, whatever the case of its name; 0 for one that is not known.
///
/// # Safety
/// `name` is NULL or ends in a NUL byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rd_kafka_consumer_group_type_code(name: *const c_char) -> c_int {
    // SAFETY: the caller vouches for it.
    guard(0, || number(GROUP_TYPES, unsafe { text(name) }.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names_and_names_numbers() {
        for (index, known) in GROUP_STATES.iter().enumerate() {
            assert_eq!(number(GROUP_STATES, known.to_str().unwrap()), c_int::try_from(index).unwrap());
        }
        assert_eq!([number(GROUP_TYPES, "cLASSIC"), number(GROUP_TYPES, "share")], [2, 0]);
        assert_eq!([name(GROUP_STATES, 6), name(GROUP_STATES, -1)], [None, None]);
        // SAFETY: constants.
        assert_eq!(unsafe { CStr::from_ptr(rd_kafka_ConfigSource_name(99)) }, c"UNSUPPORTED");
    }
}
