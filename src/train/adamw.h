/* AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW does it: weights shrink by lr * decay first, moments are corrected for their start,
 * eps is added after the square root.
 *
 *     hn_adamw adam = {.learning_rate = 5e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f};
 *     HN_TRY(hn_adamw_step(&adam, tensors, n, &err));       // reads each dw, writes each w
 *     hn_adamw_free(&adam);
 *
 * Ownership: moments belong to the optimizer and are made at the first step. Threading: one thread. */
#ifndef HN_TRAIN_ADAMW_H
#define HN_TRAIN_ADAMW_H

#include "train/network.h"

typedef struct hn_adamw {
    float learning_rate, beta1, beta2, eps, weight_decay;
    int64_t n_steps; /* taken */
    float *m, *v;    /* moments of all tensors that learn, one behind the other */
    size_t n;        /* numbers in each */
} hn_adamw;

/* HN_ERR_USAGE: the tensors are not those of the first step. HN_ERR_MEMORY. */
hn_status hn_adamw_step(hn_adamw *adam, const hn_tensor *tensors, size_t n_tensors, hn_error *err) HN_MUST_CHECK;
void hn_adamw_free(hn_adamw *adam);
/* sqrt of the sum of squares of all gradients. */
double hn_gradient_norm(const hn_tensor *tensors, size_t n_tensors);
/* Scales all gradients so that their norm is at most `limit`; returns the norm before. */
double hn_gradient_clip(const hn_tensor *tensors, size_t n_tensors, double limit);

#endif
