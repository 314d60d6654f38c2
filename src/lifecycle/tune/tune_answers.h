/* What an app answers to many cases, kept: the teacher's word in a distillation, and both sides' in the comparison at its end.
 *
 *     hn_tune_answers a;
 *     HN_TRY(hn_tune_answers_collect(&(hn_tune_asking){setup, prompt, provider, cases, n}, &a, &err));
 *     ... a.items[i].value, .right, .probabilities ...
 *     hn_tune_answers_free(&a);
 *
 * Answers go through the store's cache where one is given: what was answered before a kill is not asked again. Ownership: the answers own all they
 * have. Threading: one thread. */
#ifndef HN_LIFECYCLE_TUNE_ANSWERS_H
#define HN_LIFECYCLE_TUNE_ANSWERS_H

#include "app/app.h"
#include "lifecycle/tune/tune.h"

typedef struct hn_tune_answer {
    const char *value;           /* NULL: no valid answer */
    const char *text;            /* generation: as it was written; NULL: by likelihood */
    int label;                   /* -1: none */
    bool right;                  /* false also without a target */
    const double *probabilities; /* (n_labels); NULL: none */
    int prompt_tokens;
} hn_tune_answer;

typedef struct hn_tune_answers {
    hn_tune_answer *items; /* (n) in the order of the cases */
    size_t n, n_labels, n_valid;
    hn_arena *arena;
} hn_tune_answers;

typedef struct hn_tune_asking {
    const hn_tune_setup *setup;
    const hn_prompt *prompt;
    hn_provider *provider;
    const uint32_t *cases; /* (n) of the setup's dataset */
    size_t n;
    hn_store *store;            /* cache of completions; NULL: none */
    const hn_tune_hooks *hooks; /* whose on_teacher is told; NULL: nobody */
} hn_tune_asking;

/* An answer that a case cannot have (too long for the context) is none; other errors end it. HN_ERR_INTERRUPTED. */
hn_status hn_tune_answers_collect(const hn_tune_asking *asking, hn_tune_answers *answers, hn_error *err) HN_MUST_CHECK;
void hn_tune_answers_free(hn_tune_answers *answers);

#endif
