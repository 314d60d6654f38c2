/* Searches of label tries against the whole trie computed, over random tries and invented models: the best label is the best, each
 * probability is within its tolerance, exact values have the exact bits, bounds are bounds, and computing ahead changes nothing. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/label_search.h"
#include "stats/probability.h"

#include <math.h>
#include <string.h>

enum { LABELS = 40, DEPTH = 6, NODES = LABELS * DEPTH };

typedef struct world {
    int32_t ids[LABELS][DEPTH];
    hn_label_ids labels[LABELS];
    int n;
    hn_label_trie *trie;
    float logprobs[NODES];
    double priors[LABELS], exact[LABELS], score[LABELS], share[LABELS];
    bool has_priors;
} world;

typedef enum flavour { SMOOTH, TIES, PEAKED, HOLES, FLAVOURS } flavour;

/* Children of a node get shares of at most 1 in all: what remains is text that is no label. */
static void invent_children(world *w, hn_rng *rng, flavour f, int parent) {
    const hn_label_trie *t = w->trie;
    double share[NODES], total = 0;
    int from = t->child_start[parent + 1], to = t->child_start[parent + 2];
    for (int i = from; i < to; i++) {
        double u = hn_rng_uniform(rng);
        share[i - from] = f == TIES ? 1 : f == PEAKED ? pow(u, 12) + 1e-12 : u + 1e-3;
        total += share[i - from];
    }
    double left_out = f == TIES ? 0 : f == PEAKED ? hn_rng_uniform(rng) * 0.01 : hn_rng_uniform(rng) * total;
    for (int i = from; i < to; i++) {
        double p = share[i - from] / (total + left_out);
        float lp = f == TIES ? -(float)(int)(2 + hn_rng_below(rng, 2)) : (float)log(p);
        if (f == HOLES && hn_rng_below(rng, 6) == 0) lp = hn_rng_below(rng, 2) ? -INFINITY : NAN;
        w->logprobs[t->child[i]] = lp;
    }
}

static void invent(world *w, hn_rng *rng, flavour f, int n_labels, double prior_size) {
    hn_error err = {0};
    w->n = 0;
    for (int i = 0; i < n_labels; i++) {
        int length = 1 + (int)hn_rng_below(rng, DEPTH);
        for (int k = 0; k < length; k++) w->ids[w->n][k] = (int32_t)hn_rng_below(rng, 4);
        bool is_new = true;
        for (int k = 0; k < w->n; k++)
            if (w->labels[k].n == length && memcmp(w->ids[k], w->ids[w->n], (size_t)length * sizeof(int32_t)) == 0)
                is_new = false;
        if (is_new) w->labels[w->n] = (hn_label_ids){w->ids[w->n], length}, w->n++;
    }
    hn_test_ok(hn_label_trie_create(w->labels, w->n, &w->trie, &err), &err);
    for (int node = -1; node < w->trie->n_nodes; node++) invent_children(w, rng, f, node);
    w->has_priors = prior_size > 0;
    for (int l = 0; l < w->n; l++) {
        w->priors[l] = f == TIES ? (double)hn_rng_below(rng, 3) * prior_size : (hn_rng_uniform(rng) - 0.5) * prior_size;
        double sum = 0; /* in the engine's order: from the root down */
        for (int k = 0, path[DEPTH], d = 0; k == 0; k++) {
            for (int at = w->trie->end_node[l]; at >= 0; at = w->trie->parent[at]) path[d++] = at;
            while (d > 0) sum += (double)w->logprobs[path[--d]];
        }
        w->exact[l] = sum;
        double score = w->has_priors ? sum - w->priors[l] : sum;
        w->score[l] = isfinite(score) ? score : -(double)INFINITY;
    }
    hn_softmax(w->score, (size_t)w->n, w->share);
}

typedef struct outcome {
    double logprobs[LABELS], open;
    bool is_bound[LABELS];
    int n_expanded, n_computed;
} outcome;

/* The search sees only what it asked for. */
static outcome search(const world *w, hn_label_mode mode, int ahead) {
    const hn_label_trie *t = w->trie;
    float seen[NODES];
    outcome o = {0};
    for (int i = 0; i < NODES; i++) seen[i] = 12345;
    void *memory = hn_alloc(hn_label_search_bytes(t));
    assert_non_null(memory);
    hn_label_search s;
    hn_label_search_init(&s, t, mode, w->has_priors ? w->priors : NULL, seen, memory);
    for (int i = t->child_start[0]; i < t->child_start[1]; i++) seen[t->child[i]] = w->logprobs[t->child[i]];
    hn_label_search_start(&s);
    while (!hn_label_search_advance(&s)) {
        int32_t nodes[16];
        int n = hn_label_search_pick(&s, 1 + ahead / 2, ahead, nodes);
        assert_in_range(n, 1, ahead);
        for (int k = 0; k < n; k++) {
            assert_true(t->has_child[nodes[k]]);
            hn_label_search_computed(&s, nodes[k]);
            for (int i = t->child_start[nodes[k] + 1]; i < t->child_start[nodes[k] + 2]; i++) {
                assert_true(seen[t->child[i]] == 12345); /* nothing is computed twice */
                seen[t->child[i]] = w->logprobs[t->child[i]];
            }
            o.n_computed++;
        }
        assert_in_range(o.n_computed, 1, t->n_nodes);
    }
    o.open = hn_label_search_result(&s, o.logprobs, o.is_bound);
    o.n_expanded = s.n_expanded;
    hn_free(memory);
    return o;
}

static int best_of(const double *score, const bool *left_out, int n) {
    int best = -1;
    for (int l = 0; l < n; l++)
        if (!(left_out && left_out[l]) && isfinite(score[l]) && (best < 0 || score[l] > score[best])) best = l;
    return best;
}

static void check_values(const world *w, const outcome *o) {
    for (int l = 0; l < w->n; l++) {
        if (!o->is_bound[l])
            assert_memory_equal(&o->logprobs[l], &w->exact[l], sizeof(double));
        else if (!isnan(w->exact[l]))
            assert_true(o->logprobs[l] >= w->exact[l]);
    }
}

static void check_best(const world *w, const outcome *o) {
    int best = best_of(w->score, NULL, w->n);
    double score[LABELS];
    for (int l = 0; l < w->n; l++) score[l] = w->has_priors ? o->logprobs[l] - w->priors[l] : o->logprobs[l];
    assert_int_equal(best_of(score, o->is_bound, w->n), best);
}

static void check_bounded(const world *w, const outcome *o) {
    double score[LABELS], share[LABELS], open = 0;
    if (best_of(w->score, NULL, w->n) < 0) return;
    for (int l = 0; l < w->n; l++)
        score[l] = o->is_bound[l] || !isfinite(w->score[l]) ? -(double)INFINITY : w->score[l];
    hn_softmax(score, (size_t)w->n, share);
    for (int l = 0; l < w->n; l++) {
        if (!(fabs(share[l] - w->share[l]) <= HN_LABEL_TOLERANCE))
            fail_msg("label %d of %d: %.9g given, %.9g exact", l, w->n, share[l], w->share[l]);
        if (o->is_bound[l]) open += w->share[l];
    }
    assert_true(open <= o->open * (1 + 1e-9));
    check_best(w, o);
}

static void check_world(const world *w, int *saved) {
    for (int mode = HN_LABELS_BOUNDED; mode <= HN_LABELS_BEST; mode++) {
        outcome one = search(w, (hn_label_mode)mode, 1), many = search(w, (hn_label_mode)mode, 7);
        assert_int_equal(one.n_expanded, one.n_computed);
        assert_int_equal(one.n_expanded, many.n_expanded);
        assert_memory_equal(one.logprobs, many.logprobs, (size_t)w->n * sizeof(double));
        assert_memory_equal(one.is_bound, many.is_bound, (size_t)w->n);
        assert_memory_equal(&one.open, &many.open, sizeof one.open);
        check_values(w, &one);
        if (mode == HN_LABELS_BEST)
            check_best(w, &one);
        else
            check_bounded(w, &one);
        for (int i = 0; i < w->trie->n_nodes; i++) saved[mode] += w->trie->has_child[i];
        saved[mode] -= one.n_expanded;
    }
}

static void random_worlds_hold(void **state) {
    (void)state;
    static const double sizes[] = {0, 1, 40, 1e6, 1e300};
    hn_rng rng;
    hn_rng_seed(&rng, 77, 0);
    int saved[3] = {0};
    for (int round = 0; round < 400; round++) {
        world w;
        int n = round % 7 == 0 ? 1 : 1 + (int)hn_rng_below(&rng, LABELS);
        invent(&w, &rng, (flavour)(round % FLAVOURS), n, sizes[hn_rng_below(&rng, 5)]);
        check_world(&w, saved);
        hn_label_trie_free(w.trie);
    }
    assert_true(saved[HN_LABELS_BEST] > 0 && saved[HN_LABELS_BOUNDED] > 0); /* something was left out */
}

/* The best label lies behind an unlikely first token with the largest correction: it must not be cut off. */
static void a_prior_brings_a_far_label_to_the_front(void **state) {
    (void)state;
    hn_error err = {0};
    int32_t a[] = {1, 2}, b[] = {3, 4}, c[] = {3, 5};
    world w = {.labels = {{a, 2}, {b, 2}, {c, 2}}, .n = 3, .has_priors = true, .priors = {0, 0, -9}};
    hn_test_ok(hn_label_trie_create(w.labels, 3, &w.trie, &err), &err);
    float lp[] = {-0.1f, -0.1f, -3, -1, -2}; /* 1, 1-2, 3, 3-4, 3-5 */
    memcpy(w.logprobs, lp, sizeof lp);
    outcome o = search(&w, HN_LABELS_BEST, 1);
    double score[] = {o.logprobs[0], o.logprobs[1], o.logprobs[2] + 9};
    assert_int_equal(best_of(score, o.is_bound, 3), 2);
    w.has_priors = false;
    o = search(&w, HN_LABELS_BEST, 1);
    assert_int_equal(best_of(o.logprobs, o.is_bound, 3), 0);
    assert_true(o.is_bound[1] && o.is_bound[2]); /* and without it the branch is not computed */
    assert_int_equal(o.n_expanded, 1);
    hn_label_trie_free(w.trie);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds_hold),
        cmocka_unit_test(a_prior_brings_a_far_label_to_the_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
