/* Non-inferiority of B against A: how strong the evidence is that B is not worse by `margin` or more, from paired scores on the same cases.
 *
 *     double p;
 *     HN_TRY(hn_noninferiority_p(a_right, b_right, customer, n, 0.02, 7, &p, err));
 *     ... several candidates: hn_holm over their p, and shown where the adjusted one is at most 0.025 ...
 *
 * p is one-sided: half of the smallest alpha at which the (1 - alpha) interval of verdict.h lies above -margin. So p <= 0.025 exactly where the 95 %
 * interval does, and test and interval cannot disagree. Found by bisection, to three digits; never below 1e-6 (0 or 1 for each case, each its own group), or
 * 1e-4 where the interval is drawn at random. 1: the interval never lies above -margin.
 * Ownership: nothing is kept. Threading: pure functions; random intervals depend on the seed alone. */
#ifndef HN_STATS_NONINFERIOR_H
#define HN_STATS_NONINFERIOR_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

/* As hn_verdict_judge: (n) scores, `group` (n) or NULL. HN_ERR_INPUT: a margin that is not above 0, or no cases. */
hn_status hn_noninferiority_p(const double *a, const double *b, const uint32_t *group, size_t n, double margin,
                              uint64_t seed, double *p, hn_error *err) HN_MUST_CHECK;

#endif
