/* Sampling: each filter alone against probabilities worked out here with exp(), by a chi-square bound at fixed seeds. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/sampler.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { V = 8, DRAWS = 40000 };
static const float logits[V] = {1.5f, -0.5f, 2.0f, 0.0f, 1.0f, -3.0f, 0.5f, 1.25f};

static hn_sampler *make(const hn_sampling *how, int n_vocab) {
    hn_error err = {0};
    hn_sampler *s;
    hn_test_ok(hn_sampler_create(how, n_vocab, &s, &err), &err);
    return s;
}

static double weight(double logit, double temperature) { return exp(logit / temperature); }

/* The draws must fit the probabilities `weights` / sum; one that is 0 must never be drawn. 0.001 quantiles of chi-square by degrees of freedom. */
static void check_distribution(hn_sampling how, const double *weights, const int32_t *history, size_t n_history) {
    static const double limit[V] = {0.5, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32};
    int counts[V] = {0}, n_kept = 0;
    double total = 0, chi2 = 0;
    how.seed = 12345;
    hn_sampler *s = make(&how, V);
    for (int i = 0; i < DRAWS; i++) counts[hn_sampler_pick(s, logits, history, n_history)]++;
    hn_sampler_free(s);
    for (int i = 0; i < V; i++) total += weights[i];
    for (int i = 0; i < V; i++) {
        double expected = DRAWS * weights[i] / total;
        if (weights[i] == 0)
            assert_int_equal(counts[i], 0);
        else
            chi2 += (counts[i] - expected) * (counts[i] - expected) / expected, n_kept++;
    }
    if (!(chi2 <= limit[n_kept - 1])) fail_msg("chi-square %.1f with %d values kept", chi2, n_kept);
}

static void weights_of(double w[V], double temperature) {
    for (int i = 0; i < V; i++) w[i] = weight((double)logits[i], temperature);
}

/* Indices by falling logit. */
static const int order[V] = {2, 0, 7, 4, 6, 3, 1, 5};

static void temperature_alone(void **state) {
    (void)state;
    static const float temperatures[] = {0.5f, 1.0f, 2.0f};
    for (int i = 0; i < 3; i++) {
        double w[V];
        weights_of(w, (double)temperatures[i]);
        check_distribution((hn_sampling){.temperature = temperatures[i]}, w, NULL, 0);
    }
}

static void top_k_alone(void **state) {
    (void)state;
    for (int k = 1; k <= V; k++) {
        double w[V];
        weights_of(w, 1);
        for (int i = k; i < V; i++) w[order[i]] = 0;
        check_distribution((hn_sampling){.temperature = 1, .top_k = k}, w, NULL, 0);
    }
}

/* The smallest set, in falling order, whose probability reaches p. */
static void keep_top_p(double w[V], double p) {
    double total = 0, mass = 0;
    for (int i = 0; i < V; i++) total += w[i];
    for (int i = 0; i < V; i++) {
        double now = w[order[i]];
        if (i > 0 && mass >= p * total) w[order[i]] = 0;
        mass += now;
    }
}

static void top_p_alone(void **state) {
    (void)state;
    static const float ps[] = {0.01f, 0.3f, 0.6f, 0.9f, 0.999f};
    for (int i = 0; i < 5; i++) {
        double w[V];
        weights_of(w, 1);
        keep_top_p(w, (double)ps[i]);
        check_distribution((hn_sampling){.temperature = 1, .top_p = ps[i]}, w, NULL, 0);
    }
}

static void min_p_alone(void **state) {
    (void)state;
    static const float ps[] = {0.05f, 0.2f, 0.5f, 1.0f};
    for (int i = 0; i < 4; i++) {
        double w[V];
        weights_of(w, 1);
        double largest = w[order[0]];
        for (int k = 0; k < V; k++)
            if (w[k] < (double)ps[i] * largest) w[k] = 0;
        check_distribution((hn_sampling){.temperature = 1, .min_p = ps[i]}, w, NULL, 0);
    }
}

/* top-k first, then top-p of what is left, then min-p. */
static void filters_follow_each_other(void **state) {
    (void)state;
    double w[V];
    weights_of(w, 0.8);
    for (int i = 5; i < V; i++) w[order[i]] = 0;
    keep_top_p(w, 0.9);
    double largest = w[order[0]];
    for (int k = 0; k < V; k++)
        if (w[k] < 0.35 * largest) w[k] = 0;
    check_distribution((hn_sampling){.temperature = 0.8f, .top_k = 5, .top_p = 0.9f, .min_p = 0.35f}, w, NULL, 0);
}

static void penalty_counts_each_recent_token_once(void **state) {
    (void)state;
    double w[V];
    int32_t history[] = {4, 2, 2, 1, 2, -5, 900};
    weights_of(w, 1);
    w[2] = weight(2.0 / 1.5, 1);
    w[1] = weight(-0.5 * 1.5, 1); /* 4 lies outside of the window of 6 */
    check_distribution((hn_sampling){.temperature = 1, .repetition_penalty = 1.5f, .repetition_window = 6}, w, history,
                       7);
    weights_of(w, 1);
    check_distribution((hn_sampling){.temperature = 1, .repetition_penalty = 1.0f}, w, history, 7);
}

static void bias_is_added_first(void **state) {
    (void)state;
    double w[V];
    hn_logit_bias bias[] = {{5, 4.0f}, {2, -INFINITY}};
    weights_of(w, 1);
    w[5] = weight(1.0, 1);
    w[2] = 0;
    check_distribution((hn_sampling){.temperature = 1, .bias = bias, .n_bias = 2}, w, NULL, 0);
}

static void temperature_zero_takes_the_largest(void **state) {
    (void)state;
    hn_logit_bias bias[] = {{3, 1.5f}};
    float tied[4] = {0, 2, 1, 2}, none[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY}, bad[4] = {NAN, 1, NAN, 0};
    hn_sampler *plain = make(&(hn_sampling){0}, 4), *biased = make(&(hn_sampling){.bias = bias, .n_bias = 1}, 4);
    hn_sampler *penal = make(&(hn_sampling){.repetition_penalty = 3}, 4),
               *warm = make(&(hn_sampling){.temperature = 1}, 4);
    int32_t one = 1;
    assert_int_equal(hn_sampler_pick(plain, tied, NULL, 0), 1);
    assert_int_equal(hn_sampler_pick(biased, tied, NULL, 0), 3);
    assert_int_equal(hn_sampler_pick(penal, tied, &one, 1), 3);
    assert_int_equal(hn_sampler_pick(plain, none, NULL, 0), 0);
    assert_int_equal(hn_sampler_pick(warm, none, NULL, 0), 0);
    assert_int_equal(hn_sampler_pick(plain, bad, NULL, 0), 1);
    for (int i = 0; i < 100; i++) assert_true(hn_sampler_pick(warm, bad, NULL, 0) % 2 == 1);
    hn_sampler_free(plain);
    hn_sampler_free(biased);
    hn_sampler_free(penal);
    hn_sampler_free(warm);
}

/* The filters leave a heap in part: over a large vocabulary the result must be the same as from a full sort. */
static int by_logit(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void large_vocabularies_keep_the_right_set(void **state) {
    (void)state;
    enum { N = 50000, K = 50 };
    static float many[N], sorted[N];
    hn_rng rng;
    hn_rng_seed(&rng, 5, 0);
    for (int i = 0; i < N; i++) sorted[i] = many[i] = (float)(hn_rng_uniform(&rng) * 8);
    qsort(sorted, N, sizeof *sorted, by_logit);
    hn_sampler *s = make(&(hn_sampling){.temperature = 5, .top_k = K, .seed = 1}, N);
    hn_sampler *p = make(&(hn_sampling){.temperature = 1, .top_p = 0.2f, .seed = 1}, N);
    double total = 0, mass = 0;
    int kept = 0;
    for (int i = 0; i < N; i++) total += exp((double)sorted[i]);
    while (mass < 0.2 * total) mass += exp((double)sorted[kept++]);
    for (int i = 0; i < 300; i++) {
        assert_true(many[hn_sampler_pick(s, many, NULL, 0)] >= sorted[K - 1]);
        assert_true(many[hn_sampler_pick(p, many, NULL, 0)] >= sorted[kept]);
    }
    hn_sampler_free(s);
    hn_sampler_free(p);
}

static void a_seed_repeats(void **state) {
    (void)state;
    hn_sampler *a = make(&(hn_sampling){.temperature = 1, .seed = 7}, V),
               *b = make(&(hn_sampling){.temperature = 1, .seed = 7}, V);
    hn_sampler *c = make(&(hn_sampling){.temperature = 1, .seed = 8}, V);
    int different = 0;
    for (int i = 0; i < 200; i++) {
        int32_t x = hn_sampler_pick(a, logits, NULL, 0);
        assert_int_equal(x, hn_sampler_pick(b, logits, NULL, 0));
        different += x != hn_sampler_pick(c, logits, NULL, 0);
    }
    assert_true(different > 50);
    hn_sampler_free(a);
    hn_sampler_free(b);
    hn_sampler_free(c);
}

static void bad_settings_are_refused(void **state) {
    (void)state;
    hn_logit_bias outside = {V, 1}, nan_bias = {1, NAN};
    const hn_sampling bad[] = {{.temperature = -1},
                               {.temperature = NAN},
                               {.top_k = -1},
                               {.top_p = 1.5f},
                               {.min_p = -0.1f},
                               {.repetition_penalty = -1},
                               {.repetition_window = -1},
                               {.bias = &outside, .n_bias = 1},
                               {.bias = &nan_bias, .n_bias = 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hn_sampler *s;
        hn_error err = {0};
        assert_int_equal(hn_sampler_create(&bad[i], V, &s, &err), HN_ERR_USAGE);
        assert_true(err.where[0] && !s);
    }
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    for (size_t n = 1;; n++) {
        hn_sampler *s;
        hn_error err = {0};
        hn_alloc_fail_at(n, false);
        hn_status st = hn_sampler_create(&(hn_sampling){.temperature = 1}, V, &s, &err);
        hn_alloc_fail_at(0, false);
        hn_sampler_free(s);
        if (st == HN_OK) return;
        assert_int_equal(st, HN_ERR_MEMORY);
    }
}

static void what_the_mask_forbids_is_never_picked(void **state) {
    (void)state;
    enum { WIDE = 130 };
    hn_error err = {0};
    float row[WIDE];
    uint64_t allowed[3] = {0, 0, 0}, none[3] = {0, 0, 0};
    const hn_logit_bias bias[] = {{7, (float)INFINITY}, {129, 2}};
    const hn_sampling ways[] = {{0},
                                {.temperature = 1},
                                {.temperature = 3, .top_k = 5},
                                {.temperature = 3, .top_p = 0.9f},
                                {.temperature = 3, .min_p = 0.01f, .bias = bias, .n_bias = 2}};
    for (int i = 0; i < WIDE; i++) row[i] = (float)(WIDE - i) * 0.1f;
    allowed[0] = (uint64_t)1 << 3 | (uint64_t)1 << 63;
    allowed[1] = 1;
    allowed[2] = (uint64_t)1 << 1;
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        hn_sampler *s;
        int seen = 0;
        hn_test_ok(hn_sampler_create(&ways[w], WIDE, &s, &err), &err);
        for (int i = 0; i < 500; i++) {
            int32_t id = hn_sampler_pick_allowed(s, row, allowed, NULL, 0);
            assert_true(id == 3 || id == 63 || id == 64 || id == 129);
            seen |= id == 3 ? 1 : id == 63 ? 2 : id == 64 ? 4 : 8;
        }
        assert_true(w == 0 ? seen == 1 : w == 1 ? (seen & 1) : seen > 1);
        assert_int_equal(hn_sampler_pick_allowed(s, row, none, NULL, 0), -1);
        hn_sampler_free(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(temperature_alone),
        cmocka_unit_test(top_k_alone),
        cmocka_unit_test(top_p_alone),
        cmocka_unit_test(min_p_alone),
        cmocka_unit_test(filters_follow_each_other),
        cmocka_unit_test(penalty_counts_each_recent_token_once),
        cmocka_unit_test(bias_is_added_first),
        cmocka_unit_test(temperature_zero_takes_the_largest),
        cmocka_unit_test(large_vocabularies_keep_the_right_set),
        cmocka_unit_test(a_seed_repeats),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(what_the_mask_forbids_is_never_picked),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
