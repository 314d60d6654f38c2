/* Hidden states as a similarity; see grader_hidden.h. Plain cosines of hidden states are near 1 whatever the texts say, so they are whitened; and even then
 * the AUC must be looked at, which is why it is never a default. */
#include "lifecycle/eval/grader_hidden.h"

#include "app/embed.h"
#include "stats/whiten.h"

#include <string.h>

struct hn_hidden {
    hn_provider *provider;
    bool own;
    hn_store *store;
    hn_whitening *whitening;
    size_t n_dims;
};

void hn_hidden_close(hn_hidden *h) {
    if (!h) return;
    hn_whitening_free(h->whitening);
    if (h->own) hn_provider_close(h->provider);
    hn_free(h);
}

static hn_status fit(hn_hidden *h, const hn_str *texts, size_t n, const int32_t *labels, size_t n_labelled, double *auc,
                     hn_error *err) {
    hn_embeddings e;
    HN_TRY(hn_embed_texts(h->provider, texts, n, &(hn_embed_options){.store = h->store}, &e, err));
    h->n_dims = e.n_dims;
    hn_status st = hn_whitening_fit(e.vectors, n, e.n_dims, &h->whitening, err);
    for (size_t i = 0; st == HN_OK && i < n_labelled; i++)
        hn_whitening_apply(h->whitening, e.vectors + i * e.n_dims, e.vectors + i * e.n_dims);
    if (st == HN_OK) st = hn_pair_auc(e.vectors, e.n_dims, labels, n_labelled, 7, auc, err);
    hn_embeddings_free(&e);
    return st;
}

hn_status hn_hidden_open(const hn_grader *g, const hn_str *texts, size_t n, const int32_t *labels, size_t n_labelled,
                         hn_hidden **hidden, double *auc, hn_error *err) {
    *hidden = NULL;
    hn_hidden *h = hn_calloc(1, sizeof *h);
    if (!h) return hn_fail_memory(err, sizeof *h);
    h->store = g->grading.store;
    hn_status st =
        hn_grading_model(&g->grading, hn_grader_option(g, "model"), g->config->place, &h->provider, &h->own, err);
    if (st == HN_OK) st = fit(h, texts, n, labels, n_labelled, auc, err);
    if (st == HN_OK)
        *hidden = h;
    else
        hn_hidden_close(h);
    return st;
}

hn_status hn_hidden_similarities(hn_hidden *h, const hn_str *answers, const hn_str *targets, size_t n, double *out,
                                 hn_error *err) {
    hn_embeddings e;
    hn_str *texts = hn_alloc(2 * n * sizeof *texts);
    if (!texts) return hn_fail_memory(err, 2 * n * sizeof *texts);
    memcpy(texts, answers, n * sizeof *texts);
    memcpy(texts + n, targets, n * sizeof *texts);
    hn_status st = hn_embed_texts(h->provider, texts, 2 * n, &(hn_embed_options){.store = h->store}, &e, err);
    hn_free(texts);
    HN_TRY(st);
    if (e.n_dims != h->n_dims) {
        hn_embeddings_free(&e);
        return hn_fail(err, HN_ERR_INTERNAL, "embeddings", NULL, "vectors of two lengths from one model");
    }
    for (size_t i = 0; i < 2 * n; i++)
        hn_whitening_apply(h->whitening, e.vectors + i * e.n_dims, e.vectors + i * e.n_dims);
    for (size_t i = 0; i < n; i++)
        out[i] = hn_cosine(e.vectors + i * e.n_dims, e.vectors + (n + i) * e.n_dims, e.n_dims);
    hn_embeddings_free(&e);
    return HN_OK;
}
