/* Scoring a training's dev cases as they will be served: through the App, by a model with the adapter beside its weights.
 *
 *     HN_TRY(hn_tune_score(setup, provider, cases, n, scores, &wrong, &err));      // scores[i]: 1 where case i is right
 *
 * Ownership: `wrong` is freed with hn_tune_wrong_free. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_SCORE_H
#define HN_LIFECYCLE_TUNE_SCORE_H

#include "lifecycle/tune/tune.h"

typedef struct hn_tune_wrong {
    const hn_case *c; /* NULL: all are right */
    char *said;       /* NULL: no valid answer */
} hn_tune_wrong;

/* `turn` chooses which of the wrong cases is shown. An answer that a case cannot have (too long) is wrong; other errors end it. */
hn_status hn_tune_score(const hn_tune_setup *setup, hn_provider *provider, const uint32_t *cases, size_t n, int turn,
                        unsigned char *scores, hn_tune_wrong *wrong, hn_error *err) HN_MUST_CHECK;
void hn_tune_wrong_free(hn_tune_wrong *wrong);

#endif
