/* The thread pool: every thread runs every job exactly once, jobs see what came before, shares cover everything once.
 * */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#include "support.h"

#include <stdatomic.h>
#include <time.h>

typedef struct counts {
    int runs[64]; /* one per thread, written by it alone */
    int n_threads[64];
    const int *input; /* plain memory that the caller writes between jobs */
    int seen[64];
} counts;

static void count_run(void *arg, int thread, int n_threads) {
    counts *c = arg;
    c->runs[thread]++;
    c->n_threads[thread] = n_threads;
    c->seen[thread] = *c->input;
}

static void each_thread_runs_each_job_once(void **state) {
    (void)state;
    int sizes[] = {1, 2, 3, 7};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        hn_pool *pool;
        hn_error err = {0};
        hn_test_ok(hn_pool_create(sizes[s], &pool, &err), &err);
        assert_int_equal(hn_pool_size(pool), sizes[s]);
        int input = 0, n_jobs = sizes[s] > 2 ? 300 : 20000;
        counts c = {.input = &input};
        for (int job = 0; job < n_jobs; job++) {
            input = job * 3 + 1;
            hn_pool_run(pool, count_run, &c);
            for (int t = 0; t < sizes[s]; t++) {
                assert_int_equal(c.runs[t], job + 1);
                assert_int_equal(c.seen[t], input);
                assert_int_equal(c.n_threads[t], sizes[s]);
            }
        }
        assert_int_equal(c.runs[sizes[s]], 0);
        hn_pool_free(pool);
    }
}

static void jobs_run_after_the_pool_was_parked(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    int input = 0;
    counts c = {.input = &input};
    for (int job = 0; job < 30; job++) {
        input = job;
        hn_clock_sleep_ms(job % 3);
        hn_pool_run(pool, count_run, &c);
        assert_int_equal(c.runs[0], job + 1);
        assert_int_equal(c.runs[1], job + 1);
        assert_int_equal(c.seen[1], job);
    }
    hn_pool_free(pool);
}

static void slow_worker(void *arg, int thread, int n_threads) {
    (void)n_threads;
    if (thread == 1) hn_clock_sleep_ms(5);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void the_caller_waits_for_a_slow_worker(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    atomic_int finished = 0;
    hn_test_ok(hn_pool_create(3, &pool, &err), &err);
    for (int i = 1; i <= 5; i++) {
        hn_pool_run(pool, slow_worker, &finished);
        assert_int_equal(atomic_load(&finished), 3 * i);
    }
    hn_pool_free(pool);
}

static void an_idle_pool_uses_no_cpu(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    atomic_int finished = 0;
    hn_test_ok(hn_pool_create(2, &pool, &err), &err);
    hn_pool_run(pool, slow_worker, &finished);
    hn_clock_sleep_ms(20);
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    hn_clock_sleep_ms(100);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    double used_ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) * 1e-6;
    assert_true(used_ms < 50); /* a spinning worker would use about 100 */
    hn_pool_free(pool);
}

static void impossible_sizes_and_no_memory_are_errors(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    assert_int_equal(hn_pool_create(-1, &pool, &err), HN_ERR_USAGE);
    assert_null(pool);
    assert_int_equal(hn_pool_create(1000000, &pool, &err), HN_ERR_USAGE);
    hn_alloc_fail_at(1, true);
    assert_int_equal(hn_pool_create(2, &pool, &err), HN_ERR_MEMORY);
    hn_alloc_fail_at(0, false);
    assert_null(pool);
    hn_pool_free(NULL);
}

static void default_size_is_the_cpu_count(void **state) {
    (void)state;
    hn_pool *pool;
    hn_error err = {0};
    assert_true(hn_cpu_count() >= 1);
    hn_test_ok(hn_pool_create(0, &pool, &err), &err);
    assert_int_equal(hn_pool_size(pool), hn_cpu_count());
    hn_pool_free(pool);
}

static void shares_cover_everything_once_in_order(void **state) {
    (void)state;
    size_t ns[] = {0, 1, 2, 15, 16, 17, 31, 576, 1000, 49152}, grains[] = {1, 3, 16, 32};
    for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
        for (size_t g = 0; g < sizeof grains / sizeof *grains; g++) {
            for (int n_threads = 1; n_threads <= 9; n_threads++) {
                size_t at = 0, least = SIZE_MAX, most = 0;
                for (int t = 0; t < n_threads; t++) {
                    size_t from, to;
                    hn_share(ns[i], grains[g], t, n_threads, &from, &to);
                    assert_int_equal(from, at);
                    assert_true(from <= to && (from % grains[g] == 0 || from == ns[i]));
                    at = to;
                    size_t n = (to - from + grains[g] - 1) / grains[g];
                    if (n < least) least = n;
                    if (n > most) most = n;
                }
                assert_int_equal(at, ns[i]);
                assert_true(most - least <= 1);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_thread_runs_each_job_once),
        cmocka_unit_test(jobs_run_after_the_pool_was_parked),
        cmocka_unit_test(the_caller_waits_for_a_slow_worker),
        cmocka_unit_test(an_idle_pool_uses_no_cpu),
        cmocka_unit_test(impossible_sizes_and_no_memory_are_errors),
        cmocka_unit_test(default_size_is_the_cpu_count),
        cmocka_unit_test(shares_cover_everything_once_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
