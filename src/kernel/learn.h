/* Kernels that only learning needs: backward operations, attention that keeps its normalisers, and two products whose inner size is small. A
 * table per instruction set, beside the one in kernel.h; ref/learn_ref.c is the oracle.
 *
 *     const hn_learn_ops *ops = hn_learn_ops_of(kernels);
 *     ops->outer_add(db, N, low, r, dy, N, T, r, N);        // db (r,N) += low^T (r,T) dy (T,N)
 *
 * Every output is one chain of additions in one order, whatever part of the rows or columns a call is given: threads divide outputs. Gradients are
 * named d + name. Threading: pure functions; scratch memory is the caller's. */
#ifndef HN_KERNEL_LEARN_H
#define HN_KERNEL_LEARN_H

#include "kernel/kernel.h"

/* Heads of one sequence: q, out (n,NH,HS); k, v (n,KV,HS); rows without gaps. */
typedef struct hn_learn_heads {
    int n_heads, n_kv_heads, head_size; /* NH, KV, HS */
    float scale;                        /* 1/sqrt(HS) as a rule */
} hn_learn_heads;

/* The rows of one sequence, and what stands before them where it goes on behind a prefix that others share. */
typedef struct hn_learn_sequence {
    const float *q, *k, *v;           /* its own rows: (n,NH,HS) (n,KV,HS) (n,KV,HS) */
    const float *prefix_k, *prefix_v; /* (n_prefix,KV,HS): every own row sees all of them */
    int n, n_prefix;                  /* n_prefix 0: nothing before */
} hn_learn_sequence;

typedef struct hn_learn_gradients {
    float *dq, *dk, *dv;          /* of its own rows */
    float *prefix_dk, *prefix_dv; /* (n_prefix,KV,HS) */
} hn_learn_gradients;

typedef struct hn_learn_ops {
    /* y (T,N) += a (T,R) b (R,N), and out (R,N) += a^T (R,T) b (T,N). Strides: floats between rows. */
    void (*rows_add)(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                     int64_t T, int64_t R, int64_t N);
    void (*outer_add)(float *out, int64_t out_stride, const float *a, int64_t a_stride, const float *b,
                      int64_t b_stride, int64_t T, int64_t R, int64_t N);
    /* Of y = rmsnorm(x): dx (T,C) += ..., dweight (C) += ... (NULL: frozen). With s = 1 / sqrt(mean(x^2) + eps): dx = s dy w - x s^3 / C
     * sum(dy w x). */
    void (*rmsnorm_backward)(float *dx, double *dweight, const float *dy, const float *x, const float *weight, int T,
                             int C, float eps);
    /* Of y = silu(gate) * up, n numbers: dgate and dup are written; they may be the memory of gate and up. */
    void (*swiglu_backward)(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t n);
    /* x[i] = weight * exp(x[i] - lse) */
    void (*softmax_scale)(float *x, size_t n, double lse, float weight);
    /* Causal attention of the heads that share key head `kv`; lse (n,NH) gets ln of each row's normaliser. Backward adds to all gradients; P is
     * recomputed from lse (Dao et al. 2022, appendix B). Before the first sequence behind a prefix, attention_prefix puts that prefix into the
     * scratch memory, where it stays for the next ones; without a prefix it need not be called. */
    void (*attention_prefix)(const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch);
    void (*attention_forward)(float *out, float *lse, const hn_learn_sequence *s, int kv, const hn_learn_heads *heads,
                              float *scratch);
    void (*attention_backward)(const hn_learn_gradients *d, const float *dout, const float *out, const float *lse,
                               const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch);
    /* Floats, for all three, of up to n own rows behind n_prefix; aligned to 64 bytes is best. */
    size_t (*attention_scratch)(int n, int n_prefix, int HS);
} hn_learn_ops;

/* The learning kernels of the table's instruction set; never NULL. */
const hn_learn_ops *hn_learn_ops_of(const hn_kernels *kernels);

#endif
