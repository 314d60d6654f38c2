/* The magnitudes of a DoRA adapter (Liu et al. 2024): y = m / |V| (V x), V = W + scaling B A, |V| being each row's length.
 *
 *     HN_TRY(hn_magnitudes_begin(n, l, w, &err));              // at creation: m = |W|, so that nothing changes at first
 *     HN_TRY(hn_magnitudes_measure(n, &err));                  // before a forward pass: |V| of the weights as they are now
 *     hn_magnitudes_apply(n, l, y);                            // y (T,N) *= m / |V|
 *     HN_TRY(hn_magnitudes_backward(n, l, &dy, x, low, &err)); // dm += ..., and dy of V x
 *
 * As the paper and PEFT have it, |V| counts as a constant in the backward pass. It is had without V: |W + s B A|^2 = |W|^2 + 2 s B (A W^T) + s^2 B (A A^T) B^T,
 * one product with as many rows as the rank. V x is computed again in the backward pass instead of being kept, as PEFT does.
 * Dropout stays in front of A alone. Threading: the network's. */
#ifndef HN_TRAIN_MAGNITUDE_H
#define HN_TRAIN_MAGNITUDE_H

#include "train/network_parts.h"

hn_status hn_magnitudes_begin(hn_network *n, hn_linear *l, const hn_matrix *w, hn_error *err) HN_MUST_CHECK;
hn_status hn_magnitudes_measure(hn_network *n, hn_error *err) HN_MUST_CHECK;
void hn_magnitudes_apply(hn_network *n, const hn_linear *l, float *y);
/* *dy (T,N) becomes scratch of the network, until the next call. */
hn_status hn_magnitudes_backward(hn_network *n, const hn_linear *l, const float **dy, const float *x, const float *low,
                                 hn_error *err) HN_MUST_CHECK;

#endif
