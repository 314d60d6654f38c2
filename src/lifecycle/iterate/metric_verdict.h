/* Verdicts about any metric: a grader's mean, or a metric of classes such as macro F1, of two runs on the same cases.
 *
 *     hn_metric_verdict v;
 *     HN_TRY(hn_metric_judge(store, run_a, run_b, &shared_a, &shared_b, labels, n_labels, "bleu", 0.5, &v, &err));
 *     if (v.known) puts(hn_verdict_name(v.verdict.kind));
 *
 * A grader's mean: the paired tests of stats/verdict.h over the cases that it graded in both runs. A metric of classes is no mean over
 * cases: p is the share of random exchanges of the two runs' answers (whole groups at a time) that differ as much, 2,000 of them; the interval
 * is a BCa bootstrap of the difference, whole groups drawn; where the two disagree it cannot be told. Where less is better the words are turned:
 * "better" always means better, the difference stays B minus A.
 * Ownership: a plain value. Threading: one thread. */
#ifndef HN_LIFECYCLE_METRIC_VERDICT_H
#define HN_LIFECYCLE_METRIC_VERDICT_H

#include "lifecycle/eval/run_metric.h"
#include "stats/verdict.h"

typedef struct hn_metric_verdict {
    bool known; /* both runs have the metric */
    hn_verdict verdict;
    hn_metric_value a, b; /* on the shared cases */
    size_t n_left_out;    /* shared cases that one of them has no grade for */
} hn_metric_verdict;

/* `rows_a` and `rows_b` are the same cases in the same order; positions are each run's own. */
hn_status hn_metric_judge(hn_store *store, const hn_run *run_a, const hn_run *run_b, const hn_prediction_list *rows_a,
                          const hn_prediction_list *rows_b, const char *const *labels, size_t n_labels,
                          const char *metric, double smallest_difference, hn_metric_verdict *out,
                          hn_error *err) HN_MUST_CHECK;
/* Several runs against one of them, `reference`, with p adjusted by Holm for their number: "better" and "worse" need an adjusted p of at most 0.05.
 * `verdicts` and `p_adjusted` (n), the reference's own left empty. */
typedef struct hn_metric_run {
    const hn_run *run;
    const hn_prediction_list *rows; /* the same cases in the same order for all */
} hn_metric_run;
hn_status hn_metric_judge_all(hn_store *store, const hn_metric_run *runs, size_t n, size_t reference,
                              const char *const *labels, size_t n_labels, const char *metric,
                              double smallest_difference, hn_metric_verdict *verdicts, double *p_adjusted,
                              hn_error *err) HN_MUST_CHECK;
/* {"metric","verdict","difference":{..},"p","test","a":{..},"b":{..},"n","left_out","lower_is_better","unit"}; new reference. */
json_t *hn_metric_verdict_json(const char *metric, const hn_metric_verdict *v);

#endif
