/* Accuracy and macro F1 of a run, each with its 95 % interval, related cases allowed for: what an evaluation prints.
 *
 *     hn_estimate accuracy, f1;
 *     HN_TRY(hn_estimate_accuracy(truth, predicted, n, customer, &accuracy, err));
 *     HN_TRY(hn_estimate_macro_f1(truth, predicted, n, n_classes, false, customer, seed, &f1, err));
 *
 * `predicted` may hold HN_NO_LABEL, which is wrong. `group`: ids or NULL. No cases: all NaN.
 * Threading: pure functions. */
#ifndef HN_STATS_ESTIMATE_H
#define HN_STATS_ESTIMATE_H

#include "stats/interval.h"

#include <stdbool.h>

enum { HN_BLOCKS_FROM = 20000 };

/* hn_interval_proportion of the right answers. HN_ERR_MEMORY. */
hn_status hn_estimate_accuracy(const int32_t *truth, const int32_t *predicted, size_t n, const uint32_t *group,
                               hn_estimate *out, hn_error *err) HN_MUST_CHECK;

/* BCa bootstrap of macro F1, over all classes or those that occur (as hn_confusion_macro_f1; in a resample: that occur
 * there). Past HN_BLOCKS_FROM groups (without groups: cases) these are dealt at random into 2,000 blocks, and whole blocks are drawn: the work no longer
 * grows with the square of their number, and the interval is the same but for about 2 % of its width.
 * Errors: HN_ERR_INPUT for a label out of range, HN_ERR_MEMORY. */
hn_status hn_estimate_macro_f1(const int32_t *truth, const int32_t *predicted, size_t n, size_t n_classes,
                               bool all_classes, const uint32_t *group, uint64_t seed, hn_estimate *out,
                               hn_error *err) HN_MUST_CHECK;

#endif
