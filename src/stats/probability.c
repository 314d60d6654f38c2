/* Probabilities; see probability.h. */
#include "stats/probability.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

size_t hn_arg_max(const double *x, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

double hn_log_sum_exp(const double *x, size_t n) {
    if (n == 0) return -INFINITY;
    double top = x[hn_arg_max(x, n)], sum = 0;
    if (top == -INFINITY) return -INFINITY;
    for (size_t i = 0; i < n; i++) sum += exp(x[i] - top);
    return top + log(sum);
}

void hn_softmax(const double *x, size_t n, double *out) {
    double top = n ? x[hn_arg_max(x, n)] : 0, sum = 0;
    for (size_t i = 0; i < n; i++) sum += out[i] = exp(x[i] - top);
    for (size_t i = 0; i < n; i++) out[i] /= sum;
}

double hn_log_loss(const double *p, const int32_t *truth, size_t n, size_t n_classes, double floor) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum -= log(fmax(p[i * n_classes + (size_t)truth[i]], floor));
    return n ? sum / (double)n : NAN;
}

double hn_brier(const double *p, const int32_t *truth, size_t n, size_t n_classes) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n_classes; k++) {
            double miss = p[i * n_classes + k] - ((size_t)truth[i] == k);
            sum += miss * miss;
        }
    return n ? sum / (double)n : NAN;
}

/* The bin (i / n_bins, (i + 1) / n_bins] that holds the confidence. */
static size_t bin_of(double confidence, size_t n_bins) {
    double at = ceil(confidence * (double)n_bins) - 1;
    return at <= 0 ? 0 : at >= (double)n_bins ? n_bins - 1 : (size_t)at;
}

hn_calibration hn_calibration_measure(const double *p, const int32_t *truth, size_t n, size_t n_classes, size_t n_bins,
                                      hn_calibration_bin *bins) {
    hn_calibration c = {n ? 0 : NAN, n ? 0 : NAN};
    for (size_t b = 0; b < n_bins; b++) bins[b] = (hn_calibration_bin){0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        const double *row = p + i * n_classes;
        size_t best = hn_arg_max(row, n_classes);
        hn_calibration_bin *bin = &bins[bin_of(row[best], n_bins)];
        bin->count++;
        bin->mean_confidence += row[best];
        bin->accuracy += best == (size_t)truth[i];
    }
    for (size_t b = 0; b < n_bins; b++) {
        double count = (double)bins[b].count;
        bins[b].mean_confidence = count > 0 ? bins[b].mean_confidence / count : NAN;
        bins[b].accuracy = count > 0 ? bins[b].accuracy / count : NAN;
        if (count == 0) continue;
        double gap = fabs(bins[b].accuracy - bins[b].mean_confidence);
        c.ece += gap * count / (double)n;
        if (gap > c.mce) c.mce = gap;
    }
    return c;
}

typedef struct sure {
    double confidence;
    size_t index;
    int right;
} sure;

static int by_confidence(const void *a, const void *b) {
    const sure *x = a, *y = b;
    if (x->confidence != y->confidence) return x->confidence < y->confidence ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

hn_status hn_calibration_adaptive(const double *p, const int32_t *truth, size_t n, size_t n_classes, size_t n_bins,
                                  double *ece, hn_error *err) {
    *ece = NAN;
    if (n == 0 || n_bins == 0) return HN_OK;
    sure *cases = hn_calloc(n, sizeof *cases);
    if (!cases) return hn_fail_memory(err, n * sizeof *cases);
    for (size_t i = 0; i < n; i++) {
        size_t best = hn_arg_max(p + i * n_classes, n_classes);
        cases[i] = (sure){p[i * n_classes + best], i, best == (size_t)truth[i]};
    }
    qsort(cases, n, sizeof *cases, by_confidence);
    *ece = 0;
    for (size_t b = 0, at = 0; b < n_bins && at < n; b++) {
        size_t size = n / n_bins + (b < n % n_bins);
        double gap = 0;
        for (size_t i = 0; i < size; i++, at++) gap += cases[at].right - cases[at].confidence;
        *ece += fabs(gap) / (double)n;
    }
    hn_free(cases);
    return HN_OK;
}
