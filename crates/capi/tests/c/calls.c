/* Calls the library's functions in random order with random arguments, within C's contract, from one to three threads.
 *
 *     calls SEED SECONDS [PATIENCE-MS]    sequences from SEED on, each in a process of its own, until the time is up
 *     calls SEED                          one sequence, in this process: for a debugger
 *
 * Found is what crashes, aborts or panics, a call that takes longer than its timeout and the patience (5 s), and threads and descriptors that
 * are left when everything is destroyed. The same seed makes the same calls in each thread; how the threads interleave is not part of it.
 */
#include <errno.h>
#include <dirent.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "calls/watch.h"
#include "calls/world.h"
#include "calls/callbacks.h"
#include "calls/clients.h"
#include "calls/plain.h"

/* One step of a thread. */
static void step(void) {
    struct handle *handle = NULL;
    int what = below(100);
    if (what < 4)
        do_lists();
    else if (what < 6)
        do_headers();
    else if (what < 9)
        do_conf();
    else if (what < 11)
        do_small();
    else if (what < 12)
        do_null();
    else if (what < 18)
        make_handle(&world[below(HANDLES)]);
    else if (what < 20)
        end_handle(&world[below(HANDLES)], 0);
    else if ((handle = use_handle())) {
        if (what < 28)
            do_topic(handle);
        else if (what < 48)
            do_handle(handle);
        else if (what < 56)
            do_queue(handle);
        else if (what < 60)
            do_legacy(handle);
        else if (what < 72)
            do_mock(handle);
        else if (what < 75)
            do_message(handle);
        else if (what < 78) {
            rd_kafka_event_t *event = kept_event(handle);
            if (event) {
                show_event(event);
                V(0, rd_kafka_event_destroy(event));
            }
        } else if (what < 83)
            do_admin(handle);
        else
            do_consumer(handle);
        unuse(handle);
    }
}

static void *run(void *argument) {
    uintptr_t number = (uintptr_t)argument;
    random_state = seed_of_all * 0x2545f4914f6cdd1du + number + 1;
    watch_this_thread();
    for (int i = 40 + below(120); i > 0; i--)
        step();
    return NULL;
}

static int count_entries(const char *path) {
    int count = 0;
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

static void fail(const char *what, int number) {
    fprintf(stderr, "FOUND: %s (%d)\n", what, number);
    for (int fd = 0; fd < 64; fd++) {
        char path[32], target[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(path, target, sizeof target - 1);
        if (size > 0)
            fprintf(stderr, "  descriptor %d is %.*s\n", fd, (int)size, target);
    }
    _exit(3);
}

static void show_stack(int number) {
    void *frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), 2);
    if (number != SIGUSR2) {
        signal(number, SIG_DFL);
        raise(number);
    }
}

static void *nothing(void *arg) {
    return arg;
}

static void sequence(uint64_t seed) {
    seed_of_all = seed;
    random_state = seed + 1;
    draw();
    for (int i = 0; i < HANDLES; i++) {
        pthread_rwlock_init(&world[i].lock, NULL);
        pthread_rwlock_init(&world[i].mock_lock, NULL);
        pthread_mutex_init(&world[i].kept, NULL);
        for (int n = 0; n < TOPICS; n++)
            pthread_rwlock_init(&world[i].topics[n].lock, NULL);
        for (int n = 0; n < QUEUES; n++)
            pthread_rwlock_init(&world[i].queues[n].lock, NULL);
    }
    if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
        fail("no pipe", errno);
    pthread_t first;
    /* ThreadSanitizer has a thread of its own from the program's first on. */
    if (!pthread_create(&first, NULL, nothing, NULL))
        pthread_join(first, NULL);
    /* And a pair of sockets that the library's runtime has for the whole process, from its first use on. */
    int descriptors = count_entries("/proc/self/fd") + 2, tasks = count_entries("/proc/self/task");
    watch_this_thread();
    pthread_t threads[3];
    int count = below(3);
    watch->stage = "calls";
    for (int i = 0; i < count; i++)
        pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1));
    for (int i = 40 + below(120); i > 0; i--)
        step();
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    watch->stage = "ends";
    for (int i = 0; i < HANDLES; i++)
        end_handle(&world[i], 1);
    watch->stage = "leaks";
    if (E(10000, rd_kafka_wait_destroyed(10000)))
        fail("a handle lives after the last destroy", rd_kafka_thread_cnt());
    int left = 0;
    for (int i = 0; i < 1000; i++) {
        if (count_entries("/proc/self/task") == tasks && count_entries("/proc/self/fd") <= descriptors && !rd_kafka_thread_cnt())
            return;
        usleep(10000);
    }
    if ((left = count_entries("/proc/self/task") - tasks))
        fail("threads are left", left);
    if ((left = rd_kafka_thread_cnt()))
        fail("rd_kafka_thread_cnt() is not 0 again", left);
    fail("descriptors are left", count_entries("/proc/self/fd") - descriptors);
}

/* Threads of the library block signals; those of the program say where they are. */
static void show_stacks(pid_t child) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)child);
    DIR *dir = opendir(path);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (*entry->d_name != '.')
            syscall(SYS_tgkill, child, atoi(entry->d_name), SIGUSR2);
    if (dir)
        closedir(dir);
    usleep(500000);
}

/* What the child wrote: with a panic in it, 1. */
static int tell_output(int file, int always) {
    static char text[1 << 16];
    off_t size = lseek(file, 0, SEEK_END);
    off_t from = size > (off_t)sizeof text - 1 ? size - ((off_t)sizeof text - 1) : 0;
    ssize_t got = pread(file, text, sizeof text - 1, from);
    text[got > 0 ? got : 0] = 0;
    int panicked = strstr(text, "panicked at") != NULL || strstr(text, "Sanitizer") != NULL;
    if (always || panicked)
        fprintf(stdout, "%s\n", text);
    return panicked;
}

/* One sequence in a child: 1 where something was found. */
static int judge(uint64_t seed, unsigned long *calls) {
    memset(watch, 0, sizeof *watch);
    char name[] = "/tmp/calls-XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        dup2(file, 2);
        close(file);
        int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGILL, SIGFPE, SIGUSR2};
        for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
            signal(signals[i], show_stack);
        sequence(seed);
        exit(0);
    }
    int status = 0, late = -1;
    while (waitpid(child, &status, WNOHANG) == 0) {
        if ((late = overdue()) >= 0) {
            struct watched *thread = &watch->threads[late];
            int depth = thread->depth > 0 && thread->depth <= DEPTH ? thread->depth - 1 : 0;
            printf("overdue for %" PRId64 " ms in thread %d: %s\n", now_ms() - thread->open[depth].until, late, thread->open[depth].name);
            show_stacks(child);
            if (getenv("CALLS_DEBUGGER")) {
                char command[128];
                snprintf(command, sizeof command, "gdb -q -batch -p %d -ex 'thread apply all bt 40' >&2", (int)child);
                if (system(command))
                    perror("gdb");
            }
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            break;
        }
        usleep(5000);
    }
    for (int i = 0; i < THREADS; i++)
        *calls += watch->threads[i].calls;
    int bad = late >= 0 || !WIFEXITED(status) || WEXITSTATUS(status);
    if (bad)
        printf("SEED %" PRIu64 ": %s, status %#x\n", seed, late >= 0 ? "HANGS" : WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "fails", status);
    bad |= tell_output(file, bad);
    close(file);
    if (bad) {
        printf("SEED %" PRIu64 " had called:\n", seed);
        tell_calls(stdout);
    }
    fflush(stdout);
    return bad;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "calls SEED [SECONDS [PATIENCE-MS]]\n");
        return 2;
    }
    watch = mmap(NULL, sizeof *watch, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (watch == MAP_FAILED)
        return 2;
    uint64_t seed = strtoull(argv[1], NULL, 10);
    if (argc > 3)
        patience = atoi(argv[3]);
    if (argc == 2) {
        sequence(seed);
        puts("ok");
        return 0;
    }
    int64_t end = now_ms() + atoll(argv[2]) * 1000;
    unsigned long sequences = 0, calls = 0, found = 0;
    while (now_ms() < end) {
        found += (unsigned long)judge(seed++, &calls);
        sequences++;
    }
    printf("%lu sequences, %lu calls, %lu with findings\n", sequences, calls, found);
    return found != 0;
}
