/* Scoring a training: its dev cases as they will be served, or the loss of the answers that were held out.
 *
 *     HN_TRY(hn_tune_score_cases(setup, provider, false, cases, n, turn, scores, &sample, &err));      // scores[i]: 1 where case i is right
 *     HN_TRY(hn_tune_score_held(t, &loss, &err));                                               // t->scores[i]: ln p of row i's answers
 *
 * Ownership: a sample is freed with hn_tune_sample_free. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_SCORE_H
#define HN_LIFECYCLE_TUNE_SCORE_H

#include "lifecycle/tune/tune_training.h"

/* Through the App. `turn` chooses which of the wrong cases is the sample. An answer that a case cannot have (too long) is wrong; other errors end it.
 * `is_base`: answers come from the store's cache and go into it, since every training of a base asks for them. */
hn_status hn_tune_score_cases(const hn_tune_setup *setup, hn_provider *provider, bool is_base, const uint32_t *cases,
                              size_t n, int turn, double *scores, hn_tune_sample *sample, hn_error *err) HN_MUST_CHECK;
/* Nats a token of t->held by the network as it is, with its 95 % interval over rows. */
hn_status hn_tune_score_held(hn_training *t, hn_estimate *loss, hn_error *err) HN_MUST_CHECK;
/* What `provider` answers to one of the held-out rows; `turn` chooses which. */
hn_status hn_tune_sample_held(const hn_training *t, hn_provider *provider, int turn, hn_tune_sample *sample,
                              hn_error *err) HN_MUST_CHECK;

#endif
