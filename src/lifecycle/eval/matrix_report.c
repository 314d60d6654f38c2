/* What a matrix says; see matrix_report.h. */
#include "lifecycle/eval/matrix_report.h"

#include "lifecycle/eval/run_metric.h"
#include "stats/multiple.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double alpha = 0.05;

typedef struct workspace {
    const hn_eval_matrix *m;
    size_t n_cases;
    double *scores; /* (n_candidates, n_cases) */
    uint32_t *groups;
    bool grouped;
} workspace;

/* ---- scores ---- */

static void take_scores(const hn_eval_matrix *m, size_t candidate, double *scores, size_t n_cases) {
    const hn_candidate *c = &m->candidates[candidate];
    memset(scores, 0, n_cases * sizeof *scores);
    for (size_t k = 0; k < c->n_cells; k++) {
        const hn_prediction_list *list = &m->cells[c->first + k].result.predictions;
        for (size_t i = 0; i < n_cases; i++) scores[i] += (double)list->rows[i].correct / (double)c->n_cells;
    }
}

static hn_status take_row(const hn_eval_matrix *m, size_t candidate, hn_eval_matrix_row *row, hn_error *err) {
    const hn_candidate *c = &m->candidates[candidate];
    const hn_report *report = &m->cells[c->first].result.report;
    row->accuracy = report->accuracy;
    row->macro_f1 = report->macro_f1;
    if (c->n_cells < 2) return HN_OK;
    const hn_prediction_list **lists = hn_calloc(c->n_cells, sizeof *lists);
    if (!lists) return hn_fail_memory(err, c->n_cells * sizeof *lists);
    for (size_t k = 0; k < c->n_cells; k++) lists[k] = &m->cells[c->first + k].result.predictions;
    hn_status st = hn_spread_measure(lists, c->n_cells, &row->spread, err);
    row->accuracy = row->spread.accuracy;
    hn_free(lists);
    return st;
}

static hn_status prepare(const hn_eval_matrix *m, workspace *w, hn_eval_matrix_report *r, hn_error *err) {
    const hn_prediction_list *first = &hn_eval_matrix_result(m, 0)->predictions;
    size_t n_scores, n_groups;
    w->n_cases = first->n;
    for (size_t i = 0; i < m->n_cells; i++)
        if (m->cells[i].result.predictions.n != w->n_cases)
            return hn_fail(err, HN_ERR_INTERNAL, "matrix", NULL, "cell %zu has other cases than the first", i);
    if (!hn_mul_size(m->n_candidates, w->n_cases, &n_scores)) return hn_fail_memory(err, SIZE_MAX);
    w->scores = hn_calloc(n_scores, sizeof *w->scores);
    w->groups = hn_calloc(w->n_cases, sizeof *w->groups);
    r->rows = hn_calloc(m->n_candidates, sizeof *r->rows);
    if (!w->scores || !w->groups || !r->rows) return hn_fail_memory(err, n_scores * sizeof *w->scores);
    HN_TRY(hn_report_groups(first->rows, w->n_cases, w->groups, &n_groups, &w->grouped, err));
    for (size_t i = 0; i < m->n_candidates; i++) {
        take_scores(m, i, w->scores + i * w->n_cases, w->n_cases);
        HN_TRY(take_row(m, i, &r->rows[i], err));
    }
    return HN_OK;
}

/* ---- comparing ---- */

hn_status hn_verdicts_adjust(const double *p, hn_verdict_kind *kinds, double *adjusted, size_t n, hn_error *err) {
    HN_TRY(hn_holm(p, n, adjusted, err));
    for (size_t i = 0; i < n; i++)
        if ((kinds[i] == HN_VERDICT_BETTER || kinds[i] == HN_VERDICT_WORSE) && adjusted[i] > alpha)
            kinds[i] = HN_VERDICT_CANNOT_TELL;
    return HN_OK;
}

static hn_status judge(const workspace *w, const double *reference, size_t candidate, double level, hn_verdict *v,
                       hn_error *err) {
    const hn_scope *scope = hn_project_scope(w->m->plan.setup.project);
    hn_verdict_options options = {
        .smallest_difference = scope->smallest_difference, .alpha = level, .seed = HN_REPORT_SEED};
    return hn_verdict_judge(reference, w->scores + candidate * w->n_cases, w->grouped ? w->groups : NULL, w->n_cases,
                            &options, v, err);
}

static hn_status adjust(const workspace *w, const double *reference, hn_eval_matrix_report *r, hn_error *err) {
    double *p = hn_alloc(2 * r->n_compared * sizeof *p);
    hn_verdict_kind *kinds = hn_alloc(r->n_compared * sizeof *kinds);
    hn_status st = p && kinds ? HN_OK : hn_fail_memory(err, 2 * r->n_compared * sizeof *p);
    for (size_t i = 0, k = 0; st == HN_OK && i < r->n; i++) {
        if (!r->rows[i].compared) continue;
        p[k] = r->rows[i].verdict.p;
        kinds[k++] = r->rows[i].verdict.kind;
    }
    if (st == HN_OK) st = hn_verdicts_adjust(p, kinds, p + r->n_compared, r->n_compared, err);
    for (size_t i = 0, k = 0; st == HN_OK && i < r->n; i++) {
        hn_eval_matrix_row *row = &r->rows[i];
        if (!row->compared) continue;
        row->p_adjusted = p[r->n_compared + k];
        row->kind = kinds[k++];
        if (row->kind != HN_VERDICT_EQUIVALENT || r->n_compared == 1) continue;
        hn_verdict strict;
        st = judge(w, reference, i, alpha / (double)r->n_compared, &strict, err);
        if (st == HN_OK) row->kind = strict.kind == HN_VERDICT_EQUIVALENT ? strict.kind : HN_VERDICT_CANNOT_TELL;
    }
    hn_free(p);
    hn_free(kinds);
    return st;
}

static hn_status compare(const workspace *w, const hn_reference *reference, size_t candidate, hn_eval_matrix_report *r,
                         hn_error *err) {
    const double *scores = reference ? reference->scores : NULL;
    r->reference_row = SIZE_MAX;
    for (size_t i = 0; reference && i < r->n; i++)
        if (strcmp(reference->content_id, hn_eval_matrix_result(w->m, i)->run->content_id) == 0) r->reference_row = i;
    if (!reference && candidate < r->n) {
        r->reference_row = candidate;
        scores = w->scores + candidate * w->n_cases;
    }
    if (!scores) return HN_OK;
    if (reference)
        snprintf(r->reference, sizeof r->reference, "%s", reference->name);
    else
        snprintf(r->reference, sizeof r->reference, "%.250s", w->m->candidates[candidate].name);
    for (size_t i = 0; i < r->n; i++) {
        if (i == r->reference_row) continue;
        HN_TRY(judge(w, scores, i, alpha, &r->rows[i].verdict, err));
        r->rows[i].compared = true;
        r->n_compared++;
    }
    return r->n_compared ? adjust(w, scores, r, err) : HN_OK;
}

/* By the scope's metric, turned where less is better; by accuracy where a run lacks it. Of repetitions only accuracy is known of all. */
static double rank_of(const hn_eval_matrix *m, const hn_eval_matrix_report *r, size_t i) {
    const char *metric = hn_project_scope(m->plan.setup.project)->metric;
    const hn_eval_result *result = hn_eval_matrix_result(m, i);
    hn_metric_value value;
    hn_error ignored;
    if (strcmp(metric, "accuracy") == 0) return r->rows[i].accuracy.value;
    if (strcmp(metric, "macro_f1") == 0) return r->rows[i].macro_f1.value;
    if (hn_run_metric(metric, &result->report, &result->predictions, result->run->summary_json, &value, &ignored) !=
            HN_OK ||
        !value.known)
        return r->rows[i].accuracy.value;
    return value.lower_is_better ? -value.estimate.value : value.estimate.value;
}

static void find_best(const hn_eval_matrix *m, hn_eval_matrix_report *r) {
    for (size_t i = 1; i < r->n; i++)
        if (rank_of(m, r, i) > rank_of(m, r, r->best)) r->best = i;
}

static hn_status make(const hn_eval_matrix *m, const hn_reference *reference, size_t candidate, workspace *w,
                      hn_eval_matrix_report *r, hn_error *err) {
    HN_TRY(prepare(m, w, r, err));
    HN_TRY(compare(w, reference, candidate, r, err));
    find_best(m, r);
    if (r->n < 2) return HN_OK;
    hn_bootstrap_options options = {.seed = HN_REPORT_SEED};
    r->selected = true;
    return hn_selection_correct(w->scores, r->n, w->n_cases, w->grouped ? w->groups : NULL, &options, &r->selection,
                                err);
}

hn_status hn_eval_matrix_report_make(const hn_eval_matrix *m, const hn_reference *reference, size_t candidate,
                                     hn_eval_matrix_report *out, hn_error *err) {
    *out = (hn_eval_matrix_report){.n = m->n_candidates, .reference_row = SIZE_MAX};
    workspace w = {.m = m};
    hn_status st = make(m, reference, candidate, &w, out, err);
    hn_free(w.scores);
    hn_free(w.groups);
    if (st != HN_OK) hn_eval_matrix_report_free(out);
    return st;
}

void hn_eval_matrix_report_free(hn_eval_matrix_report *r) {
    hn_free(r->rows);
    *r = (hn_eval_matrix_report){0};
}

/* ---- JSON ---- */

static json_t *number_or_null(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *run_name(const hn_eval_matrix *m, size_t candidate) {
    char name[32];
    snprintf(name, sizeof name, "r%lld", (long long)hn_eval_matrix_result(m, candidate)->run->id);
    return json_string(name);
}

static json_t *comparison_json(const hn_eval_matrix *m, const hn_eval_matrix_report *r, size_t i) {
    const hn_eval_matrix_row *row = &r->rows[i];
    const hn_verdict *v = &row->verdict;
    return json_pack("{s:s, s:o, s:s, s:s, s:o, s:f, s:f, s:s, s:I, s:I, s:o}", "candidate", m->candidates[i].name,
                     "run", run_name(m, i), "verdict", hn_verdict_name(row->kind), "verdict_alone",
                     hn_verdict_name(v->kind), "difference", hn_report_estimate_json(v->difference), "p", v->p,
                     "p_holm", row->p_adjusted, "test", v->test, "only_reference_right", (json_int_t)v->only_a_right,
                     "only_candidate_right", (json_int_t)v->only_b_right, "detectable", number_or_null(v->detectable));
}

static json_t *best_json(const hn_eval_matrix *m, const hn_eval_matrix_report *r) {
    json_t *best = json_pack("{s:s, s:o, s:o}", "candidate", m->candidates[r->best].name, "run", run_name(m, r->best),
                             "accuracy", hn_report_estimate_json(r->rows[r->best].accuracy));
    if (!best || !r->selected) return best;
    const hn_selection *s = &r->selection;
    bool fine = json_object_set_new(best, "corrected", hn_report_estimate_json(s->corrected)) == 0 &&
                json_object_set_new(best, "optimism", number_or_null(s->optimism)) == 0 &&
                json_object_set_new(best, "chosen_from", json_integer((json_int_t)r->n)) == 0;
    if (fine) return best;
    json_decref(best);
    return NULL;
}

hn_status hn_eval_matrix_report_json(const hn_eval_matrix *m, const hn_eval_matrix_report *r, json_t **value,
                                     hn_error *err) {
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < r->n; i++)
        if (r->rows[i].compared) fine = json_array_append_new(list, comparison_json(m, r, i)) == 0;
    json_t *made =
        fine ? json_pack("{s:o, s:O, s:o}", "reference", *r->reference ? json_string(r->reference) : json_null(),
                         "comparisons", list, "best", best_json(m, r))
             : NULL;
    json_decref(list);
    if (!made) return hn_fail_memory(err, 0);
    *value = made;
    return HN_OK;
}
