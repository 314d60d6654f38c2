/* Risk and coverage, the choice of a threshold, conformal sets; see abstain.h. */
#include "stats/abstain.h"

#include "base/alloc.h"
#include "stats/distribution.h"

#include <math.h>
#include <stdlib.h>

enum { GRID = 20 };

typedef struct ranked {
    double confidence;
    size_t index;
    int wrong;
} ranked;

static int by_falling(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence > y->confidence ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* The cases by falling confidence; NULL with the error filled. n >= 1. */
static ranked *rank(const double *confidence, const unsigned char *right, size_t n, hn_status *st, hn_error *err) {
    for (size_t i = 0; i < n; i++)
        if (isnan(confidence[i])) {
            *st =
                hn_fail(err, HN_ERR_INPUT, "confidence", "leave the case out", "the confidence of case %zu is NaN", i);
            return NULL;
        }
    ranked *cases = hn_calloc(n, sizeof *cases);
    if (!cases) {
        *st = hn_fail_memory(err, n * sizeof *cases);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) cases[i] = (ranked){confidence[i], i, right[i] == 0};
    qsort(cases, n, sizeof *cases, by_falling);
    *st = HN_OK;
    return cases;
}

hn_status hn_risk_coverage(const double *confidence, const unsigned char *right, size_t n, double *risk,
                           hn_risk_summary *out, hn_error *err) {
    *out = (hn_risk_summary){NAN, NAN};
    if (n == 0) return HN_OK;
    hn_status st;
    ranked *cases = rank(confidence, right, n, &st, err);
    if (!cases) return st;
    size_t wrong = 0;
    double sum = 0, ideal = 0;
    for (size_t i = 0; i < n; i++) {
        wrong += (size_t)cases[i].wrong;
        double r = (double)wrong / (double)(i + 1);
        if (risk) risk[i] = r;
        sum += r;
    }
    for (size_t i = n - wrong; i < n; i++) ideal += (double)(i + 1 - (n - wrong)) / (double)(i + 1);
    *out = (hn_risk_summary){sum / (double)n, (sum - ideal) / (double)n};
    hn_free(cases);
    return HN_OK;
}

double hn_risk_at_coverage(const double *risk, size_t n, double coverage) {
    if (n == 0) return NAN;
    double k = ceil(coverage * (double)n - 1e-9); /* 0.8 * 35 is a little above 28 */
    return risk[k <= 1 ? 0 : k >= (double)n ? n - 1 : (size_t)k - 1];
}

/* The j-th of the grid's numbers of answers, and whether zero errors at it could do. */
static size_t grid_answers(size_t n, size_t j) { return (size_t)((double)n * (double)j / GRID + 1e-9); }
static bool can_do(size_t k, double target, double delta) { return k > 0 && (double)k * log1p(-target) <= log(delta); }

hn_status hn_abstain_choose(const double *confidence, const unsigned char *right, size_t n, double target_error,
                            double delta, hn_abstain_rule *out, hn_error *err) {
    *out = (hn_abstain_rule){.threshold = INFINITY, .error = NAN, .error_bound = 1};
    if (!(target_error > 0 && target_error < 1 && delta > 0 && delta < 1))
        return hn_fail(err, HN_ERR_INPUT, "abstention", "give shares such as 0.05",
                       "target error %g and risk %g must both lie between 0 and 1", target_error, delta);
    if (n == 0) return HN_OK;
    hn_status st;
    ranked *cases = rank(confidence, right, n, &st, err);
    if (!cases) return st;
    for (size_t j = 1; j <= GRID; j++) out->n_tried += can_do(grid_answers(n, j), target_error, delta);
    size_t m = 0, wrong = 0; /* of the cases strictly above the threshold */
    for (size_t j = 1; j <= GRID; j++) {
        size_t k = grid_answers(n, j);
        if (!can_do(k, target_error, delta)) continue;
        double threshold = k < n ? cases[k].confidence : -INFINITY;
        while (m < k && (k == n || cases[m].confidence > threshold)) wrong += (size_t)cases[m++].wrong;
        if (m == 0) continue;
        /* The one-sided limit: the share at which this few errors have probability delta / n_tried. */
        double bound =
            wrong == m ? 1 : hn_beta_quantile((double)wrong + 1, (double)(m - wrong), 1 - delta / (double)out->n_tried);
        if (!(bound <= target_error)) continue;
        out->found = true;
        out->threshold = threshold;
        out->coverage = (double)m / (double)n;
        out->error = (double)wrong / (double)m;
        out->error_bound = bound;
        out->n_answered = m;
        out->n_wrong = wrong;
    }
    hn_free(cases);
    return HN_OK;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

hn_status hn_conformal_threshold(const double *scores, size_t n, double alpha, hn_conformal *out, hn_error *err) {
    *out = (hn_conformal){INFINITY, 0};
    if (!(alpha > 0 && alpha < 1))
        return hn_fail(err, HN_ERR_INPUT, "conformal sets", "give a share such as 0.1",
                       "the error rate %g must lie between 0 and 1", alpha);
    for (size_t i = 0; i < n; i++)
        if (isnan(scores[i]))
            return hn_fail(err, HN_ERR_INPUT, "conformal sets", "leave the case out", "the score of case %zu is NaN",
                           i);
    out->k = (size_t)ceil(((double)n + 1) * (1 - alpha) - 1e-9); /* 20 * 0.9 must be 18 */
    if (out->k > n) return HN_OK;
    double *sorted = hn_calloc(n, sizeof *sorted);
    if (!sorted) return hn_fail_memory(err, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) sorted[i] = scores[i];
    qsort(sorted, n, sizeof *sorted, by_value);
    out->threshold = sorted[out->k - 1];
    hn_free(sorted);
    return HN_OK;
}

size_t hn_conformal_set(const double *p, size_t n_classes, double threshold, bool *in) {
    size_t size = 0;
    for (size_t k = 0; k < n_classes; k++) size += in[k] = 1 - p[k] <= threshold;
    return size;
}
