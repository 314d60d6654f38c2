/* The ladder from bottom to top; see ladder.h. */
#include "base/interrupt.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/eval/run_report.h"
#include "lifecycle/scope/baseline.h"
#include "lifecycle/scope/ladder_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what the files share ---- */

void hn_ladder_tell(hn_ladder_work *w, const char *what, size_t done, size_t total) {
    hn_ladder_progress p = {.what = what, .done = done, .total = total};
    if (w->setup->on_progress) w->setup->on_progress(w->setup->user, &p);
}

double hn_ladder_target(const hn_ladder_work *w) {
    bool measured = strcmp(w->scope->metric, "accuracy") == 0 || strcmp(w->scope->metric, "macro_f1") == 0;
    return measured ? w->scope->target_value : (double)NAN;
}

bool hn_ladder_is_right(const hn_ladder_work *w, size_t item, int32_t answer) {
    if (answer < 0) return false;
    if (w->contract->kind == HN_CONTRACT_CHOICE) return answer == w->labels[item];
    return hn_grade_answer(w->contract, w->cases[item]->target, w->cases[answer]->target);
}

void hn_ladder_leave_out(hn_ladder_work *w, const char *name, const char *reason) {
    if (w->out->n_left_out == HN_LADDER_RUNGS_MAX) return;
    hn_rung_left_out *left = &w->out->left_out[w->out->n_left_out++];
    snprintf(left->name, sizeof left->name, "%s", name);
    snprintf(left->reason, sizeof left->reason, "%s", reason);
}

/* ---- one rung ---- */

static void free_rung(hn_rung *rung) {
    hn_free(rung->answers);
    hn_free(rung->right);
    *rung = (hn_rung){0};
}

hn_status hn_ladder_begin_rung(hn_ladder_work *w, hn_rung_kind kind, int provider, size_t n, hn_rung **rung,
                               hn_error *err) {
    static const char *const names[] = {"commonest answer", "bag of words", "nearest case",
                                        "linear probe",     "plain prompt", "nearest examples"};
    if (w->out->n_rungs == HN_LADDER_RUNGS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "ladder", "name fewer models", "more than %d rungs", HN_LADDER_RUNGS_MAX);
    hn_provider_info info;
    const hn_provider_info *model = provider >= 0 ? &info : NULL;
    if (model) HN_TRY(hn_provider_info_get(w->setup->providers[provider], &info, err));
    hn_rung *r = &w->out->rungs[w->out->n_rungs];
    free_rung(r); /* one that was begun and left out */
    *r = (hn_rung){
        .kind = kind, .n = n, .provider = provider, .pair_auc = NAN, .pair_auc_whitened = NAN, .strength = NAN};
    snprintf(r->name, sizeof r->name, "%s%s%.90s", names[kind], model ? ", " : "", model ? model->name : "");
    if (model) snprintf(r->model, sizeof r->model, "%s", model->name);
    r->right = hn_calloc(n, 1);
    if (w->contract->kind == HN_CONTRACT_CHOICE) r->answers = hn_calloc(n, sizeof *r->answers);
    *rung = r;
    if (r->right && (r->answers || w->contract->kind != HN_CONTRACT_CHOICE)) return HN_OK;
    free_rung(r);
    return hn_fail_memory(err, n * sizeof *r->answers);
}

/* Accuracy and macro F1 by the code that reports on runs. */
static hn_status measure(hn_ladder_work *w, hn_rung *rung, hn_error *err) {
    hn_prediction *rows = hn_calloc(rung->n, sizeof *rows);
    if (!rows) return hn_fail_memory(err, rung->n * sizeof *rows);
    bool choice = rung->answers != NULL;
    for (size_t i = 0; i < rung->n; i++) {
        const hn_case *c = w->cases[w->n_train + i];
        rows[i] =
            (hn_prediction){.case_id = c->id,
                            .target = c->target,
                            .group = c->group,
                            .value = choice && rung->answers[i] >= 0 ? w->contract->labels[rung->answers[i]] : NULL,
                            .correct = rung->right[i]};
    }
    hn_prediction_list list = {rows, rung->n, NULL};
    hn_report report;
    hn_status st = hn_report_build(&list, choice ? (const char *const *)w->contract->labels : NULL,
                                   choice ? w->contract->n_labels : 0, &report, err);
    if (st == HN_OK) {
        rung->accuracy = report.accuracy;
        rung->macro_f1 = report.macro_f1;
        hn_report_free(&report);
    }
    hn_free(rows);
    return st;
}

hn_status hn_ladder_finish_rung(hn_ladder_work *w, hn_rung *rung, hn_error *err) {
    HN_TRY(measure(w, rung, err));
    w->out->n_rungs++;
    hn_ladder_progress p = {.what = rung->name, .done = rung->n, .total = rung->n, .finished = rung};
    if (w->setup->on_progress) w->setup->on_progress(w->setup->user, &p);
    return HN_OK;
}

/* ---- marking ---- */

static hn_status compare(hn_ladder_work *w, const hn_rung *a, const hn_rung *b, hn_verdict *v, hn_error *err) {
    size_t n = a->n < b->n ? a->n : b->n;
    double *scores = hn_calloc(n, 2 * sizeof *scores);
    if (!scores) return hn_fail_memory(err, n * 2 * sizeof *scores);
    for (size_t i = 0; i < n; i++) scores[i] = a->right[i], scores[n + i] = b->right[i];
    hn_verdict_options o = {.smallest_difference = w->scope->smallest_difference, .seed = HN_LADDER_SEED};
    hn_status st = hn_verdict_judge(scores, scores + n, w->groups + w->n_train, n, &o, v, err);
    hn_free(scores);
    return st;
}

static hn_status mark(hn_ladder_work *w, hn_error *err) {
    hn_ladder *l = w->out;
    for (size_t i = 1; i < l->n_rungs; i++)
        if (l->rungs[i].accuracy.value > l->rungs[l->best].accuracy.value) l->best = i;
    l->marked = l->best;
    for (size_t i = l->n_rungs; i-- > 0;) {
        hn_rung *r = &l->rungs[i];
        HN_TRY(compare(w, &l->rungs[l->best], r, &r->against_best, err));
        r->not_worse = i == l->best || r->against_best.difference.low > -w->scope->smallest_difference;
        if (r->not_worse && i < l->best) l->marked = i;
    }
    return HN_OK;
}

/* ---- the recommendation's facts ---- */

static hn_estimate value_of(const hn_ladder_work *w, const hn_rung *r) {
    return r->answers && strcmp(w->scope->metric, "macro_f1") == 0 ? r->macro_f1 : r->accuracy;
}

/* The most accurate rung whose kind lies in [from, to]; NULL: there is none. */
static const hn_rung *best_of(const hn_ladder *l, hn_rung_kind from, hn_rung_kind to) {
    const hn_rung *best = NULL;
    for (size_t i = 0; i < l->n_rungs; i++)
        if (l->rungs[i].kind >= from && l->rungs[i].kind <= to &&
            (!best || l->rungs[i].accuracy.value > best->accuracy.value))
            best = &l->rungs[i];
    return best;
}

static hn_recommend_rung fact_of(const hn_ladder_work *w, const hn_rung *r) {
    return r ? (hn_recommend_rung){r->name, value_of(w, r)} : (hn_recommend_rung){0};
}

static hn_status recommend(hn_ladder_work *w, hn_error *err) {
    hn_ladder *l = w->out;
    const hn_rung *marked = &l->rungs[l->marked], *plain = best_of(l, HN_RUNG_MAJORITY, HN_RUNG_NEAREST),
                  *model = best_of(l, HN_RUNG_PROBE, HN_RUNG_FEW_SHOT),
                  *probe = best_of(l, HN_RUNG_PROBE, HN_RUNG_PROBE),
                  *prompt = best_of(l, HN_RUNG_ZERO_SHOT, HN_RUNG_FEW_SHOT);
    hn_recommend_facts f = {.target = hn_ladder_target(w),
                            .smallest_difference = w->scope->smallest_difference,
                            .metric = w->scope->metric,
                            .n_train = w->n_train,
                            .n_labels = w->contract->n_labels,
                            .plain = fact_of(w, plain),
                            .probe = fact_of(w, probe),
                            .prompted = fact_of(w, prompt),
                            .marked = fact_of(w, marked),
                            .marked_takes_model = marked->kind >= HN_RUNG_PROBE,
                            .marked_is_prompt = marked->kind >= HN_RUNG_ZERO_SHOT};
    for (size_t i = 0; i < l->n_curves; i++)
        if (!f.curve ||
            l->curves[i].points[l->curves[i].n_points - 1].accuracy > f.curve->points[f.curve->n_points - 1].accuracy)
            f.curve = &l->curves[i];
    if (model && plain) HN_TRY(compare(w, plain, model, &f.model_against_plain, err));
    if (probe && prompt) HN_TRY(compare(w, prompt, probe, &f.probe_against_prompt, err));
    hn_recommend(&f, &l->advice);
    return HN_OK;
}

/* ---- gathering the cases ---- */

static size_t take_case(hn_ladder_work *w, const hn_case *c, size_t at) {
    bool choice = w->contract->kind == HN_CONTRACT_CHOICE;
    if (!c->target || (choice && c->label < 0)) return at;
    w->labels[at] = choice ? c->label : -1;
    w->cases[at] = c;
    return at + 1;
}

/* Train in the data's order, as the baselines have it, so that the same figures come out; dev in its fixed random order. */
static hn_status take_splits(hn_ladder_work *w, hn_error *err) {
    uint32_t *indices;
    size_t n, at = 0, limit = w->setup->limit ? w->setup->limit : HN_LADDER_DEV_MAX;
    const hn_dataset *d = w->setup->dataset;
    bool choice = w->contract->kind == HN_CONTRACT_CHOICE;
    HN_TRY(hn_baseline_train_cases(d, choice, &indices, &n, &w->out->n_train_all, err));
    for (size_t i = 0; i < n; i++) at = take_case(w, &d->cases[indices[i]], at);
    hn_free(indices);
    w->n_train = at;
    HN_TRY(hn_dataset_select(d, HN_SPLIT_DEV, &indices, &n, err));
    for (size_t i = 0; i < n; i++) {
        const hn_case *c = &d->cases[indices[i]];
        if (!c->target || (choice && c->label < 0)) continue;
        w->out->n_dev_all++;
        if (at - w->n_train < limit) at = take_case(w, c, at);
    }
    w->n_dev = at - w->n_train;
    hn_free(indices);
    return HN_OK;
}

static hn_status take_texts(hn_ladder_work *w, hn_error *err) {
    size_t n = w->n_train + w->n_dev, at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t start = w->text.len;
        HN_TRY(hn_case_text(w->cases[i], &w->text, err));
        HN_TRY(hn_buf_check(&w->text, "the cases' texts", err));
        w->texts[i].len = w->text.len - start;
    }
    for (size_t i = 0; i < n; at += w->texts[i++].len) w->texts[i].data = hn_buf_str(&w->text) + at;
    return HN_OK;
}

static hn_status take_groups(hn_ladder_work *w, hn_error *err) {
    size_t n = w->n_train + w->n_dev, n_groups;
    bool several;
    hn_prediction *rows = hn_calloc(n, sizeof *rows);
    if (!rows) return hn_fail_memory(err, n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        rows[i].group = w->cases[i]->group;
        w->numbers[i] = (uint32_t)i;
    }
    hn_status st = hn_report_groups(rows, n, w->groups, &n_groups, &several, err);
    hn_free(rows);
    return st;
}

static hn_status gather(hn_ladder_work *w, hn_error *err) {
    size_t n_all = w->setup->dataset->n_cases;
    w->cases = hn_calloc(n_all, sizeof *w->cases);
    w->texts = hn_calloc(n_all, sizeof *w->texts);
    w->labels = hn_calloc(n_all, sizeof *w->labels);
    w->groups = hn_calloc(n_all, sizeof *w->groups);
    w->numbers = hn_calloc(n_all, sizeof *w->numbers);
    if (!w->cases || !w->texts || !w->labels || !w->groups || !w->numbers)
        return hn_fail_memory(err, n_all * sizeof *w->texts);
    HN_TRY(take_splits(w, err));
    w->out->n_train = w->n_train;
    w->out->n_dev = w->n_dev;
    HN_TRY(take_texts(w, err));
    return take_groups(w, err);
}

static void release(hn_ladder_work *w) {
    hn_free(w->cases);
    hn_free(w->texts);
    hn_free(w->labels);
    hn_free(w->groups);
    hn_free(w->numbers);
    hn_free(w->vectors);
    hn_buf_free(&w->text);
    hn_pool_free(w->pool);
}

/* ---- all rungs ---- */

/* A rung that a model cannot take is left out; what concerns the whole program (interrupt, memory, disk) ends the climb. */
static bool ends_climb(hn_status st) { return st == HN_ERR_INTERRUPTED || st == HN_ERR_MEMORY || st == HN_ERR_IO; }

static hn_status model_rungs(hn_ladder_work *w, int m, hn_error *err) {
    hn_provider_info info;
    hn_error own = {0};
    HN_TRY(hn_provider_info_get(w->setup->providers[m], &info, err));
    if (info.model && w->contract->kind == HN_CONTRACT_CHOICE) {
        hn_status st = hn_ladder_probe(w, m, &own);
        if (ends_climb(st)) {
            if (err) *err = own;
            return st;
        }
        if (st != HN_OK) hn_ladder_leave_out(w, "linear probe", own.message);
    }
    return hn_ladder_prompts(w, m, err);
}

static hn_status curves(hn_ladder_work *w, hn_error *err) {
    if (w->contract->kind != HN_CONTRACT_CHOICE) return HN_OK;
    for (size_t i = 0; i < w->out->n_rungs; i++)
        if (hn_ladder_learner(w->out->rungs[i].kind) && w->out->rungs[i].kind != HN_RUNG_MAJORITY)
            HN_TRY(hn_ladder_curve(w, &w->out->rungs[i], err));
    return hn_ladder_narrow(w, err);
}

static hn_status climb(hn_ladder_work *w, hn_error *err) {
    HN_TRY(gather(w, err));
    if (w->n_train == 0 || w->n_dev == 0) {
        hn_ladder_leave_out(w, "all", w->n_train ? "dev has no labelled cases" : "train has no labelled cases");
        return HN_OK;
    }
    HN_TRY(hn_pool_create(0, &w->pool, err));
    if (w->contract->kind != HN_CONTRACT_CHOICE) {
        hn_ladder_leave_out(w, "bag of words", "it answers with labels, and the output is no choice");
        hn_ladder_leave_out(w, "linear probe", "it answers with labels, and the output is no choice");
    }
    HN_TRY(hn_ladder_cheap_rungs(w, err));
    for (size_t m = 0; m < w->setup->n_providers; m++) HN_TRY(model_rungs(w, (int)m, err));
    HN_TRY(mark(w, err));
    HN_TRY(curves(w, err));
    return recommend(w, err);
}

hn_status hn_ladder_climb(const hn_ladder_setup *setup, hn_ladder *out, hn_error *err) {
    const hn_scope *scope = hn_project_scope(setup->project);
    *out = (hn_ladder){.scope = scope};
    hn_ladder_work w = {.setup = setup,
                        .scope = scope,
                        .contract = &scope->contract,
                        .store = setup->store,
                        .out = out,
                        .vectors_of = -1};
    hn_buf_init(&w.text, 0);
    hn_status st = climb(&w, err);
    release(&w);
    if (st != HN_OK) hn_ladder_free(out);
    return st;
}

void hn_ladder_free(hn_ladder *l) {
    /* one more than is counted: a rung that was begun when the climb ended */
    for (size_t i = 0; i < HN_LADDER_RUNGS_MAX; i++) free_rung(&l->rungs[i]);
    hn_narrow_free(&l->narrow);
    *l = (hn_ladder){0};
}
