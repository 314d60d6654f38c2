/* What changed from one run to the next in a few words: "6 nearest examples", "system message longer by 12 words", "prior correction".
 *
 *     json_t *words;
 *     HN_TRY(hn_change_words(store, earlier, later, &words, &err));         // an array of texts
 *     json_decref(words);
 *
 * Ownership: a new reference. Threading: one thread. */
#ifndef HN_LIFECYCLE_CHANGE_WORDS_H
#define HN_LIFECYCLE_CHANGE_WORDS_H

#include "lifecycle/iterate/flat_values.h"
#include "store/store.h"

/* Most telling first; [] where nothing that decides answers differs. */
hn_status hn_change_words(hn_store *store, const hn_run *a, const hn_run *b, json_t **words,
                          hn_error *err) HN_MUST_CHECK;
/* How much two prompts differ: words of texts that went or came, settings count ten each. */
hn_status hn_change_size(const hn_flat *a, const hn_flat *b, size_t *size, hn_error *err) HN_MUST_CHECK;

#endif
