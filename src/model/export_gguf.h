/* Exporting a model, with its adapter merged, as one GGUF file in any format that can be written, from a GGUF file (or several that make one model) or
 * a Hugging Face folder.
 *
 *     hn_export_gguf_result r;
 *     hn_quantize_options options = {.format = HN_DTYPE_BF16, .pool = pool};
 *     HN_TRY(hn_model_add_adapter(model, "lora", &err));
 *     HN_TRY(hn_export_gguf(model, "merged.gguf", &options, &r, &err));    // W + alpha/r B A, rounded once
 *     hn_export_gguf_result_free(&r);
 *
 * What was written is opened again and compared before it counts as done. Ownership: names in the report belong to the result. Threading: one thread,
 * work goes to the pool. */
#ifndef HN_MODEL_EXPORT_GGUF_H
#define HN_MODEL_EXPORT_GGUF_H

#include "model/quantize_file.h"

typedef struct hn_export_gguf_result {
    hn_quantize_report report;
    hn_weight_feed feed;
    size_t n_tensors, n_merged; /* matrices that an adapter changed */
    bool has_tokenizer, has_template;
} hn_export_gguf_result;

/* An existing file is replaced when all is done. Errors: HN_ERR_UNSUPPORTED for what GGUF cannot say, before anything is written; those of
 * hn_quantize_feed. On failure nothing is to be freed. */
hn_status hn_export_gguf(const hn_model *model, const char *path, const hn_quantize_options *options,
                         hn_export_gguf_result *result, hn_error *err) HN_MUST_CHECK;
void hn_export_gguf_result_free(hn_export_gguf_result *result);

#endif
