//! Names that librdkafka exports and that are not built yet: programs that link to them start, and calls are answered by "unsupported". Whoever builds
//! one takes it out here.

use crate::types::RespErr;

macro_rules! answer {
    ($type:ty, $value:expr; $($name:ident)*) => {
        $(
            /// Not built yet.
            #[unsafe(no_mangle)]
            pub extern "C" fn $name() -> $type {
                $value
            }
        )*
    };
}

// They do nothing.
answer! {
    (), ();
    rd_kafka_mock_sharegroup_set_auto_offset_reset
    rd_kafka_mock_sharegroup_set_heartbeat_interval
    rd_kafka_mock_sharegroup_set_isolation_level
    rd_kafka_mock_sharegroup_set_max_delivery_attempts
    rd_kafka_mock_sharegroup_set_max_fetch_sessions
    rd_kafka_mock_sharegroup_set_max_record_locks
    rd_kafka_mock_sharegroup_set_max_size
    rd_kafka_mock_sharegroup_set_record_lock_duration
    rd_kafka_mock_sharegroup_set_session_timeout
    rd_kafka_mock_sharegroup_target_assignment
}

// They answer `_UNSUPPORTED_FEATURE`.
answer! {
    RespErr, RespErr::UNSUPPORTED_FEATURE;
    rd_kafka_mock_sharegroup_get_member_ids
}
