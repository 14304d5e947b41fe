/* Makes and destroys every kind of object again and again: memory, threads and descriptors do not grow.
 *
 *     cycles CYCLES
 */
#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "check.h"

static rd_kafka_t *new_handle(rd_kafka_type_t type, const char *const *settings, const char *bootstrap) {
    char errstr[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    CHECK(!rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, errstr, sizeof errstr));
    CHECK(!rd_kafka_conf_set(conf, "log_level", "0", errstr, sizeof errstr));
    for (; *settings; settings += 2)
        CHECK(!rd_kafka_conf_set(conf, settings[0], settings[1], errstr, sizeof errstr));
    rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    CHECK(rk);
    return rk;
}

static const char *bootstrap;
static const char *const producing[] = {"linger.ms", "0", NULL};
static const char *const consuming[] = {"group.id", "cycles", "auto.offset.reset", "earliest", "statistics.interval.ms", "100", NULL};

static void producer(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, producing, bootstrap);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, "cycles", NULL);
    CHECK(!rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, "value", 5, "key", 3, NULL));
    CHECK(!rd_kafka_flush(rk, 30000));
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

/* What was never sent goes with its handle. */
static void cut_short(void) {
    static const char *const settings[] = {"linger.ms", "10000", NULL};
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, settings, "127.0.0.1:1");
    CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("cycles"), RD_KAFKA_V_VALUE("value", 5), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                             RD_KAFKA_V_HEADER("name", "value", -1), RD_KAFKA_V_END));
    rd_kafka_destroy(rk);
}

static void assigned(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, consuming, bootstrap);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "cycles", 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
    CHECK(!rd_kafka_assign(rk, list));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 30000);
    CHECK(message && !message->err);
    rd_kafka_message_destroy(message);
    rd_kafka_destroy(rk);
}

static void subscribed(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, consuming, bootstrap);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "cycles", RD_KAFKA_PARTITION_UA);
    CHECK(!rd_kafka_subscribe(rk, list));
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 5);
    if (message)
        rd_kafka_message_destroy(message);
    CHECK(!rd_kafka_consumer_close(rk));
    rd_kafka_destroy(rk);
}

static void legacy(void) {
    static const char *const settings[] = {NULL};
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, settings, bootstrap);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, "cycles", rd_kafka_topic_conf_new());
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    CHECK(!rd_kafka_consume_start_queue(topic, 0, RD_KAFKA_OFFSET_BEGINNING, queue));
    rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 30000);
    CHECK(message);
    rd_kafka_message_destroy(message);
    CHECK(!rd_kafka_consume_stop(topic, 0));
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
}

static void queues(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_CONSUMER, consuming, bootstrap);
    rd_kafka_queue_t *all[] = {rd_kafka_queue_new(rk), rd_kafka_queue_get_main(rk), rd_kafka_queue_get_consumer(rk),
                               rd_kafka_queue_get_partition(rk, "cycles", 0), rd_kafka_queue_get_background(rk)};
    rd_kafka_queue_forward(all[1], all[0]);
    rd_kafka_event_t *event = rd_kafka_queue_poll(all[0], 0);
    if (event)
        rd_kafka_event_destroy(event);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i])
            rd_kafka_queue_destroy(all[i]);
    rd_kafka_destroy(rk);
}

static void admin(void) {
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, producing, bootstrap);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    char errstr[128];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new("cycles", 1, 1, errstr, sizeof errstr);
    if (topic) {
        rd_kafka_CreateTopics(rk, &topic, 1, options, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
        CHECK(event && rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT);
        rd_kafka_event_destroy(event);
        rd_kafka_NewTopic_destroy(topic);
    }
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    const struct rd_kafka_metadata *metadata;
    CHECK(!rd_kafka_metadata(rk, 1, NULL, &metadata, 30000));
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_destroy(rk);
}

static void mock(void) {
    static const char *const settings[] = {"test.mock.num.brokers", "1", NULL};
    rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, settings, "");
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 3);
    CHECK(cluster && !rd_kafka_mock_topic_create(cluster, "t", 4, 1));
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
}

static void plain(void) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new(), *copy;
    rd_kafka_topic_conf_t *topic_conf = rd_kafka_topic_conf_new();
    CHECK(!rd_kafka_conf_set(conf, "client.id", "cycles", NULL, 0));
    rd_kafka_conf_set_default_topic_conf(conf, rd_kafka_topic_conf_dup(topic_conf));
    copy = rd_kafka_conf_dup(conf);
    size_t count;
    const char **dump = rd_kafka_conf_dump(copy, &count);
    rd_kafka_conf_dump_free(dump, count);
    rd_kafka_conf_destroy(conf);
    rd_kafka_conf_destroy(copy);
    rd_kafka_topic_conf_destroy(topic_conf);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    for (int i = 0; i < 20; i++)
        rd_kafka_topic_partition_set_leader_epoch(rd_kafka_topic_partition_list_add(list, "topic", i), i);
    rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_copy(list));
    rd_kafka_topic_partition_list_del_by_idx(list, 3);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    for (int i = 0; i < 20; i++)
        rd_kafka_header_add(headers, "name", -1, "value", -1);
    rd_kafka_headers_destroy(rd_kafka_headers_copy(headers));
    rd_kafka_headers_destroy(headers);
    rd_kafka_error_destroy(rd_kafka_error_new(RD_KAFKA_RESP_ERR__STATE, "%d", 1));
    rd_kafka_Uuid_t *id = rd_kafka_Uuid_new(1, 2);
    rd_kafka_Uuid_destroy(rd_kafka_Uuid_copy(id));
    rd_kafka_Uuid_destroy(id);
    rd_kafka_consumer_group_metadata_destroy(rd_kafka_consumer_group_metadata_new("group"));
    rd_kafka_mem_free(NULL, rd_kafka_mem_malloc(NULL, 10));
}

static const struct {
    const char *name;
    void (*cycle)(void);
} kinds[] = {{"plain", plain},           {"producer", producer}, {"cut short", cut_short}, {"assigned", assigned}, {"subscribed", subscribed},
             {"legacy", legacy}, {"queues", queues},     {"admin", admin},         {"mock", mock}};

static int count_entries(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    CHECK(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

struct use {
    long kib;
    int threads, descriptors;
};

/* Threads that nobody needs any more end by themselves: until then, or until they have had 10 s for it. */
static struct use settled(const struct use *before) {
    struct use use;
    for (int i = 0;; i++) {
        use.threads = count_entries("/proc/self/task");
        use.descriptors = count_entries("/proc/self/fd");
        if (i == 1000 || (before && use.threads <= before->threads && use.descriptors <= before->descriptors))
            break;
        if (!before && i == 50)
            break;
        usleep(10000);
    }
    malloc_trim(0);
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident;
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    use.kib = resident * (sysconf(_SC_PAGESIZE) / 1024);
    return use;
}

int main(int argc, char **argv) {
    int cycles = argc > 1 ? atoi(argv[1]) : 100;
    const char *only = argc > 2 ? argv[2] : NULL;
    static const char *const settings[] = {"test.mock.num.brokers", "1", NULL};
    rd_kafka_t *owner = new_handle(RD_KAFKA_PRODUCER, settings, "");
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(owner);
    bootstrap = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
    CHECK(!rd_kafka_mock_topic_create(cluster, "cycles", 1, 1));
    producer();
    int failed = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
        if (only && strcmp(only, kinds[kind].name))
            continue;
        /* What the first ones fill (arenas, tables) is not a leak. */
        for (int i = 0; i < cycles / 10 + 10; i++)
            kinds[kind].cycle();
        struct use before = settled(NULL);
        for (int i = 0; i < cycles; i++)
            kinds[kind].cycle();
        struct use after = settled(&before);
        long grown = after.kib - before.kib;
        printf("%-10s %d cycles: %+ld KiB (%.2f a cycle), %+d threads, %+d descriptors\n", kinds[kind].name, cycles, grown,
               (double)grown / cycles, after.threads - before.threads, after.descriptors - before.descriptors);
        fflush(stdout);
        /* A page or two a cycle would be a leak; a few hundred KiB is how the allocator lies. */
        failed |= grown > 1024 + cycles || after.threads > before.threads || after.descriptors > before.descriptors;
    }
    rd_kafka_destroy(owner);
    CHECK(!rd_kafka_wait_destroyed(10000));
    puts(failed ? "leaks" : "ok");
    return failed;
}
