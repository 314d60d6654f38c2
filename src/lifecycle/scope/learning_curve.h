/* Learning curves: how much better a rung that learns gets with more labelled cases, measured on subsets of the train split, and what the
 * next hundred labels should bring.
 *
 *     size_t sizes[HN_CURVE_SIZES];
 *     size_t n = hn_curve_sizes(450, 8, sizes);                          // 15, 29, 57, 113, 225, 450
 *     HN_TRY(hn_curve_order(labels, 450, 8, seed, order, &err));         // its first m are a stratified subset
 *     HN_TRY(hn_curve_build(&measured, &options, &curve, &err));
 *     printf("100 more labels: %+.1f points [%.1f, %.1f]", 100 * curve.gain.value, ...);
 *
 * The error is fitted by a power law with a floor, e(n) = a + b n^-c with a, b >= 0 (Hestness et al. 2017; Viering and Loog 2021), by least
 * squares weighted with n^2: a rung that has hardly begun to learn follows no such law yet, and what lies near says most of what comes
 * next. c is searched over 0.05 to 2. The interval of the gain is a bootstrap of dev cases
 * (whole groups) and draws: each resample is fitted anew, and from another size on, of which three are left at least. The law only ever falls, so a gain is never below 0: an interval that
 * reaches 0 says that nothing is certain. It says nothing of cases unlike those at hand.
 * Ownership: a curve is a plain value. Threading: pure functions, results depend on the seed alone. */
#ifndef HN_LIFECYCLE_LEARNING_CURVE_H
#define HN_LIFECYCLE_LEARNING_CURVE_H

#include "stats/interval.h"

#include <stdbool.h>

enum { HN_CURVE_SIZES = 6, HN_CURVE_DRAWS = 4, HN_CURVE_MORE = 100 };

/* Halves of n down to a size that can hold two cases a label (or 10), smallest first, at most HN_CURVE_SIZES. Fewer than 3: too little data
 * for a curve. */
size_t hn_curve_sizes(size_t n, size_t n_labels, size_t sizes[HN_CURVE_SIZES]);
/* `order` (n): 0 .. n-1 so that each beginning has the labels in their shares, as far as whole cases allow. HN_ERR_MEMORY. */
hn_status hn_curve_order(const int32_t *labels, size_t n, size_t n_labels, uint64_t seed, uint32_t *order,
                         hn_error *err) HN_MUST_CHECK;

typedef struct hn_power_law {
    double floor, scale, exponent; /* e(n) = floor + scale n^-exponent */
} hn_power_law;
/* Fits errors (n_points) at sizes (n_points) with weights (n_points; NULL: all 1). */
hn_power_law hn_power_law_fit(const double *sizes, const double *errors, const double *weights, size_t n_points);
double hn_power_law_at(hn_power_law law, double n);

/* Rows of right answers: row r was learnt from sizes[r] cases; several rows of one size are draws. */
typedef struct hn_curve_measured {
    const size_t *sizes;        /* (n_rows) rising */
    const unsigned char *right; /* (n_rows, n_cases) */
    size_t n_rows, n_cases;
    const uint32_t *groups; /* (n_cases) ids; NULL: none are related */
} hn_curve_measured;

typedef struct hn_curve_point {
    size_t n, n_draws;
    double accuracy, low, high; /* mean of the draws; bootstrap interval */
} hn_curve_point;

typedef struct hn_curve {
    char name[120];
    hn_curve_point points[HN_CURVE_SIZES];
    size_t n_points;
    hn_power_law law;
    size_t n_more;               /* HN_CURVE_MORE */
    hn_estimate gain;            /* of n_more labels beyond the largest size: accuracy, 0.01 is a point */
    double labels_for_target;    /* labels in all at which the law reaches the target; NaN: none is set; inf: never */
    hn_interval labels_interval; /* of that; inf where resamples never reach it */
} hn_curve;

typedef struct hn_curve_options {
    double target;        /* accuracy; NaN: none */
    uint32_t n_resamples; /* 0: 500 */
    uint64_t seed;
} hn_curve_options;

/* HN_ERR_MEMORY; HN_ERR_INPUT without rows or cases, or with more than HN_CURVE_SIZES sizes. */
hn_status hn_curve_build(const hn_curve_measured *measured, const hn_curve_options *options, hn_curve *out,
                         hn_error *err) HN_MUST_CHECK;

#endif
