/* Probabilities over labels: from log scores, and how good they are against what was true.
 *
 *     hn_softmax(log_scores, n, probabilities);            // sums to 1, whatever the scores' size
 *     double loss = hn_log_loss(probabilities, truth, n, n_classes, HN_LOG_LOSS_FLOOR);
 *
 * Tables of probabilities are (n, n_classes), row by row; truth holds labels 0 .. n_classes - 1. No cases: NaN.
 * Threading: pure functions. */
#ifndef HN_STATS_PROBABILITY_H
#define HN_STATS_PROBABILITY_H

#include "base/status.h"

#include <stdint.h>

/* 2^-52: what a true label's probability is raised to by those who dislike an infinite loss. */
#define HN_LOG_LOSS_FLOOR 0x1.0p-52

/* ln(sum(exp(x))) without overflow. All -inf, or n = 0: -inf. */
double hn_log_sum_exp(const double *x, size_t n);
/* exp(x[i] - ln(sum(exp(x)))); `out` may be `x`. Where every x is -inf, or one is NaN or +inf, the result is NaN. */
void hn_softmax(const double *x, size_t n, double *out);
/* The first of the largest; n >= 1. */
size_t hn_arg_max(const double *x, size_t n);

/* Mean of -ln p(truth), each p first raised to `floor` (0: as it is; the result may be infinite). */
double hn_log_loss(const double *p, const int32_t *truth, size_t n, size_t n_classes, double floor);
/* Mean over cases of the sum over classes of (p - y)^2: 0 to 2 (Brier 1950). */
double hn_brier(const double *p, const int32_t *truth, size_t n, size_t n_classes);

/* Calibration: confidence = largest p, right where its first place is the truth; `n_bins` equal-width bins (low, high]
 * (Naeini, Cooper and Hauskrecht 2015). Each bin holds its count and the means (NaN where empty); n_bins at most
 * 1,000,000. */
typedef struct hn_calibration_bin {
    uint64_t count;
    double mean_confidence, accuracy;
} hn_calibration_bin;
typedef struct hn_calibration {
    double ece, mce; /* gap between accuracy and confidence: weighted mean, and the largest */
} hn_calibration;
hn_calibration hn_calibration_measure(const double *p, const int32_t *truth, size_t n, size_t n_classes, size_t n_bins,
                                      hn_calibration_bin *bins);
/* The same with groups of equal count: sorted by confidence (ties in order of cases), the first n mod n_bins groups one
 * larger. */
hn_status hn_calibration_adaptive(const double *p, const int32_t *truth, size_t n, size_t n_classes, size_t n_bins,
                                  double *ece, hn_error *err) HN_MUST_CHECK;

#endif
