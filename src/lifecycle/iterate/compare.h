/* Comparing two runs: the verdict of B against A on the cases that both answered, and which cases changed sides.
 *
 *     hn_comparison c;
 *     HN_TRY(hn_compare_runs(store, "r1", "r6", scope, &c, &err));
 *     printf("%s", hn_verdict_name(c.verdict.kind));
 *     hn_comparison_free(&c);
 *
 * Ownership: the comparison owns runs and predictions. Threading: one thread. */
#ifndef HN_LIFECYCLE_COMPARE_H
#define HN_LIFECYCLE_COMPARE_H

#include "lifecycle/eval/repeated_looks.h"
#include "lifecycle/eval/run_report.h"
#include "lifecycle/iterate/metric_verdict.h"
#include "project/project.h"
#include "stats/verdict.h"

/* A case that exactly one of the two got right. */
typedef struct hn_flip {
    const hn_prediction *a, *b; /* of the same case */
} hn_flip;

typedef struct hn_comparison {
    hn_run *run_a, *run_b;
    hn_prediction_list list_a, list_b;
    hn_prediction_list shared_a, shared_b; /* the shared cases, in B's order; rows borrow from the lists above */
    hn_report report_a, report_b;          /* on the shared cases */
    json_t *labels_json;                   /* keeps the labels' texts */
    const char **labels;                   /* (n_labels) NULL: not a choice */
    size_t n_labels;
    const char *metric;                 /* what the verdict is about: the scope's, or accuracy where a run lacks that */
    hn_metric_value metric_a, metric_b; /* on the shared cases */
    hn_verdict verdict;
    bool
        partial; /* a run is unfinished: the shared cases are those at the start of both, and the verdict is by `sequence` */
    hn_repeated_looks sequence; /* where partial; the verdict's interval then is NaN */
    hn_flip *flips;             /* (n_flips) */
    size_t n_flips;
    bool paths_differ; /* numeric paths: part of the difference may be arithmetic */
    bool models_differ;
} hn_comparison;

/* HN_ERR_NOT_FOUND for a run; HN_ERR_INPUT where a run is unfinished, or they are of different data (a run and
 * its regrade aside) or splits, or share no case. */
hn_status hn_compare_runs(hn_store *store, const char *a, const char *b, const hn_scope *scope, hn_comparison *out,
                          hn_error *err) HN_MUST_CHECK;
/* The verdict alone, of B against A on the cases that both answered: a fraction of the work, for many pairs. The same errors. */
typedef struct hn_short_verdict {
    hn_verdict verdict;
    double factor; /* what the difference is multiplied with for people: 100 (points) or 1 */
    char unit[24];
} hn_short_verdict;
hn_status hn_compare_verdict(hn_store *store, const hn_run *a, const hn_run *b, const hn_scope *scope,
                             hn_short_verdict *out, hn_error *err) HN_MUST_CHECK;
/* The same with `smallest_difference` in place of the scope's (NaN: the scope's), and with `partial`: unfinished runs are fine. Those are
 * compared on the cases that both answered without a gap from the first on, by accuracy, with a test that may be repeated as the runs go on. */
typedef struct hn_compare_options {
    double smallest_difference;
    bool partial;
} hn_compare_options;
hn_status hn_compare_runs_with(hn_store *store, const char *a, const char *b, const hn_scope *scope,
                               const hn_compare_options *options, hn_comparison *out, hn_error *err) HN_MUST_CHECK;
/* The verdict of `rows` against something that was right where `right` (rows->n) is 1: a baseline on the same cases in the same order. */
hn_status hn_compare_with_right(const unsigned char *right, const hn_prediction_list *rows, double smallest_difference,
                                hn_verdict *verdict, hn_error *err) HN_MUST_CHECK;
void hn_comparison_free(hn_comparison *c);
/* It is shown that B is not worse than A by smallest_difference or more: the interval lies above minus that. */
bool hn_comparison_not_worse(const hn_comparison *c);
/* The verdict on every grader that both runs have: `verdicts` (*n) beside names; free both with hn_free. */
typedef struct hn_grader_verdict {
    char name[48];
    hn_metric_verdict v;
} hn_grader_verdict;
hn_status hn_compare_graders(hn_store *store, const hn_comparison *c, hn_grader_verdict **verdicts, size_t *n,
                             hn_error *err) HN_MUST_CHECK;
/* {"verdict","metric","difference":{...},"p","test","only_a_right","only_b_right","detectable","smallest_difference","cases_needed",...} */
hn_status hn_comparison_json(const hn_comparison *c, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
