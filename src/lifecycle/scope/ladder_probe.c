/* The linear probe: logistic regression on a local model's pooled hidden states. How strongly it is held back is chosen by cross-validation on
 * the training cases; dev has no say in it. See ladder_parts.h. */
#include "app/embed.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lifecycle/scope/ladder_parts.h"
#include "stats/whiten.h"
#include "text/softmax.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Penalties, by the number of training cases: penalty = STRENGTHS[i] * n. The strongest first: each starts the next. */
static const double STRENGTHS[] = {1.0, 0.3, 0.1, 0.03, 0.01};
enum { N_STRENGTHS = sizeof STRENGTHS / sizeof *STRENGTHS, STRENGTH_FOLDS = 3 };

static hn_status train(hn_ladder_work *w, const uint32_t *items, size_t n, double strength, const hn_softmax *start,
                       hn_softmax **model, hn_error *err) {
    int32_t *labels = hn_calloc(n, sizeof *labels);
    if (!labels) return hn_fail_memory(err, n * sizeof *labels);
    for (size_t i = 0; i < n; i++) labels[i] = w->labels[items[i]];
    hn_softmax_options o = {
        .penalty = strength * (double)n, .tolerance = 1e-4, .n_iterations = 100, .pool = w->pool, .start = start};
    hn_status st = hn_softmax_train(w->vectors, w->n_dims, items, labels, n, w->contract->n_labels, &o, model, err);
    hn_free(labels);
    return st;
}

hn_status hn_ladder_learn_probe(hn_ladder_work *w, const uint32_t *items, size_t n_train, const uint32_t *asked,
                                size_t n_asked, int32_t *answers, hn_error *err) {
    hn_softmax *model;
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(train(w, items, n_train, w->strength, NULL, &model, err));
    hn_status st = hn_softmax_predict(model, w->vectors, asked, n_asked, answers, err);
    hn_softmax_free(model);
    return st;
}

/* ---- the strength ---- */

/* Right answers of each strength on one fold, learnt from the others. */
static hn_status try_fold(hn_ladder_work *w, const uint8_t *folds, int fold, uint32_t *items, int32_t *answers,
                          size_t right[N_STRENGTHS], hn_error *err) {
    size_t n_in = 0, n_out = 0;
    hn_softmax *before = NULL, *model;
    hn_status st = HN_OK;
    for (size_t i = 0; i < w->n_train; i++)
        if (folds[i] != fold) items[n_in++] = (uint32_t)i;
    uint32_t *asked = items + n_in;
    for (size_t i = 0; i < w->n_train; i++)
        if (folds[i] == fold) asked[n_out++] = (uint32_t)i;
    for (size_t s = 0; s < N_STRENGTHS && st == HN_OK && n_in > 0 && n_out > 0; s++) {
        HN_GOTO(hn_interrupt_check(err), done);
        HN_GOTO(train(w, items, n_in, STRENGTHS[s], before, &model, err), done);
        hn_softmax_free(before);
        before = model;
        HN_GOTO(hn_softmax_predict(model, w->vectors, asked, n_out, answers, err), done);
        for (size_t i = 0; i < n_out; i++) right[s] += answers[i] == w->labels[asked[i]];
    }
done:
    hn_softmax_free(before);
    return st;
}

/* The strength with the most right answers out of fold, the stronger of equals. */
static hn_status choose_strength(hn_ladder_work *w, const char *what, hn_error *err) {
    uint8_t *folds = hn_calloc(w->n_train, 1);
    uint32_t *items = hn_calloc(w->n_train, sizeof *items);
    int32_t *answers = hn_calloc(w->n_train, sizeof *answers);
    size_t right[N_STRENGTHS] = {0}, best = 0;
    hn_status st = folds && items && answers ? HN_OK : hn_fail_memory(err, w->n_train * sizeof *items);
    if (st == HN_OK) st = hn_ladder_folds(w, STRENGTH_FOLDS, folds, err);
    for (int fold = 0; fold < STRENGTH_FOLDS && st == HN_OK; fold++) {
        hn_ladder_tell(w, what, (size_t)fold, STRENGTH_FOLDS);
        st = try_fold(w, folds, fold, items, answers, right, err);
    }
    for (size_t s = 1; s < N_STRENGTHS; s++)
        if (right[s] > right[best]) best = s;
    w->strength = STRENGTHS[best];
    hn_free(folds);
    hn_free(items);
    hn_free(answers);
    return st;
}

/* ---- the rung ---- */

typedef struct telling {
    hn_ladder_work *w;
    char what[160];
} telling;

static void on_embedded(void *user, size_t n_done, size_t n_all) {
    telling *t = user;
    hn_ladder_tell(t->w, t->what, n_done, n_all);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hn_status embed(hn_ladder_work *w, const hn_rung *rung, hn_embeddings *e, hn_error *err) {
    telling t = {.w = w};
    snprintf(t.what, sizeof t.what, "%s: hidden states", rung->name);
    hn_embed_options o = {.store = w->store, .on_progress = on_embedded, .user = &t};
    HN_TRY(hn_embed_texts(w->setup->providers[rung->provider], w->texts, w->n_train + w->n_dev, &o, e, err));
    hn_free(w->vectors);
    w->vectors = e->vectors;
    w->vectors_of = rung->provider;
    w->n_dims = e->n_dims;
    e->vectors = NULL;
    return HN_OK;
}

hn_status hn_ladder_need_vectors(hn_ladder_work *w, const hn_rung *rung, hn_error *err) {
    hn_embeddings e;
    w->strength = rung->strength;
    if (w->vectors && w->vectors_of == rung->provider) return HN_OK;
    HN_TRY(embed(w, rung, &e, err));
    hn_embeddings_free(&e);
    return HN_OK;
}

/* How well the cosine of two states says that their cases have one label: as they are, and centred and whitened on train. On dev. */
static hn_status measure_similarity(hn_ladder_work *w, double *raw, double *whitened, hn_error *err) {
    hn_whitening *whitening;
    const float *dev = w->vectors + w->n_train * w->n_dims;
    float *out = hn_calloc(w->n_dev, w->n_dims * sizeof *out);
    if (!out) return hn_fail_memory(err, w->n_dev * w->n_dims * sizeof *out);
    hn_status st = hn_pair_auc(dev, w->n_dims, w->labels + w->n_train, w->n_dev, HN_LADDER_SEED, raw, err);
    if (st == HN_OK) st = hn_whitening_fit(w->vectors, w->n_train, w->n_dims, &whitening, err);
    if (st == HN_OK) {
        for (size_t i = 0; i < w->n_dev; i++) hn_whitening_apply(whitening, dev + i * w->n_dims, out + i * w->n_dims);
        hn_whitening_free(whitening);
        st = hn_pair_auc(out, w->n_dims, w->labels + w->n_train, w->n_dev, HN_LADDER_SEED, whitened, err);
    }
    hn_free(out);
    return st;
}

static hn_status answer_dev(hn_ladder_work *w, hn_rung *rung, hn_error *err) {
    hn_softmax *model;
    HN_TRY(train(w, w->numbers, w->n_train, w->strength, NULL, &model, err));
    hn_status st = hn_softmax_predict(model, w->vectors, w->numbers + w->n_train, w->n_dev, rung->answers, err);
    rung->memory_bytes += (double)hn_softmax_bytes(model);
    hn_softmax_free(model);
    for (size_t i = 0; st == HN_OK && i < w->n_dev; i++)
        rung->right[i] = hn_ladder_is_right(w, w->n_train + i, rung->answers[i]);
    return st;
}

/* What one answer takes: the text through the model; the classifier's own time is nothing beside it. */
static hn_status count_cost(hn_ladder_work *w, hn_embeddings *e, hn_rung *rung, hn_error *err) {
    hn_provider_info info;
    int longest = 0;
    HN_TRY(hn_provider_info_get(w->setup->providers[rung->provider], &info, err));
    for (size_t i = 0; i < e->n; i++)
        if (e->n_tokens[i] > longest) longest = e->n_tokens[i];
    qsort(e->ms + w->n_train, w->n_dev, sizeof *e->ms, by_value);
    rung->latency_ms = e->ms[w->n_train + w->n_dev / 2];
    rung->memory_bytes = (double)info.model_bytes + (double)info.kv_bytes_per_token * longest;
    return HN_OK;
}

static hn_status measure(hn_ladder_work *w, hn_rung *rung, hn_error *err) {
    char what[160];
    hn_embeddings e;
    double began = hn_clock_seconds();
    HN_TRY(embed(w, rung, &e, err));
    hn_status st = count_cost(w, &e, rung, err);
    hn_embeddings_free(&e);
    HN_TRY(st);
    snprintf(what, sizeof what, "%s: strength", rung->name);
    HN_TRY(choose_strength(w, what, err));
    rung->strength = w->strength;
    HN_TRY(answer_dev(w, rung, err));
    if (w->n_train > 1) HN_TRY(measure_similarity(w, &rung->pair_auc, &rung->pair_auc_whitened, err));
    rung->seconds = hn_clock_seconds() - began;
    snprintf(rung->detail, sizeof rung->detail, "penalty %g a case, by cross-validation", w->strength);
    return HN_OK;
}

hn_status hn_ladder_probe(hn_ladder_work *w, int provider, hn_error *err) {
    char key[65];
    json_t *kept;
    hn_rung *rung;
    HN_TRY(hn_ladder_begin_rung(w, HN_RUNG_PROBE, provider, w->n_dev, &rung, err));
    HN_TRY(hn_ladder_key(w, "rung", rung, NULL, rung->n, key, err));
    HN_TRY(hn_ladder_get(w, key, &kept, err));
    bool found = kept && hn_ladder_read_rung(kept, true, rung);
    json_decref(kept);
    if (!found) {
        HN_TRY(measure(w, rung, err));
        HN_TRY(hn_ladder_keep(w, key, hn_ladder_write_rung(rung), err));
    }
    return hn_ladder_finish_rung(w, rung, err);
}
