/* What the two files of the diff share; see run_diff.h. Not for use outside.
 *
 *     HN_TRY(hn_run_diff_cases(setup, &pair, diff, err));   // adds "data", "length", "answers"
 *
 * Ownership: the pair's runs are freed by hn_run_diff. Threading: one thread. */
#ifndef HN_LIFECYCLE_RUN_DIFF_PARTS_H
#define HN_LIFECYCLE_RUN_DIFF_PARTS_H

#include "lifecycle/iterate/run_diff.h"

typedef struct hn_diff_runs_pair {
    hn_store *store;
    hn_run *run_a, *run_b;
} hn_diff_runs_pair;

hn_status hn_run_diff_cases(const hn_diff_setup *setup, const hn_diff_runs_pair *pair, json_t *diff,
                            hn_error *err) HN_MUST_CHECK;

#endif
