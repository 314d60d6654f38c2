/* Agreement: of people or judges who rate the same cases, and of repeated answers to one case.
 *
 *     int32_t ratings[2 * 5] = {0, 1, 1, 0, 2,   0, 1, 0, 0, 2};          // (n_raters, n_units)
 *     HN_TRY(hn_agreement_alpha(ratings, 2, 5, 3, NULL, NULL, &alpha, err));   // 0.71, with a 95 % interval
 *     HN_TRY(hn_agreement_kappa(human, judge, n, n_values, customer, &options, &kappa, err));
 *     double p = hn_pass_at_k(10, 3, 5);                                  // 3 of 10 right: chance that 5 hold a right one
 *
 * Ratings are 0 .. n_values - 1, a negative one is missing. `group`: (n_units) ids of related units, or NULL.
 * Intervals: BCa bootstrap over units (groups), by `options` (NULL: 2,000 resamples, seed 0, 95 %).
 * Ownership: nothing is kept. Threading: pure functions. */
#ifndef HN_STATS_AGREEMENT_H
#define HN_STATS_AGREEMENT_H

#include "stats/interval.h"

/* Krippendorff's alpha for nominal ratings (Krippendorff 2004, ch. 11): 1 - observed / expected disagreement. Units with
 * fewer than two ratings do not count. NaN where fewer than two different values are left. 1: perfect, 0: by chance.
 * Errors: HN_ERR_INPUT for a rating of n_values or more, HN_ERR_LIMIT past 2^31 units, HN_ERR_MEMORY. */
hn_status hn_agreement_alpha(const int32_t *ratings, size_t n_raters, size_t n_units, size_t n_values,
                             const uint32_t *group, const hn_bootstrap_options *options, hn_estimate *out,
                             hn_error *err) HN_MUST_CHECK;
/* Cohen's kappa of two raters (Cohen 1960). Units that one of them left out do not count. NaN where both always say the
 * same one thing. Errors: as above. */
hn_status hn_agreement_kappa(const int32_t *a, const int32_t *b, size_t n_units, size_t n_values, const uint32_t *group,
                             const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) HN_MUST_CHECK;

/* The chance that k answers, drawn without replacement from n of which n_right are right, hold a right one:
 * 1 - C(n - n_right, k) / C(n, k), unbiased for k fresh answers (Chen et al. 2021). NaN where k is 0 or more than n. */
double hn_pass_at_k(size_t n, size_t n_right, size_t k);
/* Its mean over cases with n[i] answers each, with interval. NaN where a case has fewer than k. */
hn_status hn_pass_at_k_mean(const size_t *n, const size_t *n_right, size_t n_cases, size_t k, const uint32_t *group,
                            const hn_bootstrap_options *options, hn_estimate *out, hn_error *err) HN_MUST_CHECK;

/* Repeated answers to one case, as ids; a negative one (no valid answer) agrees with nothing. O(n^2). */
typedef struct hn_repeat_agreement {
    double pairs;          /* share of pairs of answers that are equal: an unbiased estimate; NaN where n < 2 */
    double majority_share; /* of the most frequent answer; NaN where n is 0 */
    int32_t majority;      /* the answer most given, ties to the first; -1: none is valid */
    size_t n_distinct;     /* different valid answers */
} hn_repeat_agreement;
hn_repeat_agreement hn_agreement_repeats(const int32_t *answers, size_t n);

#endif
