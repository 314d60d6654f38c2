/* Grading a run; see grade_run.h. */
#include "lifecycle/eval/grade_run.h"

#include "base/clock.h"
#include "lifecycle/eval/run_report.h"
#include "store/score.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 256, BOOTSTRAP_GROUPS_MAX = 2000 };
static const double BATCH_SECONDS = 0.5;

/* ---- which case an answer is of ---- */

static int by_id(const void *a, const void *b) {
    const hn_case *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static hn_status find_cases(const hn_dataset *d, const hn_prediction_list *rows, hn_graded *items, hn_error *err) {
    size_t n = d ? d->n_cases : 0;
    const hn_case **index = hn_alloc((n ? n : 1) * sizeof *index);
    if (!index) return hn_fail_memory(err, n * sizeof *index);
    for (size_t i = 0; i < n; i++) index[i] = &d->cases[i];
    qsort(index, n, sizeof *index, by_id);
    for (size_t i = 0; i < rows->n; i++) {
        const hn_case wanted = {.id = rows->rows[i].case_id}, *key = &wanted;
        const hn_case **found = n ? bsearch(&key, index, n, sizeof *index, by_id) : NULL;
        items[i] = (hn_graded){&rows->rows[i], found ? *found : NULL};
    }
    hn_free(index);
    return HN_OK;
}

/* ---- one grader over the run ---- */

typedef struct batch {
    hn_store *store;
    int64_t run_id;
    const char *grader;
    const hn_graded *items; /* those that are graded now */
    double *values;         /* (rows of the run) */
    const size_t *at;       /* index of an item among the run's rows */
    hn_score rows[BATCH_MAX];
    size_t n, n_failed;
    hn_arena *arena;
    double started;
} batch;

static hn_status save(batch *b, hn_error *err) {
    if (b->n == 0) return HN_OK;
    HN_TRY(hn_score_add(b->store, b->run_id, b->rows, b->n, err));
    b->n = 0;
    hn_arena_free(b->arena);
    b->arena = hn_arena_create(0);
    return b->arena ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status keep(void *user, size_t index, const hn_grade *grade, hn_error *err) {
    batch *b = user;
    const char *details = NULL;
    if (grade->details.len) {
        details = hn_arena_strdup(b->arena, hn_buf_str(&grade->details));
        if (!details) return hn_fail_memory(err, grade->details.len);
    }
    if (b->n == 0) b->started = hn_clock_seconds();
    b->values[b->at[index]] = grade->value;
    b->rows[b->n++] = (hn_score){b->items[index].row->position, b->grader, grade->value, details};
    bool due = b->n == BATCH_MAX || hn_clock_seconds() - b->started >= BATCH_SECONDS;
    return due ? save(b, err) : HN_OK;
}

/* Values that the store has, and for each row whether it has one. */
static hn_status load_values(hn_store *store, int64_t run_id, const char *grader, const hn_prediction_list *rows,
                             double *values, unsigned char *there, hn_error *err) {
    hn_score_list list;
    HN_TRY(hn_score_load(store, run_id, grader, &list, err));
    size_t at = 0;
    for (size_t i = 0; i < rows->n; i++) {
        while (at < list.n && list.rows[at].position < rows->rows[i].position) at++;
        bool found = at < list.n && list.rows[at].position == rows->rows[i].position;
        values[i] = found ? list.rows[at].value : (double)NAN;
        if (there) there[i] = found;
    }
    hn_score_list_free(&list);
    return HN_OK;
}

hn_status hn_grade_values(hn_store *store, int64_t run_id, const char *grader, const hn_prediction_list *rows,
                          double **values, hn_error *err) {
    *values = hn_alloc((rows->n ? rows->n : 1) * sizeof **values);
    if (!*values) return hn_fail_memory(err, rows->n * sizeof **values);
    hn_status st = load_values(store, run_id, grader, rows, *values, NULL, err);
    if (st != HN_OK) {
        hn_free(*values);
        *values = NULL;
    }
    return st;
}

typedef struct work {
    const hn_grading *grading;
    int64_t run_id;
    const hn_prediction_list *rows;
    hn_graded *items;   /* (rows->n) */
    hn_graded *missing; /* (rows->n) those without a grade yet */
    size_t *at;         /* (rows->n) */
    double *values;     /* (rows->n) of the grader at hand */
    unsigned char *there;
    uint32_t *groups; /* (rows->n) */
    bool grouped;
} work;

/* Grades what the store does not have yet; afterwards w->values has all. */
static hn_status grade_missing(work *w, hn_grader *g, hn_error *err) {
    const char *name = hn_grader_config_of(g)->name;
    size_t n = 0;
    HN_TRY(load_values(w->grading->store, w->run_id, name, w->rows, w->values, w->there, err));
    for (size_t i = 0; i < w->rows->n; i++) {
        if (w->there[i]) continue;
        w->missing[n] = w->items[i];
        w->at[n++] = i;
    }
    if (n == 0) return HN_OK;
    batch *b = hn_calloc(1, sizeof *b);
    if (!b) return hn_fail_memory(err, sizeof *b);
    *b = (batch){.store = w->grading->store,
                 .run_id = w->run_id,
                 .grader = name,
                 .items = w->missing,
                 .values = w->values,
                 .at = w->at,
                 .arena = hn_arena_create(0)};
    hn_error unused;
    hn_status st = b->arena ? HN_OK : hn_fail_memory(err, 0);
    if (st == HN_OK) st = hn_grader_grade_all(g, w->missing, n, keep, b, err);
    hn_status saved = b->arena ? save(b, st == HN_OK ? err : &unused) : HN_OK;
    if (st == HN_OK) st = saved;
    hn_arena_free(b->arena);
    hn_free(b);
    return st;
}

/* ---- the mean ---- */

static double mean_of(const uint32_t *cases, size_t n, void *user) {
    const double *values = user;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[cases[i]];
    return n ? sum / (double)n : (double)NAN;
}

static size_t count_groups(const uint32_t *groups, size_t n) {
    uint32_t most = 0;
    for (size_t i = 0; groups && i < n; i++)
        if (groups[i] > most) most = groups[i];
    return groups ? (size_t)most + 1 : n;
}

static hn_status mean_interval(const double *values, const uint32_t *groups, size_t n, hn_estimate *mean,
                               hn_error *err) {
    bool shares = true;
    hn_clustered_mean t;
    for (size_t i = 0; i < n; i++) shares = shares && (values[i] == 0 || values[i] == 1);
    if (shares) {
        unsigned char *right = hn_alloc(n ? n : 1);
        hn_interval interval;
        if (!right) return hn_fail_memory(err, n);
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += right[i] = values[i] == 1;
        hn_status st = hn_interval_proportion(right, groups, n, 0.05, &interval, err);
        if (st == HN_OK) *mean = (hn_estimate){sum / (double)n, interval.low, interval.high};
        hn_free(right);
        return st;
    }
    if (count_groups(groups, n) <= BOOTSTRAP_GROUPS_MAX)
        return hn_bootstrap(mean_of, (void *)(uintptr_t)values, n, groups,
                            &(hn_bootstrap_options){.seed = HN_REPORT_SEED}, mean, err);
    HN_TRY(hn_interval_clustered_mean(values, groups, n, 0.05, &t, err));
    *mean = (hn_estimate){t.mean, t.interval.low, t.interval.high};
    return HN_OK;
}

hn_status hn_grade_mean(const double *values, const uint32_t *groups, size_t n, bool geometric, hn_estimate *mean,
                        hn_error *err) {
    double nan = (double)NAN;
    size_t kept = 0;
    *mean = (hn_estimate){nan, nan, nan};
    double *own = hn_alloc((n ? n : 1) * sizeof *own);
    uint32_t *ids = hn_alloc((n ? n : 1) * sizeof *ids);
    hn_status st = own && ids ? HN_OK : hn_fail_memory(err, n * sizeof *own);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        if (isnan(values[i])) continue;
        own[kept] = geometric ? log(values[i]) : values[i];
        ids[kept++] = groups ? groups[i] : (uint32_t)i;
    }
    if (st == HN_OK && kept) st = mean_interval(own, groups ? ids : NULL, kept, mean, err);
    if (geometric) *mean = (hn_estimate){exp(mean->value), exp(mean->low), exp(mean->high)};
    hn_free(own);
    hn_free(ids);
    return st;
}

/* ---- the result as JSON ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* What the grader says of its own work, by what it kept with each value; and how many cases it failed on. */
static hn_status remarks_of(work *w, hn_grader *g, size_t *n_failed, json_t **remarks, hn_error *err) {
    size_t n = w->rows->n, at = 0;
    hn_score_list scores;
    const char **details = hn_calloc(n ? n : 1, sizeof *details);
    if (!details) return hn_fail_memory(err, n * sizeof *details);
    hn_status st = hn_score_load(w->grading->store, w->run_id, hn_grader_config_of(g)->name, &scores, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        while (at < scores.n && scores.rows[at].position < w->rows->rows[i].position) at++;
        if (at == scores.n || scores.rows[at].position != w->rows->rows[i].position) continue;
        details[i] = scores.rows[at].details_json;
        *n_failed += details[i] && isnan(w->values[i]) && strstr(details[i], "\"error\"") != NULL;
    }
    if (st == HN_OK) {
        st = hn_grader_remarks(g, w->items, w->values, details, w->grouped ? w->groups : NULL, n, remarks, err);
        hn_score_list_free(&scores);
    }
    hn_free(details);
    return st;
}

static hn_status line_json(work *w, hn_grader *g, json_t **line, hn_error *err) {
    const hn_grader_config *c = hn_grader_config_of(g);
    hn_grader_traits t = hn_grader_traits_of(g);
    const uint32_t *groups = w->grouped ? w->groups : NULL;
    size_t n = w->rows->n, n_missing = 0, n_failed = 0;
    hn_estimate mean;
    double corpus;
    json_t *remarks = NULL;
    for (size_t i = 0; i < n; i++) n_missing += isnan(w->values[i]);
    HN_TRY(hn_grade_mean(w->values, groups, n, t.geometric, &mean, err));
    HN_TRY(hn_grader_corpus(g, w->items, w->values, n, &corpus, err));
    HN_TRY(remarks_of(w, g, &n_failed, &remarks, err));
    *line = json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:s?, s:b, s:o, s:s, s:b}", "name", c->name,
                      "kind", c->kind, "value", number_or_null(mean.value), "low", number_or_null(mean.low), "high",
                      number_or_null(mean.high), "n", (json_int_t)(n - n_missing), "missing", (json_int_t)n_missing,
                      "failed", (json_int_t)n_failed, "corpus", number_or_null(corpus), "corpus_name", t.corpus,
                      "lower_is_better", t.lower_is_better, "range", number_or_null(t.range), "unit", t.unit,
                      "geometric", t.geometric);
    if (*line && remarks && json_object_update(*line, remarks) != 0) {
        json_decref(*line);
        *line = NULL;
    }
    json_decref(remarks);
    return *line ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status run_grader(work *w, const hn_grader_config *config, json_t *all, hn_error *err) {
    hn_grader *g;
    json_t *line = NULL;
    HN_TRY(hn_grader_open(w->grading, config, &g, err));
    hn_status st = grade_missing(w, g, err);
    if (st == HN_OK) st = line_json(w, g, &line, err);
    if (st == HN_OK && json_array_append_new(all, line) != 0) st = hn_fail_memory(err, 0);
    hn_grader_free(g);
    return st;
}

hn_status hn_grade_run(const hn_grading *grading, int64_t run_id, const hn_prediction_list *rows, json_t **graders,
                       hn_error *err) {
    size_t n = rows->n ? rows->n : 1, n_groups;
    const hn_scope *scope = grading->scope;
    work w = {.grading = grading, .run_id = run_id, .rows = rows};
    json_t *all = json_array();
    hn_status st = all ? HN_OK : hn_fail_memory(err, 0);
    w.items = hn_calloc(n, sizeof *w.items);
    w.missing = hn_calloc(n, sizeof *w.missing);
    w.at = hn_calloc(n, sizeof *w.at);
    w.values = hn_calloc(n, sizeof *w.values);
    w.there = hn_calloc(n, 1);
    w.groups = hn_calloc(n, sizeof *w.groups);
    if (!w.items || !w.missing || !w.at || !w.values || !w.there || !w.groups)
        st = hn_fail_memory(err, n * sizeof *w.items);
    if (st == HN_OK && scope->n_graders) st = find_cases(grading->dataset, rows, w.items, err);
    if (st == HN_OK && scope->n_graders)
        st = hn_report_groups(rows->rows, rows->n, w.groups, &n_groups, &w.grouped, err);
    for (size_t i = 0; st == HN_OK && i < scope->n_graders; i++) st = run_grader(&w, &scope->graders[i], all, err);
    hn_free(w.items);
    hn_free(w.missing);
    hn_free(w.at);
    hn_free(w.values);
    hn_free(w.there);
    hn_free(w.groups);
    *graders = all;
    if (st == HN_OK) return HN_OK;
    json_decref(all);
    *graders = NULL;
    return st;
}

hn_status hn_grade_into(const hn_grading *grading, int64_t run_id, const hn_prediction_list *rows, json_t *summary,
                        hn_error *err) {
    json_t *graders;
    hn_error unused;
    if (grading->scope->n_graders == 0) return HN_OK;
    hn_status st = hn_grade_run(grading, run_id, rows, &graders, err);
    if (st == HN_OK && json_object_set_new(summary, "graders", graders) != 0) st = hn_fail_memory(err, 0);
    if (st != HN_OK && hn_run_stop(grading->store, run_id, &unused) != HN_OK) return st;
    return st;
}
