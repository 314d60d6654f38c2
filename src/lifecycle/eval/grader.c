/* Graders; see grader.h. This file has what all kinds share; each kind is a table of functions in grader_<what>.c. */
#include "lifecycle/eval/grader.h"

#include "base/interrupt.h"
#include "lifecycle/eval/grader_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const hn_grader_kind *const kinds[] = {
    &hn_grader_exact,      &hn_grader_contains,      &hn_grader_starts_with, &hn_grader_regex,      &hn_grader_json,
    &hn_grader_numeric,    &hn_grader_choice,        &hn_grader_labels,      &hn_grader_set,        &hn_grader_list,
    &hn_grader_token_f1,   &hn_grader_edit_distance, &hn_grader_bleu,        &hn_grader_gleu,       &hn_grader_chrf,
    &hn_grader_ter,        &hn_grader_rouge,         &hn_grader_jaccard,     &hn_grader_similarity, &hn_grader_log_loss,
    &hn_grader_perplexity, &hn_grader_latency,       &hn_grader_cost,        &hn_grader_tokens,     &hn_grader_refusal,
    &hn_grader_tool_call,  &hn_grader_lua,           &hn_grader_program,     &hn_grader_judge};

void hn_grade_clear(hn_grade *grade) {
    hn_buf_free(&grade->details);
    *grade = (hn_grade){.value = (double)NAN};
}

hn_status hn_grader_open(const hn_grading *grading, const hn_grader_config *config, hn_grader **grader, hn_error *err) {
    *grader = NULL;
    hn_grader *g = hn_calloc(1, sizeof *g);
    if (!g) return hn_fail_memory(err, sizeof *g);
    g->config = config;
    g->grading = *grading;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, config->kind) == 0) g->kind = kinds[i];
    hn_status st = HN_OK;
    if (!g->kind)
        st = hn_fail(err, HN_ERR_UNSUPPORTED, config->place, NULL, "there is no grader `%s`", config->kind);
    else if (g->kind->open)
        st = g->kind->open(g, err);
    if (st == HN_OK)
        *grader = g;
    else
        hn_grader_free(g);
    return st;
}

void hn_grader_free(hn_grader *g) {
    if (!g) return;
    if (g->kind && g->kind->close) g->kind->close(g);
    hn_free(g);
}

const hn_grader_config *hn_grader_config_of(const hn_grader *g) { return g->config; }

hn_grader_traits hn_grader_traits_of(const hn_grader *g) {
    const hn_grader_kind *k = g->kind;
    hn_grader_traits t = {k->lower_is_better, k->range > 0 ? k->range : (double)NAN, k->unit ? k->unit : "",
                          k->corpus_name, k == &hn_grader_perplexity};
    if (k == &hn_grader_edit_distance && hn_grader_is(g, "as", "similarity")) {
        t.lower_is_better = false;
        t.range = 1;
    }
    return t;
}

/* ---- grading ---- */

hn_status hn_grader_grade(hn_grader *g, const hn_graded *item, hn_grade *grade, hn_error *err) {
    *grade = (hn_grade){.value = (double)NAN};
    hn_buf_init(&grade->details, 1 << 20);
    if (g->kind->needs_target && !item->row->target) return HN_OK;
    return g->kind->grade(g, item, grade, err);
}

hn_status hn_grader_grade_all(hn_grader *g, const hn_graded *items, size_t n, hn_grade_keep *keep, void *user,
                              hn_error *err) {
    if (g->kind->grade_all) return g->kind->grade_all(g, items, n, keep, user, err);
    hn_status st = HN_OK;
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        hn_grade grade;
        st = hn_interrupt_check(err);
        if (st != HN_OK) break;
        st = hn_grader_grade(g, &items[i], &grade, err);
        if (st == HN_OK) st = keep(user, i, &grade, err);
        hn_grade_clear(&grade);
        if (g->grading.on_progress && (i % 64 == 63 || i + 1 == n))
            g->grading.on_progress(g->grading.user, g->config->name, i + 1, n);
    }
    return st;
}

hn_status hn_grader_corpus(hn_grader *g, const hn_graded *items, const double *values, size_t n, double *value,
                           hn_error *err) {
    *value = (double)NAN;
    return g->kind->corpus && n ? g->kind->corpus(g, items, values, n, value, err) : HN_OK;
}

hn_status hn_grader_remarks(hn_grader *g, const hn_graded *items, const double *values, const char *const *details,
                            const uint32_t *groups, size_t n, json_t **remarks, hn_error *err) {
    *remarks = NULL;
    return g->kind->remarks ? g->kind->remarks(g, items, values, details, groups, n, remarks, err) : HN_OK;
}

/* ---- what kinds share ---- */

bool hn_grader_flag(const hn_grader *g, const char *option) {
    return json_is_true(json_object_get(g->config->options, option));
}

double hn_grader_number(const hn_grader *g, const char *option) {
    return json_number_value(json_object_get(g->config->options, option));
}

const char *hn_grader_option(const hn_grader *g, const char *option) {
    return json_string_value(json_object_get(g->config->options, option));
}

bool hn_grader_is(const hn_grader *g, const char *option, const char *text) {
    const char *value = hn_grader_option(g, option);
    return value && strcmp(value, text) == 0;
}

hn_str hn_grader_answer(const hn_graded *item) {
    const hn_prediction *row = item->row;
    return hn_str_trim(hn_str_of(row->error ? NULL : row->text ? row->text : row->value));
}

hn_status hn_grader_fail(const hn_grader *g, const hn_graded *item, const char *hint, hn_error *err, const char *fmt,
                         ...) {
    char text[480], where[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(where, sizeof where, "%.200s, case %.120s", g->config->place, item->row->case_id);
    return hn_fail(err, HN_ERR_INPUT, where, hint, "grader %s: %s", g->config->name, text);
}

hn_status hn_references_of(const hn_grader *g, const hn_graded *item, hn_references *out, hn_error *err) {
    const char *target = item->row->target;
    *out = (hn_references){.one = hn_str_trim(hn_str_of(target)), .n = 1};
    if (!hn_grader_flag(g, "several")) return HN_OK;
    hn_error why;
    hn_status st = hn_json_parse(target, strlen(target), "target", HN_JSON_ANY, &out->list, &why);
    if (st == HN_ERR_MEMORY) return hn_fail_memory(err, 0);
    size_t n = st == HN_OK ? json_array_size(out->list) : 0;
    bool texts = n > 0;
    for (size_t i = 0; i < n; i++) texts = texts && json_is_string(json_array_get(out->list, i));
    if (!texts) {
        hn_references_free(out);
        return hn_grader_fail(g, item, "write the targets as [\"one\", \"another\"], or take `several` out", err,
                              "the target is no JSON list of texts: %.80s", target);
    }
    out->items = hn_calloc(n, sizeof *out->items);
    if (!out->items) {
        hn_references_free(out);
        return hn_fail_memory(err, n * sizeof *out->items);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(out->list, i);
        out->items[i] = hn_str_trim((hn_str){json_string_value(text), json_string_length(text)});
    }
    out->n = n;
    return HN_OK;
}

void hn_references_free(hn_references *r) {
    hn_free(r->items);
    json_decref(r->list);
    *r = (hn_references){0};
}
