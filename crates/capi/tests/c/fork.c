/* A child of a process with live handles: what it calls on them fails at once, and handles of its own work.
 *
 *     fork FORKS      while another thread of the parent makes, uses and destroys handles
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #what);                 \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* A call in the child: back at once, although it has a minute. */
#define FAST(call)                                                             \
    do {                                                                       \
        time_t since = time(NULL);                                             \
        doing = #call;                                                         \
        (void)(call);                                                          \
        if (time(NULL) - since > 10) {                                         \
            fprintf(stderr, "%s took %ld s\n", #call, (long)(time(NULL) - since)); \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static const char *bootstrap, *doing = "";

static rd_kafka_t *new_handle(rd_kafka_type_t type, int is_mock) {
    char errstr[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    CHECK(!rd_kafka_conf_set(conf, is_mock ? "test.mock.num.brokers" : "bootstrap.servers", is_mock ? "1" : bootstrap, errstr, sizeof errstr));
    CHECK(!rd_kafka_conf_set(conf, "linger.ms", "0", errstr, sizeof errstr));
    if (type == RD_KAFKA_CONSUMER)
        CHECK(!rd_kafka_conf_set(conf, "group.id", "forks", errstr, sizeof errstr));
    rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    if (!rk)
        fprintf(stderr, "%s\n", errstr);
    CHECK(rk);
    return rk;
}

static void produce(rd_kafka_t *rk) {
    CHECK(!rd_kafka_producev(rk, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("value", 5), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
    CHECK(!rd_kafka_flush(rk, 60000));
}

static void timed_out(int number) {
    static const char text[] = "the child hangs in ";
    if (write(2, text, sizeof text - 1) < 0 || write(2, doing, strlen(doing)) < 0 || write(2, "\n", 1) < 0)
        _exit(2);
    _exit(1);
}

static void child(rd_kafka_t *producer, rd_kafka_t *consumer, rd_kafka_topic_t *topic, rd_kafka_queue_t *queue, int all) {
    struct sigaction act = {.sa_handler = timed_out};
    sigaction(SIGALRM, &act, NULL);
    alarm(90);
    if (all) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1), *got = NULL;
        rd_kafka_topic_partition_list_add(list, "t", 0)->offset = 0;
        const struct rd_kafka_metadata *metadata = NULL;
        const struct rd_kafka_group_list *groups = NULL;
        int64_t low, high;
        rd_kafka_message_t *few[1];
        char errstr[64];
        FAST(rd_kafka_poll(producer, 60000));
        FAST(rd_kafka_outq_len(producer));
        FAST(rd_kafka_name(producer));
        FAST(rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, "value", 5, NULL, 0, NULL));
        FAST(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE("v", 1), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
        FAST(rd_kafka_flush(producer, 60000));
        FAST(rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT));
        FAST(rd_kafka_metadata(producer, 1, NULL, &metadata, 60000));
        FAST(rd_kafka_list_groups(producer, NULL, &groups, 60000));
        FAST(rd_kafka_clusterid(producer, 60000));
        FAST(rd_kafka_controllerid(producer, 60000));
        FAST(rd_kafka_brokers_add(producer, "127.0.0.1:1"));
        FAST(rd_kafka_fatal_error(producer, errstr, sizeof errstr));
        FAST(rd_kafka_test_fatal_error(producer, RD_KAFKA_RESP_ERR__STATE, "child"));
        FAST(rd_kafka_consumer_poll(consumer, 60000));
        FAST(rd_kafka_subscribe(consumer, list));
        FAST(rd_kafka_subscription(consumer, &got));
        FAST(rd_kafka_assign(consumer, list));
        FAST(rd_kafka_assignment(consumer, &got));
        FAST(rd_kafka_commit(consumer, list, 0));
        FAST(rd_kafka_commit(consumer, list, 1));
        FAST(rd_kafka_committed(consumer, list, 60000));
        FAST(rd_kafka_position(consumer, list));
        FAST(rd_kafka_pause_partitions(consumer, list));
        FAST(rd_kafka_resume_partitions(consumer, list));
        FAST(rd_kafka_seek_partitions(consumer, list, 60000));
        FAST(rd_kafka_offsets_store(consumer, list));
        FAST(rd_kafka_offsets_for_times(consumer, list, 60000));
        FAST(rd_kafka_query_watermark_offsets(consumer, "t", 0, &low, &high, 60000));
        FAST(rd_kafka_get_watermark_offsets(consumer, "t", 0, &low, &high));
        FAST(rd_kafka_memberid(consumer));
        FAST(rd_kafka_consumer_group_metadata(consumer));
        FAST(rd_kafka_queue_poll(queue, 60000));
        FAST(rd_kafka_consume_batch_queue(queue, 60000, few, 1));
        FAST(rd_kafka_queue_length(queue));
        FAST(rd_kafka_topic_new(producer, "other", NULL));
        FAST(rd_kafka_unsubscribe(consumer));
        FAST(rd_kafka_consumer_close(consumer));
        FAST(rd_kafka_queue_destroy(queue));
        FAST(rd_kafka_topic_destroy(topic));
    }
    doing = "rd_kafka_new()";
    rd_kafka_t *own = new_handle(RD_KAFKA_PRODUCER, 0);
    doing = "a producer of its own";
    produce(own);
    FAST(rd_kafka_destroy(own));
    if (all) {
        doing = "a mock cluster of its own";
        own = new_handle(RD_KAFKA_PRODUCER, 1);
        produce(own);
        rd_kafka_destroy(own);
        FAST(rd_kafka_destroy(consumer));
        FAST(rd_kafka_destroy(producer));
    }
    _exit(0);
}

static int over;

static void *busy(void *unused) {
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        rd_kafka_t *rk = new_handle(RD_KAFKA_PRODUCER, 0);
        produce(rk);
        rd_kafka_destroy(rk);
    }
    return unused;
}

static void one_fork(rd_kafka_t *producer, rd_kafka_t *consumer, rd_kafka_topic_t *topic, rd_kafka_queue_t *queue, int all) {
    pid_t pid = fork();
    if (!pid)
        child(producer, consumer, topic, queue, all);
    int status;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
    rd_kafka_t *producer = new_handle(RD_KAFKA_PRODUCER, 1);
    bootstrap = rd_kafka_mock_cluster_bootstraps(rd_kafka_handle_mock_cluster(producer));
    rd_kafka_mock_group_initial_rebalance_delay_ms(rd_kafka_handle_mock_cluster(producer), 0);
    CHECK(!rd_kafka_mock_topic_create(rd_kafka_handle_mock_cluster(producer), "t", 1, 1));
    rd_kafka_t *consumer = new_handle(RD_KAFKA_CONSUMER, 0);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, "t", NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", RD_KAFKA_PARTITION_UA);
    CHECK(!rd_kafka_subscribe(consumer, list));
    rd_kafka_topic_partition_list_destroy(list);
    produce(producer);
    one_fork(producer, consumer, topic, queue, 1);

    pthread_t thread;
    pthread_create(&thread, NULL, busy, NULL);
    for (int i = argc > 1 ? atoi(argv[1]) : 10; i > 0; i--)
        one_fork(producer, consumer, topic, queue, 0);
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);

    /* The parent's own go on. */
    produce(producer);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(topic);
    CHECK(!rd_kafka_consumer_close(consumer));
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    CHECK(!rd_kafka_wait_destroyed(10000));
    puts("ok");
    return 0;
}
