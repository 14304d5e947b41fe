/* Prints what the library answers about its configuration, errors and lists, for comparison with what the original answers. */
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "property_names.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const char *const values[] = {
    NULL,          "",          " ",           "0",           "1",          "-1",         "2",         "7",
    "100",         "1000",      "70000",       "1000000",     "2147483647", "2147483648", "-2147483649",
    "99999999999", "0x10",      "010",         " 5",          "5 ",         "5x",         "1.5",       "1e3",
    "-0.5",        "900001",    "abc",         "  padded ",   "true",       "TRUE",       "t",         "T",
    "true ",       "false",     "F",           "yes",         "all",        "none",       "None",      "gzip",
    "gzip,snappy", "lz4",       "ssl",         "sasl_ssl",    "plaintext ", " plaintext", "broker",    "broker,cgrp",
    "broker ,msg", "-broker",   "+msg,,topic", "range",       "a b",        "a,b",        "murmur2",   "consistent",
    "0.7.1",       "0.9.0.1",   "4.1",         "^a,b$",       "(",          "earliest",   "smallest",  "error",
    "inherit",     "SCRAM-SHA-256", "oidc",    "rebootstrap", "v4",         "https",      "file",      "read_committed",
    "consumer",    "sasl_gssapi",
};

static void show_value(const char *value) {
        printf("%s\n", value ? value : "(none)");
}

/* What setting a property gives, and what reading it gives afterwards. */
static void properties_one_by_one(void) {
        for (size_t n = 0; n < COUNT(names); n++) {
                for (size_t v = 0; v < COUNT(values); v++) {
                        char errstr[512] = "", got[2048] = "";
                        size_t size             = sizeof(got);
                        rd_kafka_conf_t *conf   = rd_kafka_conf_new();
                        rd_kafka_conf_res_t set = rd_kafka_conf_set(conf, names[n], values[v], errstr, sizeof(errstr));
                        rd_kafka_conf_res_t get = rd_kafka_conf_get(conf, names[n], got, &size);
                        /* After success the original leaves there what the first of two tries said. */
                        errstr[set == RD_KAFKA_CONF_OK ? 0 : strcspn(errstr, "\n")] = '\0';
                        if (!strncmp(got, "0x", 2) && strcmp(got, "0x10"))
                                strcpy(got, "POINTER");
                        printf("SET\t%s\t%s\t%d\t%s\t%d\t%s\n", names[n], values[v] ? values[v] : "NULL", (int)set, errstr,
                               (int)get, get == RD_KAFKA_CONF_OK ? got : "");
                        rd_kafka_conf_destroy(conf);
                }
        }
}

static void dump(const char *title, const char **pairs, size_t count) {
        printf("%s\n", title);
        for (size_t i = 0; i + 1 < count; i += 2)
                printf("%s = %s\n", pairs[i], strncmp(pairs[i + 1], "0x", 2) ? pairs[i + 1] : "POINTER");
        rd_kafka_conf_dump_free(pairs, count);
}

static void dr(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
}

/* Dumps: of defaults, of what was set, of copies. */
static void dumps(void) {
        static const char *filter[] = {"client.", "acks", "dr_", "topic"};
        char errstr[64];
        size_t count;
        rd_kafka_conf_t *conf         = rd_kafka_conf_new();
        rd_kafka_topic_conf_t *tconf  = rd_kafka_topic_conf_new();
        rd_kafka_topic_conf_t *tconf2 = NULL;
        const char **pairs            = rd_kafka_conf_dump(conf, &count);

        dump("DUMP\tdefaults", pairs, count);
        pairs = rd_kafka_topic_conf_dump(tconf, &count);
        dump("DUMP\tdefaults of topics", pairs, count);
        printf("DEFAULT TOPIC CONF\t%d\n", rd_kafka_conf_get_default_topic_conf(conf) != NULL);

        rd_kafka_conf_set(conf, "client.id", "me", errstr, sizeof(errstr));
        rd_kafka_conf_set(conf, "linger.ms", "12.25", errstr, sizeof(errstr));
        rd_kafka_conf_set(conf, "debug", "broker,msg", errstr, sizeof(errstr));
        rd_kafka_conf_set(conf, "acks", "1", errstr, sizeof(errstr));
        rd_kafka_conf_set(conf, "compression.type", "lz4", errstr, sizeof(errstr));
        rd_kafka_conf_set(conf, "topic.blacklist", "^a,b", errstr, sizeof(errstr));
        rd_kafka_conf_set_dr_msg_cb(conf, dr);
        rd_kafka_conf_set_opaque(conf, conf);
        rd_kafka_conf_set_events(conf, 0x12);
        rd_kafka_conf_enable_sasl_queue(conf, 1);
        printf("DEFAULT TOPIC CONF\t%d\n", rd_kafka_conf_get_default_topic_conf(conf) != NULL);
        pairs = rd_kafka_conf_dump(conf, &count);
        dump("DUMP\tset", pairs, count);

        rd_kafka_conf_t *copy = rd_kafka_conf_dup(conf);
        pairs                 = rd_kafka_conf_dump(copy, &count);
        dump("DUMP\tcopy", pairs, count);
        pairs = rd_kafka_topic_conf_dump(rd_kafka_conf_get_default_topic_conf(copy), &count);
        dump("DUMP\tcopy's topics", pairs, count);
        rd_kafka_conf_destroy(copy);

        copy  = rd_kafka_conf_dup_filter(conf, COUNT(filter), filter);
        pairs = rd_kafka_conf_dump(copy, &count);
        dump("DUMP\tfiltered copy", pairs, count);
        rd_kafka_conf_destroy(copy);

        rd_kafka_topic_conf_set(tconf, "topic.acks", "0", errstr, sizeof(errstr));
        rd_kafka_topic_conf_set(tconf, "partitioner", "murmur2", errstr, sizeof(errstr));
        rd_kafka_topic_conf_set_opaque(tconf, tconf);
        tconf2 = rd_kafka_topic_conf_dup(tconf);
        rd_kafka_conf_set_default_topic_conf(conf, tconf);
        printf("SAME\t%d\n", rd_kafka_conf_get_default_topic_conf(conf) == tconf);
        pairs = rd_kafka_topic_conf_dump(tconf2, &count);
        dump("DUMP\ttopic's copy", pairs, count);
        rd_kafka_topic_conf_destroy(tconf2);
        rd_kafka_conf_destroy(conf);
}

/* How values are read into small buffers. */
static void sizes(void) {
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        char small[4], errstr[8];
        size_t size;

        printf("SIZE\t%d", (int)rd_kafka_conf_get(conf, "client.id", NULL, &size));
        printf("\t%zu\n", size);
        size = sizeof(small);
        printf("SIZE\t%d", (int)rd_kafka_conf_get(conf, "client.id", small, &size));
        printf("\t%zu\t%s\n", size, small);
        printf("SIZE\t%d", (int)rd_kafka_conf_get(conf, "enabled_events", NULL, &size));
        printf("\t%zu\n", size);
        printf("CUT\t%d", (int)rd_kafka_conf_set(conf, "nonsense", "1", errstr, sizeof(errstr)));
        printf("\t%s\n", errstr);
        printf("NOWHERE\t%d\n", (int)rd_kafka_conf_set(conf, "nonsense", "1", NULL, 0));
        rd_kafka_conf_destroy(conf);
}

/* What a new handle says to settings, and what it has made of them: P or C, then properties. */
static const char *const handles[][8] = {
    {"P"},
    {"C"},
    {"C", "group.id=g"},
    {"P", "enable.idempotence=true"},
    {"P", "enable.idempotence=true", "acks=1"},
    {"P", "enable.idempotence=true", "acks=all"},
    {"P", "enable.idempotence=true", "max.in.flight=6"},
    {"P", "enable.idempotence=true", "max.in.flight=3"},
    {"P", "enable.idempotence=true", "retries=0"},
    {"P", "enable.idempotence=true", "queuing.strategy=lifo"},
    {"P", "enable.idempotence=true", "queue.buffering.backpressure.threshold=2"},
    {"P", "enable.gapless.guarantee=true"},
    {"P", "enable.gapless.guarantee=true", "enable.idempotence=true"},
    {"P", "transactional.id=t", "enable.idempotence=false"},
    {"P", "transactional.id=t", "socket.timeout.ms=70000", "transaction.timeout.ms=60000"},
    {"P", "transactional.id=t", "message.timeout.ms=70000"},
    {"P", "linger.ms=100", "message.timeout.ms=100"},
    {"P", "linger.ms=100", "message.timeout.ms=101"},
    {"P", "message.timeout.ms=2"},
    {"P", "linger.ms=7"},
    {"P", "reconnect.backoff.ms=100", "reconnect.backoff.max.ms=99"},
    {"P", "topic.metadata.refresh.interval.ms=1000"},
    {"P", "topic.metadata.refresh.interval.ms=-1"},
    {"P", "retry.backoff.ms=250"},
    {"C", "message.max.bytes=70000000"},
    {"C", "fetch.max.bytes=1000"},
    {"C", "fetch.max.bytes=5000000", "receive.message.max.bytes=5000511"},
    {"C", "fetch.max.bytes=5000000", "receive.message.max.bytes=5000512"},
    {"C", "queued.max.messages.kbytes=1000"},
    {"C", "fetch.min.bytes=0"},
    {"C", "fetch.min.bytes=100000001"},
    {"C", "session.timeout.ms=300001"},
    {"C", "group.id=g", "session.timeout.ms=6000", "max.poll.interval.ms=5999"},
    {"C", "group.id=g", "group.protocol=consumer"},
    {"C", "group.id=g", "group.protocol=consumer", "session.timeout.ms=6000"},
    {"C", "group.id=g", "group.protocol=consumer", "heartbeat.interval.ms=1000"},
    {"C", "group.id=g", "group.protocol=consumer", "partition.assignment.strategy=range"},
    {"C", "group.id=g", "group.protocol=consumer", "group.protocol.type=consumer"},
    {"C", "group.id=g", "partition.assignment.strategy=nothing"},
    {"C", "group.id=g", "partition.assignment.strategy=range, roundrobin"},
    {"C", "group.id=g", "partition.assignment.strategy=range,cooperative-sticky"},
    {"C", "group.id=g", "partition.assignment.strategy=cooperative-sticky"},
    {"P", "security.protocol=sasl_plaintext"},
    {"P", "security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN"},
    {"P", "security.protocol=sasl_plaintext", "sasl.mechanism=SCRAM-SHA-256", "sasl.username=u"},
    {"P", "security.protocol=sasl_plaintext", "sasl.mechanism=SCRAM-SHA-512", "sasl.username=u", "sasl.password=p"},
    {"P", "security.protocol=sasl_plaintext", "sasl.mechanism=NOTHING"},
    {"P", "security.protocol=sasl_plaintext", "sasl.mechanism=PLAIN", "sasl.username=u", "sasl.password=p"},
    {"P", "ssl.keystore.location=/nowhere"},
    {"P", "client.id=", "allow.auto.create.topics=false"},
    {"P", "client.software.name=_my client!_"},
    {"C", "allow.auto.create.topics=true"},
    {"P", "debug=conf", "log_level=3"},
    {"P", "acks=2"},
};

static const char *const adjusted[] = {
    "max.in.flight",      "retries",           "linger.ms",
    "socket.timeout.ms",  "message.timeout.ms", "acks",
    "fetch.max.bytes",    "receive.message.max.bytes", "metadata.max.age.ms",
    "allow.auto.create.topics", "sticky.partitioning.linger.ms", "topic.metadata.refresh.fast.interval.ms",
    "enable.idempotence", "client.id",         "client.software.name",
    "group.protocol",     "queuing.strategy",  "log_level",
};

static void quiet(const rd_kafka_t *rk, int level, const char *fac, const char *buf) {
}

static void new_handles(void) {
        for (size_t h = 0; h < COUNT(handles); h++) {
                char errstr[512]      = "";
                rd_kafka_conf_t *conf = rd_kafka_conf_new();

                printf("NEW");
                rd_kafka_conf_set_log_cb(conf, quiet);
                rd_kafka_conf_set(conf, "bootstrap.servers", "127.0.0.1:1", NULL, 0);
                for (size_t i = 1; i < COUNT(handles[h]) && handles[h][i]; i++) {
                        char name[64], *value;
                        strcpy(name, handles[h][i]);
                        value    = strchr(name, '=');
                        *value++ = '\0';
                        printf(" %s", handles[h][i]);
                        if (rd_kafka_conf_set(conf, name, value, errstr, sizeof(errstr)))
                                printf(" (%s)", errstr);
                }
                *errstr = '\0';
                rd_kafka_t *rk =
                    rd_kafka_new(*handles[h][0] == 'P' ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));
                if (!rk) {
                        printf(" %s\nREFUSED\t%s\t%s\t%d\n", handles[h][0], errstr, rd_kafka_err2name(rd_kafka_last_error()),
                               errno == EINVAL);
                        rd_kafka_conf_destroy(conf);
                        continue;
                }
                printf(" %s\nMADE", handles[h][0]);
                for (size_t i = 0; i < COUNT(adjusted); i++) {
                        char got[128];
                        size_t size = sizeof(got);
                        if (rd_kafka_conf_get(rd_kafka_conf(rk), adjusted[i], got, &size) == RD_KAFKA_CONF_OK)
                                printf("\t%s", got);
                        else
                                printf("\t-");
                }
                printf("\n");
                rd_kafka_destroy(rk);
        }
}

static void errors(void) {
        const struct rd_kafka_err_desc *descs;
        size_t count;
        rd_kafka_error_t *error;

        rd_kafka_get_err_descs(&descs, &count);
        printf("CODES\t%zu\n", count);
        for (size_t i = 0; i < count; i++)
                if (descs[i].name)
                        printf("CODE\t%d\t%s\t%s\t%s\t%s\n", descs[i].code, descs[i].name, descs[i].desc ? descs[i].desc : "NULL",
                               rd_kafka_err2name(descs[i].code), rd_kafka_err2str(descs[i].code));
        for (int code = -210; code < 210; code += 105)
                printf("CODE\t%d\t%s\t%s\n", code, rd_kafka_err2name(code), rd_kafka_err2str(code));
        error = rd_kafka_error_new(RD_KAFKA_RESP_ERR__INVALID_ARG, "%s %d %.2f %" PRId64, "text", 42, 2.5, (int64_t)1 << 40);
        printf("ERROR\t%s\t%s\t%d%d%d\n", rd_kafka_error_name(error), rd_kafka_error_string(error), rd_kafka_error_is_fatal(error),
               rd_kafka_error_is_retriable(error), rd_kafka_error_txn_requires_abort(error));
        rd_kafka_error_destroy(error);
        error = rd_kafka_error_new(RD_KAFKA_RESP_ERR__STATE, NULL);
        printf("ERROR\t%s\t%s\n", rd_kafka_error_name(error), rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        printf("ERROR\t[%s]\t[%s]\t%d\n", rd_kafka_error_name(NULL), rd_kafka_error_string(NULL), rd_kafka_error_code(NULL));
        rd_kafka_error_destroy(NULL);
}

static void lists(void) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0), *copy;
        rd_kafka_Uuid_t *uuid                 = rd_kafka_Uuid_new(0x0123456789abcdef, 77), *same = rd_kafka_Uuid_copy(uuid);

        rd_kafka_topic_partition_list_add_range(list, "b", 3, 5);
        rd_kafka_topic_partition_list_add(list, "a", -1)->offset = 9;
        rd_kafka_topic_partition_set_leader_epoch(&list->elems[3], 4);
        rd_kafka_topic_partition_list_add(list, "b", 0);
        copy = rd_kafka_topic_partition_list_copy(list);
        rd_kafka_topic_partition_list_sort(copy, NULL, NULL);
        for (int i = 0; i < copy->cnt; i++)
                printf("ELEMENT\t%s\t%d\t%" PRId64 "\t%d\n", copy->elems[i].topic, copy->elems[i].partition, copy->elems[i].offset,
                       rd_kafka_topic_partition_get_leader_epoch(&copy->elems[i]));
        printf("LIST\t%d%d%d%d\t%d\t%s\n", rd_kafka_topic_partition_list_del(list, "b", 4), rd_kafka_topic_partition_list_del(list, "b", 4),
               rd_kafka_topic_partition_list_del_by_idx(list, 99), rd_kafka_topic_partition_list_del_by_idx(list, -1), list->cnt,
               rd_kafka_err2name(rd_kafka_topic_partition_list_set_offset(list, "c", 0, 1)));
        printf("FOUND\t%d\t%d\n", rd_kafka_topic_partition_list_find(list, "b", 5) == &list->elems[1],
               rd_kafka_topic_partition_list_find(list, "b", 6) == NULL);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_topic_partition_list_destroy(copy);
        printf("UUID\t%s\t%" PRId64 "\t%" PRId64 "\n", rd_kafka_Uuid_base64str(same), rd_kafka_Uuid_most_significant_bits(same),
               rd_kafka_Uuid_least_significant_bits(same));
        rd_kafka_Uuid_destroy(uuid);
        rd_kafka_Uuid_destroy(same);
        printf("CONTEXTS\t");
        show_value(rd_kafka_get_debug_contexts());
}

int main(void) {
        properties_one_by_one();
        dumps();
        sizes();
        new_handles();
        errors();
        lists();
        return 0;
}
