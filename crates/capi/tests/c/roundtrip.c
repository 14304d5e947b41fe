/* Produces, hears of every record, consumes, and checks that what came out is what went in.
 * Arguments: BROKERS TOPIC PARTITIONS COUNT COMPRESSION. Declares what it uses itself, so that it needs no header. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

typedef struct kafka kafka;
typedef struct topic topic;
typedef struct conf conf;
typedef struct queue queue;
typedef struct {
        int err;
        topic *rkt;
        int32_t partition;
        void *payload;
        size_t len;
        void *key;
        size_t key_len;
        int64_t offset;
        void *private_;
} message;
typedef struct {
        char *topic;
        int32_t partition;
        int64_t offset;
        void *metadata;
        size_t metadata_size;
        void *opaque;
        int err;
        void *private_;
} topic_partition;
typedef struct {
        int cnt;
        int size;
        topic_partition *elems;
} topic_partition_list;

conf *rd_kafka_conf_new(void);
void rd_kafka_conf_destroy(conf *);
int rd_kafka_conf_set(conf *, const char *, const char *, char *, size_t);
void rd_kafka_conf_set_dr_msg_cb(conf *, void (*)(kafka *, const message *, void *));
void rd_kafka_conf_set_opaque(conf *, void *);
kafka *rd_kafka_new(int, conf *, char *, size_t);
void rd_kafka_destroy(kafka *);
const char *rd_kafka_name(const kafka *);
topic *rd_kafka_topic_new(kafka *, const char *, void *);
void rd_kafka_topic_destroy(topic *);
const char *rd_kafka_topic_name(const topic *);
int rd_kafka_produce(topic *, int32_t, int, void *, size_t, const void *, size_t, void *);
int rd_kafka_poll(kafka *, int);
int rd_kafka_flush(kafka *, int);
int rd_kafka_outq_len(kafka *);
int rd_kafka_last_error(void);
const char *rd_kafka_err2str(int);
const char *rd_kafka_err2name(int);
topic_partition_list *rd_kafka_topic_partition_list_new(int);
topic_partition *rd_kafka_topic_partition_list_add(topic_partition_list *, const char *, int32_t);
void rd_kafka_topic_partition_list_destroy(topic_partition_list *);
int rd_kafka_assign(kafka *, const topic_partition_list *);
message *rd_kafka_consumer_poll(kafka *, int);
void rd_kafka_message_destroy(message *);
int rd_kafka_consumer_close(kafka *);
queue *rd_kafka_queue_get_consumer(kafka *);
void rd_kafka_queue_destroy(queue *);
ssize_t rd_kafka_consume_batch_queue(queue *, int, message **, size_t);

enum { PRODUCER, CONSUMER };
enum { FREE = 1, COPY = 2, BLOCK = 4 };
enum { QUEUE_FULL = -184, UNKNOWN_PARTITION = -190 };

static char errstr[512];
static long count, reported;
static const char *topic_name;

#define CHECK(what)                                                                                \
        do {                                                                                       \
                if (!(what)) {                                                                     \
                        fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #what, errstr);            \
                        exit(1);                                                                   \
                }                                                                                  \
        } while (0)

static void on_delivery(kafka *rk, const message *m, void *opaque) {
        long i = (long)(intptr_t)m->private_ - 1;
        char value[64];
        CHECK(rk && opaque == &count && m->err == 0 && m->offset >= 0);
        CHECK(!strcmp(rd_kafka_topic_name(m->rkt), topic_name));
        if (i >= 0) {
                snprintf(value, sizeof(value), "value %ld", i);
                CHECK(m->len == strlen(value) && !memcmp(m->payload, value, m->len));
        }
        if (i >= 0 && i % 3 == 0)
                free(m->payload); /* lent: the same pointer came back */
        reported++;
}

static conf *configured(const char *brokers) {
        conf *c = rd_kafka_conf_new();
        CHECK(rd_kafka_conf_set(c, "bootstrap.servers", brokers, errstr, sizeof(errstr)) == 0);
        return c;
}

static void produce(const char *brokers, int partitions, const char *compression) {
        conf *c = configured(brokers);
        CHECK(rd_kafka_conf_set(c, "no.such.property", "1", errstr, sizeof(errstr)) == -2);
        CHECK(rd_kafka_conf_set(c, "linger.ms", "soon", errstr, sizeof(errstr)) == -1);
        CHECK(rd_kafka_conf_set(c, "compression.type", compression, errstr, sizeof(errstr)) == 0);
        CHECK(rd_kafka_conf_set(c, "queue.buffering.max.messages", "1000", errstr, sizeof(errstr)) == 0);
        rd_kafka_conf_set_dr_msg_cb(c, on_delivery);
        rd_kafka_conf_set_opaque(c, &count);
        kafka *rk = rd_kafka_new(PRODUCER, c, errstr, sizeof(errstr));
        CHECK(rk && strstr(rd_kafka_name(rk), "#producer-"));
        topic *t = rd_kafka_topic_new(rk, topic_name, NULL);
        CHECK(t);
        int full = 0;
        for (long i = 0; i < count; i++) {
                char *value = malloc(64);
                CHECK(value);
                snprintf(value, 64, "value %ld", i);
                /* By turns: lent until the report, copied, given away. */
                int flags = i % 3 == 0 ? 0 : i % 3 == 1 ? COPY : FREE;
                int32_t partition = i % 2 ? -1 : (int32_t)(i % partitions);
                while (rd_kafka_produce(t, partition, flags, value, strlen(value), &i, sizeof(i), (void *)(intptr_t)(i + 1))) {
                        CHECK(rd_kafka_last_error() == QUEUE_FULL && errno == ENOBUFS);
                        full++;
                        rd_kafka_poll(rk, 10);
                }
                if (flags == COPY)
                        free(value);
        }
        CHECK(full > 0 || count <= 1000);
        CHECK(rd_kafka_flush(rk, 30000) == 0);
        CHECK(rd_kafka_produce(t, 1000, COPY, "x", 1, NULL, 0, NULL) == -1 && errno == ESRCH);
        CHECK(rd_kafka_last_error() == UNKNOWN_PARTITION);
        CHECK(reported == count && rd_kafka_outq_len(rk) == 0);
        rd_kafka_topic_destroy(t);
        rd_kafka_destroy(rk);
}

static char *seen;
static int64_t *next_offset;
static message *kept;

static long take(message *m) {
        char value[64];
        long i;
        if (m->err) {
                fprintf(stderr, "consumed an error: %s: %s\n", rd_kafka_err2name(m->err), (char *)m->payload);
                exit(1);
        }
        CHECK(m->key_len == sizeof(i));
        memcpy(&i, m->key, sizeof(i));
        CHECK(i >= 0 && i < count && !seen[i]);
        snprintf(value, sizeof(value), "value %ld", i);
        CHECK(m->len == strlen(value) && !memcmp(m->payload, value, m->len));
        CHECK(m->offset == next_offset[m->partition]++);
        CHECK(!strcmp(rd_kafka_topic_name(m->rkt), topic_name));
        seen[i] = 1;
        if (kept)
                rd_kafka_message_destroy(m);
        else
                kept = m; /* The first is given back last: its bytes must still be there. */
        return 1;
}

static void consume(const char *brokers, int partitions, int by_batch) {
        char group[] = "roundtrip";
        conf *c = configured(brokers);
        CHECK(rd_kafka_conf_set(c, "group.id", group, errstr, sizeof(errstr)) == 0);
        kafka *rk = rd_kafka_new(CONSUMER, c, errstr, sizeof(errstr));
        CHECK(rk);
        topic_partition_list *list = rd_kafka_topic_partition_list_new(1);
        for (int p = 0; p < partitions; p++)
                rd_kafka_topic_partition_list_add(list, topic_name, p)->offset = -2;
        CHECK(rd_kafka_assign(rk, list) == 0);
        rd_kafka_topic_partition_list_destroy(list);
        queue *q = rd_kafka_queue_get_consumer(rk);
        kept = NULL;
        seen = calloc(1, count);
        next_offset = calloc(partitions, sizeof(*next_offset));
        for (long got = 0; got < count;) {
                message *messages[100];
                ssize_t n = 1;
                if (by_batch)
                        n = rd_kafka_consume_batch_queue(q, 100, messages, 100);
                else if (!(messages[0] = rd_kafka_consumer_poll(rk, 1000)))
                        continue;
                CHECK(n >= 0);
                for (ssize_t i = 0; i < n; i++)
                        got += take(messages[i]);
        }
        CHECK(kept && kept->len > 6 && !memcmp(kept->payload, "value ", 6));
        rd_kafka_message_destroy(kept);
        CHECK(rd_kafka_consumer_close(rk) == 0);
        CHECK(rd_kafka_consumer_poll(rk, 0) == NULL);
        rd_kafka_queue_destroy(q);
        rd_kafka_destroy(rk);
        free(seen);
        free(next_offset);
}

int main(int argc, char **argv) {
        CHECK(argc == 6);
        topic_name = argv[2];
        count = atol(argv[4]);
        int partitions = atoi(argv[3]);
        rd_kafka_conf_destroy(rd_kafka_conf_new());
        CHECK(!strcmp(rd_kafka_err2str(QUEUE_FULL), "Local: Queue full"));
        produce(argv[1], partitions, argv[5]);
        consume(argv[1], partitions, 0);
        consume(argv[1], partitions, 1);
        printf("%ld records\n", count);
        return 0;
}
