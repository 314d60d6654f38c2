/* What a run's predictions amount to: metrics with intervals, classes, confusions, tokens, times.
 *
 *     hn_report report;
 *     HN_TRY(hn_report_build(&predictions, labels, n_labels, seed, &report, &err));
 *     printf("%.1f %% [%.1f, %.1f]", 100 * report.accuracy.value, ...);
 *     hn_report_free(&report);
 *
 * Accuracy: Wilson's interval, widened for related cases where a group has several; macro F1 (over the classes that occur): BCa
 * bootstrap, whole groups drawn, seeded. Ownership: the report copies nothing of the predictions; labels are borrowed. Threading: pure. */
#ifndef HN_LIFECYCLE_RUN_REPORT_H
#define HN_LIFECYCLE_RUN_REPORT_H

#include "stats/interval.h"
#include "stats/metrics.h"
#include "store/store.h"

enum { HN_REPORT_SEED = 7 };

typedef struct hn_report {
    size_t n, n_correct;
    size_t n_invalid;   /* answered, but nothing that the contract allows */
    size_t n_cut;       /* of these, cut by the limit of tokens before they were whole */
    size_t n_failed;    /* not answered: too long, too late */
    size_t n_abstained; /* left to a person; their answers count in all other numbers */
    size_t n_wrong_given, n_in_set, n_sets,
        n_set_labels;               /* of the given answers; label sets with the truth, all, labels */
    hn_estimate given, given_error; /* share of cases answered, and of these wrong; NaN: none */
    size_t n_cached, n_groups;
    bool grouped; /* some group has several cases */
    hn_estimate accuracy;
    hn_estimate macro_f1;   /* NaN unless there are labels */
    hn_confusion confusion; /* counts NULL unless there are labels */
    const char *const *labels;
    size_t n_labels;
    int64_t prompt_tokens, completion_tokens;
    double latency_median_ms, latency_p95_ms; /* of computing one answer; NaN without cases */
    double cost; /* US dollars of all answers, when they were computed; 0: local; NaN: not known of all of them */
    double cost_per_1000;
} hn_report;

/* labels (n_labels): NULL for a contract that is not a choice. */
hn_status hn_report_build(const hn_prediction_list *list, const char *const *labels, size_t n_labels, hn_report *report,
                          hn_error *err) HN_MUST_CHECK;
void hn_report_free(hn_report *report);

/* {"value","low","high"}; undefined numbers are null. */
json_t *hn_report_estimate_json(hn_estimate e);
/* The run's summary as the store keeps it: n, metrics, labels, tokens, latency, seconds and what `machine` (may be NULL; borrowed) adds. */
hn_status hn_report_summary(const hn_report *report, double seconds, const json_t *machine, json_t **summary,
                            hn_error *err) HN_MUST_CHECK;

/* Group numbers for predictions: equal names share one, NULL gets its own. `ids` (n). *several: some group has several. */
hn_status hn_report_groups(const hn_prediction *rows, size_t n, uint32_t *ids, size_t *n_groups, bool *several,
                           hn_error *err) HN_MUST_CHECK;

/* Pairs (truth, answer) by how often one was taken for the other, most first; up to `max` into `pairs`. Returns how many. */
typedef struct hn_confused {
    size_t truth, answer; /* answer = n_labels: no valid answer */
    uint64_t n;
} hn_confused;
size_t hn_report_confused(const hn_report *report, hn_confused *pairs, size_t max);

#endif
