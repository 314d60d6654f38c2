/* The metric that hone.yaml names; see run_metric.h. */
#include "lifecycle/eval/run_metric.h"

#include "base/alloc.h"
#include "stats/metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int32_t index_of(const char *name, const char *const *labels, size_t n_labels) {
    for (size_t i = 0; name && i < n_labels; i++)
        if (strcmp(name, labels[i]) == 0) return (int32_t)i;
    return HN_NO_LABEL;
}

void hn_class_indices(const hn_prediction_list *rows, const char *const *labels, size_t n_labels, int32_t *truth,
                      int32_t *predicted) {
    for (size_t i = 0; i < rows->n; i++) {
        truth[i] = index_of(rows->rows[i].target, labels, n_labels);
        predicted[i] = index_of(rows->rows[i].value, labels, n_labels);
    }
}

double hn_class_metric(const char *metric, const int32_t *truth, const int32_t *predicted, const uint32_t *cases,
                       size_t n, size_t n_labels) {
    double value = (double)NAN;
    hn_confusion c;
    hn_classification all;
    int32_t *own = hn_alloc((n ? n : 1) * 2 * sizeof *own);
    if (!own) return value;
    for (size_t i = 0; i < n; i++) {
        own[i] = truth[cases[i]];
        own[n + i] = predicted[cases[i]];
    }
    if (hn_confusion_build(own, own + n, n, n_labels, &c, NULL) == HN_OK) {
        if (hn_confusion_summary(&c, &all, NULL) == HN_OK)
            value = strcmp(metric, "macro_f1") == 0      ? all.macro_f1_present
                    : strcmp(metric, "micro_f1") == 0    ? all.micro.f1
                    : strcmp(metric, "weighted_f1") == 0 ? all.weighted.f1
                    : strcmp(metric, "mcc") == 0         ? all.mcc
                    : strcmp(metric, "kappa") == 0       ? all.kappa
                                                         : value;
        hn_confusion_free(&c);
    }
    hn_free(own);
    return value;
}

typedef struct classes {
    const char *metric;
    const int32_t *truth, *predicted;
    size_t n_labels;
} classes;

static double of_cases(const uint32_t *cases, size_t n, void *user) {
    const classes *c = user;
    return hn_class_metric(c->metric, c->truth, c->predicted, cases, n, c->n_labels);
}

static hn_status estimate_classes(const char *metric, const hn_report *report, const hn_prediction_list *rows,
                                  hn_estimate *estimate, hn_error *err) {
    size_t n = rows->n ? rows->n : 1, n_groups;
    bool several;
    int32_t *indices = hn_alloc(2 * n * sizeof *indices);
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    hn_status st = indices && groups ? HN_OK : hn_fail_memory(err, 2 * n * sizeof *indices);
    if (st == HN_OK) st = hn_report_groups(rows->rows, rows->n, groups, &n_groups, &several, err);
    if (st == HN_OK) {
        hn_class_indices(rows, report->labels, report->n_labels, indices, indices + rows->n);
        classes c = {metric, indices, indices + rows->n, report->n_labels};
        st = hn_bootstrap(of_cases, &c, rows->n, several ? groups : NULL,
                          &(hn_bootstrap_options){.seed = HN_REPORT_SEED}, estimate, err);
    }
    hn_free(indices);
    hn_free(groups);
    return st;
}

static hn_status of_grader(const char *metric, const char *summary_json, hn_metric_value *out, hn_error *err) {
    hn_grade_lines lines;
    HN_TRY(hn_grade_lines_read(summary_json, &lines, err));
    const hn_grade_line *line = hn_grade_lines_find(&lines, metric);
    if (line) {
        out->known = isfinite(line->mean.value);
        out->estimate = line->mean;
        out->lower_is_better = line->traits.lower_is_better;
        out->geometric = line->traits.geometric;
        out->range = line->traits.range;
        out->factor = line->traits.range == 1 ? 100 : 1;
        snprintf(out->unit, sizeof out->unit, "%s", line->traits.range == 1 ? "points" : line->traits.unit);
    }
    hn_grade_lines_free(&lines);
    return HN_OK;
}

hn_status hn_run_metric(const char *metric, const hn_report *report, const hn_prediction_list *rows,
                        const char *summary_json, hn_metric_value *out, hn_error *err) {
    double nan = (double)NAN;
    *out = (hn_metric_value){.estimate = {nan, nan, nan}, .range = 1, .factor = 100, .unit = "points"};
    if (strcmp(metric, "accuracy") == 0)
        out->estimate = report->accuracy;
    else if (strcmp(metric, "macro_f1") == 0)
        out->estimate = report->macro_f1;
    else if (!hn_scope_metric_is_run(metric))
        return of_grader(metric, summary_json, out, err);
    else if (report->n_labels)
        HN_TRY(estimate_classes(metric, report, rows, &out->estimate, err));
    if (strcmp(metric, "mcc") == 0 || strcmp(metric, "kappa") == 0) {
        out->range = 2;
        out->factor = 1;
        out->unit[0] = 0;
    }
    out->known = isfinite(out->estimate.value);
    return HN_OK;
}

char *hn_metric_text(const hn_metric_value *m, char out[80]) {
    hn_grade_line line = {.mean = m->estimate, .traits = {.unit = m->factor == 100 ? "" : m->unit}};
    if (!m->known || m->factor != 100) return hn_grade_text(&line, out);
    if (isfinite(m->estimate.low) && isfinite(m->estimate.high))
        snprintf(out, 80, "%.1f %% [%.1f, %.1f]", 100 * m->estimate.value, 100 * m->estimate.low,
                 100 * m->estimate.high);
    else
        snprintf(out, 80, "%.1f %%", 100 * m->estimate.value);
    return out;
}
