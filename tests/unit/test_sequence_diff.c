/* Shortest edits: applied to the first list they give the second, and they are as short as the longest common subsequence (an
 * implementation of its own) says. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "text/edit_distance.h"
#include "text/sequence_diff.h"

#include <string.h>

static void check(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b) {
    hn_diff_runs runs;
    hn_error err;
    size_t at_a = 0, at_b = 0, n_same = 0, common;
    hn_test_ok(hn_diff_units(a, n_a, b, n_b, NULL, &runs, &err), &err);
    for (size_t i = 0; i < runs.n; i++) {
        const hn_diff_run *r = &runs.rows[i];
        assert_true(r->n > 0);
        if (i) assert_true(r->kind != runs.rows[i - 1].kind);
        if (r->kind != HN_DIFF_ADDED) assert_int_equal(r->a, at_a);
        if (r->kind != HN_DIFF_REMOVED) assert_int_equal(r->b, at_b);
        for (size_t k = 0; r->kind == HN_DIFF_SAME && k < r->n; k++) assert_true(a[at_a + k] == b[at_b + k]);
        at_a += r->kind != HN_DIFF_ADDED ? r->n : 0;
        at_b += r->kind != HN_DIFF_REMOVED ? r->n : 0;
        n_same += r->kind == HN_DIFF_SAME ? r->n : 0;
    }
    assert_int_equal(at_a, n_a);
    assert_int_equal(at_b, n_b);
    hn_test_ok(hn_edit_common(a, n_a, b, n_b, &common, &err), &err);
    assert_int_equal(n_same, common);
    hn_free(runs.rows);
}

static void edits_are_right_and_shortest(void **state) {
    (void)state;
    hn_rng rng;
    uint64_t a[64], b[64];
    hn_rng_seed(&rng, 7, 0);
    for (int round = 0; round < 3000; round++) {
        size_t n_a = hn_rng_below(&rng, 40), n_b = hn_rng_below(&rng, 40), letters = 1 + hn_rng_below(&rng, 8);
        for (size_t i = 0; i < n_a; i++) a[i] = hn_rng_below(&rng, letters);
        for (size_t i = 0; i < n_b; i++) b[i] = hn_rng_below(&rng, letters);
        check(a, n_a, b, n_b);
    }
    check(a, 0, b, 0);
    check(a, 5, a, 5);
}

static void texts_too_different_are_one_change(void **state) {
    (void)state;
    enum { N = 3 * HN_DIFF_STEPS_MAX };
    uint64_t *a = hn_alloc(N * sizeof *a), *b = hn_alloc(N * sizeof *b);
    hn_diff_runs runs;
    hn_error err;
    for (uint64_t i = 0; i < N; i++) a[i] = i, b[i] = 1000000 + i;
    a[0] = b[0];
    hn_test_ok(hn_diff_units(a, N, b, N, NULL, &runs, &err), &err);
    assert_int_equal(runs.n, 3);
    assert_int_equal(runs.rows[0].n, 1);
    assert_int_equal(runs.rows[1].n, N - 1);
    assert_int_equal(runs.rows[2].kind, HN_DIFF_ADDED);
    hn_free(runs.rows);
    hn_free(a);
    hn_free(b);
}

static void words_join_over_blanks(void **state) {
    (void)state;
    const char *a = "You route support tickets.", *b = "You sort customer tickets!";
    hn_diff_runs r;
    hn_error err;
    hn_test_ok(hn_diff_words(a, b, &r, &err), &err);
    assert_int_equal(r.n, 6);
    assert_true(r.rows[1].kind == HN_DIFF_REMOVED && r.rows[1].n == strlen("route support"));
    assert_memory_equal(a + r.rows[1].a, "route support", r.rows[1].n);
    assert_true(r.rows[2].kind == HN_DIFF_ADDED && r.rows[2].n == strlen("sort customer"));
    assert_memory_equal(b + r.rows[2].b, "sort customer", r.rows[2].n);
    assert_memory_equal(a + r.rows[3].a, " tickets", r.rows[3].n);
    hn_free(r.rows);
    hn_test_ok(hn_diff_words("", "", &r, &err), &err);
    assert_int_equal(r.n, 0);
    hn_free(r.rows);
}

static void memory_that_runs_out_is_a_status(void **state) {
    (void)state;
    hn_diff_runs r;
    hn_error err;
    hn_status st = HN_ERR_MEMORY;
    for (size_t n = 1; st != HN_OK; n++) {
        hn_alloc_fail_at(n, false);
        st = hn_diff_words("a b c d e f", "a x c y e z", &r, &err);
        hn_alloc_fail_at(0, false);
        if (st != HN_OK) assert_true(st == HN_ERR_MEMORY && !r.rows);
    }
    hn_free(r.rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_are_right_and_shortest),
        cmocka_unit_test(texts_too_different_are_one_change),
        cmocka_unit_test(words_join_over_blanks),
        cmocka_unit_test(memory_that_runs_out_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
