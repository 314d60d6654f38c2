/* Completions by content key, in front of a provider: what was computed once is read back, bit for bit.
 *
 *     hn_answer_cache *cache;
 *     HN_TRY(hn_answer_cache_create(store, &cache, &err));  // store NULL: nothing is ever found or kept
 *     HN_TRY(hn_answer_cache_get(cache, key, &found, &completion, &err));
 *     hn_answer_cache_put(cache, key, &completion);        // written with others, within a second or at flush
 *     HN_TRY(hn_answer_cache_flush(cache, &err));
 *
 * What is kept is the raw completion (label log-likelihoods, or text), before calibration and contract: changing how answers are
 * calibrated or parsed costs no model time. Failed completions are not kept. Ownership: a found completion is valid until the next
 * get. Threading: as the store. */
#ifndef HN_APP_ANSWER_CACHE_H
#define HN_APP_ANSWER_CACHE_H

#include "provider/provider.h"
#include "store/store.h"

typedef struct hn_answer_cache hn_answer_cache;

hn_status hn_answer_cache_create(hn_store *store, hn_answer_cache **cache, hn_error *err) HN_MUST_CHECK;
hn_status hn_answer_cache_get(hn_answer_cache *cache, const char *key, bool *found, hn_completion *completion,
                              hn_error *err) HN_MUST_CHECK;
/* A completion that cannot be kept (not finite, not UTF-8, out of memory) is left out: the cache is a convenience. */
void hn_answer_cache_put(hn_answer_cache *cache, const char *key, const hn_completion *completion);
/* Writes what waits; `only_if_due`: once a second has passed since the first waited, or many wait. */
hn_status hn_answer_cache_flush(hn_answer_cache *cache, bool only_if_due, hn_error *err) HN_MUST_CHECK;
void hn_answer_cache_free(hn_answer_cache *cache); /* without writing: flush first */

#endif
