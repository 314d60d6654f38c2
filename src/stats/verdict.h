/* The verdict of B against A: better, worse, equivalent, or cannot tell yet, from paired scores on the same cases.
 *
 *     hn_verdict_options o = {.smallest_difference = 0.02, .seed = 7};
 *     hn_verdict v;
 *     HN_TRY(hn_verdict_judge(a_right, b_right, customer, n, &o, &v, err));
 *     printf("%s: %+.3f, p = %.3g\n", hn_verdict_name(v.kind), v.difference.value, v.p);
 *
 * All differences are B minus A. The rule:
 *   better       the 95 % interval lies above 0, and p <= 0.05
 *   worse        it lies below 0, and p <= 0.05
 *   equivalent   it holds 0, p > 0.05, and the whole of it lies within +- smallest_difference
 *                (two one-sided tests at 2.5 %, stricter than the customary 5 %: Schuirmann 1987)
 *   cannot_tell  everything else, also where test and interval disagree
 * A difference that is certain but smaller than smallest_difference is still "better" or "worse"; `matters` says
 * whether the interval reaches smallest_difference at all.
 *
 * Test and interval come from one procedure each (paired.h has formulas and sources):
 *   scores all 0 or 1, each case its own group   "exact McNemar", with hn_paired_proportion_interval
 *   any group with several cases                 "sign-flip permutation over groups", interval by inversion
 *   other scores                                 "paired permutation": the same over cases
 *
 * Power, at 80 % and alpha, by Connor's formula (power.h), from the recorded discordance psi, the share of cases that
 * exactly one side gets right:
 *   cases_needed  the cases for a true difference of smallest_difference; psi at least smallest_difference, because less
 *                 cannot make it up
 *   detectable    the smallest true difference that n cases show; psi at least that difference, so without any
 *                 discordance about 7.8 / n
 * Other scores: the same from the root mean square of the differences. Related cases: n is divided by design_effect =
 * sum of squared group sums / sum of squared differences, at least 1 (Kish 1965), and cases_needed multiplied by it.
 *
 * Ownership: a verdict is a plain value. Threading: pure functions; Monte Carlo depends on the seed alone. */
#ifndef HN_STATS_VERDICT_H
#define HN_STATS_VERDICT_H

#include "stats/interval.h"

#include <stdbool.h>

typedef enum hn_verdict_kind {
    HN_VERDICT_CANNOT_TELL,
    HN_VERDICT_BETTER,
    HN_VERDICT_WORSE,
    HN_VERDICT_EQUIVALENT,
} hn_verdict_kind;

/* "cannot_tell", "better", "worse", "equivalent": as in JSON. */
const char *hn_verdict_name(hn_verdict_kind kind);

typedef struct hn_verdict_options {
    double smallest_difference; /* that matters, above 0; 0: none is set, "equivalent" is never said */
    double alpha;               /* 0: 0.05 */
    double power;               /* 0: 0.80 */
    uint64_t seed;
    uint32_t n_draws; /* of the permutation test; 0: 9999 */
    double range;     /* the largest |difference| of a case; 0: 1 */
} hn_verdict_options;

typedef struct hn_verdict {
    hn_verdict_kind kind;
    hn_estimate difference;  /* B minus A; value NaN where n is 0 */
    double p;                /* 1 where n is 0 */
    const char *test;        /* its name, as above; never freed */
    double value_a, value_b; /* the means; NaN where n is 0 */
    size_t n, n_groups;
    size_t only_a_right, only_b_right; /* cases where A's score is above B's, and the reverse */
    double smallest_difference;
    bool matters;         /* the interval reaches +- smallest_difference */
    double detectable;    /* NaN: n cases show no difference at all with that power */
    int64_t cases_needed; /* for smallest_difference; -1: none is set, or there are no cases to learn from */
    double design_effect; /* >= 1 */
} hn_verdict;

/* `a`, `b`: (n) scores, 0 or 1 for correctness; `group`: (n) ids or NULL; `options` NULL: the defaults.
 * Errors: HN_ERR_INPUT for a score that is not finite, or options out of range; HN_ERR_MEMORY. */
hn_status hn_verdict_judge(const double *a, const double *b, const uint32_t *group, size_t n,
                           const hn_verdict_options *options, hn_verdict *out, hn_error *err) HN_MUST_CHECK;

#endif
