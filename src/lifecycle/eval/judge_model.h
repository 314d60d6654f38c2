/* Asking a model to judge: questions with a few possible words as answer, in, a probability for each word, out. Cached by content key.
 *
 *     HN_TRY(hn_judge_model_open(&grading, "smollm2", "hone.yaml:12:5", &m, &err));
 *     HN_TRY(hn_judge_model_ask(m, question, words, n_words, n, keep, user, &err));    // question(user, i, &text), keep(user, i, &judgement)
 *     hn_judge_model_close(m);
 *
 * A local model's words are scored: the exact likelihood of each after the question (its end of turn included), made to sum to 1. A remote model writes, and
 * its text is read: one word has probability 1, or none is named and the judgement is empty. A question that is too long for the model is an empty
 * judgement too, with its reason. Questions are in flight together and come back in any order.
 * Ownership: the model may be the grading's own provider, which stays open. Threading: one thread. */
#ifndef HN_LIFECYCLE_JUDGE_MODEL_H
#define HN_LIFECYCLE_JUDGE_MODEL_H

#include "lifecycle/eval/grader.h"

typedef struct hn_judge_model hn_judge_model;

typedef struct hn_judgement {
    const double *probabilities; /* (n_words), or NULL: none was given */
    int best;                    /* the most probable word; -1: none */
    const char *reason;          /* why there is none */
} hn_judgement;

typedef hn_status hn_judge_question(void *user, size_t i, hn_buf *text, hn_error *err);
typedef hn_status hn_judge_keep(void *user, size_t i, const hn_judgement *judgement, hn_error *err);

/* `name` NULL: the grading's provider where there is one, else the model of hone.yaml, else smollm2. `place` is for errors. */
hn_status hn_judge_model_open(const hn_grading *grading, const char *name, const char *place, hn_judge_model **model,
                              hn_error *err) HN_MUST_CHECK;
void hn_judge_model_close(hn_judge_model *model);
const char *hn_judge_model_name(const hn_judge_model *model);
bool hn_judge_model_is_exact(const hn_judge_model *model); /* likelihoods, not written words */

hn_status hn_judge_model_ask(hn_judge_model *model, hn_judge_question *question, const char *const *words,
                             size_t n_words, size_t n, hn_judge_keep *keep, void *user, hn_error *err) HN_MUST_CHECK;

#endif
