//! Kafka's error codes: a number that survives unread where a newer broker sends one that is not known here.

use std::fmt;

/// An error code as a broker sends it. Codes that are not known here keep their number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

macro_rules! codes {
    ($($name:ident = $code:literal, retriable $retriable:literal, stale_metadata $stale:literal;)*) => {
        impl ErrorCode {
            $(
                #[doc = concat!("Kafka's `", stringify!($name), "` (", stringify!($code), ").")]
                pub const $name: Self = Self($code);
            )*

            /// Every code that is known here.
            pub const ALL: &'static [Self] = &[$(Self($code)),*];

            /// Kafka's name of the code; `None` for one that is not known here.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            /// Whether Kafka's clients send the same request again on this code.
            pub const fn is_retriable(self) -> bool {
                match self.0 {
                    $($code => $retriable,)*
                    _ => false,
                }
            }

            /// Whether this code says that the client's metadata is old.
            pub const fn is_stale_metadata(self) -> bool {
                match self.0 {
                    $($code => $stale,)*
                    _ => false,
                }
            }
        }
    };
}

impl ErrorCode {
    /// Whether there is no error.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// `Ok` for [`Self::NONE`], the code itself as an error for any other.
    ///
    /// # Errors
    /// The code, where it is one.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_ok() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

codes! {
    UNKNOWN_SERVER_ERROR = -1, retriable false, stale_metadata false;
    NONE = 0, retriable false, stale_metadata false;
    OFFSET_OUT_OF_RANGE = 1, retriable false, stale_metadata false;
    CORRUPT_MESSAGE = 2, retriable true, stale_metadata false;
    UNKNOWN_TOPIC_OR_PARTITION = 3, retriable true, stale_metadata true;
    INVALID_FETCH_SIZE = 4, retriable false, stale_metadata false;
    LEADER_NOT_AVAILABLE = 5, retriable true, stale_metadata true;
    NOT_LEADER_OR_FOLLOWER = 6, retriable true, stale_metadata true;
    REQUEST_TIMED_OUT = 7, retriable true, stale_metadata false;
    BROKER_NOT_AVAILABLE = 8, retriable false, stale_metadata false;
    REPLICA_NOT_AVAILABLE = 9, retriable true, stale_metadata true;
    MESSAGE_TOO_LARGE = 10, retriable false, stale_metadata false;
    STALE_CONTROLLER_EPOCH = 11, retriable false, stale_metadata false;
    OFFSET_METADATA_TOO_LARGE = 12, retriable false, stale_metadata false;
    NETWORK_EXCEPTION = 13, retriable true, stale_metadata true;
    COORDINATOR_LOAD_IN_PROGRESS = 14, retriable true, stale_metadata false;
    COORDINATOR_NOT_AVAILABLE = 15, retriable true, stale_metadata false;
    NOT_COORDINATOR = 16, retriable true, stale_metadata false;
    INVALID_TOPIC_EXCEPTION = 17, retriable false, stale_metadata false;
    RECORD_LIST_TOO_LARGE = 18, retriable false, stale_metadata false;
    NOT_ENOUGH_REPLICAS = 19, retriable true, stale_metadata false;
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20, retriable true, stale_metadata false;
    INVALID_REQUIRED_ACKS = 21, retriable false, stale_metadata false;
    ILLEGAL_GENERATION = 22, retriable false, stale_metadata false;
    INCONSISTENT_GROUP_PROTOCOL = 23, retriable false, stale_metadata false;
    INVALID_GROUP_ID = 24, retriable false, stale_metadata false;
    UNKNOWN_MEMBER_ID = 25, retriable false, stale_metadata false;
    INVALID_SESSION_TIMEOUT = 26, retriable false, stale_metadata false;
    REBALANCE_IN_PROGRESS = 27, retriable false, stale_metadata false;
    INVALID_COMMIT_OFFSET_SIZE = 28, retriable false, stale_metadata false;
    TOPIC_AUTHORIZATION_FAILED = 29, retriable false, stale_metadata false;
    GROUP_AUTHORIZATION_FAILED = 30, retriable false, stale_metadata false;
    CLUSTER_AUTHORIZATION_FAILED = 31, retriable false, stale_metadata false;
    INVALID_TIMESTAMP = 32, retriable false, stale_metadata false;
    UNSUPPORTED_SASL_MECHANISM = 33, retriable false, stale_metadata false;
    ILLEGAL_SASL_STATE = 34, retriable false, stale_metadata false;
    UNSUPPORTED_VERSION = 35, retriable false, stale_metadata false;
    TOPIC_ALREADY_EXISTS = 36, retriable false, stale_metadata false;
    INVALID_PARTITIONS = 37, retriable false, stale_metadata false;
    INVALID_REPLICATION_FACTOR = 38, retriable false, stale_metadata false;
    INVALID_REPLICA_ASSIGNMENT = 39, retriable false, stale_metadata false;
    INVALID_CONFIG = 40, retriable false, stale_metadata false;
    NOT_CONTROLLER = 41, retriable true, stale_metadata false;
    INVALID_REQUEST = 42, retriable false, stale_metadata false;
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, retriable false, stale_metadata false;
    POLICY_VIOLATION = 44, retriable false, stale_metadata false;
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, retriable false, stale_metadata false;
    DUPLICATE_SEQUENCE_NUMBER = 46, retriable false, stale_metadata false;
    INVALID_PRODUCER_EPOCH = 47, retriable false, stale_metadata false;
    INVALID_TXN_STATE = 48, retriable false, stale_metadata false;
    INVALID_PRODUCER_ID_MAPPING = 49, retriable false, stale_metadata false;
    INVALID_TRANSACTION_TIMEOUT = 50, retriable false, stale_metadata false;
    CONCURRENT_TRANSACTIONS = 51, retriable true, stale_metadata false;
    TRANSACTION_COORDINATOR_FENCED = 52, retriable false, stale_metadata false;
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, retriable false, stale_metadata false;
    SECURITY_DISABLED = 54, retriable false, stale_metadata false;
    OPERATION_NOT_ATTEMPTED = 55, retriable false, stale_metadata false;
    KAFKA_STORAGE_ERROR = 56, retriable true, stale_metadata true;
    LOG_DIR_NOT_FOUND = 57, retriable false, stale_metadata false;
    SASL_AUTHENTICATION_FAILED = 58, retriable false, stale_metadata false;
    UNKNOWN_PRODUCER_ID = 59, retriable false, stale_metadata false;
    REASSIGNMENT_IN_PROGRESS = 60, retriable false, stale_metadata false;
    DELEGATION_TOKEN_AUTH_DISABLED = 61, retriable false, stale_metadata false;
    DELEGATION_TOKEN_NOT_FOUND = 62, retriable false, stale_metadata false;
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, retriable false, stale_metadata false;
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, retriable false, stale_metadata false;
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, retriable false, stale_metadata false;
    DELEGATION_TOKEN_EXPIRED = 66, retriable false, stale_metadata false;
    INVALID_PRINCIPAL_TYPE = 67, retriable false, stale_metadata false;
    NON_EMPTY_GROUP = 68, retriable false, stale_metadata false;
    GROUP_ID_NOT_FOUND = 69, retriable false, stale_metadata false;
    FETCH_SESSION_ID_NOT_FOUND = 70, retriable true, stale_metadata false;
    INVALID_FETCH_SESSION_EPOCH = 71, retriable true, stale_metadata false;
    LISTENER_NOT_FOUND = 72, retriable true, stale_metadata true;
    TOPIC_DELETION_DISABLED = 73, retriable false, stale_metadata false;
    FENCED_LEADER_EPOCH = 74, retriable true, stale_metadata true;
    UNKNOWN_LEADER_EPOCH = 75, retriable true, stale_metadata false;
    UNSUPPORTED_COMPRESSION_TYPE = 76, retriable false, stale_metadata false;
    STALE_BROKER_EPOCH = 77, retriable false, stale_metadata false;
    OFFSET_NOT_AVAILABLE = 78, retriable true, stale_metadata false;
    MEMBER_ID_REQUIRED = 79, retriable false, stale_metadata false;
    PREFERRED_LEADER_NOT_AVAILABLE = 80, retriable true, stale_metadata true;
    GROUP_MAX_SIZE_REACHED = 81, retriable false, stale_metadata false;
    FENCED_INSTANCE_ID = 82, retriable false, stale_metadata false;
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, retriable true, stale_metadata true;
    ELECTION_NOT_NEEDED = 84, retriable true, stale_metadata true;
    NO_REASSIGNMENT_IN_PROGRESS = 85, retriable false, stale_metadata false;
    GROUP_SUBSCRIBED_TO_TOPIC = 86, retriable false, stale_metadata false;
    INVALID_RECORD = 87, retriable false, stale_metadata false;
    UNSTABLE_OFFSET_COMMIT = 88, retriable true, stale_metadata false;
    THROTTLING_QUOTA_EXCEEDED = 89, retriable true, stale_metadata false;
    PRODUCER_FENCED = 90, retriable false, stale_metadata false;
    RESOURCE_NOT_FOUND = 91, retriable false, stale_metadata false;
    DUPLICATE_RESOURCE = 92, retriable false, stale_metadata false;
    UNACCEPTABLE_CREDENTIAL = 93, retriable false, stale_metadata false;
    INCONSISTENT_VOTER_SET = 94, retriable false, stale_metadata false;
    INVALID_UPDATE_VERSION = 95, retriable false, stale_metadata false;
    FEATURE_UPDATE_FAILED = 96, retriable false, stale_metadata false;
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, retriable false, stale_metadata false;
    SNAPSHOT_NOT_FOUND = 98, retriable false, stale_metadata false;
    POSITION_OUT_OF_RANGE = 99, retriable false, stale_metadata false;
    UNKNOWN_TOPIC_ID = 100, retriable true, stale_metadata true;
    DUPLICATE_BROKER_REGISTRATION = 101, retriable false, stale_metadata false;
    BROKER_ID_NOT_REGISTERED = 102, retriable false, stale_metadata false;
    INCONSISTENT_TOPIC_ID = 103, retriable true, stale_metadata true;
    INCONSISTENT_CLUSTER_ID = 104, retriable false, stale_metadata false;
    TRANSACTIONAL_ID_NOT_FOUND = 105, retriable false, stale_metadata false;
    FETCH_SESSION_TOPIC_ID_ERROR = 106, retriable true, stale_metadata false;
    INELIGIBLE_REPLICA = 107, retriable false, stale_metadata false;
    NEW_LEADER_ELECTED = 108, retriable false, stale_metadata false;
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, retriable false, stale_metadata false;
    FENCED_MEMBER_EPOCH = 110, retriable false, stale_metadata false;
    UNRELEASED_INSTANCE_ID = 111, retriable false, stale_metadata false;
    UNSUPPORTED_ASSIGNOR = 112, retriable false, stale_metadata false;
    STALE_MEMBER_EPOCH = 113, retriable false, stale_metadata false;
    MISMATCHED_ENDPOINT_TYPE = 114, retriable false, stale_metadata false;
    UNSUPPORTED_ENDPOINT_TYPE = 115, retriable false, stale_metadata false;
    UNKNOWN_CONTROLLER_ID = 116, retriable false, stale_metadata false;
    UNKNOWN_SUBSCRIPTION_ID = 117, retriable false, stale_metadata false;
    TELEMETRY_TOO_LARGE = 118, retriable false, stale_metadata false;
    INVALID_REGISTRATION = 119, retriable false, stale_metadata false;
    TRANSACTION_ABORTABLE = 120, retriable false, stale_metadata false;
    INVALID_RECORD_STATE = 121, retriable false, stale_metadata false;
    SHARE_SESSION_NOT_FOUND = 122, retriable true, stale_metadata false;
    INVALID_SHARE_SESSION_EPOCH = 123, retriable true, stale_metadata false;
    FENCED_STATE_EPOCH = 124, retriable false, stale_metadata false;
    INVALID_VOTER_KEY = 125, retriable false, stale_metadata false;
    DUPLICATE_VOTER = 126, retriable false, stale_metadata false;
    VOTER_NOT_FOUND = 127, retriable false, stale_metadata false;
    INVALID_REGULAR_EXPRESSION = 128, retriable false, stale_metadata false;
    REBOOTSTRAP_REQUIRED = 129, retriable false, stale_metadata false;
    STREAMS_INVALID_TOPOLOGY = 130, retriable false, stale_metadata false;
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, retriable false, stale_metadata false;
    STREAMS_TOPOLOGY_FENCED = 132, retriable false, stale_metadata false;
    SHARE_SESSION_LIMIT_REACHED = 133, retriable true, stale_metadata false;
}
