/* Judging and keeping a release; see release_evidence.h. */
#include "lifecycle/deploy/release_evidence.h"

#include "base/hash.h"
#include "base/str.h"
#include "kernel/kernel.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
enum { NAME_MAX_CHARS = 63 };

/* `hone serve NAME` takes runs, too: what hn_run_find reads as one is no release's name. */
static bool means_a_run(const char *name) {
    size_t n = strlen(name);
    if (strcmp(name, "last") == 0) return true;
    if (strspn(name + (*name == 'r'), "0123456789") == n - (*name == 'r')) return true;
    return n >= 6 && strspn(name, "0123456789abcdef") == n;
}

static hn_status check_name(const char *name, hn_error *err) {
    size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_CHARS || strspn(name, NAME_LETTERS) != n || *name == '-' || means_a_run(name))
        return hn_fail(err, HN_ERR_USAGE, "--name",
                       "use letters, digits, . _ and -, at most 63, and nothing that means a run, such as r7",
                       "\"%.80s\" cannot be a release's name", name);
    return HN_OK;
}

static hn_status check_run(const hn_run *run, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    if (strcmp(run->kind, "eval") != 0 && strcmp(run->kind, "replay") != 0)
        return hn_fail(err, HN_ERR_INPUT, name, "evaluate it: `hone eval PROMPT -m tune:RUN`, and deploy that run",
                       "a %s is no evaluation: it shows nothing of what an app answers", run->kind);
    if (strcmp(run->state, "done") == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "finish it: run the `hone eval` that began it once more",
                   "the run is not finished: %lld of %lld cases are answered", (long long)run->n_done,
                   (long long)run->spec.n_cases);
}

/* ---- judging ---- */

static void object(hn_release_draft *d, const char *fmt, ...) HN_PRINTF(2, 3);
static void object(hn_release_draft *d, const char *fmt, ...) {
    va_list args;
    if (d->n_against == HN_RELEASE_AGAINST_MAX) return;
    va_start(args, fmt);
    vsnprintf(d->against[d->n_against++], sizeof d->against[0], fmt, args);
    va_end(args);
}

/* A target within the interval is missed where the number itself is not there. */
static bool misses(const hn_release_setup *s, const hn_release_draft *d, const hn_goal *g) {
    const hn_metric_value *m = &d->metric;
    if (g->state == HN_GOAL_MISSED) return true;
    if (g->state != HN_GOAL_UNSURE || strcmp(g->name, "target") != 0 || !m->known) return false;
    double value = m->estimate.value, wanted = s->scope->target_value;
    return m->lower_is_better ? !(value <= wanted) : !(value >= wanted);
}

static hn_status judge_goals(const hn_release_setup *s, hn_release_draft *d, hn_error *err) {
    hn_baselines baselines = {0};
    const hn_run *run = d->detail.run;
    HN_TRY(hn_run_metric(s->scope->metric, &d->detail.report, &d->detail.list, run->summary_json, &d->metric, err));
    if (s->dataset)
        HN_TRY(hn_baselines_of_rows(s->dataset, &s->scope->contract, &d->detail.list, s->store, &baselines, err));
    hn_goal_facts facts = {s->scope, s->store, run, &d->detail.list, &d->detail.report, s->dataset ? &baselines : NULL};
    hn_status st = hn_goals_check(&facts, &d->goals, err);
    if (s->dataset) hn_baselines_free(&baselines);
    for (size_t i = 0; st == HN_OK && i < d->goals.n; i++)
        if (misses(s, d, &d->goals.items[i])) object(d, "%.390s", d->goals.items[i].text);
    return st;
}

static hn_status judge_change(const hn_release_setup *s, hn_release_draft *d, hn_error *err) {
    char a[32], b[32];
    const hn_release *before = &d->before.rows[0];
    hn_error why;
    if (before->run_id == s->run->id)
        return hn_fail(err, HN_ERR_EXISTS, s->name, "nothing needs to be done: `hone serve` serves it",
                       "%s@%lld is r%lld already", before->name, (long long)before->number, (long long)s->run->id);
    snprintf(a, sizeof a, "r%lld", (long long)before->run_id);
    snprintf(b, sizeof b, "r%lld", (long long)s->run->id);
    hn_status st = hn_compare_runs(s->store, a, b, s->scope, &d->comparison, &why);
    if (st == HN_ERR_MEMORY || st == HN_ERR_INTERRUPTED || st == HN_ERR_IO) {
        if (err) *err = why;
        return st;
    }
    d->compared = st == HN_OK;
    if (!d->compared)
        object(d, "it cannot be held against %s@%lld (%s): %.200s", before->name, (long long)before->number, a,
               why.message);
    else if (d->comparison.verdict.kind == HN_VERDICT_WORSE)
        object(d, "it is worse than %s@%lld (%s) by %s: p = %.2g", before->name, (long long)before->number, a,
               d->comparison.metric, d->comparison.verdict.p);
    return HN_OK;
}

static hn_status judge(const hn_release_setup *s, hn_release_draft *d, hn_error *err) {
    char name[32];
    hn_error none;
    HN_TRY(check_name(s->name, err));
    HN_TRY(check_run(s->run, err));
    snprintf(name, sizeof name, "r%lld", (long long)s->run->id);
    HN_TRY(hn_run_detail_load(s->store, name, s->scope, &d->detail, err));
    HN_TRY(judge_goals(s, d, err));
    hn_status st = hn_release_find(s->store, s->name, &d->before, &none);
    if (st == HN_ERR_NOT_FOUND) return HN_OK; /* the first of its name */
    if (st == HN_OK) return judge_change(s, d, err);
    if (err) *err = none;
    return st;
}

hn_status hn_release_judge(const hn_release_setup *setup, hn_release_draft *draft, hn_error *err) {
    *draft = (hn_release_draft){0};
    hn_status st = judge(setup, draft, err);
    if (st != HN_OK) hn_release_draft_free(draft);
    return st;
}

void hn_release_draft_free(hn_release_draft *d) {
    hn_run_detail_free(&d->detail);
    if (d->compared) hn_comparison_free(&d->comparison);
    hn_release_list_free(&d->before);
    *d = (hn_release_draft){0};
}

/* ---- what is kept ---- */

static json_t *verdict_json(const hn_release_draft *d, hn_error *err) {
    json_t *value = NULL;
    if (!d->compared) return json_null();
    return hn_comparison_json(&d->comparison, &value, err) == HN_OK ? value : NULL;
}

hn_status hn_release_evidence_json(const hn_release_draft *d, json_t **value, hn_error *err) {
    const hn_run *run = d->detail.run;
    char name[32], before[128];
    json_t *goals = NULL, *against = json_array();
    *value = NULL;
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    if (d->before.n)
        snprintf(before, sizeof before, "%.63s@%lld", d->before.rows[0].name, (long long)d->before.rows[0].number);
    hn_status st = hn_goals_json(&d->goals, &goals, err);
    json_t *verdict = st == HN_OK ? verdict_json(d, err) : NULL;
    bool fine = against && verdict;
    for (size_t i = 0; fine && i < d->n_against; i++)
        fine = json_array_append_new(against, json_string_nocheck(d->against[i])) == 0;
    if (fine)
        *value = json_pack("{s:s, s:s?, s:I, s:s?, s:o, s:o, s:O, s:s?, s:O, s:O}", "run", name, "split",
                           run->spec.split, "n", (json_int_t)d->detail.list.n, "metric", run->spec.metric, "value",
                           d->metric.known ? hn_report_estimate_json(d->metric.estimate) : json_null(), "accuracy",
                           hn_report_estimate_json(d->detail.report.accuracy), "goals", goals, "previous",
                           d->before.n ? before : NULL, "verdict", verdict, "against", against);
    json_decref(goals);
    json_decref(verdict);
    json_decref(against);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status files_json(const hn_release_setup *s, json_t **files, hn_error *err) {
    hn_run_files kept;
    HN_TRY(hn_run_files_load(s->store, s->run->id, &kept, err));
    *files = json_object();
    bool fine = *files != NULL;
    for (size_t i = 0; fine && i < kept.n; i++)
        fine = json_object_set_new_nocheck(*files, kept.rows[i].role, json_string_nocheck(kept.rows[i].object)) == 0;
    hn_run_files_free(&kept);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* Everything that decides an answer, by hash where it is a file: prompt, hone.yaml (with contract and guards), data (with the example pool), model with
 * adapter, template, parameters, what was learnt about its probabilities, numeric path. */
static hn_status manifest_json(const hn_release_setup *s, const hn_frozen_app *frozen, json_t **value, hn_error *err) {
    const hn_run_spec *spec = &s->run->spec;
    json_t *files = NULL, *correction = NULL, *parameters = NULL;
    const char *text = spec->parameters_json;
    hn_status st = files_json(s, &files, err);
    if (st == HN_OK && frozen->corrected) st = hn_correction_json(&frozen->correction, &correction, err);
    if (st == HN_OK && text && *text) st = hn_json_parse(text, strlen(text), "parameters", 0, &parameters, err);
    *value = NULL;
    if (st == HN_OK)
        *value =
            json_pack("{s:i, s:s, s:s?, s:s?, s:s?, s:O, s:s?, s:s?, s:s?, s:s?, s:s?, s:i, s:s?, s:O?, s:O?}",
                      "format", 1, "run", s->run->content_id, "prompt", spec->prompt_name, "prompt_object",
                      spec->prompt_object, "scope_object", spec->scope_object, "files", files, "dataset",
                      spec->dataset_hash, "model", spec->model_name, "model_hash", spec->model_hash, "template_hash",
                      spec->template_hash, "numeric_path", spec->numeric_path, "kernel_version", HN_KERNEL_VERSION,
                      "code_version", spec->code_version, "parameters", parameters, "correction", correction);
    json_decref(files);
    json_decref(correction);
    json_decref(parameters);
    if (st == HN_OK && !*value) st = hn_fail_memory(err, 0);
    return st;
}

static hn_status add(const hn_release_setup *s, const json_t *manifest, const json_t *evidence, const char *reason,
                     hn_release *r, hn_error *err) {
    hn_buf m, e;
    char hash[HN_SHA256_HEX];
    hn_buf_init(&m, 0);
    hn_buf_init(&e, 0);
    hn_json_write(manifest, &(hn_json_style){.sort_keys = true}, &m);
    hn_json_write(evidence, NULL, &e);
    hn_status st = hn_buf_check(&m, "a manifest", err);
    if (st == HN_OK) st = hn_buf_check(&e, "evidence", err);
    if (st == HN_OK && hn_sha256_bytes(hn_buf_str(&m), m.len, hash) != HN_OK) st = hn_fail_memory(err, 0);
    *r = (hn_release){.name = s->name,
                      .run_id = s->run->id,
                      .content_id = hash,
                      .manifest_json = hn_buf_str(&m),
                      .evidence_json = hn_buf_str(&e),
                      .forced = reason};
    if (st == HN_OK) st = hn_release_add(s->store, r, err);
    r->content_id = r->manifest_json = r->evidence_json = NULL; /* they end here */
    hn_buf_free(&m);
    hn_buf_free(&e);
    return st;
}

hn_status hn_release_keep(const hn_release_setup *s, const hn_release_draft *d, const hn_frozen_app *frozen,
                          const char *reason, hn_release *release, hn_error *err) {
    json_t *manifest = NULL, *evidence = NULL;
    if (d->n_against && (!reason || !*reason))
        return hn_fail(err, HN_ERR_GATE, s->name, "--force REASON releases it all the same, and keeps the reason",
                       "not released: %.300s", d->against[0]);
    hn_status st = manifest_json(s, frozen, &manifest, err);
    if (st == HN_OK) st = hn_release_evidence_json(d, &evidence, err);
    if (st == HN_OK) st = add(s, manifest, evidence, d->n_against ? reason : NULL, release, err);
    json_decref(manifest);
    json_decref(evidence);
    return st;
}

hn_status hn_release_parse(const char *text, json_t **value, hn_error *err) {
    return hn_json_parse(text, strlen(text), "release", 0, value, err);
}
