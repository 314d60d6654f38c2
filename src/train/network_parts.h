/* Inside the trainable network: what its files share. Not for other modules; network.h is the interface.
 *
 *     network.c           creation, tensors, memory      network_forward.c   the forward pass, activations kept
 *     network_backward.c  the backward pass              low_rank_linear.c   one linear layer with its adapter
 *     dropout.c           masks before adapters          magnitude.c         DoRA's magnitudes
 *     row_loss.c          what a row costs               kept_activations.c  what the backward pass finds
 *
 * Threading: one thread. */
#ifndef HN_TRAIN_NETWORK_PARTS_H
#define HN_TRAIN_NETWORK_PARTS_H

#include "base/alloc.h"
#include "kernel/learn.h"
#include "train/network.h"
#include "train/products.h"

enum {
    HN_LINEARS = 7,      /* q k v o gate up down */
    HN_KEPT = 7,         /* q k v attention x2 gate up */
    HN_LOSS_ROWS = 192,  /* rows of logits at a time */
    HN_PREFIX_SHARES = 4 /* parts into which sequences behind a prefix are divided, however many threads there are */
};

/* y (T,N) = W x + scaling B (A x). */
typedef struct hn_linear {
    hn_tensor *w, *a, *b; /* a (r,K), b (N,r): NULL without an adapter; w->w is NULL where the packs stand for it */
    hn_tensor *magnitude; /* (1,N) of a DoRA adapter; NULL: none */
    double *squares;      /* (N) |W|^2 of each row; with magnitudes only, as the two below */
    float *length, *gain; /* (N) |W + scaling B A| of the last forward pass, magnitude / length */
    float scaling;
    int index;                   /* layer * HN_LINEARS + which */
    hn_matrix forward, backward; /* bf16 products: W (N,K) and its transpose (K,N), packed; W is frozen then */
} hn_linear;

/* What one layer's backward pass reads. All rows are (T, ...), but those of the last layer behind its attention: only rows with a target go on there. What follows from these at little cost (normalised rows, silu(gate) * up) is made
 * again instead of kept. */
typedef struct hn_layer_memory {
    float *x, *q, *k, *v, *attention, *lse; /* C NH*HS KV*HS KV*HS NH*HS NH; q and k after RoPE */
    float *x2, *gate, *up;                  /* C F F */
    float *low[HN_LINEARS];                 /* r: scaling A x of each linear that has an adapter */
    uint16_t *kept[HN_KEPT];                /* bf16, of a layer that shares its places with the others; NULL: none */
} hn_layer_memory;

typedef struct hn_network_layer {
    hn_linear linear[HN_LINEARS];
    hn_tensor *attention_norm, *ffn_norm;
    hn_layer_memory memory;
} hn_network_layer;

struct hn_network {
    hn_shape shape; /* rope tables are the network's own copy */
    bool turned;    /* the model's q and k lie as GGUF has them; here all is as in Hugging Face's files */
    hn_learn_heads heads;
    const hn_learn_ops *ops;
    hn_network_options options;
    hn_products products;
    hn_pool *pool;
    const hn_kernels *kernels;
    hn_tensor *tensors;
    size_t n_tensors;
    hn_arena *arena; /* weights and gradients */
    hn_network_layer *layers;
    hn_tensor *embedding, *output_norm;
    hn_linear output;                /* its w is the embedding where tied */
    const hn_matrix *embedding_rows; /* the model's, where the embedding is frozen */
    /* activations, for `rows` rows */
    float *memory;
    size_t memory_bytes;
    int rows, prefix_rows; /* that there is room for */
    bool narrow;           /* bf16 products: activations are kept in bf16 */
    int held;              /* the layer whose activations lie in the shared places; -1: none */
    int active;            /* rows that products and row work go over: all, or the supervised ones */
    int32_t *supervised;   /* (T) which rows have a target */
    int n_supervised;
    float *x, *h;                              /* (T,C) after the last layer, supervised rows alone; normalised rows */
    float *tail;                               /* (T,Q) the last layer's attention, supervised rows alone */
    float *act;                                /* (T,F) silu(gate) * up of the layer at hand */
    float *cos, *sin, *unsin;                  /* (T,HS/2); unsin = -sin turns gradients back */
    float *dx, *dh, *dq, *dk, *dv, *da, *dact; /* gradients of one layer's rows: C C NH*HS KV*HS KV*HS NH*HS F */
    float *dgate, *dup;                        /* (T,F) */
    float *low;                                /* (T,r) */
    float *dropped, *again;                    /* (T, widest K) with dropout, (T, widest N) with magnitudes */
    float *low_products;                       /* (r, widest N) with magnitudes */
    double *gram;                              /* (r,r) with magnitudes */
    float *prefix_dk, *prefix_dv;              /* (HN_PREFIX_SHARES, prefix rows, KV*HS) */
    float *scratch;                            /* (threads, scratch_floats) of attention */
    size_t scratch_floats;
    float *logits; /* (HN_LOSS_ROWS, V) */
    double *dnorm; /* (C) */
    const hn_train_batch *batch;
    bool was_run;
};

hn_status hn_linear_forward(hn_network *n, const hn_linear *l, float *y, const float *x, float *low,
                            hn_error *err) HN_MUST_CHECK;
/* Only low (T,r) = scaling A x, of the forward pass; nothing without an adapter. */
hn_status hn_linear_low(hn_network *n, const hn_linear *l, const float *x, float *low, hn_error *err) HN_MUST_CHECK;
/* dx += ...; NULL: not wanted. Adds to the gradients of what learns. */
hn_status hn_linear_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                             const float *low, hn_error *err) HN_MUST_CHECK;
/* The same of T rows, without the adapter. */
hn_status hn_linear_backward_rows(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                                  int64_t T, hn_error *err) HN_MUST_CHECK;
/* z (T,N) = W x + B low: what a forward pass had before magnitudes. */
hn_status hn_linear_directions(hn_network *n, const hn_linear *l, float *z, const float *x, const float *low,
                               hn_error *err) HN_MUST_CHECK;
/* The model's row that is row `row` of a linear layer here: GGUF llama files have a head's halves as pairs. */
int64_t hn_network_row_place(const hn_network *n, const hn_linear *l, int64_t row);
int64_t hn_network_widest(const hn_network *n);   /* of all inputs and outputs of a layer's linears */
hn_matrix hn_network_output(const hn_network *n); /* the output matrix, forward */
void hn_network_run(hn_network *n, hn_pool_fn *fn, void *arg);
/* fn(n, arg, from, to) for all active rows, shared among the threads. */
typedef void hn_rows_work(hn_network *n, void *arg, size_t from, size_t to);
void hn_network_rows(hn_network *n, hn_rows_work *fn, void *arg);
/* h (T,C) = norm of x (T,C). */
void hn_network_norm(hn_network *n, float *h, const float *x, const hn_tensor *weight);
/* kept_activations.c: do layers share one place for their activations? */
bool hn_activations_is_shared(const hn_network *n);
size_t hn_activations_widths(const hn_network *n, size_t widths[HN_KEPT]); /* numbers of a row; returns their sum */
void hn_activations_round(float *x, size_t count);                         /* to bf16 */
void hn_activations_put(hn_network *n, int layer);                         /* behind its forward pass */
/* Before a layer's backward pass: its activations are in its memory again. */
hn_status hn_activations_get(hn_network *n, int layer, hn_error *err) HN_MUST_CHECK;
/* From a layer's input: all that its backward pass reads; of the last layer also n->x and n->h. */
hn_status hn_network_layer_again(hn_network *n, hn_network_layer *layer, hn_error *err) HN_MUST_CHECK;
hn_status hn_network_last_layer(hn_network *n, hn_error *err) HN_MUST_CHECK;
int hn_sequence_rows(const hn_train_batch *b, int sequence); /* how many rows a sequence has */

/* Attention's work in parts that do not depend on the number of threads: some sequences and one key head each. */
typedef struct hn_attention_part {
    int kv, from, to; /* sequences from .. to-1; -1: the prefix's own rows */
    int share;        /* which of the prefix's gradients it adds to */
} hn_attention_part;
int hn_attention_parts(const hn_network *n);
hn_attention_part hn_attention_part_at(const hn_network *n, int i);
/* Of sequence `s` (-1: the prefix); *first gets its first row. */
hn_learn_sequence hn_attention_sequence(const hn_network *n, const hn_layer_memory *m, int s, size_t *first);
int hn_network_batch_row(const hn_network *n, size_t i); /* where active row i stands in the batch */
/* Rows of `from` that have a target, one behind the other. */
void hn_network_gather(const hn_network *n, float *to, const float *from, size_t width);
void hn_network_scatter(const hn_network *n, float *to, const float *from, size_t width); /* back; others become 0 */

#endif
