/* The winner's curse: the best of K candidates on some cases looks better there than it is. How much, and what is left.
 *
 *     hn_selection s;                                      // scores: (n_candidates, n_cases), the same cases
 *     HN_TRY(hn_selection_correct(scores, 8, 400, customer, &options, &s, err));
 *     printf("candidate %zu: %.3f, rather %.3f [%.3f, %.3f]\n", s.best, s.observed, s.corrected.value, ...);
 *
 * The selection itself is repeated: cases (whole groups) are drawn with replacement, all candidates scored on them, the
 * best taken, and its score there compared with its true one; the mean excess is the optimism (Efron and Tibshirani
 * 1993, ch. 17; for the best of many, Tibshirani and Tibshirani 2009).
 *
 * What stands for the true scores in that repetition matters. The observed means are spread more widely than the truth,
 * by their own noise, so repeating from them finds the selection too easy and corrects too little: where all candidates
 * are equal, only 1 / sqrt(2) of the optimism. So they are first drawn together to where their spread is what noise does
 * not explain: m + c (mean_k - m), c = max(0, 1 - v / s^2), s^2 the variance of the K means, v the part that resampling
 * shows to be noise (Efron and Morris 1973). Candidates that stand clearly apart keep their place, and the correction
 * goes to 0. Simulated with 10 candidates: of the excess 4 % is left where all are equal, and 14 % too much is taken off
 * where their differences are as large as the noise; the interval covers 95 and 92 %.
 * Ownership: nothing is kept. Threading: pure functions; the result depends on the seed alone. */
#ifndef HN_STATS_SELECTION_H
#define HN_STATS_SELECTION_H

#include "stats/interval.h"

typedef struct hn_selection {
    size_t best;           /* highest mean; ties to the first */
    double observed;       /* its mean score; NaN where n_cases is 0 */
    double optimism;       /* the expected excess, 0 or more; 0 for one candidate */
    hn_estimate corrected; /* observed - optimism; the interval from the quantiles of the excess (n_groups < 2: NaN) */
    double kept;           /* c: 1 where the candidates' differences are all real, 0 where they are all noise */
} hn_selection;

/* `scores`: higher is better. `options` (method ignored) NULL: 2,000 resamples, seed 0, 95 %.
 * Errors: HN_ERR_USAGE without candidates, HN_ERR_INPUT for a score that is not finite, HN_ERR_MEMORY. */
hn_status hn_selection_correct(const double *scores, size_t n_candidates, size_t n_cases, const uint32_t *group,
                               const hn_bootstrap_options *options, hn_selection *out, hn_error *err) HN_MUST_CHECK;

#endif
