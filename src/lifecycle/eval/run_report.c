/* From predictions to a report; see run_report.h. */
#include "lifecycle/eval/run_report.h"

#include "stats/estimate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- groups ---- */

typedef struct named {
    const char *name;
    uint32_t index;
} named;

static int by_name(const void *a, const void *b) {
    const named *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

hn_status hn_report_groups(const hn_prediction *rows, size_t n, uint32_t *ids, size_t *n_groups, bool *several,
                           hn_error *err) {
    named *names = hn_alloc(n * sizeof *names);
    uint32_t next = 0;
    size_t n_named = 0;
    *several = false;
    if (!names) return hn_fail_memory(err, n * sizeof *names);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].group)
            names[n_named++] = (named){rows[i].group, (uint32_t)i};
        else
            ids[i] = next++;
    }
    qsort(names, n_named, sizeof *names, by_name);
    for (size_t i = 0; i < n_named; i++) {
        bool same = i > 0 && strcmp(names[i].name, names[i - 1].name) == 0;
        if (same) *several = true;
        ids[names[i].index] = same ? ids[names[i - 1].index] : next++;
    }
    *n_groups = next;
    hn_free(names);
    return HN_OK;
}

/* ---- metrics ---- */

static int32_t label_index(const char *name, const char *const *labels, size_t n_labels) {
    for (size_t i = 0; name && i < n_labels; i++)
        if (strcmp(name, labels[i]) == 0) return (int32_t)i;
    return HN_NO_LABEL;
}

static hn_status add_classes(const hn_prediction_list *list, const uint32_t *groups, int32_t *truth, int32_t *predicted,
                             hn_report *r, hn_error *err) {
    for (size_t i = 0; i < list->n; i++) {
        truth[i] = label_index(list->rows[i].target, r->labels, r->n_labels);
        predicted[i] = label_index(list->rows[i].value, r->labels, r->n_labels);
        if (truth[i] < 0)
            return hn_fail(err, HN_ERR_INPUT, "prediction", "run `hone eval` again",
                           "case %s has the target `%.60s`, which is no label of the run", list->rows[i].case_id,
                           list->rows[i].target ? list->rows[i].target : "");
    }
    HN_TRY(hn_confusion_build(truth, predicted, list->n, r->n_labels, &r->confusion, err));
    return hn_estimate_macro_f1(truth, predicted, list->n, r->n_labels, false, groups, HN_REPORT_SEED, &r->macro_f1,
                                err);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hn_status add_latency(const hn_prediction_list *list, hn_report *r, hn_error *err) {
    double *ms = hn_alloc(list->n * sizeof *ms);
    if (!ms) return hn_fail_memory(err, list->n * sizeof *ms);
    size_t n = 0;
    for (size_t i = 0; i < list->n; i++) {
        double took = list->rows[i].prefill_ms + list->rows[i].decode_ms;
        if (!list->rows[i].error && isfinite(took)) ms[n++] = took;
    }
    qsort(ms, n, sizeof *ms, by_value);
    r->latency_median_ms = n ? ms[n / 2] : (double)NAN;
    r->latency_p95_ms = n ? ms[(n - 1) * 95 / 100] : (double)NAN;
    hn_free(ms);
    return HN_OK;
}

static hn_status add_counts(const hn_prediction_list *list, const uint32_t *groups, hn_report *r, hn_error *err) {
    unsigned char *correct = hn_alloc(list->n);
    hn_interval interval;
    if (!correct) return hn_fail_memory(err, list->n);
    for (size_t i = 0; i < list->n; i++) {
        const hn_prediction *p = &list->rows[i];
        correct[i] = p->correct;
        r->n_correct += p->correct;
        r->n_failed += p->error != NULL;
        bool guarded = p->details_json && strstr(p->details_json, "\"guard\":\""); /* refused, not malformed */
        r->n_invalid += !p->error && !p->value && !guarded;
        r->n_cut += !p->error && !p->value && p->finish && strcmp(p->finish, "length") == 0;
        r->n_cached += p->from_cache;
        r->prompt_tokens += p->prompt_tokens;
        r->completion_tokens += p->completion_tokens;
        if (!p->error) r->cost += p->cost;
    }
    r->cost_per_1000 = list->n > r->n_failed ? 1000 * r->cost / (double)(list->n - r->n_failed) : (double)NAN;
    hn_status st = hn_interval_proportion(correct, groups, list->n, 0.05, &interval, err);
    if (st == HN_OK)
        r->accuracy =
            (hn_estimate){list->n ? (double)r->n_correct / (double)list->n : (double)NAN, interval.low, interval.high};
    hn_free(correct);
    return st;
}

/* ---- abstention ---- */

/* What an answer's details say of it; see eval.c. `"abstained":true` cannot stand inside a JSON string: its quotes would be escaped. */
static hn_status add_set(const hn_prediction *p, hn_report *r, hn_error *err) {
    json_t *details;
    if (!p->details_json || !strstr(p->details_json, "\"label_set\":[")) return HN_OK;
    HN_TRY(hn_json_parse(p->details_json, strlen(p->details_json), "details", 0, &details, err));
    const json_t *set = json_object_get(details, "label_set"), *label;
    size_t k;
    json_array_foreach((json_t *)(uintptr_t)set, k, label) {
        const char *name = json_string_value(label);
        r->n_in_set += name && p->target && strcmp(name, p->target) == 0;
    }
    r->n_sets++;
    r->n_set_labels += json_array_size(set);
    json_decref(details);
    return HN_OK;
}

static hn_status add_abstention(const hn_prediction_list *list, const uint32_t *groups, hn_report *r, hn_error *err) {
    unsigned char *given = hn_alloc(2 * list->n), *wrong = given ? given + list->n : NULL;
    uint32_t *ids = hn_alloc(list->n * sizeof *ids);
    size_t n = 0;
    hn_interval share = {0}, error = {0};
    hn_status st = given && ids ? HN_OK : hn_fail_memory(err, list->n * sizeof *ids);
    for (size_t i = 0; st == HN_OK && i < list->n; i++) {
        const hn_prediction *p = &list->rows[i];
        given[i] = !(p->details_json && strstr(p->details_json, "\"abstained\":true"));
        r->n_abstained += !given[i];
        st = add_set(p, r, err);
        if (!given[i]) continue;
        ids[n] = groups ? groups[i] : (uint32_t)i;
        wrong[n++] = !p->correct;
        r->n_wrong_given += !p->correct;
    }
    if (st == HN_OK) st = hn_interval_proportion(given, groups, list->n, 0.05, &share, err);
    if (st == HN_OK) st = hn_interval_proportion(wrong, ids, n, 0.05, &error, err);
    if (st == HN_OK) {
        r->given = (hn_estimate){(double)n / (double)list->n, share.low, share.high};
        r->given_error = (hn_estimate){n ? (double)r->n_wrong_given / (double)n : (double)NAN, error.low, error.high};
    }
    hn_free(given);
    hn_free(ids);
    return st;
}

hn_status hn_report_build(const hn_prediction_list *list, const char *const *labels, size_t n_labels, hn_report *r,
                          hn_error *err) {
    double nan = (double)NAN;
    *r = (hn_report){.n = list->n, .labels = labels, .n_labels = labels ? n_labels : 0, .macro_f1 = {nan, nan, nan}};
    int32_t *classes = hn_alloc(list->n * 2 * sizeof *classes);
    uint32_t *groups = hn_alloc(list->n * sizeof *groups), *used = NULL;
    hn_status st = classes && groups ? HN_OK : hn_fail_memory(err, list->n * 2 * sizeof *classes);
    if (st == HN_OK) st = hn_report_groups(list->rows, list->n, groups, &r->n_groups, &r->grouped, err);
    if (st == HN_OK && r->grouped) used = groups;
    if (st == HN_OK) st = add_counts(list, used, r, err);
    if (st == HN_OK && r->n_labels) st = add_classes(list, used, classes, classes + list->n, r, err);
    if (st == HN_OK) st = add_latency(list, r, err);
    if (st == HN_OK) st = add_abstention(list, used, r, err);
    hn_free(classes);
    hn_free(groups);
    if (st != HN_OK) hn_report_free(r);
    return st;
}

void hn_report_free(hn_report *r) {
    if (r->confusion.counts) hn_confusion_free(&r->confusion);
    *r = (hn_report){0};
}

static int by_count(const void *a, const void *b) {
    const hn_confused *x = a, *y = b;
    if (x->n != y->n) return x->n < y->n ? 1 : -1;
    if (x->truth != y->truth) return x->truth < y->truth ? -1 : 1;
    return x->answer < y->answer ? -1 : 1;
}

size_t hn_report_confused(const hn_report *r, hn_confused *pairs, size_t max) {
    size_t n = 0;
    for (size_t t = 0; t < r->n_labels; t++) {
        for (size_t p = 0; p <= r->n_labels; p++) {
            hn_confused pair = {t, p, p == t ? 0 : hn_confusion_at(&r->confusion, t, p)};
            if (pair.n == 0) continue;
            if (n < max)
                pairs[n++] = pair;
            else if (max && by_count(&pair, &pairs[max - 1]) < 0)
                pairs[max - 1] = pair;
            else
                continue;
            qsort(pairs, n, sizeof *pairs, by_count);
        }
    }
    return n;
}

/* ---- JSON ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

json_t *hn_report_estimate_json(hn_estimate e) {
    return json_pack("{s:o, s:o, s:o}", "value", number_or_null(e.value), "low", number_or_null(e.low), "high",
                     number_or_null(e.high));
}

hn_status hn_report_summary(const hn_report *r, double seconds, const json_t *machine, json_t **summary,
                            hn_error *err) {
    json_t *metrics = json_pack("{s:o}", "accuracy", hn_report_estimate_json(r->accuracy));
    json_t *labels = json_array();
    bool fine = metrics && labels;
    if (fine && r->n_labels) fine = json_object_set_new(metrics, "macro_f1", hn_report_estimate_json(r->macro_f1)) == 0;
    for (size_t i = 0; fine && i < r->n_labels; i++)
        fine = json_array_append_new(labels, json_string(r->labels[i])) == 0;
    json_t *made = fine
                       ? json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:O, s:O, s:I, s:I, s:I, s:{s:o, s:o}, s:f}", "n",
                                   (json_int_t)r->n, "n_correct", (json_int_t)r->n_correct, "n_invalid",
                                   (json_int_t)r->n_invalid, "n_cut", (json_int_t)r->n_cut, "n_failed",
                                   (json_int_t)r->n_failed, "n_groups", (json_int_t)r->n_groups, "metrics", metrics,
                                   "labels", labels, "prompt_tokens", (json_int_t)r->prompt_tokens, "completion_tokens",
                                   (json_int_t)r->completion_tokens, "cached_cases", (json_int_t)r->n_cached,
                                   "latency_ms", "median", number_or_null(r->latency_median_ms), "p95",
                                   number_or_null(r->latency_p95_ms), "seconds", seconds)
                       : NULL;
    json_decref(metrics);
    json_decref(labels);
    if (made && (json_object_set_new(made, "cost", number_or_null(r->cost)) != 0 ||
                 json_object_set_new(made, "cost_per_1000", number_or_null(r->cost_per_1000)) != 0)) {
        json_decref(made);
        made = NULL;
    }
    if (made && machine && json_object_update(made, (json_t *)(uintptr_t)machine) != 0) {
        json_decref(made);
        made = NULL;
    }
    if (!made) return hn_fail_memory(err, 0);
    *summary = made;
    return HN_OK;
}
