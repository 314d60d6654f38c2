/* Two runs judged against each other; see judge_pairs.h. Question 2 i shows A's answer first, question 2 i + 1 B's. */
#include "lifecycle/iterate/judge_pairs.h"

#include "base/alloc.h"
#include "lifecycle/eval/judge_human.h"
#include "lifecycle/eval/judge_rubric.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const letters[] = {"A", "B"};

typedef struct pairs {
    hn_judge_pairs *out;
    const hn_dataset *dataset;
    hn_judge_rubric *rubric;
    size_t *asked;       /* (n_asked) index of the pair of questions 2 k and 2 k + 1 */
    double *first_shown; /* (n_asked, 2) probability of the answer shown first; NaN: none */
    size_t n_asked;
} pairs;

static hn_str answer_of(const hn_prediction *row) {
    return hn_str_trim(hn_str_of(row->error ? NULL : row->text ? row->text : row->value));
}

static hn_status question(void *user, size_t i, hn_buf *text, hn_error *err) {
    const pairs *p = user;
    const hn_prediction *a = &p->out->c.shared_a.rows[p->asked[i / 2]], *b = &p->out->c.shared_b.rows[p->asked[i / 2]];
    hn_graded item = {b, p->dataset ? hn_dataset_find(p->dataset, b->case_id) : NULL};
    bool turned = i % 2 == 1;
    return hn_judge_rubric_render(p->rubric, &item, answer_of(turned ? b : a), answer_of(turned ? a : b), text, err);
}

static hn_status keep(void *user, size_t i, const hn_judgement *j, hn_error *err) {
    pairs *p = user;
    (void)err;
    p->first_shown[i] = j->probabilities ? j->probabilities[0] : (double)NAN;
    return HN_OK;
}

/* Which pairs need to be asked; equal answers are one half. */
static hn_status prepare(pairs *p, hn_error *err) {
    hn_judge_pairs *out = p->out;
    size_t n = out->n = out->c.shared_b.n;
    out->b_better = hn_alloc(n * sizeof *out->b_better);
    out->first = hn_alloc(n * sizeof *out->first);
    p->asked = hn_alloc(n * sizeof *p->asked);
    p->first_shown = hn_alloc(2 * n * sizeof *p->first_shown);
    if (!out->b_better || !out->first || !p->asked || !p->first_shown)
        return hn_fail_memory(err, 2 * n * sizeof(double));
    for (size_t i = 0; i < n; i++) {
        bool same = hn_str_equal(answer_of(&out->c.shared_a.rows[i]), answer_of(&out->c.shared_b.rows[i]));
        out->b_better[i] = same ? 0.5 : (double)NAN;
        out->first[i] = (double)NAN;
        if (!same) p->asked[p->n_asked++] = i;
    }
    out->n_same = n - p->n_asked;
    return HN_OK;
}

static void take_answers(pairs *p) {
    hn_judge_pairs *out = p->out;
    double sum = 0;
    size_t n_judged = 0;
    for (size_t k = 0; k < p->n_asked; k++) {
        double a_first = p->first_shown[2 * k], b_first = p->first_shown[2 * k + 1];
        if (isnan(a_first) || isnan(b_first)) {
            out->n_failed++;
            continue;
        }
        out->b_better[p->asked[k]] = (1 - a_first + b_first) / 2;
        sum += out->first[p->asked[k]] = (a_first + b_first) / 2;
        out->n_turned += (a_first > 0.5) == (b_first > 0.5); /* the first one, or the second one, both times */
        n_judged++;
    }
    out->first_share = n_judged ? sum / (double)n_judged : (double)NAN;
}

/* The mean with its interval, and the paired test against one half. */
static hn_status conclude(hn_judge_pairs *out, double smallest_difference, hn_error *err) {
    size_t n = out->n, kept = 0, n_groups;
    bool several;
    double *scores = hn_alloc(2 * n * sizeof *scores);
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    hn_status st = scores && groups ? HN_OK : hn_fail_memory(err, 2 * n * sizeof *scores);
    if (st == HN_OK) st = hn_report_groups(out->c.shared_b.rows, n, groups, &n_groups, &several, err);
    if (st == HN_OK) st = hn_grade_mean(out->b_better, several ? groups : NULL, n, false, &out->preferred, err);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        if (isnan(out->b_better[i])) continue;
        scores[kept] = 1 - out->b_better[i];
        scores[n + kept] = out->b_better[i];
        groups[kept++] = groups[i];
    }
    hn_verdict_options options = {.smallest_difference = smallest_difference, .seed = HN_REPORT_SEED};
    if (st == HN_OK)
        st = hn_verdict_judge(scores, scores + n, several ? groups : NULL, kept, &options, &out->verdict, err);
    hn_free(scores);
    hn_free(groups);
    return st;
}

static hn_status against_people(const hn_judge_pairs_setup *s, hn_judge_pairs *out, hn_error *err) {
    static const double values[] = {0, 1};
    size_t n = out->n, n_groups;
    bool several;
    int32_t *human = hn_alloc(2 * n * sizeof *human);
    uint32_t *groups = hn_alloc(n * sizeof *groups);
    hn_graded *items = hn_calloc(n, sizeof *items);
    hn_status st = human && groups && items ? HN_OK : hn_fail_memory(err, n * sizeof *items);
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        items[i].row = &out->c.shared_b.rows[i];
        human[i] = -1;
        human[n + i] = isnan(out->b_better[i]) || out->b_better[i] == 0.5 ? -1 : out->b_better[i] > 0.5;
    }
    if (st == HN_OK && s->human) st = hn_judge_human_load(s->human, "case", "better", letters, 2, items, n, human, err);
    if (st == HN_OK) st = hn_report_groups(out->c.shared_b.rows, n, groups, &n_groups, &several, err);
    hn_judge_human_data data = {human, human ? human + n : NULL, out->b_better, values, several ? groups : NULL, n, 2};
    if (st == HN_OK) st = hn_judge_human_compare(&data, &out->remarks, err);
    hn_free(human);
    hn_free(groups);
    hn_free(items);
    return st;
}

static hn_status run(const hn_judge_pairs_setup *s, pairs *p, hn_error *err) {
    hn_judge_pairs *out = p->out;
    hn_judge_model *model;
    const hn_scope *scope = s->grading->scope;
    HN_TRY(hn_compare_runs(s->grading->store, s->a, s->b, scope, &out->c, err));
    HN_TRY(prepare(p, err));
    HN_TRY(hn_judge_rubric_load(s->rubric, s->rubric_name ? s->rubric_name : "rubric", HN_RUBRIC_PAIR, letters, 2,
                                &p->rubric, err));
    HN_TRY(hn_judge_model_open(s->grading, s->model, "judge", &model, err));
    out->judge = hn_strdup(hn_judge_model_name(model));
    hn_status st = out->judge ? HN_OK : hn_fail_memory(err, 64);
    if (st == HN_OK) st = hn_judge_model_ask(model, question, letters, 2, 2 * p->n_asked, keep, p, err);
    hn_judge_model_close(model);
    HN_TRY(st);
    take_answers(p);
    HN_TRY(conclude(out, scope->smallest_difference, err));
    return against_people(s, out, err);
}

hn_status hn_judge_pairs_run(const hn_judge_pairs_setup *setup, hn_judge_pairs *out, hn_error *err) {
    *out = (hn_judge_pairs){0};
    pairs p = {.out = out, .dataset = setup->grading->dataset};
    hn_status st = run(setup, &p, err);
    hn_judge_rubric_free(p.rubric);
    hn_free(p.asked);
    hn_free(p.first_shown);
    if (st != HN_OK) hn_judge_pairs_free(out);
    return st;
}

void hn_judge_pairs_free(hn_judge_pairs *p) {
    hn_comparison_free(&p->c);
    hn_free(p->b_better);
    hn_free(p->first);
    hn_free(p->judge);
    json_decref(p->remarks);
    *p = (hn_judge_pairs){0};
}

hn_status hn_judge_pairs_json(const hn_judge_pairs *p, json_t **value, hn_error *err) {
    char a[32], b[32];
    snprintf(a, sizeof a, "r%lld", (long long)p->c.run_a->id);
    snprintf(b, sizeof b, "r%lld", (long long)p->c.run_b->id);
    *value = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:s, s:f, s:s, s:{s:o, s:I}}", "a", a, "b", b, "judge",
                       p->judge, "n", (json_int_t)p->n, "same", (json_int_t)p->n_same, "failed",
                       (json_int_t)p->n_failed, "preferred", hn_report_estimate_json(p->preferred), "verdict",
                       hn_verdict_name(p->verdict.kind), "p", p->verdict.p, "test", p->verdict.test, "position_bias",
                       "first", isfinite(p->first_share) ? json_real(p->first_share) : json_null(), "turned",
                       (json_int_t)p->n_turned);
    json_t *pairs_json = json_array();
    bool fine = *value && pairs_json;
    for (size_t i = 0; fine && i < p->n; i++) {
        json_t *one = json_pack("{s:s, s:o}", "case", p->c.shared_b.rows[i].case_id, "b_better",
                                isnan(p->b_better[i]) ? json_null() : json_real(p->b_better[i]));
        fine = json_array_append_new(pairs_json, one) == 0;
    }
    fine = fine && json_object_set(*value, "pairs", pairs_json) == 0 && json_object_update(*value, p->remarks) == 0;
    json_decref(pairs_json);
    if (fine) return HN_OK;
    json_decref(*value);
    return hn_fail_memory(err, 0);
}
