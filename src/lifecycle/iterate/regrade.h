/* Judging a run's answers again without calling the model: today's contract, targets and graders on the texts that are stored.
 *
 *     hn_regrade r;
 *     HN_TRY(hn_regrade_run(&grading, project, "r7", &r, &err));
 *     printf("r%lld: %zu answers are marked differently\n", (long long)r.run->id, r.n_changed);
 *     hn_regrade_free(&r);
 *
 * A new run of kind "regrade", linked to the old one in that role. Texts are read again by today's `output` (with the wordings of the prompt as it
 * was, where it can still be read; else the labels); answers by likelihood keep their label where it still is one. Targets and groups are
 * today's; cases that are no longer in the data are left out and counted. The same again hands out the same run. Regrading a regrade goes
 * back to the run with the answers. Ownership: the result owns its parts. Threading: one thread. */
#ifndef HN_LIFECYCLE_REGRADE_H
#define HN_LIFECYCLE_REGRADE_H

#include "lifecycle/eval/grade_run.h"
#include "lifecycle/eval/run_report.h"

typedef struct hn_regrade {
    hn_run *parent, *run;
    hn_run_start start;        /* DONE: it was there already */
    hn_prediction_list before; /* the parent's, of the cases that are left, in the same order as `after` */
    hn_prediction_list after;
    hn_report report_before, report;
    size_t n_changed; /* marks (right or wrong) that are different */
    size_t n_gone;    /* cases of the parent that the data no longer has */
    size_t n_targets; /* cases whose target is another one */
    const char **labels;
    size_t n_labels;
} hn_regrade;

/* `grading` has scope, dataset and store set. HN_ERR_INPUT: the run is not finished, or none of its cases is left. */
hn_status hn_regrade_run(const hn_grading *grading, const hn_project *project, const char *name, hn_regrade *out,
                         hn_error *err) HN_MUST_CHECK;
void hn_regrade_free(hn_regrade *r);
/* {"run","parent","n","changed":[{"case","target","value","was","right"}],"gone","accuracy":{"before","after"},"graders":[..]} */
hn_status hn_regrade_json(const hn_regrade *r, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
