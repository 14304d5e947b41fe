/* Configurations, odd but legal ones among them, and callbacks that call the library again. */
#ifndef CALLBACKS_H
#define CALLBACKS_H

static void produce_one(struct handle *handle, rd_kafka_t *rk);

static void answer_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions) {
    int cooperative = !strcmp(E(0, rd_kafka_rebalance_protocol(rk)), "COOPERATIVE");
    int assigned = err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (chance(20))
        V(0, rd_kafka_assignment_lost(rk));
    if (!assigned && chance(30))
        V(70000, rd_kafka_commit(rk, chance(50) ? NULL : partitions, chance(70)));
    if (cooperative)
        V(0, rd_kafka_error_destroy(assigned ? rd_kafka_incremental_assign(rk, partitions) : rd_kafka_incremental_unassign(rk, partitions)));
    else
        V(0, rd_kafka_assign(rk, assigned ? partitions : NULL));
    if (assigned && chance(20))
        V(0, rd_kafka_pause_partitions(rk, partitions));
    if (assigned && chance(20))
        V(100, rd_kafka_error_destroy(rd_kafka_seek_partitions(rk, partitions, 100)));
    if (assigned && chance(20))
        V(100, rd_kafka_committed(rk, partitions, 100));
}

static void in_callback(rd_kafka_t *rk) {
    if (callback_depth > 1)
        return;
    callback_depth++;
    switch (below(8)) {
    case 0:
        V(0, rd_kafka_yield(rk));
        break;
    case 1:
        V(10, rd_kafka_poll(rk, 0));
        break;
    case 2:
        V(0, rd_kafka_outq_len(rk));
        break;
    case 3:
        if (rd_kafka_type(rk) == RD_KAFKA_PRODUCER)
            produce_one(NULL, rk);
        break;
    case 4: {
        char text[32];
        V(0, rd_kafka_fatal_error(rk, text, sizeof text));
        break;
    }
    default:
        break;
    }
    callback_depth--;
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    rd_kafka_headers_t *headers;
    rd_kafka_timestamp_type_t kind;
    V(0, rd_kafka_message_status(message));
    V(0, rd_kafka_message_errstr(message));
    V(0, rd_kafka_message_produce_errstr(message));
    V(0, rd_kafka_message_timestamp(message, &kind));
    V(0, rd_kafka_message_latency(message));
    V(0, rd_kafka_message_broker_id(message));
    V(0, rd_kafka_message_headers(message, &headers));
    if (message->rkt)
        V(0, rd_kafka_topic_name(message->rkt));
    in_callback(rk);
}

static void on_old_report(rd_kafka_t *rk, void *payload, size_t len, rd_kafka_resp_err_t err, void *opaque, void *message) { in_callback(rk); }
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) { in_callback(rk); }
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *line) { V(0, strlen(line)); }
static int on_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque) {
    in_callback(rk);
    if (chance(50))
        return 0;
    V(0, rd_kafka_mem_free(rk, json));
    return 1;
}
static void on_throttle(rd_kafka_t *rk, const char *name, int32_t id, int ms, void *opaque) { in_callback(rk); }
static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *offsets, void *opaque) { in_callback(rk); }
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *partitions, void *opaque) {
    answer_rebalance(rk, err, partitions);
    in_callback(rk);
}
static void on_message(rd_kafka_message_t *message, void *opaque) { V(0, rd_kafka_message_errstr(message)); }
static void on_token(rd_kafka_t *rk, const char *config, void *opaque) {
    char text[64];
    if (chance(50))
        V(0, rd_kafka_oauthbearer_set_token(rk, "token", 1000 * (int64_t)time(NULL) + 100000, "me", NULL, 0, text, sizeof text));
    else
        V(0, rd_kafka_oauthbearer_set_token_failure(rk, "no token"));
}
static void on_queue(rd_kafka_t *rk, void *opaque) { __atomic_add_fetch((unsigned *)opaque, 1, __ATOMIC_RELAXED); }
static unsigned queue_told;
static int32_t on_partition(const rd_kafka_topic_t *topic, const void *key, size_t len, int32_t count, void *opaque, void *message) {
    int32_t partition = (int32_t)draw() % (count + 1);
    V(0, rd_kafka_topic_partition_available(topic, partition));
    return chance(95) ? partition : RD_KAFKA_PARTITION_UA;
}
static int on_socket(int domain, int type, int protocol, void *opaque) { return chance(95) ? socket(domain, type, protocol) : -1; }
static int on_connect(int fd, const struct sockaddr *addr, int len, const char *id, void *opaque) {
    return connect(fd, addr, (socklen_t)len) ? errno : 0;
}
static int on_close(int fd, void *opaque) { return close(fd); }

static rd_kafka_resp_err_t on_send(rd_kafka_t *rk, rd_kafka_message_t *message, void *opaque) { return chance(90) ? RD_KAFKA_RESP_ERR_NO_ERROR : some_error(); }
static rd_kafka_resp_err_t on_offsets(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_resp_err_t err, void *opaque) { return err; }
static rd_kafka_resp_err_t on_end(rd_kafka_t *rk, void *opaque) { return RD_KAFKA_RESP_ERR_NO_ERROR; }
static rd_kafka_resp_err_t on_request(rd_kafka_t *rk, int fd, const char *name, int32_t id, int16_t key, int16_t version, int32_t number, size_t size, void *opaque) {
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}
static rd_kafka_resp_err_t on_new(rd_kafka_t *rk, const rd_kafka_conf_t *conf, void *opaque, char *text, size_t size) {
    V(0, rd_kafka_interceptor_add_on_send(rk, "calls", on_send, NULL));
    V(0, rd_kafka_interceptor_add_on_acknowledgement(rk, "calls", on_send, NULL));
    V(0, rd_kafka_interceptor_add_on_consume(rk, "calls", on_send, NULL));
    V(0, rd_kafka_interceptor_add_on_commit(rk, "calls", on_offsets, NULL));
    V(0, rd_kafka_interceptor_add_on_destroy(rk, "calls", on_end, NULL));
    V(0, rd_kafka_interceptor_add_on_request_sent(rk, chance(90) ? "calls" : "", on_request, NULL));
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static void show_event(rd_kafka_event_t *event);
static void on_background(rd_kafka_t *rk, rd_kafka_event_t *event, void *opaque) {
    show_event(event);
    V(0, rd_kafka_event_destroy(event));
}

static const char *const settings[][2] = {
    {"enable.idempotence", "true"}, {"enable.gapless.guarantee", "true"}, {"linger.ms", "0"}, {"linger.ms", "200"}, {"acks", "0"}, {"acks", "1"}, {"acks", "all"},
    {"message.timeout.ms", "50"}, {"message.timeout.ms", "1000"}, {"queue.buffering.max.messages", "3"}, {"queue.buffering.max.kbytes", "1"},
    {"batch.num.messages", "1"}, {"batch.size", "1"}, {"compression.type", "gzip"}, {"compression.type", "snappy"}, {"compression.type", "lz4"},
    {"compression.type", "zstd"}, {"message.max.bytes", "1000"}, {"max.in.flight", "1"}, {"retries", "0"}, {"retry.backoff.ms", "1"},
    {"delivery.report.only.error", "true"}, {"sticky.partitioning.linger.ms", "0"}, {"partitioner", "random"}, {"partitioner", "murmur2"}, {"partitioner", "fnv1a_random"},
    {"auto.offset.reset", "earliest"}, {"auto.offset.reset", "error"}, {"enable.auto.commit", "false"}, {"auto.commit.interval.ms", "5"},
    {"enable.auto.offset.store", "false"}, {"enable.partition.eof", "true"}, {"fetch.wait.max.ms", "5"}, {"fetch.min.bytes", "1000"},
    {"queued.min.messages", "1"}, {"queued.max.messages.kbytes", "1"}, {"fetch.message.max.bytes", "100"}, {"check.crcs", "true"}, {"isolation.level", "read_uncommitted"},
    {"partition.assignment.strategy", "cooperative-sticky"}, {"partition.assignment.strategy", "roundrobin,range"}, {"group.protocol", "consumer"},
    {"group.instance.id", "me"}, {"session.timeout.ms", "6000"}, {"heartbeat.interval.ms", "50"}, {"max.poll.interval.ms", "6000"}, {"group.remote.assignor", "uniform"},
    {"statistics.interval.ms", "5"}, {"debug", "all"}, {"debug", "msg,topic"}, {"log.queue", "true"}, {"log_level", "7"}, {"log_level", "0"},
    {"topic.metadata.refresh.interval.ms", "10"}, {"topic.metadata.refresh.interval.ms", "-1"}, {"metadata.max.age.ms", "10"}, {"socket.timeout.ms", "100"},
    {"socket.timeout.ms", "1000"}, {"connections.max.idle.ms", "50"}, {"reconnect.backoff.ms", "1"}, {"allow.auto.create.topics", "true"},
    {"topic.metadata.propagation.max.ms", "50"}, {"client.rack", "rack"}, {"client.id", ""}, {"client.id", "\xc3\xa9"}, {"topic.blacklist", "^b,c"},
    {"security.protocol", "ssl"}, {"security.protocol", "sasl_plaintext"}, {"sasl.mechanisms", "PLAIN"}, {"sasl.username", "u"}, {"sasl.password", "p"},
    {"sasl.mechanisms", "OAUTHBEARER"}, {"enable.sasl.oauthbearer.unsecure.jwt", "true"}, {"ssl.ca.location", "/nowhere"}, {"transactional.id", "t"},
    {"max.partition.fetch.bytes", "1"}, {"receive.message.max.bytes", "1000"}, {"offset.store.method", "none"}, {"api.version.request", "false"},
    {"enable.idempotence", "maybe"}, {"linger.ms", "-5"}, {"no.such.property", "1"}, {"acks", "99"}, {"bootstrap.servers", ""}, {"group.id", ""},
    {"broker.address.family", "v4"}, {"socket.keepalive.enable", "true"}, {"socket.nagle.disable", "true"}, {"log.thread.name", "false"},
};

static rd_kafka_conf_t *some_conf(void) {
    rd_kafka_conf_t *conf = E(0, rd_kafka_conf_new());
    char text[256];
    for (int i = below(7); i > 0; i--) {
        const char *const *one = PICK(settings);
        V(0, rd_kafka_conf_set(conf, one[0], one[1], chance(80) ? text : NULL, sizeof text));
    }
    if (chance(70)) {
        if (chance(70))
            V(0, rd_kafka_conf_set_dr_msg_cb(conf, on_report));
        else
            V(0, rd_kafka_conf_set_dr_cb(conf, on_old_report));
    }
    if (chance(50))
        V(0, rd_kafka_conf_set_rebalance_cb(conf, on_rebalance));
    if (chance(30))
        V(0, rd_kafka_conf_set_offset_commit_cb(conf, on_commit));
    if (chance(30))
        V(0, rd_kafka_conf_set_error_cb(conf, on_error));
    if (chance(30))
        V(0, rd_kafka_conf_set_stats_cb(conf, on_stats));
    if (chance(10))
        V(0, rd_kafka_conf_set_throttle_cb(conf, on_throttle));
    if (chance(5))
        V(0, rd_kafka_conf_set_consume_cb(conf, on_message));
    V(0, rd_kafka_conf_set_log_cb(conf, chance(90) ? on_log : NULL));
    if (chance(20))
        V(0, rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_token));
    if (chance(20))
        V(0, rd_kafka_conf_enable_sasl_queue(conf, 1));
    if (chance(20))
        V(0, rd_kafka_conf_set_events(conf, chance(50) ? -1 & 0x1ff : below(0x200)));
    if (chance(10))
        V(0, rd_kafka_conf_set_background_event_cb(conf, on_background));
    if (chance(10))
        V(0, rd_kafka_conf_set_socket_cb(conf, on_socket));
    if (chance(10))
        V(0, rd_kafka_conf_set_connect_cb(conf, on_connect));
    if (chance(10))
        V(0, rd_kafka_conf_set_closesocket_cb(conf, on_close));
    if (chance(15))
        V(0, rd_kafka_conf_interceptor_add_on_new(conf, "calls", on_new, NULL));
    if (chance(15)) {
        rd_kafka_topic_conf_t *topic = E(0, rd_kafka_topic_conf_new());
        if (chance(50))
            V(0, rd_kafka_topic_conf_set_partitioner_cb(topic, on_partition));
        V(0, rd_kafka_topic_conf_set(topic, "request.required.acks", "1", text, sizeof text));
        V(0, rd_kafka_conf_set_default_topic_conf(conf, topic));
    }
    if (chance(20)) {
        rd_kafka_conf_t *copy = E(0, rd_kafka_conf_dup(conf));
        V(0, rd_kafka_conf_destroy(conf));
        conf = copy;
    }
    return conf;
}

static void make_handle(struct handle *handle) {
    if (pthread_rwlock_trywrlock(&handle->lock))
        return;
    if (!handle->rk) {
        char text[256];
        rd_kafka_conf_t *conf = chance(98) ? some_conf() : NULL;
        rd_kafka_type_t type = chance(50) ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
        if (conf) {
            char other[ADDRESSES];
            some_bootstraps(other);
            int kind = below(100);
            if (kind < 65)
                V(0, rd_kafka_conf_set(conf, "test.mock.num.brokers", chance(50) ? "1" : "3", NULL, 0));
            else if (kind < 90 && *other)
                V(0, rd_kafka_conf_set(conf, "bootstrap.servers", other, NULL, 0));
            else if (kind < 97)
                V(0, rd_kafka_conf_set(conf, "bootstrap.servers", chance(70) ? "127.0.0.1:1" : "127.0.0.1:1,[::1]:2,:,nohost.invalid:9", NULL, 0));
            if (type == RD_KAFKA_CONSUMER && chance(85))
                V(0, rd_kafka_conf_set(conf, "group.id", "g", NULL, 0));
        }
        rd_kafka_t *rk = E(5000, rd_kafka_new(type, conf, text, sizeof text));
        if (!rk && conf)
            V(0, rd_kafka_conf_destroy(conf));
        handle->type = type;
        handle->rk = rk;
        rd_kafka_mock_cluster_t *mock = rk ? E(0, rd_kafka_handle_mock_cluster(rk)) : NULL;
        set_bootstraps(handle, mock ? E(0, rd_kafka_mock_cluster_bootstraps(mock)) : "");
    }
    pthread_rwlock_unlock(&handle->lock);
}

/* All that was made from it first. */
static void end_handle(struct handle *handle, int wait) {
    if (wait)
        pthread_rwlock_wrlock(&handle->lock);
    else if (pthread_rwlock_trywrlock(&handle->lock))
        return;
    if (handle->rk) {
        for (int i = 0; i < KEPT; i++) {
            if (handle->messages[i])
                V(0, rd_kafka_message_destroy(handle->messages[i]));
            if (handle->events[i])
                V(0, rd_kafka_event_destroy(handle->events[i]));
            handle->messages[i] = NULL;
            handle->events[i] = NULL;
        }
        if (handle->type == RD_KAFKA_PRODUCER && chance(30))
            V(1000, rd_kafka_flush(handle->rk, 1000));
        if (handle->type == RD_KAFKA_CONSUMER && chance(50))
            V(30000, rd_kafka_consumer_close(handle->rk));
        for (int i = 0; i < TOPICS; i++) {
            if (handle->topics[i].topic)
                V(0, rd_kafka_topic_destroy(handle->topics[i].topic));
            handle->topics[i].topic = NULL;
        }
        for (int i = 0; i < QUEUES; i++) {
            if (handle->queues[i].queue)
                V(0, rd_kafka_queue_destroy(handle->queues[i].queue));
            handle->queues[i].queue = NULL;
        }
        if (handle->mock)
            V(5000, rd_kafka_mock_cluster_destroy(handle->mock));
        handle->mock = NULL;
        if (chance(80))
            V(30000, rd_kafka_destroy(handle->rk));
        else
            V(30000, rd_kafka_destroy_flags(handle->rk, chance(50) ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE : 0));
        handle->rk = NULL;
    }
    pthread_rwlock_unlock(&handle->lock);
}

#endif
