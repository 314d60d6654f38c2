/* Judging again; see regrade.h. The new run is found by its content id, like any other: parent, contract, targets and graders go into it. */
#include "lifecycle/iterate/regrade.h"

#include "app/answer_parse.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/iterate/kept_project.h"
#include "project/prompt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the run whose answers are judged ---- */

static hn_status find_parent(hn_store *store, const char *name, hn_run **run, hn_error *err) {
    hn_run_links links;
    HN_TRY(hn_run_find(store, name, run, err));
    int64_t id = (*run)->id, parent = id;
    HN_TRY(hn_run_links_load(store, id, &links, err));
    for (size_t i = 0; i < links.n; i++)
        if (links.rows[i].run_id == id && strcmp(links.rows[i].role, "regrade") == 0) parent = links.rows[i].parent_id;
    hn_run_links_free(&links);
    if (parent != id) {
        char alias[32];
        snprintf(alias, sizeof alias, "r%lld", (long long)parent);
        hn_run_free(*run);
        *run = NULL;
        HN_TRY(hn_run_find(store, alias, run, err));
    }
    if (strcmp((*run)->state, "done") == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "finish it: run the `hone eval` that began it once more",
                   "the run is not finished: %lld of %lld cases are answered", (long long)(*run)->n_done,
                   (long long)(*run)->spec.n_cases);
}

/* The prompt as it was, for its wordings; NULL where it cannot be read by today's scope. */
static hn_prompt *prompt_as_it_was(hn_store *store, const hn_run *run) {
    hn_kept_project kept;
    hn_prompt *prompt = NULL;
    hn_error unused;
    if (hn_kept_open(store, run, &kept, &unused) != HN_OK) return NULL;
    if (kept.project && *kept.prompt_path &&
        hn_prompt_load(kept.prompt_path, hn_project_scope(kept.project), NULL, &prompt, &unused) != HN_OK)
        prompt = NULL;
    hn_kept_close(&kept);
    return prompt;
}

/* ---- one answer ---- */

typedef struct judge {
    const hn_contract *contract;
    hn_answer_parser *parser;
    hn_arena *arena;
} judge;

static bool is_label(const hn_contract *c, const char *text) {
    for (size_t i = 0; i < c->n_labels; i++)
        if (strcmp(c->labels[i], text) == 0) return true;
    return false;
}

/* Sets value, correct and score of a row whose target is today's. */
static hn_status judge_row(const judge *j, hn_prediction *row, hn_error *err) {
    hn_parsed parsed = {0};
    const char *value = NULL;
    if (row->text && !row->error) {
        HN_TRY(hn_answer_parse(j->parser, row->text, strlen(row->text), &parsed, err));
        if (parsed.valid) {
            value = hn_arena_strdup(j->arena, parsed.text);
            if (!value) {
                hn_parsed_free(&parsed);
                return hn_fail_memory(err, 64);
            }
        }
        hn_parsed_free(&parsed);
    } else if (row->value && !row->error) {
        value = j->contract->kind != HN_CONTRACT_CHOICE || is_label(j->contract, row->value) ? row->value : NULL;
    }
    row->value = value;
    row->correct = !row->error && hn_grade_answer(j->contract, row->target, value);
    row->score = row->correct;
    return HN_OK;
}

/* ---- all of them ---- */

static int by_id(const void *a, const void *b) {
    const hn_case *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

/* r->before and r->after: the cases that the data still has, at new positions, with today's targets and groups. */
static hn_status match_cases(hn_regrade *r, const hn_dataset *d, hn_error *err) {
    const hn_case **index = hn_alloc((d->n_cases ? d->n_cases : 1) * sizeof *index);
    size_t n = 0;
    r->after.rows = hn_calloc(r->before.n ? r->before.n : 1, sizeof *r->after.rows);
    if (!index || !r->after.rows) {
        hn_free(index);
        return hn_fail_memory(err, d->n_cases * sizeof *index);
    }
    for (size_t i = 0; i < d->n_cases; i++) index[i] = &d->cases[i];
    qsort(index, d->n_cases, sizeof *index, by_id);
    for (size_t i = 0; i < r->before.n; i++) {
        hn_prediction *old = &r->before.rows[i];
        const hn_case wanted = {.id = old->case_id}, *key = &wanted;
        const hn_case **found = bsearch(&key, index, d->n_cases, sizeof *index, by_id);
        if (!found || !(*found)->target) continue;
        hn_prediction *now = &r->after.rows[n];
        r->before.rows[n] = *old;
        *now = r->before.rows[n];
        now->position = (int64_t)n++;
        r->n_targets += !old->target || strcmp(old->target, (*found)->target) != 0;
        now->target = (*found)->target;
        now->group = (*found)->group;
        now->from_cache = true; /* no model time was taken */
    }
    hn_free(index);
    r->n_gone = r->before.n - n;
    r->before.n = r->after.n = n;
    if (n) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "data", "regrade needs the cases that the run answered",
                   "none of the run's %zu cases is in the data any more", r->n_gone);
}

static hn_status judge_rows(const hn_grading *g, hn_regrade *r, hn_error *err) {
    const hn_contract *c = &g->scope->contract;
    judge j = {.contract = c};
    hn_prompt *prompt = prompt_as_it_was(g->store, r->parent);
    bool same = prompt && c->kind == HN_CONTRACT_CHOICE && prompt->n_labels == c->n_labels;
    for (size_t i = 0; same && i < c->n_labels; i++) same = strcmp(prompt->labels[i], c->labels[i]) == 0;
    hn_status st = hn_answer_parser_create(c, same ? prompt->wordings : NULL, &j.parser, err);
    if (st == HN_OK && !(j.arena = r->after.arena = hn_arena_create(0))) st = hn_fail_memory(err, 0);
    for (size_t i = 0; i < r->after.n && st == HN_OK; i++) {
        st = judge_row(&j, &r->after.rows[i], err);
        r->n_changed += st == HN_OK && r->after.rows[i].correct != r->before.rows[i].correct;
    }
    hn_answer_parser_free(j.parser);
    hn_prompt_free(prompt);
    return st;
}

/* ---- the new run ---- */

static hn_status parameters_of(const hn_run *parent, hn_buf *out, hn_error *err) {
    json_t *parameters = NULL;
    const char *text = parent->spec.parameters_json;
    if (text) HN_TRY(hn_json_parse(text, strlen(text), "the run's parameters", 0, &parameters, err));
    if (!parameters) parameters = json_object();
    hn_buf_init(out, 0);
    bool fine = parameters && json_object_set_new(parameters, "regrade_of", json_string(parent->content_id)) == 0 &&
                json_object_set_new(parameters, "regrade_run", json_integer(parent->id)) == 0;
    if (fine) hn_json_write(parameters, &(hn_json_style){.sort_keys = true}, out);
    json_decref(parameters);
    if (!fine) return hn_fail_memory(err, 0);
    return hn_buf_check(out, "the run's parameters", err);
}

static hn_status put_scope(hn_store *store, const hn_scope *scope, char hash[65], hn_error *err) {
    char *bytes;
    size_t n;
    HN_TRY(hn_file_read(scope->config_path, (size_t)16 << 20, &bytes, &n, err));
    hn_status st = hn_object_put(store, bytes, n, hash, err);
    hn_free(bytes);
    return st;
}

static hn_status begin(const hn_grading *g, const hn_project *project, hn_regrade *r, hn_error *err) {
    hn_run_spec spec = r->parent->spec;
    char set_hash[HN_SHA256_HEX], scope_object[65];
    hn_buf parameters;
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    for (size_t i = 0; i < r->after.n; i++) hn_sha256_field_str(h, r->after.rows[i].case_id);
    hn_sha256_finish(h, set_hash);
    HN_TRY(put_scope(g->store, g->scope, scope_object, err));
    hn_status st = parameters_of(r->parent, &parameters, err);
    spec.kind = "regrade";
    spec.scope_object = scope_object;
    spec.scope_hash = hn_project_scope_hash(project);
    spec.dataset_hash = g->dataset->hash;
    spec.n_cases = (int64_t)r->after.n;
    spec.case_set_hash = set_hash;
    spec.parameters_json = hn_buf_str(&parameters);
    spec.code_version = HONE_VERSION;
    spec.metric = g->scope->metric;
    if (st == HN_OK) st = hn_run_begin(g->store, &spec, false, &r->run, &r->start, err);
    hn_buf_free(&parameters);
    return st;
}

static hn_status finish(const hn_grading *g, hn_regrade *r, double started, hn_error *err) {
    json_t *extra = json_pack("{s:I, s:I}", "regrade_of", (json_int_t)r->parent->id, "marks_changed",
                              (json_int_t)r->n_changed),
           *summary = NULL;
    hn_buf text;
    if (!extra) return hn_fail_memory(err, 0);
    hn_status st = hn_grade_into(g, r->run->id, &r->after, extra, err);
    if (st == HN_OK) st = hn_report_summary(&r->report, hn_clock_seconds() - started, extra, &summary, err);
    json_decref(extra);
    HN_TRY(st);
    hn_buf_init(&text, 0);
    hn_json_write(summary, NULL, &text);
    json_decref(summary);
    st = hn_buf_check(&text, "the run's summary", err);
    if (st == HN_OK) st = hn_run_finish(g->store, r->run->id, hn_buf_str(&text), err);
    if (st == HN_OK && !(r->run->summary_json = hn_arena_strdup(r->run->arena, hn_buf_str(&text))))
        st = hn_fail_memory(err, text.len);
    hn_buf_free(&text);
    return st;
}

static hn_status regrade(const hn_grading *g, const hn_project *project, const char *name, hn_regrade *r,
                         hn_error *err) {
    const hn_contract *c = &g->scope->contract;
    double started = hn_clock_seconds();
    HN_TRY(find_parent(g->store, name, &r->parent, err));
    HN_TRY(hn_prediction_load(g->store, r->parent->id, &r->before, err));
    HN_TRY(match_cases(r, g->dataset, err));
    HN_TRY(judge_rows(g, r, err));
    if (c->kind == HN_CONTRACT_CHOICE) {
        r->labels = (const char **)c->labels;
        r->n_labels = c->n_labels;
    }
    HN_TRY(hn_report_build(&r->after, r->labels, r->n_labels, &r->report, err));
    HN_TRY(hn_report_build(&r->before, NULL, 0, &r->report_before, err));
    HN_TRY(begin(g, project, r, err));
    if (r->start == HN_RUN_DONE) return HN_OK;
    HN_TRY(hn_run_link_add(g->store, r->run->id, r->parent->id, "regrade", err));
    HN_TRY(hn_kept_put(g->store, r->run->id, g->scope, err));
    HN_TRY(hn_prediction_add(g->store, r->run->id, r->after.rows, r->after.n, err));
    return finish(g, r, started, err);
}

hn_status hn_regrade_run(const hn_grading *grading, const hn_project *project, const char *name, hn_regrade *out,
                         hn_error *err) {
    *out = (hn_regrade){0};
    hn_status st = regrade(grading, project, name, out, err);
    if (st != HN_OK) hn_regrade_free(out);
    return st;
}

void hn_regrade_free(hn_regrade *r) {
    hn_report_free(&r->report);
    hn_report_free(&r->report_before);
    hn_prediction_list_free(&r->after);
    hn_prediction_list_free(&r->before);
    hn_run_free(r->run);
    hn_run_free(r->parent);
    *r = (hn_regrade){0};
}

static json_t *changed_json(const hn_regrade *r) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->after.n; i++) {
        const hn_prediction *a = &r->after.rows[i], *b = &r->before.rows[i];
        if (a->correct == b->correct) continue;
        json_t *one = json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:b}", "case", a->case_id, "target", a->target,
                                "target_was", b->target, "value", a->value, "value_was", b->value, "right", a->correct);
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

hn_status hn_regrade_json(const hn_regrade *r, json_t **value, hn_error *err) {
    char run[32], parent[32];
    hn_grade_lines lines;
    snprintf(run, sizeof run, "r%lld", (long long)r->run->id);
    snprintf(parent, sizeof parent, "r%lld", (long long)r->parent->id);
    HN_TRY(hn_grade_lines_read(r->run->summary_json, &lines, err));
    *value = json_pack(
        "{s:s, s:s, s:I, s:o, s:I, s:I, s:{s:o, s:o}, s:o}", "run", run, "parent", parent, "n", (json_int_t)r->after.n,
        "changed", changed_json(r), "targets_changed", (json_int_t)r->n_targets, "cases_gone", (json_int_t)r->n_gone,
        "accuracy", "before", hn_report_estimate_json(r->report_before.accuracy), "after",
        hn_report_estimate_json(r->report.accuracy), "graders", lines.json ? json_incref(lines.json) : json_array());
    hn_grade_lines_free(&lines);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
