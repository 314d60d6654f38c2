/* The rungs that take no model; see ladder_parts.h. Related cases lie in one split, so the nearest training case of a dev case is never one of
 * its own group; within train (folds), groups stay together too. */
#include "base/clock.h"
#include "base/interrupt.h"
#include "lifecycle/scope/ladder_parts.h"
#include "text/bow.h"
#include "text/nearest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Votes of so many neighbours, weighted by similarity, where the answer is a label. */
enum { NEIGHBOURS = 5 };

/* ---- learners ---- */

/* The texts of some cases, beside each other. */
static hn_str *texts_of(const hn_ladder_work *w, const uint32_t *items, size_t n) {
    hn_str *texts = hn_calloc(n, sizeof *texts);
    for (size_t i = 0; texts && i < n; i++) texts[i] = w->texts[items[i]];
    return texts;
}

/* What answers one text at a time: learnt once, asked often. */
typedef struct learnt {
    hn_ladder_work *w;
    const uint32_t *train;
    hn_bow *bow;
    hn_nearest *nearest;
    int32_t commonest;
} learnt;

static int by_target(const void *a, const void *b) {
    const hn_case *const *x = a, *const *y = b;
    return strcmp((*x)->target, (*y)->target);
}

/* The index of a training case with the commonest target; of equally common ones the first in order. */
static hn_status commonest_target(const hn_ladder_work *w, const uint32_t *train, size_t n, int32_t *item,
                                  hn_error *err) {
    const hn_case **sorted = hn_calloc(n, sizeof *sorted);
    const char *best = NULL;
    size_t most = 0;
    if (!sorted) return hn_fail_memory(err, n * sizeof *sorted);
    for (size_t i = 0; i < n; i++) sorted[i] = w->cases[train[i]];
    qsort(sorted, n, sizeof *sorted, by_target);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && strcmp(sorted[end]->target, sorted[i]->target) == 0;) end++;
        if (end - i > most) most = end - i, best = sorted[i]->target;
    }
    for (size_t i = n; i-- > 0;)
        if (strcmp(w->cases[train[i]]->target, best) == 0) *item = (int32_t)train[i];
    hn_free(sorted);
    return HN_OK;
}

static hn_status learn_commonest(learnt *l, const uint32_t *train, size_t n, hn_error *err) {
    const hn_ladder_work *w = l->w;
    if (w->contract->kind != HN_CONTRACT_CHOICE) return commonest_target(w, train, n, &l->commonest, err);
    size_t *counts = hn_calloc(w->contract->n_labels, sizeof *counts);
    if (!counts) return hn_fail_memory(err, w->contract->n_labels * sizeof *counts);
    for (size_t i = 0; i < n; i++) counts[w->labels[train[i]]]++;
    for (size_t k = 1; k < w->contract->n_labels; k++)
        if (counts[k] > counts[l->commonest]) l->commonest = (int32_t)k;
    hn_free(counts);
    return HN_OK;
}

static hn_status learn_bow(learnt *l, const uint32_t *train, size_t n, hn_error *err) {
    const hn_ladder_work *w = l->w;
    hn_str *texts = texts_of(w, train, n);
    int32_t *labels = hn_calloc(n, sizeof *labels);
    hn_status st = texts && labels ? HN_OK : hn_fail_memory(err, n * sizeof *texts);
    for (size_t i = 0; st == HN_OK && i < n; i++) labels[i] = w->labels[train[i]];
    if (st == HN_OK) st = hn_bow_train(texts, labels, n, w->contract->n_labels, NULL, &l->bow, err);
    hn_free(texts);
    hn_free(labels);
    return st;
}

static hn_status learn_nearest(learnt *l, const uint32_t *train, size_t n, hn_error *err) {
    hn_str *texts = texts_of(l->w, train, n);
    if (!texts) return hn_fail_memory(err, n * sizeof *texts);
    hn_status st = hn_nearest_create(texts, n, NULL, &l->nearest, err);
    hn_free(texts);
    return st;
}

static hn_status learn(learnt *l, hn_rung_kind kind, const uint32_t *train, size_t n, hn_error *err) {
    l->train = train;
    if (kind == HN_RUNG_MAJORITY) return learn_commonest(l, train, n, err);
    return kind == HN_RUNG_BAG_OF_WORDS ? learn_bow(l, train, n, err) : learn_nearest(l, train, n, err);
}

static void forget(learnt *l) {
    hn_bow_free(l->bow);
    hn_nearest_free(l->nearest);
}

/* The label with the most similarity among the neighbours; of equals the nearest's. */
static int32_t vote(const learnt *l, const uint32_t *ids, const float *similarities, size_t n) {
    int32_t best = -1;
    double most = -1;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        int32_t label = l->w->labels[l->train[ids[i]]];
        for (size_t k = 0; k < n; k++)
            if (l->w->labels[l->train[ids[k]]] == label) sum += (double)similarities[k];
        if (sum > most) most = sum, best = label;
    }
    return best;
}

static hn_status answer(const learnt *l, uint32_t item, int32_t *out, hn_error *err) {
    const hn_ladder_work *w = l->w;
    bool choice = w->contract->kind == HN_CONTRACT_CHOICE;
    *out = l->commonest;
    if (l->bow) return hn_bow_predict(l->bow, &w->texts[item], 1, out, err);
    if (!l->nearest) return HN_OK;
    uint32_t ids[NEIGHBOURS];
    float similarities[NEIGHBOURS];
    size_t n;
    HN_TRY(
        hn_nearest_find(l->nearest, w->texts[item], choice ? NEIGHBOURS : 1, NULL, NULL, ids, similarities, &n, err));
    *out = n == 0 ? -1 : choice ? vote(l, ids, similarities, n) : (int32_t)l->train[ids[0]];
    return HN_OK;
}

static hn_status learn_and_answer(hn_ladder_work *w, hn_rung_kind kind, const uint32_t *train, size_t n_train,
                                  const uint32_t *asked, size_t n_asked, int32_t *answers, hn_error *err) {
    learnt l = {.w = w};
    hn_status st = learn(&l, kind, train, n_train, err);
    for (size_t i = 0; st == HN_OK && i < n_asked; i++) {
        st = hn_interrupt_check(err);
        if (st == HN_OK) st = answer(&l, asked[i], &answers[i], err);
    }
    forget(&l);
    return st;
}

static hn_status majority(hn_ladder_work *w, const uint32_t *train, size_t n_train, const uint32_t *asked,
                          size_t n_asked, int32_t *answers, hn_error *err) {
    return learn_and_answer(w, HN_RUNG_MAJORITY, train, n_train, asked, n_asked, answers, err);
}

static hn_status bag_of_words(hn_ladder_work *w, const uint32_t *train, size_t n_train, const uint32_t *asked,
                              size_t n_asked, int32_t *answers, hn_error *err) {
    return learn_and_answer(w, HN_RUNG_BAG_OF_WORDS, train, n_train, asked, n_asked, answers, err);
}

static hn_status nearest(hn_ladder_work *w, const uint32_t *train, size_t n_train, const uint32_t *asked,
                         size_t n_asked, int32_t *answers, hn_error *err) {
    return learn_and_answer(w, HN_RUNG_NEAREST, train, n_train, asked, n_asked, answers, err);
}

hn_ladder_learn_fn *hn_ladder_learner(hn_rung_kind kind) {
    switch (kind) {
    case HN_RUNG_MAJORITY: return majority;
    case HN_RUNG_BAG_OF_WORDS: return bag_of_words;
    case HN_RUNG_NEAREST: return nearest;
    case HN_RUNG_PROBE: return hn_ladder_learn_probe;
    default: return NULL;
    }
}

/* ---- the rungs ---- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All dev cases, one at a time, each timed: that is how a server would ask. */
static hn_status answer_dev(learnt *l, hn_rung *rung, hn_error *err) {
    const hn_ladder_work *w = l->w;
    double *ms = hn_calloc(rung->n, sizeof *ms);
    hn_status st = ms ? HN_OK : hn_fail_memory(err, rung->n * sizeof *ms);
    for (size_t i = 0; st == HN_OK && i < rung->n; i++) {
        int32_t given = -1;
        double began = hn_clock_seconds();
        st = hn_interrupt_check(err);
        if (st == HN_OK) st = answer(l, (uint32_t)(w->n_train + i), &given, err);
        ms[i] = (hn_clock_seconds() - began) * 1e3;
        rung->right[i] = hn_ladder_is_right(w, w->n_train + i, given);
        if (rung->answers) rung->answers[i] = given;
    }
    if (st == HN_OK) {
        qsort(ms, rung->n, sizeof *ms, by_value);
        rung->latency_ms = ms[rung->n / 2];
    }
    hn_free(ms);
    return st;
}

static hn_status measure(hn_ladder_work *w, hn_rung *rung, hn_error *err) {
    learnt l = {.w = w};
    double began = hn_clock_seconds();
    hn_ladder_tell(w, rung->name, 0, 0);
    hn_status st = learn(&l, rung->kind, w->numbers, w->n_train, err);
    if (st == HN_OK) st = answer_dev(&l, rung, err);
    rung->seconds = hn_clock_seconds() - began;
    rung->memory_bytes = l.bow ? (double)hn_bow_bytes(l.bow) : l.nearest ? (double)hn_nearest_bytes(l.nearest) : 0;
    if (st == HN_OK && rung->kind == HN_RUNG_MAJORITY) {
        const char *text =
            w->contract->kind == HN_CONTRACT_CHOICE ? w->contract->labels[l.commonest] : w->cases[l.commonest]->target;
        snprintf(rung->detail, sizeof rung->detail, "%.90s", text);
    }
    forget(&l);
    return st;
}

static hn_status cheap_rung(hn_ladder_work *w, hn_rung_kind kind, hn_error *err) {
    char key[65];
    json_t *kept;
    hn_rung *rung;
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(hn_ladder_begin_rung(w, kind, -1, w->n_dev, &rung, err));
    HN_TRY(hn_ladder_key(w, "rung", rung, NULL, rung->n, key, err));
    HN_TRY(hn_ladder_get(w, key, &kept, err));
    bool found = kept && hn_ladder_read_rung(kept, rung->answers != NULL, rung);
    json_decref(kept);
    if (!found) {
        HN_TRY(measure(w, rung, err));
        HN_TRY(hn_ladder_keep(w, key, hn_ladder_write_rung(rung), err));
    }
    return hn_ladder_finish_rung(w, rung, err);
}

hn_status hn_ladder_cheap_rungs(hn_ladder_work *w, hn_error *err) {
    HN_TRY(cheap_rung(w, HN_RUNG_MAJORITY, err));
    if (w->contract->kind == HN_CONTRACT_CHOICE) HN_TRY(cheap_rung(w, HN_RUNG_BAG_OF_WORDS, err));
    return cheap_rung(w, HN_RUNG_NEAREST, err);
}
