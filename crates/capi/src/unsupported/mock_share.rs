//! How share groups of a mock cluster are set: there are none, since Felice has no share consumer.

use crate::types::RespErr;

macro_rules! answer {
    ($type:ty, $value:expr; $($name:ident)*) => {
        $(
            /// Does nothing: the mock cluster has no share groups.
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
