/* A model's shape from Hugging Face's config.json; see shape.h.
 * Surprise: rotary scaling is "rope_scaling" with "rope_theta" beside it in older files, "rope_parameters" with it
 * inside in newer. */
#include "model/shape.h"

#include "base/alloc.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static hn_status read_int(const json_t *config, const char *key, int otherwise, int *value, hn_error *err) {
    const json_t *v = json_object_get(config, key);
    *value = otherwise;
    if ((!v || json_is_null(v)) && otherwise >= 0) return HN_OK;
    if (!json_is_integer(v))
        return hn_fail(err, HN_ERR_INPUT, key, NULL,
                       v ? "the value is not a whole number" : "the file has no such field");
    json_int_t n = json_integer_value(v);
    *value = n > INT32_MAX ? INT32_MAX : n < 0 ? -1 : (int)n;
    return HN_OK;
}

static hn_status read_number(const json_t *config, const char *key, double otherwise, double *value, hn_error *err) {
    const json_t *v = json_object_get(config, key);
    *value = v && json_is_number(v) ? json_number_value(v) : otherwise;
    if (!v || json_is_null(v) || json_is_number(v)) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, key, NULL, "the value is not a number");
}

static hn_status read_factors(const json_t *scaling, const char *key, int n, float **factors, hn_error *err) {
    const json_t *list = json_object_get(scaling, key);
    if (json_array_size(list) != (size_t)n)
        return hn_fail(err, HN_ERR_INPUT, key, NULL, "it must be a list of %d numbers, it has %zu", n,
                       json_array_size(list));
    *factors = hn_calloc((size_t)n, sizeof **factors);
    if (!*factors) return hn_fail_memory(err, (size_t)n * sizeof **factors);
    for (int i = 0; i < n; i++)
        (*factors)[i] = (float)json_number_value(json_array_get(list, (size_t)i)); /* 0 is refused later */
    return HN_OK;
}

static hn_status read_yarn(const json_t *scaling, hn_rope_scaling *rope, hn_error *err) {
    double mscale, mscale_all;
    const json_t *truncate = json_object_get(scaling, "truncate");
    HN_TRY(read_number(scaling, "beta_fast", 32, &rope->beta_fast, err));
    HN_TRY(read_number(scaling, "beta_slow", 1, &rope->beta_slow, err));
    HN_TRY(read_number(scaling, "mscale", 0, &mscale, err));
    HN_TRY(read_number(scaling, "mscale_all_dim", 0, &mscale_all, err));
    rope->keep_fractions = json_is_false(truncate);
    if (rope->attention_factor == 0 && mscale != 0 && mscale_all != 0 && mscale != mscale_all)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "mscale", NULL, "mscale %g with mscale_all_dim %g is not supported",
                       mscale, mscale_all);
    if (rope->attention_factor == 0 && mscale != 0 && mscale_all != 0) rope->attention_factor = 1;
    return HN_OK;
}

static hn_status read_longrope(const json_t *scaling, const hn_shape *s, hn_rope_source *rope, hn_error *err) {
    HN_TRY(read_factors(scaling, "long_factor", s->rope_dims / 2, &rope->long_factors, err));
    HN_TRY(read_factors(scaling, "short_factor", s->rope_dims / 2, &rope->short_factors, err));
    double stretched =
        rope->scaling.factor > 1 ? rope->scaling.factor : (double)s->n_context / rope->scaling.n_context_original;
    if (rope->scaling.attention_factor == 0)
        rope->scaling.attention_factor = hn_rope_longrope_magnitude(stretched, rope->scaling.n_context_original);
    rope->scaling.factor = 1;
    return HN_OK;
}

static hn_status read_rope(const json_t *config, const hn_shape *s, hn_rope_source *source, hn_error *err) {
    hn_rope_scaling *rope = &source->scaling;
    const json_t *scaling = json_object_get(config, "rope_parameters");
    if (!json_is_object(scaling)) scaling = json_object_get(config, "rope_scaling");
    rope->factor = 1;
    HN_TRY(read_number(config, "rope_theta", 10000, &rope->base, err));
    HN_TRY(read_int(config, "original_max_position_embeddings", s->n_context, &rope->n_context_original, err));
    if (!scaling || json_is_null(scaling)) return HN_OK;
    if (!json_is_object(scaling)) return hn_fail(err, HN_ERR_INPUT, "rope_scaling", NULL, "it is not an object");
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    if (!type) type = json_string_value(json_object_get(scaling, "type"));
    if (type && !hn_rope_kind_parse(type, &rope->kind))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "rope_type", NULL,
                       "the scaling %.40s is not supported; linear, yarn, llama3 and longrope are", type);
    HN_TRY(read_number(scaling, "rope_theta", rope->base, &rope->base, err));
    if (rope->kind == HN_ROPE_NONE) return HN_OK;
    HN_TRY(read_number(scaling, "factor", 1, &rope->factor, err));
    HN_TRY(read_number(scaling, "attention_factor", 0, &rope->attention_factor, err));
    HN_TRY(read_int(scaling, "original_max_position_embeddings", rope->n_context_original, &rope->n_context_original,
                    err));
    if (rope->n_context_original < 1)
        return hn_fail(err, HN_ERR_INPUT, "original_max_position_embeddings", NULL, "it must be at least 1");
    HN_TRY(read_number(scaling, "low_freq_factor", 1, &rope->low_freq_factor, err));
    HN_TRY(read_number(scaling, "high_freq_factor", 4, &rope->high_freq_factor, err));
    if (rope->kind == HN_ROPE_YARN) return read_yarn(scaling, rope, err);
    return rope->kind == HN_ROPE_LONGROPE ? read_longrope(scaling, s, source, err) : HN_OK;
}

/* Fields that change the arithmetic and are not computed here. */
static hn_status refuse_others(const json_t *config, hn_error *err) {
    static const char *const biases[] = {"attention_bias", "mlp_bias"};
    double part;
    const char *act = json_string_value(json_object_get(config, "hidden_act"));
    for (int i = 0; i < 2; i++)
        if (json_is_true(json_object_get(config, biases[i])))
            return hn_fail(err, HN_ERR_UNSUPPORTED, biases[i], NULL, "biases are not supported");
    if (act && strcmp(act, "silu") != 0 && strcmp(act, "swish") != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "hidden_act", NULL, "the activation %.40s is not supported; silu is",
                       act);
    HN_TRY(read_number(config, "partial_rotary_factor", 1, &part, err));
    if (part != 1)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "partial_rotary_factor", NULL, "a part of %g is not supported", part);
    if (json_is_object(json_object_get(config, "quantization_config")))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "quantization_config", "use the unquantised model, or a GGUF file",
                       "quantised safetensors are not supported");
    return HN_OK;
}

static hn_status read_shape(const json_t *config, hn_shape *s, hn_rope_source *rope, hn_error *err) {
    double eps;
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const char *title = json_string_value(json_object_get(config, "_name_or_path"));
    if (!type) return hn_fail(err, HN_ERR_INPUT, "model_type", NULL, "the file has no such text");
    snprintf(s->architecture, sizeof s->architecture, "%s", type);
    snprintf(s->name, sizeof s->name, "%s", title ? title : "");
    if (!hn_architecture_find(s->architecture))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "model_type", NULL,
                       "models of the family \"%s\" are not supported; these are: %s", s->architecture,
                       hn_architecture_list());
    HN_TRY(read_int(config, "num_hidden_layers", -1, &s->n_layers, err));
    HN_TRY(read_int(config, "hidden_size", -1, &s->n_embd, err));
    HN_TRY(read_int(config, "intermediate_size", -1, &s->n_ff, err));
    HN_TRY(read_int(config, "num_attention_heads", -1, &s->n_heads, err));
    HN_TRY(read_int(config, "num_key_value_heads", s->n_heads > 0 ? s->n_heads : 0, &s->n_kv_heads, err));
    HN_TRY(
        read_int(config, "head_dim", s->n_heads > 0 && s->n_embd > 0 ? s->n_embd / s->n_heads : 0, &s->head_size, err));
    HN_TRY(read_int(config, "vocab_size", -1, &s->n_vocab, err));
    HN_TRY(read_int(config, "max_position_embeddings", 2048, &s->n_context, err));
    HN_TRY(read_number(config, "rms_norm_eps", 1e-6, &eps, err));
    s->norm_eps = (float)eps;
    s->rope_dims = s->head_size;
    s->tied = json_is_true(json_object_get(config, "tie_word_embeddings"));
    HN_TRY(hn_shape_check(s, err));
    HN_TRY(refuse_others(config, err));
    return read_rope(config, s, rope, err);
}

hn_status hn_shape_from_config(const char *text, size_t n, hn_shape *s, hn_rope_source *rope, hn_error *err) {
    *s = (hn_shape){.rope_magnitude = 1};
    *rope = (hn_rope_source){0};
    json_error_t bad;
    json_t *config = json_loadb(text, n, JSON_REJECT_DUPLICATES, &bad);
    if (!config && !bad.text[0]) return hn_fail_memory(err, n);
    if (!config)
        return hn_fail(err, HN_ERR_INPUT, NULL, NULL, "line %d, column %d: %s", bad.line, bad.column, bad.text);
    hn_status st = json_is_object(config) ? read_shape(config, s, rope, err)
                                          : hn_fail(err, HN_ERR_INPUT, NULL, NULL, "it is not an object");
    json_decref(config);
    if (st != HN_OK) hn_rope_source_free(rope);
    return st;
}
