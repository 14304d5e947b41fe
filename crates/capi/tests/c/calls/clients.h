/* Functions of handles, and of what is made from them. */
#ifndef CLIENTS_H
#define CLIENTS_H

static void produce_one(struct handle *handle, rd_kafka_t *rk) {
    static char body[3000];
    size_t size = chance(90) ? (size_t)below(100) : sizeof body;
    int i = handle ? use_topic(handle) : -1;
    if (i >= 0) {
        rd_kafka_topic_t *topic = handle->topics[i].topic;
        int flags = chance(60) ? RD_KAFKA_MSG_F_COPY : chance(50) ? RD_KAFKA_MSG_F_FREE : 0;
        if (chance(20)) {
            rd_kafka_message_t batch[3];
            memset(batch, 0, sizeof batch);
            for (int n = 0; n < 3; n++) {
                batch[n].payload = body;
                batch[n].len = size;
                batch[n].partition = some_partition();
            }
            V(0, rd_kafka_produce_batch(topic, some_partition(), RD_KAFKA_MSG_F_COPY | (chance(50) ? RD_KAFKA_MSG_F_PARTITION : 0), batch, below(4)));
        } else {
            void *payload = flags & RD_KAFKA_MSG_F_FREE ? calloc(1, size + 1) : chance(90) ? body : NULL;
            if (E(0, rd_kafka_produce(topic, some_partition(), flags, payload, payload ? size : 0, chance(50) ? "key" : NULL, 3, (void *)&seed_of_all)) &&
                flags & RD_KAFKA_MSG_F_FREE)
                free(payload);
        }
        pthread_rwlock_unlock(&handle->topics[i].lock);
        return;
    }
    rd_kafka_headers_t *headers = chance(30) ? some_headers() : NULL;
    if (chance(50)) {
        rd_kafka_resp_err_t failed;
        if (headers)
            failed = E(0, rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(some_topic()), RD_KAFKA_V_PARTITION(some_partition()), RD_KAFKA_V_VALUE(body, size),
                                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END));
        else
            failed = E(0, rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(some_topic()), RD_KAFKA_V_VALUE(body, size), RD_KAFKA_V_KEY("key", below(4)),
                                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_TIMESTAMP(below(2) ? 0 : 1700000000000),
                                            RD_KAFKA_V_HEADER("h", "v", -1), RD_KAFKA_V_HEADER("n", NULL, 0), RD_KAFKA_V_OPAQUE(rk), RD_KAFKA_V_END));
        if (failed && headers)
            V(0, rd_kafka_headers_destroy(headers));
        return;
    }
    rd_kafka_vu_t all[6];
    memset(all, 0, sizeof all);
    size_t count = 0;
    all[count].vtype = RD_KAFKA_VTYPE_TOPIC, all[count++].u.cstr = some_topic();
    all[count].vtype = RD_KAFKA_VTYPE_MSGFLAGS, all[count++].u.i = RD_KAFKA_MSG_F_COPY;
    all[count].vtype = RD_KAFKA_VTYPE_VALUE, all[count].u.mem.ptr = body, all[count++].u.mem.size = size;
    if (chance(50))
        all[count].vtype = RD_KAFKA_VTYPE_PARTITION, all[count++].u.i32 = some_partition();
    if (headers)
        all[count].vtype = RD_KAFKA_VTYPE_HEADERS, all[count++].u.headers = headers;
    if (chance(10))
        all[count++].vtype = chance(50) ? RD_KAFKA_VTYPE_END : (rd_kafka_vtype_t)99;
    rd_kafka_error_t *error = E(0, rd_kafka_produceva(rk, all, count));
    if (error && headers)
        V(0, rd_kafka_headers_destroy(headers));
    V(0, rd_kafka_error_destroy(error));
}

static void show_message(const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t kind;
    rd_kafka_headers_t *headers;
    V(0, rd_kafka_message_errstr(message));
    V(0, rd_kafka_message_timestamp(message, &kind));
    V(0, rd_kafka_message_leader_epoch(message) + rd_kafka_message_broker_id(message) + rd_kafka_message_delivery_count(message));
    V(0, rd_kafka_message_latency(message) + (int64_t)rd_kafka_message_status(message));
    if (chance(20)) {
        if (!E(0, rd_kafka_message_detach_headers((rd_kafka_message_t *)message, &headers)))
            V(0, rd_kafka_headers_destroy(headers));
    } else
        V(0, rd_kafka_message_headers(message, &headers));
    if (message->rkt)
        V(0, strlen(rd_kafka_topic_name(message->rkt)));
}

/* Every function that looks at an event, whatever its type. */
static void show_event(rd_kafka_event_t *event) {
    const rd_kafka_message_t *few[3], *message;
    const char *facility, *line;
    char contexts[40];
    int level;
    size_t count;
    rd_kafka_event_type_t type = E(0, rd_kafka_event_type(event));
    V(0, strlen(rd_kafka_event_name(event)));
    V(0, rd_kafka_event_message_count(event));
    if (chance(50))
        V(0, rd_kafka_event_message_array(event, few, 3));
    while ((message = E(0, rd_kafka_event_message_next(event))))
        show_message(message);
    V(0, rd_kafka_event_error(event));
    V(0, rd_kafka_event_error_string(event));
    V(0, rd_kafka_event_error_is_fatal(event));
    V(0, rd_kafka_event_opaque(event));
    V(0, rd_kafka_event_stats(event));
    V(0, rd_kafka_event_config_string(event));
    if (!E(0, rd_kafka_event_log(event, &facility, &line, &level)))
        V(0, strlen(line));
    V(0, rd_kafka_event_debug_contexts(event, contexts, sizeof contexts));
    V(0, rd_kafka_event_topic_partition_list(event));
    rd_kafka_topic_partition_t *one = E(0, rd_kafka_event_topic_partition(event));
    if (one)
        V(0, rd_kafka_topic_partition_destroy(one));
    const rd_kafka_CreateTopics_result_t *created = E(0, rd_kafka_event_CreateTopics_result(event));
    if (created)
        V(0, rd_kafka_CreateTopics_result_topics(created, &count));
    const rd_kafka_DescribeCluster_result_t *cluster = E(0, rd_kafka_event_DescribeCluster_result(event));
    if (cluster)
        V(0, rd_kafka_DescribeCluster_result_nodes(cluster, &count));
    const rd_kafka_ListConsumerGroups_result_t *groups = E(0, rd_kafka_event_ListConsumerGroups_result(event));
    if (groups)
        V(0, rd_kafka_ListConsumerGroups_result_valid(groups, &count));
    V(0, rd_kafka_event_DeleteTopics_result(event));
    V(0, rd_kafka_event_DescribeConfigs_result(event));
    V(0, rd_kafka_event_ListOffsets_result(event));
    (void)type;
}

static void serve_event(struct handle *handle, rd_kafka_event_t *event) {
    if (!event)
        return;
    if (E(0, rd_kafka_event_type(event)) == RD_KAFKA_EVENT_REBALANCE)
        answer_rebalance(handle->rk, E(0, rd_kafka_event_error(event)), E(0, rd_kafka_event_topic_partition_list(event)));
    if (chance(70))
        show_event(event);
    if (chance(50))
        keep_event(handle, event);
    else
        V(0, rd_kafka_event_destroy(event));
}

static void do_topic(struct handle *handle) {
    int i = below(TOPICS);
    if (chance(60)) {
        if (pthread_rwlock_trywrlock(&handle->topics[i].lock))
            return;
        rd_kafka_topic_t *before = handle->topics[i].topic;
        rd_kafka_topic_conf_t *conf = NULL;
        if (chance(40)) {
            conf = E(0, rd_kafka_topic_conf_new());
            const char *const *one = PICK(settings);
            V(0, rd_kafka_topic_conf_set(conf, one[0], one[1], NULL, 0));
            V(0, rd_kafka_topic_conf_set_opaque(conf, handle));
            if (chance(30))
                V(0, rd_kafka_topic_conf_set_partitioner_cb(conf, on_partition));
        }
        handle->topics[i].topic = E(0, rd_kafka_topic_new(handle->rk, some_topic(), conf));
        if (before)
            V(0, rd_kafka_topic_destroy(before));
        pthread_rwlock_unlock(&handle->topics[i].lock);
        return;
    }
    if ((i = use_topic(handle)) < 0)
        return;
    V(0, strlen(rd_kafka_topic_name(handle->topics[i].topic)));
    V(0, rd_kafka_topic_opaque(handle->topics[i].topic));
    pthread_rwlock_unlock(&handle->topics[i].lock);
}

static void do_legacy(struct handle *handle) {
    int i = use_topic(handle);
    if (i < 0)
        return;
    rd_kafka_topic_t *topic = handle->topics[i].topic;
    int32_t partition = some_partition();
    rd_kafka_message_t *few[4];
    int ms = some_timeout();
    switch (below(8)) {
    case 0:
        V(0, rd_kafka_consume_start(topic, partition, some_offset()));
        break;
    case 1: {
        int q = use_queue(handle);
        if (q < 0)
            break;
        if (handle->queues[q].kind == QUEUE_NEW)
            V(0, rd_kafka_consume_start_queue(topic, partition, some_offset(), handle->queues[q].queue));
        pthread_rwlock_unlock(&handle->queues[q].lock);
        break;
    }
    case 2:
        V(1000, rd_kafka_consume_stop(topic, partition));
        break;
    case 3:
        keep_message(handle, E(ms, rd_kafka_consume(topic, partition, ms)));
        break;
    case 4: {
        ssize_t count = E(ms, rd_kafka_consume_batch(topic, partition, ms, few, 4));
        for (ssize_t n = 0; n < count; n++)
            keep_message(handle, few[n]);
        break;
    }
    case 5:
        V(ms, rd_kafka_consume_callback(topic, partition, ms, on_message, NULL));
        break;
    case 6:
        V(ms, rd_kafka_seek(topic, partition, some_offset(), ms));
        break;
    default:
        V(0, rd_kafka_offset_store(topic, partition, some_offset()));
    }
    pthread_rwlock_unlock(&handle->topics[i].lock);
}

static void do_consumer(struct handle *handle) {
    rd_kafka_t *rk = handle->rk;
    rd_kafka_topic_partition_list_t *list = chance(90) ? some_list() : NULL, *got = NULL;
    int ms = some_timeout();
    int64_t low, high;
    switch (below(24)) {
    case 0:
    case 1:
        if (list)
            V(0, rd_kafka_subscribe(rk, list));
        break;
    case 2:
        V(0, rd_kafka_unsubscribe(rk));
        break;
    case 3:
        if (!E(0, rd_kafka_subscription(rk, &got)))
            V(0, rd_kafka_topic_partition_list_destroy(got));
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        keep_message(handle, E(ms, rd_kafka_consumer_poll(rk, ms)));
        break;
    case 8:
        V(0, rd_kafka_assign(rk, list));
        break;
    case 9:
        if (list)
            V(0, rd_kafka_error_destroy(rd_kafka_incremental_assign(rk, list)));
        break;
    case 10:
        if (list)
            V(0, rd_kafka_error_destroy(rd_kafka_incremental_unassign(rk, list)));
        break;
    case 11:
        if (!E(0, rd_kafka_assignment(rk, &got)))
            V(0, rd_kafka_topic_partition_list_destroy(got));
        V(0, rd_kafka_assignment_lost(rk));
        V(0, rd_kafka_rebalance_protocol(rk));
        break;
    case 12:
        if (list)
            V(0, chance(50) ? rd_kafka_pause_partitions(rk, list) : rd_kafka_resume_partitions(rk, list));
        break;
    case 13:
        if (list)
            V(ms, rd_kafka_error_destroy(rd_kafka_seek_partitions(rk, list, ms)));
        break;
    case 14:
        if (list)
            V(0, rd_kafka_offsets_store(rk, list));
        break;
    case 15:
        V(70000, rd_kafka_commit(rk, list, chance(80)));
        break;
    case 16: {
        int q = use_queue(handle);
        /* Without a queue it waits. */
        V(q >= 0 ? 0 : 70000, rd_kafka_commit_queue(rk, list, q >= 0 ? handle->queues[q].queue : NULL, on_commit, NULL));
        if (q >= 0)
            pthread_rwlock_unlock(&handle->queues[q].lock);
        break;
    }
    case 17:
        if (list)
            V(ms, rd_kafka_committed(rk, list, ms));
        break;
    case 18:
        if (list)
            V(0, rd_kafka_position(rk, list));
        break;
    case 19:
        V(ms, rd_kafka_query_watermark_offsets(rk, some_topic(), some_partition(), &low, &high, ms));
        V(0, rd_kafka_get_watermark_offsets(rk, some_topic(), some_partition(), &low, &high));
        break;
    case 20:
        if (list)
            V(ms, rd_kafka_offsets_for_times(rk, list, ms));
        break;
    case 21: {
        rd_kafka_consumer_group_metadata_t *group = E(0, rd_kafka_consumer_group_metadata(rk));
        if (group) {
            V(0, rd_kafka_consumer_group_metadata_member_id(group));
            V(0, rd_kafka_consumer_group_metadata_generation_id(group));
            V(0, rd_kafka_consumer_group_metadata_destroy(group));
        }
        V(0, rd_kafka_mem_free(rk, rd_kafka_memberid(rk)));
        V(0, rd_kafka_consumer_closed(rk));
        break;
    }
    case 22:
        if (chance(30))
            V(30000, rd_kafka_consumer_close(rk));
        else if (chance(30)) {
            int q = use_queue(handle);
            if (q >= 0) {
                if (handle->queues[q].kind == QUEUE_NEW)
                    V(0, rd_kafka_error_destroy(rd_kafka_consumer_close_queue(rk, handle->queues[q].queue)));
                pthread_rwlock_unlock(&handle->queues[q].lock);
            }
        }
        break;
    default:
        V(0, rd_kafka_poll_set_consumer(rk));
    }
    if (list)
        V(0, rd_kafka_topic_partition_list_destroy(list));
}

static void do_message(struct handle *handle) {
    rd_kafka_message_t *message = kept_message(handle);
    if (!message)
        return;
    show_message(message);
    if (!message->err && chance(30))
        V(0, rd_kafka_error_destroy(rd_kafka_offset_store_message(message)));
    if (!message->err && chance(20))
        V(70000, rd_kafka_commit_message(handle->rk, message, chance(90)));
    if (chance(10))
        V(0, rd_kafka_message_set_headers(message, some_headers()));
    V(0, rd_kafka_message_destroy(message));
}

static void do_queue(struct handle *handle) {
    rd_kafka_t *rk = handle->rk;
    int i = below(QUEUES), ms = some_timeout();
    if (chance(30)) {
        if (pthread_rwlock_trywrlock(&handle->queues[i].lock))
            return;
        if (handle->queues[i].queue) {
            V(0, rd_kafka_queue_destroy(handle->queues[i].queue));
            handle->queues[i].queue = NULL;
        } else {
            int kind = handle->queues[i].kind = below(5);
            handle->queues[i].queue = kind == QUEUE_NEW         ? E(0, rd_kafka_queue_new(rk))
                                      : kind == QUEUE_MAIN      ? E(0, rd_kafka_queue_get_main(rk))
                                      : kind == QUEUE_CONSUMER  ? E(0, rd_kafka_queue_get_consumer(rk))
                                      : kind == QUEUE_PARTITION ? E(0, rd_kafka_queue_get_partition(rk, some_topic(), some_partition()))
                                      : chance(30)              ? E(0, rd_kafka_queue_get_background(rk))
                                                                : E(0, rd_kafka_queue_get_sasl(rk));
        }
        pthread_rwlock_unlock(&handle->queues[i].lock);
        return;
    }
    if ((i = use_queue(handle)) < 0)
        return;
    rd_kafka_queue_t *queue = handle->queues[i].queue;
    int own = handle->queues[i].kind != QUEUE_BACKGROUND;
    rd_kafka_message_t *few[4];
    switch (below(11)) {
    case 0: {
        /* Never in a circle: from the library's queues to ours, from ours to later ones. */
        int to = use_queue(handle);
        if (to < 0)
            break;
        if (own && handle->queues[to].kind == QUEUE_NEW && (handle->queues[i].kind != QUEUE_NEW || to > i))
            V(0, rd_kafka_queue_forward(queue, chance(80) ? handle->queues[to].queue : NULL));
        pthread_rwlock_unlock(&handle->queues[to].lock);
        break;
    }
    case 1:
        V(0, rd_kafka_queue_length(queue));
        break;
    case 2:
        V(0, rd_kafka_queue_io_event_enable(queue, chance(80) ? pipes[1] : -1, "x", 1));
        break;
    case 3:
        V(0, rd_kafka_queue_cb_event_enable(queue, chance(80) ? on_queue : NULL, &queue_told));
        break;
    case 4:
        V(0, rd_kafka_queue_yield(queue));
        break;
    case 5:
        if (own)
            V(ms, rd_kafka_queue_poll_callback(queue, ms));
        break;
    case 6:
        if (own)
            keep_message(handle, E(ms, rd_kafka_consume_queue(queue, ms)));
        break;
    case 7: {
        ssize_t count = own ? E(ms, rd_kafka_consume_batch_queue(queue, ms, few, (size_t)below(5))) : 0;
        for (ssize_t n = 0; n < count; n++)
            keep_message(handle, few[n]);
        break;
    }
    case 8:
        if (own)
            V(ms, rd_kafka_consume_callback_queue(queue, ms, on_message, NULL));
        break;
    case 9:
        V(0, rd_kafka_set_log_queue(rk, chance(80) ? queue : NULL));
        break;
    default:
        if (own)
            serve_event(handle, E(ms, rd_kafka_queue_poll(queue, ms)));
    }
    pthread_rwlock_unlock(&handle->queues[i].lock);
}

static void do_handle(struct handle *handle) {
    rd_kafka_t *rk = handle->rk;
    char text[64];
    int ms = some_timeout();
    switch (below(22)) {
    case 0:
    case 1:
    case 2:
        V(ms, rd_kafka_poll(rk, ms));
        break;
    case 3:
        V(ms, rd_kafka_flush(rk, ms));
        break;
    case 4:
        V(5000, rd_kafka_purge(rk, below(9)));
        break;
    case 5:
        V(0, rd_kafka_outq_len(rk));
        V(0, strlen(rd_kafka_name(rk)));
        V(0, rd_kafka_type(rk));
        V(0, rd_kafka_opaque(rk));
        break;
    case 6:
        V(ms, rd_kafka_mem_free(rk, rd_kafka_clusterid(rk, ms)));
        break;
    case 7:
        V(ms, rd_kafka_controllerid(rk, ms));
        break;
    case 8: {
        char addresses[ADDRESSES] = "127.0.0.1:1,bad:port:,,";
        if (chance(50))
            some_bootstraps(addresses);
        V(0, rd_kafka_brokers_add(rk, addresses));
        break;
    }
    case 9: {
        size_t count;
        V(0, rd_kafka_mem_free(rk, rd_kafka_brokers_learned_ids(rk, &count)));
        break;
    }
    case 10:
        V(0, rd_kafka_set_log_level(rk, below(9)));
        break;
    case 11: {
        FILE *file = fopen("/dev/null", "w");
        if (file) {
            V(0, rd_kafka_dump(file, rk));
            fclose(file);
        }
        break;
    }
    case 12: {
        const struct rd_kafka_metadata *metadata;
        int i = use_topic(handle);
        rd_kafka_topic_t *topic = i >= 0 ? handle->topics[i].topic : NULL;
        if (!E(ms, rd_kafka_metadata(rk, below(2), topic, &metadata, ms)))
            V(0, rd_kafka_metadata_destroy(metadata));
        if (i >= 0)
            pthread_rwlock_unlock(&handle->topics[i].lock);
        break;
    }
    case 13: {
        const struct rd_kafka_group_list *groups;
        if (!E(ms, rd_kafka_list_groups(rk, chance(50) ? "g" : NULL, &groups, ms)))
            V(0, rd_kafka_group_list_destroy(groups));
        break;
    }
    case 14:
        if (chance(20))
            V(0, rd_kafka_test_fatal_error(rk, some_error(), "on purpose"));
        V(0, rd_kafka_fatal_error(rk, chance(80) ? text : NULL, (size_t)below(64)));
        break;
    case 15: {
        const rd_kafka_conf_t *conf = E(0, rd_kafka_conf(rk));
        size_t size = sizeof text;
        V(0, rd_kafka_conf_get(conf, PICK(settings)[0], text, &size));
        rd_kafka_topic_conf_t *topic = E(0, rd_kafka_default_topic_conf_dup(rk));
        V(0, rd_kafka_topic_conf_destroy(topic));
        break;
    }
    case 16:
        V(0, rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(rk, chance(80) ? "me" : NULL, "secret")));
        V(0, rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(rk)));
        break;
    case 17:
        on_token(rk, NULL, NULL);
        break;
    case 18:
        V(ms, rd_kafka_error_destroy(rd_kafka_init_transactions(rk, ms)));
        V(ms, rd_kafka_error_destroy(rd_kafka_begin_transaction(rk)));
        V(ms, rd_kafka_error_destroy(rd_kafka_abort_transaction(rk, ms)));
        V(ms, rd_kafka_error_destroy(rd_kafka_commit_transaction(rk, ms)));
        break;
    case 19:
        V(0, rd_kafka_interceptor_add_on_send(rk, "late", on_send, NULL));
        break;
    default:
        produce_one(handle, rk);
    }
}

static void do_admin(struct handle *handle) {
    rd_kafka_t *rk = handle->rk;
    int q = use_queue(handle);
    if (q < 0)
        return;
    rd_kafka_queue_t *queue = handle->queues[q].queue;
    char text[64];
    rd_kafka_AdminOptions_t *options = chance(70) ? E(0, rd_kafka_AdminOptions_new(rk, (rd_kafka_admin_op_t)below(25))) : NULL;
    rd_kafka_topic_partition_list_t *list = some_list();
    if (options) {
        V(0, rd_kafka_AdminOptions_set_request_timeout(options, chance(80) ? 100 : -7, text, sizeof text));
        if (chance(30))
            V(0, rd_kafka_AdminOptions_set_operation_timeout(options, 10, text, sizeof text));
        if (chance(30))
            V(0, rd_kafka_AdminOptions_set_validate_only(options, below(3), text, sizeof text));
        if (chance(20))
            V(0, rd_kafka_AdminOptions_set_broker(options, below(5) - 1, text, sizeof text));
        if (chance(20))
            V(0, rd_kafka_error_destroy(rd_kafka_AdminOptions_set_require_stable_offsets(options, 1)));
        if (chance(20))
            V(0, rd_kafka_AdminOptions_set_opaque(options, handle));
    }
    switch (below(11)) {
    case 0: {
        rd_kafka_NewTopic_t *topic = E(0, rd_kafka_NewTopic_new(some_topic(), below(5) - 1, below(3) - 1, text, sizeof text));
        if (!topic)
            break;
        V(0, rd_kafka_NewTopic_set_config(topic, "retention.ms", "1000"));
        int32_t ids[] = {1, 2, 9};
        if (chance(40))
            V(0, rd_kafka_NewTopic_set_replica_assignment(topic, below(3), ids, (size_t)below(4), text, sizeof text));
        V(100, rd_kafka_CreateTopics(rk, &topic, 1, options, queue));
        V(0, rd_kafka_NewTopic_destroy(topic));
        break;
    }
    case 1: {
        rd_kafka_DeleteTopic_t *topic = E(0, rd_kafka_DeleteTopic_new(some_topic()));
        V(100, rd_kafka_DeleteTopics(rk, &topic, chance(90), options, queue));
        V(0, rd_kafka_DeleteTopic_destroy(topic));
        break;
    }
    case 2: {
        rd_kafka_NewPartitions_t *parts = E(0, rd_kafka_NewPartitions_new(some_topic(), (size_t)below(6) + 1, text, sizeof text));
        if (!parts)
            break;
        V(100, rd_kafka_CreatePartitions(rk, &parts, 1, options, queue));
        V(0, rd_kafka_NewPartitions_destroy(parts));
        break;
    }
    case 3: {
        rd_kafka_ConfigResource_t *resource = E(0, rd_kafka_ConfigResource_new((rd_kafka_ResourceType_t)(below(4) + 1), chance(50) ? "1" : some_topic()));
        if (!resource)
            break;
        V(0, rd_kafka_ConfigResource_set_config(resource, "retention.ms", "7"));
        if (chance(50))
            V(0, rd_kafka_error_destroy(
                     rd_kafka_ConfigResource_add_incremental_config(resource, "retention.ms", (rd_kafka_AlterConfigOpType_t)below(5), chance(80) ? "1" : NULL)));
        if (chance(33))
            V(100, rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue));
        else if (chance(50))
            V(100, rd_kafka_AlterConfigs(rk, &resource, 1, options, queue));
        else
            V(100, rd_kafka_IncrementalAlterConfigs(rk, &resource, 1, options, queue));
        V(0, rd_kafka_ConfigResource_destroy(resource));
        break;
    }
    case 4: {
        rd_kafka_DeleteRecords_t *records = E(0, rd_kafka_DeleteRecords_new(list));
        V(100, rd_kafka_DeleteRecords(rk, &records, 1, options, queue));
        V(0, rd_kafka_DeleteRecords_destroy(records));
        break;
    }
    case 5:
        V(100, rd_kafka_DescribeCluster(rk, options, queue));
        break;
    case 6:
        V(100, rd_kafka_ListConsumerGroups(rk, options, queue));
        break;
    case 7: {
        const char *groups[] = {"g", "", "none"};
        V(100, rd_kafka_DescribeConsumerGroups(rk, groups, (size_t)below(4), options, queue));
        break;
    }
    case 8: {
        rd_kafka_ListConsumerGroupOffsets_t *group = E(0, rd_kafka_ListConsumerGroupOffsets_new("g", chance(50) ? list : NULL));
        V(100, rd_kafka_ListConsumerGroupOffsets(rk, &group, 1, options, queue));
        V(0, rd_kafka_ListConsumerGroupOffsets_destroy(group));
        break;
    }
    case 9:
        V(100, rd_kafka_ListOffsets(rk, list, options, queue));
        break;
    default: {
        rd_kafka_DeleteGroup_t *group = E(0, rd_kafka_DeleteGroup_new("g"));
        V(100, rd_kafka_DeleteGroups(rk, &group, 1, options, queue));
        V(0, rd_kafka_DeleteGroup_destroy(group));
        const char *topics[] = {"a", "", "b"};
        rd_kafka_TopicCollection_t *names = E(0, rd_kafka_TopicCollection_of_topic_names(topics, (size_t)below(4)));
        V(100, rd_kafka_DescribeTopics(rk, names, options, queue));
        V(0, rd_kafka_TopicCollection_destroy(names));
    }
    }
    V(0, rd_kafka_topic_partition_list_destroy(list));
    if (options)
        V(0, rd_kafka_AdminOptions_destroy(options));
    pthread_rwlock_unlock(&handle->queues[q].lock);
}

static void do_mock(struct handle *handle) {
    if (chance(20)) {
        if (pthread_rwlock_trywrlock(&handle->mock_lock))
            return;
        if (handle->mock && chance(30)) {
            V(5000, rd_kafka_mock_cluster_destroy(handle->mock));
            handle->mock = NULL;
        } else if (!handle->mock && chance(30)) {
            handle->mock = E(5000, rd_kafka_mock_cluster_new(handle->rk, below(4)));
        }
        pthread_rwlock_unlock(&handle->mock_lock);
        return;
    }
    if (pthread_rwlock_tryrdlock(&handle->mock_lock))
        return;
    rd_kafka_mock_cluster_t *mock = handle->mock && chance(50) ? handle->mock : E(0, rd_kafka_handle_mock_cluster(handle->rk));
    int16_t key = (int16_t)(below(40) - 1);
    int32_t broker = below(5) - 1;
    size_t count;
    if (mock)
        switch (below(18)) {
        case 0:
            V(0, rd_kafka_mock_topic_create(mock, some_topic(), below(5), below(4)));
            break;
        case 1:
            V(0, rd_kafka_mock_topic_delete(mock, some_topic()));
            break;
        case 2:
            V(0, rd_kafka_mock_push_request_errors(mock, key, 3, some_error(), some_error(), RD_KAFKA_RESP_ERR_NO_ERROR));
            break;
        case 3:
            V(0, rd_kafka_mock_broker_push_request_error_rtts(mock, broker, key, 2, some_error(), 5, some_error(), 0));
            V(0, rd_kafka_mock_broker_error_stack_cnt(mock, broker, key, &count));
            break;
        case 4:
            V(0, rd_kafka_mock_partition_push_request_errors(mock, some_topic(), some_partition(), key, 1, some_error()));
            break;
        case 5:
            V(0, rd_kafka_mock_clear_request_errors(mock, key));
            break;
        case 6:
            V(0, rd_kafka_mock_topic_set_error(mock, some_topic(), some_error()));
            break;
        case 7:
            V(0, rd_kafka_mock_partition_set_leader(mock, some_topic(), some_partition(), broker));
            break;
        case 8:
            V(0, rd_kafka_mock_partition_set_follower(mock, some_topic(), some_partition(), broker));
            V(0, rd_kafka_mock_partition_set_follower_wmarks(mock, some_topic(), some_partition(), below(3) - 1, below(9) - 1));
            break;
        case 9:
            V(0, rd_kafka_mock_partition_push_leader_response(mock, some_topic(), some_partition(), broker, below(4) - 1));
            break;
        case 10:
            V(1000, rd_kafka_mock_broker_set_down(mock, broker));
            break;
        case 11:
            V(1000, rd_kafka_mock_broker_set_up(mock, broker));
            break;
        case 12:
            V(0, rd_kafka_mock_broker_set_rtt(mock, broker, below(20)));
            V(0, rd_kafka_mock_broker_set_rack(mock, broker, "rack"));
            break;
        case 13:
            V(0, rd_kafka_mock_coordinator_set(mock, chance(80) ? "group" : "transaction", "g", broker));
            break;
        case 14:
            V(0, rd_kafka_mock_set_apiversion(mock, key, (int16_t)(below(4) - 1), (int16_t)(below(12) - 1)));
            break;
        case 15: {
            V(0, rd_kafka_mock_start_request_tracking(mock));
            rd_kafka_mock_request_t **all = E(0, rd_kafka_mock_get_requests(mock, &count));
            for (size_t n = 0; n < count; n++)
                V(0, rd_kafka_mock_request_api_key(all[n]) + rd_kafka_mock_request_id(all[n]));
            V(0, rd_kafka_mock_request_destroy_array(all, count));
            V(0, chance(50) ? rd_kafka_mock_clear_requests(mock) : rd_kafka_mock_stop_request_tracking(mock));
            break;
        }
        case 16:
            V(0, rd_kafka_mock_group_initial_rebalance_delay_ms(mock, below(50)));
            V(0, rd_kafka_mock_set_controller_id(mock, broker));
            break;
        default:
            if (chance(30))
                V(1000, rd_kafka_mock_broker_decommission(mock, broker));
            else
                V(1000, rd_kafka_mock_broker_add(mock, below(6)));
        }
    pthread_rwlock_unlock(&handle->mock_lock);
}

#endif
