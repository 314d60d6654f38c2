/* What decides by chance is tried by chance: thresholds, label sets, prediction-powered intervals, the anytime-valid
 * test and the winner's curse in simulated worlds whose truth is known, with fixed seeds; and what all of them say to
 * empty, impossible and hostile input and to memory that runs out. Bounds are the promised rate plus three standard
 * errors of the simulation. */
#include "support.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "stats/abstain.h"
#include "stats/agreement.h"
#include "stats/distribution.h"
#include "stats/prediction_powered.h"
#include "stats/ranking.h"
#include "stats/recalibrate.h"
#include "stats/selection.h"
#include "stats/sequential.h"

#include <math.h>
#include <string.h>

static hn_rng rng;

static int seed_all(void **state) {
    (void)state;
    hn_rng_seed(&rng, 20240611, 1);
    return 0;
}

static double normal(void) { return hn_normal_quantile((hn_rng_uniform(&rng) * 0x1p53 + 0.5) * 0x1p-53); }
static bool coin(double p) { return hn_rng_uniform(&rng) < p; }
static double with_margin(double rate, double n) { return rate + 3 * sqrt(rate * (1 - rate) / n); }

/* True error above threshold t of a world: confidence u uniform (in 1/10 steps where `tied`), P(wrong) = (1 - u) / 2. */
static double true_error(double threshold, bool tied) {
    if (!tied) return threshold < 0 ? 0.25 : (1 - threshold) / 4;
    double sum = 0, count = 0;
    for (int k = 0; k < 10; k++)
        if (k / 10.0 > threshold) {
            sum += (1 - k / 10.0) / 2;
            count++;
        }
    return count > 0 ? sum / count : 0;
}

static void abstention_keeps_its_promise(void **state) {
    (void)state;
    enum { TRIALS = 1000, N = 1000 };
    for (int tied = 0; tied < 2; tied++) {
        int broken = 0, found = 0;
        for (int t = 0; t < TRIALS; t++) {
            double confidence[N];
            unsigned char right[N];
            for (int i = 0; i < N; i++) {
                double u = hn_rng_uniform(&rng);
                confidence[i] = tied ? floor(u * 10) / 10 : u;
                right[i] = !coin((1 - confidence[i]) / 2);
            }
            hn_abstain_rule rule;
            hn_error err = {0};
            hn_test_ok(hn_abstain_choose(confidence, right, N, 0.15, 0.1, &rule, &err), &err);
            found += rule.found;
            broken += rule.found && true_error(rule.threshold, tied) > 0.15;
            assert_true(!rule.found || (rule.error_bound <= 0.15 && rule.error <= rule.error_bound));
        }
        assert_true(broken <= with_margin(0.1, TRIALS) * TRIALS);
        assert_true(found > TRIALS / 2); /* 0.15 is the true error at coverage 0.6 */
    }
}

static void abstention_at_its_edges(void **state) {
    (void)state;
    double sure[60];
    unsigned char right[60];
    memset(right, 1, sizeof right);
    for (int i = 0; i < 60; i++) sure[i] = 0.9;
    hn_abstain_rule r;
    hn_error err = {0};
    hn_test_ok(hn_abstain_choose(sure, right, 60, 0.1, 0.05, &r, &err), &err);
    assert_true(r.found && r.threshold == -INFINITY && r.coverage == 1); /* all tied: all or nothing */
    hn_test_ok(hn_abstain_choose(sure, right, 60, 0.01, 0.05, &r, &err), &err);
    assert_true(!r.found && r.threshold == INFINITY && r.n_tried == 0 && r.error_bound == 1);
    memset(right, 0, sizeof right);
    hn_test_ok(hn_abstain_choose(sure, right, 60, 0.5, 0.05, &r, &err), &err);
    assert_false(r.found);
    hn_test_ok(hn_abstain_choose(NULL, NULL, 0, 0.5, 0.05, &r, &err), &err);
    assert_false(r.found);
    sure[7] = NAN;
    assert_int_equal(hn_abstain_choose(sure, right, 60, 0.5, 0.05, &r, &err), HN_ERR_INPUT);
    assert_int_equal(hn_abstain_choose(sure, right, 60, 0, 0.05, &r, &err), HN_ERR_INPUT);
}

static void conformal_sets_hold_the_truth(void **state) {
    (void)state;
    enum { TRIALS = 4000, N = 50 };
    int missed = 0;
    for (int t = 0; t < TRIALS; t++) {
        double scores[N];
        for (int i = 0; i < N; i++) scores[i] = hn_rng_uniform(&rng);
        hn_conformal c;
        hn_error err = {0};
        hn_test_ok(hn_conformal_threshold(scores, N, 0.1, &c, &err), &err);
        missed += hn_rng_uniform(&rng) > c.threshold;
    }
    assert_true(missed <= with_margin(0.1, TRIALS) * TRIALS && missed > 0.07 * TRIALS);
    double p[] = {0.6, 0.3, 0.1};
    bool in[3];
    assert_int_equal(hn_conformal_set(p, 3, 0.7, in), 2);
    assert_true(in[0] && in[1] && !in[2]);
    assert_int_equal(hn_conformal_set(p, 3, INFINITY, in), 3);
}

/* Scores of people, and of a judge who is right in `accuracy` of the cases and too kind elsewhere. */
static double judged(double human, double accuracy) { return coin(accuracy) ? human : 1; }

static void ppi_intervals_cover(void **state) {
    (void)state;
    enum { TRIALS = 600, N = 60, REST = 600 };
    static const double accuracies[] = {0.9, 0};
    for (int a = 0; a < 2; a++) {
        int covered = 0, human_covered = 0;
        double width = 0, human_width = 0, error = 0;
        for (int t = 0; t < TRIALS; t++) {
            double human[N], judge[N], rest[REST];
            for (int i = 0; i < N; i++) {
                human[i] = coin(0.7);
                judge[i] = judged(human[i], accuracies[a]);
            }
            for (int i = 0; i < REST; i++) rest[i] = judged(coin(0.7), accuracies[a]);
            hn_ppi_data d = {.human = human, .judge = judge, .judge_rest = rest, .n = N, .n_rest = REST};
            hn_ppi_estimate e;
            hn_error err = {0};
            hn_test_ok(hn_ppi_mean(&d, NULL, &e, &err), &err);
            covered += e.mean.low <= 0.7 && 0.7 <= e.mean.high;
            human_covered += e.human_only.low <= 0.7 && 0.7 <= e.human_only.high;
            width += e.mean.high - e.mean.low;
            human_width += e.human_only.high - e.human_only.low;
            error += (e.mean.value - 0.7) / TRIALS;
        }
        assert_true(TRIALS - covered <= with_margin(0.06, TRIALS) * TRIALS);
        assert_true(human_covered > 0.9 * TRIALS);
        assert_true(fabs(error) < 3 * 0.06 / sqrt(TRIALS)); /* unbiased, whatever the judge does */
        assert_true(a == 0 ? width < 0.75 * human_width : width < 1.02 * human_width);
    }
}

static void ppi_at_its_edges(void **state) {
    (void)state;
    double one[] = {1, 1, 1, 1}, half[] = {1, 0, 1, 0}, rest[] = {1, 0, 1, 1, 1, 1, 0, 1};
    hn_ppi_estimate e;
    hn_error err = {0};
    hn_ppi_options plain = {.plain = true};
    hn_ppi_data d = {.human = half, .judge = half, .judge_rest = rest, .n = 4, .n_rest = 8};
    hn_test_ok(hn_ppi_mean(&d, &plain, &e, &err), &err);
    assert_true(e.weight == 1 && fabs(e.mean.value - 0.75) < 1e-12 && fabs(e.judge_only - 8 / 12.0) < 1e-12);
    assert_true(e.mean.high - e.mean.low > 1); /* four errors of 0 promise little */
    d.judge = one;
    hn_test_ok(hn_ppi_mean(&d, NULL, &e, &err), &err);
    assert_true(e.weight == 0 && e.mean.value == 0.5);
    d.n_rest = 0;
    hn_test_ok(hn_ppi_mean(&d, &plain, &e, &err), &err);
    assert_true(fabs(e.mean.low - e.human_only.low) < 1e-12 && fabs(e.mean.high - e.human_only.high) < 1e-12);
    hn_ppi_data b = {.human = one, .judge = one, .judge_rest = rest, .n = 4, .n_rest = 0};
    hn_test_ok(hn_ppi_difference(&d, &b, NULL, &e, &err), &err);
    assert_true(e.mean.value == 0.5);
    b.n_rest = 8;
    assert_int_equal(hn_ppi_difference(&d, &b, NULL, &e, &err), HN_ERR_USAGE);
    b = (hn_ppi_data){0};
    hn_test_ok(hn_ppi_mean(&b, NULL, &e, &err), &err);
    assert_true(isnan(e.mean.value));
    half[2] = INFINITY;
    assert_int_equal(hn_ppi_mean(&d, NULL, &e, &err), HN_ERR_INPUT);
}

/* 40 looks, one after every 50 cases with 15 % discordant pairs, B's share of which is q. */
static int look_often(double q, int trials, bool *naive) {
    int called = 0;
    for (int t = 0; t < trials; t++) {
        hn_sequential s = hn_sequential_start();
        int64_t a = 0, b = 0;
        bool fooled = false;
        for (int look = 0; look < 40; look++) {
            for (int i = 0; i < 50; i++)
                if (coin(0.15)) *(coin(q) ? &b : &a) += 1;
            hn_sequential_look(&s, a, b);
            int64_t m = a < b ? a : b;
            fooled |= 2 * hn_binomial_cdf(m, a + b, 0.5) <= 0.05;
        }
        called += s.p <= 0.05;
        naive[t] = fooled;
    }
    return called;
}

static void looking_often_is_allowed(void **state) {
    (void)state;
    enum { TRIALS = 1000 };
    static bool naive[TRIALS];
    int called = look_often(0.5, TRIALS, naive), fooled = 0;
    for (int t = 0; t < TRIALS; t++) fooled += naive[t];
    assert_true(called <= 0.05 * TRIALS);
    assert_true(fooled > 0.15 * TRIALS); /* what the exact test does when it is repeated */
    assert_true(look_often(0.7, 200, naive) > 195);
}

static void sequential_wealth(void **state) {
    (void)state;
    hn_sequential s = hn_sequential_start();
    assert_true(s.p == 1);
    hn_sequential_look(&s, 0, 10); /* 2^10 / 11 */
    assert_true(fabs(s.p - 11.0 / 1024) < 1e-12);
    hn_sequential_look(&s, 10, 10); /* 2^20 / (21 * 184756): the wealth falls, p does not rise */
    assert_true(fabs(s.p - 11.0 / 1024) < 1e-12 && fabs(s.log_wealth - log(1048576.0 / (21 * 184756.0))) < 1e-9);
    hn_sequential_look(&s, 9, 10);
    assert_int_equal(s.n_looks, 2);
    hn_interval i = hn_sequential_share(0, 10, 0.05); /* 1 / (11 q^10) = 20 */
    assert_true(fabs(i.low - pow(1 / 220.0, 0.1)) < 1e-9 && i.high == 1);
    i = hn_sequential_share(30, 70, 0.05);
    hn_interval fixed = hn_interval_clopper_pearson(70, 100, 0.05);
    assert_true(i.low < fixed.low && i.low > 0.5 && i.high > fixed.high && i.high < 0.9);
    i = hn_sequential_share(0, 0, 0.05);
    assert_true(i.low == 0 && i.high == 1);
    /* E's mean under "equally good" is 1: over all outcomes of 12 pairs. */
    double sum = 0;
    for (int c = 0; c <= 12; c++) {
        hn_sequential one = hn_sequential_start();
        hn_sequential_look(&one, 12 - c, c);
        sum += exp(one.log_wealth) * hn_binomial_pmf(c, 12, 0.5);
    }
    assert_true(fabs(sum - 1) < 1e-12);
}

/* Mean of corrected and observed minus the truth of the candidate taken, and how often the interval holds that. */
typedef struct curse {
    double observed, corrected, covered;
} curse;

static curse run_contests(const double *truths, size_t K, int trials) {
    enum { N = 150 };
    double *scores = hn_calloc(K * N, sizeof *scores);
    curse c = {0, 0, 0};
    for (int t = 0; t < trials; t++) {
        for (size_t i = 0; i < N; i++) {
            double shared = normal(); /* a case that is hard for one is hard for all */
            for (size_t k = 0; k < K; k++) scores[k * N + i] = truths[k] + (shared + normal()) / sqrt(2);
        }
        hn_selection s;
        hn_error err = {0};
        hn_bootstrap_options o = {.n_resamples = 200, .seed = (uint64_t)t};
        hn_test_ok(hn_selection_correct(scores, K, N, NULL, &o, &s, &err), &err);
        c.observed += (s.observed - truths[s.best]) / trials;
        c.corrected += (s.corrected.value - truths[s.best]) / trials;
        c.covered += (s.corrected.low <= truths[s.best] && truths[s.best] <= s.corrected.high) / (double)trials;
    }
    hn_free(scores);
    return c;
}

static void winners_are_seen_as_they_are(void **state) {
    (void)state;
    enum { TRIALS = 300 };
    double equal[10] = {0}, apart[10], near[10];
    for (int k = 0; k < 10; k++) {
        apart[k] = k * 0.5;
        near[k] = k * 0.02; /* about the noise of a difference of means: 0.08 */
    }
    double noise = 3 * sqrt(1.0 / 150 / TRIALS);
    curse c = run_contests(equal, 10, TRIALS);
    assert_true(c.observed > 0.07 && fabs(c.corrected) < 0.15 * c.observed + noise && c.covered > 0.9);
    c = run_contests(near, 10, TRIALS);
    assert_true(c.observed > 0.03 && fabs(c.corrected) < 0.35 * c.observed + noise && c.covered > 0.86);
    c = run_contests(apart, 10, TRIALS);
    assert_true(fabs(c.observed) < noise && fabs(c.corrected) < noise && c.covered > 0.9);
    c = run_contests(equal, 2, TRIALS);
    assert_true(c.observed > 0.02 && fabs(c.corrected) < 0.35 * c.observed + noise);
}

static void selection_at_its_edges(void **state) {
    (void)state;
    double scores[] = {1, 0, 1, 1, 0, 1, 1, 1};
    hn_selection s;
    hn_error err = {0};
    hn_test_ok(hn_selection_correct(scores, 1, 8, NULL, NULL, &s, &err), &err);
    assert_true(s.best == 0 && s.optimism == 0 && s.corrected.value == 0.75 && s.corrected.low < 0.75);
    double twice[] = {1, 0, 1, 0, 1, 0, 1, 0}; /* two that always agree: nothing is selected */
    hn_test_ok(hn_selection_correct(twice, 2, 4, NULL, NULL, &s, &err), &err);
    assert_true(s.best == 0 && s.observed == 0.5);
    hn_test_ok(hn_selection_correct(scores, 2, 0, NULL, NULL, &s, &err), &err);
    assert_true(isnan(s.observed));
    assert_int_equal(hn_selection_correct(scores, 0, 4, NULL, NULL, &s, &err), HN_ERR_USAGE);
    scores[3] = NAN;
    assert_int_equal(hn_selection_correct(scores, 2, 4, NULL, NULL, &s, &err), HN_ERR_INPUT);
    assert_int_equal(hn_selection_correct(scores, SIZE_MAX / 2, 4, NULL, NULL, &s, &err), HN_ERR_MEMORY);
}

static void pass_at_k(void **state) {
    (void)state;
    assert_true(fabs(hn_pass_at_k(10, 3, 1) - 0.3) < 1e-12);
    assert_true(fabs(hn_pass_at_k(5, 2, 3) - 0.9) < 1e-12); /* 1 - C(3,3) / C(5,3) */
    assert_true(hn_pass_at_k(5, 0, 3) == 0 && hn_pass_at_k(5, 5, 5) == 1 && hn_pass_at_k(5, 3, 3) == 1);
    assert_true(isnan(hn_pass_at_k(5, 1, 6)) && isnan(hn_pass_at_k(5, 1, 0)) && isnan(hn_pass_at_k(5, 6, 2)));
    assert_true(fabs(hn_pass_at_k(100000, 1, 50000) - 0.5) < 1e-9);
    size_t n[] = {4, 4, 4, 4}, right[] = {0, 4, 2, 1};
    hn_estimate e;
    hn_error err = {0};
    hn_test_ok(hn_pass_at_k_mean(n, right, 4, 2, NULL, NULL, &e, &err), &err);
    assert_true(fabs(e.value - (0 + 1 + 5 / 6.0 + 0.5) / 4) < 1e-12 && e.low < e.value && e.value < e.high);
}

static void repeats(void **state) {
    (void)state;
    int32_t answers[] = {3, 1, 3, -1, 3, -1};
    hn_repeat_agreement a = hn_agreement_repeats(answers, 6);
    assert_true(fabs(a.pairs - 3 / 15.0) < 1e-12 && a.majority == 3 && a.majority_share == 0.5 && a.n_distinct == 2);
    a = hn_agreement_repeats(answers + 3, 1);
    assert_true(isnan(a.pairs) && a.majority == -1 && a.majority_share == 0);
    a = hn_agreement_repeats(NULL, 0);
    assert_true(isnan(a.majority_share) && a.n_distinct == 0);
}

static void kappa_of_two(void **state) {
    (void)state;
    /* Cohen's own kind of table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: (0.7 - 0.5) / (1 - 0.5). */
    int32_t a[52], b[52];
    for (int i = 0; i < 50; i++) {
        a[i] = i < 25;
        b[i] = i < 20 || (i >= 25 && i < 35);
    }
    a[50] = 1, b[50] = -1, a[51] = -1, b[51] = -1;
    hn_estimate e;
    hn_error err = {0};
    hn_test_ok(hn_agreement_kappa(a, b, 52, 2, NULL, NULL, &e, &err), &err);
    assert_true(fabs(e.value - 0.4) < 1e-12 && e.low > 0.05 && e.low < 0.25 && e.high > 0.55 && e.high < 0.75);
    int32_t same[] = {1, 1, 1};
    hn_test_ok(hn_agreement_kappa(same, same, 3, 2, NULL, NULL, &e, &err), &err);
    assert_true(isnan(e.value) && isnan(e.low));
    assert_int_equal(hn_agreement_kappa(same, same, 3, 1, NULL, NULL, &e, &err), HN_ERR_INPUT);
    assert_int_equal(hn_agreement_alpha(same, 1, 3, 1, NULL, NULL, &e, &err), HN_ERR_INPUT);
    hn_test_ok(hn_agreement_kappa(NULL, NULL, 0, 2, NULL, NULL, &e, &err), &err);
    assert_true(isnan(e.value));
}

static void recalibration_at_its_edges(void **state) {
    (void)state;
    hn_isotonic curve;
    hn_error err = {0};
    double x[] = {1, 2, 3}, y[] = {0, 1, NAN}, weights[] = {1, 1, 0};
    assert_int_equal(hn_isotonic_fit(x, y, weights, 3, &curve, &err), HN_ERR_INPUT);
    y[2] = 0;
    hn_test_ok(hn_isotonic_fit(x, y, weights, 3, &curve, &err), &err);
    assert_true(curve.n_knots == 2 && hn_isotonic_at(&curve, 9) == 1 && isnan(hn_isotonic_at(&curve, NAN)));
    hn_isotonic_free(&curve);
    hn_test_ok(hn_isotonic_fit(x, y, weights, 0, &curve, &err), &err);
    assert_true(isnan(hn_isotonic_at(&curve, 1)));
    hn_isotonic_free(&curve);
    double z[] = {1, 0, -INFINITY, 0, 2, -INFINITY, 3, 0, 1};
    int32_t truth[] = {0, 0, 0};
    assert_true(isfinite(hn_temperature_fit(z, truth, 3, 3).temperature)); /* impossible labels do no harm */
    truth[1] = 2;
    assert_true(isnan(hn_temperature_fit(z, truth, 3, 3).temperature)); /* the truth was impossible */
    truth[1] = 3;
    assert_true(isnan(hn_temperature_fit(z, truth, 3, 3).temperature));
    assert_true(isnan(hn_temperature_fit(z, truth, 0, 3).temperature));
    double level[] = {1, 1, 1, 1};
    assert_true(isnan(hn_temperature_fit(level, (int32_t[]){0, 1}, 2, 2).temperature)); /* no T changes anything */
    double far[] = {1e300, 0, 0, 1e300, 1e300, 0};                                      /* two right, one wrong */
    hn_temperature t = hn_temperature_fit(far, (int32_t[]){0, 1, 1}, 3, 2);
    assert_true(fabs(1e300 / t.temperature - log(2)) < 1e-6);
}

/* Every allocation of `all` fails once; nothing leaks (under ASan) and the status says so. */
static hn_status all(hn_error *err) {
    double x[] = {3, 1, 2, 4}, twice[] = {1, 0, 1, 0, 0, 1, 1, 1};
    unsigned char right[] = {1, 0, 1, 1};
    int32_t ratings[] = {0, 1, 1, 0, 0, 1, 0, 0};
    hn_bootstrap_options few = {.n_resamples = 20};
    hn_risk_summary risk;
    hn_abstain_rule rule;
    hn_conformal conformal;
    hn_estimate e;
    hn_ranking ranking;
    hn_selection selection;
    hn_ppi_estimate ppi;
    hn_ppi_data d = {.human = x, .judge = twice, .judge_rest = twice, .n = 4, .n_rest = 8};
    hn_isotonic curve;
    HN_TRY(hn_risk_coverage(x, right, 4, NULL, &risk, err));
    HN_TRY(hn_abstain_choose(x, right, 4, 0.5, 0.5, &rule, err));
    HN_TRY(hn_conformal_threshold(x, 4, 0.5, &conformal, err));
    HN_TRY(hn_agreement_alpha(ratings, 2, 4, 2, NULL, &few, &e, err));
    HN_TRY(hn_agreement_kappa(ratings, ratings + 4, 4, 2, NULL, &few, &e, err));
    HN_TRY(hn_pass_at_k_mean((size_t[]){2, 2}, (size_t[]){1, 0}, 2, 1, NULL, &few, &e, err));
    HN_TRY(hn_ranking_measure(x, right, 4, &ranking, err));
    HN_TRY(hn_selection_correct(twice, 2, 4, NULL, &few, &selection, err));
    HN_TRY(hn_ppi_difference(&d, &d, NULL, &ppi, err));
    HN_TRY(hn_isotonic_fit(x, twice, NULL, 4, &curve, err));
    hn_isotonic_free(&curve);
    return HN_OK;
}

static void memory_that_runs_out(void **state) {
    (void)state;
    hn_error err = {0};
    size_t n_all = 1;
    for (size_t n = 0; n <= n_all; n++) { /* the first time none fails, to count them */
        hn_alloc_fail_at(n, false);
        hn_status st = all(&err);
        if (n == 0) n_all = hn_alloc_count();
        hn_alloc_fail_at(0, false);
        if (st != (n ? HN_ERR_MEMORY : HN_OK))
            fail_msg("allocation %zu of %zu fails: %s", n, n_all, hn_status_name(st));
    }
    assert_true(n_all > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abstention_keeps_its_promise),
        cmocka_unit_test(abstention_at_its_edges),
        cmocka_unit_test(conformal_sets_hold_the_truth),
        cmocka_unit_test(ppi_intervals_cover),
        cmocka_unit_test(ppi_at_its_edges),
        cmocka_unit_test(looking_often_is_allowed),
        cmocka_unit_test(sequential_wealth),
        cmocka_unit_test(winners_are_seen_as_they_are),
        cmocka_unit_test(selection_at_its_edges),
        cmocka_unit_test(pass_at_k),
        cmocka_unit_test(repeats),
        cmocka_unit_test(kappa_of_two),
        cmocka_unit_test(recalibration_at_its_edges),
        cmocka_unit_test(memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, seed_all, NULL);
}
