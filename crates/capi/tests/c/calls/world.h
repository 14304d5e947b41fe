/* What a sequence works on: a few handles, and what was made from each. A handle is used under its read lock and destroyed under its write
 * lock, after all that was made from it: the order that the API asks for. */
#ifndef WORLD_H
#define WORLD_H

#define HANDLES 3
#define ADDRESSES 256
#define TOPICS 4
#define QUEUES 6
#define KEPT 24

enum { QUEUE_NEW, QUEUE_MAIN, QUEUE_CONSUMER, QUEUE_PARTITION, QUEUE_BACKGROUND };

struct handle {
    pthread_rwlock_t lock;
    rd_kafka_t *rk;
    rd_kafka_type_t type;
    int background; /* a thread of the library takes events */
    struct {
        pthread_rwlock_t lock;
        rd_kafka_topic_t *topic;
    } topics[TOPICS];
    struct {
        pthread_rwlock_t lock;
        rd_kafka_queue_t *queue;
        int kind;
    } queues[QUEUES];
    pthread_mutex_t kept;
    rd_kafka_message_t *messages[KEPT];
    rd_kafka_event_t *events[KEPT];
    pthread_rwlock_t mock_lock;
    rd_kafka_mock_cluster_t *mock; /* made by the program */
    char bootstraps[ADDRESSES];
};

static struct handle world[HANDLES];
static uint64_t seed_of_all;
static int pipes[2];
static __thread uint64_t random_state;
static __thread int callback_depth;

/* splitmix64; a thread of the library draws from a stream of its own. */
static uint64_t draw(void) {
    static uint64_t others;
    if (!random_state)
        random_state = seed_of_all * 0x9e3779b97f4a7c15u + (__atomic_add_fetch(&others, 1, __ATOMIC_RELAXED) << 32) + 1;
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int n) { return (int)(draw() % (uint64_t)n); }
static int chance(int percent) { return below(100) < percent; }

static pthread_mutex_t bootstraps = PTHREAD_MUTEX_INITIALIZER;

static void set_bootstraps(struct handle *handle, const char *addresses) {
    pthread_mutex_lock(&bootstraps);
    snprintf(handle->bootstraps, ADDRESSES, "%s", addresses);
    pthread_mutex_unlock(&bootstraps);
}

/* Of any handle; it may have none. */
static void some_bootstraps(char *addresses) {
    pthread_mutex_lock(&bootstraps);
    memcpy(addresses, world[below(HANDLES)].bootstraps, ADDRESSES);
    pthread_mutex_unlock(&bootstraps);
}

#define PICK(array) ((array)[below((int)(sizeof(array) / sizeof *(array)))])

static const char *some_topic(void) {
    static const char *const names[] = {"a", "a", "b", "b", "c", "c", "nobody", "", "bad name!", "^a", "^", "^(", "t\xc3\xa9", "\xff",
                                        "long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"
                                        "-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"
                                        "-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long-long"};
    return chance(70) ? names[below(6)] : PICK(names);
}

static int32_t some_partition(void) {
    static const int32_t all[] = {0, 0, 0, 1, 1, 2, 3, RD_KAFKA_PARTITION_UA, -2, 99, INT32_MAX, INT32_MIN};
    return chance(80) ? all[below(6)] : PICK(all);
}

static int64_t some_offset(void) {
    static const int64_t all[] = {0, 1, 5, RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END, RD_KAFKA_OFFSET_STORED, RD_KAFKA_OFFSET_INVALID,
                                  RD_KAFKA_OFFSET_TAIL(2), RD_KAFKA_OFFSET_TAIL(0), -3, -1002, INT64_MAX, INT64_MIN, INT64_MAX - 1};
    return chance(60) ? all[below(8)] : PICK(all);
}

static int some_timeout(void) {
    static const int all[] = {0, 0, 0, 1, 5, 20, 50, 100};
    return PICK(all);
}

static rd_kafka_resp_err_t some_error(void) {
    static const rd_kafka_resp_err_t all[] = {
        RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__FATAL,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
        RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
        RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, RD_KAFKA_RESP_ERR_UNKNOWN,
        (rd_kafka_resp_err_t)12345, (rd_kafka_resp_err_t)-4711, (rd_kafka_resp_err_t)INT32_MAX, (rd_kafka_resp_err_t)INT32_MIN};
    return PICK(all);
}

static rd_kafka_topic_partition_list_t *some_list(void) {
    rd_kafka_topic_partition_list_t *list = E(0, rd_kafka_topic_partition_list_new(below(4) - 1));
    for (int i = below(4); i > 0; i--) {
        rd_kafka_topic_partition_t *one = E(0, rd_kafka_topic_partition_list_add(list, some_topic(), some_partition()));
        if (chance(70))
            one->offset = some_offset();
        if (chance(10)) {
            one->metadata = strdup("metadata");
            one->metadata_size = 8;
        }
        if (chance(10))
            V(0, rd_kafka_topic_partition_set_leader_epoch(one, below(4) - 1));
    }
    return list;
}

static rd_kafka_headers_t *some_headers(void) {
    rd_kafka_headers_t *headers = E(0, rd_kafka_headers_new((size_t)below(3)));
    for (int i = below(4); i > 0; i--)
        V(0, rd_kafka_header_add(headers, chance(80) ? "name" : "", chance(50) ? -1 : 0, chance(70) ? "value" : NULL, chance(50) ? 5 : -1));
    return headers;
}

/* A handle to use, read locked; NULL where there is none or it is being destroyed. */
static struct handle *use_handle(void) {
    struct handle *handle = &world[below(HANDLES)];
    if (pthread_rwlock_tryrdlock(&handle->lock))
        return NULL;
    if (handle->rk)
        return handle;
    pthread_rwlock_unlock(&handle->lock);
    return NULL;
}

static void unuse(struct handle *handle) { pthread_rwlock_unlock(&handle->lock); }

static void keep_message(struct handle *handle, rd_kafka_message_t *message) {
    if (!message)
        return;
    pthread_mutex_lock(&handle->kept);
    rd_kafka_message_t **place = &PICK(handle->messages), *before = *place;
    *place = message;
    pthread_mutex_unlock(&handle->kept);
    if (before)
        V(0, rd_kafka_message_destroy(before));
}

static rd_kafka_message_t *kept_message(struct handle *handle) {
    pthread_mutex_lock(&handle->kept);
    rd_kafka_message_t *found = NULL;
    for (int i = 0; i < KEPT && !found; i++) {
        found = handle->messages[i];
        handle->messages[i] = NULL;
    }
    pthread_mutex_unlock(&handle->kept);
    return found;
}

static void keep_event(struct handle *handle, rd_kafka_event_t *event) {
    if (!event)
        return;
    pthread_mutex_lock(&handle->kept);
    rd_kafka_event_t **place = &PICK(handle->events), *before = *place;
    *place = event;
    pthread_mutex_unlock(&handle->kept);
    if (before)
        V(0, rd_kafka_event_destroy(before));
}

static rd_kafka_event_t *kept_event(struct handle *handle) {
    pthread_mutex_lock(&handle->kept);
    rd_kafka_event_t *found = NULL;
    for (int i = 0; i < KEPT && !found; i++) {
        found = handle->events[i];
        handle->events[i] = NULL;
    }
    pthread_mutex_unlock(&handle->kept);
    return found;
}

/* A topic or queue of a handle, read locked, with its number; -1 where the place is empty or busy. */
static int use_topic(struct handle *handle) {
    int i = below(TOPICS);
    if (pthread_rwlock_tryrdlock(&handle->topics[i].lock))
        return -1;
    if (handle->topics[i].topic)
        return i;
    pthread_rwlock_unlock(&handle->topics[i].lock);
    return -1;
}

static int use_queue(struct handle *handle) {
    int i = below(QUEUES);
    if (pthread_rwlock_tryrdlock(&handle->queues[i].lock))
        return -1;
    if (handle->queues[i].queue)
        return i;
    pthread_rwlock_unlock(&handle->queues[i].lock);
    return -1;
}

#endif
