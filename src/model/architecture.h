/* What hone knows of each model family, as data: its names in files and the tensors it is made of with their shapes.
 *
 *     const hn_architecture *a = hn_architecture_find("llama");
 *     for (int i = 0; i < a->n_tensors; i++) puts(a->tensors[i].gguf);
 *
 * A family whose forward pass is the same arithmetic is added here alone. Ownership: constants. Threading: constants.
 * */
#ifndef HN_MODEL_ARCHITECTURE_H
#define HN_MODEL_ARCHITECTURE_H

#include "model/model.h"

/* What a tensor is for. Those from HN_TENSOR_ATTENTION_NORM on occur once in each layer. */
typedef enum hn_tensor_role {
    HN_TENSOR_EMBEDDING,
    HN_TENSOR_OUTPUT,
    HN_TENSOR_OUTPUT_NORM,
    HN_TENSOR_ROPE_FACTORS,
    HN_TENSOR_ROPE_LONG,
    HN_TENSOR_ROPE_SHORT,
    HN_TENSOR_ATTENTION_NORM,
    HN_TENSOR_Q,
    HN_TENSOR_K,
    HN_TENSOR_V,
    HN_TENSOR_O,
    HN_TENSOR_FFN_NORM,
    HN_TENSOR_GATE,
    HN_TENSOR_UP,
    HN_TENSOR_DOWN
} hn_tensor_role;

/* A dimension of the shape; NONE: the tensor has one dimension only. */
typedef enum hn_dimension {
    HN_DIM_NONE,
    HN_DIM_VOCAB,
    HN_DIM_EMBD,
    HN_DIM_HEADS,
    HN_DIM_KV_HEADS,
    HN_DIM_FF,
    HN_DIM_ROPE
} hn_dimension;

typedef struct hn_tensor_rule {
    hn_tensor_role role;
    const char *gguf, *hf;    /* name in each kind of file (after the layer's prefix); NULL: never there */
    hn_dimension n_out, n_in; /* (n_out, n_in), or (n_out) where n_in is NONE */
    bool optional;
} hn_tensor_rule;

typedef struct hn_architecture {
    const char *name;                  /* general.architecture and, in config.json, model_type */
    bool gguf_interleaved;             /* rotary pairs are adjacent in GGUF (q and k rows permuted by the converter) */
    const char *gguf_layer, *hf_layer; /* prefix of a layer's tensors; "%d" stands for the layer's number */
    const hn_tensor_rule *tensors;
    int n_tensors;
} hn_architecture;

/* NULL: not supported. */
const hn_architecture *hn_architecture_find(const char *name);
/* "llama": the supported names, for messages. */
const char *hn_architecture_list(void);
/* The size that a dimension has in a shape. */
int64_t hn_dimension_size(const hn_shape *shape, hn_dimension dimension);
/* Whether a rule's tensor occurs in each layer. */
bool hn_tensor_is_layered(hn_tensor_role role);
/* Writes a tensor's full name; `layer` counts only for layered rules. `name` holds at least HN_TENSOR_NAME_MAX bytes.
 * */
enum { HN_TENSOR_NAME_MAX = 128 };
void hn_tensor_name(const hn_architecture *a, const hn_tensor_rule *rule, bool gguf, int layer,
                    char name[HN_TENSOR_NAME_MAX]);

#endif
