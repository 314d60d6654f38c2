/* One run in full; see run_detail.h. */
#include "lifecycle/iterate/run_detail.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- loading ---- */

/* The labels that the run was made with; a run that is not finished has the scope's. */
static hn_status read_labels(hn_run_detail *d, const hn_scope *scope, hn_error *err) {
    d->labels_json = json_incref(json_object_get(d->summary, "labels"));
    size_t n = d->summary                                   ? json_array_size(d->labels_json)
               : scope->contract.kind == HN_CONTRACT_CHOICE ? scope->contract.n_labels
                                                            : 0;
    if (n == 0) return HN_OK;
    d->labels = hn_calloc(n, sizeof *d->labels);
    if (!d->labels) return hn_fail_memory(err, n * sizeof *d->labels);
    for (size_t i = 0; i < n; i++) {
        d->labels[i] = d->summary ? json_string_value(json_array_get(d->labels_json, i)) : scope->contract.labels[i];
        if (!d->labels[i]) return hn_fail(err, HN_ERR_INPUT, "run summary", NULL, "its labels are not all texts");
    }
    d->n_labels = n;
    return HN_OK;
}

double hn_run_detail_confidence(const hn_prediction *p) {
    double top = (double)NAN;
    for (size_t i = 0; p->probabilities && i < p->n_probabilities; i++)
        if (!(p->probabilities[i] <= top)) top = p->probabilities[i];
    return top;
}

/* Keeps the HN_DETAIL_SAMPLE rows with the largest `value`, largest first; of equals the first seen. */
static void offer(const hn_prediction *p, double value, const hn_prediction **best, double *values, size_t *n) {
    size_t at = *n;
    if (isnan(value)) return;
    while (at > 0 && value > values[at - 1]) at--;
    if (at == HN_DETAIL_SAMPLE) return;
    size_t last = *n < HN_DETAIL_SAMPLE ? (*n)++ : HN_DETAIL_SAMPLE - 1;
    for (size_t i = last; i > at; i--) best[i] = best[i - 1], values[i] = values[i - 1];
    best[at] = p;
    values[at] = value;
}

static void pick_cases(hn_run_detail *d) {
    double wrong[HN_DETAIL_SAMPLE], unsure[HN_DETAIL_SAMPLE], slow[HN_DETAIL_SAMPLE];
    for (size_t i = 0; i < d->list.n; i++) {
        const hn_prediction *p = &d->list.rows[i];
        double confidence = hn_run_detail_confidence(p);
        if (!p->correct) offer(p, isnan(confidence) ? 0 : confidence, d->wrong, wrong, &d->n_wrong);
        offer(p, -confidence, d->unsure, unsure, &d->n_unsure);
        if (!p->error) offer(p, p->prefill_ms + p->decode_ms, d->slow, slow, &d->n_slow);
    }
}

static hn_status load(hn_store *store, const char *name, const hn_scope *scope, hn_run_detail *d, hn_error *err) {
    HN_TRY(hn_run_find(store, name, &d->run, err));
    HN_TRY(hn_prediction_load(store, d->run->id, &d->list, err));
    const char *summary = d->run->summary_json;
    if (summary) HN_TRY(hn_json_parse(summary, strlen(summary), "run summary", 0, &d->summary, err));
    HN_TRY(read_labels(d, scope, err));
    HN_TRY(hn_report_build(&d->list, d->labels, d->n_labels, &d->report, err));
    pick_cases(d);
    const char *object = d->run->spec.prompt_object;
    size_t n;
    if (!object || !*object) return HN_OK;
    hn_status st = hn_object_get(store, object, &d->prompt_text, &n, err);
    return st == HN_ERR_NOT_FOUND ? HN_OK : st;
}

hn_status hn_run_detail_load(hn_store *store, const char *name, const hn_scope *scope, hn_run_detail *out,
                             hn_error *err) {
    *out = (hn_run_detail){0};
    hn_status st = load(store, name, scope, out, err);
    if (st != HN_OK) hn_run_detail_free(out);
    return st;
}

void hn_run_detail_free(hn_run_detail *d) {
    hn_report_free(&d->report);
    hn_prediction_list_free(&d->list);
    hn_run_free(d->run);
    hn_free(d->labels);
    hn_free(d->prompt_text);
    json_decref(d->labels_json);
    json_decref(d->summary);
    *d = (hn_run_detail){0};
}

/* ---- JSON ---- */

static bool add_classes(const hn_run_detail *d, json_t *value) {
    json_t *classes = json_array(), *confusions = json_array();
    bool fine = classes && confusions;
    for (size_t l = 0; fine && l < d->n_labels; l++) {
        hn_class_metrics m = hn_confusion_class(&d->report.confusion, l);
        fine =
            json_array_append_new(classes, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f}", "label", d->labels[l], "cases",
                                                     (json_int_t)m.support, "answers", (json_int_t)m.predicted,
                                                     "precision", m.precision, "recall", m.recall, "f1", m.f1)) == 0;
        for (size_t p = 0; fine && p <= d->n_labels; p++) {
            uint64_t n = hn_confusion_at(&d->report.confusion, l, p);
            if (n == 0 || p == l) continue;
            json_t *pair = json_pack("{s:s, s:s?, s:I}", "target", d->labels[l], "answer",
                                     p < d->n_labels ? d->labels[p] : NULL, "n", (json_int_t)n);
            fine = json_array_append_new(confusions, pair) == 0;
        }
    }
    fine = fine && json_object_set(value, "classes", classes) == 0 &&
           json_object_set(value, "confusions", confusions) == 0;
    json_decref(classes);
    json_decref(confusions);
    return fine;
}

static json_t *doubles_json(const double *values, size_t n) {
    json_t *list = values ? json_array() : json_null();
    for (size_t i = 0; list && values && i < n; i++)
        json_array_append_new(list, isfinite(values[i]) ? json_real(values[i]) : json_null());
    return list;
}

/* Also of bytes that are no UTF-8, as a model may write them: they are shown as U+FFFD. */
static json_t *text_or_null(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }

static json_t *prediction_json(const hn_prediction *p) {
    json_t *details = NULL;
    hn_error unused;
    if (p->details_json &&
        hn_json_parse(p->details_json, strlen(p->details_json), "details", 0, &details, &unused) != HN_OK)
        details = NULL;
    json_t *value =
        json_pack("{s:o, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:I, s:I, s:s?, s:s?, s:b}", "case",
                  text_or_null(p->case_id), "position", (json_int_t)p->position, "target", text_or_null(p->target),
                  "group", text_or_null(p->group), "value", text_or_null(p->value), "text", text_or_null(p->text),
                  "correct", p->correct, "probabilities", doubles_json(p->probabilities, p->n_probabilities),
                  "logprobs", doubles_json(p->raw_logprobs, p->n_probabilities), "prompt_tokens",
                  (json_int_t)p->prompt_tokens, "completion_tokens", (json_int_t)p->completion_tokens, "finish",
                  p->finish, "error", p->error, "from_cache", p->from_cache);
    if (value) json_object_set_new(value, "cost", isfinite(p->cost) ? json_real(p->cost) : json_null());
    if (value && details) json_object_set(value, "details", details);
    json_decref(details);
    return value;
}

static bool add_predictions(const hn_run_detail *d, json_t *value) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < d->list.n; i++)
        fine = json_array_append_new(list, prediction_json(&d->list.rows[i])) == 0;
    fine = fine && json_object_set(value, "predictions", list) == 0;
    json_decref(list);
    return fine;
}

static json_t *parameters_json(const hn_run_detail *d) {
    json_t *value = NULL;
    hn_error unused;
    const char *text = d->run->spec.parameters_json;
    if (text && hn_json_parse(text, strlen(text), "parameters", 0, &value, &unused) == HN_OK) return value;
    return json_null();
}

hn_status hn_run_detail_json(const hn_run_detail *d, bool predictions, json_t **value, hn_error *err) {
    const hn_run *r = d->run;
    const hn_run_spec *s = &r->spec;
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)r->id);
    json_t *made =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "run", name, "id", r->content_id, "kind", r->kind,
                  "state", r->state, "started_ms", (json_int_t)r->started_ms, "finished_ms", (json_int_t)r->finished_ms,
                  "n", (json_int_t)s->n_cases, "n_done", (json_int_t)r->n_done, "tags", r->tags);
    json_t *spec = json_pack("{s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:o, s:s?}",
                             "prompt", s->prompt_name, "prompt_hash", s->prompt_hash, "scope_hash", s->scope_hash,
                             "dataset", s->dataset_hash, "split", s->split, "case_set", s->case_set_hash, "model",
                             s->model_name, "model_hash", s->model_hash, "template_hash", s->template_hash,
                             "numeric_path", s->numeric_path, "metric", s->metric, "code_version", s->code_version,
                             "parameters", parameters_json(d), "prompt_text", d->prompt_text);
    bool fine = made && spec && json_object_update(made, spec) == 0;
    json_decref(spec);
    if (fine) fine = json_object_set_new(made, "summary", d->summary ? json_incref(d->summary) : json_null()) == 0;
    if (fine && d->n_labels) fine = add_classes(d, made);
    if (fine && predictions) fine = add_predictions(d, made);
    if (!fine) {
        json_decref(made);
        return hn_fail_memory(err, 0);
    }
    *value = made;
    return HN_OK;
}
