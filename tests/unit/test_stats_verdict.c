/* The verdict and what it stands on: coverage by going through all tables, symmetry, edges, false alarms by simulation.
 */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/distribution.h"
#include "stats/estimate.h"
#include "stats/metrics.h"
#include "stats/paired.h"
#include "stats/verdict.h"

#include <math.h>
#include <string.h>

enum { MANY = 600 };

static hn_verdict judge(const double *a, const double *b, const uint32_t *group, size_t n, double smallest) {
    hn_verdict_options o = {.smallest_difference = smallest, .seed = 7, .n_draws = 999};
    hn_verdict v;
    hn_error err = {0};
    hn_test_ok(hn_verdict_judge(a, b, group, n, &o, &v, &err), &err);
    return v;
}

/* n cases: the first only_a right for A alone, the next only_b for B alone, the rest right for both. */
static void fill(double *a, double *b, size_t n, size_t only_a, size_t only_b) {
    for (size_t i = 0; i < n; i++) a[i] = b[i] = 1;
    for (size_t i = 0; i < only_a; i++) b[i] = 0;
    for (size_t i = only_a; i < only_a + only_b; i++) a[i] = 0;
}

/* Values from published tables: NIST handbook (t, normal), Abramowitz and Stegun 26; tails from exact rational
 * arithmetic. */
static void distributions_match_tables(void **state) {
    (void)state;
    assert_true(fabs(hn_normal_quantile(0.975) - 1.959963984540054) < 1e-14);
    assert_true(fabs(hn_normal_quantile(1e-10) + 6.361340902404056) < 1e-11);
    assert_true(fabs(hn_normal_cdf(hn_normal_quantile(1e-200)) / 1e-200 - 1) < 1e-9);
    assert_true(fabs(hn_t_quantile(0.975, 1) - 12.706204736432095) < 1e-9);
    assert_true(fabs(hn_t_quantile(0.975, 10) - 2.2281388519862747) < 1e-11);
    assert_true(fabs(hn_t_quantile(0.05, 30) + 1.6972608865939578) < 1e-11);
    assert_true(fabs(hn_binomial_cdf(0, 1000, 0.5) / 9.332636185032189e-302 - 1) < 1e-10);
    assert_true(fabs(hn_binomial_sf(1000, 1000, 0.5) / 9.332636185032189e-302 - 1) < 1e-10);
    assert_true(fabs(hn_beta_cdf(2, 3, 0.4) - 0.5248) < 1e-14);
    assert_true(fabs(hn_beta_cdf(2, 3, hn_beta_quantile(2, 3, 1e-30)) / 1e-30 - 1) < 1e-10);
    assert_true(fabs(hn_chi2_1_sf(3.841458820694124) - 0.05) < 1e-14);
    assert_true(isnan(hn_beta_cdf(0, 1, 0.5)) && isnan(hn_normal_quantile(2)) && isnan(hn_binomial_cdf(1, -1, 0.5)));
}

/* The binomial's parts add up to 1 and agree with direct summing. */
static void binomial_tails_agree_with_sums(void **state) {
    (void)state;
    for (int64_t n = 1; n <= 60; n += 7) {
        double sum = 0;
        for (int64_t k = 0; k <= n; k++) {
            assert_true(fabs(hn_binomial_sf(k, n, 0.3) + hn_binomial_cdf(k - 1, n, 0.3) - 1) < 1e-12);
            sum += hn_binomial_pmf(k, n, 0.3);
            assert_true(fabs(sum - hn_binomial_cdf(k, n, 0.3)) < 1e-12);
        }
    }
}

/* Every table of n cases: the interval excludes 0 exactly where exact McNemar has p <= 0.05; A and B exchanged, it is
 * mirrored; it holds the estimate. */
static void paired_interval_agrees_with_its_test(void **state) {
    (void)state;
    for (int64_t n = 1; n <= 41; n += 8)
        for (int64_t a = 0; a <= n; a++)
            for (int64_t b = 0; a + b <= n; b++) {
                hn_interval i = hn_paired_proportion_interval(a, b, n, 0.05),
                            mirrored = hn_paired_proportion_interval(b, a, n, 0.05);
                double d = (double)(b - a) / (double)n;
                assert_true(i.low <= d && d <= i.high && i.low >= -1 && i.high <= 1);
                assert_true(i.low == -mirrored.high && i.high == -mirrored.low);
                assert_int_equal(hn_mcnemar(a, b).exact_p <= 0.05, i.low > 0 || i.high < 0);
                assert_true(i.low < i.high);
            }
}

/* Exact coverage: the probabilities of all tables whose interval holds the truth, at difficult truths. */
static void paired_interval_covers(void **state) {
    (void)state;
    static const double truths[][2] = {{0, .005}, {0, .1},  {0, .3},  {0, .8},     {.01, .05},
                                       {.02, .2}, {.1, .2}, {.2, .2}, {.001, .03}, {.4, .4}};
    enum { N = 60 };
    for (size_t t = 0; t < sizeof truths / sizeof *truths; t++) {
        double p10 = truths[t][0], psi = p10 + truths[t][1], d = truths[t][1] - p10, covered = 0;
        for (int64_t k = 0; k <= N; k++) {
            double weight = hn_binomial_pmf(k, N, psi);
            if (weight < 1e-9) continue;
            for (int64_t a = 0; a <= k; a++) {
                hn_interval i = hn_paired_proportion_interval(a, k - a, N, 0.05);
                if (i.low <= d + 1e-12 && d - 1e-12 <= i.high) covered += weight * hn_binomial_pmf(a, k, p10 / psi);
            }
        }
        if (covered < 0.95) fail_msg("p10 %g, psi %g: the interval covers %.4f", p10, psi, covered);
    }
}

static void verdict_is_symmetric(void **state) {
    (void)state;
    double a[200], b[200];
    uint32_t group[200];
    for (size_t i = 0; i < 200; i++) group[i] = (uint32_t)(i * 7919 % 60);
    for (size_t only_a = 0; only_a <= 40; only_a += 8)
        for (size_t only_b = 0; only_b <= 40; only_b += 5)
            for (int grouped = 0; grouped < 2; grouped++) {
                fill(a, b, 200, only_a, only_b);
                hn_verdict v = judge(a, b, grouped ? group : NULL, 200, 0.02),
                           w = judge(b, a, grouped ? group : NULL, 200, 0.02);
                assert_true(v.difference.value == -w.difference.value && fabs(v.p - w.p) < 1e-12);
                assert_true(fabs(v.difference.low + w.difference.high) < 1e-12 &&
                            fabs(v.difference.high + w.difference.low) < 1e-12);
                assert_int_equal(v.kind == HN_VERDICT_BETTER, w.kind == HN_VERDICT_WORSE);
                assert_int_equal(v.kind == HN_VERDICT_EQUIVALENT, w.kind == HN_VERDICT_EQUIVALENT);
                assert_int_equal(v.only_a_right, only_a);
                assert_int_equal(w.only_a_right, only_b);
                assert_int_equal(v.cases_needed, w.cases_needed);
            }
}

static void verdicts_follow_the_rule(void **state) {
    (void)state;
    double a[1000], b[1000];
    fill(a, b, 300, 2, 10); /* exact McNemar of 2 against 10: p = 79 / 2048 */
    hn_verdict v = judge(a, b, NULL, 300, 0.02);
    assert_int_equal(v.kind, HN_VERDICT_BETTER);
    assert_true(fabs(v.p - 158.0 / 4096) < 1e-12);
    assert_string_equal(v.test, "exact McNemar");
    assert_string_equal(hn_verdict_name(v.kind), "better");
    assert_int_equal(judge(b, a, NULL, 300, 0.02).kind, HN_VERDICT_WORSE);
    fill(a, b, 300, 3, 9); /* p = 299 / 2048 */
    v = judge(a, b, NULL, 300, 0.02);
    assert_int_equal(v.kind, HN_VERDICT_CANNOT_TELL);
    assert_true(v.cases_needed > 300 && v.detectable > 0.02);
    fill(a, b, 1000, 2, 2);
    v = judge(a, b, NULL, 1000, 0.02);
    assert_int_equal(v.kind, HN_VERDICT_EQUIVALENT);
    assert_false(v.matters);
    assert_int_equal(judge(a, b, NULL, 1000, 0).kind,
                     HN_VERDICT_CANNOT_TELL); /* without a margin nothing is equivalent */
}

/* Connor's formula by hand: psi = 0.15, d = 0.05 needs 469 pairs (the goldens say 468.568). */
static void cases_needed_uses_the_recorded_discordance(void **state) {
    (void)state;
    double a[300], b[300];
    fill(a, b, 300, 30, 15);
    hn_verdict v = judge(a, b, NULL, 300, 0.05);
    assert_int_equal(v.cases_needed, 469);
    assert_true(fabs(v.detectable - 0.06239948946305606) < 1e-7);
    fill(a, b, 300, 0,
         0); /* no discordance: psi is the difference itself; (1.96 sqrt(.05) + .84 sqrt(.05 - .0025))^2 / .0025 */
    v = judge(a, b, NULL, 300, 0.05);
    assert_int_equal(v.cases_needed, 155);
    assert_true(v.detectable > 0.025 && v.detectable < 0.0265); /* about (1.96 + 0.84)^2 / 300 */
}

static void empty_and_tiny_runs_cannot_tell(void **state) {
    (void)state;
    double zero[4] = {0, 0, 0, 0}, one[4] = {1, 1, 1, 1}, half[4] = {0.5, 0.5, 0.5, 0.5};
    uint32_t same[4] = {9, 9, 9, 9};
    hn_verdict v = judge(zero, one, NULL, 0, 0.02);
    assert_int_equal(v.kind, HN_VERDICT_CANNOT_TELL);
    assert_true(isnan(v.difference.value) && v.p == 1 && v.cases_needed == -1);
    for (size_t n = 1; n <= 4; n++) {
        const double *pairs[][2] = {{zero, one}, {one, zero}, {one, one}, {zero, zero}, {half, one}, {half, half}};
        for (size_t i = 0; i < 6; i++)
            for (int grouped = 0; grouped < 2; grouped++) {
                v = judge(pairs[i][0], pairs[i][1], grouped ? same : NULL, n, 0.02);
                assert_int_equal(v.kind, HN_VERDICT_CANNOT_TELL);
                assert_true(v.p <= 1 && v.p > 0.05 && v.difference.low < v.difference.high);
            }
    }
}

/* 600 cases of one customer are one piece of evidence, however clear it looks. */
static void one_group_cannot_tell(void **state) {
    (void)state;
    double a[MANY], b[MANY];
    uint32_t group[MANY] = {0};
    fill(a, b, MANY, 0, 500);
    hn_verdict v = judge(a, b, group, MANY, 0.02);
    assert_int_equal(v.kind, HN_VERDICT_CANNOT_TELL);
    assert_int_equal(v.n_groups, 1);
    assert_true(v.difference.low == -1 && v.difference.high == 1);
    assert_string_equal(v.test, "sign-flip permutation over groups");
    fill(a, b, MANY, 0, 0);
    assert_int_equal(judge(a, b, group, MANY, 0.02).kind, HN_VERDICT_CANNOT_TELL);
}

/* Groups that are all singles are no groups; discordance without any is not taken for certainty. */
static void groups_of_one_change_nothing(void **state) {
    (void)state;
    double a[MANY], b[MANY];
    uint32_t group[MANY];
    for (uint32_t i = 0; i < MANY; i++) group[i] = MANY - i;
    fill(a, b, MANY, 4, 17);
    hn_verdict v = judge(a, b, NULL, MANY, 0.02), w = judge(a, b, group, MANY, 0.02);
    assert_memory_equal(&v.difference, &w.difference, sizeof v.difference);
    assert_true(v.p == w.p && v.test == w.test);
    fill(a, b, MANY, 0, 0);
    for (uint32_t i = 0; i < MANY; i++) group[i] = i / 3;
    assert_int_equal(judge(a, b, group, MANY, 0.05).kind, HN_VERDICT_EQUIVALENT);
    assert_int_equal(judge(a, b, group, 60, 0.05).kind, HN_VERDICT_CANNOT_TELL);
}

static void bad_scores_are_refused(void **state) {
    (void)state;
    double a[3] = {0, 1, NAN}, b[3] = {1, 1, 1};
    hn_verdict v;
    hn_error err = {0};
    assert_int_equal(hn_verdict_judge(a, b, NULL, 3, NULL, &v, &err), HN_ERR_INPUT);
    assert_non_null(strstr(err.message, "case 2"));
    hn_verdict_options o = {.smallest_difference = -1};
    assert_int_equal(hn_verdict_judge(b, b, NULL, 3, &o, &v, &err), HN_ERR_INPUT);
}

/* What one simulated comparison is drawn from. */
typedef struct world {
    size_t n, n_runs, group_size;
    double only_a, only_b; /* chances; a whole group shares its draw with probability `tied` */
    double tied;
    bool scores;
} world;

static void draw_run(hn_rng *rng, const world *w, double *a, double *b, uint32_t *group) {
    double shared = 0;
    for (size_t i = 0; i < w->n; i++) {
        group[i] = (uint32_t)(i / w->group_size);
        if (i % w->group_size == 0) shared = hn_rng_uniform(rng);
        double u = hn_rng_uniform(rng) < w->tied ? shared : hn_rng_uniform(rng);
        a[i] = u < w->only_a || u > 0.6;
        b[i] = (u >= w->only_a && u < w->only_a + w->only_b) || u > 0.6;
        if (!w->scores) continue;
        a[i] = 0.5 * a[i] + 0.5 * hn_rng_uniform(rng);
        b[i] = 0.5 * b[i] + 0.5 * hn_rng_uniform(rng);
    }
}

/* Runs the world; counts runs that call a difference, and intervals that miss the truth. */
static void simulate(const world *w, size_t *alarms, size_t *misses) {
    double a[MANY], b[MANY], truth = (w->only_b - w->only_a) * (w->scores ? 0.5 : 1);
    uint32_t group[MANY];
    hn_rng rng;
    hn_rng_seed(&rng, 11, w->n + w->group_size);
    *alarms = *misses = 0;
    for (size_t run = 0; run < w->n_runs; run++) {
        draw_run(&rng, w, a, b, group);
        hn_verdict v = judge(a, b, w->group_size > 1 ? group : NULL, w->n, 0.02);
        *alarms += v.kind == HN_VERDICT_BETTER || v.kind == HN_VERDICT_WORSE;
        *misses += !(v.difference.low <= truth + 1e-12 && truth - 1e-12 <= v.difference.high);
    }
}

/* The most of `runs` that a rate of `rate` gives in all but 0.1 % of simulations. */
static size_t at_most(size_t runs, double rate) {
    size_t k = 0;
    while (hn_binomial_sf((int64_t)k + 1, (int64_t)runs, rate) > 0.001) k++;
    return k;
}

static void false_alarms_and_misses_stay_in_bounds(void **state) {
    (void)state;
    static const world worlds[] = {
        {200, 2000, 1, 0.1, 0.1, 0, false},    {200, 2000, 1, 0.02, 0.02, 0, false},
        {200, 1000, 1, 0, 0.1, 0, false},      {200, 400, 4, 0.1, 0.1, 0.8, false},
        {200, 400, 4, 0.15, 0.05, 0.8, false}, {200, 400, 2, 0.03, 0.0, 0.5, false},
        {200, 400, 1, 0.1, 0.1, 0, true},      {200, 400, 4, 0.05, 0.2, 0.8, true},
    };
    for (size_t i = 0; i < sizeof worlds / sizeof *worlds; i++) {
        const world *w = &worlds[i];
        size_t alarms, misses;
        simulate(w, &alarms, &misses);
        if (w->only_a == w->only_b && alarms > at_most(w->n_runs, 0.05))
            fail_msg("world %zu: %zu false alarms of %zu", i, alarms, w->n_runs);
        if (misses > at_most(w->n_runs, 0.05)) fail_msg("world %zu: %zu of %zu intervals miss", i, misses, w->n_runs);
    }
}

static double mean_of(const uint32_t *cases, size_t n, void *user) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double *)user)[cases[i]];
    return n ? sum / (double)n : NAN;
}

/* The bootstrap of a mean is close to the t interval, and clustered it is close to the clustered one. */
static void bootstrap_agrees_with_the_mean_interval(void **state) {
    (void)state;
    double x[400];
    uint32_t group[400];
    hn_rng rng;
    hn_rng_seed(&rng, 3, 0);
    for (size_t i = 0; i < 400; i++) {
        group[i] = (uint32_t)(i / 4);
        x[i] = i % 4 == 0 ? hn_rng_uniform(&rng) : 0.7 * x[i - i % 4] + 0.3 * hn_rng_uniform(&rng);
    }
    for (int grouped = 0; grouped < 2; grouped++)
        for (int method = 0; method < 2; method++) {
            hn_bootstrap_options o = {.seed = 5, .method = (hn_bootstrap_method)method};
            hn_estimate e;
            hn_clustered_mean m;
            hn_error err = {0};
            hn_test_ok(hn_bootstrap(mean_of, x, 400, grouped ? group : NULL, &o, &e, &err), &err);
            hn_test_ok(hn_interval_clustered_mean(x, grouped ? group : NULL, 400, 0.05, &m, &err), &err);
            double half = (m.interval.high - m.interval.low) / 2;
            assert_true(fabs(e.value - m.mean) < 1e-12);
            assert_true(fabs(e.low - m.interval.low) < 0.15 * half && fabs(e.high - m.interval.high) < 0.15 * half);
            hn_estimate again;
            hn_test_ok(hn_bootstrap(mean_of, x, 400, grouped ? group : NULL, &o, &again, &err), &err);
            assert_memory_equal(&e, &again, sizeof e);
        }
}

static void clustered_proportion_is_wider(void **state) {
    (void)state;
    unsigned char right[200];
    uint32_t group[200];
    for (size_t i = 0; i < 200; i++) {
        group[i] = (uint32_t)(i / 5);
        right[i] = group[i] % 3 != 0; /* a group is right or wrong as a whole: 40 cases' worth */
    }
    hn_interval alone, related, wilson = hn_interval_wilson(130, 200, 0.05),
                                forty = hn_interval_wilson_share(0.65, 40, 0.05);
    hn_error err = {0};
    hn_test_ok(hn_interval_proportion(right, NULL, 200, 0.05, &alone, &err), &err);
    hn_test_ok(hn_interval_proportion(right, group, 200, 0.05, &related, &err), &err);
    assert_memory_equal(&alone, &wilson, sizeof wilson);
    assert_true(fabs((related.high - related.low) / (forty.high - forty.low) - 1) < 0.05);
    memset(right, 1, sizeof right);
    hn_test_ok(hn_interval_proportion(right, group, 200, 0.05, &related, &err), &err);
    forty = hn_interval_wilson(40, 40, 0.05);
    assert_memory_equal(&related, &forty, sizeof forty);
    hn_test_ok(hn_interval_proportion(right, group, 5, 0.05, &related, &err), &err);
    assert_true(related.low == 0 && related.high == 1);
}

/* Macro F1 agrees with the confusion matrix, missing answers included; its interval holds it and shrinks as cases are
 * added. */
static void macro_f1_has_an_interval(void **state) {
    (void)state;
    enum { N = 800, CLASSES = 6 };
    static int32_t truth[N], predicted[N];
    hn_rng rng;
    hn_rng_seed(&rng, 4, 0);
    for (size_t i = 0; i < N; i++) {
        truth[i] = (int32_t)hn_rng_below(&rng, 5); /* class 5 never occurs */
        uint64_t u = hn_rng_below(&rng, 10);
        predicted[i] = u < 7 ? truth[i] : u == 7 ? HN_NO_LABEL : (int32_t)hn_rng_below(&rng, 5);
    }
    double width = 2;
    for (size_t n = 50; n <= N; n *= 4)
        for (int all = 0; all < 2; all++) {
            hn_confusion c;
            hn_estimate f1, accuracy;
            hn_error err = {0};
            hn_test_ok(hn_confusion_build(truth, predicted, n, CLASSES, &c, &err), &err);
            hn_test_ok(hn_estimate_macro_f1(truth, predicted, n, CLASSES, all, NULL, 7, &f1, &err), &err);
            hn_test_ok(hn_estimate_accuracy(truth, predicted, n, NULL, &accuracy, &err), &err);
            assert_true(fabs(f1.value - hn_confusion_macro_f1(&c, all)) < 1e-12);
            assert_true(accuracy.value == hn_confusion_accuracy(&c));
            assert_true(f1.low < f1.value && f1.value < f1.high);
            if (!all) assert_true(f1.high - f1.low < 0.7 * width);
            if (!all) width = f1.high - f1.low;
            hn_confusion_free(&c);
        }
    hn_estimate e;
    hn_error err = {0};
    hn_test_ok(hn_estimate_macro_f1(truth, predicted, 0, CLASSES, false, NULL, 7, &e, &err), &err);
    assert_true(isnan(e.value) && isnan(e.low));
    assert_int_equal(hn_estimate_macro_f1(truth, predicted, N, 3, false, NULL, 7, &e, &err), HN_ERR_INPUT);
}

typedef struct answered {
    const int32_t *truth, *predicted;
} answered;

static double f1_of(const uint32_t *cases, size_t n, void *user) {
    enum { CLASSES = 6 };
    const answered *a = user;
    double hits[CLASSES] = {0}, all[CLASSES] = {0}, sum = 0;
    int used = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t t = a->truth[cases[i]], p = a->predicted[cases[i]];
        all[t]++;
        if (p == HN_NO_LABEL) continue;
        all[p]++;
        hits[p] += t == p;
    }
    for (int k = 0; k < CLASSES; k++) {
        if (all[k] > 0) sum += 2 * hits[k] / all[k];
        used += all[k] > 0;
    }
    return sum / used;
}

/* Many cases are drawn in blocks: the same value, and the interval of drawing them one by one (here without BCa's shift, which is nothing at this size);
 * related cases stay together. */
static void macro_f1_of_many_cases(void **state) {
    (void)state;
    enum { N = 60000, CLASSES = 6 };
    static int32_t truth[N], predicted[N];
    static uint32_t group[N];
    hn_rng rng;
    hn_rng_seed(&rng, 5, 0);
    for (size_t i = 0; i < N; i++) {
        uint64_t u = i % 2 ? 9 : hn_rng_below(&rng, 10); /* of each pair the second does as the first */
        truth[i] = i % 2 ? truth[i - 1] : (int32_t)hn_rng_below(&rng, 100) / 20;
        if (!(i % 2) && hn_rng_below(&rng, 50) == 0) truth[i] = 5;
        predicted[i] = i % 2    ? predicted[i - 1]
                       : u < 7  ? truth[i]
                       : u == 7 ? HN_NO_LABEL
                                : (int32_t)hn_rng_below(&rng, 5);
        group[i] = (uint32_t)i / 2;
    }
    answered a = {truth, predicted};
    hn_bootstrap_options o = {.method = HN_BOOTSTRAP_PERCENTILE, .seed = 3, .n_resamples = 1000};
    for (int grouped = 0; grouped < 2; grouped++) {
        hn_estimate blocks, plain;
        hn_error err = {0};
        const uint32_t *ids = grouped ? group : NULL;
        hn_test_ok(hn_estimate_macro_f1(truth, predicted, N, CLASSES, false, ids, 7, &blocks, &err), &err);
        hn_test_ok(hn_bootstrap(f1_of, &a, N, ids, &o, &plain, &err), &err);
        double width = plain.high - plain.low;
        assert_true(fabs(blocks.value - plain.value) < 1e-12);
        assert_true(fabs((blocks.high - blocks.low) / width - 1) < 0.1);
        assert_true(fabs(blocks.low - plain.low) < 0.1 * width && fabs(blocks.high - plain.high) < 0.1 * width);
        assert_true(width > (grouped ? 0.008 : 0.005)); /* pairs are half the evidence */
    }
}

static void worst_confused_pair_counts_both_ways(void **state) {
    (void)state;
    int32_t truth[] = {0, 0, 1, 1, 2, 2, 2, 0}, predicted[] = {1, 0, 0, 2, 1, 2, HN_NO_LABEL, 2};
    hn_confusion c;
    hn_confused_pair pair;
    hn_error err = {0};
    hn_test_ok(hn_confusion_build(truth, predicted, 8, 3, &c, &err), &err);
    assert_true(hn_confusion_worst_pair(&c, &pair));
    assert_true(pair.a == 0 && pair.b == 1 && pair.a_as_b == 1 &&
                pair.b_as_a == 1); /* (1, 2) has two as well: the lower labels */
    assert_int_equal(hn_confusion_at(&c, 2, 3), 1);
    hn_confusion_free(&c);
    hn_test_ok(hn_confusion_build(truth, truth, 8, 3, &c, &err), &err);
    assert_false(hn_confusion_worst_pair(&c, &pair));
    hn_confusion_free(&c);
    assert_int_equal(hn_confusion_build(truth, truth, 8, 2, &c, &err), HN_ERR_INPUT);
}

static void newcombe_matches_his_paper(void **state) {
    (void)state;
    hn_interval i = hn_interval_newcombe(48, 80, 56, 70, 0.05); /* Newcombe 1998, table II (a): 0.0524 to 0.3339 */
    assert_true(fabs(i.low - 0.0524) < 5e-5 && fabs(i.high - 0.3339) < 5e-5);
}

static void running_out_of_memory_is_a_status(void **state) {
    (void)state;
    double a[40], b[40];
    uint32_t group[40];
    fill(a, b, 40, 3, 12);
    for (uint32_t i = 0; i < 40; i++) group[i] = i / 2;
    hn_status st = HN_ERR_MEMORY;
    for (size_t at = 1; st != HN_OK; at++) {
        hn_verdict v;
        hn_error err = {0};
        hn_estimate e;
        hn_alloc_fail_at(at, true);
        st = hn_verdict_judge(a, b, group, 40, NULL, &v, &err);
        if (st == HN_OK) st = hn_bootstrap(mean_of, a, 40, group, NULL, &e, &err);
        hn_alloc_fail_at(0, false);
        assert_true(st == HN_OK || st == HN_ERR_MEMORY);
        assert_true(at < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distributions_match_tables),
        cmocka_unit_test(binomial_tails_agree_with_sums),
        cmocka_unit_test(paired_interval_agrees_with_its_test),
        cmocka_unit_test(paired_interval_covers),
        cmocka_unit_test(verdict_is_symmetric),
        cmocka_unit_test(verdicts_follow_the_rule),
        cmocka_unit_test(cases_needed_uses_the_recorded_discordance),
        cmocka_unit_test(empty_and_tiny_runs_cannot_tell),
        cmocka_unit_test(one_group_cannot_tell),
        cmocka_unit_test(groups_of_one_change_nothing),
        cmocka_unit_test(bad_scores_are_refused),
        cmocka_unit_test(false_alarms_and_misses_stay_in_bounds),
        cmocka_unit_test(bootstrap_agrees_with_the_mean_interval),
        cmocka_unit_test(clustered_proportion_is_wider),
        cmocka_unit_test(macro_f1_has_an_interval),
        cmocka_unit_test(macro_f1_of_many_cases),
        cmocka_unit_test(worst_confused_pair_counts_both_ways),
        cmocka_unit_test(newcombe_matches_his_paper),
        cmocka_unit_test(running_out_of_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
