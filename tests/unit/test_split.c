/* project/split: shares, strata, whole groups, and that neither row order nor anything but set, seed and shares decides. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "project/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct row {
    int text, class, group; /* group -1: none */
} row;

static hn_dataset *make(const row *rows, const uint32_t *order, size_t n) {
    hn_buf b;
    hn_data_table *t;
    hn_dataset *d;
    hn_error err = {0};
    hn_buf_init(&b, 0);
    hn_buf_append_str(&b, "x,y,g\n");
    for (size_t i = 0; i < n; i++) {
        const row *r = &rows[order ? order[i] : i];
        if (r->group >= 0)
            hn_buf_appendf(&b, "text %d,class %d,group %d\n", r->text, r->class, r->group);
        else
            hn_buf_appendf(&b, "text %d,class %d,\n", r->text, r->class);
    }
    hn_test_ok(hn_data_table_parse("t.csv", b.data, b.len, &t, &err), &err);
    hn_test_ok(hn_dataset_build(&(hn_dataset_source){t, HN_SPLIT_COUNT}, 1, &(hn_columns){.target = "y", .group = "g"},
                                &d, &err),
               &err);
    hn_data_table_free(t);
    hn_buf_free(&b);
    return d;
}

static void split(hn_dataset *d, double train, double dev, double test, uint64_t seed, bool stratify) {
    hn_error err = {0};
    hn_test_ok(hn_dataset_split(d, train, dev, test, seed, stratify, &err), &err);
}

static size_t count(const hn_dataset *d, hn_split s, int class) {
    size_t n = 0;
    char name[32];
    snprintf(name, sizeof name, "class %d", class);
    for (size_t i = 0; i < d->n_cases; i++)
        n += d->cases[i].split == s && (class < 0 || strcmp(d->cases[i].target, name) == 0);
    return n;
}

enum { N = 1000, CLASSES = 7 };

/* Uneven classes: class k has about twice as many as class k + 1. */
static void fill(row *rows, size_t n, int n_groups) {
    hn_rng rng;
    hn_rng_seed(&rng, 5, 0);
    for (size_t i = 0; i < n; i++) {
        int class = 0;
        while (class + 1 < CLASSES && hn_rng_next(&rng) & 1) class ++;
        rows[i] = (row){(int)i, class, n_groups ? (int)hn_rng_below(&rng, (uint64_t)n_groups) : -1};
    }
}

static void classes_keep_their_shares(void **state) {
    (void)state;
    static row rows[N];
    static const double shares[][3] = {
        {0.5, 0.25, 0.25}, {0.8, 0.1, 0.1}, {0.34, 0.33, 0.33}, {0.9, 0.1, 0}, {1, 0, 0}};
    fill(rows, N, 0);
    hn_dataset *d = make(rows, NULL, N);
    for (size_t k = 0; k < 5; k++) {
        split(d, shares[k][0], shares[k][1], shares[k][2], 7, true);
        for (int s = 0; s < HN_SPLIT_COUNT; s++) {
            assert_true(fabs((double)count(d, (hn_split)s, -1) - shares[k][s] * N) <= 4);
            for (int c = 0; c < CLASSES; c++) {
                double total =
                    (double)(count(d, HN_SPLIT_TRAIN, c) + count(d, HN_SPLIT_DEV, c) + count(d, HN_SPLIT_TEST, c));
                double got = (double)count(d, (hn_split)s, c);
                if (fabs(got - shares[k][s] * total) > 2) fail_msg("class %d: %g of %g in split %d", c, got, total, s);
            }
        }
    }
    hn_dataset_free(d);
}

/* 77 classes of three: no class can have its exact shares, but the totals can. */
static void small_classes_leave_totals_right(void **state) {
    (void)state;
    row rows[231];
    for (int i = 0; i < 231; i++) rows[i] = (row){i, i % 77, -1};
    hn_dataset *d = make(rows, NULL, 231);
    split(d, 0.5, 0.25, 0.25, 3, true);
    assert_true(fabs((double)count(d, HN_SPLIT_TRAIN, -1) - 115.5) <= 4);
    assert_true(fabs((double)count(d, HN_SPLIT_DEV, -1) - 57.75) <= 4);
    for (int c = 0; c < 77; c++) assert_true(count(d, HN_SPLIT_TRAIN, c) <= 2 && count(d, HN_SPLIT_DEV, c) <= 1);
    hn_dataset_free(d);
}

static void groups_stay_whole(void **state) {
    (void)state;
    static row rows[N];
    fill(rows, N, 150);
    hn_dataset *d = make(rows, NULL, N);
    split(d, 0.5, 0.25, 0.25, 7, true);
    int where[150];
    memset(where, -1, sizeof where);
    for (size_t i = 0; i < N; i++) {
        int g = rows[i].group;
        if (where[g] >= 0) assert_int_equal(where[g], d->cases[i].split);
        where[g] = d->cases[i].split;
    }
    for (int c = 0; c < CLASSES; c++) {
        double total = (double)(count(d, HN_SPLIT_TRAIN, c) + count(d, HN_SPLIT_DEV, c) + count(d, HN_SPLIT_TEST, c));
        assert_true(fabs((double)count(d, HN_SPLIT_TRAIN, c) - 0.5 * total) <= 7); /* about one group */
    }
    assert_true(fabs((double)count(d, HN_SPLIT_TEST, -1) - 250) <= 10);
    hn_dataset_free(d);
}

/* Big groups must not all end in one split: sizes are dealt out along with the rest. */
static void group_sizes_are_dealt_evenly(void **state) {
    (void)state;
    static row rows[800];
    for (int i = 0; i < 800; i++) rows[i] = (row){i, 0, i < 400 ? i / 40 : 10 + (i - 400) / 2};
    hn_dataset *d = make(rows, NULL, 800);
    split(d, 0.5, 0.25, 0.25, 7, true);
    size_t big[HN_SPLIT_COUNT] = {0};
    for (size_t i = 0; i < 400; i++) big[d->cases[i].split]++;
    assert_true(big[HN_SPLIT_TRAIN] >= 160 && big[HN_SPLIT_TRAIN] <= 240);
    assert_true(big[HN_SPLIT_DEV] >= 80 && big[HN_SPLIT_TEST] >= 80);
    hn_dataset_free(d);
}

static void equal_inputs_stay_together(void **state) {
    (void)state;
    row rows[300];
    for (int i = 0; i < 300; i++) rows[i] = (row){i % 100, (i / 7) % 3, -1};
    hn_dataset *d = make(rows, NULL, 300);
    split(d, 0.5, 0.25, 0.25, 1, true);
    for (int i = 100; i < 300; i++) assert_int_equal(d->cases[i].split, d->cases[i % 100].split);
    hn_dataset_free(d);
}

static void order_of_rows_does_not_matter(void **state) {
    (void)state;
    static row rows[N];
    static uint32_t order[N];
    hn_rng rng;
    hn_rng_seed(&rng, 1, 1);
    for (int groups = 0; groups <= 150; groups += 150) {
        fill(rows, N, groups);
        for (uint32_t i = 0; i < N; i++) order[i] = i;
        hn_rng_shuffle_u32(&rng, order, N);
        hn_dataset *a = make(rows, NULL, N), *b = make(rows, order, N);
        split(a, 0.5, 0.25, 0.25, 11, true);
        split(b, 0.5, 0.25, 0.25, 11, true);
        for (size_t i = 0; i < N; i++) assert_int_equal(b->cases[i].split, a->cases[order[i]].split);
        uint32_t *x, *y;
        size_t n_x, n_y;
        hn_error err = {0};
        hn_test_ok(hn_dataset_select(a, HN_SPLIT_DEV, &x, &n_x, &err), &err);
        hn_test_ok(hn_dataset_select(b, HN_SPLIT_DEV, &y, &n_y, &err), &err);
        assert_int_equal(n_x, count(a, HN_SPLIT_DEV, -1));
        assert_int_equal(n_x, n_y);
        for (size_t i = 0; i < n_x; i++) assert_string_equal(a->cases[x[i]].id, b->cases[y[i]].id);
        hn_free(x);
        hn_free(y);
        size_t moved = 0;
        split(b, 0.5, 0.25, 0.25, 12, true);
        for (size_t i = 0; i < N; i++) moved += b->cases[i].split != a->cases[order[i]].split;
        assert_true(moved > N / 4); /* another seed is another split */
        hn_dataset_free(a);
        hn_dataset_free(b);
    }
}

static void shares_are_checked(void **state) {
    (void)state;
    row one = {1, 1, -1};
    hn_dataset *d = make(&one, NULL, 1);
    hn_error err = {0};
    assert_int_equal(hn_dataset_split(d, 0.5, 0.3, 0.3, 1, true, &err), HN_ERR_INPUT);
    assert_string_equal(err.message, "the shares add up to 1.1 instead of 1");
    assert_int_equal(hn_dataset_split(d, 1.5, -0.25, -0.25, 1, true, &err), HN_ERR_INPUT);
    assert_int_equal(hn_dataset_split(d, NAN, 0.5, 0.5, 1, true, &err), HN_ERR_INPUT);
    hn_test_ok(hn_dataset_split(d, 0.5, 0.25, 0.25, 1, false, &err), &err);
    assert_int_equal(d->cases[0].split, HN_SPLIT_TRAIN);
    hn_dataset_free(d);
}

static void names(void **state) {
    (void)state;
    hn_split s;
    assert_true(hn_split_parse("dev", &s) && s == HN_SPLIT_DEV);
    assert_false(hn_split_parse("validation", &s));
    assert_string_equal(hn_split_name(HN_SPLIT_TEST), "test");
}

static void out_of_memory_is_a_status(void **state) {
    (void)state;
    row rows[20];
    fill(rows, 20, 5);
    hn_dataset *d = make(rows, NULL, 20);
    for (size_t n = 1;; n++) {
        hn_error err = {0};
        uint32_t *indices = NULL;
        size_t n_indices;
        hn_alloc_fail_at(n, true);
        hn_status st = hn_dataset_split(d, 0.5, 0.25, 0.25, 7, true, &err);
        if (st == HN_OK) st = hn_dataset_select(d, HN_SPLIT_TRAIN, &indices, &n_indices, &err);
        hn_alloc_fail_at(0, false);
        hn_free(indices);
        if (st == HN_OK) break;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
    hn_dataset_free(d);
}

int main(void) {
    hn_json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_keep_their_shares),  cmocka_unit_test(small_classes_leave_totals_right),
        cmocka_unit_test(groups_stay_whole),          cmocka_unit_test(group_sizes_are_dealt_evenly),
        cmocka_unit_test(equal_inputs_stay_together), cmocka_unit_test(order_of_rows_does_not_matter),
        cmocka_unit_test(shares_are_checked),         cmocka_unit_test(names),
        cmocka_unit_test(out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
