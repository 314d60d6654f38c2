/* Several comparisons at once: p-values adjusted so that the family keeps its error rate.
 *
 *     hn_holm(p, n, adjusted, err);                        // reject where adjusted[i] <= 0.05
 *
 * Threading: pure functions. */
#ifndef HN_STATS_MULTIPLE_H
#define HN_STATS_MULTIPLE_H

#include "base/status.h"

/* `adjusted` (n), in the order of `p`; the two may be the same array. Holm 1979 bounds the chance of any false alarm;
 * Benjamini and Hochberg 1995 the share of false ones among the alarms. Error: HN_ERR_MEMORY. */
hn_status hn_holm(const double *p, size_t n, double *adjusted, hn_error *err) HN_MUST_CHECK;
hn_status hn_benjamini_hochberg(const double *p, size_t n, double *adjusted, hn_error *err) HN_MUST_CHECK;

#endif
