/* Inside the trainable network: what its files share. Not for other modules; network.h is the interface.
 *
 *     network.c           creation, tensors, memory      network_forward.c   the forward pass, activations kept
 *     network_backward.c  the backward pass              linear.c            one linear layer with its adapter
 *
 * Threading: one thread. */
#ifndef HN_TRAIN_NETWORK_PARTS_H
#define HN_TRAIN_NETWORK_PARTS_H

#include "base/alloc.h"
#include "train/backward.h"
#include "train/network.h"
#include "train/products.h"

enum { HN_LINEARS = 7, HN_LOSS_ROWS = 64 }; /* q k v o gate up down; rows of logits at a time */

/* y (T,N) = W x + scaling B (A x). */
typedef struct hn_linear {
    hn_tensor *w, *a, *b; /* a (r,K), b (N,r): NULL without an adapter */
    float scaling;
} hn_linear;

/* What one layer's backward pass reads. All rows are (T, ...). */
typedef struct hn_layer_memory {
    float *x, *h, *q, *k, *v, *attention, *lse; /* C C NH*HS KV*HS KV*HS NH*HS NH; q and k after RoPE */
    float *x2, *h2, *gate, *up, *act;           /* C C F F F */
    float *low[HN_LINEARS];                     /* r: scaling A x of each linear that has an adapter */
} hn_layer_memory;

typedef struct hn_network_layer {
    hn_linear linear[HN_LINEARS];
    hn_tensor *attention_norm, *ffn_norm;
    hn_layer_memory memory;
} hn_network_layer;

struct hn_network {
    hn_shape shape; /* rope tables are the network's own copy */
    hn_heads heads;
    hn_network_options options;
    hn_products products;
    hn_pool *pool;
    const hn_kernels *kernels;
    hn_tensor *tensors;
    size_t n_tensors;
    hn_arena *arena; /* weights and gradients */
    hn_network_layer *layers;
    hn_tensor *embedding, *output, *output_norm; /* output is the embedding where tied */
    /* activations, for `rows` rows */
    float *memory;
    size_t memory_bytes;
    int rows;
    float *x, *h;                                            /* (T,C) after the last layer; normalised */
    float *cos, *sin;                                        /* (T,HS/2) */
    float *dx, *dh, *dq, *dk, *dv, *da, *dgate, *dup, *dact; /* gradients of one layer's rows */
    float *wide;                                             /* (T, largest width): a product before it is added */
    float *low;                                              /* (T,r) */
    float *scores;                                           /* (KV, T) of attention, one row a share */
    float *logits, *gathered, *dgathered;                    /* (HN_LOSS_ROWS, V) (HN_LOSS_ROWS, C) (HN_LOSS_ROWS, C) */
    double *dnorm;                                           /* (C) */
    const hn_train_batch *batch;
    bool was_run;
};

hn_status hn_linear_forward(hn_network *n, const hn_linear *l, float *y, const float *x, float *low,
                            hn_error *err) HN_MUST_CHECK;
/* dx += ...; NULL: not wanted. Adds to the gradients of what learns. */
hn_status hn_linear_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                             const float *low, hn_error *err) HN_MUST_CHECK;
void hn_network_run(hn_network *n, hn_pool_fn *fn, void *arg);
int hn_sequence_rows(const hn_train_batch *b, int sequence); /* how many rows a sequence has */

#endif
