/* A pool of threads for fork-join work: the caller and n-1 workers run one function, then all meet.
 *
 *     hn_pool *pool;
 *     HN_TRY(hn_pool_create(2, &pool, &err));              // 0: one per CPU this process may use
 *     hn_pool_run(pool, work, &job);                       // work(&job, share, n_threads) for each share; returns
 *                                                          // when all are done
 *     hn_pool_free(pool);
 *
 * Workers spin for some microseconds after a job (a fork-join then costs about 0.1 us), then park, so an idle pool uses
 * no CPU. How work is divided must never change a result's bits: divide by rows or columns, never inside a sum.
 * `thread` is the number of a share of the work, 0 .. n_threads-1: usually one runs on each thread, but where a worker
 * has lost its CPU another thread runs its share, one after the other. Two shares of one number never run at once, so
 * scratch memory may belong to a share; thread-local state may not. Threading: one hn_pool_run at a time; not from
 * inside a job. */
#ifndef HN_BASE_THREAD_H
#define HN_BASE_THREAD_H

#include "base/status.h"

typedef struct hn_pool hn_pool;
typedef void hn_pool_fn(void *arg, int thread, int n_threads);

hn_status hn_pool_create(int n_threads, hn_pool **pool, hn_error *err) HN_MUST_CHECK;
void hn_pool_run(hn_pool *pool, hn_pool_fn *fn, void *arg);
int hn_pool_size(const hn_pool *pool);
void hn_pool_free(hn_pool *pool);
/* CPUs that this process may use (affinity and cgroup quota counted). */
int hn_cpu_count(void);

/* The share [*from, *to) of `n` items, in multiples of `grain`, that belongs to `thread` of `n_threads`. */
void hn_share(size_t n, size_t grain, int thread, int n_threads, size_t *from, size_t *to);

#endif
