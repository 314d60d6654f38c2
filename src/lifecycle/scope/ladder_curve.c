/* Learning curves and the narrower start of the rungs that learn: the same learners, on subsets and folds of train. See ladder_parts.h. */
#include "base/interrupt.h"
#include "base/rng.h"
#include "lifecycle/scope/ladder_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- folds ---- */

hn_status hn_ladder_folds(const hn_ladder_work *w, int n_folds, uint8_t *folds, hn_error *err) {
    size_t n = w->n_train, next = 0;
    uint32_t *order = hn_calloc(n, sizeof *order);
    int *of_group = hn_calloc(w->n_train + w->n_dev, sizeof *of_group); /* fold + 1 of each group that was met */
    hn_status st = order && of_group ? HN_OK : hn_fail_memory(err, n * sizeof *order);
    if (st == HN_OK) st = hn_curve_order(w->labels, n, w->contract->n_labels, HN_LADDER_SEED, order, err);
    /* The stratified order dealt out in turn spreads each label; a group goes where its first case went. */
    for (size_t i = 0; st == HN_OK && i < n; i++) {
        uint32_t group = w->groups[order[i]];
        if (!of_group[group]) of_group[group] = (int)(next++ % (size_t)n_folds) + 1;
        folds[order[i]] = (uint8_t)(of_group[group] - 1);
    }
    hn_free(order);
    hn_free(of_group);
    return st;
}

/* ---- the curve ---- */

/* What was measured: draws of each size, the largest (all cases) once. */
typedef struct rows {
    size_t sizes[HN_CURVE_SIZES * HN_CURVE_DRAWS];
    size_t n;
    unsigned char *right; /* (n, n_dev) */
} rows;

static void plan_rows(size_t n_train, size_t n_labels, rows *r) {
    size_t sizes[HN_CURVE_SIZES], n_sizes = hn_curve_sizes(n_train, n_labels, sizes);
    r->n = 0;
    if (n_sizes < 3) return;
    for (size_t s = 0; s < n_sizes; s++)
        for (int d = 0; d < (sizes[s] == n_train ? 1 : HN_CURVE_DRAWS); d++) r->sizes[r->n++] = sizes[s];
}

static hn_status measure_row(hn_ladder_work *w, const hn_rung *rung, size_t size, size_t draw, unsigned char *right,
                             hn_error *err) {
    uint32_t *order = hn_calloc(w->n_train, sizeof *order);
    int32_t *answers = hn_calloc(w->n_dev, sizeof *answers);
    hn_status st = order && answers ? HN_OK : hn_fail_memory(err, w->n_train * sizeof *order);
    if (st == HN_OK)
        st = hn_curve_order(w->labels, w->n_train, w->contract->n_labels, HN_LADDER_SEED + 1 + draw, order, err);
    if (st == HN_OK)
        st = hn_ladder_learner(rung->kind)(w, order, size, w->numbers + w->n_train, w->n_dev, answers, err);
    for (size_t i = 0; st == HN_OK && i < w->n_dev; i++) right[i] = hn_ladder_is_right(w, w->n_train + i, answers[i]);
    hn_free(order);
    hn_free(answers);
    return st;
}

static hn_status measure_rows(hn_ladder_work *w, const hn_rung *rung, rows *r, hn_error *err) {
    char what[160];
    snprintf(what, sizeof what, "%s: learning curve", rung->name);
    for (size_t i = 0, draw = 0; i < r->n; i++) {
        unsigned char *right = r->right + i * w->n_dev;
        draw = i > 0 && r->sizes[i] == r->sizes[i - 1] ? draw + 1 : 0;
        hn_ladder_tell(w, what, i, r->n);
        HN_TRY(hn_interrupt_check(err));
        if (r->sizes[i] == w->n_train)
            memcpy(right, rung->right, w->n_dev); /* the rung itself */
        else
            HN_TRY(measure_row(w, rung, r->sizes[i], draw, right, err));
    }
    return HN_OK;
}

static bool read_rows(const json_t *kept, size_t n_dev, rows *r) {
    const json_t *list = json_object_get(kept, "rows");
    if (json_array_size(list) != r->n) return false;
    for (size_t i = 0; i < r->n; i++)
        if (!hn_ladder_read_digits(json_array_get(list, i), r->right + i * n_dev, n_dev)) return false;
    return true;
}

static json_t *write_rows(const rows *r, size_t n_dev) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->n; i++) {
        if (json_array_append_new(list, hn_ladder_digits(r->right + i * n_dev, n_dev)) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    return list ? json_pack("{s:o}", "rows", list) : NULL;
}

static hn_status get_rows(hn_ladder_work *w, const hn_rung *rung, rows *r, hn_error *err) {
    char key[65];
    json_t *kept;
    HN_TRY(hn_ladder_key(w, "curve", rung, NULL, w->n_dev, key, err));
    HN_TRY(hn_ladder_get(w, key, &kept, err));
    bool found = kept && read_rows(kept, w->n_dev, r);
    json_decref(kept);
    if (found) return HN_OK;
    if (rung->kind == HN_RUNG_PROBE) HN_TRY(hn_ladder_need_vectors(w, rung, err));
    HN_TRY(measure_rows(w, rung, r, err));
    return hn_ladder_keep(w, key, write_rows(r, w->n_dev), err);
}

hn_status hn_ladder_curve(hn_ladder_work *w, const hn_rung *rung, hn_error *err) {
    rows r;
    plan_rows(w->n_train, w->contract->n_labels, &r);
    if (r.n == 0) return HN_OK; /* too few cases for a trend */
    r.right = hn_calloc(r.n, w->n_dev);
    if (!r.right) return hn_fail_memory(err, r.n * w->n_dev);
    hn_status st = get_rows(w, rung, &r, err);
    bool accuracy = strcmp(w->scope->metric, "accuracy") == 0;
    hn_curve_measured m = {r.sizes, r.right, r.n, w->n_dev, w->groups + w->n_train};
    hn_curve_options o = {.target = accuracy ? w->scope->target_value : (double)NAN, .seed = HN_LADDER_SEED};
    hn_curve *curve = &w->out->curves[w->out->n_curves];
    if (st == HN_OK) st = hn_curve_build(&m, &o, curve, err);
    hn_free(r.right);
    if (st != HN_OK) return st;
    snprintf(curve->name, sizeof curve->name, "%s", rung->name);
    w->out->n_curves++;
    return HN_OK;
}

/* ---- the narrower start ---- */

/* Answers to each training case by what was learnt from the other folds. */
static hn_status answer_folds(hn_ladder_work *w, const hn_rung *rung, int32_t *answers, hn_error *err) {
    char what[160];
    uint8_t *folds = hn_calloc(w->n_train, 1);
    uint32_t *items = hn_calloc(w->n_train, sizeof *items);
    int32_t *given = hn_calloc(w->n_train, sizeof *given);
    hn_status st = folds && items && given ? HN_OK : hn_fail_memory(err, w->n_train * sizeof *items);
    if (st == HN_OK) st = hn_ladder_folds(w, HN_LADDER_FOLDS, folds, err);
    snprintf(what, sizeof what, "%s: out of fold", rung->name);
    for (int fold = 0; fold < HN_LADDER_FOLDS && st == HN_OK; fold++) {
        size_t n_in = 0, n_out = 0;
        hn_ladder_tell(w, what, (size_t)fold, HN_LADDER_FOLDS);
        for (size_t i = 0; i < w->n_train; i++)
            if (folds[i] != fold) items[n_in++] = (uint32_t)i;
        for (size_t i = 0; i < w->n_train; i++)
            if (folds[i] == fold) items[n_in + n_out++] = (uint32_t)i;
        for (size_t i = 0; i < n_out; i++) answers[items[n_in + i]] = -1;
        if (n_in == 0 || n_out == 0) continue;
        st = hn_interrupt_check(err);
        if (st == HN_OK) st = hn_ladder_learner(rung->kind)(w, items, n_in, items + n_in, n_out, given, err);
        for (size_t i = 0; st == HN_OK && i < n_out; i++) answers[items[n_in + i]] = given[i];
    }
    hn_free(folds);
    hn_free(items);
    hn_free(given);
    return st;
}

static hn_status get_folds(hn_ladder_work *w, const hn_rung *rung, int32_t *answers, hn_error *err) {
    char key[65];
    json_t *kept;
    HN_TRY(hn_ladder_key(w, "folds", rung, NULL, 0, key, err));
    HN_TRY(hn_ladder_get(w, key, &kept, err));
    bool found = kept && hn_ladder_read_numbers(json_object_get(kept, "answers"), answers, w->n_train);
    for (size_t i = 0; found && i < w->n_train; i++) found = answers[i] < (int32_t)w->contract->n_labels;
    json_decref(kept);
    if (found) return HN_OK;
    if (rung->kind == HN_RUNG_PROBE) HN_TRY(hn_ladder_need_vectors(w, rung, err));
    HN_TRY(answer_folds(w, rung, answers, err));
    return hn_ladder_keep(w, key, json_pack("{s:o}", "answers", hn_ladder_numbers(answers, w->n_train)), err);
}

/* A prompt does not learn, and answering all of train would take long: half of its dev cases chooses, the other half checks, whole groups in
 * one half. `room` (2, 3, n): truth, answers and groups of each. */
static void halve(const hn_ladder_work *w, const hn_rung *rung, int32_t *room, hn_narrow_answers halves[2]) {
    size_t n = rung->n, count[2] = {0, 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t group = w->groups[w->n_train + i];
        int32_t *half = room + (group & 1) * 3 * n;
        size_t at = count[group & 1]++;
        half[at] = w->labels[w->n_train + i];
        half[n + at] = rung->answers[i];
        half[2 * n + at] = (int32_t)group;
    }
    for (int h = 0; h < 2; h++) {
        int32_t *half = room + (size_t)h * 3 * n;
        halves[h] = (hn_narrow_answers){half, half + n, (const uint32_t *)(half + 2 * n), count[h]};
    }
}

hn_status hn_ladder_narrow(hn_ladder_work *w, hn_error *err) {
    const hn_rung *rung = &w->out->rungs[w->out->marked];
    bool assumed = !isfinite(hn_ladder_target(w));
    double target = assumed ? 0.9 : hn_ladder_target(w);
    hn_narrow *out = &w->out->narrow;
    size_t n_room = w->n_train > 6 * rung->n ? w->n_train : 6 * rung->n;
    int32_t *room = hn_calloc(n_room, sizeof *room);
    if (!room) return hn_fail_memory(err, n_room * sizeof *room);
    hn_status st = HN_OK;
    hn_narrow_answers a[2] = {{w->labels, room, NULL, w->n_train},
                              {w->labels + w->n_train, rung->answers, w->groups + w->n_train, rung->n}};
    if (hn_ladder_learner(rung->kind))
        st = get_folds(w, rung, room, err);
    else
        halve(w, rung, room, a);
    if (st == HN_OK) st = hn_narrow_find(&a[0], &a[1], w->contract->n_labels, target, out, err);
    hn_free(room);
    if (st != HN_OK) return st;
    out->target_assumed = assumed;
    snprintf(out->rung, sizeof out->rung, "%s", rung->name);
    return HN_OK;
}
