/* librdkafka's mock cluster, version 2.16.0: brokers inside the process that speak Kafka's protocol on loopback ports, for tests. They keep
 * everything in memory, replicate nothing, and fail when they are told to. The text is Felice's own; names, types and numbers are the API's.
 *
 * API keys are those of Kafka's protocol. Functions that answer with a code do so with NO_ERROR or with what kept them from it.
 */
#ifndef _RDKAFKA_MOCK_H_
#define _RDKAFKA_MOCK_H_

#ifndef _RDKAFKA_H_
#error "include rdkafka.h before rdkafka_mock.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rd_kafka_mock_cluster_s rd_kafka_mock_cluster_t;
typedef struct rd_kafka_mock_request_s rd_kafka_mock_request_t;
typedef struct rd_kafka_mock_cgrp_consumer_target_assignment_s rd_kafka_mock_cgrp_consumer_target_assignment_t;

/* A cluster of `broker_cnt` brokers, ids from 1, on loopback ports, that lives as long as `rk` at most. */
RD_EXPORT rd_kafka_mock_cluster_t *rd_kafka_mock_cluster_new(rd_kafka_t *rk, int broker_cnt);
/* Ends the cluster. */
RD_EXPORT void rd_kafka_mock_cluster_destroy(rd_kafka_mock_cluster_t *cluster);
/* The handle that the cluster was made with. */
RD_EXPORT rd_kafka_t *rd_kafka_mock_cluster_handle(const rd_kafka_mock_cluster_t *cluster);
/* The cluster that `test.mock.num.brokers` made for this handle, or NULL. */
RD_EXPORT rd_kafka_mock_cluster_t *rd_kafka_handle_mock_cluster(const rd_kafka_t *rk);
/* Its bootstrap servers; lives as long as the cluster. */
RD_EXPORT const char *rd_kafka_mock_cluster_bootstraps(const rd_kafka_mock_cluster_t *cluster);
/* Forgets the errors in store for an API. */
RD_EXPORT void rd_kafka_mock_clear_request_errors(rd_kafka_mock_cluster_t *cluster, int16_t ApiKey);
/* The next `cnt` requests of this API fail with these codes, one each; _TRANSPORT closes the connection. */
RD_EXPORT void rd_kafka_mock_push_request_errors(rd_kafka_mock_cluster_t *cluster, int16_t ApiKey, size_t cnt, ...);
/* The same with the codes in an array. */
RD_EXPORT void rd_kafka_mock_push_request_errors_array(
    rd_kafka_mock_cluster_t *cluster, int16_t ApiKey, size_t cnt, const rd_kafka_resp_err_t *errors);
/* How long a new group waits for members (3000). */
RD_EXPORT void rd_kafka_mock_group_initial_rebalance_delay_ms(rd_kafka_mock_cluster_t *cluster, int32_t delay_ms);
/* Makes a broker the controller; -1 for none. */
RD_EXPORT void rd_kafka_mock_set_controller_id(rd_kafka_mock_cluster_t *cluster, int32_t controller_id);
/* The next requests to one broker: pairs of a code and a delay in milliseconds. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_push_request_error_rtts(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id, int16_t ApiKey, size_t cnt, ...);
/* How many of those are left. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_error_stack_cnt(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id, int16_t ApiKey, size_t *count);
/* The next requests of this API fail for this partition. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_push_request_errors(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int32_t partition, int16_t ApiKey, size_t cnt, ...);
/* The error that metadata shows for a topic. */
RD_EXPORT void rd_kafka_mock_topic_set_error(
    rd_kafka_mock_cluster_t *cluster, const char *topic, rd_kafka_resp_err_t err);
/* Creates a topic. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_topic_create(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int partition_cnt, int replication_factor);
/* Deletes a topic. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_topic_delete(rd_kafka_mock_cluster_t *cluster, const char *topic);
/* Moves the start of a partition's log. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_delete_records(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int32_t partition, int64_t before_offset);
/* Moves the leader; -1 for none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_set_leader(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int32_t partition, int32_t broker_id);
/* The replica that consumers are sent to; -1 for none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_set_follower(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int32_t partition, int32_t broker_id);
/* The offsets that this replica shows; -1 leaves one as it is. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_set_follower_wmarks(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int32_t partition, int64_t lo, int64_t hi);
/* What the next metadata answer says of a partition's leader. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_partition_push_leader_response(
    rd_kafka_mock_cluster_t *cluster, const char *topic, int partition, int32_t leader_id, int32_t leader_epoch);
/* Closes a broker's connections and refuses new ones. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_set_down(rd_kafka_mock_cluster_t *cluster, int32_t broker_id);
/* The address that metadata shows for a broker; 0 leaves the port. */
RD_EXPORT void rd_kafka_mock_broker_set_host_port(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id, const char *host, int port);
/* Opens a broker again. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_set_up(rd_kafka_mock_cluster_t *cluster, int32_t broker_id);
/* Delays a broker's answers, in milliseconds. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_set_rtt(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id, int rtt_ms);
/* A broker's rack. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_set_rack(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id, const char *rack);
/* Takes a broker out of the cluster for good. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_decommission(rd_kafka_mock_cluster_t *cluster, int32_t broker_id);
/* Hides a broker from metadata. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_remove_from_metadata(
    rd_kafka_mock_cluster_t *cluster, int32_t broker_id);
/* Adds a broker. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_broker_add(rd_kafka_mock_cluster_t *cluster, int32_t broker_id);
/* Sets the coordinator of a key; `key_type` is "group" or "transaction". */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_coordinator_set(
    rd_kafka_mock_cluster_t *cluster, const char *key_type, const char *key, int32_t broker_id);
/* The versions of an API that brokers offer; -1 to -1 for none. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_set_apiversion(
    rd_kafka_mock_cluster_t *cluster, int16_t ApiKey, int16_t MinVersion, int16_t MaxVersion);
/* Begins to note requests. */
RD_EXPORT void rd_kafka_mock_start_request_tracking(rd_kafka_mock_cluster_t *cluster);
/* Ends that and forgets them. */
RD_EXPORT void rd_kafka_mock_stop_request_tracking(rd_kafka_mock_cluster_t *cluster);
/* Frees a noted request. */
RD_EXPORT void rd_kafka_mock_request_destroy(rd_kafka_mock_request_t *request);
/* Frees an array of them. */
RD_EXPORT void rd_kafka_mock_request_destroy_array(rd_kafka_mock_request_t **requests, size_t count);
/* The broker that got it. */
RD_EXPORT int32_t rd_kafka_mock_request_id(rd_kafka_mock_request_t *request);
/* Its API key. */
RD_EXPORT int16_t rd_kafka_mock_request_api_key(rd_kafka_mock_request_t *request);
/* When it came, microseconds of a steady clock. */
RD_EXPORT int64_t rd_kafka_mock_request_timestamp(rd_kafka_mock_request_t *request);
/* The requests noted so far, to be freed with rd_kafka_mock_request_destroy_array(). */
RD_EXPORT rd_kafka_mock_request_t **rd_kafka_mock_get_requests(rd_kafka_mock_cluster_t *cluster, size_t *count);
/* Forgets them. */
RD_EXPORT void rd_kafka_mock_clear_requests(rd_kafka_mock_cluster_t *cluster);
/* The metrics that brokers subscribe to. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_telemetry_set_requested_metrics(
    rd_kafka_mock_cluster_t *cluster, char **metrics, size_t metrics_cnt);
/* How often they want them. */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_telemetry_set_push_interval(
    rd_kafka_mock_cluster_t *cluster, int64_t push_interval_ms);
/* Which member gets what, in a group of protocol "consumer". */
RD_EXPORT rd_kafka_mock_cgrp_consumer_target_assignment_t *rd_kafka_mock_cgrp_consumer_target_assignment_new(
    char **member_ids, int member_cnt, rd_kafka_topic_partition_list_t **assignment);
/* Frees it. */
RD_EXPORT void rd_kafka_mock_cgrp_consumer_target_assignment_destroy(
    rd_kafka_mock_cgrp_consumer_target_assignment_t *target_assignment);
/* Makes it the target of a group. */
RD_EXPORT void rd_kafka_mock_cgrp_consumer_target_assignment(
    rd_kafka_mock_cluster_t *cluster, const char *group_id,
    rd_kafka_mock_cgrp_consumer_target_assignment_t *target_assignment);
/* Session timeout of such groups. */
RD_EXPORT void rd_kafka_mock_set_group_consumer_session_timeout_ms(
    rd_kafka_mock_cluster_t *cluster, int group_consumer_session_timeout_ms);
/* Heartbeat interval of such groups. */
RD_EXPORT void rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(
    rd_kafka_mock_cluster_t *cluster, int group_consumer_heartbeat_interval_ms);
/* Session timeout of share groups. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_session_timeout(rd_kafka_mock_cluster_t *cluster, int session_timeout_ms);
/* Heartbeat interval of share groups. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_heartbeat_interval(
    rd_kafka_mock_cluster_t *cluster, int heartbeat_interval_ms);
/* How often a record is given out at most. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_max_delivery_attempts(rd_kafka_mock_cluster_t *cluster, int max_attempts);
/* How long a record stays with a member. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_record_lock_duration(
    rd_kafka_mock_cluster_t *cluster, int lock_duration_ms);
/* 0 for read_uncommitted, 1 for read_committed. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_isolation_level(rd_kafka_mock_cluster_t *cluster, int level);
/* Members of a share group at most. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_max_size(rd_kafka_mock_cluster_t *cluster, int max_size);
/* Share sessions at most. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_max_fetch_sessions(
    rd_kafka_mock_cluster_t *cluster, int max_fetch_sessions);
/* Records in the hands of members at most, a partition. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_max_record_locks(rd_kafka_mock_cluster_t *cluster, int max_record_locks);
/* Where a new share group begins: 0 latest, 1 earliest. */
RD_EXPORT void rd_kafka_mock_sharegroup_set_auto_offset_reset(
    rd_kafka_mock_cluster_t *cluster, int auto_offset_reset);
/* Which member gets what. */
RD_EXPORT void rd_kafka_mock_sharegroup_target_assignment(
    rd_kafka_mock_cluster_t *cluster, const char *group_id, const char **member_ids,
    rd_kafka_topic_partition_list_t **assignments, size_t member_cnt);
/* The members' ids, each and the array to be freed with rd_kafka_mem_free(). */
RD_EXPORT rd_kafka_resp_err_t rd_kafka_mock_sharegroup_get_member_ids(
    rd_kafka_mock_cluster_t *cluster, const char *group_id, char ***member_ids_out, size_t *member_cnt_out);

#ifdef __cplusplus
}
#endif

#endif
