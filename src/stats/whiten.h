/* Centring and whitening of vectors, and how well a similarity tells pairs of one label from pairs of two.
 *
 *     hn_whitening *w;
 *     HN_TRY(hn_whitening_fit(train, n, n_dims, &w, &err));
 *     hn_whitening_apply(w, vector, out);                  // (n_dims), of length 1: products are similarities
 *     HN_TRY(hn_pair_auc(vectors, n_dims, labels, n, 7, &auc, &err));
 *     hn_whitening_free(w);
 *
 * Hidden states of a language model all point roughly one way, so plain cosines of them are close to 1 whatever the texts say. Subtracting the
 * mean and multiplying by L^-1, where S = L L^T is the covariance, gives every direction the same weight: cosines are then those of the
 * Mahalanobis geometry (Su et al. 2021). S is shrunk towards a multiple of the identity by the share that Ledoit and Wolf (2004) give, so it
 * can be inverted also with fewer vectors than dimensions.
 * Ownership: the caller frees the whitening. Threading: read-only once fitted. */
#ifndef HN_STATS_WHITEN_H
#define HN_STATS_WHITEN_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hn_whitening hn_whitening;

/* `rows` (n, n_dims), n >= 2. Errors: HN_ERR_INPUT for too few rows, or a number that is not finite; HN_ERR_MEMORY. */
hn_status hn_whitening_fit(const float *rows, size_t n, size_t n_dims, hn_whitening **out, hn_error *err) HN_MUST_CHECK;
/* Centred, whitened and brought to length 1; all 0 where the vector is the mean. `out` (n_dims) may be `vector`. */
void hn_whitening_apply(const hn_whitening *w, const float *vector, float *out);
/* The share of the identity in the covariance, 0 to 1. */
double hn_whitening_shrinkage(const hn_whitening *w);
void hn_whitening_free(hn_whitening *w);

/* The cosine; 0 where one of them has no length. */
double hn_cosine(const float *a, const float *b, size_t n_dims);
/* ROC AUC of the cosine as a sign that two vectors have one label: over all pairs, or 200,000 drawn by `seed`. 0.5 is chance; NaN without both
 * kinds of pairs. HN_ERR_MEMORY. */
hn_status hn_pair_auc(const float *vectors, size_t n_dims, const int32_t *labels, size_t n, uint64_t seed, double *auc,
                      hn_error *err) HN_MUST_CHECK;

#endif
