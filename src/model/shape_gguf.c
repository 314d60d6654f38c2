/* A model's shape from GGUF metadata; see shape.h. Keys are "<architecture>.<what>".
 * Surprise: a file that converters made for scaled models has the scaled context as its context_length. */
#include "model/shape.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct keys {
    const hn_gguf *gguf;
    const char *architecture;
    char key[96]; /* the one last asked for */
} keys;

static const char *key_of(keys *k, const char *what) {
    snprintf(k->key, sizeof k->key, "%s.%s", k->architecture, what);
    return k->key;
}

/* A whole number that must be there where `otherwise` is negative. Values past INT32_MAX come out as INT32_MAX: the
 * limits refuse them. */
static hn_status read_int(keys *k, const char *what, int otherwise, int *value, hn_error *err) {
    const hn_gguf_value *v = hn_gguf_find(k->gguf, key_of(k, what));
    if (!v && otherwise >= 0) {
        *value = otherwise;
        return HN_OK;
    }
    if (!v)
        return hn_fail(err, HN_ERR_INPUT, k->key, "the file is damaged, or made by a converter that left it out",
                       "the metadata has no such key");
    uint32_t low = hn_gguf_u32(k->gguf, k->key, 0), other = hn_gguf_u32(k->gguf, k->key, 1);
    if (low != other)
        return hn_fail(err, v->type == HN_GGUF_ARRAY ? HN_ERR_UNSUPPORTED : HN_ERR_INPUT, k->key, NULL,
                       "the value is not one whole number from 0 to 4294967295");
    *value = low > INT32_MAX ? INT32_MAX : (int)low;
    return HN_OK;
}

static hn_status read_number(keys *k, const char *what, double otherwise, double *value, hn_error *err) {
    const hn_gguf_value *v = hn_gguf_find(k->gguf, key_of(k, what));
    *value = hn_gguf_f64(k->gguf, k->key, otherwise);
    if (v && *value == otherwise && hn_gguf_f64(k->gguf, k->key, otherwise + 1) != otherwise)
        return hn_fail(err, HN_ERR_INPUT, k->key, NULL, "the value is not a number");
    return HN_OK;
}

static hn_status read_rope(keys *k, hn_shape *s, hn_rope_scaling *rope, hn_error *err) {
    char name[32] = "";
    hn_str type = hn_gguf_str(k->gguf, key_of(k, "rope.scaling.type"));
    HN_TRY(read_number(k, "rope.freq_base", 10000, &rope->base, err));
    HN_TRY(read_number(k, "rope.scale_linear", 1, &rope->factor, err));
    if (rope->factor == 0) rope->factor = 1;
    HN_TRY(read_number(k, "rope.scaling.factor", rope->factor, &rope->factor, err));
    if (rope->factor == 0) rope->factor = 1;
    HN_TRY(read_int(k, "rope.scaling.original_context_length", s->n_context, &rope->n_context_original, err));
    HN_TRY(read_number(k, "rope.scaling.attn_factor", 0, &rope->attention_factor, err));
    HN_TRY(read_number(k, "rope.scaling.yarn_beta_fast", 32, &rope->beta_fast, err));
    HN_TRY(read_number(k, "rope.scaling.yarn_beta_slow", 1, &rope->beta_slow, err));
    rope->kind = rope->factor == 1 ? HN_ROPE_NONE : HN_ROPE_LINEAR;
    if (!type.data) return HN_OK;
    snprintf(name, sizeof name, "%.*s", (int)(type.len < sizeof name ? type.len : sizeof name - 1), type.data);
    if (!hn_rope_kind_parse(name, &rope->kind) || rope->kind == HN_ROPE_LLAMA3)
        return hn_fail(err, HN_ERR_UNSUPPORTED, key_of(k, "rope.scaling.type"), NULL,
                       "the scaling %s is not supported; none, linear, yarn and longrope are", name);
    if (rope->kind == HN_ROPE_NONE || rope->kind == HN_ROPE_LONGROPE) rope->factor = 1;
    if (rope->kind == HN_ROPE_YARN && rope->factor > 1)
        rope->attention_factor *= 0.1 * log(rope->factor) + 1; /* on top of yarn's own */
    return HN_OK;
}

/* Things of this family's files that change the arithmetic and are not computed here. */
static hn_status refuse_others(keys *k, const hn_shape *s, hn_error *err) {
    int n_experts, value_length;
    HN_TRY(read_int(k, "expert_count", 0, &n_experts, err));
    if (n_experts > 0) return hn_fail(err, HN_ERR_UNSUPPORTED, k->key, NULL, "mixtures of experts are not supported");
    HN_TRY(read_int(k, "attention.value_length", s->head_size, &value_length, err));
    if (value_length != s->head_size)
        return hn_fail(err, HN_ERR_UNSUPPORTED, k->key, NULL,
                       "value heads of %d beside key heads of %d are not supported", value_length, s->head_size);
    static const char *const scales[] = {"attention.scale", "embedding_scale", "residual_scale", "logit_scale",
                                         "attention.sliding_window"};
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
        if (hn_gguf_find(k->gguf, key_of(k, scales[i])))
            return hn_fail(err, HN_ERR_UNSUPPORTED, k->key, NULL, "this key is not supported");
    return HN_OK;
}

static hn_status read_shape(keys *k, hn_shape *s, hn_rope_source *rope, hn_error *err) {
    double eps;
    HN_TRY(read_int(k, "block_count", -1, &s->n_layers, err));
    HN_TRY(read_int(k, "embedding_length", -1, &s->n_embd, err));
    HN_TRY(read_int(k, "feed_forward_length", -1, &s->n_ff, err));
    HN_TRY(read_int(k, "attention.head_count", -1, &s->n_heads, err));
    HN_TRY(read_int(k, "attention.head_count_kv", s->n_heads, &s->n_kv_heads, err));
    HN_TRY(read_int(k, "context_length", -1, &s->n_context, err));
    HN_TRY(read_number(k, "attention.layer_norm_rms_epsilon", 1e-5, &eps, err));
    s->norm_eps = (float)eps;
    HN_TRY(read_int(k, "attention.key_length", s->n_heads > 0 ? s->n_embd / s->n_heads : 0, &s->head_size, err));
    HN_TRY(read_int(k, "rope.dimension_count", s->head_size, &s->rope_dims, err));
    const hn_gguf_tensor *embedding = hn_gguf_tensor_find(k->gguf, "token_embd.weight");
    if (!embedding || embedding->n_dims != 2)
        return hn_fail(err, HN_ERR_INPUT, "token_embd.weight", NULL, "the tensor is %s",
                       embedding ? "not a matrix" : "missing: a file of a vocabulary only cannot answer");
    s->n_vocab = embedding->dims[1] > INT32_MAX ? INT32_MAX : (int)embedding->dims[1];
    s->tied = hn_gguf_tensor_find(k->gguf, "output.weight") == NULL;
    HN_TRY(read_rope(k, s, &rope->scaling, err));
    HN_TRY(hn_shape_check(s, err));
    return refuse_others(k, s, err);
}

hn_status hn_shape_from_gguf(const hn_gguf *gguf, hn_shape *s, hn_rope_source *rope, hn_error *err) {
    *s = (hn_shape){.rope_magnitude = 1};
    *rope = (hn_rope_source){0};
    hn_str name = hn_gguf_str(gguf, "general.architecture"), title = hn_gguf_str(gguf, "general.name");
    if (!name.data) return hn_fail(err, HN_ERR_INPUT, "general.architecture", NULL, "the metadata has no such text");
    snprintf(s->architecture, sizeof s->architecture, "%.*s", (int)(name.len < 32 ? name.len : 31), name.data);
    snprintf(s->name, sizeof s->name, "%.*s", (int)(title.len < sizeof s->name ? title.len : sizeof s->name - 1),
             title.data ? title.data : "");
    const hn_architecture *a = hn_architecture_find(s->architecture);
    if (!a)
        return hn_fail(err, HN_ERR_UNSUPPORTED, "general.architecture", NULL,
                       "models of the family \"%s\" are not supported; these are: %s", s->architecture,
                       hn_architecture_list());
    s->rope_interleaved = a->gguf_interleaved;
    keys k = {.gguf = gguf, .architecture = s->architecture};
    return read_shape(&k, s, rope, err);
}
