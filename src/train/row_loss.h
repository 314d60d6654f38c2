/* What one supervised row costs, and its gradient: the next token's -ln p, smoothed or against a teacher's distribution.
 *
 *     double lse, loss = hn_row_loss(kernels, batch, row, logits, V, &lse);
 *     hn_row_gradient(ops, batch, row, logits, V, lse, weight);            // logits become weight times the loss's gradient
 *
 *     plain       lse - x[target]
 *     smoothed    (1 - s) (lse - x[target]) + s (lse - mean of x)          (Szegedy et al. 2016; over the whole vocabulary, as PyTorch does)
 *     teacher's   sum of p (ln p - ln q) over the listed tokens: the Kullback-Leibler divergence (Hinton et al. 2015)
 *
 * The listed probabilities may add up to less than 1: what is left then asks for nothing. A teacher's row is never smoothed.
 * Threading: pure functions. */
#ifndef HN_TRAIN_ROW_LOSS_H
#define HN_TRAIN_ROW_LOSS_H

#include "kernel/learn.h"
#include "train/network.h"

/* HN_ERR_INPUT: a smoothing not within [0, 1), a teacher's token out of the vocabulary, or probabilities that are none. */
hn_status hn_row_loss_check(const hn_train_batch *batch, int n_vocab, hn_error *err) HN_MUST_CHECK;
/* logits (V) of a supervised row; *lse is ln of the sum of their exponentials. */
double hn_row_loss(const hn_kernels *kernels, const hn_train_batch *batch, int row, const float *logits, size_t V,
                   double *lse);
void hn_row_gradient(const hn_learn_ops *ops, const hn_train_batch *batch, int row, float *logits, size_t V, double lse,
                     float weight);

#endif
