/* What every thread of a sequence is in the middle of, in memory that the parent process shares: so that a crash or a hang names its calls. */
#ifndef WATCH_H
#define WATCH_H

#define THREADS 8
#define DEPTH 8
#define TRACE 48

/* A thread's calls: the open ones, and the last ones of all. */
struct watched {
    struct {
        const char *name;
        int64_t since;
        int64_t until; /* when it is overdue */
    } open[DEPTH];
    int depth;
    const char *trace[TRACE];
    unsigned calls;
};

struct watch {
    struct watched threads[THREADS];
    unsigned next; /* thread */
    unsigned known; /* functions called */
    const char *stage;
};

static struct watch *watch;
static int patience = 5000; /* ms that a call may take beyond its timeout */
static __thread struct watched *mine;

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Threads of the library that call back share the last place, unwatched. */
static void watch_this_thread(void) {
    unsigned number = __atomic_fetch_add(&watch->next, 1, __ATOMIC_RELAXED);
    mine = number < THREADS ? &watch->threads[number] : NULL;
}

static void enter(int ms, const char *name) {
    if (!mine)
        return;
    mine->trace[mine->calls++ % TRACE] = name;
    if (mine->depth < DEPTH) {
        mine->open[mine->depth].name = name;
        mine->open[mine->depth].since = now_ms();
        mine->open[mine->depth].until = now_ms() + ms + patience;
    }
    __atomic_add_fetch(&mine->depth, 1, __ATOMIC_RELEASE);
}

static void leave(void) {
    if (!mine)
        return;
    int depth = __atomic_sub_fetch(&mine->depth, 1, __ATOMIC_RELEASE);
    /* What a callback took is not its caller's fault. */
    if (depth > 0 && depth < DEPTH)
        for (int i = 0; i < depth; i++)
            mine->open[i].until += now_ms() - mine->open[depth].since;
}

/* Calls, watched, a function that gives nothing (V) or something (E) and should be back within `ms` milliseconds. */
#define V(ms, call)                                                            \
    do {                                                                       \
        enter(ms, #call);                                                      \
        (void)(call);                                                          \
        leave();                                                               \
    } while (0)
#define E(ms, call)                                                            \
    ({                                                                         \
        enter(ms, #call);                                                      \
        __typeof__(call) answer_ = call;                                       \
        leave();                                                               \
        answer_;                                                               \
    })

/* The thread that is overdue, or -1. */
static int overdue(void) {
    int64_t now = now_ms();
    for (int i = 0; i < THREADS; i++) {
        struct watched *thread = &watch->threads[i];
        int depth = __atomic_load_n(&thread->depth, __ATOMIC_ACQUIRE);
        if (depth > 0 && depth <= DEPTH && now > thread->open[depth - 1].until)
            return i;
    }
    return -1;
}

static void tell_calls(FILE *out) {
    fprintf(out, "  stage: %s\n", watch->stage ? watch->stage : "-");
    for (int i = 0; i < THREADS; i++) {
        struct watched *thread = &watch->threads[i];
        if (!thread->calls)
            continue;
        fprintf(out, "  thread %d, after %u calls, last first:\n", i, thread->calls);
        for (int d = 0; d < thread->depth && d < DEPTH; d++)
            fprintf(out, "    open for %" PRId64 " ms: %s\n", now_ms() - thread->open[d].since, thread->open[d].name);
        for (unsigned n = 1; n <= 24 && n <= thread->calls; n++)
            fprintf(out, "    %s\n", thread->trace[(thread->calls - n) % TRACE]);
    }
}

#endif
