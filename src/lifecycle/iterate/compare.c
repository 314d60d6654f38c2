/* Comparing runs; see compare.h. */
#include "lifecycle/iterate/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hn_status check_run(const hn_run *run, hn_error *err) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    if (strcmp(run->state, "done") == 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, name, "finish it: run the `hone eval` that began it once more",
                   "the run is not finished: %lld of %lld cases are answered", (long long)run->n_done,
                   (long long)run->spec.n_cases);
}

static bool same_text(const char *a, const char *b) { return strcmp(a ? a : "", b ? b : "") == 0; }

/* A run and what `hone regrade` made of it have the same answers, whatever became of the data. */
static hn_status regrade_parent(hn_store *store, int64_t run_id, int64_t *parent, hn_error *err) {
    hn_run_links links;
    *parent = run_id; /* a run that was not made so is its own root */
    HN_TRY(hn_run_links_load(store, run_id, &links, err));
    for (size_t i = 0; i < links.n; i++)
        if (links.rows[i].run_id == run_id && strcmp(links.rows[i].role, "regrade") == 0)
            *parent = links.rows[i].parent_id;
    hn_run_links_free(&links);
    return HN_OK;
}

static hn_status are_related(hn_store *store, const hn_run *a, const hn_run *b, bool *related, hn_error *err) {
    int64_t parent_a, parent_b;
    HN_TRY(regrade_parent(store, a->id, &parent_a, err));
    HN_TRY(regrade_parent(store, b->id, &parent_b, err));
    *related = parent_a == parent_b;
    return HN_OK;
}

static hn_status check_pair(hn_store *store, const hn_run *a, const hn_run *b, bool partial, hn_error *err) {
    bool related;
    if (!partial) HN_TRY(check_run(a, err));
    if (!partial) HN_TRY(check_run(b, err));
    if (!same_text(a->spec.split, b->spec.split))
        return hn_fail(err, HN_ERR_INPUT, "runs", "evaluate both on one split: `hone eval --split ...`",
                       "r%lld is on the %s split and r%lld on %s: they share no cases", (long long)a->id, a->spec.split,
                       (long long)b->id, b->spec.split);
    HN_TRY(are_related(store, a, b, &related, err));
    if (!related && !same_text(a->spec.dataset_hash, b->spec.dataset_hash))
        return hn_fail(err, HN_ERR_INPUT, "runs", "evaluate both prompts again on the data as it is now",
                       "the data changed between r%lld (%.8s) and r%lld (%.8s)", (long long)a->id, a->spec.dataset_hash,
                       (long long)b->id, b->spec.dataset_hash);
    return HN_OK;
}

/* The labels as run B had them (where it is unfinished: as A had them). */
static hn_status read_labels(hn_comparison *c, hn_error *err) {
    hn_run *run = c->run_b->summary_json ? c->run_b : c->run_a;
    json_t *summary;
    if (!run->summary_json) return HN_OK;
    HN_TRY(hn_json_parse(run->summary_json, strlen(run->summary_json), "run summary", 0, &summary, err));
    c->labels_json = json_incref(json_object_get(summary, "labels"));
    json_decref(summary);
    size_t n = json_array_size(c->labels_json);
    if (n == 0) return HN_OK;
    c->labels = hn_calloc(n, sizeof *c->labels);
    if (!c->labels) return hn_fail_memory(err, n * sizeof *c->labels);
    for (size_t i = 0; i < n; i++) {
        c->labels[i] = json_string_value(json_array_get(c->labels_json, i));
        if (!c->labels[i]) return hn_fail(err, HN_ERR_INPUT, "run summary", NULL, "its labels are not all texts");
    }
    c->n_labels = n;
    return HN_OK;
}

static int by_case(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    return strcmp((*x)->case_id, (*y)->case_id);
}

/* Whether the rows answer the same cases in the same order, as runs of one command do. */
static bool in_step(const hn_prediction_list *a, const hn_prediction_list *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->rows[i].case_id, b->rows[i].case_id) != 0) return false;
    return true;
}

/* B's cases that A answered too, in B's order. */
static hn_status match_cases(hn_comparison *c, hn_error *err) {
    size_t n_a = c->list_a.n, n_b = c->list_b.n;
    const hn_prediction **index = hn_alloc(n_a * sizeof *index);
    c->shared_a.rows = hn_calloc(n_b, sizeof *c->shared_a.rows);
    c->shared_b.rows = hn_calloc(n_b, sizeof *c->shared_b.rows);
    c->flips = hn_calloc(n_b, sizeof *c->flips);
    if (!index || !c->shared_a.rows || !c->shared_b.rows || !c->flips) {
        hn_free(index);
        return hn_fail_memory(err, n_b * sizeof *c->shared_a.rows);
    }
    bool aligned = in_step(&c->list_a, &c->list_b); /* nearly always: then nothing is searched for */
    for (size_t i = 0; i < n_a; i++) index[i] = &c->list_a.rows[i];
    if (!aligned) qsort(index, n_a, sizeof *index, by_case);
    for (size_t i = 0; i < n_b; i++) {
        const hn_prediction *b = &c->list_b.rows[i];
        const hn_prediction **found = aligned ? &index[i] : bsearch(&b, index, n_a, sizeof *index, by_case);
        if (!found) continue;
        c->shared_a.rows[c->shared_a.n++] = **found;
        c->shared_b.rows[c->shared_b.n++] = *b;
        if ((*found)->correct != b->correct) c->flips[c->n_flips++] = (hn_flip){*found, b};
    }
    hn_free(index);
    if (c->shared_b.n > 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "runs", "evaluate both prompts with the same --limit, or none",
                   "r%lld and r%lld share no cases", (long long)c->run_a->id, (long long)c->run_b->id);
}

hn_status hn_compare_with_right(const unsigned char *right, const hn_prediction_list *rows, double smallest_difference,
                                hn_verdict *verdict, hn_error *err) {
    size_t n = rows->n, n_groups;
    bool several;
    double *scores = hn_alloc(2 * n * sizeof *scores);
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    hn_status st = scores && groups ? HN_OK : hn_fail_memory(err, 2 * n * sizeof *scores);
    if (st == HN_OK) st = hn_report_groups(rows->rows, n, groups, &n_groups, &several, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        scores[i] = right[i];
        scores[n + i] = rows->rows[i].correct;
    }
    hn_verdict_options options = {.smallest_difference = smallest_difference, .seed = HN_REPORT_SEED};
    if (st == HN_OK) st = hn_verdict_judge(scores, scores + n, several ? groups : NULL, n, &options, verdict, err);
    hn_free(scores);
    hn_free(groups);
    return st;
}

/* About the scope's metric, where both runs have it. */
static hn_status judge_metric(hn_store *store, hn_comparison *c, const hn_scope *scope, bool *done, hn_error *err) {
    hn_metric_verdict m;
    *done = false;
    if (strcmp(scope->metric, "accuracy") == 0) return HN_OK;
    HN_TRY(hn_metric_judge(store, c->run_a, c->run_b, &c->shared_a, &c->shared_b, c->labels, c->n_labels, scope->metric,
                           scope->smallest_difference, &m, err));
    if (!m.known) return HN_OK;
    *done = true;
    c->metric = scope->metric;
    c->metric_a = m.a;
    c->metric_b = m.b;
    c->verdict = m.verdict;
    return HN_OK;
}

static hn_status judge(hn_store *store, hn_comparison *c, const hn_scope *scope, hn_error *err) {
    size_t n = c->shared_b.n;
    bool done;
    HN_TRY(judge_metric(store, c, scope, &done, err));
    if (done) return HN_OK;
    c->metric = "accuracy";
    HN_TRY(hn_run_metric("accuracy", &c->report_a, &c->shared_a, NULL, &c->metric_a, err));
    HN_TRY(hn_run_metric("accuracy", &c->report_b, &c->shared_b, NULL, &c->metric_b, err));
    unsigned char *right = hn_alloc(n);
    if (!right) return hn_fail_memory(err, n);
    for (size_t i = 0; i < n; i++) right[i] = c->shared_a.rows[i].correct;
    hn_status st = hn_compare_with_right(right, &c->shared_b, scope->smallest_difference, &c->verdict, err);
    hn_free(right);
    return st;
}

hn_status hn_compare_graders(hn_store *store, const hn_comparison *c, hn_grader_verdict **verdicts, size_t *n,
                             hn_error *err) {
    hn_grade_lines lines;
    *verdicts = NULL;
    *n = 0;
    HN_TRY(hn_grade_lines_read(c->run_b->summary_json, &lines, err));
    hn_status st = HN_OK;
    hn_grader_verdict *all = hn_calloc(lines.n ? lines.n : 1, sizeof *all);
    if (!all) st = hn_fail_memory(err, lines.n * sizeof *all);
    for (size_t i = 0; st == HN_OK && i < lines.n; i++) {
        hn_grader_verdict *v = &all[*n];
        snprintf(v->name, sizeof v->name, "%s", lines.lines[i].name);
        st = hn_metric_judge(store, c->run_a, c->run_b, &c->shared_a, &c->shared_b, c->labels, c->n_labels, v->name, 0,
                             &v->v, err);
        if (st == HN_OK && v->v.known) ++*n;
    }
    hn_grade_lines_free(&lines);
    if (st == HN_OK)
        *verdicts = all;
    else
        hn_free(all);
    return st;
}

/* As many answers as there are from the first case on without a gap. */
static size_t answered_prefix(const hn_prediction_list *list) {
    size_t n = 0;
    while (n < list->n && list->rows[n].position == (int64_t)n) n++;
    return n;
}

/* Unfinished runs have answered whatever was quick; only their beginnings are a fair sample. */
static hn_status keep_beginnings(hn_comparison *c, hn_error *err) {
    size_t a = answered_prefix(&c->list_a), b = answered_prefix(&c->list_b), n = a < b ? a : b, same = 0;
    while (same < n && strcmp(c->list_a.rows[same].case_id, c->list_b.rows[same].case_id) == 0) same++;
    c->list_a.n = c->list_b.n = same;
    if (same > 0) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "runs", "let them go on: run the `hone eval` that began them once more",
                   "r%lld and r%lld have not answered the same first cases yet", (long long)c->run_a->id,
                   (long long)c->run_b->id);
}

static hn_status judge_partial(hn_comparison *c, hn_error *err) {
    size_t n = c->shared_b.n, n_groups;
    bool several;
    double *scores = hn_alloc(2 * n * sizeof *scores);
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    hn_status st = scores && groups ? HN_OK : hn_fail_memory(err, 2 * n * sizeof *scores);
    if (st == HN_OK) st = hn_report_groups(c->shared_b.rows, n, groups, &n_groups, &several, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        scores[i] = c->shared_a.rows[i].correct;
        scores[n + i] = c->shared_b.rows[i].correct;
    }
    if (st == HN_OK)
        st = hn_repeated_looks_judge(scores, scores + n, several ? groups : NULL, n, HN_REPEATED_LOOKS_EVERY, 0.05,
                                     &c->sequence, err);
    hn_free(scores);
    hn_free(groups);
    c->verdict.kind = c->sequence.kind;
    c->verdict.p = c->sequence.p;
    c->verdict.test = "betting on the cases that one alone gets right, looked at after every 50";
    c->verdict.difference.low = c->verdict.difference.high = (double)NAN;
    return st;
}

static bool is_done(const hn_run *run) { return strcmp(run->state, "done") == 0; }

static hn_status compare(hn_store *store, const char *a, const char *b, const hn_scope *given,
                         const hn_compare_options *options, hn_comparison *c, hn_error *err) {
    static char accuracy[] = "accuracy";
    hn_scope changed = *given, *scope = &changed;
    if (isfinite(options->smallest_difference)) scope->smallest_difference = options->smallest_difference;
    HN_TRY(hn_run_find(store, a, &c->run_a, err));
    HN_TRY(hn_run_find(store, b, &c->run_b, err));
    HN_TRY(check_pair(store, c->run_a, c->run_b, options->partial, err));
    c->partial = !is_done(c->run_a) || !is_done(c->run_b);
    c->paths_differ = !same_text(c->run_a->spec.numeric_path, c->run_b->spec.numeric_path);
    c->models_differ = !same_text(c->run_a->spec.model_hash, c->run_b->spec.model_hash);
    HN_TRY(hn_prediction_load(store, c->run_a->id, &c->list_a, err));
    HN_TRY(hn_prediction_load(store, c->run_b->id, &c->list_b, err));
    if (c->partial) HN_TRY(keep_beginnings(c, err));
    HN_TRY(read_labels(c, err));
    HN_TRY(match_cases(c, err));
    HN_TRY(hn_report_build(&c->shared_a, c->labels, c->n_labels, &c->report_a, err));
    HN_TRY(hn_report_build(&c->shared_b, c->labels, c->n_labels, &c->report_b, err));
    if (c->partial) scope->metric = accuracy;
    HN_TRY(judge(store, c, scope, err));
    return c->partial ? judge_partial(c, err) : HN_OK;
}

hn_status hn_compare_runs_with(hn_store *store, const char *a, const char *b, const hn_scope *scope,
                               const hn_compare_options *options, hn_comparison *out, hn_error *err) {
    *out = (hn_comparison){0};
    hn_status st = compare(store, a, b, scope, options, out, err);
    if (st != HN_OK) hn_comparison_free(out);
    return st;
}

hn_status hn_compare_runs(hn_store *store, const char *a, const char *b, const hn_scope *scope, hn_comparison *out,
                          hn_error *err) {
    hn_compare_options options = {.smallest_difference = (double)NAN};
    return hn_compare_runs_with(store, a, b, scope, &options, out, err);
}

/* ---- the verdict alone ---- */

static hn_status judge_marks(hn_comparison *c, bool same_cases, double smallest_difference, hn_error *err) {
    const hn_prediction_list *a = &c->list_a, *b = &c->list_b;
    if (!same_cases && !in_step(a, b)) {
        HN_TRY(match_cases(c, err));
        a = &c->shared_a;
        b = &c->shared_b;
    }
    unsigned char *right = hn_alloc(a->n + 1);
    if (!right) return hn_fail_memory(err, a->n);
    for (size_t i = 0; i < a->n; i++) right[i] = a->rows[i].correct;
    hn_status st = hn_compare_with_right(right, b, smallest_difference, &c->verdict, err);
    hn_free(right);
    return st;
}

static hn_status verdict_of_metric(hn_store *store, const hn_run *a, const hn_run *b, const hn_scope *scope,
                                   hn_short_verdict *out, hn_error *err) {
    hn_comparison c;
    char name_a[32], name_b[32];
    snprintf(name_a, sizeof name_a, "r%lld", (long long)a->id);
    snprintf(name_b, sizeof name_b, "r%lld", (long long)b->id);
    HN_TRY(hn_compare_runs(store, name_a, name_b, scope, &c, err));
    *out = (hn_short_verdict){c.verdict, c.metric_b.factor, ""};
    snprintf(out->unit, sizeof out->unit, "%s", c.metric_b.unit);
    hn_comparison_free(&c);
    return HN_OK;
}

hn_status hn_compare_verdict(hn_store *store, const hn_run *a, const hn_run *b, const hn_scope *scope,
                             hn_short_verdict *out, hn_error *err) {
    hn_comparison c = {0};
    if (strcmp(scope->metric, "accuracy") != 0) return verdict_of_metric(store, a, b, scope, out, err);
    HN_TRY(check_pair(store, a, b, false, err));
    hn_run run_a = *a, run_b = *b; /* match_cases names them in its error */
    c.run_a = &run_a;
    c.run_b = &run_b;
    /* A finished run has an answer to each of its cases, so the same set of cases needs no matching. */
    bool same_cases = a->spec.case_set_hash && *a->spec.case_set_hash &&
                      same_text(a->spec.case_set_hash, b->spec.case_set_hash) && a->n_done == a->spec.n_cases &&
                      b->n_done == b->spec.n_cases;
    hn_status st = hn_prediction_load_marks(store, a->id, !same_cases, &c.list_a, err);
    if (st == HN_OK) st = hn_prediction_load_marks(store, b->id, !same_cases, &c.list_b, err);
    if (st == HN_OK && same_cases && c.list_a.n != c.list_b.n)
        st =
            hn_fail(err, HN_ERR_INPUT, "runs", "evaluate both prompts again", "answers of one of the runs are missing");
    if (st == HN_OK) st = judge_marks(&c, same_cases, scope->smallest_difference, err);
    if (st == HN_OK) *out = (hn_short_verdict){c.verdict, 100, "points"};
    c.run_a = c.run_b = NULL;
    hn_comparison_free(&c);
    return st;
}

void hn_comparison_free(hn_comparison *c) {
    hn_report_free(&c->report_a);
    hn_report_free(&c->report_b);
    hn_prediction_list_free(&c->shared_a);
    hn_prediction_list_free(&c->shared_b);
    hn_prediction_list_free(&c->list_a);
    hn_prediction_list_free(&c->list_b);
    hn_run_free(c->run_a);
    hn_run_free(c->run_b);
    hn_free(c->flips);
    hn_free(c->labels);
    json_decref(c->labels_json);
    *c = (hn_comparison){0};
}

bool hn_comparison_not_worse(const hn_comparison *c) {
    const hn_verdict *v = &c->verdict;
    bool less_is_better = c->metric_b.lower_is_better;
    double margin = v->smallest_difference;
    return less_is_better ? v->difference.high < margin : v->difference.low > -margin;
}

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

hn_status hn_comparison_json(const hn_comparison *c, json_t **value, hn_error *err) {
    const hn_verdict *v = &c->verdict;
    char a[32], b[32];
    snprintf(a, sizeof a, "r%lld", (long long)c->run_a->id);
    snprintf(b, sizeof b, "r%lld", (long long)c->run_b->id);
    json_t *needed = v->cases_needed >= 0 ? json_integer(v->cases_needed) : json_null();
    *value =
        json_pack("{s:s, s:s, s:o, s:o, s:s, s:I, s:I, s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:b, s:b, s:{s:o, s:o}}",
                  "verdict", hn_verdict_name(v->kind), "metric", c->metric, "difference",
                  hn_report_estimate_json(v->difference), "p", number_or_null(v->p), "test", v->test, "only_a_right",
                  (json_int_t)v->only_a_right, "only_b_right", (json_int_t)v->only_b_right, "detectable",
                  number_or_null(v->detectable), "smallest_difference", number_or_null(v->smallest_difference),
                  "cases_needed", needed, "a", a, "b", b, "n", (json_int_t)v->n, "n_groups", (json_int_t)v->n_groups,
                  "numeric_paths_differ", c->paths_differ, "models_differ", c->models_differ, "accuracy", "a",
                  hn_report_estimate_json(c->report_a.accuracy), "b", hn_report_estimate_json(c->report_b.accuracy));
    if (!*value) return hn_fail_memory(err, 0);
    const hn_repeated_looks *s = &c->sequence;
    json_t *sequence = c->partial
                           ? json_pack("{s:f, s:I, s:I, s:o}", "p", s->p, "n_used", (json_int_t)s->n_used, "looks",
                                       (json_int_t)s->n_looks, "share", hn_report_estimate_json(s->share))
                           : json_null();
    if (json_object_set_new(*value, "sequence", sequence) == 0 &&
        json_object_set_new(*value, "partial", json_boolean(c->partial)) == 0 &&
        json_object_set_new(*value, "not_worse", json_boolean(hn_comparison_not_worse(c))) == 0)
        return HN_OK;
    json_decref(*value);
    return hn_fail_memory(err, 0);
}
