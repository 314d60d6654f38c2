/* The metric that hone.yaml names, of one run: accuracy, a metric of classes, or a grader's mean; with its interval and how to read it.
 *
 *     hn_metric_value m;
 *     HN_TRY(hn_run_metric("mcc", &report, &predictions, run->summary_json, &m, &err));
 *     if (m.known) printf("%.3f", m.estimate.value);
 *
 * Metrics of classes: macro_f1 (over the classes that occur), micro_f1 and weighted_f1 (over all), mcc, kappa; no valid answer is one more answer that
 * is never right. Intervals: BCa bootstrap, whole groups drawn. Ownership: plain values. Threading: pure functions. */
#ifndef HN_LIFECYCLE_RUN_METRIC_H
#define HN_LIFECYCLE_RUN_METRIC_H

#include "lifecycle/eval/grade_run.h"
#include "lifecycle/eval/run_report.h"

typedef struct hn_metric_value {
    bool known; /* the run has it */
    hn_estimate estimate;
    bool lower_is_better, geometric;
    double range;  /* largest difference of two values; NaN: unbounded */
    double factor; /* what a difference is multiplied with for people: 100 (points) or 1 */
    char unit[24]; /* "points", "ms", "" */
} hn_metric_value;

hn_status hn_run_metric(const char *metric, const hn_report *report, const hn_prediction_list *rows,
                        const char *summary_json, hn_metric_value *out, hn_error *err) HN_MUST_CHECK;
/* "71.3 % [65.0, 77.1]" of a share, else in the metric's own unit; "-" where it is not known. Returns `out`. */
char *hn_metric_text(const hn_metric_value *m, char out[80]);

/* A metric of classes over the answers `cases` (n) of a run: truth and predicted are label indices (HN_NO_LABEL: none). NaN where undefined, or
 * for another metric's name. */
double hn_class_metric(const char *metric, const int32_t *truth, const int32_t *predicted, const uint32_t *cases,
                       size_t n, size_t n_labels);
/* Label indices of a run's targets and answers, (rows->n) each. */
void hn_class_indices(const hn_prediction_list *rows, const char *const *labels, size_t n_labels, int32_t *truth,
                      int32_t *predicted);

#endif
