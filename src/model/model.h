/* A local model: shape, weights (mapped read-only), tokenizer and chat template from one GGUF file, or from a folder
 * (or a file in it) with config.json, model.safetensors (or its parts with model.safetensors.index.json) and
 * tokenizer.json.
 *
 *     hn_model *m;
 *     HN_TRY(hn_model_open("SmolLM2-135M-Instruct.Q4_1.gguf", 0, &m, &err));
 *     const hn_shape *s = hn_model_shape(m);               // s->n_layers, s->n_embd, ...
 *     hn_model_close(m);
 *
 * A vocabulary-only GGUF opens with HN_MODEL_VOCAB_ONLY. Ownership: the model owns what it hands out. Threading:
 * read-only. */
#ifndef HN_MODEL_MODEL_H
#define HN_MODEL_MODEL_H

#include "kernel/kernel.h"
#include "model/tokenizer.h"

enum {
    HN_MODEL_VOCAB_ONLY = 1,
    HN_MODEL_IDS_ONLY =
        2, /* the tokenizer may be missing: hn_model_tokenizer is NULL then, and only token ids can be used */
};

typedef struct hn_shape {
    char architecture[32]; /* "llama" */
    char name[128];        /* general.name, for people */
    int n_layers, n_embd, n_heads, n_kv_heads, head_size, n_ff, n_vocab,
        n_context;          /* L, C, NH, KV, HS, F, V, trained context */
    int n_context_original; /* before rotary scaling; n_context where there is none */
    int n_context_max;      /* positions that the rotary scaling covers, >= n_context */
    float norm_eps;
    bool tied;             /* output matrix = token embedding */
    bool rope_interleaved; /* pairs (2i,2i+1), GGUF llama's order; else (i, i+HS/2) */
    int rope_dims;         /* rotated dimensions of a head */
    float *
        rope_frequencies; /* (rope_dims/2): angle per position, scaling (linear, llama3, yarn, longrope factors) included */
    float *rope_frequencies_short; /* longrope: for contexts within n_context_original; else NULL */
    float rope_magnitude;          /* factor on cos and sin (yarn's attention factor); 1 as a rule */
    int64_t n_parameters;
    hn_dtype main_dtype; /* the format of most weights: "Q4_1" */
} hn_shape;

/* What an adapter adds to one matrix: y (N) += (x A^T) B^T, then, where it has gains, each output times its own. */
typedef struct hn_low_rank {
    int rank;          /* r; 0: none */
    const float *a;    /* (r,K) */
    const float *b;    /* (r,N): B transposed and scaled, rows in the order of the matrix's outputs */
    const float *gain; /* (N) DoRA's magnitude over the length of W + B A's row; NULL: all 1 */
} hn_low_rank;
enum { HN_LINEARS_OF_LAYER = 7 }; /* q k v o gate up down */

typedef struct hn_layer {
    const float *attention_norm, *ffn_norm; /* (C) f32 */
    hn_matrix q, k, v, o;                   /* (NH*HS,C) (KV*HS,C) (KV*HS,C) (C,NH*HS) */
    hn_matrix gate, up, down;               /* (F,C) (F,C) (C,F) */
    const hn_low_rank *low_rank;            /* (HN_LINEARS_OF_LAYER) of an adapter; NULL: none */
} hn_layer;

typedef struct hn_weights {
    hn_matrix embedding; /* (V,C) */
    hn_matrix output;    /* (V,C); the embedding's bytes where tied */
    const float *output_norm;
    hn_layer *layers; /* (L) */
} hn_weights;

typedef struct hn_model hn_model;

hn_status hn_model_open(const char *path, unsigned flags, hn_model **model, hn_error *err) HN_MUST_CHECK;
void hn_model_close(hn_model *model);
/* Lays a LoRA adapter (a folder as PEFT saves it, or a GGUF file with an adapter) beside the weights, before an engine is made of the model; its content
 * becomes part of the model's hash. HN_ERR_INPUT: it does not fit the model's shapes; HN_ERR_UNSUPPORTED: it does what is not understood (biases, single
 * layers' ranks ...), named; HN_ERR_USAGE: the model has one already. */
hn_status hn_model_add_adapter(hn_model *model, const char *path, hn_error *err) HN_MUST_CHECK;

const hn_shape *hn_model_shape(const hn_model *model);
const hn_weights *
hn_model_weights(const hn_model *model); /* NULL with HN_MODEL_VOCAB_ONLY; packs are the engine's own copies */
const hn_tokenizer *hn_model_tokenizer(const hn_model *model);
/* The chat template's Jinja text (NUL-terminated), or NULL where the model has none. */
const char *hn_model_chat_template(const hn_model *model);
const char *hn_model_path(const hn_model *model);
uint64_t hn_model_file_bytes(const hn_model *model);
/* Content hash of the weights (64 hex digits); computed on first use and remembered beside the model cache by size,
 * inode and change time. */
hn_status hn_model_hash(hn_model *model, char hex[65], hn_error *err) HN_MUST_CHECK;

#endif
