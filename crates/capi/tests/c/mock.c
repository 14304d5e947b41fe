/* The mock cluster from C: what is produced on one leader is consumed from the next, and errors are gotten over. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "check.h"

static int delivered;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    if (message->err) {
        fprintf(stderr, "delivery failed: %s\n", rd_kafka_err2str(message->err));
        exit(1);
    }
    delivered++;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char errstr[512];
    if (rd_kafka_conf_set(conf, name, value, errstr, sizeof errstr) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", errstr);
        exit(1);
    }
}

static rd_kafka_t *new_handle(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char errstr[512];
    rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    if (!rk) {
        fprintf(stderr, "%s\n", errstr);
        exit(1);
    }
    return rk;
}

static void produce(rd_kafka_t *rk, const char *value) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, "t", NULL);
    CHECK(topic);
    CHECK(!rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, (void *)value, strlen(value), NULL, 0, NULL));
    CHECK(!rd_kafka_flush(rk, 30000));
    rd_kafka_topic_destroy(topic);
}

/* How many requests of an API came, and to which broker the last one. */
static int requests(rd_kafka_mock_cluster_t *mcluster, int16_t api, int32_t *broker) {
    size_t cnt = 0;
    rd_kafka_mock_request_t **all = rd_kafka_mock_get_requests(mcluster, &cnt);
    int64_t last = 0;
    int found = 0;
    for (size_t i = 0; i < cnt; i++) {
        CHECK(rd_kafka_mock_request_timestamp(all[i]) >= last);
        last = rd_kafka_mock_request_timestamp(all[i]);
        if (rd_kafka_mock_request_api_key(all[i]) == api) {
            *broker = rd_kafka_mock_request_id(all[i]);
            found++;
        }
    }
    rd_kafka_mock_request_destroy_array(all, cnt);
    return found;
}

static void test_cluster(void) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", "127.0.0.1:1");
    rd_kafka_t *owner = new_handle(RD_KAFKA_PRODUCER, conf);
    rd_kafka_mock_cluster_t *mcluster = rd_kafka_mock_cluster_new(owner, 3);
    CHECK(mcluster);
    CHECK(rd_kafka_mock_cluster_handle(mcluster) == owner);
    CHECK(!rd_kafka_handle_mock_cluster(owner));
    const char *bootstraps = rd_kafka_mock_cluster_bootstraps(mcluster);
    CHECK(strchr(bootstraps, ','));

    CHECK(!rd_kafka_mock_topic_create(mcluster, "t", 1, 3));
    CHECK(rd_kafka_mock_topic_create(mcluster, "t", 1, 3) == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS);
    CHECK(!rd_kafka_mock_partition_set_leader(mcluster, "t", 0, 2));
    CHECK(rd_kafka_mock_partition_set_leader(mcluster, "t", 0, 9) == RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE);
    CHECK(rd_kafka_mock_partition_set_leader(mcluster, "t", 1, 1) == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    CHECK(rd_kafka_mock_coordinator_set(mcluster, "nothing", "g", 1) == RD_KAFKA_RESP_ERR__INVALID_ARG);
    CHECK(!rd_kafka_mock_coordinator_set(mcluster, "group", "g", 1));
    CHECK(!rd_kafka_mock_broker_set_rack(mcluster, -1, "rack"));
    CHECK(rd_kafka_mock_topic_delete(mcluster, "none") == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    CHECK(!rd_kafka_mock_set_apiversion(mcluster, 0, 0, 9));

    conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstraps);
    set(conf, "retry.backoff.ms", "10");
    set(conf, "retry.backoff.max.ms", "20");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, conf);
    int32_t broker = -1;
    rd_kafka_mock_start_request_tracking(mcluster);
    produce(rk, "one");
    CHECK(requests(mcluster, 0, &broker) == 1 && broker == 2);

    /* Ten errors by arguments: more than there are registers. */
    rd_kafka_mock_clear_requests(mcluster);
    rd_kafka_mock_push_request_errors(mcluster, 0, 10, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    produce(rk, "two");
    CHECK(requests(mcluster, 0, &broker) == 11);

    /* A broker's errors with their times, and a partition's. */
    size_t left = 99;
    CHECK(rd_kafka_mock_broker_push_request_error_rtts(mcluster, 9, 0, 1, RD_KAFKA_RESP_ERR_NO_ERROR, 1) ==
          RD_KAFKA_RESP_ERR__UNKNOWN_BROKER);
    CHECK(!rd_kafka_mock_broker_push_request_error_rtts(mcluster, 2, 0, 2, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 5,
                                                        RD_KAFKA_RESP_ERR_NO_ERROR, 20));
    CHECK(!rd_kafka_mock_broker_error_stack_cnt(mcluster, 2, 0, &left) && left == 2);
    CHECK(!rd_kafka_mock_partition_push_request_errors(mcluster, "t", 0, 0, 2, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                                       RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS));
    CHECK(rd_kafka_mock_partition_push_request_errors(mcluster, "t", 7, 0, 1, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS) ==
          RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    produce(rk, "three");
    CHECK(!rd_kafka_mock_broker_error_stack_cnt(mcluster, 2, 0, &left) && left == 0);

    /* The leader goes down, another takes over. */
    CHECK(!rd_kafka_mock_broker_set_down(mcluster, 2));
    CHECK(!rd_kafka_mock_partition_set_leader(mcluster, "t", 0, 3));
    rd_kafka_mock_clear_requests(mcluster);
    produce(rk, "four");
    CHECK(requests(mcluster, 0, &broker) >= 1 && broker == 3);
    CHECK(!rd_kafka_mock_broker_set_up(mcluster, -1));
    CHECK(!rd_kafka_mock_broker_add(mcluster, 4));
    CHECK(rd_kafka_mock_broker_add(mcluster, 4) == RD_KAFKA_RESP_ERR__INVALID_ARG);
    CHECK(!rd_kafka_mock_broker_decommission(mcluster, 4));
    CHECK(delivered == 4);
    rd_kafka_mock_stop_request_tracking(mcluster);
    CHECK(requests(mcluster, 0, &broker) == 0);

    rd_kafka_destroy(rk);
    rd_kafka_mock_cluster_destroy(mcluster);
    rd_kafka_destroy(owner);
}

/* A handle that brings its cluster along. */
static void test_property(void) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "test.mock.num.brokers", "3");
    set(conf, "bootstrap.servers", "localhost:1");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, conf);
    rd_kafka_mock_cluster_t *mcluster = rd_kafka_handle_mock_cluster(rk);
    CHECK(mcluster && rd_kafka_mock_cluster_handle(mcluster) == rk);
    CHECK(!rd_kafka_mock_broker_set_rtt(mcluster, -1, 10));
    delivered = 0;
    produce(rk, "one");
    CHECK(delivered == 1);
    rd_kafka_destroy(rk);
    CHECK(!rd_kafka_wait_destroyed(10000));
}

static void on_failure(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    CHECK(message->err);
    delivered++;
}

/* An idempotent producer whose request `api` is refused with `code`: what that is to the handle. */
static void test_fatal(const char *gapless, int16_t api, rd_kafka_resp_err_t code, rd_kafka_resp_err_t expected) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "test.mock.num.brokers", "1");
    set(conf, "enable.idempotence", "true");
    set(conf, "enable.gapless.guarantee", gapless);
    rd_kafka_conf_set_dr_msg_cb(conf, on_failure);
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, conf);
    rd_kafka_mock_cluster_t *mcluster = rd_kafka_handle_mock_cluster(rk);
    CHECK(!rd_kafka_mock_topic_create(mcluster, "t", 1, 1));
    rd_kafka_mock_push_request_errors(mcluster, api, 1, code);
    delivered = 0;
    produce(rk, "one");
    CHECK(delivered == 1);
    char why[512] = "";
    CHECK(rd_kafka_fatal_error(rk, why, sizeof why) == expected && !*why == !expected);
    int taken = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("two", 3), RD_KAFKA_V_END);
    CHECK(taken == (expected ? RD_KAFKA_RESP_ERR__FATAL : RD_KAFKA_RESP_ERR_NO_ERROR));
    rd_kafka_destroy(rk);
}

static int connects;

static int on_connect(int sock, const struct sockaddr *address, int length, const char *id, void *opaque) {
    connects++;
    return connect(sock, address, (socklen_t)length) ? errno : 0;
}

/* Metadata whose answers are late twice: how many connections that takes. */
static int connects_where_answers_are_late(const char *max_fails) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "test.mock.num.brokers", "1");
    set(conf, "socket.timeout.ms", "500");
    set(conf, "socket.max.fails", max_fails);
    rd_kafka_conf_set_connect_cb(conf, on_connect);
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, conf);
    const struct rd_kafka_metadata *metadata;
    CHECK(!rd_kafka_metadata(rk, 1, NULL, &metadata, 10000));
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_mock_cluster_t *mcluster = rd_kafka_handle_mock_cluster(rk);
    CHECK(!rd_kafka_mock_broker_push_request_error_rtts(mcluster, 1, 3, 2, RD_KAFKA_RESP_ERR_NO_ERROR, 700,
                                                        RD_KAFKA_RESP_ERR_NO_ERROR, 700));
    connects = 0;
    CHECK(!rd_kafka_metadata(rk, 1, NULL, &metadata, 10000));
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
    return connects;
}

int main(void) {
    CHECK(connects_where_answers_are_late("100") == 0);
    CHECK(connects_where_answers_are_late("1") > 0);
    test_cluster();
    test_property();
    test_fatal("false", 0, RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR_NO_ERROR);
    test_fatal("true", 0, RD_KAFKA_RESP_ERR_INVALID_RECORD, RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE);
    test_fatal("false", 22, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED);
    CHECK(!rd_kafka_mock_cluster_handle(NULL) && !rd_kafka_mock_cluster_bootstraps(NULL));
    rd_kafka_mock_cluster_destroy(NULL);
    CHECK(rd_kafka_mock_broker_set_up(NULL, 1) == RD_KAFKA_RESP_ERR__INVALID_ARG);
    puts("ok");
    return 0;
}
