/* Teacher against student; see tune_distill.h. */
#include "lifecycle/tune/tune_distill.h"

#include "base/alloc.h"
#include "lifecycle/eval/run_report.h"
#include "lifecycle/tune/tune_answers.h"
#include "stats/verdict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- comparing ---- */

static hn_status judge(const hn_training *t, const hn_tune_answers *teacher, const hn_tune_answers *student,
                       hn_verdict *verdict, hn_error *err) {
    size_t n = teacher->n, n_groups;
    bool several;
    double *a = hn_calloc(n, sizeof *a), *b = hn_calloc(n, sizeof *b);
    uint32_t *groups = hn_calloc(n, sizeof *groups);
    hn_prediction *rows = hn_calloc(n, sizeof *rows);
    hn_status st = a && b && groups && rows ? HN_OK : hn_fail_memory(err, n * sizeof *rows);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        a[i] = teacher->items[i].right;
        b[i] = student->items[i].right;
        rows[i].group = (char *)(uintptr_t)t->setup->dataset->cases[t->dev[i]].group;
    }
    if (st == HN_OK) st = hn_report_groups(rows, n, groups, &n_groups, &several, err);
    hn_verdict_options o = {.smallest_difference = hn_project_scope(t->setup->project)->smallest_difference, .seed = 7};
    if (st == HN_OK) st = hn_verdict_judge(a, b, several ? groups : NULL, n, &o, verdict, err);
    hn_free(a), hn_free(b), hn_free(groups), hn_free(rows);
    return st;
}

static bool same_answer(const hn_tune_answer *a, const hn_tune_answer *b) {
    if (!a->value || !b->value) return !a->value && !b->value;
    return a->label >= 0 || b->label >= 0 ? a->label == b->label : strcmp(a->value, b->value) == 0;
}

static double mean_tokens(const hn_tune_answers *a) {
    double sum = 0;
    for (size_t i = 0; i < a->n; i++) sum += a->items[i].prompt_tokens;
    return a->n ? sum / (double)a->n : 0;
}

static json_t *estimate_json(double value, double low, double high) {
    return json_pack("{s:f, s:f, s:f}", "value", value, "low", low, "high", high);
}

static hn_status describe(const hn_training *t, const hn_provider_info *info, const hn_tune_answers *teacher,
                          const hn_tune_answers *student, json_t **value, hn_error *err) {
    hn_verdict v;
    int64_t n = (int64_t)teacher->n, n_same = 0;
    HN_TRY(judge(t, teacher, student, &v, err));
    for (size_t i = 0; i < teacher->n; i++) n_same += same_answer(&teacher->items[i], &student->items[i]);
    hn_interval share = hn_interval_wilson(n_same, n, 0.05);
    *value = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:o, s:f, s:s, s:f, s:I, s:o, s:f, s:f, s:f}", "teacher",
                       info->name, "teacher_prompt", t->setup->teacher_prompt->name, "verdict", hn_verdict_name(v.kind),
                       "n", (json_int_t)n, "teacher_accuracy", v.value_a, "student_accuracy", v.value_b, "difference",
                       estimate_json(v.difference.value, v.difference.low, v.difference.high), "p", v.p, "test", v.test,
                       "smallest_difference", v.smallest_difference, "cases_needed", (json_int_t)v.cases_needed,
                       "agreement", estimate_json((double)n_same / (double)n, share.low, share.high),
                       "teacher_prompt_tokens", mean_tokens(teacher), "student_prompt_tokens", mean_tokens(student),
                       "tokens_saved", mean_tokens(teacher) - mean_tokens(student));
    return *value ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_tune_distill_compare(const hn_training *t, hn_provider *teacher, json_t **value, hn_error *err) {
    const hn_tune_setup *s = t->setup;
    hn_provider *adapted = NULL;
    hn_provider_info info;
    hn_tune_answers theirs = {0}, ours = {0};
    hn_tune_asking asking = {s, s->teacher_prompt, teacher, t->dev, t->result->n_dev, s->store, t->hooks};
    hn_status st = hn_tune_answers_collect(&asking, &theirs, err);
    if (st == HN_OK) st = hn_provider_info_get(teacher, &info, err);
    if (st == HN_OK) st = t->hooks->open(t->hooks->user, NULL, t->result->folder, &adapted, err);
    asking = (hn_tune_asking){s, s->prompt, adapted, t->dev, t->result->n_dev, NULL, NULL};
    if (st == HN_OK) st = hn_tune_answers_collect(&asking, &ours, err);
    if (st == HN_OK) st = describe(t, &info, &theirs, &ours, value, err);
    hn_provider_close(adapted);
    hn_tune_answers_free(&theirs);
    hn_tune_answers_free(&ours);
    return st;
}

/* ---- reading ---- */

static double number_of(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static hn_estimate estimate_of(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return (hn_estimate){number_of(v, "value"), number_of(v, "low"), number_of(v, "high")};
}

static void text_of(char *out, size_t size, const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));
    snprintf(out, size, "%s", text ? text : "");
}

hn_status hn_tune_distillation_read(const char *summary, hn_tune_distillation *d, bool *found, hn_error *err) {
    json_t *s;
    *d = (hn_tune_distillation){0};
    HN_TRY(hn_json_parse(summary, strlen(summary), "the run's summary", 0, &s, err));
    const json_t *o = json_object_get(s, "distillation");
    *found = o != NULL;
    text_of(d->teacher, sizeof d->teacher, o, "teacher");
    text_of(d->teacher_prompt, sizeof d->teacher_prompt, o, "teacher_prompt");
    text_of(d->verdict, sizeof d->verdict, o, "verdict");
    d->n = json_integer_value(json_object_get(o, "n"));
    d->cases_needed = json_integer_value(json_object_get(o, "cases_needed"));
    d->teacher_accuracy = number_of(o, "teacher_accuracy");
    d->student_accuracy = number_of(o, "student_accuracy");
    d->p = number_of(o, "p");
    d->smallest_difference = number_of(o, "smallest_difference");
    d->difference = estimate_of(o, "difference");
    d->agreement = estimate_of(o, "agreement");
    d->teacher_tokens = number_of(o, "teacher_prompt_tokens");
    d->student_tokens = number_of(o, "student_prompt_tokens");
    d->left_out = json_integer_value(json_object_get(o, "train_cases_left_out"));
    json_decref(s);
    return HN_OK;
}
