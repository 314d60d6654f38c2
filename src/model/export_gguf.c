/* Exporting a model as one GGUF file; see export_gguf.h. The writing is quantisation's, to a format that may lose nothing. */
#include "model/export_gguf.h"

#include "model/export_parts.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* Rotary frequencies go through f32 factors in the file: the same to the last bits. */
static bool same_frequencies(const hn_shape *a, const hn_shape *b) {
    if (a->rope_dims != b->rope_dims) return false;
    for (int i = 0; i < a->rope_dims / 2; i++)
        if (fabsf(a->rope_frequencies[i] - b->rope_frequencies[i]) > 1e-6f * a->rope_frequencies[i]) return false;
    return fabsf(a->rope_magnitude - b->rope_magnitude) <= 1e-6f * a->rope_magnitude;
}

static hn_status compare(const hn_model *model, const hn_model *written, const char *path, hn_error *err) {
    const hn_shape *a = hn_model_shape(model), *b = hn_model_shape(written);
    const hn_tokenizer *t = hn_model_tokenizer(model);
    const char *template = hn_model_chat_template(model), *other = hn_model_chat_template(written);
    int64_t more = b->n_parameters - a->n_parameters; /* rotary factors count where they are a tensor */
    if ((more != 0 && more != a->rope_dims / 2) || a->tied != b->tied || a->norm_eps != b->norm_eps ||
        a->n_context != b->n_context || !same_frequencies(a, b))
        return hn_fail(err, HN_ERR_INTERNAL, path, NULL,
                       "the exported model has other sizes or rotary frequencies than its source");
    if (!template != !other || (template && strcmp(template, other) != 0))
        return hn_fail(err, HN_ERR_INTERNAL, path, NULL, "the exported chat template is not the model's");
    if (!t) return HN_OK;
    HN_TRY(hn_export_same_ids(t, hn_model_tokenizer(written), hn_export_sample_text, path, err));
    return template ? hn_export_same_ids(t, hn_model_tokenizer(written), template, path, err) : HN_OK;
}

static hn_status check_written(const hn_model *model, const char *path, hn_error *err) {
    hn_model *written;
    HN_TRY(hn_model_open(path, hn_model_tokenizer(model) ? 0 : HN_MODEL_IDS_ONLY, &written, err));
    hn_status st = compare(model, written, path, err);
    hn_model_close(written);
    return st;
}

hn_status hn_export_gguf(const hn_model *model, const char *path, const hn_quantize_options *options,
                         hn_export_gguf_result *r, hn_error *err) {
    *r = (hn_export_gguf_result){.has_tokenizer = hn_model_tokenizer(model) != NULL,
                                 .has_template = hn_model_chat_template(model) != NULL};
    HN_TRY(hn_weight_feed_model(model, &r->feed, err));
    r->n_tensors = r->feed.n;
    r->n_merged = r->feed.n_merged;
    hn_status st = hn_quantize_feed(&r->feed, path, options, &r->report, err);
    if (st == HN_OK && (st = check_written(model, path, err)) != HN_OK) unlink(path);
    if (st != HN_OK) hn_export_gguf_result_free(r);
    return st;
}

void hn_export_gguf_result_free(hn_export_gguf_result *r) {
    hn_quantize_report_free(&r->report);
    hn_weight_feed_free(&r->feed);
}
