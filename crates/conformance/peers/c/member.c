/* librdkafka, as the system has it, as one member of a group: the programs of ../README.md, "Members".
 * Build: cc member.c -o member $(pkg-config --cflags --libs rdkafka). Run: member BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE
 * Written against librdkafka 2.0, so that what Debian packages will do; KIP-848 only where the library knows it. */

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 100

static rd_kafka_t *rk;
static const char *topic;
/* Processed and not yet committed: the next offsets. */
static rd_kafka_topic_partition_list_t *processed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char commands[16][16];
static int command_count;

/* One event: its name and fields, the latter ready as JSON. */
static void emit(const char *event, const char *format, ...) {
    static char *line;
    static size_t size;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < (size_t)length + 128) line = realloc(line, size = (size_t)length + 128);
    int used = sprintf(line, "{\"event\":\"%s\",\"at\":%lld%s", event, (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000, length ? "," : "");
    va_start(arguments, format);
    used += vsprintf(line + used, format, arguments);
    va_end(arguments);
    used += sprintf(line + used, "}\n");
    for (int at = 0; at < used;) {
        ssize_t written = write(1, line + at, (size_t)(used - at));
        if (written < 0) _exit(4);
        at += (int)written;
    }
}

static void fail(const char *what, const char *error) {
    char text[512];
    snprintf(text, sizeof text, "%s: %s", what, error);
    for (char *c = text; *c; c++)
        if (*c == '"' || *c == '\\' || *c < ' ') *c = '\'';
    emit("failed", "\"error\":\"%s\"", text);
    exit(1);
}

static void check(const char *what, rd_kafka_resp_err_t error) {
    if (error) fail(what, rd_kafka_err2str(error));
}

static void check_error(const char *what, rd_kafka_error_t *error) {
    if (error) fail(what, rd_kafka_error_string(error));
}

/* `["t-0","t-1"]`, or with offsets `{"t-0":5}`. */
static char *list_text(const rd_kafka_topic_partition_list_t *list, bool offsets) {
    char *text = malloc((size_t)list->cnt * 300 + 3), *at = text;
    *at++ = offsets ? '{' : '[';
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        at += sprintf(at, "%s\"%s-%d\"", i ? "," : "", p->topic, p->partition);
        if (offsets) at += sprintf(at, ":%lld", (long long)(p->offset < 0 ? -1 : p->offset));
    }
    *at++ = offsets ? '}' : ']';
    *at = 0;
    return text;
}

static void owned(const char *event, const rd_kafka_topic_partition_list_t *list) {
    if (!list->cnt) return;
    char *text = list_text(list, false);
    emit(event, "\"partitions\":%s", text);
    free(text);
}

static void commit(void) {
    if (!processed->cnt) return;
    rd_kafka_resp_err_t error = rd_kafka_commit(rk, processed, 0);
    switch (error) {
    /* A cooperative member reads on while its group rebalances: committed in the callback, or with the next records. */
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
    /* It was thought dead, or the coordinator is: it will hear. */
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR__TIMED_OUT: fprintf(stderr, "commit: %s\n", rd_kafka_err2name(error)); return;
    default: break;
    }
    check("commit", error);
    for (int i = 0; i < processed->cnt; i++) check("commit of a partition", processed->elems[i].err);
    char *text = list_text(processed, true);
    emit("committed", "\"offsets\":%s", text);
    free(text);
    rd_kafka_topic_partition_list_destroy(processed);
    processed = rd_kafka_topic_partition_list_new(8);
}

static void on_rebalance(rd_kafka_t *handle, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t *list, void *opaque) {
    (void)opaque;
    bool cooperative = !strcmp(rd_kafka_rebalance_protocol(handle), "COOPERATIVE");
    if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        owned("assigned", list);
        if (cooperative)
            check_error("incremental assign", rd_kafka_incremental_assign(handle, list));
        else
            check("assign", rd_kafka_assign(handle, list));
    } else if (error == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        bool lost = rd_kafka_assignment_lost(handle);
        if (!lost) commit();
        for (int i = 0; i < list->cnt; i++) rd_kafka_topic_partition_list_del(processed, list->elems[i].topic, list->elems[i].partition);
        owned(lost ? "lost" : "revoked", list);
        if (cooperative)
            check_error("incremental unassign", rd_kafka_incremental_unassign(handle, list));
        else
            check("unassign", rd_kafka_assign(handle, NULL));
    } else {
        fail("rebalance", rd_kafka_err2str(error));
    }
}

static void *listen_for_commands(void *unused) {
    (void)unused;
    char line[16];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        pthread_mutex_lock(&lock);
        if (command_count < 16) strcpy(commands[command_count++], line);
        pthread_mutex_unlock(&lock);
    }
    _exit(3);
}

static bool next_command(char *out) {
    pthread_mutex_lock(&lock);
    bool found = command_count > 0;
    if (found) {
        strcpy(out, commands[0]);
        memmove(commands[0], commands[1], sizeof commands[0] * (size_t)--command_count);
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* Up to BATCH messages of one poll; runs of offsets that follow each other become one event. */
static void poll_once(void) {
    static char text[BATCH * 128];
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);
    char partition[300] = "";
    int64_t first = -1, next = -1;
    size_t used = 0;
    for (int n = 0; message; message = ++n < BATCH ? rd_kafka_consumer_poll(rk, 0) : NULL) {
        if (message->err) {
            if (message->err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) fail("poll", rd_kafka_message_errstr(message));
            rd_kafka_message_destroy(message);
            continue;
        }
        char name[300];
        snprintf(name, sizeof name, "%s-%d", rd_kafka_topic_name(message->rkt), message->partition);
        if (used && (strcmp(name, partition) || message->offset != next)) {
            emit("records", "\"partition\":\"%s\",\"offset\":%lld,\"values\":[%s]", partition, (long long)first, text);
            used = 0;
        }
        if (!used) {
            strcpy(partition, name);
            first = message->offset;
        }
        next = message->offset + 1;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s\"%.*s:%.*s\"", used ? "," : "", (int)message->key_len, (const char *)message->key,
                                 (int)message->len, (const char *)message->payload);
        rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(processed, rd_kafka_topic_name(message->rkt), message->partition);
        if (!at) at = rd_kafka_topic_partition_list_add(processed, rd_kafka_topic_name(message->rkt), message->partition);
        at->offset = next;
        rd_kafka_message_destroy(message);
    }
    if (used) emit("records", "\"partition\":\"%s\",\"offset\":%lld,\"values\":[%s]", partition, (long long)first, text);
    if (used && getenv("PROCESS_MS")) usleep((useconds_t)atoi(getenv("PROCESS_MS")) * 1000);
    commit();
}

static void offsets(void) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
    check("metadata", rd_kafka_metadata(rk, 0, rkt, &metadata, 10000));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    for (int p = 0; p < metadata->topics[0].partition_cnt; p++) rd_kafka_topic_partition_list_add(list, topic, p);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(rkt);
    check("committed", rd_kafka_committed(rk, list, 10000));
    char *committed = list_text(list, true);
    for (int i = 0; i < list->cnt; i++) {
        int64_t low;
        check("end offset", rd_kafka_query_watermark_offsets(rk, topic, list->elems[i].partition, &low, &list->elems[i].offset, 10000));
    }
    char *end = list_text(list, true);
    emit("offsets", "\"committed\":%s,\"end\":%s", committed, end);
    free(committed);
    free(end);
    rd_kafka_topic_partition_list_destroy(list);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) fail(name, error);
}

int main(int argc, char **argv) {
    if (argc < 6) return fprintf(stderr, "usage: BOOTSTRAP GROUP TOPIC ASSIGNOR INSTANCE\n"), 2;
    topic = argv[3];
    const char *assignor = argv[4], *session = getenv("SESSION_MS") ? getenv("SESSION_MS") : "6000";
    char error[512], heartbeat[16];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", argv[1]);
    set(conf, "group.id", argv[2]);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "fetch.wait.max.ms", "200");
    set(conf, "topic.metadata.refresh.interval.ms", "2000");
    set(conf, "max.poll.interval.ms", "20000");
    if (strcmp(argv[5], "-")) set(conf, "group.instance.id", argv[5]);
    if (!strncmp(assignor, "consumer", 8)) {
        set(conf, "group.protocol", "consumer");
        if (assignor[8] == ':') set(conf, "group.remote.assignor", assignor + 9);
    } else {
        set(conf, "partition.assignment.strategy", assignor);
        set(conf, "session.timeout.ms", session);
        snprintf(heartbeat, sizeof heartbeat, "%d", atoi(session) / 6);
        set(conf, "heartbeat.interval.ms", heartbeat);
    }
    if (getenv("DEBUG")) set(conf, "debug", getenv("DEBUG"));
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (!rk) fail("new consumer", error);
    rd_kafka_poll_set_consumer(rk);
    processed = rd_kafka_topic_partition_list_new(8);
    emit("client", "\"name\":\"librdkafka %s\"", rd_kafka_version_str());
    pthread_t thread;
    pthread_create(&thread, NULL, listen_for_commands, NULL);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    check("subscribe", rd_kafka_subscribe(rk, topics));
    rd_kafka_topic_partition_list_destroy(topics);
    for (;;) {
        char command[16];
        if (next_command(command)) {
            if (!strcmp(command, "offsets")) offsets();
            if (!strcmp(command, "leave")) break;
        }
        poll_once();
    }
    commit();
    check("close", rd_kafka_consumer_close(rk));
    emit("left", "");
    rd_kafka_destroy(rk);
    return 0;
}
