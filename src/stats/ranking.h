/* Ranking: how well a score puts the positive cases before the negative ones.
 *
 *     hn_ranking r;
 *     HN_TRY(hn_ranking_measure(score, positive, n, &r, err));            // positive: 0 or 1 each
 *     printf("ROC AUC %.3f, average precision %.3f\n", r.roc_auc, r.average_precision);
 *
 * Higher scores mean more positive. Cases of equal score form one step of every curve.
 * Ownership: nothing is kept. Threading: pure functions. */
#ifndef HN_STATS_RANKING_H
#define HN_STATS_RANKING_H

#include "base/status.h"

#include <stdint.h>

/* roc_auc: (pairs in the right order + ties / 2) / all pairs of a positive and a negative (Hanley and McNeil 1982).
 * average_precision: sum over steps of (R_k - R_(k-1)) P_k. pr_auc: trapezoids under the same points, (recall 0,
 * precision 1) put in front: too high where steps are far apart (Davis and Goadrich 2006), so prefer the former.
 * NaN where undefined: roc_auc without both kinds, the others without positives. */
typedef struct hn_ranking {
    double roc_auc, average_precision, pr_auc;
    size_t n_positive, n_negative;
} hn_ranking;

/* Errors: HN_ERR_INPUT for a score that is NaN (its index is named), HN_ERR_MEMORY. */
hn_status hn_ranking_measure(const double *scores, const unsigned char *positive, size_t n, hn_ranking *out,
                             hn_error *err) HN_MUST_CHECK;

#endif
