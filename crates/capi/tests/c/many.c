/* Many consumers at once in one group: memory and threads are those of one client, not of so many.
 *
 *     many CONSUMERS MEBIBYTES THREADS [PROTOCOL]
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "check.h"

static rd_kafka_t *new_handle(rd_kafka_type_t type, const char *const *settings) {
    char errstr[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (; *settings; settings += 2)
        CHECK(!rd_kafka_conf_set(conf, settings[0], settings[1], errstr, sizeof errstr));
    rd_kafka_t *rk = rd_kafka_new(type, conf, errstr, sizeof errstr);
    CHECK(rk);
    return rk;
}

static int threads(void) {
    int count = -2;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static double mebibytes(void) {
    long size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &size, &resident) == 2);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

int main(int argc, char **argv) {
    CHECK(argc > 3);
    int count = atoi(argv[1]);
    static const char *const owning[] = {"test.mock.num.brokers", "1", NULL};
    rd_kafka_t *owner = new_handle(RD_KAFKA_PRODUCER, owning);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_handle_mock_cluster(owner);
    CHECK(!rd_kafka_mock_topic_create(cluster, "t", 4, 1));
    const char *const settings[] = {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), "group.id", "many",
                                    argc > 4 ? "group.protocol" : NULL, argc > 4 ? argv[4] : NULL, NULL};
    double before = mebibytes();
    rd_kafka_t **all = calloc((size_t)count, sizeof *all);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "t", RD_KAFKA_PARTITION_UA);
    for (int i = 0; i < count; i++) {
        all[i] = new_handle(RD_KAFKA_CONSUMER, settings);
        CHECK(!rd_kafka_subscribe(all[i], list));
    }
    rd_kafka_topic_partition_list_destroy(list);
    /* All are members once each has an id. */
    int members = 0;
    for (int round = 0; round < 600 && members < count; round++) {
        members = 0;
        for (int i = 0; i < count; i++) {
            rd_kafka_message_t *message = rd_kafka_consumer_poll(all[i], 0);
            if (message)
                rd_kafka_message_destroy(message);
            char *id = rd_kafka_memberid(all[i]);
            members += id && *id;
            rd_kafka_mem_free(all[i], id);
        }
        usleep(100000);
    }
    CHECK(members == count);
    double most = mebibytes();
    int tasks = threads();
    printf("%d consumers: %.0f MiB in all, %.0f for them, %d threads\n", count, most, most - before, tasks);
    for (int i = 0; i < count; i++)
        rd_kafka_destroy_flags(all[i], RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(all);
    rd_kafka_destroy(owner);
    CHECK(!rd_kafka_wait_destroyed(30000));
    CHECK(most < atof(argv[2]) && tasks < atoi(argv[3]));
    puts("ok");
    return 0;
}
