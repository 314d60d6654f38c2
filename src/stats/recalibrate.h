/* Recalibration: probabilities that say too much or too little, corrected from cases whose truth is known.
 *
 *     hn_temperature t = hn_temperature_fit(log_scores, truth, n, n_classes);
 *     if (!isnan(t.temperature)) hn_temperature_apply(log_scores, n_classes, t.temperature, probabilities);
 *     HN_TRY(hn_isotonic_fit(confidence, right, NULL, n, &curve, err));        // right: 0 or 1 each
 *     double honest = hn_isotonic_at(&curve, 0.93);
 *     hn_isotonic_free(&curve);
 *
 * Fit on cases that the probabilities were not made from (dev, not train), and judge on others again.
 * Ownership: a curve owns its two arrays. Threading: pure functions; a fitted curve is read-only. */
#ifndef HN_STATS_RECALIBRATE_H
#define HN_STATS_RECALIBRATE_H

#include "base/status.h"

#include <stdint.h>

/* One number for all labels: p = softmax(log_scores / T) (Guo, Pleiss, Sun and Weinberger 2017). T > 1: the scores were
 * too sure. T minimises the mean of -ln p(truth), which is convex in 1/T; losses are in nats a case. */
typedef struct hn_temperature {
    double
        temperature; /* NaN: no finite positive optimum (all right: T -> 0; worse than chance: T -> inf), or no fit */
    double loss_before, loss_after; /* at T = 1 and at the optimum; NaN without cases or optimum */
} hn_temperature;

/* `log_scores`: (n, n_classes), need not be normalised; -inf: a label that cannot be. truth: labels 0 .. n_classes - 1.
 * No fit where n is 0, a truth is out of range or impossible, or a score is NaN or +inf. No memory is taken. */
hn_temperature hn_temperature_fit(const double *log_scores, const int32_t *truth, size_t n, size_t n_classes);
/* `probabilities` (n_classes) of one case; may be `log_scores`. temperature > 0. */
void hn_temperature_apply(const double *log_scores, size_t n_classes, double temperature, double *probabilities);

/* The rising curve nearest to the points in least squares (Ayer et al. 1955: pool adjacent violators), linear between
 * its knots, level outside them. Cases of equal x are merged first (weighted mean of y). */
typedef struct hn_isotonic {
    double *x, *y; /* n_knots, x rising, y not falling; the inner points of level stretches are dropped */
    size_t n_knots;
} hn_isotonic;

/* `weights` NULL: all 1; cases of weight 0 do not count. Errors: HN_ERR_INPUT for a number that is not finite or a
 * negative weight (its index is named), HN_ERR_MEMORY. */
hn_status hn_isotonic_fit(const double *x, const double *y, const double *weights, size_t n, hn_isotonic *out,
                          hn_error *err) HN_MUST_CHECK;
double hn_isotonic_at(const hn_isotonic *curve, double x); /* NaN for an empty curve or x NaN */
void hn_isotonic_free(hn_isotonic *curve);

#endif
