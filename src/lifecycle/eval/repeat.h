/* Repetitions of one evaluation: how much sampled answers differ from one time to the next, and what several tries together reach.
 *
 *     hn_spread s;
 *     HN_TRY(hn_spread_measure(lists, n_repeats, &s, &err));        // lists[k]: the k-th repetition's predictions, the same cases in order
 *     printf("%.1f to %.1f %%, any of %zu right: %.1f %%", 100 * s.lowest, 100 * s.highest, s.n_repeats, 100 * s.pass[s.n_pass - 1].value.value);
 *
 * Intervals: BCa bootstrap over cases, whole groups where cases are related; the repetitions of one case stay together, so they never
 * pass for more cases. pass@k: the chance that k fresh answers hold a right one, unbiased from n >= k answers (stats/agreement.h).
 * Ownership: a plain value. Threading: pure. */
#ifndef HN_LIFECYCLE_REPEAT_H
#define HN_LIFECYCLE_REPEAT_H

#include "lifecycle/eval/run_report.h"

enum { HN_SPREAD_PASS_MAX = 12 };

typedef struct hn_pass {
    size_t k;
    hn_estimate value;
} hn_pass;

typedef struct hn_spread {
    size_t n_repeats, n_cases;
    hn_estimate accuracy;             /* the mean over repetitions: of one answer, whichever */
    double lowest, highest;           /* of the repetitions' accuracies */
    double deviation;                 /* their standard deviation; NaN for one repetition */
    hn_pass pass[HN_SPREAD_PASS_MAX]; /* (n_pass) k = 1, 2, 4, ... and n_repeats, rising */
    size_t n_pass;
    hn_estimate agreement; /* the chance that two repetitions give the same valid answer to a case; NaN for one */
    hn_estimate majority;  /* accuracy of the answer most given, ties to the first */
    size_t n_unanimous;    /* cases with the same valid answer each time */
} hn_spread;

/* HN_ERR_INPUT where the lists are not of the same cases. */
hn_status hn_spread_measure(const hn_prediction_list *const *lists, size_t n_repeats, hn_spread *out,
                            hn_error *err) HN_MUST_CHECK;
/* {"repeats","accuracy":{...},"lowest","highest","deviation","pass":[{"k","value":{...}}],"agreement":{...},"majority":{...},"unanimous"} */
hn_status hn_spread_json(const hn_spread *s, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
