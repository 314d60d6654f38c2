/* A linear classifier on sparse rows: one-vs-rest support vector machines with squared hinge loss.
 *
 *     hn_linear_options o = {.c = 1, .seed = 7};
 *     HN_TRY(hn_linear_train(&rows, labels, n_classes, &o, &model, err));
 *     hn_linear_predict(model, &test_rows, predicted);
 *
 * For each class, labels y = +1 for it and -1 for the rest, minimises |w|^2 / 2 + C sum max(0, 1 - y w.x)^2 by
 * coordinate descent in the dual with shrinking (Hsieh, Chang, Lin, Keerthi and Sundararajan, ICML 2008, algorithm 3;
 * the method of LIBLINEAR). A constant feature of 1 is the bias, regularised like the rest. The same rows, labels,
 * options and seed give the same model, bit for bit (logarithms and roots of the C library aside).
 * Ownership: the caller frees the model. Threading: a trained model is read-only and may be shared. */
#ifndef HN_TEXT_LINEAR_H
#define HN_TEXT_LINEAR_H

#include "text/tfidf.h"

typedef struct hn_linear_options {
    double c;          /* weight of the loss against |w|^2 / 2; 0: 1 */
    double tolerance;  /* stop when no projected gradient is further from another than this; 0: 0.1 */
    uint32_t n_passes; /* at most so many passes; 0: 200 */
    uint64_t seed;     /* of the order in which examples are visited */
} hn_linear_options;

typedef struct hn_linear hn_linear;

/* `labels` (rows->n_rows), 0 .. n_classes - 1. A class without examples is never predicted. `options` NULL: the
 * defaults.
 * Errors: HN_ERR_INPUT without rows or classes or with a label out of range; HN_ERR_MEMORY. */
hn_status hn_linear_train(const hn_sparse *rows, const int32_t *labels, size_t n_classes,
                          const hn_linear_options *options, hn_linear **out, hn_error *err) HN_MUST_CHECK;
/* `scores` (n_rows, n_classes): w.x + bias per class, not probabilities; -inf for a class without examples. */
void hn_linear_scores(const hn_linear *model, const hn_sparse *rows, double *scores);
/* `labels` (n_rows): the class with the highest score, the lower label of equals. HN_ERR_MEMORY. */
hn_status hn_linear_predict(const hn_linear *model, const hn_sparse *rows, int32_t *labels,
                            hn_error *err) HN_MUST_CHECK;
/* Memory that it takes, in bytes. */
size_t hn_linear_bytes(const hn_linear *model);
void hn_linear_free(hn_linear *model);

#endif
