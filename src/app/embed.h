/* Texts as vectors: a local model's hidden states, the mean over each text's tokens of the last layer's normalised state.
 *
 *     hn_embeddings e;
 *     HN_TRY(hn_embed_texts(provider, texts, n, &(hn_embed_options){.store = store}, &e, &err));
 *     const float *first = e.vectors;                      // (n, n_dims)
 *     hn_embeddings_free(&e);
 *
 * The text goes in as it is, without a chat template. What was computed is kept in the store's cache under the hash of weights, tokens and
 * numeric path, so the same text is computed once, and after Ctrl-C the rest goes on. A text without tokens is the zero vector.
 * Raw cosines of such vectors say little (all states point roughly one way): centre and whiten them first (stats/whiten.h), and look at the
 * AUC on pairs of the same label before trusting a similarity.
 * Ownership: the caller frees the embeddings. Threading: one thread. */
#ifndef HN_APP_EMBED_H
#define HN_APP_EMBED_H

#include "base/str.h"
#include "provider/provider.h"
#include "store/store.h"

typedef void hn_embed_on_progress(void *user, size_t n_done, size_t n_all);

typedef struct hn_embed_options {
    hn_store *store; /* NULL: nothing is kept */
    hn_embed_on_progress *on_progress;
    void *user;
} hn_embed_options;

typedef struct hn_embeddings {
    float *vectors; /* (n, n_dims) */
    double *ms;     /* (n) what each took when it was computed */
    int *n_tokens;  /* (n) */
    size_t n, n_dims, n_cached;
} hn_embeddings;

/* Errors: HN_ERR_UNSUPPORTED for a model that is not local, HN_ERR_CONTEXT for a text that does not fit the context window (nothing is
 * cut silently), HN_ERR_INTERRUPTED after Ctrl-C, with what was done kept. */
hn_status hn_embed_texts(hn_provider *provider, const hn_str *texts, size_t n, const hn_embed_options *options,
                         hn_embeddings *out, hn_error *err) HN_MUST_CHECK;
void hn_embeddings_free(hn_embeddings *e);

#endif
