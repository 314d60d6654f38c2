/* Paired comparisons: two systems, A and B, answered the same cases. Every difference is B minus A.
 *
 *     hn_mcnemar_result m = hn_mcnemar(only_a_right, only_b_right);     // m.exact_p
 *     hn_interval i = hn_paired_proportion_interval(only_a_right, only_b_right, n, 0.05);
 *     hn_sign_flip_options o = {.seed = 7};
 *     HN_TRY(hn_sign_flip(differences, group, n, &o, &result, err));    // any score, related cases
 *
 * In each pair of test and interval, p <= alpha exactly when the interval excludes 0.
 * Ownership: nothing is kept. Threading: pure functions; Monte Carlo results depend on the seed alone. */
#ifndef HN_STATS_PAIRED_H
#define HN_STATS_PAIRED_H

#include "stats/interval.h"

#include <stdbool.h>

/* McNemar's test of b against c discordant pairs. exact_p = min(1, 2 P(X <= min(b, c))), X ~ Binomial(b + c, 1/2);
 * mid_p = min(1, 2 P(X < m) + P(X = m)) (Fagerland, Lydersen and Laake 2013); chi2 = (b - c)^2 / (b + c), chi2_cc with
 * (|b - c| - 1)^2. Without discordant pairs: both exact p are 1, the chi2 fields NaN. Symmetric in b and c. */
typedef struct hn_mcnemar_result {
    double exact_p, mid_p, chi2, chi2_p, chi2_cc, chi2_cc_p;
} hn_mcnemar_result;
hn_mcnemar_result hn_mcnemar(int64_t b, int64_t c);

/* The interval of the difference delta = (only_b - only_a) / n that goes with exact McNemar. NaN where n is 0.
 * delta is a product: psi, the share of discordant cases, times theta = 2 p - 1, p being B's share of those. p's limits
 * are Clopper-Pearson, of which exact McNemar is the test at p = 1/2; psi's limits are Clopper-Pearson too. They are
 * joined as the variance of a product is (Goodman 1960):
 *     low = delta - sqrt(psi^2 (theta - theta_low)^2 + theta^2 e^2 + (theta - theta_low)^2 f^2)
 * where e and f are the distances from psi to that limit of psi which lowers the product; and never below the product
 * of the two limits, theta_low times psi's limit. That has theta_low's sign, so the interval excludes 0 exactly where p
 * <= alpha. high = -low with A and B exchanged. Why not (2 p_limit - 1) (b + c) / n: that takes the discordance as
 * known. Where only one side ever wins, its upper limit is the estimate itself, too low half of the time, and without
 * discordant cases it is [0, 0] even for n = 1. Summed over all tables of 10 to 200 cases, it covers as little as 5 to
 * 70 % there; this one at least 95.8 %, at all truths tried. */
hn_interval hn_paired_proportion_interval(int64_t only_a, int64_t only_b, int64_t n, double alpha);

typedef struct hn_sign_flip_options {
    uint32_t n_draws; /* 0: 9999; used past 14 groups, below that all 2^G sign patterns are gone through */
    uint64_t seed;
    double alpha; /* 0: 0.05 */
    double range; /* the largest |difference| a case can have; 0: 1. Bounds what too few groups cannot */
} hn_sign_flip_options;

typedef struct hn_sign_flip_result {
    double mean; /* of the n differences; NaN where n is 0, as p then is */
    double p;    /* two-sided */
    hn_interval interval;
    size_t n_groups, n_positive, n_negative; /* groups, and those whose differences sum above and below 0 */
    bool exact;                              /* all sign patterns were gone through */
} hn_sign_flip_result;

/* The sign-flip permutation test of paired differences over groups, and its interval by test inversion.
 * Under "no difference" each group's sum may as well have had the other sign (Fisher 1935). p = the share of sign
 * patterns whose |mean| reaches the observed one, itself included; with drawn patterns (1 + count) / (1 + draws) per
 * tail, doubled. Inverting the test for a shift d: a pattern that flips the set S of groups is as extreme exactly where
 * S's own mean difference is <= d, so the limits are order statistics of the means of sets of groups (Hartigan 1969;
 * Tritchler 1984). Fewer than 6 differing groups can never reach p <= 0.05 and hardly bound the difference: there the
 * interval is widened to hold hn_paired_proportion_interval of the groups' signs, times range. Fewer than 6 groups at
 * all: -range to range.
 * Errors: HN_ERR_MEMORY, HN_ERR_LIMIT past 2^31 cases. */
hn_status hn_sign_flip(const double *differences, const uint32_t *group, size_t n, const hn_sign_flip_options *options,
                       hn_sign_flip_result *out, hn_error *err) HN_MUST_CHECK;

/* The sign test: zeros dropped, exact binomial, 1 where nothing is left. */
double hn_sign_test(const double *differences, size_t n);

#endif
