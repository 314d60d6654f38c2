/* The nearest texts: an inverted index over TF-IDF rows, for picking the training examples most like a case.
 *
 *     HN_TRY(hn_nearest_create(texts, n, NULL, &index, err));
 *     HN_TRY(hn_nearest_find(index, hn_str_of(input), 6, not_my_group, &me, ids, similarities, &n_found, err));
 *     hn_nearest_free(index);
 *
 * Similarity is the cosine of the TF-IDF rows, 0 to 1. Results are exact: best first, of equals the lower id; texts
 * without anything in common follow with 0, so that k are found wherever k are accepted. The same index and text give
 * the same answer.
 * Ownership: the caller frees the index; texts are not kept. Threading: read-only once created; searches may run at the
 * same time. */
#ifndef HN_TEXT_NEAREST_H
#define HN_TEXT_NEAREST_H

#include "text/tfidf.h"

#include <stdbool.h>

typedef struct hn_nearest hn_nearest;

/* Whether text `id` may be a result. Called for candidates only, each at most once per search, in no promised order. */
typedef bool (*hn_nearest_accept_fn)(void *user, uint32_t id);

/* Words 1 to 2 and characters 3 to 4, without what occurs in more than a quarter of the texts. */
hn_tfidf_options hn_nearest_defaults(void);

/* `options` NULL: hn_nearest_defaults(). Errors: as hn_tfidf_fit. */
hn_status hn_nearest_create(const hn_str *texts, size_t n, const hn_tfidf_options *options, hn_nearest **out,
                            hn_error *err) HN_MUST_CHECK;
/* Fills `ids` and `similarities` (k each; the latter may be NULL), *n_found <= k. `accept` NULL: all are.
 * HN_ERR_MEMORY. */
hn_status hn_nearest_find(const hn_nearest *index, hn_str text, size_t k, hn_nearest_accept_fn accept, void *user,
                          uint32_t *ids, float *similarities, size_t *n_found, hn_error *err) HN_MUST_CHECK;
/* Memory that it takes, in bytes. */
size_t hn_nearest_bytes(const hn_nearest *index);
size_t hn_nearest_n_texts(const hn_nearest *index);
void hn_nearest_free(hn_nearest *index);

#endif
