/* The scope's report; see scope_report.h. */
#include "lifecycle/scope/scope_report.h"

#include "base/file.h"
#include "base/utf8.h"
#include "lifecycle/eval/run_report.h"
#include "stats/power.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- counts ---- */

static int by_group(const void *a, const void *b) {
    const hn_case *const *x = a, *const *y = b;
    if ((*x)->split != (*y)->split) return (*x)->split < (*y)->split ? -1 : 1;
    return strcmp((*x)->group, (*y)->group);
}

static hn_status count_groups(const hn_dataset *d, hn_scope_report *r, hn_error *err) {
    const hn_case **named = hn_alloc(d->n_cases * sizeof *named);
    size_t n = 0;
    if (!named) return hn_fail_memory(err, d->n_cases * sizeof *named);
    for (size_t i = 0; i < d->n_cases; i++) {
        if (d->cases[i].group)
            named[n++] = &d->cases[i];
        else
            r->splits[d->cases[i].split].n_groups++;
    }
    qsort(named, n, sizeof *named, by_group);
    for (size_t i = 0; i < n; i++) {
        bool same = i > 0 && by_group(&named[i - 1], &named[i]) == 0;
        r->grouped = r->grouped || same;
        r->splits[named[i]->split].n_groups += !same;
    }
    hn_free(named);
    return HN_OK;
}

static hn_status count_cases(const hn_scope *scope, const hn_dataset *d, hn_scope_report *r, hn_error *err) {
    bool choice = scope->contract.kind == HN_CONTRACT_CHOICE;
    for (int s = 0; choice && s < HN_SPLIT_COUNT; s++) {
        r->splits[s].labels = hn_calloc(scope->contract.n_labels, sizeof *r->splits[s].labels);
        if (!r->splits[s].labels) return hn_fail_memory(err, scope->contract.n_labels * sizeof(size_t));
    }
    for (size_t i = 0; i < d->n_cases; i++) {
        const hn_case *c = &d->cases[i];
        hn_scope_split *split = &r->splits[c->split];
        split->n_cases++;
        if (!c->target) split->n_unlabelled++;
        if (choice && c->label >= 0 && (size_t)c->label < scope->contract.n_labels) split->labels[c->label]++;
    }
    return count_groups(d, r, err);
}

/* ---- lengths ---- */

static int by_int(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static hn_lengths summarise(int *values, size_t n) {
    qsort(values, n, sizeof *values, by_int);
    return n ? (hn_lengths){n, values[n / 2], values[(n - 1) * 95 / 100], values[n - 1]} : (hn_lengths){0};
}

static int count_words(const char *text, size_t n) {
    int words = 0;
    bool inside = false;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        bool space = hn_unicode_is_space(cp);
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static hn_status measure_lengths(const hn_dataset *d, const hn_tokenizer *tokenizer, hn_scope_report *r,
                                 hn_error *err) {
    int *words = hn_alloc(d->n_cases * sizeof *words), *tokens = hn_alloc(d->n_cases * sizeof *tokens);
    hn_buf text;
    hn_tokens ids = {0};
    hn_buf_init(&text, 0);
    hn_status st = words && tokens ? HN_OK : hn_fail_memory(err, d->n_cases * sizeof *words);
    for (size_t i = 0; i < d->n_cases && st == HN_OK; i++) {
        hn_buf_clear(&text);
        ids.n = 0;
        st = hn_case_text(&d->cases[i], &text, err);
        if (st == HN_OK) st = hn_buf_check(&text, "a case's text", err);
        if (st == HN_OK && tokenizer) st = hn_tokenizer_encode(tokenizer, hn_buf_str(&text), text.len, 0, &ids, err);
        words[i] = st == HN_OK ? count_words(hn_buf_str(&text), text.len) : 0;
        tokens[i] = (int)ids.n;
    }
    if (st == HN_OK) r->words = summarise(words, d->n_cases);
    if (st == HN_OK && tokenizer) r->tokens = summarise(tokens, d->n_cases);
    hn_tokens_free(&ids);
    hn_buf_free(&text);
    hn_free(words);
    hn_free(tokens);
    return st;
}

/* ---- what dev can show ---- */

static hn_status measure_dev(const hn_scope *scope, const hn_dataset *d, hn_store *store, hn_scope_report *r,
                             hn_error *err) {
    uint32_t *cases;
    size_t n, n_labelled = 0;
    HN_TRY(hn_dataset_select(d, HN_SPLIT_DEV, &cases, &n, err));
    for (size_t i = 0; i < n; i++)
        if (d->cases[cases[i]].target) cases[n_labelled++] = cases[i];
    hn_status st = hn_baselines_measure(d, &scope->contract, cases, n_labelled, store, &r->baselines, err);
    hn_free(cases);
    double groups = (double)r->splits[HN_SPLIT_DEV].n_groups;
    hn_interval i = hn_interval_wilson_share(0.8, groups, 0.05);
    r->interval_half_width = n_labelled ? (i.high - i.low) / 2 : (double)NAN;
    r->detectable =
        n_labelled ? hn_power_mcnemar_detectable(HN_SCOPE_DISCORDANCE, (double)n_labelled, 0.05, 0.8) : (double)NAN;
    r->cases_needed = hn_power_mcnemar_pairs(HN_SCOPE_DISCORDANCE, scope->smallest_difference, 0.05, 0.8);
    return st;
}

hn_status hn_scope_report_make(const hn_scope *scope, const hn_dataset *dataset, hn_store *store,
                               const hn_tokenizer *tokenizer, hn_scope_report *out, hn_error *err) {
    *out = (hn_scope_report){.scope = scope, .dataset = dataset};
    hn_status st = count_cases(scope, dataset, out, err);
    if (st == HN_OK) st = measure_lengths(dataset, tokenizer, out, err);
    if (st == HN_OK) st = measure_dev(scope, dataset, store, out, err);
    if (st != HN_OK) hn_scope_report_free(out);
    return st;
}

void hn_scope_report_free(hn_scope_report *r) {
    hn_baselines_free(&r->baselines);
    for (int s = 0; s < HN_SPLIT_COUNT; s++) hn_free(r->splits[s].labels);
    *r = (hn_scope_report){0};
}

/* ---- JSON ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }
static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

static json_t *split_json(const hn_scope_report *r, hn_split split) {
    const hn_scope_split *s = &r->splits[split];
    json_t *labels = json_object();
    bool fine = labels != NULL;
    for (size_t l = 0; fine && s->labels && l < r->scope->contract.n_labels; l++)
        fine = json_object_set_new(labels, r->scope->contract.labels[l], json_integer((json_int_t)s->labels[l])) == 0;
    json_t *value =
        fine ? json_pack("{s:I, s:I, s:I, s:O}", "cases", (json_int_t)s->n_cases, "groups", (json_int_t)s->n_groups,
                         "unlabelled", (json_int_t)s->n_unlabelled, "labels", labels)
             : NULL;
    json_decref(labels);
    return value;
}

static json_t *lengths_json(hn_lengths l) {
    return l.n ? json_pack("{s:i, s:i, s:i}", "median", l.median, "p95", l.p95, "max", l.max) : json_null();
}

static json_t *files_json(const hn_scope *s) {
    const struct {
        const char *name, *path;
    } files[] = {{"file", s->file}, {"train", s->train_file}, {"dev", s->dev_file}, {"test", s->test_file}};
    json_t *value = json_object();
    for (size_t i = 0; value && i < sizeof files / sizeof *files; i++) {
        if (!files[i].path || json_object_set_new(value, files[i].name, json_string(files[i].path)) == 0) continue;
        json_decref(value);
        value = NULL;
    }
    return value;
}

static json_t *limits_json(const hn_scope *s) {
    return json_pack("{s:o, s:o, s:o}", "latency_ms", number_or_null(s->limit_latency_ms), "memory_mb",
                     number_or_null(s->limit_memory_mb), "cost_per_1000", number_or_null(s->limit_cost_per_1000));
}

hn_status hn_scope_report_json(const hn_scope_report *r, json_t **value, hn_error *err) {
    static const char *const kinds[] = {"choice", "text", "number", "regex", "json"};
    const hn_scope *s = r->scope;
    json_t *baselines;
    HN_TRY(hn_baselines_json(&r->baselines, &baselines, err));
    *value = json_pack("{s:o, s:o, s:s, s:I, s:{s:o, s:o, s:o}, s:s, s:s, s:o, s:f, s:o, s:o, s:o}", "goal",
                       text_or_null(s->goal), "files", files_json(s), "dataset", r->dataset->hash, "cases",
                       (json_int_t)r->dataset->n_cases, "splits", "train", split_json(r, HN_SPLIT_TRAIN), "dev",
                       split_json(r, HN_SPLIT_DEV), "test", split_json(r, HN_SPLIT_TEST), "output",
                       kinds[s->contract.kind], "metric", s->metric, "target_value", number_or_null(s->target_value),
                       "smallest_difference", s->smallest_difference, "limits", limits_json(s), "model",
                       text_or_null(s->model), "baseline", text_or_null(s->baseline));
    bool fine = *value != NULL;
    json_t *rest =
        json_pack("{s:o, s:o, s:O, s:o, s:o, s:o, s:f}", "length_words", lengths_json(r->words), "length_tokens",
                  lengths_json(r->tokens), "baselines", baselines, "accuracy_margin",
                  number_or_null(r->interval_half_width), "detectable", number_or_null(r->detectable), "cases_needed",
                  number_or_null(ceil(r->cases_needed)), "discordance", HN_SCOPE_DISCORDANCE);
    json_decref(baselines);
    fine = fine && rest && json_object_update(*value, rest) == 0;
    json_decref(rest);
    if (fine) return HN_OK;
    json_decref(*value);
    *value = NULL;
    return hn_fail_memory(err, 0);
}
