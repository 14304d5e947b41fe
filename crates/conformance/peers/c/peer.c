/* librdkafka, as the system has it, as a judge of a broker: the scenario of ../README.md.
 * Build: cc peer.c -o peer $(pkg-config --cflags --libs rdkafka). Run: peer BOOTSTRAP TOPIC_PREFIX COUNT
 * Written against librdkafka 2.0, so that what Debian packages will do. */

#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARTITIONS 4
#define CODECS 5
#define BASE_TIMESTAMP 1700000000000LL

static const char *codecs[CODECS] = {"none", "gzip", "snappy", "lz4", "zstd"};
static const char *bootstrap, *topic;
static int count;
static char done[1024];
static const char *current = "start";

/* A record by its round and number; everything else follows from those. */
struct sent {
    int number; /* round * count + i */
};

static struct sent *sent[PARTITIONS];
static int sent_count[PARTITIONS];
static int delivery_errors;

static void fail(const char *format, ...) {
    char error[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, sizeof error, format, arguments);
    va_end(arguments);
    for (char *c = error; *c; c++)
        if (*c == '"' || *c == '\\' || *c < ' ') *c = '\'';
    printf("{\"client\":\"librdkafka %s\",\"ok\":false,\"checks\":[%s],\"failed\":\"%s\",\"error\":\"%s\"}\n",
           rd_kafka_version_str(), done, current, error);
    exit(1);
}

static void passed(void) {
    size_t used = strlen(done);
    snprintf(done + used, sizeof done - used, "%s\"%s\"", used ? "," : "", current);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) fail("%s", error);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    (void)opaque;
    int number = (int)(size_t)message->_private - 1;
    if (message->err) {
        delivery_errors++;
        fprintf(stderr, "record %d: %s\n", number, rd_kafka_err2str(message->err));
    } else if (number >= 0) {
        int p = message->partition;
        if (message->offset != sent_count[p])
            fail("partition %d: expected offset %d, got %lld", p, sent_count[p], (long long)message->offset);
        sent[p][sent_count[p]++].number = number;
    }
}

static rd_kafka_t *producer(const char *codec, const char *acks) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char error[512];
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "compression.type", codec);
    set(conf, "acks", acks);
    set(conf, "enable.idempotence", strcmp(acks, "all") ? "false" : "true");
    set(conf, "linger.ms", "5");
    set(conf, "delivery.timeout.ms", "30000");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (!rk) fail("%s", error);
    return rk;
}

static rd_kafka_t *consumer(const char *max_wait) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char error[512];
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", "unused");
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "error");
    set(conf, "fetch.wait.max.ms", max_wait);
    set(conf, "socket.timeout.ms", "20000");
    set(conf, "check.crcs", "true");
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (!rk) fail("%s", error);
    rd_kafka_poll_set_consumer(rk);
    return rk;
}

static void assign(rd_kafka_t *rk, int first, int last, int64_t offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    for (int p = first; p <= last; p++) rd_kafka_topic_partition_list_add(list, topic, p)->offset = offset;
    rd_kafka_resp_err_t error = rd_kafka_assign(rk, list);
    if (error) fail("assign: %s", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(list);
}

/* The record's parts; *key or *value NULL is null. */
static void parts(int number, char *key_buffer, const char **key, size_t *key_length, char **value, size_t *value_length) {
    static char buffer[300001];
    int round = number / count, i = number % count;
    *key = NULL;
    *key_length = *value_length = 0;
    *value = NULL;
    if (i % 10 == 1) *key = "";
    if (i % 10 > 1) {
        *key_length = (size_t)sprintf(key_buffer, "key-%d", i % 17);
        *key = key_buffer;
    }
    if (i == count - 1) {
        memset(buffer, 'y', *value_length = 300000);
        *value = buffer;
    } else if (i % 11 == 1) {
        *value = buffer;
    } else if (i % 11 > 1) {
        int head = sprintf(buffer, "%s-%d-", codecs[round], i);
        memset(buffer + head, 'x', (size_t)(i % 200));
        *value_length = (size_t)(head + i % 200);
        *value = buffer;
    }
}

static rd_kafka_headers_t *headers_of(int i) {
    char text[32];
    if (i % 3 == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
    if (i % 3 == 1) {
        rd_kafka_header_add(headers, "trace", -1, text, snprintf(text, sizeof text, "t-%d", i));
    } else {
        rd_kafka_header_add(headers, "dup", -1, "1", 1);
        rd_kafka_header_add(headers, "dup", -1, "2", 1);
        rd_kafka_header_add(headers, "null", -1, NULL, 0);
        rd_kafka_header_add(headers, "empty", -1, "", 0);
    }
    return headers;
}

static void produce(int round) {
    rd_kafka_t *rk = producer(codecs[round], "all");
    for (int i = 0; i < count; i++) {
        char key_buffer[32], *value;
        const char *key;
        size_t key_length, value_length;
        int number = round * count + i;
        parts(number, key_buffer, &key, &key_length, &value, &value_length);
        rd_kafka_headers_t *headers = headers_of(i);
        rd_kafka_vu_t vus[7] = {{.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
                                {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)key, key_length}},
                                {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, value_length}},
                                {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
                                {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = BASE_TIMESTAMP + number * 10LL},
                                {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(size_t)(number + 1)},
                                {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers}};
        rd_kafka_error_t *error = rd_kafka_produceva(rk, vus, headers ? 7 : 6);
        if (error) fail("produce: %s", rd_kafka_error_string(error));
        rd_kafka_poll(rk, 0);
    }
    rd_kafka_resp_err_t error = rd_kafka_flush(rk, 40000);
    if (error || delivery_errors) fail("flush: %s, %d errors", rd_kafka_err2str(error), delivery_errors);
    rd_kafka_destroy(rk);
}

static void same_bytes(const char *what, int p, int64_t offset, const void *a, size_t a_length, const void *b, size_t b_length) {
    if ((a == NULL) != (b == NULL) || a_length != b_length || (a && memcmp(a, b, a_length)))
        fail("%d@%lld %s: %s of %zu bytes became %s of %zu", p, (long long)offset, what, a ? "some" : "null", a_length, b ? "some" : "null", b_length);
}

static void compare(int number, const rd_kafka_message_t *message) {
    char key_buffer[32], *value;
    const char *key, *name, *expected_name;
    const void *got, *expected;
    size_t key_length, value_length, got_length, expected_length;
    int p = message->partition;
    rd_kafka_timestamp_type_t type;
    parts(number, key_buffer, &key, &key_length, &value, &value_length);
    if (rd_kafka_message_timestamp(message, &type) != BASE_TIMESTAMP + number * 10LL || type != RD_KAFKA_TIMESTAMP_CREATE_TIME)
        fail("%d@%lld: another timestamp", p, (long long)message->offset);
    same_bytes("key", p, message->offset, key, key_length, message->key, message->key_len);
    same_bytes("value", p, message->offset, value, value_length, message->payload, message->len);
    rd_kafka_headers_t *headers = NULL, *wanted = headers_of(number % count);
    rd_kafka_message_headers(message, &headers);
    size_t wanted_count = wanted ? rd_kafka_header_cnt(wanted) : 0;
    if (wanted_count != (headers ? rd_kafka_header_cnt(headers) : 0)) fail("%d@%lld: another number of headers", p, (long long)message->offset);
    for (size_t i = 0; i < wanted_count; i++) {
        rd_kafka_header_get_all(wanted, i, &expected_name, &expected, &expected_length);
        rd_kafka_header_get_all(headers, i, &name, &got, &got_length);
        if (strcmp(expected_name, name)) fail("%d@%lld: header %s became %s", p, (long long)message->offset, expected_name, name);
        same_bytes(name, p, message->offset, expected, expected_length, got, got_length);
    }
    if (wanted) rd_kafka_headers_destroy(wanted);
}

static void consume(void) {
    rd_kafka_t *rk = consumer("500");
    assign(rk, 0, PARTITIONS - 1, RD_KAFKA_OFFSET_BEGINNING);
    int seen[PARTITIONS] = {0}, total = 0;
    double deadline = now() + 60;
    while (total < CODECS * count) {
        if (now() > deadline) fail("after 60 s only %d of %d records", total, CODECS * count);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 500);
        if (!message) continue;
        if (message->err) fail("%s", rd_kafka_message_errstr(message));
        int p = message->partition;
        if (message->offset != seen[p] || seen[p] >= sent_count[p]) fail("%d@%lld was not expected", p, (long long)message->offset);
        compare(sent[p][seen[p]++].number, message);
        total++;
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static int64_t latest(rd_kafka_t *rk, int partition) {
    int64_t low, high;
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(rk, topic, partition, &low, &high, 10000);
    if (error) fail("watermarks of %d: %s", partition, rd_kafka_err2str(error));
    return high;
}

static void offsets(rd_kafka_t *rk) {
    int64_t middle = BASE_TIMESTAMP + (int64_t)(CODECS * count / 2) * 10 - 5;
    for (int p = 0; p < PARTITIONS; p++) {
        int64_t low, high, expected = RD_KAFKA_OFFSET_END;
        rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(rk, topic, p, &low, &high, 10000);
        if (error) fail("watermarks of %d: %s", p, rd_kafka_err2str(error));
        if (low != 0 || high != sent_count[p]) fail("partition %d: %lld..%lld, expected 0..%d", p, (long long)low, (long long)high, sent_count[p]);
        for (int i = sent_count[p] - 1; i >= 0; i--)
            if (BASE_TIMESTAMP + sent[p][i].number * 10LL >= middle) expected = i;
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, p)->offset = middle;
        if ((error = rd_kafka_offsets_for_times(rk, list, 10000)) || (error = list->elems[0].err)) fail("by time: %s", rd_kafka_err2str(error));
        if (list->elems[0].offset != expected) fail("partition %d by time: expected %lld, got %lld", p, (long long)expected, (long long)list->elems[0].offset);
        rd_kafka_topic_partition_list_destroy(list);
    }
}

static void send_one(const char *acks, int partition) {
    rd_kafka_t *rk = producer("none", acks);
    rd_kafka_resp_err_t error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_VALUE("one", 3),
                                                  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (!error) error = rd_kafka_flush(rk, 20000);
    if (error || delivery_errors) fail("acks=%s: %s, %d errors", acks, rd_kafka_err2str(error), delivery_errors);
    rd_kafka_destroy(rk);
}

static void acks(rd_kafka_t *rk) {
    int64_t before = latest(rk, 3);
    send_one("1", 3);
    send_one("0", 3);
    double deadline = now() + 10;
    while (latest(rk, 3) != before + 2)
        if (now() > deadline) fail("records with acks=1 and acks=0 not within 10 s");
}

static void wakeup(void) {
    rd_kafka_t *rk = consumer("10000");
    assign(rk, 2, 2, RD_KAFKA_OFFSET_END);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 1500);
    if (message) fail("a record at the end");
    send_one("all", 2);
    if (!(message = rd_kafka_consumer_poll(rk, 3000))) fail("no record within 3 s");
    if (message->err) fail("%s", rd_kafka_message_errstr(message));
    rd_kafka_message_destroy(message);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void out_of_range(void) {
    rd_kafka_t *rk = consumer("500");
    assign(rk, 1, 1, 1000000000);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 10000);
    if (!message || message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) fail("no error for a position past the end");
    rd_kafka_message_destroy(message);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static rd_kafka_event_t *admin_result(rd_kafka_queue_t *queue, const char *what) {
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 40000);
    if (!event) fail("%s: no answer", what);
    if (rd_kafka_event_error(event)) fail("%s: %s", what, rd_kafka_event_error_string(event));
    return event;
}

static rd_kafka_resp_err_t topic_error(const rd_kafka_topic_result_t **results, size_t number) {
    if (number != 1) fail("%zu results for one topic", number);
    return rd_kafka_topic_result_error(results[0]);
}

static rd_kafka_resp_err_t create(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    char error[512];
    size_t number;
    rd_kafka_NewTopic_t *new = rd_kafka_NewTopic_new(topic, PARTITIONS, 1, error, sizeof error);
    rd_kafka_NewTopic_set_config(new, "retention.ms", "-1");
    rd_kafka_CreateTopics(rk, &new, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "CreateTopics");
    const rd_kafka_topic_result_t **results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &number);
    rd_kafka_resp_err_t result = topic_error(results, number);
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(new);
    return result;
}

/* Whether the topic is listed, with that many partitions, each with a leader and one replica in sync. */
static bool listed(rd_kafka_t *rk, int partitions) {
    const struct rd_kafka_metadata *metadata;
    bool found = false;
    rd_kafka_resp_err_t error = rd_kafka_metadata(rk, 1, NULL, &metadata, 10000);
    if (error) fail("metadata: %s", rd_kafka_err2str(error));
    if (metadata->broker_cnt < 1) fail("no brokers");
    for (int t = 0; t < metadata->topic_cnt; t++) {
        if (strcmp(metadata->topics[t].topic, topic) || metadata->topics[t].err) continue;
        found = metadata->topics[t].partition_cnt == partitions;
        for (int p = 0; p < metadata->topics[t].partition_cnt; p++)
            found &= metadata->topics[t].partitions[p].leader >= 0 && metadata->topics[t].partitions[p].isr_cnt == 1;
    }
    rd_kafka_metadata_destroy(metadata);
    return found;
}

static void await_listed(rd_kafka_t *rk, int partitions, bool wanted) {
    double deadline = now() + 10;
    while (listed(rk, partitions) != wanted)
        if (now() > deadline) fail("not within 10 s: topic with %d partitions %s", partitions, wanted ? "there" : "gone");
}

static void grow(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    char error[512];
    size_t number;
    rd_kafka_NewPartitions_t *new = rd_kafka_NewPartitions_new(topic, 6, error, sizeof error);
    rd_kafka_CreatePartitions(rk, &new, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "CreatePartitions");
    const rd_kafka_topic_result_t **results = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &number);
    rd_kafka_resp_err_t result = topic_error(results, number);
    if (result) fail("CreatePartitions: %s", rd_kafka_err2str(result));
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(new);
    await_listed(rk, 6, true);
}

/* Whether the topic's retention.ms reads so; NULL asks whether it is the default. */
static bool retention_is(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *value) {
    size_t resource_count, entry_count;
    bool seen = false, same = false;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_DescribeConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "DescribeConfigs");
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &resource_count);
    if (resource_count != 1 || rd_kafka_ConfigResource_error(resources[0])) fail("DescribeConfigs: %zu resources", resource_count);
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++)
        if (!strcmp(rd_kafka_ConfigEntry_name(entries[i]), "retention.ms")) {
            seen = true;
            same = value ? !strcmp(rd_kafka_ConfigEntry_value(entries[i]), value) : rd_kafka_ConfigEntry_is_default(entries[i]);
        }
    if (!seen) fail("retention.ms is not described");
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(resource);
    return same;
}

static void await_retention(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *value) {
    double deadline = now() + 10;
    while (!retention_is(rk, queue, value))
        if (now() > deadline) fail("not within 10 s: retention.ms %s", value ? value : "as by default");
}

/* AlterConfigs replaces all that is set: without a value, everything is the default again. */
static void alter_retention(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *value) {
    size_t count;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    if (value) rd_kafka_ConfigResource_set_config(resource, "retention.ms", value);
    rd_kafka_AlterConfigs(rk, &resource, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "AlterConfigs");
    const rd_kafka_ConfigResource_t **resources =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count);
    if (count != 1 || rd_kafka_ConfigResource_error(resources[0])) fail("AlterConfigs: %zu resources", count);
    rd_kafka_event_destroy(event);
    rd_kafka_ConfigResource_destroy(resource);
    await_retention(rk, queue, value);
}

static void configs(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    await_retention(rk, queue, "-1");
    alter_retention(rk, queue, "3600000000000");
    alter_retention(rk, queue, NULL);
    alter_retention(rk, queue, "3600000000000");
}

static void delete_records(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    int64_t low, high;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, 0)->offset = 1;
    rd_kafka_DeleteRecords_t *request = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "DeleteRecords");
    const rd_kafka_topic_partition_list_t *result = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
    if (result->cnt != 1 || result->elems[0].err) fail("DeleteRecords: %s", rd_kafka_err2str(result->elems[0].err));
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(rk, topic, 0, &low, &high, 10000);
    if (error || low != 1) fail("after DeleteRecords: %s, earliest %lld", rd_kafka_err2str(error), (long long)low);
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(request);
    rd_kafka_topic_partition_list_destroy(list);
}

static void delete(rd_kafka_t *rk, rd_kafka_queue_t *queue) {
    size_t number;
    rd_kafka_DeleteTopic_t *request = rd_kafka_DeleteTopic_new(topic);
    rd_kafka_DeleteTopics(rk, &request, 1, NULL, queue);
    rd_kafka_event_t *event = admin_result(queue, "DeleteTopics");
    const rd_kafka_topic_result_t **results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &number);
    rd_kafka_resp_err_t result = topic_error(results, number);
    if (result) fail("DeleteTopics: %s", rd_kafka_err2str(result));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteTopic_destroy(request);
    await_listed(rk, 6, false);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    bootstrap = argv[1], topic = argv[2], count = atoi(argv[3]);
    for (int p = 0; p < PARTITIONS; p++) sent[p] = calloc((size_t)(CODECS * count), sizeof *sent[p]);
    rd_kafka_t *rk = producer("none", "all");
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_resp_err_t error;
    char name[32];

    current = "create";
    if ((error = create(rk, queue))) fail("CreateTopics: %s", rd_kafka_err2str(error));
    await_listed(rk, PARTITIONS, true);
    passed(), current = "create-again";
    if ((error = create(rk, queue)) != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) fail("expected TOPIC_ALREADY_EXISTS, got %s", rd_kafka_err2name(error));
    passed();
    for (int round = 0; round < CODECS; round++) {
        snprintf(name, sizeof name, "produce-%s", codecs[round]);
        current = name;
        produce(round);
        passed();
    }
    current = "consume";
    consume();
    passed(), current = "offsets";
    offsets(rk);
    passed(), current = "acks";
    acks(rk);
    passed(), current = "wakeup";
    wakeup();
    passed(), current = "out-of-range";
    out_of_range();
    passed(), current = "cluster";
    char *cluster = rd_kafka_clusterid(rk, 10000);
    if (!cluster || rd_kafka_controllerid(rk, 10000) < 0) fail("no cluster id or controller");
    passed(), current = "configs";
    configs(rk, queue);
    passed(), current = "partitions";
    grow(rk, queue);
    passed(), current = "delete-records";
    delete_records(rk, queue);
    passed(), current = "delete";
    delete(rk, queue);
    passed();
    printf("{\"client\":\"librdkafka %s\",\"ok\":true,\"checks\":[%s]}\n", rd_kafka_version_str(), done);
    rd_kafka_mem_free(rk, cluster);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return 0;
}
