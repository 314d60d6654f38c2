/* The thread pool and the count of CPUs; see thread.h.
 *
 * A job is cut into one share a thread, and whoever is free claims the next share: one word holds the job's number and
 * the number of shares claimed. Usually every thread runs one. On a busy machine, where a worker has lost its CPU to
 * another process, the caller runs the worker's share as well instead of waiting for a time slice: that keeps two
 * loaded processes from slowing each other down far below half speed.
 *
 * A thread that finds nothing to do for SPIN_SECONDS takes the lock, counts itself as parked and waits on a condition.
 * Who announces a job (or finishes its last share) looks at the parked count afterwards; both sides do so in
 * sequentially consistent order, so either the waker sees the sleeper or the sleeper sees the news: no wake-up is lost,
 * and an awake pool never touches the lock. Surprise: with more threads than CPUs nobody spins, since the spinner would
 * hold the CPU that the other needs. */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SPIN_SECONDS 60e-6
enum { THREADS_MAX = 1024, PAUSES_PER_LOOK = 32, CACHE_LINE = 64, CLAIM_BITS = 16, CLAIM_MASK = (1 << CLAIM_BITS) - 1 };

struct hn_pool {
    _Alignas(CACHE_LINE) atomic_uint_fast64_t claims; /* job number << CLAIM_BITS | shares claimed */
    hn_pool_fn *fn;                                   /* written before `claims` announces them */
    void *arg;
    _Alignas(CACHE_LINE) atomic_int pending; /* shares not finished */
    _Alignas(CACHE_LINE) atomic_int parked_workers;
    atomic_bool parked_caller, stop;
    bool spins;
    pthread_mutex_t lock;
    pthread_cond_t news, done;
    int n_threads, n_started;
    pthread_t workers[];
};

static void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool has_work(hn_pool *pool) {
    uint64_t claims = atomic_load(&pool->claims);
    return (int)(claims & CLAIM_MASK) < pool->n_threads || atomic_load(&pool->stop);
}

/* Runs shares of the present job until none is left. A share that was claimed keeps the job, and with it fn and arg, in
 * place. */
static void run_shares(hn_pool *pool) {
    uint64_t claims = atomic_load_explicit(&pool->claims, memory_order_acquire);
    for (;;) {
        int share = (int)(claims & CLAIM_MASK);
        if (share >= pool->n_threads) return;
        if (!atomic_compare_exchange_weak(&pool->claims, &claims, claims + 1)) continue;
        pool->fn(pool->arg, share, pool->n_threads);
        if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->parked_caller)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
        claims = atomic_load_explicit(&pool->claims, memory_order_acquire);
    }
}

/* Waits for a job with unclaimed shares, or the end. */
static void wait_for_news(hn_pool *pool) {
    double until = hn_clock_seconds() + SPIN_SECONDS;
    while (pool->spins) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (has_work(pool)) return;
            cpu_relax();
        }
        if (hn_clock_seconds() >= until) break;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->parked_workers, 1);
    while (!has_work(pool)) pthread_cond_wait(&pool->news, &pool->lock);
    atomic_fetch_sub(&pool->parked_workers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_for_workers(hn_pool *pool) {
    if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
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
    hn_pool *pool = arg;
    for (;;) {
        wait_for_news(pool);
        if (atomic_load(&pool->stop)) return NULL;
        run_shares(pool);
    }
}

static void wake_parked(hn_pool *pool) {
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
    size_t size_bytes = sizeof(hn_pool) + (size_t)n_threads * sizeof(pthread_t);
    hn_pool *p = hn_alloc_aligned(size_bytes, CACHE_LINE);
    if (!p) return hn_fail_memory(err, size_bytes);
    p->n_threads = n_threads;
    p->spins = n_threads <= n_cpus;
    atomic_store(&p->claims, (uint64_t)n_threads); /* job 0, all claimed */
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->news, NULL);
    pthread_cond_init(&p->done, NULL);
    while (p->n_started < n_threads - 1) {
        int code = pthread_create(&p->workers[p->n_started], NULL, worker_main, p);
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
    atomic_store_explicit(&pool->pending, pool->n_threads, memory_order_relaxed);
    uint64_t job = (atomic_load_explicit(&pool->claims, memory_order_relaxed) >> CLAIM_BITS) + 1;
    atomic_store(&pool->claims, job << CLAIM_BITS);
    wake_parked(pool);
    run_shares(pool);
    wait_for_workers(pool);
}

int hn_pool_size(const hn_pool *pool) { return pool->n_threads; }

void hn_pool_free(hn_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    wake_parked(pool);
    for (int i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->news);
    pthread_mutex_destroy(&pool->lock);
    hn_free_aligned(pool, sizeof(hn_pool) + (size_t)pool->n_threads * sizeof(pthread_t));
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
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", line, sizeof line) || sscanf(line, "%lld", &quota) != 1)
        return 0;
    if (!read_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", line, sizeof line) || sscanf(line, "%lld", &period) != 1)
        return 0;
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
