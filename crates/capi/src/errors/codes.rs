//! All error codes of librdkafka 2.16.0 with their names and texts, as programs compare them.

use std::ffi::{CStr, c_char};

use crate::types::RespErr;

/// One code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) code: i32,
    pub(super) name: &'static CStr,
    pub(super) text: Option<&'static CStr>,
}

/// A literal with a NUL byte behind it as C's text.
const fn c_text(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    }
}

macro_rules! codes {
    ($table:ident $prefix:literal: $($name:ident = $code:literal $text:literal;)*) => {
        impl RespErr {
            $(
                #[doc = concat!("`", $prefix, stringify!($name), "`: ", $text, ".")]
                pub const $name: Self = Self($code);
            )*
        }

        const $table: &[Row] = &[$(Row {
            code: $code,
            name: c_text(concat!($prefix, stringify!($name), "\0")),
            text: Some(c_text(concat!($text, "\0"))),
        }),*];
    };
}

codes! {
    LOCAL "_":
    BAD_MSG = -199 "Local: Bad message format";
    BAD_COMPRESSION = -198 "Local: Invalid compressed data";
    DESTROY = -197 "Local: Broker handle destroyed for termination";
    FAIL = -196 "Local: Communication failure with broker";
    TRANSPORT = -195 "Local: Broker transport failure";
    CRIT_SYS_RESOURCE = -194 "Local: Critical system resource failure";
    RESOLVE = -193 "Local: Host resolution failure";
    MSG_TIMED_OUT = -192 "Local: Message timed out";
    PARTITION_EOF = -191 "Broker: No more messages";
    UNKNOWN_PARTITION = -190 "Local: Unknown partition";
    FS = -189 "Local: File or filesystem error";
    UNKNOWN_TOPIC = -188 "Local: Unknown topic";
    ALL_BROKERS_DOWN = -187 "Local: All broker connections are down";
    INVALID_ARG = -186 "Local: Invalid argument or configuration";
    TIMED_OUT = -185 "Local: Timed out";
    QUEUE_FULL = -184 "Local: Queue full";
    ISR_INSUFF = -183 "Local: ISR count insufficient";
    NODE_UPDATE = -182 "Local: Broker node update";
    SSL = -181 "Local: SSL error";
    WAIT_COORD = -180 "Local: Waiting for coordinator";
    UNKNOWN_GROUP = -179 "Local: Unknown group";
    IN_PROGRESS = -178 "Local: Operation in progress";
    PREV_IN_PROGRESS = -177 "Local: Previous operation in progress";
    EXISTING_SUBSCRIPTION = -176 "Local: Existing subscription";
    ASSIGN_PARTITIONS = -175 "Local: Assign partitions";
    REVOKE_PARTITIONS = -174 "Local: Revoke partitions";
    CONFLICT = -173 "Local: Conflicting use";
    STATE = -172 "Local: Erroneous state";
    UNKNOWN_PROTOCOL = -171 "Local: Unknown protocol";
    NOT_IMPLEMENTED = -170 "Local: Not implemented";
    AUTHENTICATION = -169 "Local: Authentication failure";
    NO_OFFSET = -168 "Local: No offset stored";
    OUTDATED = -167 "Local: Outdated";
    TIMED_OUT_QUEUE = -166 "Local: Timed out in queue";
    UNSUPPORTED_FEATURE = -165 "Local: Required feature not supported by broker";
    WAIT_CACHE = -164 "Local: Awaiting cache update";
    INTR = -163 "Local: Operation interrupted";
    KEY_SERIALIZATION = -162 "Local: Key serialization error";
    VALUE_SERIALIZATION = -161 "Local: Value serialization error";
    KEY_DESERIALIZATION = -160 "Local: Key deserialization error";
    VALUE_DESERIALIZATION = -159 "Local: Value deserialization error";
    PARTIAL = -158 "Local: Partial response";
    READ_ONLY = -157 "Local: Read-only object";
    NOENT = -156 "Local: No such entry";
    UNDERFLOW = -155 "Local: Read underflow";
    INVALID_TYPE = -154 "Local: Invalid type";
    RETRY = -153 "Local: Retry operation";
    PURGE_QUEUE = -152 "Local: Purged in queue";
    PURGE_INFLIGHT = -151 "Local: Purged in flight";
    FATAL = -150 "Local: Fatal error";
    INCONSISTENT = -149 "Local: Inconsistent state";
    GAPLESS_GUARANTEE = -148 "Local: Gap-less ordering would not be guaranteed if proceeding";
    MAX_POLL_EXCEEDED = -147 "Local: Maximum application poll interval (max.poll.interval.ms) exceeded";
    UNKNOWN_BROKER = -146 "Local: Unknown broker";
    NOT_CONFIGURED = -145 "Local: Functionality not configured";
    FENCED = -144 "Local: This instance has been fenced by a newer instance";
    APPLICATION = -143 "Local: Application generated error";
    ASSIGNMENT_LOST = -142 "Local: Group partition assignment lost";
    NOOP = -141 "Local: No operation performed";
    AUTO_OFFSET_RESET = -140 "Local: No offset to automatically reset to";
    LOG_TRUNCATION = -139 "Local: Partition log truncation detected";
    INVALID_DIFFERENT_RECORD = -138 "Local: an invalid record in the same batch caused the failure of this message too";
    DESTROY_BROKER = -137 "Local: Broker handle destroyed without termination";
}

codes! {
    BROKER "":
    UNKNOWN = -1 "Unknown broker error";
    NO_ERROR = 0 "Success";
    OFFSET_OUT_OF_RANGE = 1 "Broker: Offset out of range";
    INVALID_MSG = 2 "Broker: Invalid message";
    UNKNOWN_TOPIC_OR_PART = 3 "Broker: Unknown topic or partition";
    INVALID_MSG_SIZE = 4 "Broker: Invalid message size";
    LEADER_NOT_AVAILABLE = 5 "Broker: Leader not available";
    NOT_LEADER_FOR_PARTITION = 6 "Broker: Not leader for partition";
    REQUEST_TIMED_OUT = 7 "Broker: Request timed out";
    BROKER_NOT_AVAILABLE = 8 "Broker: Broker not available";
    REPLICA_NOT_AVAILABLE = 9 "Broker: Replica not available";
    MSG_SIZE_TOO_LARGE = 10 "Broker: Message size too large";
    STALE_CTRL_EPOCH = 11 "Broker: StaleControllerEpochCode";
    OFFSET_METADATA_TOO_LARGE = 12 "Broker: Offset metadata string too large";
    NETWORK_EXCEPTION = 13 "Broker: Broker disconnected before response received";
    COORDINATOR_LOAD_IN_PROGRESS = 14 "Broker: Coordinator load in progress";
    COORDINATOR_NOT_AVAILABLE = 15 "Broker: Coordinator not available";
    NOT_COORDINATOR = 16 "Broker: Not coordinator";
    TOPIC_EXCEPTION = 17 "Broker: Invalid topic";
    RECORD_LIST_TOO_LARGE = 18 "Broker: Message batch larger than configured server segment size";
    NOT_ENOUGH_REPLICAS = 19 "Broker: Not enough in-sync replicas";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20 "Broker: Message(s) written to insufficient number of in-sync replicas";
    INVALID_REQUIRED_ACKS = 21 "Broker: Invalid required acks value";
    ILLEGAL_GENERATION = 22 "Broker: Specified group generation id is not valid";
    INCONSISTENT_GROUP_PROTOCOL = 23 "Broker: Inconsistent group protocol";
    INVALID_GROUP_ID = 24 "Broker: Invalid group.id";
    UNKNOWN_MEMBER_ID = 25 "Broker: Unknown member";
    INVALID_SESSION_TIMEOUT = 26 "Broker: Invalid session timeout";
    REBALANCE_IN_PROGRESS = 27 "Broker: Group rebalance in progress";
    INVALID_COMMIT_OFFSET_SIZE = 28 "Broker: Commit offset data size is not valid";
    TOPIC_AUTHORIZATION_FAILED = 29 "Broker: Topic authorization failed";
    GROUP_AUTHORIZATION_FAILED = 30 "Broker: Group authorization failed";
    CLUSTER_AUTHORIZATION_FAILED = 31 "Broker: Cluster authorization failed";
    INVALID_TIMESTAMP = 32 "Broker: Invalid timestamp";
    UNSUPPORTED_SASL_MECHANISM = 33 "Broker: Unsupported SASL mechanism";
    ILLEGAL_SASL_STATE = 34 "Broker: Request not valid in current SASL state";
    UNSUPPORTED_VERSION = 35 "Broker: API version not supported";
    TOPIC_ALREADY_EXISTS = 36 "Broker: Topic already exists";
    INVALID_PARTITIONS = 37 "Broker: Invalid number of partitions";
    INVALID_REPLICATION_FACTOR = 38 "Broker: Invalid replication factor";
    INVALID_REPLICA_ASSIGNMENT = 39 "Broker: Invalid replica assignment";
    INVALID_CONFIG = 40 "Broker: Configuration is invalid";
    NOT_CONTROLLER = 41 "Broker: Not controller for cluster";
    INVALID_REQUEST = 42 "Broker: Invalid request";
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43 "Broker: Message format on broker does not support request";
    POLICY_VIOLATION = 44 "Broker: Policy violation";
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45 "Broker: Broker received an out of order sequence number";
    DUPLICATE_SEQUENCE_NUMBER = 46 "Broker: Broker received a duplicate sequence number";
    INVALID_PRODUCER_EPOCH = 47 "Broker: Producer attempted an operation with an old epoch";
    INVALID_TXN_STATE = 48 "Broker: Producer attempted a transactional operation in an invalid state";
    INVALID_PRODUCER_ID_MAPPING = 49 "Broker: Producer attempted to use a producer id which is not currently assigned to its transactional id";
    INVALID_TRANSACTION_TIMEOUT = 50 "Broker: Transaction timeout is larger than the maximum value allowed by the broker's max.transaction.timeout.ms";
    CONCURRENT_TRANSACTIONS = 51 "Broker: Producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing";
    TRANSACTION_COORDINATOR_FENCED = 52 "Broker: Indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53 "Broker: Transactional Id authorization failed";
    SECURITY_DISABLED = 54 "Broker: Security features are disabled";
    OPERATION_NOT_ATTEMPTED = 55 "Broker: Operation not attempted";
    KAFKA_STORAGE_ERROR = 56 "Broker: Disk error when trying to access log file on disk";
    LOG_DIR_NOT_FOUND = 57 "Broker: The user-specified log directory is not found in the broker config";
    SASL_AUTHENTICATION_FAILED = 58 "Broker: SASL Authentication failed";
    UNKNOWN_PRODUCER_ID = 59 "Broker: Unknown Producer Id";
    REASSIGNMENT_IN_PROGRESS = 60 "Broker: Partition reassignment is in progress";
    DELEGATION_TOKEN_AUTH_DISABLED = 61 "Broker: Delegation Token feature is not enabled";
    DELEGATION_TOKEN_NOT_FOUND = 62 "Broker: Delegation Token is not found on server";
    DELEGATION_TOKEN_OWNER_MISMATCH = 63 "Broker: Specified Principal is not valid Owner/Renewer";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64 "Broker: Delegation Token requests are not allowed on this connection";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65 "Broker: Delegation Token authorization failed";
    DELEGATION_TOKEN_EXPIRED = 66 "Broker: Delegation Token is expired";
    INVALID_PRINCIPAL_TYPE = 67 "Broker: Supplied principalType is not supported";
    NON_EMPTY_GROUP = 68 "Broker: The group is not empty";
    GROUP_ID_NOT_FOUND = 69 "Broker: The group id does not exist";
    FETCH_SESSION_ID_NOT_FOUND = 70 "Broker: The fetch session ID was not found";
    INVALID_FETCH_SESSION_EPOCH = 71 "Broker: The fetch session epoch is invalid";
    LISTENER_NOT_FOUND = 72 "Broker: No matching listener";
    TOPIC_DELETION_DISABLED = 73 "Broker: Topic deletion is disabled";
    FENCED_LEADER_EPOCH = 74 "Broker: Leader epoch is older than broker epoch";
    UNKNOWN_LEADER_EPOCH = 75 "Broker: Leader epoch is newer than broker epoch";
    UNSUPPORTED_COMPRESSION_TYPE = 76 "Broker: Unsupported compression type";
    STALE_BROKER_EPOCH = 77 "Broker: Broker epoch has changed";
    OFFSET_NOT_AVAILABLE = 78 "Broker: Leader high watermark is not caught up";
    MEMBER_ID_REQUIRED = 79 "Broker: Group member needs a valid member ID";
    PREFERRED_LEADER_NOT_AVAILABLE = 80 "Broker: Preferred leader was not available";
    GROUP_MAX_SIZE_REACHED = 81 "Broker: Consumer group has reached maximum size";
    FENCED_INSTANCE_ID = 82 "Broker: Static consumer fenced by other consumer with same group.instance.id";
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83 "Broker: Eligible partition leaders are not available";
    ELECTION_NOT_NEEDED = 84 "Broker: Leader election not needed for topic partition";
    NO_REASSIGNMENT_IN_PROGRESS = 85 "Broker: No partition reassignment is in progress";
    GROUP_SUBSCRIBED_TO_TOPIC = 86 "Broker: Deleting offsets of a topic while the consumer group is subscribed to it";
    INVALID_RECORD = 87 "Broker: Broker failed to validate record";
    UNSTABLE_OFFSET_COMMIT = 88 "Broker: There are unstable offsets that need to be cleared";
    THROTTLING_QUOTA_EXCEEDED = 89 "Broker: Throttling quota has been exceeded";
    PRODUCER_FENCED = 90 "Broker: There is a newer producer with the same transactionalId which fences the current one";
    RESOURCE_NOT_FOUND = 91 "Broker: Request illegally referred to resource that does not exist";
    DUPLICATE_RESOURCE = 92 "Broker: Request illegally referred to the same resource twice";
    UNACCEPTABLE_CREDENTIAL = 93 "Broker: Requested credential would not meet criteria for acceptability";
    INCONSISTENT_VOTER_SET = 94 "Broker: Indicates that the either the sender or recipient of a voter-only request is not one of the expected voters";
    INVALID_UPDATE_VERSION = 95 "Broker: Invalid update version";
    FEATURE_UPDATE_FAILED = 96 "Broker: Unable to update finalized features due to server error";
    PRINCIPAL_DESERIALIZATION_FAILURE = 97 "Broker: Request principal deserialization failed during forwarding";
    UNKNOWN_TOPIC_ID = 100 "Broker: Unknown topic id";
    INCONSISTENT_TOPIC_ID = 103 "Broker: The log's topic ID did not match the topic ID in the request";
    FENCED_MEMBER_EPOCH = 110 "Broker: The member epoch is fenced by the group coordinator";
    UNRELEASED_INSTANCE_ID = 111 "Broker: The instance ID is still used by another member in the consumer group";
    UNSUPPORTED_ASSIGNOR = 112 "Broker: The assignor or its version range is not supported by the consumer group";
    STALE_MEMBER_EPOCH = 113 "Broker: The member epoch is stale";
    MISMATCHED_ENDPOINT_TYPE = 114 "Broker: The request was sent to an endpoint of the wrong type";
    UNSUPPORTED_ENDPOINT_TYPE = 115 "Broker: This endpoint type is not supported yet";
    UNKNOWN_CONTROLLER_ID = 116 "Broker: This controller ID is not known";
    UNKNOWN_SUBSCRIPTION_ID = 117 "Broker: Client sent a push telemetry request with an invalid or outdated subscription ID";
    TELEMETRY_TOO_LARGE = 118 "Broker: Client sent a push telemetry request larger than the maximum size the broker will accept";
    INVALID_REGISTRATION = 119 "Broker: The controller has considered the broker registration to be invalid";
    TRANSACTION_ABORTABLE = 120 "Broker: The server encountered an error with the transaction";
    INVALID_RECORD_STATE = 121 "Broker: The record state is invalid";
    SHARE_SESSION_NOT_FOUND = 122 "Broker: The share session was not found";
    INVALID_SHARE_SESSION_EPOCH = 123 "Broker: The share session epoch is invalid";
    FENCED_STATE_EPOCH = 124 "Broker: The share-group state epoch did not match";
    INVALID_VOTER_KEY = 125 "Broker: The voter key doesn't match the receiving replica's key";
    DUPLICATE_VOTER = 126 "Broker: The voter is already part of the set of voters";
    VOTER_NOT_FOUND = 127 "Broker: The voter is not part of the set of voters";
    INVALID_REGULAR_EXPRESSION = 128 "Broker: The regular expression is not valid";
    REBOOTSTRAP_REQUIRED = 129 "Broker: Client metadata is stale, client should rebootstrap to obtain new metadata";
    STREAMS_INVALID_TOPOLOGY = 130 "Broker: The supplied topology is invalid";
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131 "Broker: The supplied topology epoch is invalid";
    STREAMS_TOPOLOGY_FENCED = 132 "Broker: The supplied topology epoch is outdated";
    SHARE_SESSION_LIMIT_REACHED = 133 "Broker: The limit of share sessions has been reached";
}

/// The code of the first row.
const FIRST: i32 = -200;
/// Rows from the first code to the last, with gaps.
const COUNT: usize = 334;

/// `struct rd_kafka_err_desc`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ErrDesc {
    /// The code.
    pub code: RespErr,
    /// Its name, NULL in a gap.
    pub name: *const c_char,
    /// Its text, NULL in a gap.
    pub desc: *const c_char,
}

// SAFETY: the pointers lead to constants.
unsafe impl Sync for ErrDesc {}

/// What `rd_kafka_get_err_descs` gives: indexed by code + 200.
pub(super) static DESCRIPTIONS: [ErrDesc; COUNT] = descriptions();

const fn descriptions() -> [ErrDesc; COUNT] {
    let nothing = ErrDesc { code: RespErr(0), name: std::ptr::null(), desc: std::ptr::null() };
    let mut all = [nothing; COUNT];
    let ends = [Row { code: FIRST, name: c"_BEGIN", text: None }, Row { code: -100, name: c"_END", text: None }];
    fill(&mut all, &ends);
    fill(&mut all, LOCAL);
    fill(&mut all, BROKER);
    all
}

#[expect(clippy::indexing_slicing, reason = "done by the compiler, which checks it")]
const fn fill(all: &mut [ErrDesc; COUNT], rows: &[Row]) {
    let mut index = 0;
    while index < rows.len() {
        let row = rows[index];
        let desc = match row.text {
            Some(text) => text.as_ptr(),
            None => std::ptr::null(),
        };
        let place = (row.code - FIRST) as usize;
        all[place] = ErrDesc { code: RespErr(row.code), name: row.name.as_ptr(), desc };
        index += 1;
    }
}

/// The row of a code that has a text.
pub(super) fn described(code: RespErr) -> Option<&'static ErrDesc> {
    let index = usize::try_from(code.0.checked_sub(FIRST)?).ok()?;
    DESCRIPTIONS.get(index).filter(|row| !row.desc.is_null())
}
