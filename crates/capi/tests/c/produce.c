/* Producing in every form, and what the program hears of it. Arguments: BROKERS TOPIC; the topic has three partitions. */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const char *brokers, *topic;
static int64_t last_opaque, reports;
static int64_t next_offset[3];
static char lent[] = "lent";

static rd_kafka_conf_t *settings(const char *const *pairs) {
        char why[256];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        for (; pairs && *pairs; pairs += 2)
                if (rd_kafka_conf_set(conf, pairs[0], pairs[1], why, sizeof(why))) {
                        fprintf(stderr, "%s\n", why);
                        exit(1);
                }
        return conf;
}

static rd_kafka_t *producer(rd_kafka_conf_t *conf) {
        char why[256] = "";
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
        if (!rk) {
                fprintf(stderr, "%s\n", why);
                exit(1);
        }
        return rk;
}

/* Reports come in the order of production, each with its own record. */
static void in_order(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        rd_kafka_timestamp_type_t kind;
        int64_t number = (int64_t)(intptr_t)message->_private;
        CHECK(!message->err && opaque == &reports);
        CHECK(number > last_opaque);
        last_opaque = number;
        CHECK(message->len == 4 && !memcmp(message->payload, lent, 4));
        CHECK((message->payload == lent) == (number % 2 == 1));
        CHECK(message->offset == next_offset[message->partition]++);
        CHECK(!strcmp(rd_kafka_topic_name(message->rkt), topic));
        CHECK(rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_PERSISTED);
        CHECK(rd_kafka_message_latency(message) > 0 && rd_kafka_message_broker_id(message) >= 0);
        CHECK(rd_kafka_message_timestamp(message, &kind) == 1000 + number && kind == RD_KAFKA_TIMESTAMP_CREATE_TIME);
        rd_kafka_headers_t *headers;
        const void *value;
        size_t size;
        CHECK(!rd_kafka_message_headers(message, &headers) && rd_kafka_header_cnt(headers) == 3);
        CHECK(!rd_kafka_header_get_last(headers, "twice", &value, &size) && size == 1 && !memcmp(value, "2", 2));
        CHECK(!rd_kafka_header_get(headers, 0, "none", &value, &size) && !value);
        reports++;
}

static void every_argument(void) {
        const char *const pairs[] = {"bootstrap.servers", brokers, "linger.ms", "5", NULL};
        rd_kafka_conf_t *conf = settings(pairs);
        rd_kafka_conf_set_dr_msg_cb(conf, in_order);
        rd_kafka_conf_set_opaque(conf, &reports);
        rd_kafka_t *rk = producer(conf);
        for (int64_t i = 1; i <= 1000; i++) {
                rd_kafka_resp_err_t err = rd_kafka_producev(
                    rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(1), RD_KAFKA_V_VALUE(lent, 4), RD_KAFKA_V_KEY("k", 1),
                    RD_KAFKA_V_MSGFLAGS(i % 2 ? 0 : RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(1000 + i),
                    RD_KAFKA_V_HEADER("twice", "1", 1), RD_KAFKA_V_HEADER("none", NULL, 0), RD_KAFKA_V_HEADER("twice", "2", -1),
                    RD_KAFKA_V_OPAQUE((void *)(intptr_t)i), RD_KAFKA_V_END);
                CHECK(!err);
        }
        CHECK(rd_kafka_outq_len(rk) > 0);
        CHECK(!rd_kafka_flush(rk, 20000) && reports == 1000 && rd_kafka_outq_len(rk) == 0);

        CHECK(rd_kafka_producev(rk, RD_KAFKA_V_PARTITION(1), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__INVALID_ARG);
        rd_kafka_headers_t *list = rd_kafka_headers_new(1);
        CHECK(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_HEADER("a", "b", 1), RD_KAFKA_V_HEADERS(list),
                                RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__CONFLICT);
        rd_kafka_headers_destroy(list);
        rd_kafka_vu_t wrong[] = {{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic}, {.vtype = (rd_kafka_vtype_t)99}};
        rd_kafka_error_t *error = rd_kafka_produceva(rk, wrong, 2);
        CHECK(rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__INVALID_ARG);
        CHECK(!strcmp(rd_kafka_error_string(error), "Unsupported VTYPE 99"));
        rd_kafka_error_destroy(error);

        CHECK(!rd_kafka_test_fatal_error(rk, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "for a test"));
        char why[64];
        CHECK(rd_kafka_fatal_error(rk, why, sizeof(why)) == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        CHECK(!strcmp(why, "test_fatal_error: for a test"));
        CHECK(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_END) == RD_KAFKA_RESP_ERR__FATAL);
        rd_kafka_destroy(rk);
}

static void batches(void) {
        const char *const pairs[] = {"bootstrap.servers", brokers, "message.max.bytes", "2000", "compression.type", "lz4", NULL};
        rd_kafka_conf_t *conf = settings(pairs);
        rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
        rd_kafka_t *rk = producer(conf);
        rd_kafka_queue_t *queue = rd_kafka_queue_get_main(rk);
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
        static char large[3000];
        rd_kafka_message_t messages[30];
        memset(messages, 0, sizeof(messages));
        for (int i = 0; i < 30; i++) {
                messages[i].payload = i == 7 ? large : strdup("freed");
                messages[i].len = i == 7 ? sizeof(large) : 5;
                messages[i].partition = i % 3;
                messages[i]._private = &messages[i];
        }
        /* The library frees what it takes; the one that is too large stays ours. */
        CHECK(rd_kafka_produce_batch(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_FREE | RD_KAFKA_MSG_F_PARTITION, messages,
                                     30) == 29);
        for (int i = 0; i < 30; i++)
                CHECK(messages[i].err == (i == 7 ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE : RD_KAFKA_RESP_ERR_NO_ERROR));
        int heard = 0;
        while (heard < 29) {
                rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 20000);
                CHECK(event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR);
                size_t count = rd_kafka_event_message_count(event), seen = 0;
                const rd_kafka_message_t *message;
                for (; (message = rd_kafka_event_message_next(event)); seen++) {
                        rd_kafka_message_t *ours = message->_private;
                        CHECK(!message->err && message->partition == ours->partition && message->len == 5);
                        CHECK(!memcmp(message->payload, "freed", 5));
                }
                CHECK(seen == count && rd_kafka_outq_len(rk) > 0);
                heard += (int)count;
                rd_kafka_event_destroy(event);
        }
        CHECK(rd_kafka_outq_len(rk) == 0);
        errno = 0;
        CHECK(rd_kafka_produce(rkt, 17, RD_KAFKA_MSG_F_COPY, "x", 1, NULL, 0, NULL) == -1);
        CHECK(rd_kafka_last_error() == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && errno == ESRCH);
        rd_kafka_topic_destroy(rkt);
        rd_kafka_queue_destroy(queue);
        rd_kafka_destroy(rk);
}

static int failed[3];

static void count_failures(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        int place = message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE     ? 0
                    : message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ? 1
                                                                       : 2;
        CHECK(message->len == 1 && *(const char *)message->payload == 'x');
        failed[place]++;
}

/* Nobody listens there: nothing blocks, and everything ends. */
static void nobody(void) {
        const char *const pairs[] = {"bootstrap.servers", "127.0.0.1:1", "queue.buffering.max.messages", "10",
                                     "message.timeout.ms", "600", "linger.ms", "0", NULL};
        rd_kafka_conf_t *conf = settings(pairs);
        rd_kafka_conf_set_dr_msg_cb(conf, count_failures);
        rd_kafka_t *rk = producer(conf);
        for (int i = 0; i < 10; i++)
                CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("x", 1), RD_KAFKA_V_END));
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, "t", NULL);
        CHECK(rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, 0, "x", 1, NULL, 0, NULL) == -1);
        CHECK(rd_kafka_last_error() == RD_KAFKA_RESP_ERR__QUEUE_FULL && errno == ENOBUFS);
        CHECK(rd_kafka_flush(rk, 0) == RD_KAFKA_RESP_ERR__TIMED_OUT);
        CHECK(rd_kafka_purge(rk, 0x100) == RD_KAFKA_RESP_ERR__INVALID_ARG);
        CHECK(!rd_kafka_purge(rk, RD_KAFKA_PURGE_F_INFLIGHT) && rd_kafka_poll(rk, 0) == 0);
        CHECK(!rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE));
        while (failed[0] < 10)
                rd_kafka_poll(rk, 1000);
        CHECK(failed[0] == 10 && rd_kafka_outq_len(rk) == 0);
        CHECK(rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, 0, "x", 1, NULL, 0, NULL) == 0);
        CHECK(!rd_kafka_flush(rk, 20000) && failed[1] == 1 && failed[2] == 0);

        pid_t child = fork();
        if (child == 0) {
                int taken = rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, 0, "x", 1, NULL, 0, NULL);
                _exit(taken == -1 && rd_kafka_flush(rk, -1) && rd_kafka_poll(rk, 60000) == 0 ? 0 : 1);
        }
        int status;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        rd_kafka_topic_destroy(rkt);
        rd_kafka_destroy(rk);
}

static int32_t always_two(const rd_kafka_topic_t *rkt, const void *key, size_t length, int32_t count, void *rkt_opaque,
                          void *opaque) {
        CHECK(rkt_opaque == &failed && count == 3 && length == 1 && opaque == lent);
        return rd_kafka_topic_partition_available(rkt, 2) ? 2 : -1;
}

static void in_two(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
        CHECK(!message->err && message->partition == 2 && message->offset == RD_KAFKA_OFFSET_INVALID);
        CHECK(rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED);
        reports++;
}

/* A topic with settings of its own. */
static void own_settings(void) {
        char why[256];
        const char *const pairs[] = {"bootstrap.servers", brokers, NULL};
        rd_kafka_conf_t *conf = settings(pairs);
        rd_kafka_conf_set_dr_msg_cb(conf, in_two);
        rd_kafka_t *rk = producer(conf);
        rd_kafka_topic_conf_t *own = rd_kafka_topic_conf_new();
        CHECK(!rd_kafka_topic_conf_set(own, "acks", "0", why, sizeof(why)));
        rd_kafka_topic_conf_set_partitioner_cb(own, always_two);
        rd_kafka_topic_conf_set_opaque(own, &failed);
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, own);
        CHECK(rkt && rd_kafka_topic_opaque(rkt) == &failed);
        reports = 0;
        for (int i = 0; i < 10; i++)
                CHECK(!rd_kafka_produce(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, lent, 4, "k", 1, lent));
        /* What was handed over is sent, though the program has given the topic back. */
        rd_kafka_topic_destroy(rkt);
        CHECK(!rd_kafka_flush(rk, 20000) && reports == 10);
        rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
        if (argc != 3)
                return 2;
        brokers = argv[1];
        topic = argv[2];
        every_argument();
        batches();
        nobody();
        own_settings();
        CHECK(!rd_kafka_wait_destroyed(10000));
        printf("ok\n");
        return 0;
}
