/* One run with everything about it: its answers, its report, its prompt as it was, and the cases worth reading.
 *
 *     hn_run_detail d;
 *     HN_TRY(hn_run_detail_load(store, "r7", scope, &d, &err));
 *     for (size_t i = 0; i < d.n_wrong; i++) puts(d.wrong[i]->case_id);    // the most certain mistakes first
 *     hn_run_detail_free(&d);
 *
 * Ownership: the detail owns all; `wrong` and the others point into its predictions. Threading: one thread. */
#ifndef HN_LIFECYCLE_RUN_DETAIL_H
#define HN_LIFECYCLE_RUN_DETAIL_H

#include "lifecycle/eval/run_report.h"
#include "project/project.h"

enum { HN_DETAIL_SAMPLE = 3 };

typedef struct hn_run_detail {
    hn_run *run;
    hn_prediction_list list;
    hn_report report;
    json_t *summary;     /* NULL: not finished */
    const char **labels; /* (n_labels) as the run had them */
    size_t n_labels;
    json_t *labels_json;
    char *prompt_text; /* the file as it was, or NULL where it is not kept */
    const hn_prediction *wrong[HN_DETAIL_SAMPLE], *unsure[HN_DETAIL_SAMPLE], *slow[HN_DETAIL_SAMPLE];
    size_t n_wrong, n_unsure, n_slow; /* most certain mistakes; closest calls; longest to compute */
} hn_run_detail;

hn_status hn_run_detail_load(hn_store *store, const char *name, const hn_scope *scope, hn_run_detail *out,
                             hn_error *err) HN_MUST_CHECK;
void hn_run_detail_free(hn_run_detail *d);
/* The probability of the answer given; NaN where it has none (generated). */
double hn_run_detail_confidence(const hn_prediction *p);
/* Everything as JSON; `predictions`: each answer too. */
hn_status hn_run_detail_json(const hn_run_detail *d, bool predictions, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
