/* Exporting a model as a Hugging Face folder: config.json, model.safetensors and the tokenizer's files, with its adapter merged into the matrices.
 *
 *     hn_export_result r;
 *     HN_TRY(hn_model_add_adapter(model, "lora", &err));
 *     HN_TRY(hn_export_folder(model, HN_DTYPE_BF16, "merged", &r, &err));    // W + alpha/r B A, rounded once
 *
 * From a folder, its texts are kept as they are but for the type in config.json; from a GGUF file they are made of its metadata, and rows that GGUF
 * keeps in another order go back to Hugging Face's. What was written is opened again and compared before it counts as done; config.json comes last,
 * so that a folder whose export was stopped holds no model. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_MODEL_EXPORT_FOLDER_H
#define HN_MODEL_EXPORT_FOLDER_H

#include "model/model.h"

typedef struct hn_export_result {
    size_t n_tensors, n_merged; /* matrices that an adapter changed */
    uint64_t bytes;             /* of model.safetensors */
    bool has_tokenizer, has_template;
} hn_export_result;

/* `dtype`: F32, BF16 or F16 of matrices and norms. Errors: HN_ERR_EXISTS where the folder holds a model already; HN_ERR_UNSUPPORTED for what
 * Hugging Face's files cannot say or is not said here (SentencePiece tokenizers of GGUF files, some rotary scalings), before anything is written;
 * those of hn_safetensors_write. */
hn_status hn_export_folder(const hn_model *model, hn_dtype dtype, const char *folder, hn_export_result *result,
                           hn_error *err) HN_MUST_CHECK;

/* The same model with other weights: what training made of them. `find` gives a tensor's values by its Hugging Face name ("model.norm.weight"), in the
 * model's own shape, rows in Hugging Face's order; NULL: the model's. Replaces a model that the folder holds: its config.json is gone before the first
 * tensor is written, and there again after the last. */
typedef struct hn_export_values {
    const float *(*find)(void *user, const char *name);
    void *user;
} hn_export_values;
hn_status hn_export_folder_values(const hn_model *model, hn_dtype dtype, const hn_export_values *values,
                                  const char *folder, hn_export_result *result, hn_error *err) HN_MUST_CHECK;

#endif
