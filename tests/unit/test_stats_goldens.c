/* stats/ against ../shared/goldens/stats, made with scipy, statsmodels and scikit-learn. null means NaN. */
#include "support.h"

#include "base/alloc.h"
#include "stats/abstain.h"
#include "stats/agreement.h"
#include "stats/interval.h"
#include "stats/metrics.h"
#include "stats/multiple.h"
#include "stats/paired.h"
#include "stats/power.h"
#include "stats/probability.h"
#include "stats/ranking.h"
#include "stats/recalibrate.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

typedef struct golden {
    json_t *root, *input, *expected;
    const char *file, *name;
    double tolerance;
} golden;

typedef void (*golden_check)(const golden *g);

static void run_file(const char *file, golden_check check) {
    char relative[128], path[HN_PATH_MAX];
    snprintf(relative, sizeof relative, "goldens/stats/%s.json", file);
    if (!hn_test_shared(relative, path)) skip();
    size_t n;
    char *text = hn_test_read(path, &n);
    golden g = {.root = json_loadb(text, n, 0, NULL), .file = file};
    hn_free(text);
    assert_non_null(g.root);
    g.tolerance = json_number_value(json_object_get(g.root, "tolerance_abs"));
    json_t *cases = json_object_get(g.root, "cases");
    assert_true(json_array_size(cases) > 0);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *one = json_array_get(cases, i);
        g.name = json_string_value(json_object_get(one, "name"));
        g.input = json_object_get(one, "input");
        g.expected = json_object_get(one, "expected");
        check(&g);
    }
    json_decref(g.root);
}

static void match_value(const golden *g, json_t *expected, double value, const char *what) {
    double want = json_is_number(expected) ? json_number_value(expected) : NAN;
    if (isnan(want) ? !isnan(value) : !(fabs(value - want) <= g->tolerance))
        fail_msg("%s %s: %s is %.17g, expected %.17g", g->file, g->name, what, value, want);
}

/* Compares with expected.key where the golden has that key. */
static void match(const golden *g, const char *key, double value) {
    json_t *expected = json_object_get(g->expected, key);
    if (expected) match_value(g, expected, value, key);
}

static void match_interval(const golden *g, const char *key, hn_interval i) {
    json_t *expected = json_object_get(g->expected, key);
    if (!expected) return;
    match_value(g, json_array_get(expected, 0), i.low, key);
    match_value(g, json_array_get(expected, 1), i.high, key);
}

static double in(const golden *g, const char *key) { return json_number_value(json_object_get(g->input, key)); }

static double *doubles(json_t *array, size_t *n) {
    *n = json_array_size(array);
    double *values = hn_calloc(*n, sizeof *values);
    for (size_t i = 0; i < *n; i++) values[i] = json_number_value(json_array_get(array, i));
    return values;
}

static int32_t *labels(json_t *array, size_t *n) {
    *n = json_array_size(array);
    int32_t *values = hn_calloc(*n, sizeof *values);
    for (size_t i = 0; i < *n; i++) values[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return values;
}

static void check_intervals(const golden *g) {
    int64_t k = (int64_t)in(g, "k"), n = (int64_t)in(g, "n");
    match_interval(g, "wilson", hn_interval_wilson(k, n, in(g, "alpha")));
    match_interval(g, "clopper_pearson", hn_interval_clopper_pearson(k, n, in(g, "alpha")));
}

static void check_mcnemar(const golden *g) {
    hn_mcnemar_result m = hn_mcnemar((int64_t)in(g, "b"), (int64_t)in(g, "c"));
    match(g, "exact_p", m.exact_p);
    match(g, "mid_p", m.mid_p);
    match(g, "chi2", m.chi2);
    match(g, "chi2_p", m.chi2_p);
    match(g, "chi2_cc", m.chi2_cc);
    match(g, "chi2_cc_p", m.chi2_cc_p);
}

static void check_paired(const golden *g) {
    size_t n;
    double *d = doubles(json_object_get(g->input, "differences"), &n);
    hn_sign_flip_result r;
    hn_error err = {0};
    hn_test_ok(hn_sign_flip(d, NULL, n, NULL, &r, &err), &err);
    match(g, "mean", r.mean);
    match(g, "permutation_p_exact", r.p);
    assert_true(n == 0 || r.exact);
    match_value(g, json_object_get(json_object_get(g->expected, "sign_test"), "p"), hn_sign_test(d, n), "sign_test");
    hn_free(d);
}

static void check_power_mcnemar(const golden *g, double alpha, double power) {
    double p10 = in(g, "p10"), p01 = in(g, "p01"), n = in(g, "n_pairs"), psi = in(g, "psi");
    double pairs = hn_power_mcnemar_pairs(psi, p10 - p01, alpha, power);
    match(g, "n_pairs", pairs);
    match(g, "n_pairs_ceil", ceil(pairs));
    match(g, "power_normal_at_n", hn_power_mcnemar_at(psi, p10 - p01, n, alpha));
    match(g, "mde_difference_at_n_and_psi", hn_power_mcnemar_detectable(psi, n, alpha, power));
    if (n > 400) return; /* the goldens have none there, and the sum over tables is slow */
    match(g, "power_exact_test_at_n", hn_power_mcnemar_exact(p10, p01, (int64_t)n, alpha, false));
    match(g, "power_midp_test_at_n", hn_power_mcnemar_exact(p10, p01, (int64_t)n, alpha, true));
}

static void check_power(const golden *g) {
    double alpha = in(g, "alpha"), power = in(g, "power");
    const char *kind = json_string_value(json_object_get(g->input, "kind"));
    if (strcmp(kind, "mcnemar") == 0) {
        check_power_mcnemar(g, alpha, power);
    } else if (strcmp(kind, "mean") == 0) {
        double mde = hn_power_mean_detectable(in(g, "sd"), in(g, "n"), alpha, power);
        match(g, "mde", mde);
        assert_true(fabs(hn_power_mean_cases(in(g, "sd"), mde, alpha, power) - in(g, "n")) < 1e-6 * in(g, "n"));
    } else {
        double p1 = in(g, "p1"), p2 = in(g, "p2"), n = in(g, "n_per_group");
        match(g, "n_per_group", hn_power_proportions_cases(p1, p2, alpha, power));
        match(g, "power_at_n_upper_tail", hn_power_proportions_at(p1, p2, n, alpha, false));
        match(g, "power_at_n_both_tails_statsmodels", hn_power_proportions_at(p1, p2, n, alpha, true));
        match(g, "mde_at_n", hn_power_proportions_detectable(p1, n, alpha, power));
    }
}

static void check_cluster(const golden *g) {
    size_t n, n_ids;
    double *x = doubles(json_object_get(g->input, "x"), &n);
    int32_t *ids = labels(json_object_get(g->input, "cluster"), &n_ids);
    hn_clustered_mean m;
    hn_error err = {0};
    hn_test_ok(hn_interval_clustered_mean(x, (const uint32_t *)ids, n, 0.05, &m, &err), &err);
    match(g, "mean", m.mean);
    match(g, "clusters", (double)m.n_groups);
    match(g, "se_naive", m.se_naive);
    match(g, "se_cr0", m.se_cr0);
    match(g, "se_cr1", m.se_cr1);
    match_interval(g, "ci95_t_cr1", m.interval);
    hn_free(x);
    hn_free(ids);
}

static void match_averages(const golden *g, const char *key, hn_class_averages a) {
    json_t *expected = json_object_get(g->expected, key);
    if (!expected) return;
    match_value(g, json_object_get(expected, "precision"), a.precision, key);
    match_value(g, json_object_get(expected, "recall"), a.recall, key);
    match_value(g, json_object_get(expected, "f1"), a.f1, key);
}

static void check_classification(const golden *g) {
    size_t n, n_predicted, n_classes = (size_t)in(g, "K");
    int32_t *truth = labels(json_object_get(g->input, "y_true"), &n);
    int32_t *predicted = labels(json_object_get(g->input, "y_pred"), &n_predicted);
    hn_confusion c;
    hn_classification s;
    hn_error err = {0};
    hn_test_ok(hn_confusion_build(truth, predicted, n, n_classes, &c, &err), &err);
    hn_test_ok(hn_confusion_summary(&c, &s, &err), &err);
    match(g, "n", (double)c.n);
    match(g, "accuracy", s.accuracy);
    match_averages(g, "macro", s.macro);
    match_averages(g, "micro", s.micro);
    match_averages(g, "weighted", s.weighted);
    match(g, "macro_f1_present_classes_only", s.macro_f1_present);
    match(g, "mcc", s.mcc);
    match(g, "balanced_accuracy_present", s.balanced_accuracy);
    match(g, "kappa", s.kappa);
    match(g, "kappa_linear", s.kappa_linear);
    match(g, "kappa_quadratic", s.kappa_quadratic);
    if (n)
        assert_true(hn_confusion_macro_f1(&c, true) == s.macro.f1 ||
                    fabs(hn_confusion_macro_f1(&c, true) - s.macro.f1) < 1e-12);
    json_t *rows = json_object_get(g->expected, "confusion_rows_true");
    for (size_t k = 0; k < (rows ? n_classes : 0); k++) {
        hn_class_metrics m = hn_confusion_class(&c, k);
        match_value(g, json_array_get(json_object_get(g->expected, "precision"), k), m.precision, "precision");
        match_value(g, json_array_get(json_object_get(g->expected, "recall"), k), m.recall, "recall");
        match_value(g, json_array_get(json_object_get(g->expected, "f1"), k), m.f1, "f1");
        match_value(g, json_array_get(json_object_get(g->expected, "support"), k), (double)m.support, "support");
        for (size_t p = 0; p < n_classes; p++)
            match_value(g, json_array_get(json_array_get(rows, k), p), (double)hn_confusion_at(&c, k, p), "confusion");
    }
    hn_confusion_free(&c);
    hn_free(truth);
    hn_free(predicted);
}

static void match_bins(const golden *g, const hn_calibration_bin *bins) {
    json_t *expected = json_object_get(g->expected, "bins");
    for (size_t b = 0; b < json_array_size(expected); b++) {
        json_t *one = json_array_get(expected, b);
        match_value(g, json_object_get(one, "count"), (double)bins[b].count, "count");
        match_value(g, json_object_get(one, "mean_conf"), bins[b].mean_confidence, "mean_conf");
        match_value(g, json_object_get(one, "accuracy"), bins[b].accuracy, "accuracy");
    }
}

static void check_probability(const golden *g) {
    size_t n, n_classes;
    int32_t *truth = labels(json_object_get(g->input, "y"), &n);
    json_t *rows = json_object_get(g->input, "probs");
    n_classes = json_array_size(json_array_get(rows, 0));
    double *p = hn_calloc(n * n_classes, sizeof *p), ece;
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n_classes; k++)
            p[i * n_classes + k] = json_number_value(json_array_get(json_array_get(rows, i), k));
        right += hn_arg_max(p + i * n_classes, n_classes) == (size_t)truth[i];
    }
    hn_calibration_bin bins[15];
    hn_calibration c = hn_calibration_measure(p, truth, n, n_classes, 15, bins);
    hn_error err = {0};
    hn_test_ok(hn_calibration_adaptive(p, truth, n, n_classes, 15, &ece, &err), &err);
    double loss = hn_log_loss(p, truth, n, n_classes, 0);
    match(g, "log_loss", isinf(loss) ? NAN : loss);
    match(g, "log_loss_clipped_eps", hn_log_loss(p, truth, n, n_classes, HN_LOG_LOSS_FLOOR));
    match(g, "brier_multiclass", hn_brier(p, truth, n, n_classes));
    match(g, "ece", c.ece);
    match(g, "mce", c.mce);
    match(g, "adaptive_ece", ece);
    match(g, "accuracy_argmax_first", (double)right / (double)n);
    match_bins(g, bins);
    hn_free(p);
    hn_free(truth);
}

static void check_multiple(const golden *g) {
    size_t n;
    double *p = doubles(json_object_get(g->input, "p"), &n), *holm = hn_calloc(n, sizeof *holm),
           *bh = hn_calloc(n, sizeof *bh);
    hn_error err = {0};
    hn_test_ok(hn_holm(p, n, holm, &err), &err);
    hn_test_ok(hn_benjamini_hochberg(p, n, bh, &err), &err);
    for (size_t i = 0; i < n; i++) {
        match_value(g, json_array_get(json_object_get(g->expected, "holm_adjusted"), i), holm[i], "holm");
        match_value(g, json_array_get(json_object_get(g->expected, "bh_adjusted"), i), bh[i], "bh");
        assert_int_equal(holm[i] <= in(g, "alpha"),
                         json_is_true(json_array_get(json_object_get(g->expected, "holm_reject"), i)));
    }
    hn_free(p);
    hn_free(holm);
    hn_free(bh);
}

static unsigned char *flags(json_t *array, size_t *n) {
    *n = json_array_size(array);
    unsigned char *values = hn_calloc(*n + 1, 1);
    for (size_t i = 0; i < *n; i++) values[i] = json_number_value(json_array_get(array, i)) != 0;
    return values;
}

static void check_temperature(const golden *g) {
    size_t n;
    int32_t *truth = labels(json_object_get(g->input, "y"), &n);
    json_t *rows = json_object_get(g->input, "logits");
    size_t n_classes = json_array_size(json_array_get(rows, 0));
    double *z = hn_calloc(n * n_classes, sizeof *z), *p = hn_calloc(n * n_classes, sizeof *p);
    for (size_t i = 0; i < n * n_classes; i++)
        z[i] = json_number_value(json_array_get(json_array_get(rows, i / n_classes), i % n_classes));
    hn_temperature t = hn_temperature_fit(z, truth, n, n_classes);
    match(g, "temperature", t.temperature);
    match(g, "nll_before", t.loss_before);
    match(g, "nll_after", t.loss_after);
    for (size_t i = 0; i < n && !isnan(t.temperature); i++)
        hn_temperature_apply(z + i * n_classes, n_classes, t.temperature, p + i * n_classes);
    if (!isnan(t.temperature)) match(g, "nll_after", hn_log_loss(p, truth, n, n_classes, 0));
    hn_free(p);
    hn_free(z);
    hn_free(truth);
}

static void check_isotonic(const golden *g) {
    size_t n, n_y, n_weights, n_query;
    json_t *given = json_object_get(g->input, "weights");
    double *x = doubles(json_object_get(g->input, "x"), &n), *y = doubles(json_object_get(g->input, "y"), &n_y);
    double *weights = json_is_array(given) ? doubles(given, &n_weights) : NULL;
    double *query = doubles(json_object_get(g->input, "query"), &n_query);
    hn_isotonic curve;
    hn_error err = {0};
    hn_test_ok(hn_isotonic_fit(x, y, weights, n, &curve, &err), &err);
    for (size_t i = 0; i < n; i++)
        match_value(g, json_array_get(json_object_get(g->expected, "fitted_at_x"), i), hn_isotonic_at(&curve, x[i]),
                    "fitted_at_x");
    for (size_t i = 0; i < n_query; i++)
        match_value(g, json_array_get(json_object_get(g->expected, "predict_query"), i),
                    hn_isotonic_at(&curve, query[i]), "predict_query");
    hn_isotonic_free(&curve);
    hn_free(x);
    hn_free(y);
    hn_free(weights);
    hn_free(query);
}

static void check_risk_coverage(const golden *g) {
    size_t n, n_right;
    double *confidence = doubles(json_object_get(g->input, "confidence"), &n);
    unsigned char *right = flags(json_object_get(g->input, "correct"), &n_right);
    double *risk = hn_calloc(n + 1, sizeof *risk);
    hn_risk_summary s;
    hn_error err = {0};
    hn_test_ok(hn_risk_coverage(confidence, right, n, risk, &s, &err), &err);
    match(g, "aurc", s.aurc);
    match(g, "e_aurc", s.e_aurc);
    for (size_t i = 0; i < n; i++)
        match_value(g, json_array_get(json_object_get(g->expected, "risk"), i), risk[i], "risk");
    json_t *coverages = json_object_get(g->input, "coverages");
    for (size_t i = 0; i < json_array_size(coverages); i++)
        match_value(g, json_array_get(json_object_get(g->expected, "risk_at_coverage"), i),
                    hn_risk_at_coverage(risk, n, json_number_value(json_array_get(coverages, i))), "risk_at_coverage");
    hn_free(confidence);
    hn_free(right);
    hn_free(risk);
}

static void check_conformal(const golden *g) {
    size_t n;
    double *scores = doubles(json_object_get(g->input, "scores"), &n);
    hn_conformal c;
    hn_error err = {0};
    hn_test_ok(hn_conformal_threshold(scores, n, in(g, "alpha"), &c, &err), &err);
    match(g, "k", (double)c.k);
    match(g, "threshold", isinf(c.threshold) ? NAN : c.threshold);
    assert_int_equal(isinf(c.threshold), json_is_true(json_object_get(g->expected, "infinite")));
    hn_free(scores);
}

static void check_krippendorff(const golden *g) {
    json_t *rows = json_object_get(g->input, "ratings_by_rater");
    size_t n_raters = json_array_size(rows), n_units = json_array_size(json_array_get(rows, 0));
    int32_t *ratings = hn_calloc(n_raters * n_units, sizeof *ratings);
    for (size_t i = 0; i < n_raters * n_units; i++) {
        json_t *one = json_array_get(json_array_get(rows, i / n_units), i % n_units);
        ratings[i] = json_is_null(one) ? -1 : (int32_t)json_integer_value(one);
    }
    hn_estimate alpha;
    hn_error err = {0};
    hn_test_ok(hn_agreement_alpha(ratings, n_raters, n_units, 10, NULL, NULL, &alpha, &err), &err);
    match(g, "alpha_nominal", alpha.value);
    hn_free(ratings);
}

static void check_ranking(const golden *g) {
    size_t n, n_scores;
    unsigned char *positive = flags(json_object_get(g->input, "y"), &n);
    double *scores = doubles(json_object_get(g->input, "score"), &n_scores);
    hn_ranking r;
    hn_error err = {0};
    hn_test_ok(hn_ranking_measure(scores, positive, n, &r, &err), &err);
    match(g, "roc_auc", r.roc_auc);
    match(g, "average_precision", r.average_precision);
    match(g, "pr_auc_trapezoid", r.pr_auc);
    hn_free(positive);
    hn_free(scores);
}

#define GOLDEN(name)                                                                                                   \
    static void name##_agree(void **state) {                                                                           \
        (void)state;                                                                                                   \
        run_file(#name, check_##name);                                                                                 \
    }
GOLDEN(intervals)
GOLDEN(mcnemar)
GOLDEN(paired)
GOLDEN(power)
GOLDEN(cluster)
GOLDEN(classification)
GOLDEN(probability)
GOLDEN(multiple)
GOLDEN(temperature)
GOLDEN(isotonic)
GOLDEN(risk_coverage)
GOLDEN(conformal)
GOLDEN(krippendorff)
GOLDEN(ranking)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_agree),     cmocka_unit_test(mcnemar_agree),
        cmocka_unit_test(paired_agree),        cmocka_unit_test(power_agree),
        cmocka_unit_test(cluster_agree),       cmocka_unit_test(classification_agree),
        cmocka_unit_test(multiple_agree),      cmocka_unit_test(probability_agree),
        cmocka_unit_test(temperature_agree),   cmocka_unit_test(isotonic_agree),
        cmocka_unit_test(risk_coverage_agree), cmocka_unit_test(conformal_agree),
        cmocka_unit_test(krippendorff_agree),  cmocka_unit_test(ranking_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
