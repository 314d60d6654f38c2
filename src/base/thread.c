/* The thread pool and the count of CPUs; see thread.h.
 *
 * A job is announced by raising `epoch` and is over when `pending` falls to 0: two atomics, no lock. A thread that finds
 * nothing new for SPIN_SECONDS takes the lock, counts itself as parked and waits on a condition. Who raises `epoch` (or takes the
 * last of `pending`) looks at the parked count afterwards; both sides do so in sequentially consistent order, so either the
 * waker sees the sleeper or the sleeper sees the news: no wake-up is lost and an awake pool never touches the lock.
 * Surprise: with more threads than CPUs nobody spins, since the spinner would hold the CPU that the worker needs. */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SPIN_SECONDS 60e-6
enum { THREADS_MAX = 1024, PAUSES_PER_LOOK = 32, CACHE_LINE = 64 };

typedef struct worker {
    hn_pool *pool;
    pthread_t handle;
    int thread;
} worker;

struct hn_pool {
    /* Written by the caller, read by workers. */
    _Alignas(CACHE_LINE) atomic_uint epoch;
    atomic_bool stop;
    hn_pool_fn *fn;
    void *arg;
    /* Written by workers. */
    _Alignas(CACHE_LINE) atomic_int pending;
    /* Seldom written. */
    _Alignas(CACHE_LINE) atomic_int parked_workers;
    atomic_bool parked_caller;
    pthread_mutex_t lock;
    pthread_cond_t news, done;
    int n_threads, n_started;
    bool spins;
    worker workers[];
};

static void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool epoch_changed(hn_pool *pool, unsigned seen) { return atomic_load(&pool->epoch) != seen; }

/* Waits for a job newer than `seen`. */
static void wait_for_news(hn_pool *pool, unsigned seen) {
    double until = hn_clock_seconds() + SPIN_SECONDS;
    while (pool->spins) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (atomic_load_explicit(&pool->epoch, memory_order_acquire) != seen) return;
            cpu_relax();
        }
        if (hn_clock_seconds() >= until) break;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->parked_workers, 1);
    while (!epoch_changed(pool, seen)) pthread_cond_wait(&pool->news, &pool->lock);
    atomic_fetch_sub(&pool->parked_workers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_workers(hn_pool *pool) {
    double until = hn_clock_seconds() + SPIN_SECONDS;
    while (pool->spins) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
            cpu_relax();
        }
        if (hn_clock_seconds() >= until) break;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->parked_caller, true);
    while (atomic_load(&pool->pending) != 0) pthread_cond_wait(&pool->done, &pool->lock);
    atomic_store(&pool->parked_caller, false);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *arg) {
    worker *self = arg;
    hn_pool *pool = self->pool;
    for (unsigned seen = 0;; seen++) {
        wait_for_news(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        pool->fn(pool->arg, self->thread, pool->n_threads);
        if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->parked_caller)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void announce(hn_pool *pool) {
    atomic_fetch_add(&pool->epoch, 1);
    if (atomic_load(&pool->parked_workers) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->news);
    pthread_mutex_unlock(&pool->lock);
}

hn_status hn_pool_create(int n_threads, hn_pool **pool, hn_error *err) {
    *pool = NULL;
    if (n_threads < 0 || n_threads > THREADS_MAX)
        return hn_fail(err, HN_ERR_USAGE, "threads", "give a number from 1 to the number of CPUs, or 0 for all of them",
                       "%d threads are asked for, the limit is %d", n_threads, THREADS_MAX);
    int n_cpus = hn_cpu_count();
    if (n_threads == 0) n_threads = n_cpus;
    size_t size_bytes = sizeof(hn_pool) + (size_t)n_threads * sizeof(worker);
    hn_pool *p = hn_alloc_aligned(size_bytes, CACHE_LINE);
    if (!p) return hn_fail_memory(err, size_bytes);
    p->n_threads = n_threads;
    p->n_started = 1;
    p->spins = n_threads <= n_cpus;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->news, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 1; i < n_threads; i++) {
        p->workers[i] = (worker){.pool = p, .thread = i};
        int code = pthread_create(&p->workers[i].handle, NULL, worker_main, &p->workers[i]);
        if (code != 0) {
            hn_pool_free(p);
            return hn_fail_errno(err, code, "threads", "starting a thread");
        }
        p->n_started++;
    }
    *pool = p;
    return HN_OK;
}

void hn_pool_run(hn_pool *pool, hn_pool_fn *fn, void *arg) {
    if (pool->n_threads == 1) {
        fn(arg, 0, 1);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->pending, pool->n_threads - 1, memory_order_relaxed);
    announce(pool);
    fn(arg, 0, pool->n_threads);
    wait_for_workers(pool);
}

int hn_pool_size(const hn_pool *pool) { return pool->n_threads; }

void hn_pool_free(hn_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    announce(pool);
    for (int i = 1; i < pool->n_started; i++) pthread_join(pool->workers[i].handle, NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->news);
    pthread_mutex_destroy(&pool->lock);
    hn_free_aligned(pool, sizeof(hn_pool) + (size_t)pool->n_threads * sizeof(worker));
}

void hn_share(size_t n, size_t grain, int thread, int n_threads, size_t *from, size_t *to) {
    size_t n_grains = (n + grain - 1) / grain, each = n_grains / (size_t)n_threads, more = n_grains % (size_t)n_threads;
    size_t index = (size_t)thread, first = index * each + (index < more ? index : more);
    size_t last = first + each + (index < more);
    *from = first * grain < n ? first * grain : n;
    *to = last * grain < n ? last * grain : n;
}

#ifdef __linux__
/* Reads the first line of a small file of the kernel's; false where there is none. */
static bool read_line(const char *path, char *line, size_t size) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (got) line[strcspn(line, "\n")] = 0;
    return got;
}

/* CPUs' worth of time in one control group (version 2); 0: no limit there. */
static int quota_of_group(const char *group) {
    char path[640], line[64];
    long long quota, period;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2) return 0;
    if (quota <= 0 || period <= 0 || quota / period >= THREADS_MAX) return 0;
    return (int)((quota + period - 1) / period);
}

/* Version 1 shows the process its own group there when it runs in a container. */
static int quota_version1(void) {
    char line[64];
    long long quota, period;
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lld", &quota) != 1) return 0;
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lld", &period) != 1) return 0;
    if (quota <= 0 || period <= 0 || quota / period >= THREADS_MAX) return 0;
    return (int)((quota + period - 1) / period);
}

/* The tightest limit of this process's group and all groups above it; 0: none. */
static int quota_cpus(void) {
    char group[512], line[520];
    int least = quota_version1();
    if (!read_line("/proc/self/cgroup", line, sizeof line) || strncmp(line, "0::", 3) != 0) line[3] = 0;
    snprintf(group, sizeof group, "%s", line + 3);
    if (strcmp(group, "/") == 0) group[0] = 0;
    for (;;) {
        int quota = quota_of_group(group);
        if (quota && (!least || quota < least)) least = quota;
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

int hn_cpu_count(void) {
    cpu_set_t set;
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = quota_cpus();
    if (quota && quota < n) n = quota;
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}
#else
int hn_cpu_count(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : (int)n;
}
#endif
