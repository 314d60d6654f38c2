/* Saving a LoRA adapter as PEFT does: adapter_config.json and adapter_model.safetensors in a folder, to be read by PEFT, by
 * hn_model_add_adapter and by what else reads PEFT's folders.
 *
 *     const char *const targets[] = {"q_proj", "v_proj"};
 *     hn_adapter_description what = {.rank = 8, .alpha = 16, .base_name = "smollm2", .targets = targets, .n_targets = 2};
 *     hn_adapter_tensor tensors[] = {{"model.layers.0.self_attn.q_proj.lora_A.weight", 8, 576, a}, ...};
 *     HN_TRY(hn_adapter_write("out/adapter", &what, tensors, n, &err));
 *
 * Ownership: nothing is kept. Threading: safe on different folders. */
#ifndef HN_MODEL_ADAPTER_WRITE_H
#define HN_MODEL_ADAPTER_WRITE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct hn_adapter_description {
    int rank;
    float alpha;
    bool rank_stabilised;       /* scaled by alpha / sqrt(rank) instead of alpha / rank */
    bool dora;                  /* each part has a magnitude vector as well */
    double dropout;             /* that it was trained with; told, not used */
    const char *base_name;      /* the model that it was trained on; NULL: not said */
    const char *const *targets; /* "q_proj", "down_proj", ...: the layers' parts that have one */
    size_t n_targets;
} hn_adapter_description;

typedef struct hn_adapter_tensor {
    const char
        *name; /* "model.layers.0.self_attn.q_proj.lora_A.weight"; "base_model.model." goes in front in the file */
    int64_t rows, columns; /* A (rank, K), B (N, rank); "...lora_magnitude_vector" (1, N), written as (N) */
    const float *w;        /* (rows, columns), written as F32, bit for bit */
} hn_adapter_tensor;

/* Makes the folder where it is not there and replaces an adapter in it: the tensors first, each file whole or not at all. Errors: HN_ERR_USAGE for
 * a rank below 1, an alpha that is no number, no targets or tensors, or a tensor that is neither A nor B of that rank nor a magnitude of a DoRA adapter; those of
 * hn_safetensors_write. */
hn_status hn_adapter_write(const char *folder, const hn_adapter_description *what, const hn_adapter_tensor *tensors,
                           size_t n, hn_error *err) HN_MUST_CHECK;

#endif
