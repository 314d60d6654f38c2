/* Logistic regression over several classes on dense rows, such as hidden states: what a linear probe is.
 *
 *     hn_softmax_options o = {.penalty = 50};
 *     HN_TRY(hn_softmax_train(rows, n_dims, which, labels, n, n_classes, &o, &model, &err));
 *     HN_TRY(hn_softmax_predict(model, rows, which_test, n_test, predicted, &err));
 *     hn_softmax_free(model);
 *
 * Columns are first brought to mean 0 and deviation 1, as measured on the training rows. Then it minimises
 *     sum over rows of -ln softmax(W x + b)[label]  +  penalty / 2 |W|^2        (the biases are free)
 * by L-BFGS (Liu and Nocedal 1989; memory 10, backtracking). With standardised columns this is scikit-learn's LogisticRegression with
 * C = 1 / penalty. A class without examples is never predicted. The same rows and options give the same model, bit for bit, whatever the
 * number of threads (exponentials and logarithms of the C library aside).
 * Ownership: the caller frees the model. Threading: a trained model is read-only and may be shared. */
#ifndef HN_TEXT_SOFTMAX_H
#define HN_TEXT_SOFTMAX_H

#include "base/thread.h"

#include <stdint.h>

typedef struct hn_softmax hn_softmax;

typedef struct hn_softmax_options {
    double penalty;          /* above 0 */
    double tolerance;        /* stop when no gradient is above this times the number of rows; 0: 1e-5 */
    uint32_t n_iterations;   /* at most; 0: 200 */
    hn_pool *pool;           /* NULL: this thread alone */
    const hn_softmax *start; /* begins at this model's weights where its shape is the same; NULL: at 0 */
} hn_softmax_options;

/* `rows` (*, n_dims); `which` (n): the rows to learn from; `labels` (n): of each of those, 0 .. n_classes - 1.
 * Errors: HN_ERR_INPUT without rows, with a label out of range or a number that is not finite; HN_ERR_LIMIT, HN_ERR_MEMORY. */
hn_status hn_softmax_train(const float *rows, size_t n_dims, const uint32_t *which, const int32_t *labels, size_t n,
                           size_t n_classes, const hn_softmax_options *options, hn_softmax **out,
                           hn_error *err) HN_MUST_CHECK;
/* `labels` (n): the most likely class of rows which[i], the lower of equals. HN_ERR_MEMORY. */
hn_status hn_softmax_predict(const hn_softmax *model, const float *rows, const uint32_t *which, size_t n,
                             int32_t *labels, hn_error *err) HN_MUST_CHECK;
/* What training minimised, at its end. */
double hn_softmax_loss(const hn_softmax *model);
size_t hn_softmax_bytes(const hn_softmax *model);
void hn_softmax_free(hn_softmax *model);

#endif
