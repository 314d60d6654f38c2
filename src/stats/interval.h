/* Intervals: how far a number measured on n cases may be from the truth. 95 % means alpha = 0.05, two-sided.
 *
 *     hn_interval i = hn_interval_wilson(413, 500, 0.05);              // accuracy of 413 right answers of 500
 *     hn_interval_proportion(correct, group, n, 0.05, &i, &err);       // the same, cases of a group counted as related
 *     hn_bootstrap_options o = {.seed = 7, .method = HN_BOOTSTRAP_BCA};
 *     hn_bootstrap(macro_f1_of, &run, n, group, &o, &estimate, &err);  // any statistic
 *
 * An undefined limit (no cases) is NaN. `group` arrays hold any ids, equal for related cases; NULL: every case for
 * itself. Ownership: nothing is kept. Threading: pure functions; bootstrap results depend on the seed alone. */
#ifndef HN_STATS_INTERVAL_H
#define HN_STATS_INTERVAL_H

#include "base/status.h"

#include <stdint.h>

typedef struct hn_interval {
    double low, high;
} hn_interval;

typedef struct hn_estimate {
    double value, low, high;
} hn_estimate;

/* The score interval of k of n without continuity correction, within [0, 1] (Wilson 1927). */
hn_interval hn_interval_wilson(int64_t k, int64_t n, double alpha);
/* The same for a share of an effective number of cases that need not be whole. */
hn_interval hn_interval_wilson_share(double share, double n, double alpha);
/* The exact interval from beta quantiles (Clopper and Pearson 1934): never covers less than promised. */
hn_interval hn_interval_clopper_pearson(int64_t k, int64_t n, double alpha);
/* Of the difference p2 - p1 of two independent proportions: Newcombe 1998, method 10 (Wilson limits combined). */
hn_interval hn_interval_newcombe(int64_t k1, int64_t n1, int64_t k2, int64_t n2, double alpha);

/* A mean with the standard error that allows for related cases: cr0 = sqrt(sum over groups of (sum of residuals)^2) /
 * n, cr1 = cr0 sqrt(G / (G - 1)) (Liang and Zeger 1986), interval by Student's t with G - 1 degrees of freedom. NaN
 * where undefined: fewer than 2 groups (2 cases for se_naive). */
typedef struct hn_clustered_mean {
    double mean, se_naive, se_cr0, se_cr1;
    hn_interval interval;
    size_t n_groups;
} hn_clustered_mean;
hn_status hn_interval_clustered_mean(const double *values, const uint32_t *group, size_t n, double alpha,
                                     hn_clustered_mean *out, hn_error *err) HN_MUST_CHECK;

/* A proportion over n cases, `correct` being 0 or 1 each. Without related cases: Wilson. With them: Wilson for the
 * effective number of cases n / deff * (t(n-1) / t(G-1))^2, where deff >= 1 is the clustered variance over the naive
 * one (Kish 1965; Korn and Graubard 1998; Wilson in their place of Clopper-Pearson as Dean and Pagano 2015 found best).
 * All right or all wrong: deff cannot be seen, and each group counts as one case. One group: [0, 1]. */
hn_status hn_interval_proportion(const unsigned char *correct, const uint32_t *group, size_t n, double alpha,
                                 hn_interval *out, hn_error *err) HN_MUST_CHECK;

/* A statistic of the cases whose indices are listed (an index may come several times). NaN: undefined there. */
typedef double (*hn_statistic_fn)(const uint32_t *cases, size_t n, void *user);

typedef enum hn_bootstrap_method {
    HN_BOOTSTRAP_BCA, /* bias-corrected and accelerated (Efron 1987), acceleration by the jackknife over groups */
    HN_BOOTSTRAP_PERCENTILE, /* plain quantiles of the resampled values */
} hn_bootstrap_method;

typedef struct hn_bootstrap_options {
    uint32_t n_resamples; /* 0: 2000 */
    uint64_t seed;
    double alpha; /* 0: 0.05 */
    hn_bootstrap_method method;
} hn_bootstrap_options;

/* Value and interval of a statistic. Whole groups are drawn with replacement, as many as there are. Resamples where the
 * statistic is NaN are left out; where more than half are, or n is 0, the limits are NaN. A statistic that no resample
 * changes (no error at all) gets an interval of width 0: show the proportion's interval beside it. `options` NULL: the
 * defaults. */
hn_status hn_bootstrap(hn_statistic_fn statistic, void *user, size_t n, const uint32_t *group,
                       const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) HN_MUST_CHECK;

#endif
