/* Label tries against the labels that they were made from: every label is its end node's path, nothing is stored twice, parents come first. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/label_trie.h"

#include <string.h>

static hn_label_trie *make(const hn_label_ids *labels, int n) {
    hn_error err = {0};
    hn_label_trie *t;
    hn_test_ok(hn_label_trie_create(labels, n, &t, &err), &err);
    return t;
}

/* All that the header promises. */
static void check(const hn_label_trie *t, const hn_label_ids *labels, int n) {
    assert_int_equal(t->n_labels, n);
    int longest = 0, n_children = 0;
    for (int i = 0; i < t->n_nodes; i++) {
        assert_in_range(t->parent[i] + 1, 0, i);
        assert_int_equal(t->depth[i], t->parent[i] < 0 ? 0 : t->depth[t->parent[i]] + 1);
        for (int k = 0; k < i; k++) assert_false(t->parent[k] == t->parent[i] && t->token[k] == t->token[i]);
    }
    for (int p = -1; p < t->n_nodes; p++) {
        int from = t->child_start[p + 1], to = t->child_start[p + 2];
        if (p >= 0) assert_int_equal(t->has_child[p], to > from);
        for (int i = from; i < to; i++) assert_int_equal(t->parent[t->child[i]], p);
        n_children += to - from;
    }
    assert_int_equal(n_children, t->n_nodes);
    for (int l = 0; l < n; l++) {
        int node = t->end_node[l];
        for (int k = labels[l].n; k-- > 0; node = t->parent[node]) assert_int_equal(t->token[node], labels[l].ids[k]);
        assert_int_equal(node, -1);
        if (labels[l].n > longest) longest = labels[l].n;
    }
    assert_int_equal(t->max_depth, longest);
}

static void prefixes_are_shared(void **state) {
    (void)state;
    int32_t car[] = {7, 2}, carpet[] = {7, 9, 2}, cat[] = {8}, carp[] = {7, 9};
    hn_label_ids labels[] = {{car, 2}, {carpet, 3}, {cat, 1}, {carp, 2}};
    hn_label_trie *t = make(labels, 4);
    check(t, labels, 4);
    assert_int_equal(t->n_nodes, 5); /* 7, 7-2, 7-9, 7-9-2, 8 */
    hn_label_trie_free(t);
}

static void random_sets_hold(void **state) {
    (void)state;
    enum { N = 60, DEPTH = 6 };
    hn_rng rng;
    hn_rng_seed(&rng, 11, 0);
    for (int round = 0; round < 40; round++) {
        int32_t ids[N][DEPTH];
        hn_label_ids labels[N];
        int n = 0;
        for (int i = 0; i < N; i++) {
            int length = 1 + (int)hn_rng_below(&rng, DEPTH);
            for (int k = 0; k < length; k++) ids[n][k] = (int32_t)hn_rng_below(&rng, 3);
            bool is_new = true;
            for (int k = 0; k < n; k++)
                if (labels[k].n == length && memcmp(ids[k], ids[n], (size_t)length * sizeof(int32_t)) == 0)
                    is_new = false;
            if (is_new) labels[n] = (hn_label_ids){ids[n], length}, n++;
        }
        hn_label_trie *t = make(labels, n);
        check(t, labels, n);
        hn_label_trie_free(t);
    }
}

static void bad_sets_are_refused(void **state) {
    (void)state;
    hn_error err = {0};
    hn_label_trie *t;
    int32_t a[] = {1, 2}, b[] = {1, 2}, c[] = {1, -1};
    hn_label_ids same[] = {{a, 2}, {c, 1}, {b, 2}}, empty[] = {{a, 0}}, negative[] = {{c, 2}};
    assert_int_equal(hn_label_trie_create(same, 3, &t, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "0 and 2"));
    assert_null(t);
    assert_int_equal(hn_label_trie_create(empty, 1, &t, &err), HN_ERR_INPUT);
    assert_int_equal(hn_label_trie_create(negative, 1, &t, &err), HN_ERR_INPUT);
    assert_int_equal(hn_label_trie_create(same, 0, &t, &err), HN_ERR_INPUT);
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    int32_t a[] = {1, 2}, b[] = {1, 3};
    hn_label_ids labels[] = {{a, 2}, {b, 2}};
    for (size_t n = 1;; n++) {
        hn_label_trie *t;
        hn_error err = {0};
        hn_alloc_fail_at(n, false);
        hn_status st = hn_label_trie_create(labels, 2, &t, &err);
        hn_alloc_fail_at(0, false);
        if (st == HN_OK) {
            check(t, labels, 2);
            hn_label_trie_free(t);
            assert_true(n > 1);
            return;
        }
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_are_shared),
        cmocka_unit_test(random_sets_hold),
        cmocka_unit_test(bad_sets_are_refused),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
