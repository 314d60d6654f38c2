/* What to do next, from the ladder's numbers alone: drop the model, prompt, fine-tune, train from scratch or label more, each with its reason.
 *
 *     hn_recommendation r;
 *     hn_recommend(&facts, &r);
 *     printf("%s: %s\n", hn_action_name(r.first), r.items[r.first].reason);
 *
 * One action comes first; each of the others is said to be worth it, or not, and why. Nothing is claimed of what was not measured.
 * Ownership: plain values. Threading: pure functions. */
#ifndef HN_LIFECYCLE_RECOMMENDATION_H
#define HN_LIFECYCLE_RECOMMENDATION_H

#include "lifecycle/scope/learning_curve.h"
#include "stats/verdict.h"

typedef enum hn_action {
    HN_ACTION_DROP_MODEL,
    HN_ACTION_PROMPT,
    HN_ACTION_FINE_TUNE,
    HN_ACTION_FROM_SCRATCH,
    HN_ACTION_LABEL_MORE,
    HN_ACTION_COUNT
} hn_action;

/* "drop_model", "prompt", "fine_tune", "train_from_scratch", "label_more": as in JSON. */
const char *hn_action_name(hn_action action);

/* A rung as far as it matters here; `name` NULL: not measured. */
typedef struct hn_recommend_rung {
    const char *name;
    hn_estimate value; /* in the project's metric */
} hn_recommend_rung;

typedef struct hn_recommend_facts {
    double target, smallest_difference; /* target NaN: none is set */
    const char *metric;
    size_t n_train, n_labels;
    hn_recommend_rung plain;           /* the best rung that takes no model */
    hn_recommend_rung learner;         /* the best of those that learns (bag of words, nearest); may be the same */
    hn_recommend_rung probe, prompted; /* the best of each */
    hn_recommend_rung marked;          /* the cheapest rung not worse than the best */
    bool marked_takes_model, marked_is_prompt;
    hn_verdict model_against_plain; /* the best rung with a model minus `plain` */
    hn_verdict probe_against_prompt;
    const hn_curve *curve; /* of the best rung that learns; NULL: none */
} hn_recommend_facts;

typedef struct hn_advice_item {
    bool worth; /* worth doing */
    char reason[400];
} hn_advice_item;

typedef struct hn_recommendation {
    bool known; /* false: nothing was measured */
    hn_action first;
    hn_advice_item items[HN_ACTION_COUNT];
} hn_recommendation;

void hn_recommend(const hn_recommend_facts *facts, hn_recommendation *out);

#endif
