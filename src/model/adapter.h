/* A LoRA adapter out of its file, as exact values: what is laid beside a model's weights, and what is written in another form.
 *
 *     hn_adapter a;
 *     HN_TRY(hn_adapter_read("adapter.gguf", hn_model_shape(model), arena, &a, &err));    // or a folder as PEFT saves it
 *     const hn_adapter_part *q = &a.parts[layer * HN_LINEARS_OF_LAYER + 0];               // q k v o gate up down
 *     ... y += q->scaling * B (A x)
 *
 * Two forms: a folder with adapter_config.json and adapter_model.safetensors (PEFT), and a GGUF file with general.type "adapter" (llama.cpp). GGUF
 * has the rows of query and key matrices as rotary pairs; here they always stand as Hugging Face has them. Files are hostile input: what does not fit
 * the model, or would change the result and is not understood, is refused by name.
 * Ownership: all in the caller's arena. Threading: pure functions. */
#ifndef HN_MODEL_ADAPTER_H
#define HN_MODEL_ADAPTER_H

#include "base/alloc.h"
#include "model/model.h"

typedef struct hn_adapter_part {
    int rank;               /* r; 0: the matrix has none */
    const float *a;         /* (r,K) */
    const float *b;         /* (N,r) */
    double scaling;         /* alpha / r, or alpha / sqrt(r) */
    const float *magnitude; /* (N) DoRA's; NULL: none */
} hn_adapter_part;

typedef struct hn_adapter {
    hn_adapter_part *parts; /* (n_layers, HN_LINEARS_OF_LAYER) */
    size_t n_parts;         /* those with a rank */
    double alpha;
    bool rank_stabilised, dora;
    int rank;              /* of all parts; 0: they differ */
    const char *base_name; /* the model that it says it is for; NULL: it does not say */
} hn_adapter;

/* HN_ERR_NOT_FOUND: no adapter there; HN_ERR_INPUT: damaged, or of a model with other shapes (tensor and sizes are named); HN_ERR_UNSUPPORTED: it does
 * what is not understood (biases, a tensor of no linear part ...), named. */
hn_status hn_adapter_read(const char *path, const hn_shape *shape, hn_arena *arena, hn_adapter *out,
                          hn_error *err) HN_MUST_CHECK;
/* Whether a path names a GGUF adapter rather than a folder: it is there and no folder. */
bool hn_adapter_is_file(const char *path);

/* Outputs N and inputs K of the linear part `which` (0: q ... 6: down). */
void hn_linear_size(const hn_shape *shape, int which, int64_t *n_out, int64_t *n_in);
/* "self_attn.q_proj" as Hugging Face's names have it, "attn_q" as GGUF's. */
const char *hn_linear_name(int which, bool gguf);
/* Where GGUF llama files keep row `row` of a head's halves (Hugging Face's order): as pairs. Only of q and k, only where the family does so. */
int64_t hn_linear_pair_row(const hn_shape *shape, int which, int64_t row);

#endif
