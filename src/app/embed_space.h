/* Similarity of texts by a local model's hidden states, centred and whitened on training texts, with the evidence of how far it can be trusted.
 *
 *     hn_embed_space *space;
 *     HN_TRY(hn_embed_space_fit(provider, train_texts, labels, n, &(hn_embed_options){.store = store}, &space, &err));
 *     hn_embed_space_quality q = hn_embed_space_quality_of(space);       // q.auc: show it beside every similarity
 *     HN_TRY(hn_embed_space_similarity(space, a, b, n_pairs, similarities, &err));
 *     hn_embed_space_free(space);
 *
 * A similarity is the cosine of two whitened states, -1 to 1. Whether it means anything for a task is measured: the ROC AUC with which it tells pairs
 * of training texts with one label from pairs with two. For that figure the whitening is fitted on one half of the texts and the pairs are
 * of the other half, both ways; the space itself is fitted on all. 0.5 is chance. It is never a default.
 * Ownership: the space borrows provider and options' store. Threading: one thread. */
#ifndef HN_APP_EMBED_SPACE_H
#define HN_APP_EMBED_SPACE_H

#include "app/embed.h"

typedef struct hn_embed_space hn_embed_space;

typedef struct hn_embed_space_quality {
    double auc, auc_raw; /* of whitened states, and of states as they are; NaN without labels or pairs */
    double shrinkage;    /* share of the identity in the covariance */
    size_t n, n_dims;    /* texts fitted on */
} hn_embed_space_quality;

/* `labels` (n): NULL: the AUC stays unknown. Errors: as hn_embed_texts; HN_ERR_INPUT for fewer than 2 texts. */
hn_status hn_embed_space_fit(hn_provider *provider, const hn_str *texts, const int32_t *labels, size_t n,
                             const hn_embed_options *options, hn_embed_space **space, hn_error *err) HN_MUST_CHECK;
hn_embed_space_quality hn_embed_space_quality_of(const hn_embed_space *space);
/* `similarities` (n): of a[i] and b[i]. */
hn_status hn_embed_space_similarity(hn_embed_space *space, const hn_str *a, const hn_str *b, size_t n,
                                    double *similarities, hn_error *err) HN_MUST_CHECK;
/* Whitened states (n, n_dims) of embeddings, in place. */
void hn_embed_space_apply(const hn_embed_space *space, hn_embeddings *e);
void hn_embed_space_free(hn_embed_space *space);

#endif
