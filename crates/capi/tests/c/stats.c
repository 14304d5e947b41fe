/* What statistics tell: each test waits for a document that has all it should. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "check.h"

static const char *brokers, *topic;
static char *document;

static int on_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque) {
    free(document);
    document = json;
    return 1;
}

static rd_kafka_t *new_handle(rd_kafka_type_t type, ...) {
    char errstr[512] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_stats_cb(conf, on_stats);
    CHECK(!rd_kafka_conf_set(conf, "statistics.interval.ms", "50", errstr, sizeof errstr));
    va_list list;
    va_start(list, type);
    for (const char *name; (name = va_arg(list, const char *));)
        if (rd_kafka_conf_set(conf, name, va_arg(list, const char *), errstr, sizeof errstr) != RD_KAFKA_CONF_OK)
            fprintf(stderr, "%s\n", errstr), exit(1);
    va_end(list);
    rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    if (!rk)
        fprintf(stderr, "%s\n", errstr), exit(1);
    return rk;
}

/* Waits for statistics in which all these texts are; NULL ends them. */
static void expect(rd_kafka_t *rk, ...) {
    const char *missing = "a document";
    for (time_t end = time(NULL) + 30; missing && time(NULL) < end;) {
        rd_kafka_message_t *message = rd_kafka_type(rk) == RD_KAFKA_CONSUMER ? rd_kafka_consumer_poll(rk, 20) : NULL;
        if (message)
            rd_kafka_message_destroy(message);
        rd_kafka_poll(rk, 20);
        if (!document)
            continue;
        va_list texts;
        va_start(texts, rk);
        while ((missing = va_arg(texts, const char *)) && strstr(document, missing))
            ;
        va_end(texts);
    }
    if (missing)
        fprintf(stderr, "no %s in %s\n", missing, document ? document : "nothing"), exit(1);
    free(document);
    document = NULL;
}

static void end(rd_kafka_t *rk) {
    rd_kafka_destroy(rk);
    free(document);
    document = NULL;
}

static void produce(rd_kafka_t *rk, int count) {
    char value[100] = "";
    for (int i = 0; i < count; i++)
        CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                 RD_KAFKA_V_VALUE(value, sizeof value), RD_KAFKA_V_TIMESTAMP(1), RD_KAFKA_V_END));
}

static void test_producer(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, "bootstrap.servers", brokers, "enable.idempotence", "true",
                                "linger.ms", "900000", "message.timeout.ms", "1000000", NULL);
    expect(rk, "\"idemp_state\":\"Init\"", "\"producer_id\":-1", "\"producer_epoch\":-1", "\"epoch_cnt\":0", NULL);
    produce(rk, 7);
    expect(rk, "\"msgq_cnt\":7", "\"msgq_bytes\":700", "\"msg_size\":700", "\"msgs\":7", "\"leader_epoch\":0",
           "\"next_ack_seq\":0", "\"acked_msgid\":0", NULL);
    CHECK(!rd_kafka_flush(rk, 30000));
    expect(rk, "\"idemp_state\":\"Assigned\"", "\"producer_epoch\":0", "\"epoch_cnt\":1", "\"msgq_cnt\":0", "\"msgs\":7",
           "\"msgs_inflight\":0", "\"next_ack_seq\":7", "\"next_err_seq\":7", "\"acked_msgid\":7", NULL);
    end(rk);
}

static void test_consumer(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, "bootstrap.servers", brokers, "group.id", topic, "auto.offset.reset",
                                "earliest", "auto.commit.interval.ms", "50", NULL);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    CHECK(!rd_kafka_subscribe(rk, topics));
    rd_kafka_topic_partition_list_destroy(topics);
    expect(rk, "\"stored_offset\":7", "\"stored_leader_epoch\":0", "\"committed_offset\":7",
           "\"committed_leader_epoch\":0", "\"leader_epoch\":0", "\"simple_cnt\":0", NULL);
    end(rk);
}

static void test_legacy(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, "bootstrap.servers", brokers, NULL);
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    CHECK(!rd_kafka_consume_start(rkt, 0, RD_KAFKA_OFFSET_BEGINNING));
    CHECK(!rd_kafka_consume_stop(rkt, 0));
    for (int i = 0; i < 100 && !document; i++)
        rd_kafka_poll(rk, 100);
    CHECK(document && strstr(document, "\"simple_cnt\":1"));
    rd_kafka_topic_destroy(rkt);
    end(rk);
}

/* An answer that is late, and then none. */
static void test_errors(const char *max_fails, const char *corrid_errors) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, "test.mock.num.brokers", "1", "socket.timeout.ms", "2000",
                                "socket.max.fails", max_fails, NULL);
    rd_kafka_mock_cluster_t *mcluster = rd_kafka_handle_mock_cluster(rk);
    const struct rd_kafka_metadata *metadata;
    CHECK(!rd_kafka_metadata(rk, 1, NULL, &metadata, 30000));
    rd_kafka_metadata_destroy(metadata);
    CHECK(!rd_kafka_mock_broker_push_request_error_rtts(mcluster, 1, 3, 1, RD_KAFKA_RESP_ERR_NO_ERROR, 2600));
    CHECK(!rd_kafka_metadata(rk, 1, NULL, &metadata, 30000));
    rd_kafka_metadata_destroy(metadata);
    expect(rk, "\"req_timeouts\":1", corrid_errors, NULL);
    CHECK(!rd_kafka_mock_broker_set_down(mcluster, 1));
    expect(rk, "\"rxerrs\":1", NULL);
    end(rk);
}

/* Statistics are made while topics with settings of their own are. */
static void test_settings(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, "statistics.interval.ms", "1", NULL);
    for (int i = 1; i <= 200; i++) {
        char name[20], errstr[512], value[20];
        snprintf(name, sizeof name, "t%d", i);
        snprintf(value, sizeof value, "%d", 1000 + i);
        rd_kafka_topic_conf_t *conf = rd_kafka_topic_conf_new();
        CHECK(!rd_kafka_topic_conf_set(conf, "message.timeout.ms", value, errstr, sizeof errstr));
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, name, conf);
        CHECK(rkt);
        rd_kafka_topic_destroy(rkt);
    }
    expect(rk, "\"metadata_cache_cnt\":200", NULL);
    end(rk);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    brokers = argv[1];
    topic = argv[2];
    /* A hang is a failure too. */
    alarm(120);
    test_settings();
    test_producer();
    test_consumer();
    test_legacy();
    /* The connection goes with the late answer, or outlives it. */
    test_errors("1", "\"rxcorriderrs\":0");
    test_errors("3", "\"rxcorriderrs\":1");
    puts("ok");
    return 0;
}
