/* Dropout in front of an adapter (Srivastava et al. 2014; where PEFT has it): low = scaling A (mask x / (1 - p)), the frozen product sees x whole.
 *
 *     batch.dropout = keys;                                   // (n_sequences), of seed, step and example; NULL: none, as when scoring
 *     hn_dropout_apply(n, linear, out, x);                    // out (T,K) = mask x / (1 - p)
 *     hn_dropout_add(n, linear, dx, dout);                    // dx (T,K) += mask dout / (1 - p)
 *
 * Nothing is drawn or stored: whether a number stays follows from its sequence's key, its position in the sequence, the layer and the column. So the
 * mask has the same bits for any number of threads, however sequences are packed, and in the backward pass. A share is kept to 1/65536.
 * Threading: the network's. */
#ifndef HN_TRAIN_DROPOUT_H
#define HN_TRAIN_DROPOUT_H

#include "train/network_parts.h"

/* Whether the batch at hand drops anything. */
bool hn_dropout_is_on(const hn_network *n);
void hn_dropout_apply(hn_network *n, const hn_linear *l, float *out, const float *x);
void hn_dropout_add(hn_network *n, const hn_linear *l, float *dx, const float *dout);

#endif
