/* Looking while it runs: B against A on the cases answered so far, after every so many cases, with a p that stays valid however often it
 * is looked at.
 *
 *     hn_repeated_looks s;
 *     HN_TRY(hn_repeated_looks_judge(a, b, groups, n_answered, 50, 0.05, &s, &err));
 *     if (s.kind != HN_VERDICT_CANNOT_TELL) printf("decided after %zu cases, p = %.3g", s.n_used, s.p);
 *
 * The cases come in the run's fixed order, which does not depend on the answers. The test is the betting test of stats/sequential.h on the
 * cases that exactly one side gets right; of related cases (a group) the first such case counts: under "no difference" its side is a fair
 * coin, and coins of different groups are independent. Looks are at every `every`-th case and at the last.
 * Ownership: a plain value. Threading: pure. */
#ifndef HN_LIFECYCLE_REPEATED_LOOKS_H
#define HN_LIFECYCLE_REPEATED_LOOKS_H

#include "stats/interval.h"
#include "stats/verdict.h"

enum { HN_REPEATED_LOOKS_EVERY = 50 };

typedef struct hn_repeated_looks {
    hn_verdict_kind kind; /* BETTER, WORSE or CANNOT_TELL, of B */
    double p;             /* anytime-valid */
    size_t n_used;        /* cases at the deciding look, or all */
    size_t n_looks;
    int64_t only_a, only_b; /* at that look; one of a group */
    hn_estimate share;      /* B's of those, with an interval that holds at all looks at once; NaN without any */
} hn_repeated_looks;

/* `a`, `b` (n): 1 where that side is right; `groups` (n) or NULL. It stops at the first look with p <= alpha. HN_ERR_MEMORY. */
hn_status hn_repeated_looks_judge(const double *a, const double *b, const uint32_t *groups, size_t n, size_t every,
                                  double alpha, hn_repeated_looks *out, hn_error *err) HN_MUST_CHECK;

#endif
