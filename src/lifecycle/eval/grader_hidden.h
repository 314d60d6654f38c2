/* similarity: hidden - texts as a local model's pooled hidden states, centred and whitened on the train split; see grader_similarity.c.
 *
 *     HN_TRY(hn_hidden_open(g, texts, n_texts, labels, n_labelled, &h, &err));
 *     HN_TRY(hn_hidden_similarities(h, answers, targets, n, out, &err));
 *     hn_hidden_close(h);
 *
 * Ownership: as said. Threading: as grader.h. */
#ifndef HN_LIFECYCLE_GRADER_HIDDEN_H
#define HN_LIFECYCLE_GRADER_HIDDEN_H

#include "lifecycle/eval/grader_parts.h"

typedef struct hn_hidden hn_hidden;

/* Fits on `texts` (n); the AUC of "same label" is measured on the first n_labelled of them, whose labels are given. */
hn_status hn_hidden_open(const hn_grader *g, const hn_str *texts, size_t n, const int32_t *labels, size_t n_labelled,
                         hn_hidden **hidden, double *auc, hn_error *err) HN_MUST_CHECK;
/* out[i]: the cosine of answers[i] and targets[i], (n) each. */
hn_status hn_hidden_similarities(hn_hidden *hidden, const hn_str *answers, const hn_str *targets, size_t n, double *out,
                                 hn_error *err) HN_MUST_CHECK;
void hn_hidden_close(hn_hidden *hidden);

#endif
