/* librdkafka's C API, version 2.16.0, as Felice's librdkafka.so.1 offers it. The text is Felice's own; names, types and numbers are the API's.
 *
 * Who owns what: `const` pointers and what is got from an object belong to that object; what a function makes is freed with the function named
 * for it, strings and arrays of this library with rd_kafka_mem_free(). Times are in milliseconds unless another unit is named; -1 waits for ever.
 * A `char *errstr` with its size takes a reason as text, NUL-terminated. Functions of a handle may be called by any thread; a callback may call them.
 */
#ifndef _RDKAFKA_H_
#define _RDKAFKA_H_

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define RD_EXPORT
#define RD_INLINE inline
#if defined(__GNUC__) || defined(__clang__)
#define RD_UNUSED __attribute__((unused))
#define RD_DEPRECATED __attribute__((deprecated))
#define RD_FORMAT(...) __attribute__((format(__VA_ARGS__)))
#define RD_HAS_STATEMENT_EXPRESSIONS
#else
#define RD_UNUSED
#define RD_DEPRECATED
#define RD_FORMAT(...)
#endif

/* Major, minor, revision and 0xff, a byte each: what rd_kafka_version() answers. */
#define RD_KAFKA_VERSION 0x021000ff

/* What the property `debug` takes; rd_kafka_get_debug_contexts() knows those of the library that runs. */
#define RD_KAFKA_DEBUG_CONTEXTS \
    "all,generic,broker,topic,metadata,feature,queue,msg,protocol,cgrp," \
    "security,fetch,interceptor,plugin,consumer,admin,eos,mock,assignor,conf"

/* A message without a partition: the partitioner chooses. */
#define RD_KAFKA_PARTITION_UA ((int32_t)-1)

/* Logical offsets, wherever an offset to start from is asked for. */
#define RD_KAFKA_OFFSET_BEGINNING -2    /* the first record there is */
#define RD_KAFKA_OFFSET_END -1          /* the next record that comes */
#define RD_KAFKA_OFFSET_STORED -1000    /* what the group has committed */
#define RD_KAFKA_OFFSET_INVALID -1001   /* none */
#define RD_KAFKA_OFFSET_TAIL_BASE -2000
#define RD_KAFKA_OFFSET_TAIL(CNT) (RD_KAFKA_OFFSET_TAIL_BASE - (CNT)) /* so many records before the end */

/* Flags of a message to produce. */
#define RD_KAFKA_MSG_F_FREE 0x1       /* the library calls free() for the payload */
#define RD_KAFKA_MSG_F_COPY 0x2       /* the library copies the payload */
#define RD_KAFKA_MSG_F_BLOCK 0x4      /* waits while the queue is full; needs another thread that polls */
#define RD_KAFKA_MSG_F_PARTITION 0x8  /* rd_kafka_produce_batch(): each message names its partition */

/* What rd_kafka_purge() drops. */
#define RD_KAFKA_PURGE_F_QUEUE 0x1         /* what was not sent */
#define RD_KAFKA_PURGE_F_INFLIGHT 0x2      /* what was sent and not answered; whether it is in the log stays unknown */
#define RD_KAFKA_PURGE_F_NON_BLOCKING 0x4  /* does not wait for that */

/* Ends a consumer without leaving its group and without callbacks. */
#define RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE 0x8

/* Kinds of event. rd_kafka_conf_set_events() takes them or-ed, apart from the results of admin requests, which always are events. */
#define RD_KAFKA_EVENT_NONE 0x0
#define RD_KAFKA_EVENT_DR 0x1
#define RD_KAFKA_EVENT_FETCH 0x2
#define RD_KAFKA_EVENT_LOG 0x4
#define RD_KAFKA_EVENT_ERROR 0x8
#define RD_KAFKA_EVENT_REBALANCE 0x10
#define RD_KAFKA_EVENT_OFFSET_COMMIT 0x20
#define RD_KAFKA_EVENT_STATS 0x40
#define RD_KAFKA_EVENT_CREATETOPICS_RESULT 100
#define RD_KAFKA_EVENT_DELETETOPICS_RESULT 101
#define RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT 102
#define RD_KAFKA_EVENT_ALTERCONFIGS_RESULT 103
#define RD_KAFKA_EVENT_DESCRIBECONFIGS_RESULT 104
#define RD_KAFKA_EVENT_DELETERECORDS_RESULT 105
#define RD_KAFKA_EVENT_DELETEGROUPS_RESULT 106
#define RD_KAFKA_EVENT_DELETECONSUMERGROUPOFFSETS_RESULT 107
#define RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH 0x100
#define RD_KAFKA_EVENT_BACKGROUND 0x200
#define RD_KAFKA_EVENT_CREATEACLS_RESULT 0x400
#define RD_KAFKA_EVENT_DESCRIBEACLS_RESULT 0x800
#define RD_KAFKA_EVENT_DELETEACLS_RESULT 0x1000
#define RD_KAFKA_EVENT_LISTCONSUMERGROUPS_RESULT 0x2000
#define RD_KAFKA_EVENT_DESCRIBECONSUMERGROUPS_RESULT 0x4000
#define RD_KAFKA_EVENT_LISTCONSUMERGROUPOFFSETS_RESULT 0x8000
#define RD_KAFKA_EVENT_ALTERCONSUMERGROUPOFFSETS_RESULT 0x10000
#define RD_KAFKA_EVENT_INCREMENTALALTERCONFIGS_RESULT 0x20000
#define RD_KAFKA_EVENT_DESCRIBEUSERSCRAMCREDENTIALS_RESULT 0x40000
#define RD_KAFKA_EVENT_ALTERUSERSCRAMCREDENTIALS_RESULT 0x80000
#define RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT 0x100000
#define RD_KAFKA_EVENT_DESCRIBECLUSTER_RESULT 0x200000
#define RD_KAFKA_EVENT_LISTOFFSETS_RESULT 0x400000
#define RD_KAFKA_EVENT_ELECTLEADERS_RESULT 0x800000
typedef int rd_kafka_event_type_t;

/* Kinds of handle. */
typedef enum rd_kafka_type_t {
    RD_KAFKA_PRODUCER,
    RD_KAFKA_CONSUMER,
} rd_kafka_type_t;

/* What a timestamp means. */
typedef enum rd_kafka_timestamp_type_t {
    RD_KAFKA_TIMESTAMP_NOT_AVAILABLE,
    RD_KAFKA_TIMESTAMP_CREATE_TIME, /* set by the producer */
    RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME, /* set by the broker */
} rd_kafka_timestamp_type_t;

/* Error codes: the library's own are negative, the others are the protocol's. */
typedef enum {
    RD_KAFKA_RESP_ERR__BEGIN = -200, /* begin of the library's own codes */
    RD_KAFKA_RESP_ERR__BAD_MSG = -199, /* a message that cannot be read */
    RD_KAFKA_RESP_ERR__BAD_COMPRESSION = -198, /* a batch that cannot be decompressed */
    RD_KAFKA_RESP_ERR__DESTROY = -197, /* the handle is ending */
    RD_KAFKA_RESP_ERR__FAIL = -196, /* it cannot be said more precisely */
    RD_KAFKA_RESP_ERR__TRANSPORT = -195, /* the connection broke */
    RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE = -194, /* memory, threads, descriptors */
    RD_KAFKA_RESP_ERR__RESOLVE = -193, /* a host name that cannot be resolved */
    RD_KAFKA_RESP_ERR__MSG_TIMED_OUT = -192, /* message.timeout.ms is over */
    RD_KAFKA_RESP_ERR__PARTITION_EOF = -191, /* end of the partition, for now */
    RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION = -190, /* no such partition in the cluster */
    RD_KAFKA_RESP_ERR__FS = -189, /* a file cannot be read or written */
    RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC = -188, /* no such topic in the cluster */
    RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN = -187, /* no connection to any broker */
    RD_KAFKA_RESP_ERR__INVALID_ARG = -186, /* an argument or setting makes no sense */
    RD_KAFKA_RESP_ERR__TIMED_OUT = -185, /* the time is over */
    RD_KAFKA_RESP_ERR__QUEUE_FULL = -184, /* the producer's queue is full */
    RD_KAFKA_RESP_ERR__ISR_INSUFF = -183, /* too few replicas in sync */
    RD_KAFKA_RESP_ERR__NODE_UPDATE = -182, /* a broker's address has changed */
    RD_KAFKA_RESP_ERR__SSL = -181, /* TLS failed */
    RD_KAFKA_RESP_ERR__WAIT_COORD = -180, /* the coordinator is not known yet */
    RD_KAFKA_RESP_ERR__UNKNOWN_GROUP = -179, /* the group is not known */
    RD_KAFKA_RESP_ERR__IN_PROGRESS = -178, /* it is being done */
    RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS = -177, /* the one before is still being done */
    RD_KAFKA_RESP_ERR__EXISTING_SUBSCRIPTION = -176, /* it would contradict the subscription */
    RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS = -175, /* rebalance callback: partitions come */
    RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS = -174, /* rebalance callback: partitions go */
    RD_KAFKA_RESP_ERR__CONFLICT = -173, /* it contradicts something in use */
    RD_KAFKA_RESP_ERR__STATE = -172, /* not in this state */
    RD_KAFKA_RESP_ERR__UNKNOWN_PROTOCOL = -171, /* the protocol is not known */
    RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED = -170, /* this library does not do it */
    RD_KAFKA_RESP_ERR__AUTHENTICATION = -169, /* the broker did not let us in */
    RD_KAFKA_RESP_ERR__NO_OFFSET = -168, /* nothing to commit */
    RD_KAFKA_RESP_ERR__OUTDATED = -167, /* overtaken by something newer */
    RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE = -166, /* timed out before it was sent */
    RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE = -165, /* the broker, or this build, cannot do it */
    RD_KAFKA_RESP_ERR__WAIT_CACHE = -164, /* the cache is being filled */
    RD_KAFKA_RESP_ERR__INTR = -163, /* interrupted */
    RD_KAFKA_RESP_ERR__KEY_SERIALIZATION = -162, /* a key could not be serialized */
    RD_KAFKA_RESP_ERR__VALUE_SERIALIZATION = -161, /* a value could not be serialized */
    RD_KAFKA_RESP_ERR__KEY_DESERIALIZATION = -160, /* a key could not be deserialized */
    RD_KAFKA_RESP_ERR__VALUE_DESERIALIZATION = -159, /* a value could not be deserialized */
    RD_KAFKA_RESP_ERR__PARTIAL = -158, /* a part is missing */
    RD_KAFKA_RESP_ERR__READ_ONLY = -157, /* it cannot be changed */
    RD_KAFKA_RESP_ERR__NOENT = -156, /* no such thing */
    RD_KAFKA_RESP_ERR__UNDERFLOW = -155, /* fewer bytes than promised */
    RD_KAFKA_RESP_ERR__INVALID_TYPE = -154, /* of the wrong kind */
    RD_KAFKA_RESP_ERR__RETRY = -153, /* it will be tried again */
    RD_KAFKA_RESP_ERR__PURGE_QUEUE = -152, /* purged before it was sent */
    RD_KAFKA_RESP_ERR__PURGE_INFLIGHT = -151, /* purged after it was sent */
    RD_KAFKA_RESP_ERR__FATAL = -150, /* the handle has failed for good, see rd_kafka_fatal_error() */
    RD_KAFKA_RESP_ERR__INCONSISTENT = -149, /* the broker contradicts itself */
    RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE = -148, /* a gap would break the promise of enable.gapless.guarantee */
    RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED = -147, /* max.poll.interval.ms is over */
    RD_KAFKA_RESP_ERR__UNKNOWN_BROKER = -146, /* no such broker */
    RD_KAFKA_RESP_ERR__NOT_CONFIGURED = -145, /* a setting for that is missing */
    RD_KAFKA_RESP_ERR__FENCED = -144, /* another instance has taken over */
    RD_KAFKA_RESP_ERR__APPLICATION = -143, /* the program's own error */
    RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST = -142, /* the partitions belong to somebody else by now */
    RD_KAFKA_RESP_ERR__NOOP = -141, /* there was nothing to do */
    RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET = -140, /* no offset, and auto.offset.reset is error */
    RD_KAFKA_RESP_ERR__LOG_TRUNCATION = -139, /* the log was cut below the position */
    RD_KAFKA_RESP_ERR__INVALID_DIFFERENT_RECORD = -138, /* a record before it in the batch is invalid */
    RD_KAFKA_RESP_ERR__DESTROY_BROKER = -137, /* the broker is gone from the cluster */
    RD_KAFKA_RESP_ERR__END = -100, /* end of the library's own codes */
    RD_KAFKA_RESP_ERR_UNKNOWN = -1, /* from here on as Kafka's protocol numbers them */
    RD_KAFKA_RESP_ERR_NO_ERROR = 0,
    RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE = 1,
    RD_KAFKA_RESP_ERR_INVALID_MSG = 2,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART = 3,
    RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE = 4,
    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE = 5,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION = 6,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT = 7,
    RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE = 8,
    RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE = 9,
    RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE = 10,
    RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH = 11,
    RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE = 12,
    RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION = 13,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS = 14,
    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE = 15,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR = 16,
    RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION = 17,
    RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE = 18,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS = 19,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20,
    RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS = 21,
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION = 22,
    RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL = 23,
    RD_KAFKA_RESP_ERR_INVALID_GROUP_ID = 24,
    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID = 25,
    RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT = 26,
    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS = 27,
    RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE = 28,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED = 29,
    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED = 30,
    RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED = 31,
    RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP = 32,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM = 33,
    RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE = 34,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION = 35,
    RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS = 36,
    RD_KAFKA_RESP_ERR_INVALID_PARTITIONS = 37,
    RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR = 38,
    RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT = 39,
    RD_KAFKA_RESP_ERR_INVALID_CONFIG = 40,
    RD_KAFKA_RESP_ERR_NOT_CONTROLLER = 41,
    RD_KAFKA_RESP_ERR_INVALID_REQUEST = 42,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
    RD_KAFKA_RESP_ERR_POLICY_VIOLATION = 44,
    RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
    RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER = 46,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH = 47,
    RD_KAFKA_RESP_ERR_INVALID_TXN_STATE = 48,
    RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING = 49,
    RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT = 50,
    RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS = 51,
    RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED = 52,
    RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
    RD_KAFKA_RESP_ERR_SECURITY_DISABLED = 54,
    RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED = 55,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR = 56,
    RD_KAFKA_RESP_ERR_LOG_DIR_NOT_FOUND = 57,
    RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED = 58,
    RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID = 59,
    RD_KAFKA_RESP_ERR_REASSIGNMENT_IN_PROGRESS = 60,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTH_DISABLED = 61,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_NOT_FOUND = 62,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_OWNER_MISMATCH = 63,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65,
    RD_KAFKA_RESP_ERR_DELEGATION_TOKEN_EXPIRED = 66,
    RD_KAFKA_RESP_ERR_INVALID_PRINCIPAL_TYPE = 67,
    RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP = 68,
    RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND = 69,
    RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND = 70,
    RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH = 71,
    RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND = 72,
    RD_KAFKA_RESP_ERR_TOPIC_DELETION_DISABLED = 73,
    RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH = 74,
    RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH = 75,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE = 76,
    RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH = 77,
    RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE = 78,
    RD_KAFKA_RESP_ERR_MEMBER_ID_REQUIRED = 79,
    RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80,
    RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED = 81,
    RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID = 82,
    RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83,
    RD_KAFKA_RESP_ERR_ELECTION_NOT_NEEDED = 84,
    RD_KAFKA_RESP_ERR_NO_REASSIGNMENT_IN_PROGRESS = 85,
    RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86,
    RD_KAFKA_RESP_ERR_INVALID_RECORD = 87,
    RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT = 88,
    RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED = 89,
    RD_KAFKA_RESP_ERR_PRODUCER_FENCED = 90,
    RD_KAFKA_RESP_ERR_RESOURCE_NOT_FOUND = 91,
    RD_KAFKA_RESP_ERR_DUPLICATE_RESOURCE = 92,
    RD_KAFKA_RESP_ERR_UNACCEPTABLE_CREDENTIAL = 93,
    RD_KAFKA_RESP_ERR_INCONSISTENT_VOTER_SET = 94,
    RD_KAFKA_RESP_ERR_INVALID_UPDATE_VERSION = 95,
    RD_KAFKA_RESP_ERR_FEATURE_UPDATE_FAILED = 96,
    RD_KAFKA_RESP_ERR_PRINCIPAL_DESERIALIZATION_FAILURE = 97,
    RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_ID = 100,
    RD_KAFKA_RESP_ERR_INCONSISTENT_TOPIC_ID = 103,
    RD_KAFKA_RESP_ERR_FENCED_MEMBER_EPOCH = 110,
    RD_KAFKA_RESP_ERR_UNRELEASED_INSTANCE_ID = 111,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_ASSIGNOR = 112,
    RD_KAFKA_RESP_ERR_STALE_MEMBER_EPOCH = 113,
    RD_KAFKA_RESP_ERR_MISMATCHED_ENDPOINT_TYPE = 114,
    RD_KAFKA_RESP_ERR_UNSUPPORTED_ENDPOINT_TYPE = 115,
    RD_KAFKA_RESP_ERR_UNKNOWN_CONTROLLER_ID = 116,
    RD_KAFKA_RESP_ERR_UNKNOWN_SUBSCRIPTION_ID = 117,
    RD_KAFKA_RESP_ERR_TELEMETRY_TOO_LARGE = 118,
    RD_KAFKA_RESP_ERR_INVALID_REGISTRATION = 119,
    RD_KAFKA_RESP_ERR_TRANSACTION_ABORTABLE = 120,
    RD_KAFKA_RESP_ERR_INVALID_RECORD_STATE = 121,
    RD_KAFKA_RESP_ERR_SHARE_SESSION_NOT_FOUND = 122,
    RD_KAFKA_RESP_ERR_INVALID_SHARE_SESSION_EPOCH = 123,
    RD_KAFKA_RESP_ERR_FENCED_STATE_EPOCH = 124,
    RD_KAFKA_RESP_ERR_INVALID_VOTER_KEY = 125,
    RD_KAFKA_RESP_ERR_DUPLICATE_VOTER = 126,
    RD_KAFKA_RESP_ERR_VOTER_NOT_FOUND = 127,
    RD_KAFKA_RESP_ERR_INVALID_REGULAR_EXPRESSION = 128,
    RD_KAFKA_RESP_ERR_REBOOTSTRAP_REQUIRED = 129,
    RD_KAFKA_RESP_ERR_STREAMS_INVALID_TOPOLOGY = 130,
    RD_KAFKA_RESP_ERR_STREAMS_INVALID_TOPOLOGY_EPOCH = 131,
    RD_KAFKA_RESP_ERR_STREAMS_TOPOLOGY_FENCED = 132,
    RD_KAFKA_RESP_ERR_SHARE_SESSION_LIMIT_REACHED = 133,
    RD_KAFKA_RESP_ERR_END_ALL, /* one more than the last */
} rd_kafka_resp_err_t;
#define RD_KAFKA_RESP_ERR_NOT_LEADER_OR_FOLLOWER RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION
#define RD_KAFKA_RESP_ERR_GROUP_LOAD_IN_PROGRESS RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS
#define RD_KAFKA_RESP_ERR_GROUP_COORDINATOR_NOT_AVAILABLE RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE
#define RD_KAFKA_RESP_ERR_NOT_COORDINATOR_FOR_GROUP RD_KAFKA_RESP_ERR_NOT_COORDINATOR

/* What became of a setting. */
typedef enum {
    RD_KAFKA_CONF_UNKNOWN = -2, /* no such property */
    RD_KAFKA_CONF_INVALID = -1, /* not this value */
    RD_KAFKA_CONF_OK = 0,
} rd_kafka_conf_res_t;

/* Tags of the arguments of rd_kafka_producev(); use the macros RD_KAFKA_V_…. */
typedef enum rd_kafka_vtype_t {
    RD_KAFKA_VTYPE_END,
    RD_KAFKA_VTYPE_TOPIC,
    RD_KAFKA_VTYPE_RKT,
    RD_KAFKA_VTYPE_PARTITION,
    RD_KAFKA_VTYPE_VALUE,
    RD_KAFKA_VTYPE_KEY,
    RD_KAFKA_VTYPE_OPAQUE,
    RD_KAFKA_VTYPE_MSGFLAGS,
    RD_KAFKA_VTYPE_TIMESTAMP,
    RD_KAFKA_VTYPE_HEADER,
    RD_KAFKA_VTYPE_HEADERS,
} rd_kafka_vtype_t;

/* Whether a produced message is in the log. */
typedef enum {
    RD_KAFKA_MSG_STATUS_NOT_PERSISTED = 0, /* no */
    RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED = 1, /* sent, and never answered */
    RD_KAFKA_MSG_STATUS_PERSISTED = 2, /* yes, as far as acks promises */
} rd_kafka_msg_status_t;

/* What rd_kafka_conf_set_ssl_cert() sets. */
typedef enum rd_kafka_cert_type_t {
    RD_KAFKA_CERT_PUBLIC_KEY,
    RD_KAFKA_CERT_PRIVATE_KEY,
    RD_KAFKA_CERT_CA,
    RD_KAFKA_CERT__CNT,
} rd_kafka_cert_type_t;

/* How that is encoded. */
typedef enum rd_kafka_cert_enc_t {
    RD_KAFKA_CERT_ENC_PKCS12,
    RD_KAFKA_CERT_ENC_DER,
    RD_KAFKA_CERT_ENC_PEM,
    RD_KAFKA_CERT_ENC__CNT,
} rd_kafka_cert_enc_t;

/* Threads, for interceptors. */
typedef enum rd_kafka_thread_type_t {
    RD_KAFKA_THREAD_MAIN,
    RD_KAFKA_THREAD_BACKGROUND,
    RD_KAFKA_THREAD_BROKER,
} rd_kafka_thread_type_t;

/* What becomes of a record of a share group. */
typedef enum rd_kafka_share_AcknowledgeType_s {
    RD_KAFKA_SHARE_ACKNOWLEDGE_TYPE_ACCEPT = 1, /* done */
    RD_KAFKA_SHARE_ACKNOWLEDGE_TYPE_RELEASE = 2, /* for another member */
    RD_KAFKA_SHARE_ACKNOWLEDGE_TYPE_REJECT = 3, /* for nobody */
} rd_kafka_share_AcknowledgeType_t;

/* States of groups. */
typedef enum {
    RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN = 0,
    RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE = 1,
    RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE = 2,
    RD_KAFKA_CONSUMER_GROUP_STATE_STABLE = 3,
    RD_KAFKA_CONSUMER_GROUP_STATE_DEAD = 4,
    RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY = 5,
    RD_KAFKA_CONSUMER_GROUP_STATE__CNT,
} rd_kafka_consumer_group_state_t;

/* Group protocols. */
typedef enum {
    RD_KAFKA_CONSUMER_GROUP_TYPE_UNKNOWN = 0,
    RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER = 1, /* KIP-848 */
    RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC = 2,
    RD_KAFKA_CONSUMER_GROUP_TYPE__CNT,
} rd_kafka_consumer_group_type_t;

/* Kinds of admin request, for their options. */
typedef enum rd_kafka_admin_op_t {
    RD_KAFKA_ADMIN_OP_ANY = 0,
    RD_KAFKA_ADMIN_OP_CREATETOPICS,
    RD_KAFKA_ADMIN_OP_DELETETOPICS,
    RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
    RD_KAFKA_ADMIN_OP_ALTERCONFIGS,
    RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
    RD_KAFKA_ADMIN_OP_DELETERECORDS,
    RD_KAFKA_ADMIN_OP_DELETEGROUPS,
    RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
    RD_KAFKA_ADMIN_OP_CREATEACLS,
    RD_KAFKA_ADMIN_OP_DESCRIBEACLS,
    RD_KAFKA_ADMIN_OP_DELETEACLS,
    RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
    RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
    RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
    RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
    RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
    RD_KAFKA_ADMIN_OP_DESCRIBEUSERSCRAMCREDENTIALS,
    RD_KAFKA_ADMIN_OP_ALTERUSERSCRAMCREDENTIALS,
    RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
    RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER,
    RD_KAFKA_ADMIN_OP_LISTOFFSETS,
    RD_KAFKA_ADMIN_OP_ELECTLEADERS,
    RD_KAFKA_ADMIN_OP__CNT,
} rd_kafka_admin_op_t;

/* Which records count. */
typedef enum rd_kafka_IsolationLevel_t {
    RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED = 0,
    RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED = 1,
} rd_kafka_IsolationLevel_t;

/* Operations that access control knows. */
typedef enum rd_kafka_AclOperation_t {
    RD_KAFKA_ACL_OPERATION_UNKNOWN = 0,
    RD_KAFKA_ACL_OPERATION_ANY = 1,
    RD_KAFKA_ACL_OPERATION_ALL = 2,
    RD_KAFKA_ACL_OPERATION_READ = 3,
    RD_KAFKA_ACL_OPERATION_WRITE = 4,
    RD_KAFKA_ACL_OPERATION_CREATE = 5,
    RD_KAFKA_ACL_OPERATION_DELETE = 6,
    RD_KAFKA_ACL_OPERATION_ALTER = 7,
    RD_KAFKA_ACL_OPERATION_DESCRIBE = 8,
    RD_KAFKA_ACL_OPERATION_CLUSTER_ACTION = 9,
    RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS = 10,
    RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS = 11,
    RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE = 12,
    RD_KAFKA_ACL_OPERATION__CNT,
} rd_kafka_AclOperation_t;

/* Allowed or denied. */
typedef enum rd_kafka_AclPermissionType_t {
    RD_KAFKA_ACL_PERMISSION_TYPE_UNKNOWN = 0,
    RD_KAFKA_ACL_PERMISSION_TYPE_ANY = 1,
    RD_KAFKA_ACL_PERMISSION_TYPE_DENY = 2,
    RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW = 3,
    RD_KAFKA_ACL_PERMISSION_TYPE__CNT,
} rd_kafka_AclPermissionType_t;

/* Where a value comes from. */
typedef enum rd_kafka_ConfigSource_t {
    RD_KAFKA_CONFIG_SOURCE_UNKNOWN_CONFIG = 0,
    RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG = 1,
    RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG = 2,
    RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG = 3,
    RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG = 4,
    RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG = 5,
    RD_KAFKA_CONFIG_SOURCE_GROUP_CONFIG = 8,
    RD_KAFKA_CONFIG_SOURCE__CNT,
} rd_kafka_ConfigSource_t;

/* Kinds of resource. */
typedef enum rd_kafka_ResourceType_t {
    RD_KAFKA_RESOURCE_UNKNOWN = 0,
    RD_KAFKA_RESOURCE_ANY = 1,
    RD_KAFKA_RESOURCE_TOPIC = 2,
    RD_KAFKA_RESOURCE_GROUP = 3,
    RD_KAFKA_RESOURCE_BROKER = 4,
    RD_KAFKA_RESOURCE_TRANSACTIONAL_ID = 5,
    RD_KAFKA_RESOURCE__CNT,
} rd_kafka_ResourceType_t;

/* How a resource's name is meant. */
typedef enum rd_kafka_ResourcePatternType_t {
    RD_KAFKA_RESOURCE_PATTERN_UNKNOWN = 0,
    RD_KAFKA_RESOURCE_PATTERN_ANY = 1,
    RD_KAFKA_RESOURCE_PATTERN_MATCH = 2,
    RD_KAFKA_RESOURCE_PATTERN_LITERAL = 3,
    RD_KAFKA_RESOURCE_PATTERN_PREFIXED = 4,
    RD_KAFKA_RESOURCE_PATTERN_TYPE__CNT,
} rd_kafka_ResourcePatternType_t;

/* Changes of a property. */
typedef enum rd_kafka_AlterConfigOpType_t {
    RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET = 0,
    RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE = 1,
    RD_KAFKA_ALTER_CONFIG_OP_TYPE_APPEND = 2,
    RD_KAFKA_ALTER_CONFIG_OP_TYPE_SUBTRACT = 3,
    RD_KAFKA_ALTER_CONFIG_OP_TYPE__CNT,
} rd_kafka_AlterConfigOpType_t;

/* Offsets that ListOffsets finds; anything not negative is a timestamp. */
typedef enum rd_kafka_OffsetSpec_t {
    RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP = -3,
    RD_KAFKA_OFFSET_SPEC_EARLIEST = -2,
    RD_KAFKA_OFFSET_SPEC_LATEST = -1,
} rd_kafka_OffsetSpec_t;

/* SCRAM mechanisms. */
typedef enum rd_kafka_ScramMechanism_t {
    RD_KAFKA_SCRAM_MECHANISM_UNKNOWN = 0,
    RD_KAFKA_SCRAM_MECHANISM_SHA_256 = 1,
    RD_KAFKA_SCRAM_MECHANISM_SHA_512 = 2,
    RD_KAFKA_SCRAM_MECHANISM__CNT,
} rd_kafka_ScramMechanism_t;

/* Kinds of election. */
typedef enum rd_kafka_ElectionType_t {
    RD_KAFKA_ELECTION_TYPE_PREFERRED = 0,
    RD_KAFKA_ELECTION_TYPE_UNCLEAN = 1,
} rd_kafka_ElectionType_t;

/* Objects of the library: only pointers to them. */
typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_op_s rd_kafka_event_t;
typedef struct rd_kafka_topic_result_s rd_kafka_topic_result_t;
typedef struct rd_kafka_consumer_group_metadata_s rd_kafka_consumer_group_metadata_t;
typedef struct rd_kafka_error_s rd_kafka_error_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef struct rd_kafka_group_result_s rd_kafka_group_result_t;
typedef struct rd_kafka_acl_result_s rd_kafka_acl_result_t;
typedef struct rd_kafka_Uuid_s rd_kafka_Uuid_t;
typedef struct rd_kafka_topic_partition_result_s rd_kafka_topic_partition_result_t;
typedef struct rd_kafka_share_s rd_kafka_share_t;
typedef struct rd_kafka_messages_s rd_kafka_messages_t;
typedef struct rd_kafka_share_partition_offsets_s rd_kafka_share_partition_offsets_t;
typedef struct rd_kafka_share_partition_offsets_list_s rd_kafka_share_partition_offsets_list_t;
typedef struct rd_kafka_Node_s rd_kafka_Node_t;
typedef struct rd_kafka_AdminOptions_s rd_kafka_AdminOptions_t;
typedef struct rd_kafka_NewTopic_s rd_kafka_NewTopic_t;
typedef struct rd_kafka_DeleteTopic_s rd_kafka_DeleteTopic_t;
typedef struct rd_kafka_NewPartitions_s rd_kafka_NewPartitions_t;
typedef struct rd_kafka_ConfigEntry_s rd_kafka_ConfigEntry_t;
typedef struct rd_kafka_ConfigResource_s rd_kafka_ConfigResource_t;
typedef struct rd_kafka_DeleteRecords_s rd_kafka_DeleteRecords_t;
typedef struct rd_kafka_TopicCollection_s rd_kafka_TopicCollection_t;
typedef struct rd_kafka_TopicPartitionInfo_s rd_kafka_TopicPartitionInfo_t;
typedef struct rd_kafka_TopicDescription_s rd_kafka_TopicDescription_t;
typedef struct rd_kafka_ConsumerGroupListing_s rd_kafka_ConsumerGroupListing_t;
typedef struct rd_kafka_ListConsumerGroupsResult_s rd_kafka_ListConsumerGroupsResult_t;
typedef struct rd_kafka_ConsumerGroupDescription_s rd_kafka_ConsumerGroupDescription_t;
typedef struct rd_kafka_MemberDescription_s rd_kafka_MemberDescription_t;
typedef struct rd_kafka_MemberAssignment_s rd_kafka_MemberAssignment_t;
typedef struct rd_kafka_DeleteGroup_s rd_kafka_DeleteGroup_t;
typedef struct rd_kafka_ListConsumerGroupOffsets_s rd_kafka_ListConsumerGroupOffsets_t;
typedef struct rd_kafka_AlterConsumerGroupOffsets_s rd_kafka_AlterConsumerGroupOffsets_t;
typedef struct rd_kafka_DeleteConsumerGroupOffsets_s rd_kafka_DeleteConsumerGroupOffsets_t;
typedef struct rd_kafka_ListOffsetsResultInfo_s rd_kafka_ListOffsetsResultInfo_t;
typedef struct rd_kafka_ScramCredentialInfo_s rd_kafka_ScramCredentialInfo_t;
typedef struct rd_kafka_UserScramCredentialsDescription_s rd_kafka_UserScramCredentialsDescription_t;
typedef struct rd_kafka_UserScramCredentialAlteration_s rd_kafka_UserScramCredentialAlteration_t;
typedef struct rd_kafka_AlterUserScramCredentials_result_response_s rd_kafka_AlterUserScramCredentials_result_response_t;
typedef struct rd_kafka_AclBinding_s rd_kafka_AclBinding_t;
typedef struct rd_kafka_DeleteAcls_result_response_s rd_kafka_DeleteAcls_result_response_t;
typedef struct rd_kafka_ElectLeaders_s rd_kafka_ElectLeaders_t;
typedef rd_kafka_AclBinding_t rd_kafka_AclBindingFilter_t;

/* The answers to admin requests are events, seen through the function of their kind. */
typedef rd_kafka_event_t rd_kafka_CreateTopics_result_t;
typedef rd_kafka_event_t rd_kafka_DeleteTopics_result_t;
typedef rd_kafka_event_t rd_kafka_CreateAcls_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeAcls_result_t;
typedef rd_kafka_event_t rd_kafka_DeleteAcls_result_t;
typedef rd_kafka_event_t rd_kafka_CreatePartitions_result_t;
typedef rd_kafka_event_t rd_kafka_AlterConfigs_result_t;
typedef rd_kafka_event_t rd_kafka_IncrementalAlterConfigs_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeConfigs_result_t;
typedef rd_kafka_event_t rd_kafka_DeleteRecords_result_t;
typedef rd_kafka_event_t rd_kafka_ListConsumerGroups_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeConsumerGroups_result_t;
typedef rd_kafka_event_t rd_kafka_DeleteGroups_result_t;
typedef rd_kafka_event_t rd_kafka_DeleteConsumerGroupOffsets_result_t;
typedef rd_kafka_event_t rd_kafka_AlterConsumerGroupOffsets_result_t;
typedef rd_kafka_event_t rd_kafka_ListConsumerGroupOffsets_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeTopics_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeCluster_result_t;
typedef rd_kafka_event_t rd_kafka_DescribeUserScramCredentials_result_t;
typedef rd_kafka_event_t rd_kafka_AlterUserScramCredentials_result_t;
typedef rd_kafka_event_t rd_kafka_ListOffsets_result_t;
typedef rd_kafka_event_t rd_kafka_ElectLeaders_result_t;

/* A row of the table of errors. */
struct rd_kafka_err_desc {
    rd_kafka_resp_err_t code;
    const char *name; /* without prefix */
    const char *desc; /* for people */
};

/* A partition with an offset, as elements of lists and alone. */
typedef struct rd_kafka_topic_partition_s {
    char *topic;
    int32_t partition;
    int64_t offset;
    void *metadata; /* committed with the offset; from malloc() if set by the program */
    size_t metadata_size;
    void *opaque;            /* the program's */
    rd_kafka_resp_err_t err; /* the outcome for this partition, of calls that have one each */
    void *_private;          /* the library's; NULL in a struct made by the program */
} rd_kafka_topic_partition_t;

typedef struct rd_kafka_topic_partition_list_s {
    int cnt;  /* elements */
    int size; /* room */
    rd_kafka_topic_partition_t *elems;
} rd_kafka_topic_partition_list_t;

/* A message: consumed, reported as delivered, or to produce in a batch. */
typedef struct rd_kafka_message_s {
    rd_kafka_resp_err_t err;  /* not a message but this error, or its delivery failed */
    rd_kafka_topic_t *rkt;    /* its topic */
    int32_t partition;
    void *payload;            /* the value, or the text of an error */
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;           /* consumed: its place; delivered: the same, or RD_KAFKA_OFFSET_INVALID */
    void *_private;           /* the opaque of produce(); the library's in consumed messages */
} rd_kafka_message_t;

/* An argument of rd_kafka_produceva(). */
typedef struct rd_kafka_vu_s {
    rd_kafka_vtype_t vtype; /* says which member is set */
    union {
        const char *cstr;      /* TOPIC */
        rd_kafka_topic_t *rkt; /* RKT */
        int i;                 /* MSGFLAGS */
        int32_t i32;           /* PARTITION */
        int64_t i64;           /* TIMESTAMP */
        struct {
            void *ptr;
            size_t size;
        } mem; /* VALUE, KEY */
        struct {
            const char *name;
            const void *val;
            ssize_t size; /* -1: strlen() */
        } header;                    /* HEADER */
        rd_kafka_headers_t *headers; /* HEADERS; the message owns them when it is queued */
        void *ptr;                   /* OPAQUE */
        char _pad[64];
    } u;
} rd_kafka_vu_t;

/* Arguments of rd_kafka_producev(). */
#define RD_KAFKA_V_END RD_KAFKA_VTYPE_END
#define RD_KAFKA_V_TOPIC(NAME) RD_KAFKA_VTYPE_TOPIC, (const char *)(NAME)
#define RD_KAFKA_V_RKT(TOPIC) RD_KAFKA_VTYPE_RKT, (rd_kafka_topic_t *)(TOPIC)
#define RD_KAFKA_V_PARTITION(NUMBER) RD_KAFKA_VTYPE_PARTITION, (int32_t)(NUMBER)
#define RD_KAFKA_V_VALUE(POINTER, LEN) RD_KAFKA_VTYPE_VALUE, (void *)(POINTER), (size_t)(LEN)
#define RD_KAFKA_V_KEY(POINTER, LEN) RD_KAFKA_VTYPE_KEY, (void *)(POINTER), (size_t)(LEN)
#define RD_KAFKA_V_OPAQUE(POINTER) RD_KAFKA_VTYPE_OPAQUE, (void *)(POINTER)
#define RD_KAFKA_V_MSGFLAGS(FLAGS) RD_KAFKA_VTYPE_MSGFLAGS, (int)(FLAGS)
#define RD_KAFKA_V_TIMESTAMP(MS) RD_KAFKA_VTYPE_TIMESTAMP, (int64_t)(MS)
#define RD_KAFKA_V_HEADER(NAME, POINTER, LEN) \
    RD_KAFKA_VTYPE_HEADER, (const char *)(NAME), (const void *)(POINTER), (ssize_t)(LEN)
#define RD_KAFKA_V_HEADERS(LIST) RD_KAFKA_VTYPE_HEADERS, (rd_kafka_headers_t *)(LIST)

/* What rd_kafka_metadata() gives. */
typedef struct rd_kafka_metadata_broker {
    int32_t id;
    char *host;
    int port;
} rd_kafka_metadata_broker_t;

typedef struct rd_kafka_metadata_partition {
    int32_t id;
    rd_kafka_resp_err_t err;
    int32_t leader; /* -1: none */
    int replica_cnt;
    int32_t *replicas;
    int isr_cnt;
    int32_t *isrs; /* replicas in sync */
} rd_kafka_metadata_partition_t;

typedef struct rd_kafka_metadata_topic {
    char *topic;
    int partition_cnt;
    struct rd_kafka_metadata_partition *partitions;
    rd_kafka_resp_err_t err;
} rd_kafka_metadata_topic_t;

typedef struct rd_kafka_metadata {
    int broker_cnt;
    struct rd_kafka_metadata_broker *brokers;
    int topic_cnt;
    struct rd_kafka_metadata_topic *topics;
    int32_t orig_broker_id; /* who answered */
    char *orig_broker_name;
} rd_kafka_metadata_t;

/* What rd_kafka_list_groups() gives. */
struct rd_kafka_group_member_info {
    char *member_id;
    char *client_id;
    char *client_host;
    void *member_metadata; /* bytes of the group's protocol */
    int member_metadata_size;
    void *member_assignment; /* likewise */
    int member_assignment_size;
};

struct rd_kafka_group_info {
    struct rd_kafka_metadata_broker broker; /* the coordinator */
    char *group;
    rd_kafka_resp_err_t err;
    char *state;
    char *protocol_type;
    char *protocol;
    struct rd_kafka_group_member_info *members;
    int member_cnt;
};

struct rd_kafka_group_list {
    struct rd_kafka_group_info *groups;
    int group_cnt;
};

struct addrinfo;

/* Functions that a plugin has, and interceptors. Those of interceptors answer NO_ERROR, or what the library logs. */
typedef rd_kafka_resp_err_t(rd_kafka_plugin_f_conf_init_t)(
    rd_kafka_conf_t *conf, void **opaque, char *errstr, size_t errstr_size);
typedef rd_kafka_conf_res_t(rd_kafka_interceptor_f_on_conf_set_t)(
    rd_kafka_conf_t *conf, const char *name, const char *val, char *errstr, size_t errstr_size, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_conf_dup_t)(
    rd_kafka_conf_t *new_conf, const rd_kafka_conf_t *old_conf, size_t filter_cnt, const char **filter,
    void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_conf_destroy_t)(void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_new_t)(
    rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *errstr, size_t errstr_size);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_destroy_t)(rd_kafka_t *rk, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_send_t)(
    rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_acknowledgement_t)(
    rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_consume_t)(
    rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_commit_t)(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_resp_err_t err, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_request_sent_t)(
    rd_kafka_t *rk, int sockfd, const char *brokername, int32_t brokerid, int16_t ApiKey, int16_t ApiVersion,
    int32_t CorrId, size_t size, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_response_received_t)(
    rd_kafka_t *rk, int sockfd, const char *brokername, int32_t brokerid, int16_t ApiKey, int16_t ApiVersion,
    int32_t CorrId, size_t size, int64_t rtt, rd_kafka_resp_err_t err, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_thread_start_t)(
    rd_kafka_t *rk, rd_kafka_thread_type_t thread_type, const char *thread_name, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_thread_exit_t)(
    rd_kafka_t *rk, rd_kafka_thread_type_t thread_type, const char *thread_name, void *opaque);
typedef rd_kafka_resp_err_t(rd_kafka_interceptor_f_on_broker_state_change_t)(
    rd_kafka_t *rk, int32_t broker_id, const char *secproto, const char *name, int port, const char *state,
    void *opaque);

/* ---- Version and library ---- */

/* The version that this library answers for: major, minor, revision and 0xff, a byte each. */
RD_EXPORT int rd_kafka_version(void);
/* The same as text. */
RD_EXPORT const char *rd_kafka_version_str(void);
/* Every context that `debug` takes, with commas between. */
RD_EXPORT const char *rd_kafka_get_debug_contexts(void);
/* Threads that live for the sake of handles, in this process. 0 once the last handle is gone. */
RD_EXPORT int rd_kafka_thread_cnt(void);
/* Waits until every handle of the process is gone. 0, or -1 if one is left after the time. */
RD_EXPORT int rd_kafka_wait_destroyed(int timeout_ms);
/* Runs what the library checks about itself; the number of failures. */
RD_EXPORT int rd_kafka_unittest(void);
/* calloc() of the C library that this library uses. `rk` may be NULL. */
RD_EXPORT void *rd_kafka_mem_calloc(rd_kafka_t *rk, size_t num, size_t size);
/* malloc() of the C library that this library uses. `rk` may be NULL. */
RD_EXPORT void *rd_kafka_mem_malloc(rd_kafka_t *rk, size_t size);
/* free() for what the library gave away. `rk` may be NULL. */
RD_EXPORT void rd_kafka_mem_free(rd_kafka_t *rk, void *ptr);

/* ---- Errors ---- */

/* All error codes there are, in a table with `*count` rows that lives as long as the process. Rows without a name are gaps. */
RD_EXPORT void rd_kafka_get_err_descs(const struct rd_kafka_err_desc **table, size_t *count);
/* A sentence for people. */
RD_EXPORT const char *rd_kafka_err2str(rd_kafka_resp_err_t err);
/* The name without its prefix, such as "_TIMED_OUT". */
RD_EXPORT const char *rd_kafka_err2name(rd_kafka_resp_err_t err);
/* What the last call of the legacy functions failed with, in this thread. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_last_error(void);
/* An error code for errno as the legacy functions set it. Use rd_kafka_last_error(). */
RD_EXPORT RD_DEPRECATED rd_kafka_resp_err_t rd_kafka_errno2err(int error);
/* errno, where that is a thread's own thing of the library's C runtime. */
RD_EXPORT RD_DEPRECATED int rd_kafka_errno(void);
/* The error that has ended this handle's work for good, with its reason; NO_ERROR while there is none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *rk, char *errstr, size_t errstr_size);
/* Makes the handle behave as if it had failed for good. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_test_fatal_error(rd_kafka_t *rk, rd_kafka_resp_err_t err, const char *reason);
/* The code of an error object; NO_ERROR for NULL. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *error);
/* The code's name. */
RD_EXPORT const char *rd_kafka_error_name(const rd_kafka_error_t *error);
/* What went wrong, for people. */
RD_EXPORT const char *rd_kafka_error_string(const rd_kafka_error_t *error);
/* Whether the handle is of no more use. */
RD_EXPORT int rd_kafka_error_is_fatal(const rd_kafka_error_t *error);
/* Whether the same call may succeed later. */
RD_EXPORT int rd_kafka_error_is_retriable(const rd_kafka_error_t *error);
/* Whether the open transaction has to be aborted. */
RD_EXPORT int rd_kafka_error_txn_requires_abort(const rd_kafka_error_t *error);
/* Frees an error object. NULL is fine. */
RD_EXPORT void rd_kafka_error_destroy(rd_kafka_error_t *error);
/* A new error object; its text is made as by printf(). */
RD_EXPORT rd_kafka_error_t *rd_kafka_error_new(
    rd_kafka_resp_err_t code, const char *fmt, ...) RD_FORMAT(printf, 2, 3);

/* ---- Topics and partitions in lists ---- */

/* Frees a partition that is not part of a list. */
RD_EXPORT void rd_kafka_topic_partition_destroy(rd_kafka_topic_partition_t *partition);
/* The leader epoch of the offset in it; -1 for none. */
RD_EXPORT void rd_kafka_topic_partition_set_leader_epoch(rd_kafka_topic_partition_t *partition, int32_t leader_epoch);
/* The leader epoch, or -1. */
RD_EXPORT int32_t rd_kafka_topic_partition_get_leader_epoch(const rd_kafka_topic_partition_t *partition);
/* An empty list with room for `size` elements; it grows by itself. */
RD_EXPORT rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size);
/* Frees a list with all that is in it. */
RD_EXPORT void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list);
/* Appends a partition. The pointer is good until the list grows. */
RD_EXPORT rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_add(
    rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition);
/* Appends the partitions `start` to `stop`, both included. */
RD_EXPORT void rd_kafka_topic_partition_list_add_range(
    rd_kafka_topic_partition_list_t *list, const char *topic, int32_t start, int32_t stop);
/* Removes a partition; 1 if it was there. */
RD_EXPORT int rd_kafka_topic_partition_list_del(
    rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition);
/* Removes the element at this index; 1 if there was one. */
RD_EXPORT int rd_kafka_topic_partition_list_del_by_idx(rd_kafka_topic_partition_list_t *list, int index);
/* A copy with everything but `_private`'s identity. */
RD_EXPORT rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_copy(
    const rd_kafka_topic_partition_list_t *src);
/* Sets the offset of an element; _UNKNOWN_PARTITION if it is not in the list. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_topic_partition_list_set_offset(
    rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition, int64_t offset);
/* The element of this topic and partition, or NULL. */
RD_EXPORT rd_kafka_topic_partition_t *rd_kafka_topic_partition_list_find(
    const rd_kafka_topic_partition_list_t *list, const char *topic, int32_t partition);
/* Sorts: by topic and partition if `cmp` is NULL. */
RD_EXPORT void rd_kafka_topic_partition_list_sort(
    rd_kafka_topic_partition_list_t *list, int (*cmp)(const void *a, const void *b, void *opaque), void *opaque);

/* ---- Headers of messages ---- */

/* An empty list of headers. */
RD_EXPORT rd_kafka_headers_t *rd_kafka_headers_new(size_t initial_count);
/* Frees a list that no message owns. */
RD_EXPORT void rd_kafka_headers_destroy(rd_kafka_headers_t *headers);
/* A copy of its own. */
RD_EXPORT rd_kafka_headers_t *rd_kafka_headers_copy(const rd_kafka_headers_t *src);
/* Appends a header; both are copied. A size of -1 is strlen(); a NULL value is a null header. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_header_add(
    rd_kafka_headers_t *headers, const char *name, ssize_t name_size, const void *value, ssize_t value_size);
/* Removes every header of this name; _NOENT if there was none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_header_remove(rd_kafka_headers_t *headers, const char *name);
/* The value of the last header of this name; _NOENT if there is none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_header_get_last(
    const rd_kafka_headers_t *headers, const char *name, const void **value, size_t *size);
/* The value of the header number `index` of this name. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_header_get(
    const rd_kafka_headers_t *headers, size_t index, const char *name, const void **value, size_t *size);
/* Name and value of the header number `index`. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_header_get_all(
    const rd_kafka_headers_t *headers, size_t index, const char **name, const void **value, size_t *size);
/* How many there are. */
RD_EXPORT size_t rd_kafka_header_cnt(const rd_kafka_headers_t *headers);

/* ---- Messages ---- */

/* Messages in a batch of a share consumer. */
RD_EXPORT size_t rd_kafka_messages_count(const rd_kafka_messages_t *messages);
/* One of them; the batch keeps it. */
RD_EXPORT rd_kafka_message_t *rd_kafka_messages_get(const rd_kafka_messages_t *messages, size_t index);
/* Frees the batch with its messages. */
RD_EXPORT void rd_kafka_messages_destroy(rd_kafka_messages_t *messages);
/* Gives a consumed message back. */
RD_EXPORT void rd_kafka_message_destroy(rd_kafka_message_t *message);
/* The text of a consumed message's error, NULL without one. */
RD_EXPORT const char *rd_kafka_message_errstr(const rd_kafka_message_t *message);
/* The text of a delivery report's error, NULL without one. */
RD_EXPORT const char *rd_kafka_message_produce_errstr(const rd_kafka_message_t *message);
/* Milliseconds since 1970, -1 if there is none; `*tstype` says what it means. */
RD_EXPORT int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message, rd_kafka_timestamp_type_t *tstype);
/* Microseconds from produce() until now, -1 where that has no meaning. */
RD_EXPORT int64_t rd_kafka_message_latency(const rd_kafka_message_t *message);
/* The broker that it came from or went to, -1 if unknown. */
RD_EXPORT int32_t rd_kafka_message_broker_id(const rd_kafka_message_t *message);
/* The message's headers, which it keeps; _NOENT if it has none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_message_headers(
    const rd_kafka_message_t *message, rd_kafka_headers_t **headers);
/* The message's headers, which then belong to the caller. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_message_detach_headers(
    rd_kafka_message_t *message, rd_kafka_headers_t **headers);
/* Gives headers to the message, which owns them from then on. */
RD_EXPORT void rd_kafka_message_set_headers(rd_kafka_message_t *message, rd_kafka_headers_t *headers);
/* Whether a message that was produced is in the log. */
RD_EXPORT rd_kafka_msg_status_t rd_kafka_message_status(const rd_kafka_message_t *message);
/* The leader epoch of a consumed message, or -1. */
RD_EXPORT int32_t rd_kafka_message_leader_epoch(const rd_kafka_message_t *message);
/* How often a share group was given this record, or -1. */
RD_EXPORT int16_t rd_kafka_message_delivery_count(const rd_kafka_message_t *message);

/* ---- Unique ids ---- */

/* As Kafka prints it; lives as long as the id. */
RD_EXPORT const char *rd_kafka_Uuid_base64str(const rd_kafka_Uuid_t *uuid);
/* The lower half. */
RD_EXPORT int64_t rd_kafka_Uuid_least_significant_bits(const rd_kafka_Uuid_t *uuid);
/* The upper half. */
RD_EXPORT int64_t rd_kafka_Uuid_most_significant_bits(const rd_kafka_Uuid_t *uuid);
/* An id of these two halves. */
RD_EXPORT rd_kafka_Uuid_t *rd_kafka_Uuid_new(int64_t most_significant_bits, int64_t least_significant_bits);
/* A copy of its own. */
RD_EXPORT rd_kafka_Uuid_t *rd_kafka_Uuid_copy(const rd_kafka_Uuid_t *uuid);
/* Frees it. */
RD_EXPORT void rd_kafka_Uuid_destroy(rd_kafka_Uuid_t *uuid);

/* ---- Configuration ---- */

/* A configuration with librdkafka's defaults. */
RD_EXPORT rd_kafka_conf_t *rd_kafka_conf_new(void);
/* Frees a configuration that no handle has taken. */
RD_EXPORT void rd_kafka_conf_destroy(rd_kafka_conf_t *conf);
/* A copy. */
RD_EXPORT rd_kafka_conf_t *rd_kafka_conf_dup(const rd_kafka_conf_t *conf);
/* A copy without the properties named. */
RD_EXPORT rd_kafka_conf_t *rd_kafka_conf_dup_filter(
    const rd_kafka_conf_t *conf, size_t filter_cnt, const char **filter);
/* The configuration of a handle, to look at. */
RD_EXPORT const rd_kafka_conf_t *rd_kafka_conf(rd_kafka_t *rk);
/* Sets a property by name. A name of a topic property goes to the default topic configuration. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_conf_set(
    rd_kafka_conf_t *conf, const char *name, const char *value, char *errstr, size_t errstr_size);
/* Which kinds of event (RD_KAFKA_EVENT_…, or-ed) come through queues and not through callbacks. */
RD_EXPORT void rd_kafka_conf_set_events(rd_kafka_conf_t *conf, int events);
/* Called by a thread of the library for events of the background queue. */
RD_EXPORT void rd_kafka_conf_set_background_event_cb(
    rd_kafka_conf_t *conf, void (*event_cb)(rd_kafka_t *rk, rd_kafka_event_t *event, void *opaque));
/* Delivery report by payload. Use rd_kafka_conf_set_dr_msg_cb(). */
RD_EXPORT void rd_kafka_conf_set_dr_cb(
    rd_kafka_conf_t *conf,
    void (*dr_cb)(
        rd_kafka_t *rk, void *payload, size_t len, rd_kafka_resp_err_t err, void *opaque, void *msg_opaque));
/* Delivery report of each message produced, from rd_kafka_poll() or rd_kafka_flush(). */
RD_EXPORT void rd_kafka_conf_set_dr_msg_cb(
    rd_kafka_conf_t *conf, void (*dr_msg_cb)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque));
/* Called with each message by rd_kafka_consumer_poll(). */
RD_EXPORT void rd_kafka_conf_set_consume_cb(
    rd_kafka_conf_t *conf, void (*consume_cb)(rd_kafka_message_t *message, void *opaque));
/* Called when partitions come or go; it has to call assign() or its kin. */
RD_EXPORT void rd_kafka_conf_set_rebalance_cb(
    rd_kafka_conf_t *conf,
    void (*rebalance_cb)(
        rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque));
/* The outcome of each commit. */
RD_EXPORT void rd_kafka_conf_set_offset_commit_cb(
    rd_kafka_conf_t *conf,
    void (*offset_commit_cb)(
        rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque));
/* Errors that belong to no call, and those that are fatal. */
RD_EXPORT void rd_kafka_conf_set_error_cb(
    rd_kafka_conf_t *conf, void (*error_cb)(rd_kafka_t *rk, int err, const char *reason, void *opaque));
/* A broker asked to slow down. */
RD_EXPORT void rd_kafka_conf_set_throttle_cb(
    rd_kafka_conf_t *conf,
    void (*throttle_cb)(
        rd_kafka_t *rk, const char *broker_name, int32_t broker_id, int throttle_time_ms, void *opaque));
/* Log lines; the default writes to standard error. Called by any thread unless log.queue is true. */
RD_EXPORT void rd_kafka_conf_set_log_cb(
    rd_kafka_conf_t *conf, void (*log_cb)(const rd_kafka_t *rk, int level, const char *facility, const char *line));
/* Statistics as JSON every statistics.interval.ms; with 1 as answer the program frees `json` itself. */
RD_EXPORT void rd_kafka_conf_set_stats_cb(
    rd_kafka_conf_t *conf, int (*stats_cb)(rd_kafka_t *rk, char *json, size_t json_len, void *opaque));
/* Called when a new OAUTHBEARER token is needed. */
RD_EXPORT void rd_kafka_conf_set_oauthbearer_token_refresh_cb(
    rd_kafka_conf_t *conf,
    void (*oauthbearer_token_refresh_cb)(rd_kafka_t *rk, const char *oauthbearer_config, void *opaque));
/* Gives SASL events a queue of their own, rd_kafka_queue_get_sasl(). */
RD_EXPORT void rd_kafka_conf_enable_sasl_queue(rd_kafka_conf_t *conf, int enable);
/* Opens sockets in place of socket(). */
RD_EXPORT void rd_kafka_conf_set_socket_cb(
    rd_kafka_conf_t *conf, int (*socket_cb)(int domain, int type, int protocol, void *opaque));
/* Connects sockets in place of connect(); 0 or an errno. */
RD_EXPORT void rd_kafka_conf_set_connect_cb(
    rd_kafka_conf_t *conf,
    int (*connect_cb)(int sockfd, const struct sockaddr *addr, int addrlen, const char *id, void *opaque));
/* Closes sockets in place of close(). */
RD_EXPORT void rd_kafka_conf_set_closesocket_cb(
    rd_kafka_conf_t *conf, int (*closesocket_cb)(int sockfd, void *opaque));
/* Opens files in place of open(). */
RD_EXPORT void rd_kafka_conf_set_open_cb(
    rd_kafka_conf_t *conf, int (*open_cb)(const char *pathname, int flags, mode_t mode, void *opaque));
/* Resolves names in place of getaddrinfo(); with `node` and `service` NULL it frees `*result`. */
RD_EXPORT void rd_kafka_conf_set_resolve_cb(
    rd_kafka_conf_t *conf,
    int (*resolve_cb)(
        const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result, void *opaque));
/* Has the last word about a broker's certificate: 1 for good, 0 for bad. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_conf_set_ssl_cert_verify_cb(
    rd_kafka_conf_t *conf,
    int (*ssl_cert_verify_cb)(
        rd_kafka_t *rk, const char *broker_name, int32_t broker_id, int *x509_error, int depth, const char *buf,
        size_t size, char *errstr, size_t errstr_size, void *opaque));
/* Sets a certificate or key from memory; NULL removes it. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_conf_set_ssl_cert(
    rd_kafka_conf_t *conf, rd_kafka_cert_type_t cert_type, rd_kafka_cert_enc_t cert_enc, const void *buffer,
    size_t size, char *errstr, size_t errstr_size);
/* What an OpenSSL engine is given. */
RD_EXPORT void rd_kafka_conf_set_engine_callback_data(rd_kafka_conf_t *conf, void *callback_data);
/* A pointer that every callback is given. */
RD_EXPORT void rd_kafka_conf_set_opaque(rd_kafka_conf_t *conf, void *opaque);
/* That pointer. */
RD_EXPORT void *rd_kafka_opaque(const rd_kafka_t *rk);
/* Replaces the topic configuration used for topics without one; it is taken. */
RD_EXPORT void rd_kafka_conf_set_default_topic_conf(rd_kafka_conf_t *conf, rd_kafka_topic_conf_t *tconf);
/* The default topic configuration, to set properties in. */
RD_EXPORT rd_kafka_topic_conf_t *rd_kafka_conf_get_default_topic_conf(rd_kafka_conf_t *conf);
/* The value of a property as text. `dest` may be NULL to ask for the size. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_conf_get(
    const rd_kafka_conf_t *conf, const char *name, char *dest, size_t *dest_size);
/* The value of a topic property as text. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_topic_conf_get(
    const rd_kafka_topic_conf_t *conf, const char *name, char *dest, size_t *dest_size);
/* All names and values, one after the other, `*count` strings. */
RD_EXPORT const char **rd_kafka_conf_dump(rd_kafka_conf_t *conf, size_t *count);
/* The same for topic properties. */
RD_EXPORT const char **rd_kafka_topic_conf_dump(rd_kafka_topic_conf_t *conf, size_t *count);
/* Frees a dump. */
RD_EXPORT void rd_kafka_conf_dump_free(const char **arr, size_t cnt);
/* Prints the table of properties. */
RD_EXPORT void rd_kafka_conf_properties_show(FILE *file);
/* A topic configuration with librdkafka's defaults. */
RD_EXPORT rd_kafka_topic_conf_t *rd_kafka_topic_conf_new(void);
/* A copy. */
RD_EXPORT rd_kafka_topic_conf_t *rd_kafka_topic_conf_dup(const rd_kafka_topic_conf_t *conf);
/* A copy of a handle's default topic configuration. */
RD_EXPORT rd_kafka_topic_conf_t *rd_kafka_default_topic_conf_dup(rd_kafka_t *rk);
/* Frees a topic configuration that nobody has taken. */
RD_EXPORT void rd_kafka_topic_conf_destroy(rd_kafka_topic_conf_t *topic_conf);
/* Sets a topic property by name. */
RD_EXPORT rd_kafka_conf_res_t rd_kafka_topic_conf_set(
    rd_kafka_topic_conf_t *conf, const char *name, const char *value, char *errstr, size_t errstr_size);
/* A pointer for the topic's callbacks. */
RD_EXPORT void rd_kafka_topic_conf_set_opaque(rd_kafka_topic_conf_t *conf, void *rkt_opaque);
/* Chooses the partition of messages that name none. */
RD_EXPORT void rd_kafka_topic_conf_set_partitioner_cb(
    rd_kafka_topic_conf_t *topic_conf,
    int32_t (*partitioner)(
        const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
        void *msg_opaque));
/* Kept for old programs; the order of a partition is that of the calls. */
RD_EXPORT void rd_kafka_topic_conf_set_msg_order_cmp(
    rd_kafka_topic_conf_t *topic_conf,
    int (*msg_order_cmp)(const rd_kafka_message_t *a, const rd_kafka_message_t *b));

/* ---- Partitioners ---- */

/* Whether the partition has a leader. For partitioners only. */
RD_EXPORT int rd_kafka_topic_partition_available(const rd_kafka_topic_t *topic, int32_t partition);
/* Any partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_random(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* CRC32 of the key; messages without key share one partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_consistent(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* CRC32 of the key; without key any partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_consistent_random(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* Murmur2 of the key, as in Java; messages without key share one partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_murmur2(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* Murmur2 of the key, as in Java; without key any partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_murmur2_random(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* FNV-1a of the key, as in sarama; messages without key share one partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_fnv1a(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);
/* FNV-1a of the key, as in sarama; without key any partition. */
RD_EXPORT int32_t rd_kafka_msg_partitioner_fnv1a_random(
    const rd_kafka_topic_t *topic, const void *key, size_t key_len, int32_t partition_cnt, void *rkt_opaque,
    void *msg_opaque);

/* ---- Handles ---- */

/* A producer or a consumer. On success it takes `conf`; on failure NULL, with the reason in `errstr`. */
RD_EXPORT rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *errstr, size_t errstr_size);
/* Ends a handle and waits until it has ended. A consumer leaves its group, a producer drops what was not sent. */
RD_EXPORT void rd_kafka_destroy(rd_kafka_t *rk);
/* The same with RD_KAFKA_DESTROY_F_… flags. */
RD_EXPORT void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags);
/* client.id, kind and number; lives as long as the handle. */
RD_EXPORT const char *rd_kafka_name(const rd_kafka_t *rk);
/* Producer or consumer. */
RD_EXPORT rd_kafka_type_t rd_kafka_type(const rd_kafka_t *rk);
/* The id in the group, to be freed with rd_kafka_mem_free(); NULL outside of one. */
RD_EXPORT char *rd_kafka_memberid(const rd_kafka_t *rk);
/* The cluster's id, to be freed with rd_kafka_mem_free(); NULL if it is not known in time. */
RD_EXPORT char *rd_kafka_clusterid(rd_kafka_t *rk, int timeout_ms);
/* The controller's broker id, -1 if it is not known in time. */
RD_EXPORT int32_t rd_kafka_controllerid(rd_kafka_t *rk, int timeout_ms);
/* Calls the callbacks that are due, waiting at most `timeout_ms` (-1: for ever) for the first; how many there were. */
RD_EXPORT int rd_kafka_poll(rd_kafka_t *rk, int timeout_ms);
/* From within a callback: makes the poll that called it return. */
RD_EXPORT void rd_kafka_yield(rd_kafka_t *rk);
/* Adds bootstrap servers; how many were taken. */
RD_EXPORT int rd_kafka_brokers_add(rd_kafka_t *rk, const char *brokers);
/* The ids of the brokers known from metadata, to be freed with rd_kafka_mem_free(). */
RD_EXPORT int32_t *rd_kafka_brokers_learned_ids(rd_kafka_t *rk, size_t *count);
/* As rd_kafka_conf_set_log_cb(), on a live handle. */
RD_EXPORT RD_DEPRECATED void rd_kafka_set_logger(
    rd_kafka_t *rk, void (*log_cb)(const rd_kafka_t *rk, int level, const char *facility, const char *line));
/* Drops log lines above this syslog level. */
RD_EXPORT void rd_kafka_set_log_level(rd_kafka_t *rk, int level);
/* A logger that writes to standard error. */
RD_EXPORT void rd_kafka_log_print(const rd_kafka_t *rk, int level, const char *facility, const char *line);
/* A logger that writes to syslog. */
RD_EXPORT void rd_kafka_log_syslog(const rd_kafka_t *rk, int level, const char *facility, const char *line);
/* Messages, requests and reports that are still on their way. */
RD_EXPORT int rd_kafka_outq_len(rd_kafka_t *rk);
/* Prints the state of a handle. */
RD_EXPORT void rd_kafka_dump(FILE *file, rd_kafka_t *rk);
/* Lets rd_kafka_consumer_poll() serve what rd_kafka_poll() serves. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *rk);

/* ---- Topic handles ---- */

/* A handle for a topic; there is one a topic, counted. It takes `conf`. */
RD_EXPORT rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *rk, const char *topic, rd_kafka_topic_conf_t *conf);
/* Gives one reference back. */
RD_EXPORT void rd_kafka_topic_destroy(rd_kafka_topic_t *topic);
/* The topic's name. */
RD_EXPORT const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic);
/* What rd_kafka_topic_conf_set_opaque() was given. */
RD_EXPORT void *rd_kafka_topic_opaque(const rd_kafka_topic_t *topic);

/* ---- Producing ---- */

/* Puts a message into the queue: 0, or -1 with errno and rd_kafka_last_error(). `partition` may be RD_KAFKA_PARTITION_UA. */
RD_EXPORT int rd_kafka_produce(
    rd_kafka_topic_t *topic, int32_t partition, int flags, void *payload, size_t len, const void *key,
    size_t key_len, void *msg_opaque);
/* The same with tagged arguments, RD_KAFKA_V_…, up to RD_KAFKA_V_END. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_producev(rd_kafka_t *rk, ...);
/* The same with the arguments in an array. */
RD_EXPORT rd_kafka_error_t *rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *args, size_t cnt);
/* Puts many messages into the queue; how many it took. What failed has `err` set. */
RD_EXPORT int rd_kafka_produce_batch(
    rd_kafka_topic_t *topic, int32_t partition, int flags, rd_kafka_message_t *messages, int message_cnt);
/* Waits until every message is delivered or has failed; _TIMED_OUT if some is not. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_flush(rd_kafka_t *rk, int timeout_ms);
/* Drops messages that wait (RD_KAFKA_PURGE_F_…); each gets its delivery report. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *rk, int flags);

/* ---- Transactions ---- */

/* Fetches the producer id and ends what an earlier instance left open. */
RD_EXPORT rd_kafka_error_t *rd_kafka_init_transactions(rd_kafka_t *rk, int timeout_ms);
/* Opens a transaction. */
RD_EXPORT rd_kafka_error_t *rd_kafka_begin_transaction(rd_kafka_t *rk);
/* Commits offsets of a group with the transaction. */
RD_EXPORT rd_kafka_error_t *rd_kafka_send_offsets_to_transaction(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
    const rd_kafka_consumer_group_metadata_t *metadata, int timeout_ms);
/* Flushes and commits. */
RD_EXPORT rd_kafka_error_t *rd_kafka_commit_transaction(rd_kafka_t *rk, int timeout_ms);
/* Purges and aborts. */
RD_EXPORT rd_kafka_error_t *rd_kafka_abort_transaction(rd_kafka_t *rk, int timeout_ms);

/* ---- Queues ---- */

/* A queue that nothing feeds yet. */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *rk);
/* Gives one reference back. */
RD_EXPORT void rd_kafka_queue_destroy(rd_kafka_queue_t *queue);
/* What rd_kafka_poll() serves. */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *rk);
/* The queue of SASL events, NULL without rd_kafka_conf_enable_sasl_queue(). */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_get_sasl(rd_kafka_t *rk);
/* What rd_kafka_consumer_poll() serves; NULL for a producer. */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_get_consumer(rd_kafka_t *rk);
/* The queue of one assigned partition; NULL for a producer. */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_get_partition(rd_kafka_t *rk, const char *topic, int32_t partition);
/* The queue that a thread of the library serves. */
RD_EXPORT rd_kafka_queue_t *rd_kafka_queue_get_background(rd_kafka_t *rk);
/* Has everything put into `src` go to `dst` instead; NULL ends that. */
RD_EXPORT void rd_kafka_queue_forward(rd_kafka_queue_t *src, rd_kafka_queue_t *dest);
/* How much waits in it. */
RD_EXPORT size_t rd_kafka_queue_length(rd_kafka_queue_t *queue);
/* Writes `payload` to the descriptor when the queue stops being empty; -1 ends that. */
RD_EXPORT void rd_kafka_queue_io_event_enable(rd_kafka_queue_t *queue, int fd, const void *payload, size_t size);
/* Calls `event_cb` when the queue stops being empty; NULL ends that. */
RD_EXPORT void rd_kafka_queue_cb_event_enable(
    rd_kafka_queue_t *queue, void (*event_cb)(rd_kafka_t *rk, void *opaque), void *opaque);
/* Makes a poll of this queue return now. */
RD_EXPORT void rd_kafka_queue_yield(rd_kafka_queue_t *queue);
/* The next event, or NULL. */
RD_EXPORT rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout_ms);
/* Calls the callbacks that are due in this queue; how many there were. */
RD_EXPORT int rd_kafka_queue_poll_callback(rd_kafka_queue_t *queue, int timeout_ms);
/* Where log lines go if log.queue is true; NULL is the main queue. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_set_log_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue);

/* ---- Legacy consumer: a partition at a time, no group ---- */

/* Begins to fetch from an offset, which may be a logical one. */
RD_EXPORT int rd_kafka_consume_start(rd_kafka_topic_t *topic, int32_t partition, int64_t offset);
/* The same, into a queue. */
RD_EXPORT int rd_kafka_consume_start_queue(
    rd_kafka_topic_t *topic, int32_t partition, int64_t offset, rd_kafka_queue_t *queue);
/* Ends fetching and drops what waits. */
RD_EXPORT int rd_kafka_consume_stop(rd_kafka_topic_t *topic, int32_t partition);
/* Goes on from another offset; waits up to `timeout_ms`, 0 not to wait. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_seek(
    rd_kafka_topic_t *topic, int32_t partition, int64_t offset, int timeout_ms);
/* The next message, or NULL with rd_kafka_last_error(). */
RD_EXPORT rd_kafka_message_t *rd_kafka_consume(rd_kafka_topic_t *topic, int32_t partition, int timeout_ms);
/* Up to `size` messages; how many, or -1. */
RD_EXPORT ssize_t rd_kafka_consume_batch(
    rd_kafka_topic_t *topic, int32_t partition, int timeout_ms, rd_kafka_message_t **messages, size_t size);
/* Hands messages to a callback; how many, or -1. */
RD_EXPORT int rd_kafka_consume_callback(
    rd_kafka_topic_t *topic, int32_t partition, int timeout_ms,
    void (*consume_cb)(rd_kafka_message_t *message, void *commit_opaque), void *commit_opaque);
/* The next message of a queue. */
RD_EXPORT rd_kafka_message_t *rd_kafka_consume_queue(rd_kafka_queue_t *queue, int timeout_ms);
/* Up to `size` messages of a queue; how many, or -1. */
RD_EXPORT ssize_t rd_kafka_consume_batch_queue(
    rd_kafka_queue_t *queue, int timeout_ms, rd_kafka_message_t **messages, size_t size);
/* Hands the messages of a queue to a callback. */
RD_EXPORT int rd_kafka_consume_callback_queue(
    rd_kafka_queue_t *queue, int timeout_ms, void (*consume_cb)(rd_kafka_message_t *message, void *commit_opaque),
    void *commit_opaque);
/* Notes the offset that is done, for the next automatic commit. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_offset_store(rd_kafka_topic_t *topic, int32_t partition, int64_t offset);

/* ---- Consumer ---- */

/* Joins the group for these topics; a name with ^ in front is a regular expression. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics);
/* Leaves the topics. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_unsubscribe(rd_kafka_t *rk);
/* The topics subscribed to, in a new list. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_subscription(rd_kafka_t *rk, rd_kafka_topic_partition_list_t **topics);
/* The next message or error, or NULL; has to be called within max.poll.interval.ms. */
RD_EXPORT rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *rk, int timeout_ms);
/* Leaves the group and waits until all callbacks for that were called. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_consumer_close(rd_kafka_t *rk);
/* Begins to close; what has to be served comes through the queue. */
RD_EXPORT rd_kafka_error_t *rd_kafka_consumer_close_queue(rd_kafka_t *rk, rd_kafka_queue_t *queue);
/* Whether the close has ended. */
RD_EXPORT int rd_kafka_consumer_closed(rd_kafka_t *rk);
/* Replaces the assignment; NULL clears it. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_assign(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
/* Adds partitions, for cooperative assignors. */
RD_EXPORT rd_kafka_error_t *rd_kafka_incremental_assign(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
/* Takes partitions away, for cooperative assignors. */
RD_EXPORT rd_kafka_error_t *rd_kafka_incremental_unassign(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions);
/* "NONE", "EAGER" or "COOPERATIVE". */
RD_EXPORT const char *rd_kafka_rebalance_protocol(rd_kafka_t *rk);
/* The partitions assigned, in a new list. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_assignment(rd_kafka_t *rk, rd_kafka_topic_partition_list_t **partitions);
/* Whether the partitions were lost, so that their offsets cannot be committed. */
RD_EXPORT int rd_kafka_assignment_lost(rd_kafka_t *rk);
/* Stops delivery; each element has an `err` of its own. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_pause_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions);
/* Goes on with delivery. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_resume_partitions(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions);
/* Goes on from other offsets; each element has an `err` of its own. */
RD_EXPORT rd_kafka_error_t *rd_kafka_seek_partitions(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions, int timeout_ms);
/* Notes offsets (each the next to read) for the next automatic commit. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_offsets_store(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *offsets);
/* Notes that this message is done. */
RD_EXPORT rd_kafka_error_t *rd_kafka_offset_store_message(rd_kafka_message_t *message);
/* Commits these offsets, or with NULL those noted; waits unless `async`. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_commit(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, int async);
/* Commits the offset after this message. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_commit_message(rd_kafka_t *rk, const rd_kafka_message_t *message, int async);
/* Commits; the outcome comes through a queue. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_commit_queue(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_queue_t *queue,
    void (*cb)(
        rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *commit_opaque),
    void *commit_opaque);
/* Fills in the offsets that the group has committed. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_committed(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions, int timeout_ms);
/* Fills in the offsets after the last messages delivered. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_position(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *partitions);
/* Asks the broker for the first and the next offset. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_query_watermark_offsets(
    rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *low, int64_t *high, int timeout_ms);
/* The same as far as known, without asking. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_get_watermark_offsets(
    rd_kafka_t *rk, const char *topic, int32_t partition, int64_t *low, int64_t *high);
/* Replaces the timestamps in `offsets` by the offsets of the first messages not older. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_offsets_for_times(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *offsets, int timeout_ms);
/* The membership, for rd_kafka_send_offsets_to_transaction(); NULL without group.id. */
RD_EXPORT rd_kafka_consumer_group_metadata_t *rd_kafka_consumer_group_metadata(rd_kafka_t *rk);
/* A membership that names only the group. */
RD_EXPORT rd_kafka_consumer_group_metadata_t *rd_kafka_consumer_group_metadata_new(const char *group_id);
/* A membership with everything in it. */
RD_EXPORT rd_kafka_consumer_group_metadata_t *rd_kafka_consumer_group_metadata_new_with_genid(
    const char *group_id, int32_t generation_id, const char *member_id, const char *group_instance_id);
/* The group's id. */
RD_EXPORT const char *rd_kafka_consumer_group_metadata_group_id(const rd_kafka_consumer_group_metadata_t *metadata);
/* The static member's id, or NULL. */
RD_EXPORT const char *rd_kafka_consumer_group_metadata_group_instance_id(
    const rd_kafka_consumer_group_metadata_t *metadata);
/* The member's id. */
RD_EXPORT const char *rd_kafka_consumer_group_metadata_member_id(const rd_kafka_consumer_group_metadata_t *metadata);
/* The generation or member epoch. */
RD_EXPORT int32_t rd_kafka_consumer_group_metadata_generation_id(const rd_kafka_consumer_group_metadata_t *metadata);
/* Frees it. */
RD_EXPORT void rd_kafka_consumer_group_metadata_destroy(rd_kafka_consumer_group_metadata_t *);
/* As bytes, to be freed with rd_kafka_mem_free(). */
RD_EXPORT rd_kafka_error_t *rd_kafka_consumer_group_metadata_write(
    const rd_kafka_consumer_group_metadata_t *metadata, void **buffer, size_t *size);
/* From such bytes. */
RD_EXPORT rd_kafka_error_t *rd_kafka_consumer_group_metadata_read(
    rd_kafka_consumer_group_metadata_t **metadata, const void *buffer, size_t size);

/* ---- Metadata and groups, the old way ---- */

/* Brokers and topics: all, or those known here, or one. Free it with rd_kafka_metadata_destroy(). */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_metadata(
    rd_kafka_t *rk, int all_topics, rd_kafka_topic_t *only_topic, const struct rd_kafka_metadata **metadata,
    int timeout_ms);
/* Frees what rd_kafka_metadata() gave. */
RD_EXPORT void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata);
/* A broker's id. */
RD_EXPORT int rd_kafka_Node_id(const rd_kafka_Node_t *node);
/* Its host. */
RD_EXPORT const char *rd_kafka_Node_host(const rd_kafka_Node_t *node);
/* Its port. */
RD_EXPORT uint16_t rd_kafka_Node_port(const rd_kafka_Node_t *node);
/* Its rack, or NULL. */
RD_EXPORT const char *rd_kafka_Node_rack(const rd_kafka_Node_t *node);
/* Groups with their members: all, or one. Free it with rd_kafka_group_list_destroy(). */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_list_groups(
    rd_kafka_t *rk, const char *group, const struct rd_kafka_group_list **groups, int timeout_ms);
/* Frees what rd_kafka_list_groups() gave. */
RD_EXPORT void rd_kafka_group_list_destroy(const struct rd_kafka_group_list *group);
/* The state's name. */
RD_EXPORT const char *rd_kafka_consumer_group_state_name(rd_kafka_consumer_group_state_t state);
/* The state of this name. */
RD_EXPORT rd_kafka_consumer_group_state_t rd_kafka_consumer_group_state_code(const char *name);
/* The type's name. */
RD_EXPORT const char *rd_kafka_consumer_group_type_name(rd_kafka_consumer_group_type_t type);
/* The type of this name. */
RD_EXPORT rd_kafka_consumer_group_type_t rd_kafka_consumer_group_type_code(const char *name);

/* ---- Events ---- */

/* One of RD_KAFKA_EVENT_…; NONE for NULL. */
RD_EXPORT rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *event);
/* The type's name. */
RD_EXPORT const char *rd_kafka_event_name(const rd_kafka_event_t *event);
/* Frees an event and what it still holds. */
RD_EXPORT void rd_kafka_event_destroy(rd_kafka_event_t *event);
/* The next message of a DR or FETCH event; the event keeps it. */
RD_EXPORT const rd_kafka_message_t *rd_kafka_event_message_next(rd_kafka_event_t *event);
/* Takes up to `size` messages out of the event. */
RD_EXPORT size_t rd_kafka_event_message_array(
    rd_kafka_event_t *event, const rd_kafka_message_t **messages, size_t size);
/* How many messages are left in it. */
RD_EXPORT size_t rd_kafka_event_message_count(rd_kafka_event_t *event);
/* The token refresh event's sasl.oauthbearer.config. */
RD_EXPORT const char *rd_kafka_event_config_string(rd_kafka_event_t *event);
/* The event's error code. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event);
/* Its text, or NULL. */
RD_EXPORT const char *rd_kafka_event_error_string(rd_kafka_event_t *event);
/* Whether the handle is of no more use. */
RD_EXPORT int rd_kafka_event_error_is_fatal(rd_kafka_event_t *event);
/* The opaque of the request that it answers. */
RD_EXPORT void *rd_kafka_event_opaque(rd_kafka_event_t *event);
/* A log event's parts; 0, or -1 for other events. */
RD_EXPORT int rd_kafka_event_log(rd_kafka_event_t *event, const char **facility, const char **line, int *level);
/* The debug contexts of a log line; 0, or -1 for other events. */
RD_EXPORT int rd_kafka_event_debug_contexts(rd_kafka_event_t *event, char *dest, size_t size);
/* The statistics, JSON. */
RD_EXPORT const char *rd_kafka_event_stats(rd_kafka_event_t *event);
/* The partitions of a REBALANCE or OFFSET_COMMIT event; the event keeps them. */
RD_EXPORT rd_kafka_topic_partition_list_t *rd_kafka_event_topic_partition_list(rd_kafka_event_t *event);
/* The partition that an event is about, to be freed, or NULL. */
RD_EXPORT rd_kafka_topic_partition_t *rd_kafka_event_topic_partition(rd_kafka_event_t *event);

/* The event as the answer of this kind, or NULL if it is another's. */
RD_EXPORT const rd_kafka_CreateTopics_result_t *rd_kafka_event_CreateTopics_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DeleteTopics_result_t *rd_kafka_event_DeleteTopics_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_CreatePartitions_result_t *rd_kafka_event_CreatePartitions_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_AlterConfigs_result_t *rd_kafka_event_AlterConfigs_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_IncrementalAlterConfigs_result_t *rd_kafka_event_IncrementalAlterConfigs_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeConfigs_result_t *rd_kafka_event_DescribeConfigs_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DeleteRecords_result_t *rd_kafka_event_DeleteRecords_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_ListConsumerGroups_result_t *rd_kafka_event_ListConsumerGroups_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeConsumerGroups_result_t *rd_kafka_event_DescribeConsumerGroups_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeTopics_result_t *rd_kafka_event_DescribeTopics_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeCluster_result_t *rd_kafka_event_DescribeCluster_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DeleteGroups_result_t *rd_kafka_event_DeleteGroups_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DeleteConsumerGroupOffsets_result_t *rd_kafka_event_DeleteConsumerGroupOffsets_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_CreateAcls_result_t *rd_kafka_event_CreateAcls_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeAcls_result_t *rd_kafka_event_DescribeAcls_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DeleteAcls_result_t *rd_kafka_event_DeleteAcls_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_ListConsumerGroupOffsets_result_t *rd_kafka_event_ListConsumerGroupOffsets_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_AlterConsumerGroupOffsets_result_t *rd_kafka_event_AlterConsumerGroupOffsets_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_ListOffsets_result_t *rd_kafka_event_ListOffsets_result(rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_DescribeUserScramCredentials_result_t *rd_kafka_event_DescribeUserScramCredentials_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_AlterUserScramCredentials_result_t *rd_kafka_event_AlterUserScramCredentials_result(
    rd_kafka_event_t *event);
RD_EXPORT const rd_kafka_ElectLeaders_result_t *rd_kafka_event_ElectLeaders_result(rd_kafka_event_t *event);

/* ---- Interceptors and plugins ---- */

/* Sees every property that is set. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_conf_set(
    rd_kafka_conf_t *conf, const char *name, rd_kafka_interceptor_f_on_conf_set_t *on_conf_set, void *opaque);
/* Sees copies being made. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_conf_dup(
    rd_kafka_conf_t *conf, const char *name, rd_kafka_interceptor_f_on_conf_dup_t *on_conf_dup, void *opaque);
/* Sees the end of a configuration. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_conf_destroy(
    rd_kafka_conf_t *conf, const char *name, rd_kafka_interceptor_f_on_conf_destroy_t *on_conf_destroy,
    void *opaque);
/* Sees new handles, and adds the others to them. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_conf_interceptor_add_on_new(
    rd_kafka_conf_t *conf, const char *name, rd_kafka_interceptor_f_on_new_t *on_new, void *opaque);
/* Sees the end of a handle. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_destroy(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_destroy_t *on_destroy, void *opaque);
/* Sees a message before it is queued. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_send(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_send_t *on_send, void *opaque);
/* Sees a message that was delivered or has failed. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_acknowledgement(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_acknowledgement_t *on_acknowledgement, void *opaque);
/* Sees a message before the program does. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_consume(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_consume_t *on_consume, void *opaque);
/* Sees the outcome of a commit. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_commit(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_commit_t *on_commit, void *opaque);
/* Sees requests leave. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_request_sent(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_request_sent_t *on_request_sent, void *opaque);
/* Sees responses come. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_response_received(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_response_received_t *on_response_received,
    void *opaque);
/* Sees threads begin, from within. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_thread_start(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_thread_start_t *on_thread_start, void *opaque);
/* Sees threads end, from within. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_thread_exit(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_thread_exit_t *on_thread_exit, void *opaque);
/* Sees connections change their state. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_interceptor_add_on_broker_state_change(
    rd_kafka_t *rk, const char *name, rd_kafka_interceptor_f_on_broker_state_change_t *on_broker_state_change,
    void *opaque);

/* ---- SASL ---- */

/* Has a thread of the library serve the SASL queue. */
RD_EXPORT rd_kafka_error_t *rd_kafka_sasl_background_callbacks_enable(rd_kafka_t *rk);
/* Replaces user name and password; connections made later use them. */
RD_EXPORT rd_kafka_error_t *rd_kafka_sasl_set_credentials(rd_kafka_t *rk, const char *username, const char *password);
/* The token that new connections use until it expires, with SASL extensions in name and value pairs. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_oauthbearer_set_token(
    rd_kafka_t *rk, const char *token_value, int64_t md_lifetime_ms, const char *md_principal_name,
    const char **extensions, size_t extension_size, char *errstr, size_t errstr_size);
/* Tells that no token could be had; it is asked for again later. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_oauthbearer_set_token_failure(rd_kafka_t *rk, const char *errstr);

/* ---- Share consumer ---- */

/* A share consumer; takes `conf` on success. */
RD_EXPORT rd_kafka_share_t *rd_kafka_share_consumer_new(rd_kafka_conf_t *conf, char *errstr, size_t errstr_size);
/* The outcome of acknowledgements. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_set_acknowledgement_commit_cb(
    rd_kafka_share_t *share,
    void (*share_acknowledgement_commit_cb)(
        rd_kafka_share_t *share, rd_kafka_share_partition_offsets_list_t *partitions, rd_kafka_resp_err_t err,
        void *opaque),
    void *opaque);
/* Joins the share group for these topics. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_subscribe(
    rd_kafka_share_t *share, const rd_kafka_topic_partition_list_t *topics);
/* Leaves the topics. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_unsubscribe(rd_kafka_share_t *share);
/* The topics subscribed to, in a new list. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_subscription(
    rd_kafka_share_t *share, rd_kafka_topic_partition_list_t **topics);
/* A batch of records, or NULL. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_poll(
    rd_kafka_share_t *share, int timeout_ms, rd_kafka_messages_t **messages);
/* Accepts a record. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_acknowledge(rd_kafka_share_t *share, const rd_kafka_message_t *message);
/* Accepts, releases or rejects a record. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_acknowledge_type(
    rd_kafka_share_t *share, const rd_kafka_message_t *message, rd_kafka_share_AcknowledgeType_t type);
/* The same by its place. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_acknowledge_offset(
    rd_kafka_share_t *share, const char *topic, int32_t partition, int64_t offset,
    rd_kafka_share_AcknowledgeType_t type);
/* Sends the acknowledgements. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_commit_async(rd_kafka_share_t *share);
/* Sends the acknowledgements and waits for the outcome. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_commit_sync(
    rd_kafka_share_t *share, int timeout_ms, rd_kafka_topic_partition_list_t **partitions);
/* Leaves the group. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_consumer_close(rd_kafka_share_t *share);
/* Begins to close; what has to be served comes through the queue. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_consumer_close_queue(rd_kafka_share_t *share, rd_kafka_queue_t *queue);
/* Whether the close has ended. */
RD_EXPORT int rd_kafka_share_consumer_closed(rd_kafka_share_t *share);
/* Ends the share consumer. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_destroy(rd_kafka_share_t *share);
/* The same with RD_KAFKA_DESTROY_F_… flags. */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_destroy_flags(rd_kafka_share_t *share, int flags);
/* As rd_kafka_set_log_queue(). */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_set_log_queue(rd_kafka_share_t *share, rd_kafka_queue_t *queue);
/* As rd_kafka_queue_get_sasl(). */
RD_EXPORT rd_kafka_queue_t *rd_kafka_share_queue_get_sasl(rd_kafka_share_t *share);
/* As rd_kafka_oauthbearer_set_token(). */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_oauthbearer_set_token(
    rd_kafka_share_t *share, const char *token_value, int64_t md_lifetime_ms, const char *md_principal_name,
    const char **extensions, size_t extension_size, char *errstr, size_t errstr_size);
/* As rd_kafka_oauthbearer_set_token_failure(). */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_share_oauthbearer_set_token_failure(
    rd_kafka_share_t *share, const char *errstr);
/* As rd_kafka_sasl_background_callbacks_enable(). */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_sasl_background_callbacks_enable(rd_kafka_share_t *share);
/* As rd_kafka_sasl_set_credentials(). */
RD_EXPORT rd_kafka_error_t *rd_kafka_share_sasl_set_credentials(
    rd_kafka_share_t *share, const char *username, const char *password);
/* Partitions in the list. */
RD_EXPORT size_t rd_kafka_share_partition_offsets_list_count(const rd_kafka_share_partition_offsets_list_t *list);
/* One of them. */
RD_EXPORT const rd_kafka_share_partition_offsets_t *rd_kafka_share_partition_offsets_list_get(
    const rd_kafka_share_partition_offsets_list_t *list, size_t index);
/* Frees the list. */
RD_EXPORT void rd_kafka_share_partition_offsets_list_destroy(rd_kafka_share_partition_offsets_list_t *list);
/* The partition. */
RD_EXPORT const rd_kafka_topic_partition_t *rd_kafka_share_partition_offsets_partition(
    const rd_kafka_share_partition_offsets_t *partition_offsets);
/* Its offsets. */
RD_EXPORT const int64_t *rd_kafka_share_partition_offsets_offsets(
    const rd_kafka_share_partition_offsets_t *partition_offsets);
/* How many those are. */
RD_EXPORT size_t rd_kafka_share_partition_offsets_offsets_cnt(
    const rd_kafka_share_partition_offsets_t *partition_offsets);

/* ---- Admin: options and outcomes ---- */

/* Requests answer through a queue, each by one event, whose results belong to it. NULL options are the defaults. */

/* The outcome for one topic. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_topic_result_error(const rd_kafka_topic_result_t *result);
/* Its text, or NULL. */
RD_EXPORT const char *rd_kafka_topic_result_error_string(const rd_kafka_topic_result_t *result);
/* The topic. */
RD_EXPORT const char *rd_kafka_topic_result_name(const rd_kafka_topic_result_t *result);
/* The outcome for one group, NULL if all is well. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_group_result_error(const rd_kafka_group_result_t *result);
/* The group. */
RD_EXPORT const char *rd_kafka_group_result_name(const rd_kafka_group_result_t *result);
/* Its partitions, or NULL. */
RD_EXPORT const rd_kafka_topic_partition_list_t *rd_kafka_group_result_partitions(
    const rd_kafka_group_result_t *result);
/* The partition. */
RD_EXPORT const rd_kafka_topic_partition_t *rd_kafka_topic_partition_result_partition(
    const rd_kafka_topic_partition_result_t *partition_result);
/* The outcome for it. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_topic_partition_result_error(
    const rd_kafka_topic_partition_result_t *partition_result);
/* Options for one kind of request. */
RD_EXPORT rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *rk, rd_kafka_admin_op_t for_api);
/* Frees it. */
RD_EXPORT void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *options);
/* How long the whole request may take here. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_AdminOptions_set_request_timeout(
    rd_kafka_AdminOptions_t *options, int timeout_ms, char *errstr, size_t errstr_size);
/* How long the broker may take before it answers. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_AdminOptions_set_operation_timeout(
    rd_kafka_AdminOptions_t *options, int timeout_ms, char *errstr, size_t errstr_size);
/* Checks, and changes nothing. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_AdminOptions_set_validate_only(
    rd_kafka_AdminOptions_t *options, int true_or_false, char *errstr, size_t errstr_size);
/* Asks this broker. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_AdminOptions_set_broker(
    rd_kafka_AdminOptions_t *options, int32_t broker_id, char *errstr, size_t errstr_size);
/* Fails where a transaction is open. */
RD_EXPORT rd_kafka_error_t *rd_kafka_AdminOptions_set_require_stable_offsets(
    rd_kafka_AdminOptions_t *options, int true_or_false);
/* Asks for what the client may do. */
RD_EXPORT rd_kafka_error_t *rd_kafka_AdminOptions_set_include_authorized_operations(
    rd_kafka_AdminOptions_t *options, int true_or_false);
/* Lists only groups in these states. */
RD_EXPORT rd_kafka_error_t *rd_kafka_AdminOptions_set_match_consumer_group_states(
    rd_kafka_AdminOptions_t *options, const rd_kafka_consumer_group_state_t *consumer_group_states,
    size_t consumer_group_states_cnt);
/* Lists only groups of these types. */
RD_EXPORT rd_kafka_error_t *rd_kafka_AdminOptions_set_match_consumer_group_types(
    rd_kafka_AdminOptions_t *options, const rd_kafka_consumer_group_type_t *consumer_group_types,
    size_t consumer_group_types_cnt);
/* Which records ListOffsets counts. */
RD_EXPORT rd_kafka_error_t *rd_kafka_AdminOptions_set_isolation_level(
    rd_kafka_AdminOptions_t *options, rd_kafka_IsolationLevel_t value);
/* For rd_kafka_event_opaque() of the answer. */
RD_EXPORT void rd_kafka_AdminOptions_set_opaque(rd_kafka_AdminOptions_t *options, void *opaque);

/* ---- Admin: topics, partitions, records ---- */

/* A topic to create; -1 partitions or replicas are the broker's defaults. */
RD_EXPORT rd_kafka_NewTopic_t *rd_kafka_NewTopic_new(
    const char *topic, int num_partitions, int replication_factor, char *errstr, size_t errstr_size);
/* Frees it. */
RD_EXPORT void rd_kafka_NewTopic_destroy(rd_kafka_NewTopic_t *new_topic);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_NewTopic_destroy_array(rd_kafka_NewTopic_t **new_topics, size_t count);
/* Names the brokers of a partition, in order from 0. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_NewTopic_set_replica_assignment(
    rd_kafka_NewTopic_t *new_topic, int32_t partition, int32_t *broker_ids, size_t broker_id_cnt, char *errstr,
    size_t errstr_size);
/* A property of the topic. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_NewTopic_set_config(
    rd_kafka_NewTopic_t *new_topic, const char *name, const char *value);
/* Creates topics. */
RD_EXPORT void rd_kafka_CreateTopics(
    rd_kafka_t *rk, rd_kafka_NewTopic_t **new_topics, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The topics' outcomes. */
RD_EXPORT const rd_kafka_topic_result_t **rd_kafka_CreateTopics_result_topics(
    const rd_kafka_CreateTopics_result_t *result, size_t *count);
/* A topic to delete. */
RD_EXPORT rd_kafka_DeleteTopic_t *rd_kafka_DeleteTopic_new(const char *topic);
/* Frees it. */
RD_EXPORT void rd_kafka_DeleteTopic_destroy(rd_kafka_DeleteTopic_t *del_topic);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_DeleteTopic_destroy_array(rd_kafka_DeleteTopic_t **del_topics, size_t count);
/* Deletes topics. */
RD_EXPORT void rd_kafka_DeleteTopics(
    rd_kafka_t *rk, rd_kafka_DeleteTopic_t **del_topics, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The topics' outcomes. */
RD_EXPORT const rd_kafka_topic_result_t **rd_kafka_DeleteTopics_result_topics(
    const rd_kafka_DeleteTopics_result_t *result, size_t *count);
/* Grows a topic to this many partitions. */
RD_EXPORT rd_kafka_NewPartitions_t *rd_kafka_NewPartitions_new(
    const char *topic, size_t new_total_cnt, char *errstr, size_t errstr_size);
/* Frees it. */
RD_EXPORT void rd_kafka_NewPartitions_destroy(rd_kafka_NewPartitions_t *new_parts);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_NewPartitions_destroy_array(rd_kafka_NewPartitions_t **new_parts, size_t count);
/* Names the brokers of a new partition, in order from 0. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_NewPartitions_set_replica_assignment(
    rd_kafka_NewPartitions_t *new_parts, int32_t new_partition_idx, int32_t *broker_ids, size_t broker_id_cnt,
    char *errstr, size_t errstr_size);
/* Adds partitions to topics. */
RD_EXPORT void rd_kafka_CreatePartitions(
    rd_kafka_t *rk, rd_kafka_NewPartitions_t **new_parts, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The topics' outcomes. */
RD_EXPORT const rd_kafka_topic_result_t **rd_kafka_CreatePartitions_result_topics(
    const rd_kafka_CreatePartitions_result_t *result, size_t *count);
/* Deletes what stands before these offsets. */
RD_EXPORT rd_kafka_DeleteRecords_t *rd_kafka_DeleteRecords_new(const rd_kafka_topic_partition_list_t *before_offsets);
/* Frees it. */
RD_EXPORT void rd_kafka_DeleteRecords_destroy(rd_kafka_DeleteRecords_t *del_records);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_DeleteRecords_destroy_array(rd_kafka_DeleteRecords_t **del_records, size_t count);
/* Deletes records. */
RD_EXPORT void rd_kafka_DeleteRecords(
    rd_kafka_t *rk, rd_kafka_DeleteRecords_t **del_records, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The first offsets left, with an `err` each. */
RD_EXPORT const rd_kafka_topic_partition_list_t *rd_kafka_DeleteRecords_result_offsets(
    const rd_kafka_DeleteRecords_result_t *result);
/* Topics by name. */
RD_EXPORT rd_kafka_TopicCollection_t *rd_kafka_TopicCollection_of_topic_names(const char **topics, size_t topic_cnt);
/* Frees it. */
RD_EXPORT void rd_kafka_TopicCollection_destroy(rd_kafka_TopicCollection_t *topics);
/* Describes topics. */
RD_EXPORT void rd_kafka_DescribeTopics(
    rd_kafka_t *rk, const rd_kafka_TopicCollection_t *topics, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The topics' outcomes. */
RD_EXPORT const rd_kafka_TopicDescription_t **rd_kafka_DescribeTopics_result_topics(
    const rd_kafka_DescribeTopics_result_t *result, size_t *count);
/* Its partitions. */
RD_EXPORT const rd_kafka_TopicPartitionInfo_t **rd_kafka_TopicDescription_partitions(
    const rd_kafka_TopicDescription_t *topic, size_t *count);
/* Its partition. */
RD_EXPORT const int rd_kafka_TopicPartitionInfo_partition(const rd_kafka_TopicPartitionInfo_t *partition);
/* Its leader. */
RD_EXPORT const rd_kafka_Node_t *rd_kafka_TopicPartitionInfo_leader(const rd_kafka_TopicPartitionInfo_t *partition);
/* Its isr. */
RD_EXPORT const rd_kafka_Node_t **rd_kafka_TopicPartitionInfo_isr(
    const rd_kafka_TopicPartitionInfo_t *partition, size_t *count);
/* Its replicas. */
RD_EXPORT const rd_kafka_Node_t **rd_kafka_TopicPartitionInfo_replicas(
    const rd_kafka_TopicPartitionInfo_t *partition, size_t *count);
/* Its authorized operations. */
RD_EXPORT const rd_kafka_AclOperation_t *rd_kafka_TopicDescription_authorized_operations(
    const rd_kafka_TopicDescription_t *topic, size_t *count);
/* Its name. */
RD_EXPORT const char *rd_kafka_TopicDescription_name(const rd_kafka_TopicDescription_t *topic);
/* Its topic id. */
RD_EXPORT const rd_kafka_Uuid_t *rd_kafka_TopicDescription_topic_id(const rd_kafka_TopicDescription_t *topic);
/* Whether it is internal. */
RD_EXPORT int rd_kafka_TopicDescription_is_internal(const rd_kafka_TopicDescription_t *topic);
/* What went wrong with it, or NULL. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_TopicDescription_error(const rd_kafka_TopicDescription_t *topic);

/* ---- Admin: configuration of topics, brokers and groups ---- */

/* The source's name. */
RD_EXPORT const char *rd_kafka_ConfigSource_name(rd_kafka_ConfigSource_t source);
/* Its name. */
RD_EXPORT const char *rd_kafka_ConfigEntry_name(const rd_kafka_ConfigEntry_t *entry);
/* Its value. */
RD_EXPORT const char *rd_kafka_ConfigEntry_value(const rd_kafka_ConfigEntry_t *entry);
/* Its source. */
RD_EXPORT rd_kafka_ConfigSource_t rd_kafka_ConfigEntry_source(const rd_kafka_ConfigEntry_t *entry);
/* 1, 0, or -1 if that is not known. */
RD_EXPORT int rd_kafka_ConfigEntry_is_read_only(const rd_kafka_ConfigEntry_t *entry);
/* 1, 0, or -1 if that is not known. */
RD_EXPORT int rd_kafka_ConfigEntry_is_default(const rd_kafka_ConfigEntry_t *entry);
/* 1, 0, or -1 if that is not known. */
RD_EXPORT int rd_kafka_ConfigEntry_is_sensitive(const rd_kafka_ConfigEntry_t *entry);
/* Whether this is a synonym of another entry. */
RD_EXPORT int rd_kafka_ConfigEntry_is_synonym(const rd_kafka_ConfigEntry_t *entry);
/* The synonyms of an entry. */
RD_EXPORT const rd_kafka_ConfigEntry_t **rd_kafka_ConfigEntry_synonyms(
    const rd_kafka_ConfigEntry_t *entry, size_t *count);
/* The type's name. */
RD_EXPORT const char *rd_kafka_ResourcePatternType_name(rd_kafka_ResourcePatternType_t resource_pattern_type);
/* The type's name. */
RD_EXPORT const char *rd_kafka_ResourceType_name(rd_kafka_ResourceType_t type);
/* A resource whose configuration is asked for or changed. */
RD_EXPORT rd_kafka_ConfigResource_t *rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t type, const char *name);
/* Frees it. */
RD_EXPORT void rd_kafka_ConfigResource_destroy(rd_kafka_ConfigResource_t *resource);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_ConfigResource_destroy_array(rd_kafka_ConfigResource_t **resource, size_t count);
/* A property, for AlterConfigs. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_ConfigResource_set_config(
    rd_kafka_ConfigResource_t *resource, const char *name, const char *value);
/* A change of a property, for IncrementalAlterConfigs. */
RD_EXPORT rd_kafka_error_t *rd_kafka_ConfigResource_add_incremental_config(
    rd_kafka_ConfigResource_t *resource, const char *name, rd_kafka_AlterConfigOpType_t op_type, const char *value);
/* Its configs. */
RD_EXPORT const rd_kafka_ConfigEntry_t **rd_kafka_ConfigResource_configs(
    const rd_kafka_ConfigResource_t *resource, size_t *count);
/* Its type. */
RD_EXPORT rd_kafka_ResourceType_t rd_kafka_ConfigResource_type(const rd_kafka_ConfigResource_t *resource);
/* Its name. */
RD_EXPORT const char *rd_kafka_ConfigResource_name(const rd_kafka_ConfigResource_t *resource);
/* What went wrong with it, or NULL. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_ConfigResource_error(const rd_kafka_ConfigResource_t *resource);
/* That as text, or NULL. */
RD_EXPORT const char *rd_kafka_ConfigResource_error_string(const rd_kafka_ConfigResource_t *resource);
/* Replaces configurations whole. */
RD_EXPORT void rd_kafka_AlterConfigs(
    rd_kafka_t *rk, rd_kafka_ConfigResource_t **configs, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The resources. */
RD_EXPORT const rd_kafka_ConfigResource_t **rd_kafka_AlterConfigs_result_resources(
    const rd_kafka_AlterConfigs_result_t *result, size_t *count);
/* Changes single properties. */
RD_EXPORT void rd_kafka_IncrementalAlterConfigs(
    rd_kafka_t *rk, rd_kafka_ConfigResource_t **configs, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The resources. */
RD_EXPORT const rd_kafka_ConfigResource_t **rd_kafka_IncrementalAlterConfigs_result_resources(
    const rd_kafka_IncrementalAlterConfigs_result_t *result, size_t *count);
/* Reads configurations. */
RD_EXPORT void rd_kafka_DescribeConfigs(
    rd_kafka_t *rk, rd_kafka_ConfigResource_t **configs, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The resources. */
RD_EXPORT const rd_kafka_ConfigResource_t **rd_kafka_DescribeConfigs_result_resources(
    const rd_kafka_DescribeConfigs_result_t *result, size_t *count);

/* ---- Admin: groups and offsets ---- */

/* Lists groups. */
RD_EXPORT void rd_kafka_ListConsumerGroups(
    rd_kafka_t *rk, const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
/* Its group id. */
RD_EXPORT const char *rd_kafka_ConsumerGroupListing_group_id(const rd_kafka_ConsumerGroupListing_t *group);
/* Whether it is simple consumer group. */
RD_EXPORT int rd_kafka_ConsumerGroupListing_is_simple_consumer_group(const rd_kafka_ConsumerGroupListing_t *group);
/* Its state. */
RD_EXPORT rd_kafka_consumer_group_state_t rd_kafka_ConsumerGroupListing_state(
    const rd_kafka_ConsumerGroupListing_t *group);
/* Its type. */
RD_EXPORT rd_kafka_consumer_group_type_t rd_kafka_ConsumerGroupListing_type(
    const rd_kafka_ConsumerGroupListing_t *group);
/* The groups found. */
RD_EXPORT const rd_kafka_ConsumerGroupListing_t **rd_kafka_ListConsumerGroups_result_valid(
    const rd_kafka_ListConsumerGroups_result_t *result, size_t *count);
/* What went wrong at brokers that did not answer. */
RD_EXPORT const rd_kafka_error_t **rd_kafka_ListConsumerGroups_result_errors(
    const rd_kafka_ListConsumerGroups_result_t *result, size_t *count);
/* Describes groups. */
RD_EXPORT void rd_kafka_DescribeConsumerGroups(
    rd_kafka_t *rk, const char **groups, size_t groups_cnt, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The groups' outcomes. */
RD_EXPORT const rd_kafka_ConsumerGroupDescription_t **rd_kafka_DescribeConsumerGroups_result_groups(
    const rd_kafka_DescribeConsumerGroups_result_t *result, size_t *count);
/* Its group id. */
RD_EXPORT const char *rd_kafka_ConsumerGroupDescription_group_id(const rd_kafka_ConsumerGroupDescription_t *group);
/* What went wrong with it, or NULL. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_ConsumerGroupDescription_error(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Whether it is simple consumer group. */
RD_EXPORT int rd_kafka_ConsumerGroupDescription_is_simple_consumer_group(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Its partition assignor. */
RD_EXPORT const char *rd_kafka_ConsumerGroupDescription_partition_assignor(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Its authorized operations. */
RD_EXPORT const rd_kafka_AclOperation_t *rd_kafka_ConsumerGroupDescription_authorized_operations(
    const rd_kafka_ConsumerGroupDescription_t *group, size_t *count);
/* Its state. */
RD_EXPORT rd_kafka_consumer_group_state_t rd_kafka_ConsumerGroupDescription_state(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Its coordinator. */
RD_EXPORT const rd_kafka_Node_t *rd_kafka_ConsumerGroupDescription_coordinator(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Its type. */
RD_EXPORT rd_kafka_consumer_group_type_t rd_kafka_ConsumerGroupDescription_type(
    const rd_kafka_ConsumerGroupDescription_t *group);
/* Its member count. */
RD_EXPORT size_t rd_kafka_ConsumerGroupDescription_member_count(const rd_kafka_ConsumerGroupDescription_t *group);
/* Its member. */
RD_EXPORT const rd_kafka_MemberDescription_t *rd_kafka_ConsumerGroupDescription_member(
    const rd_kafka_ConsumerGroupDescription_t *group, size_t index);
/* Its client id. */
RD_EXPORT const char *rd_kafka_MemberDescription_client_id(const rd_kafka_MemberDescription_t *member);
/* Its group instance id. */
RD_EXPORT const char *rd_kafka_MemberDescription_group_instance_id(const rd_kafka_MemberDescription_t *member);
/* Its consumer id. */
RD_EXPORT const char *rd_kafka_MemberDescription_consumer_id(const rd_kafka_MemberDescription_t *member);
/* Its host. */
RD_EXPORT const char *rd_kafka_MemberDescription_host(const rd_kafka_MemberDescription_t *member);
/* Its assignment. */
RD_EXPORT const rd_kafka_MemberAssignment_t *rd_kafka_MemberDescription_assignment(
    const rd_kafka_MemberDescription_t *member);
/* Its partitions. */
RD_EXPORT const rd_kafka_topic_partition_list_t *rd_kafka_MemberAssignment_partitions(
    const rd_kafka_MemberAssignment_t *assignment);
/* Its target assignment. */
RD_EXPORT const rd_kafka_MemberAssignment_t *rd_kafka_MemberDescription_target_assignment(
    const rd_kafka_MemberDescription_t *member);
/* A group to delete. */
RD_EXPORT rd_kafka_DeleteGroup_t *rd_kafka_DeleteGroup_new(const char *group);
/* Frees it. */
RD_EXPORT void rd_kafka_DeleteGroup_destroy(rd_kafka_DeleteGroup_t *del_group);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_DeleteGroup_destroy_array(rd_kafka_DeleteGroup_t **del_groups, size_t count);
/* Deletes groups. */
RD_EXPORT void rd_kafka_DeleteGroups(
    rd_kafka_t *rk, rd_kafka_DeleteGroup_t **del_groups, size_t count, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The groups' outcomes. */
RD_EXPORT const rd_kafka_group_result_t **rd_kafka_DeleteGroups_result_groups(
    const rd_kafka_DeleteGroups_result_t *result, size_t *count);
/* A group whose offsets are asked for; NULL partitions are all. */
RD_EXPORT rd_kafka_ListConsumerGroupOffsets_t *rd_kafka_ListConsumerGroupOffsets_new(
    const char *group_id, const rd_kafka_topic_partition_list_t *partitions);
/* Frees it. */
RD_EXPORT void rd_kafka_ListConsumerGroupOffsets_destroy(rd_kafka_ListConsumerGroupOffsets_t *list_grpoffsets);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_ListConsumerGroupOffsets_destroy_array(
    rd_kafka_ListConsumerGroupOffsets_t **list_grpoffsets, size_t list_grpoffset_cnt);
/* Reads committed offsets; one group a request. */
RD_EXPORT void rd_kafka_ListConsumerGroupOffsets(
    rd_kafka_t *rk, rd_kafka_ListConsumerGroupOffsets_t **list_grpoffsets, size_t list_grpoffsets_cnt,
    const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
/* The groups' outcomes. */
RD_EXPORT const rd_kafka_group_result_t **rd_kafka_ListConsumerGroupOffsets_result_groups(
    const rd_kafka_ListConsumerGroupOffsets_result_t *result, size_t *count);
/* A group and the offsets that it shall have. */
RD_EXPORT rd_kafka_AlterConsumerGroupOffsets_t *rd_kafka_AlterConsumerGroupOffsets_new(
    const char *group_id, const rd_kafka_topic_partition_list_t *partitions);
/* Frees it. */
RD_EXPORT void rd_kafka_AlterConsumerGroupOffsets_destroy(rd_kafka_AlterConsumerGroupOffsets_t *alter_grpoffsets);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_AlterConsumerGroupOffsets_destroy_array(
    rd_kafka_AlterConsumerGroupOffsets_t **alter_grpoffsets, size_t alter_grpoffset_cnt);
/* Changes committed offsets; one group a request. */
RD_EXPORT void rd_kafka_AlterConsumerGroupOffsets(
    rd_kafka_t *rk, rd_kafka_AlterConsumerGroupOffsets_t **alter_grpoffsets, size_t alter_grpoffsets_cnt,
    const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
/* The groups' outcomes. */
RD_EXPORT const rd_kafka_group_result_t **rd_kafka_AlterConsumerGroupOffsets_result_groups(
    const rd_kafka_AlterConsumerGroupOffsets_result_t *result, size_t *count);
/* A group and the partitions whose offsets go. */
RD_EXPORT rd_kafka_DeleteConsumerGroupOffsets_t *rd_kafka_DeleteConsumerGroupOffsets_new(
    const char *group, const rd_kafka_topic_partition_list_t *partitions);
/* Frees it. */
RD_EXPORT void rd_kafka_DeleteConsumerGroupOffsets_destroy(rd_kafka_DeleteConsumerGroupOffsets_t *del_grpoffsets);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_DeleteConsumerGroupOffsets_destroy_array(
    rd_kafka_DeleteConsumerGroupOffsets_t **del_grpoffsets, size_t del_grpoffset_cnt);
/* Deletes committed offsets; one group a request. */
RD_EXPORT void rd_kafka_DeleteConsumerGroupOffsets(
    rd_kafka_t *rk, rd_kafka_DeleteConsumerGroupOffsets_t **del_grpoffsets, size_t del_grpoffsets_cnt,
    const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
/* The groups' outcomes. */
RD_EXPORT const rd_kafka_group_result_t **rd_kafka_DeleteConsumerGroupOffsets_result_groups(
    const rd_kafka_DeleteConsumerGroupOffsets_result_t *result, size_t *count);
/* Its topic partition. */
RD_EXPORT const rd_kafka_topic_partition_t *rd_kafka_ListOffsetsResultInfo_topic_partition(
    const rd_kafka_ListOffsetsResultInfo_t *info);
/* Its timestamp. */
RD_EXPORT int64_t rd_kafka_ListOffsetsResultInfo_timestamp(const rd_kafka_ListOffsetsResultInfo_t *info);
/* The partitions' offsets. */
RD_EXPORT const rd_kafka_ListOffsetsResultInfo_t **rd_kafka_ListOffsets_result_infos(
    const rd_kafka_ListOffsets_result_t *result, size_t *count);
/* Offsets by RD_KAFKA_OFFSET_SPEC_… or timestamp, given in the partitions' offsets. */
RD_EXPORT void rd_kafka_ListOffsets(
    rd_kafka_t *rk, rd_kafka_topic_partition_list_t *topic_partitions, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);

/* ---- Admin: cluster ---- */

/* Describes the cluster. */
RD_EXPORT void rd_kafka_DescribeCluster(
    rd_kafka_t *rk, const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);
/* The nodes. */
RD_EXPORT const rd_kafka_Node_t **rd_kafka_DescribeCluster_result_nodes(
    const rd_kafka_DescribeCluster_result_t *result, size_t *count);
/* The authorized operations. */
RD_EXPORT const rd_kafka_AclOperation_t *rd_kafka_DescribeCluster_result_authorized_operations(
    const rd_kafka_DescribeCluster_result_t *result, size_t *count);
/* The controller. */
RD_EXPORT const rd_kafka_Node_t *rd_kafka_DescribeCluster_result_controller(
    const rd_kafka_DescribeCluster_result_t *result);
/* The cluster id. */
RD_EXPORT const char *rd_kafka_DescribeCluster_result_cluster_id(const rd_kafka_DescribeCluster_result_t *result);
/* An election; NULL partitions are all. */
RD_EXPORT rd_kafka_ElectLeaders_t *rd_kafka_ElectLeaders_new(
    rd_kafka_ElectionType_t election_type, rd_kafka_topic_partition_list_t *partitions);
/* Frees it. */
RD_EXPORT void rd_kafka_ElectLeaders_destroy(rd_kafka_ElectLeaders_t *elect_leaders);
/* Elects leaders. */
RD_EXPORT void rd_kafka_ElectLeaders(
    rd_kafka_t *rk, rd_kafka_ElectLeaders_t *elect_leaders, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The partitions' outcomes. */
RD_EXPORT const rd_kafka_topic_partition_result_t **rd_kafka_ElectLeaders_result_partitions(
    const rd_kafka_ElectLeaders_result_t *result, size_t *count);

/* ---- Admin: SCRAM users ---- */

/* Its mechanism. */
RD_EXPORT rd_kafka_ScramMechanism_t rd_kafka_ScramCredentialInfo_mechanism(
    const rd_kafka_ScramCredentialInfo_t *info);
/* Its iterations. */
RD_EXPORT int32_t rd_kafka_ScramCredentialInfo_iterations(const rd_kafka_ScramCredentialInfo_t *info);
/* Its user. */
RD_EXPORT const char *rd_kafka_UserScramCredentialsDescription_user(
    const rd_kafka_UserScramCredentialsDescription_t *description);
/* What went wrong with it, or NULL. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_UserScramCredentialsDescription_error(
    const rd_kafka_UserScramCredentialsDescription_t *description);
/* Its scramcredentialinfo count. */
RD_EXPORT size_t rd_kafka_UserScramCredentialsDescription_scramcredentialinfo_count(
    const rd_kafka_UserScramCredentialsDescription_t *description);
/* Its scramcredentialinfo. */
RD_EXPORT const rd_kafka_ScramCredentialInfo_t *rd_kafka_UserScramCredentialsDescription_scramcredentialinfo(
    const rd_kafka_UserScramCredentialsDescription_t *description, size_t index);
/* The descriptions. */
RD_EXPORT const rd_kafka_UserScramCredentialsDescription_t **rd_kafka_DescribeUserScramCredentials_result_descriptions(
    const rd_kafka_DescribeUserScramCredentials_result_t *result, size_t *count);
/* Describes users; NULL is all. */
RD_EXPORT void rd_kafka_DescribeUserScramCredentials(
    rd_kafka_t *rk, const char **users, size_t user_cnt, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* Sets a password; a NULL salt is drawn at random. */
RD_EXPORT rd_kafka_UserScramCredentialAlteration_t *rd_kafka_UserScramCredentialUpsertion_new(
    const char *username, rd_kafka_ScramMechanism_t mechanism, int32_t iterations, const unsigned char *password,
    size_t password_size, const unsigned char *salt, size_t salt_size);
/* Removes a password. */
RD_EXPORT rd_kafka_UserScramCredentialAlteration_t *rd_kafka_UserScramCredentialDeletion_new(
    const char *username, rd_kafka_ScramMechanism_t mechanism);
/* Frees it. */
RD_EXPORT void rd_kafka_UserScramCredentialAlteration_destroy(rd_kafka_UserScramCredentialAlteration_t *alteration);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_UserScramCredentialAlteration_destroy_array(
    rd_kafka_UserScramCredentialAlteration_t **alterations, size_t alteration_cnt);
/* The response user. */
RD_EXPORT const char *rd_kafka_AlterUserScramCredentials_result_response_user(
    const rd_kafka_AlterUserScramCredentials_result_response_t *response);
/* The response error. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_AlterUserScramCredentials_result_response_error(
    const rd_kafka_AlterUserScramCredentials_result_response_t *response);
/* The responses. */
RD_EXPORT const rd_kafka_AlterUserScramCredentials_result_response_t **rd_kafka_AlterUserScramCredentials_result_responses(
    const rd_kafka_AlterUserScramCredentials_result_t *result, size_t *count);
/* Changes users. */
RD_EXPORT void rd_kafka_AlterUserScramCredentials(
    rd_kafka_t *rk, rd_kafka_UserScramCredentialAlteration_t **alterations, size_t alteration_cnt,
    const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);

/* ---- Admin: access control lists ---- */

/* What went wrong, or NULL. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_acl_result_error(const rd_kafka_acl_result_t *result);
/* The operation's name. */
RD_EXPORT const char *rd_kafka_AclOperation_name(rd_kafka_AclOperation_t acl_operation);
/* The type's name. */
RD_EXPORT const char *rd_kafka_AclPermissionType_name(rd_kafka_AclPermissionType_t acl_permission_type);
/* An entry of an access control list. */
RD_EXPORT rd_kafka_AclBinding_t *rd_kafka_AclBinding_new(
    rd_kafka_ResourceType_t type, const char *name, rd_kafka_ResourcePatternType_t resource_pattern_type,
    const char *principal, const char *host, rd_kafka_AclOperation_t operation,
    rd_kafka_AclPermissionType_t permission_type, char *errstr, size_t errstr_size);
/* A filter; NULL matches everything. */
RD_EXPORT rd_kafka_AclBindingFilter_t *rd_kafka_AclBindingFilter_new(
    rd_kafka_ResourceType_t type, const char *name, rd_kafka_ResourcePatternType_t resource_pattern_type,
    const char *principal, const char *host, rd_kafka_AclOperation_t operation,
    rd_kafka_AclPermissionType_t permission_type, char *errstr, size_t errstr_size);
/* The resource's type. */
RD_EXPORT rd_kafka_ResourceType_t rd_kafka_AclBinding_restype(const rd_kafka_AclBinding_t *acl);
/* Its name. */
RD_EXPORT const char *rd_kafka_AclBinding_name(const rd_kafka_AclBinding_t *acl);
/* Its principal. */
RD_EXPORT const char *rd_kafka_AclBinding_principal(const rd_kafka_AclBinding_t *acl);
/* Its host. */
RD_EXPORT const char *rd_kafka_AclBinding_host(const rd_kafka_AclBinding_t *acl);
/* Its operation. */
RD_EXPORT rd_kafka_AclOperation_t rd_kafka_AclBinding_operation(const rd_kafka_AclBinding_t *acl);
/* Its permission type. */
RD_EXPORT rd_kafka_AclPermissionType_t rd_kafka_AclBinding_permission_type(const rd_kafka_AclBinding_t *acl);
/* Its resource pattern type. */
RD_EXPORT rd_kafka_ResourcePatternType_t rd_kafka_AclBinding_resource_pattern_type(const rd_kafka_AclBinding_t *acl);
/* What went wrong with it, or NULL. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_AclBinding_error(const rd_kafka_AclBinding_t *acl);
/* Frees it. */
RD_EXPORT void rd_kafka_AclBinding_destroy(rd_kafka_AclBinding_t *acl);
/* Frees each of them; the array stays the caller's. */
RD_EXPORT void rd_kafka_AclBinding_destroy_array(rd_kafka_AclBinding_t **acl_bindings, size_t acl_bindings_cnt);
/* The acls. */
RD_EXPORT const rd_kafka_acl_result_t **rd_kafka_CreateAcls_result_acls(
    const rd_kafka_CreateAcls_result_t *result, size_t *count);
/* Creates entries. */
RD_EXPORT void rd_kafka_CreateAcls(
    rd_kafka_t *rk, rd_kafka_AclBinding_t **new_acls, size_t new_acls_cnt, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The acls. */
RD_EXPORT const rd_kafka_AclBinding_t **rd_kafka_DescribeAcls_result_acls(
    const rd_kafka_DescribeAcls_result_t *result, size_t *count);
/* Finds entries. */
RD_EXPORT void rd_kafka_DescribeAcls(
    rd_kafka_t *rk, rd_kafka_AclBindingFilter_t *acl_filter, const rd_kafka_AdminOptions_t *options,
    rd_kafka_queue_t *queue);
/* The responses. */
RD_EXPORT const rd_kafka_DeleteAcls_result_response_t **rd_kafka_DeleteAcls_result_responses(
    const rd_kafka_DeleteAcls_result_t *result, size_t *count);
/* The response error. */
RD_EXPORT const rd_kafka_error_t *rd_kafka_DeleteAcls_result_response_error(
    const rd_kafka_DeleteAcls_result_response_t *result_response);
/* The response matching acls. */
RD_EXPORT const rd_kafka_AclBinding_t **rd_kafka_DeleteAcls_result_response_matching_acls(
    const rd_kafka_DeleteAcls_result_response_t *result_response, size_t *matching_acls_cntp);
/* Deletes the entries that filters match. */
RD_EXPORT void rd_kafka_DeleteAcls(
    rd_kafka_t *rk, rd_kafka_AclBindingFilter_t **del_acls, size_t del_acls_cnt,
    const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue);

#ifdef __cplusplus
}
#endif

#endif
