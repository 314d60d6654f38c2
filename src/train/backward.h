/* The operations of a transformer that are not matrix products, backward; and attention forward as training needs it. f32, sums over positions
 * and channels in f64 where they may be long. Gradients are named d + name; each function adds to the gradients that it gives (+=) unless it says
 * otherwise, so that a tensor used twice gets both shares.
 *
 *     hn_rmsnorm_backward(dx, dweight, dy, x, weight, T, C, eps);
 *     hn_attention_forward(out, lse, q, k, v, &span, &shape);
 *
 * Formulas: the chain rule on the forward definitions in kernel/kernel.h; attention's as in Dao et al. 2022 (FlashAttention), appendix B: P is
 * recomputed from the saved logarithm of its normaliser.
 * Threading: pure functions over the rows that they are given. */
#ifndef HN_TRAIN_BACKWARD_H
#define HN_TRAIN_BACKWARD_H

#include <stdbool.h>
#include <stdint.h>

/* dx (T,C) += ..., dweight (C) f64 += ... (NULL: frozen). */
void hn_rmsnorm_backward(float *dx, double *dweight, const float *dy, const float *x, const float *weight, int T, int C,
                         float eps);
/* dgate, dup (T,F) = ... of y = silu(gate) * up. */
void hn_swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up, int64_t n);
/* The inverse rotation in place: gradients of rotated heads become gradients of the heads. Arguments as hn_kernels.rope. */
void hn_rope_backward(float *dx, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                      bool interleaved);

typedef struct hn_heads {
    int n_heads, n_kv_heads, head_size; /* NH, KV, HS */
    float scale;                        /* 1/sqrt(HS) as a rule */
} hn_heads;

/* One sequence's rows first .. first + n - 1 of q (T,NH,HS), k and v (T,KV,HS): causal attention of head group `kv` within it. out (T,NH,HS), lse
 * (T,NH): ln of each row's normaliser. `scores` (n) scratch. */
void hn_attention_forward(float *out, float *lse, const float *q, const float *k, const float *v, int first, int n,
                          int kv, const hn_heads *heads, float *scores);
/* dq, dk, dv += ... of the same group. */
void hn_attention_backward(float *dq, float *dk, float *dv, const float *dout, const float *out, const float *lse,
                           const float *q, const float *k, const float *v, int first, int n, int kv,
                           const hn_heads *heads);

/* logits (V) becomes weight * d(-ln p(target))/dlogits = weight * (softmax - one at target); returns -ln p(target). */
double hn_cross_entropy_backward(float *logits, int V, int32_t target, float weight);

#endif
