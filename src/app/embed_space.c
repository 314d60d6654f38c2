/* Similarity by hidden states; see embed_space.h. */
#include "app/embed_space.h"

#include "stats/whiten.h"

#include <math.h>
#include <string.h>

enum { PAIR_SEED = 7 };

struct hn_embed_space {
    hn_provider *provider;
    hn_embed_options options;
    hn_whitening *whitening;
    hn_embed_space_quality quality;
};

void hn_embed_space_free(hn_embed_space *space) {
    if (!space) return;
    hn_whitening_free(space->whitening);
    hn_free(space);
}

hn_embed_space_quality hn_embed_space_quality_of(const hn_embed_space *space) { return space->quality; }

void hn_embed_space_apply(const hn_embed_space *space, hn_embeddings *e) {
    for (size_t i = 0; i < e->n; i++)
        hn_whitening_apply(space->whitening, e->vectors + i * e->n_dims, e->vectors + i * e->n_dims);
}

/* The even texts into the first half of `out`, the odd ones behind them; labels likewise. */
static void deal_out(const hn_embeddings *e, const int32_t *labels, float *out, int32_t *out_labels) {
    size_t half = (e->n + 1) / 2;
    for (size_t i = 0; i < e->n; i++) {
        size_t at = i % 2 ? half + i / 2 : i / 2;
        memcpy(out + at * e->n_dims, e->vectors + i * e->n_dims, e->n_dims * sizeof *out);
        out_labels[at] = labels[i];
    }
}

/* The AUC on texts [from, from + n) by a whitening of texts [fit, fit + n_fit); those texts are overwritten. */
static hn_status cross(float *rows, const int32_t *labels, size_t n_dims, size_t fit, size_t n_fit, float *room,
                       size_t from, size_t n, double *auc, hn_error *err) {
    hn_whitening *w;
    HN_TRY(hn_whitening_fit(rows + fit * n_dims, n_fit, n_dims, &w, err));
    for (size_t i = 0; i < n; i++) hn_whitening_apply(w, rows + (from + i) * n_dims, room + i * n_dims);
    hn_whitening_free(w);
    return hn_pair_auc(room, n_dims, labels + from, n, PAIR_SEED, auc, err);
}

static hn_status measure(const hn_embeddings *e, const int32_t *labels, hn_embed_space_quality *q, hn_error *err) {
    size_t half = (e->n + 1) / 2, rest = e->n - half;
    double first = NAN, second = NAN;
    if (!labels || rest < 2) return HN_OK;
    float *rows = hn_calloc(2 * e->n, e->n_dims * sizeof *rows);
    int32_t *dealt = hn_calloc(e->n, sizeof *dealt);
    hn_status st = rows && dealt ? HN_OK : hn_fail_memory(err, 2 * e->n * e->n_dims * sizeof *rows);
    if (st == HN_OK) {
        float *room = rows + e->n * e->n_dims;
        deal_out(e, labels, rows, dealt);
        st = cross(rows, dealt, e->n_dims, 0, half, room, half, rest, &first, err);
        if (st == HN_OK) st = cross(rows, dealt, e->n_dims, half, rest, room, 0, half, &second, err);
    }
    if (st == HN_OK) st = hn_pair_auc(e->vectors, e->n_dims, labels, e->n, PAIR_SEED, &q->auc_raw, err);
    q->auc = (first + second) / 2;
    hn_free(rows);
    hn_free(dealt);
    return st;
}

hn_status hn_embed_space_fit(hn_provider *provider, const hn_str *texts, const int32_t *labels, size_t n,
                             const hn_embed_options *options, hn_embed_space **out, hn_error *err) {
    hn_embeddings e;
    *out = NULL;
    hn_embed_space *space = hn_calloc(1, sizeof *space);
    if (!space) return hn_fail_memory(err, sizeof *space);
    space->provider = provider;
    if (options) space->options = *options;
    hn_status st = hn_embed_texts(provider, texts, n, options, &e, err);
    if (st == HN_OK) {
        space->quality = (hn_embed_space_quality){.auc = NAN, .auc_raw = NAN, .n = n, .n_dims = e.n_dims};
        st = hn_whitening_fit(e.vectors, n, e.n_dims, &space->whitening, err);
        if (st == HN_OK) st = measure(&e, labels, &space->quality, err);
        hn_embeddings_free(&e);
    }
    if (st != HN_OK) {
        hn_embed_space_free(space);
        return st;
    }
    space->quality.shrinkage = hn_whitening_shrinkage(space->whitening);
    *out = space;
    return HN_OK;
}

hn_status hn_embed_space_similarity(hn_embed_space *space, const hn_str *a, const hn_str *b, size_t n,
                                    double *similarities, hn_error *err) {
    hn_embeddings e;
    hn_str *texts = hn_calloc(n, 2 * sizeof *texts);
    if (!texts) return hn_fail_memory(err, n * 2 * sizeof *texts);
    memcpy(texts, a, n * sizeof *texts);
    memcpy(texts + n, b, n * sizeof *texts);
    hn_status st = hn_embed_texts(space->provider, texts, 2 * n, &space->options, &e, err);
    hn_free(texts);
    if (st != HN_OK) return st;
    hn_embed_space_apply(space, &e);
    for (size_t i = 0; i < n; i++)
        similarities[i] = hn_cosine(e.vectors + i * e.n_dims, e.vectors + (n + i) * e.n_dims, e.n_dims);
    hn_embeddings_free(&e);
    return HN_OK;
}
