/* A llama-shaped network that can learn: the same weights and the same mathematics as the engine's, in f32, with what the backward pass needs
 * kept from the forward pass.
 *
 *     hn_network *net;
 *     hn_network_options o = {.lora_rank = 16, .lora_alpha = 32};              // rank 0: all weights learn
 *     HN_TRY(hn_network_create(model, &o, kernels, pool, &net, &err));
 *     hn_network_clear_gradients(net);
 *     HN_TRY(hn_network_forward(net, &batch, NULL, &err));
 *     HN_TRY(hn_network_backward(net, &batch, losses, &err));                  // adds to each tensor's dw; -ln p of each row
 *     HN_TRY(hn_adamw_step(&adam, hn_network_tensors(net, &n), n, &err));      // adamw.h
 *     hn_network_free(net);
 *
 * A batch is rows of one or more sequences, one behind the other: attention stays within each (packing needs no mask). Positions restart at 0.
 * Where all sequences begin with the same tokens, those can stand once at the front of the batch (`prefix_rows`): each sequence then holds only what
 * comes behind, its positions go on and its rows see the prefix too. Losses and gradients are those of the sequences written out in full, up to the
 * rounding of f32 sums, at a fraction of the work. Work that no loss depends on (the last layer behind its attention) is left out.
 * Frozen weights are kept as bf16 packs for both directions where the kernels have bf16 products, so that an adapter learns beside the very products
 * that will be served; what the backward pass reads of all layers but the last is then kept in bf16 too (kept_activations.c). Ownership: the model must outlive the network, and stays as it is. Threading: one thread, which runs the pool; results do not depend on its size. */
#ifndef HN_TRAIN_NETWORK_H
#define HN_TRAIN_NETWORK_H

#include "kernel/kernel.h"
#include "model/model.h"

typedef struct hn_tensor {
    char name[112];        /* Hugging Face's, PEFT's for adapters: "model.layers.0.self_attn.q_proj.lora_A.weight" */
    int64_t rows, columns; /* a vector: 1 row */
    float *w;              /* NULL: frozen, and only a pack is kept */
    float *dw;             /* NULL: frozen */
} hn_tensor;

/* Which linear layers of a block get an adapter. */
enum {
    HN_LORA_Q = 1,
    HN_LORA_K = 2,
    HN_LORA_V = 4,
    HN_LORA_O = 8,
    HN_LORA_GATE = 16,
    HN_LORA_UP = 32,
    HN_LORA_DOWN = 64,
    HN_LORA_ALL = 127
};

typedef struct hn_network_options {
    int lora_rank;         /* 0: full fine-tuning */
    float lora_alpha;      /* y = W x + alpha / rank B A x */
    bool rank_stabilised;  /* alpha / sqrt(rank) instead (Kalajdzievski 2023) */
    unsigned lora_targets; /* HN_LORA_...; 0: all */
    float dropout;         /* share of an adapter's inputs dropped where a batch has `dropout` keys; 0 .. below 1 */
    bool dora;             /* each output gets a magnitude of its own, "...lora_magnitude_vector" (Liu et al. 2024) */
    bool f32;              /* f32 products also where the kernels have bf16 ones; a full fine-tuning always has them */
    bool
        checkpoint; /* keep each layer's input alone and compute the rest again when it is needed: the same bits, a third more work */
    uint64_t seed; /* A is uniform within 1 / sqrt(K) (Kaiming with a = sqrt 5, as PEFT), B is 0 */
} hn_network_options;

enum { HN_NO_TARGET = -1 };

/* A teacher's distribution over the next token: probabilities of the listed ones, adding up to 1 or less. */
typedef struct hn_soft_target {
    const int32_t *ids; /* (n) */
    const float *p;     /* (n) */
    int n;              /* 0: the row has its plain target */
} hn_soft_target;

typedef struct hn_train_batch {
    const int32_t *ids;     /* (T) */
    const int32_t *targets; /* (T) the token that should come next; HN_NO_TARGET: not supervised */
    const float *weights;   /* (T) of each row's loss in the gradient; NULL: 1 / supervised rows */
    const int32_t *starts;  /* (n_sequences) first row of each, rising from 0 */
    int n_rows, n_sequences;
    /* What follows may stay zero. */
    const hn_soft_target
        *soft;               /* (T) what a supervised row learns instead of its target alone (row_loss.h); NULL: none */
    float label_smoothing;   /* of the rows without a teacher, [0, 1) */
    const uint64_t *dropout; /* (n_sequences) keys (dropout.h); NULL: nothing is dropped, as when scoring */
    bool base_only;          /* as if there were no adapter: a forward pass alone */
    int prefix_rows; /* the first rows are the beginning of every sequence; starts[0] is this. 0: none. Not with dropout */
} hn_train_batch;

typedef struct hn_network hn_network;

/* A sequence's key for `dropout`. */
uint64_t hn_dropout_key(uint64_t seed, uint64_t step, uint64_t example);

/* HN_ERR_UNSUPPORTED: an architecture that does not learn here. HN_ERR_USAGE: a rank below 0. */
hn_status hn_network_create(const hn_model *model, const hn_network_options *options, const hn_kernels *kernels,
                            hn_pool *pool, hn_network **network, hn_error *err) HN_MUST_CHECK;
void hn_network_free(hn_network *network);

/* losses (T): -ln p(target) (smoothed or against a teacher: row_loss.h), 0 where there is none; NULL: not now (the backward pass gives them at no cost). Errors: HN_ERR_INPUT for an id out of the vocabulary, a batch without rows or
 * without a supervised one; HN_ERR_MEMORY. */
hn_status hn_network_forward(hn_network *network, const hn_train_batch *batch, double *losses,
                             hn_error *err) HN_MUST_CHECK;
/* Of the batch of the last forward pass; its weights, smoothing and teachers may have changed since. losses (T) as above; may be NULL. */
hn_status hn_network_backward(hn_network *network, const hn_train_batch *batch, double *losses,
                              hn_error *err) HN_MUST_CHECK;
/* logits (T,V) of the last forward pass, of rows without a target too. */
hn_status hn_network_logits(hn_network *network, float *logits, hn_error *err) HN_MUST_CHECK;

void hn_network_clear_gradients(hn_network *network);
/* All tensors, frozen ones too; the array belongs to the network. */
hn_tensor *hn_network_tensors(hn_network *network, size_t *n);
hn_tensor *hn_network_find(hn_network *network, const char *name); /* NULL: none */
/* Bytes of weights, gradients and activations now. */
size_t hn_network_bytes(const hn_network *network);

#endif
