/* Prediction-powered estimates: few labels by people, many by a judge (a model), joined into one honest interval.
 *
 *     hn_ppi_data d = {.human = h, .judge = j, .n = 60, .judge_rest = more, .n_rest = 2000};
 *     hn_ppi_estimate e;
 *     HN_TRY(hn_ppi_mean(&d, NULL, &e, err));
 *     printf("%.3f [%.3f, %.3f], worth %.0f human labels\n", e.mean.value, e.mean.low, e.mean.high, e.worth);
 *
 * The judge's mean over the other cases, corrected by its mean error where both are known:
 *     mean = w mean(judge_rest) + mean(human - w judge)
 * w = 1 is Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023 (Science 382); the default w is the one with the least
 * variance (Angelopoulos, Duchi and Zrnic 2023, "PPI++"), cov(human, judge) / (var(judge) (1 + n / n_rest)) held within
 * 0 .. 1, so a useless judge does no harm. The judge may be biased; what must hold is that the human-labelled cases were
 * drawn at random from the same cases as the rest. Ownership: nothing is kept. Threading: pure functions. */
#ifndef HN_STATS_PREDICTION_POWERED_H
#define HN_STATS_PREDICTION_POWERED_H

#include "stats/interval.h"

#include <stdbool.h>

typedef struct hn_ppi_data {
    const double *human, *judge; /* (n) of the same cases */
    const double *judge_rest;    /* (n_rest) of other cases, without human label */
    size_t n, n_rest;
    const uint32_t *group, *group_rest; /* ids of related cases, or NULL; no group in both parts */
} hn_ppi_data;

typedef struct hn_ppi_options {
    double alpha;       /* 0: 0.05 */
    bool plain;         /* w = 1 instead of the tuned one */
    double error_range; /* largest minus smallest possible human - judge; 0: 2, as scores within 0 .. 1 have */
} hn_ppi_options;

typedef struct hn_ppi_estimate {
    hn_estimate mean;       /* NaN limits where fewer than 2 cases (groups) have human labels */
    hn_estimate human_only; /* from the n human labels alone: mean and t interval */
    double judge_only;      /* the judge's mean over all cases: what one must not report */
    double weight;          /* w */
    double worth;           /* human labels that would give the same variance; n where the judge does not help */
} hn_ppi_estimate;

/* Interval: t with Welch and Satterthwaite's degrees of freedom from the two parts' clustered variances (interval.h).
 * Where all errors human - w judge are equal, the variance is 0 and says nothing: another value may still have a share
 * of 1 - alpha^(1/n), and the interval is widened by that times error_range to both sides.
 * `options` NULL: the defaults. Errors: HN_ERR_INPUT for a number that is not finite, HN_ERR_MEMORY. */
hn_status hn_ppi_mean(const hn_ppi_data *data, const hn_ppi_options *options, hn_ppi_estimate *out,
                      hn_error *err) HN_MUST_CHECK;
/* Of the mean difference B minus A on the same cases: hn_ppi_mean of the differences; the groups are a's; error_range
 * is of differences, 0: 4. Errors: also HN_ERR_USAGE where a and b differ in n or n_rest. */
hn_status hn_ppi_difference(const hn_ppi_data *a, const hn_ppi_data *b, const hn_ppi_options *options,
                            hn_ppi_estimate *out, hn_error *err) HN_MUST_CHECK;

#endif
