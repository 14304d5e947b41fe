/* A consumer in a group: rebalance callbacks, positions, commits, pause, seek, partition queues, close.
 * Usage: group BOOTSTRAP TOPIC PARTITIONS PROTOCOL STRATEGY */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <librdkafka/rdkafka.h>

#include "check.h"

#define MESSAGES 500

static const char *brokers, *topic;
static int assigned, revoked, commits, partitions;

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque) {
        int cooperative = !strcmp(rd_kafka_rebalance_protocol(rk), "COOPERATIVE");
        CHECK(opaque == (void *)&assigned);
        if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
                assigned += list->cnt;
                if (cooperative)
                        CHECK(!rd_kafka_incremental_assign(rk, list));
                else
                        CHECK(!rd_kafka_assign(rk, list));
        } else {
                CHECK(err == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS);
                CHECK(!rd_kafka_assignment_lost(rk));
                revoked += list->cnt;
                /* A commit inside the callback, of what was stored. */
                rd_kafka_resp_err_t committed = rd_kafka_commit(rk, NULL, 0);
                CHECK(!committed || committed == RD_KAFKA_RESP_ERR__NO_OFFSET);
                if (cooperative)
                        CHECK(!rd_kafka_incremental_unassign(rk, list));
                else
                        CHECK(!rd_kafka_assign(rk, NULL));
        }
}

static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque) {
        if (!err)
                commits += list->cnt;
}

static void on_own_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list, void *opaque) {
        for (int i = 0; i < list->cnt; i++)
                *(int *)opaque += list->elems[i].offset == RD_KAFKA_OFFSET_INVALID;
}

static void on_queue(rd_kafka_t *rk, void *opaque) {
        __atomic_add_fetch((int *)opaque, 1, __ATOMIC_SEQ_CST);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
        char errstr[256];
        if (rd_kafka_conf_set(conf, name, value, errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK) {
                fprintf(stderr, "%s\n", errstr);
                exit(1);
        }
}

static rd_kafka_t *consumer(const char *group, const char *protocol, const char *strategy, const char *const *more) {
        char errstr[256];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", brokers);
        set(conf, "group.id", group);
        set(conf, "group.protocol", protocol);
        if (!strcmp(protocol, "classic"))
                set(conf, "partition.assignment.strategy", strategy);
        set(conf, "auto.offset.reset", "earliest");
        set(conf, "enable.partition.eof", "true");
        for (; more && *more; more += 2)
                set(conf, more[0], more[1]);
        rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
        rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
        rd_kafka_conf_set_opaque(conf, &assigned);
        rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));
        if (!rk) {
                fprintf(stderr, "%s\n", errstr);
                exit(1);
        }
        CHECK(!rd_kafka_poll_set_consumer(rk));
        return rk;
}

/* Reads until every partition has told its end; gives how many messages there were. */
static int read_all(rd_kafka_t *rk, int ends) {
        int got = 0, polls = 0;
        while (ends > 0) {
                rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);
                if (!m) {
                        CHECK(++polls < 60);
                        continue;
                }
                if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                        ends--;
                } else if (m->err) {
                        fprintf(stderr, "error: %s: %s\n", rd_kafka_err2name(m->err), rd_kafka_message_errstr(m));
                        exit(1);
                } else {
                        got++;
                }
                rd_kafka_message_destroy(m);
        }
        return got;
}

static rd_kafka_topic_partition_list_t *all(void) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
        for (int i = 0; i < partitions; i++)
                rd_kafka_topic_partition_list_add(list, topic, i);
        return list;
}

static long sum(rd_kafka_topic_partition_list_t *list) {
        long total = 0;
        for (int i = 0; i < list->cnt; i++)
                total += list->elems[i].offset > 0 ? (long)list->elems[i].offset : 0;
        return total;
}

static void produce(int count) {
        char errstr[256];
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        set(conf, "bootstrap.servers", brokers);
        rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
        CHECK(producer);
        rd_kafka_topic_t *rkt = rd_kafka_topic_new(producer, topic, NULL);
        for (int i = 0; i < count; i++) {
                char value[32];
                snprintf(value, sizeof(value), "%d", i);
                CHECK(!rd_kafka_produce(rkt, i % partitions, RD_KAFKA_MSG_F_COPY, value, strlen(value), NULL, 0, NULL));
        }
        CHECK(!rd_kafka_flush(producer, 30000));
        rd_kafka_topic_destroy(rkt);
        rd_kafka_destroy(producer);
}

static int is_more(int *told, int than) {
        for (int tries = 0; tries < 1000; tries++) {
                if (__atomic_load_n(told, __ATOMIC_SEQ_CST) > than)
                        return 1;
                nanosleep(&(struct timespec){0, 10000000}, NULL);
        }
        return 0;
}

/* A queue that was drained tells of the next message. */
static void told_again(const char *protocol, const char *strategy) {
        const char *const plain[] = {"enable.partition.eof", "false", NULL};
        rd_kafka_t *rk = consumer("told-again", protocol, strategy, plain);
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, 0)->offset = RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(rk, topic, 0);
        rd_kafka_queue_forward(queue, NULL);
        int told = 0;
        rd_kafka_queue_cb_event_enable(queue, on_queue, &told);
        CHECK(!rd_kafka_assign(rk, list));
        for (int left = (MESSAGES + partitions - 1) / partitions; left; left--) {
                rd_kafka_message_t *m;
                CHECK(rd_kafka_consume_batch_queue(queue, 10000, &m, 1) == 1 && !m->err);
                rd_kafka_message_destroy(m);
        }
        CHECK(is_more(&told, 0));
        int before = __atomic_load_n(&told, __ATOMIC_SEQ_CST);
        produce(1);
        CHECK(is_more(&told, before));
        rd_kafka_queue_cb_event_enable(queue, NULL, NULL);
        rd_kafka_queue_destroy(queue);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_destroy(rk);
}

/* What was fetched and not polled before a close is not committed. */
static void closed_early(const char *protocol, const char *strategy, int destroys) {
        char group[64];
        snprintf(group, sizeof(group), "c%d-%ld-%d", destroys, (long)time(NULL), rand());
        rd_kafka_t *rk = consumer(group, protocol, strategy, NULL);
        rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
        CHECK(!rd_kafka_subscribe(rk, topics));
        rd_kafka_message_t *m = NULL;
        for (int polls = 0; !m; polls++) {
                CHECK(polls < 60);
                m = rd_kafka_consumer_poll(rk, 1000);
        }
        CHECK(!m->err);
        rd_kafka_message_destroy(m);
        if (!destroys)
                CHECK(!rd_kafka_consumer_close(rk));
        rd_kafka_destroy(rk);

        rk = consumer(group, protocol, strategy, NULL);
        rd_kafka_topic_partition_list_t *list = all();
        CHECK(!rd_kafka_committed(rk, list, 10000) && sum(list) == 1);
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_topic_partition_list_destroy(topics);
        rd_kafka_destroy(rk);
}

int main(int argc, char **argv) {
        CHECK(argc == 6);
        brokers = argv[1], topic = argv[2], partitions = atoi(argv[3]);
        const char *protocol = argv[4], *strategy = argv[5];
        char group[64];
        snprintf(group, sizeof(group), "g-%ld-%d", (long)time(NULL), rand());

        produce(MESSAGES);
        closed_early(protocol, strategy, 0);
        closed_early(protocol, strategy, 1);
        assigned = revoked = commits = 0;

        /* Subscribe, read all, look at what can be asked. */
        const char *const manual[] = {"enable.auto.commit", "false", NULL};
        rd_kafka_t *rk = consumer(group, protocol, strategy, manual);
        rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
        CHECK(!rd_kafka_subscribe(rk, topics));
        CHECK(read_all(rk, partitions) == MESSAGES);
        CHECK(assigned == partitions);
        rd_kafka_topic_partition_list_t *list;
        CHECK(!rd_kafka_assignment(rk, &list) && list->cnt == partitions);
        CHECK(list->elems[0].offset == RD_KAFKA_OFFSET_STORED);
        CHECK(!rd_kafka_position(rk, list) && sum(list) == MESSAGES);
        CHECK(!rd_kafka_committed(rk, list, 10000) && sum(list) == 0);
        CHECK(!rd_kafka_commit(rk, NULL, 0));
        CHECK(!rd_kafka_committed(rk, list, 10000) && sum(list) == MESSAGES);
        CHECK(rd_kafka_commit(rk, NULL, 0) == RD_KAFKA_RESP_ERR__NO_OFFSET);
        /* The call's own callback hears of all that is assigned, in place of the handle's. */
        rd_kafka_poll(rk, 0);
        int before = commits, named = 0;
        CHECK(rd_kafka_commit_queue(rk, NULL, NULL, on_own_commit, &named) == RD_KAFKA_RESP_ERR__NO_OFFSET);
        rd_kafka_poll(rk, 0);
        CHECK(named == partitions && commits == before);
        int64_t low, high;
        CHECK(!rd_kafka_query_watermark_offsets(rk, topic, 0, &low, &high, 10000));
        CHECK(low == 0 && high == (MESSAGES + partitions - 1) / partitions);
        CHECK(!rd_kafka_get_watermark_offsets(rk, topic, 0, &low, &high) && high == (MESSAGES + partitions - 1) / partitions);
        char *member = rd_kafka_memberid(rk);
        CHECK(member && *member);
        rd_kafka_mem_free(rk, member);

        /* Back to the start, paused and resumed. */
        CHECK(!rd_kafka_pause_partitions(rk, list));
        for (int i = 0; i < list->cnt; i++)
                list->elems[i].offset = RD_KAFKA_OFFSET_BEGINNING;
        CHECK(!rd_kafka_seek_partitions(rk, list, 5000));
        CHECK(!rd_kafka_consumer_poll(rk, 300));
        CHECK(!rd_kafka_resume_partitions(rk, list));
        CHECK(read_all(rk, partitions) == MESSAGES);
        rd_kafka_topic_partition_list_destroy(list);
        CHECK(!rd_kafka_consumer_close(rk));
        CHECK(rd_kafka_consumer_closed(rk));
        CHECK(revoked == partitions && commits >= partitions);
        rd_kafka_destroy(rk);

        /* The group goes on behind what was committed. */
        assigned = revoked = 0;
        rk = consumer(group, protocol, strategy, NULL);
        CHECK(!rd_kafka_subscribe(rk, topics));
        CHECK(read_all(rk, partitions) == 0);
        /* Without a close: destroying does it. */
        rd_kafka_destroy(rk);
        CHECK(revoked == partitions);
        rd_kafka_topic_partition_list_destroy(topics);

        /* By hand: the first half of each partition stored by the program, in a queue of its own for partition 0. */
        snprintf(group, sizeof(group), "h-%ld-%d", (long)time(NULL), rand());
        const char *const stores[] = {"enable.auto.offset.store", "false", "auto.commit.interval.ms", "200", NULL};
        rk = consumer(group, protocol, strategy, stores);
        list = all();
        for (int i = 0; i < partitions; i++)
                list->elems[i].offset = 10;
        rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(rk, topic, 0);
        rd_kafka_queue_forward(queue, NULL);
        CHECK(!rd_kafka_assign(rk, list));
        rd_kafka_topic_partition_list_t *given;
        CHECK(!rd_kafka_assignment(rk, &given) && given->cnt == partitions && given->elems[0].offset == 10);
        rd_kafka_topic_partition_list_destroy(given);
        int own = 0;
        while (own < MESSAGES / partitions - 10) {
                rd_kafka_message_t *batch[64];
                ssize_t n = rd_kafka_consume_batch_queue(queue, 5000, batch, 64);
                CHECK(n > 0);
                for (ssize_t i = 0; i < n; i++) {
                        CHECK(batch[i]->partition == 0);
                        own += !batch[i]->err;
                        rd_kafka_message_destroy(batch[i]);
                }
        }
        rd_kafka_queue_destroy(queue);
        if (partitions > 1)
                CHECK(read_all(rk, partitions - 1) == MESSAGES - MESSAGES / partitions - 10 * (partitions - 1) || partitions != 2);
        for (int i = 0; i < partitions; i++)
                list->elems[i].offset = 77;
        CHECK(!rd_kafka_offsets_store(rk, list));
        CHECK(!rd_kafka_consumer_close(rk));
        rd_kafka_destroy(rk);
        rk = consumer(group, protocol, strategy, NULL);
        CHECK(!rd_kafka_committed(rk, list, 10000));
        for (int i = 0; i < partitions; i++) {
                if (list->elems[i].offset != 77)
                        fprintf(stderr, "partition %d: %ld, %d\n", i, (long)list->elems[i].offset, list->elems[i].err);
                CHECK(list->elems[i].offset == 77);
        }
        rd_kafka_topic_partition_list_destroy(list);
        rd_kafka_destroy(rk);
        told_again(protocol, strategy);
        CHECK(!rd_kafka_wait_destroyed(5000));
        printf("ok\n");
        return 0;
}
