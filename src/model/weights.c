/* Finding and checking each tensor of a model; see weights.h.
 * Surprise: a tensor that the family does not have is an error too: leaving out a bias would give wrong answers
 * silently. */
#include "model/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct loader {
    const hn_tensor_source *source;
    const hn_architecture *architecture;
    hn_shape *shape;
    hn_arena *arena;
    int64_t bytes_of[256]; /* bytes of weights in each format */
    hn_error *err;
} loader;

/* "(49152,576)" of at most four sizes into `text`. */
static const char *shape_text(const int64_t *dims, int n_dims, char text[96]) {
    size_t used = 1;
    text[0] = '(';
    for (int i = 0; i < n_dims && i < 4; i++)
        used += (size_t)snprintf(text + used, 96 - used, "%s%" PRId64, i ? "," : "", dims[i]);
    snprintf(text + used, 96 - used, n_dims > 4 ? ",..)" : ")");
    return text;
}

static hn_status check_view(loader *l, const hn_tensor_rule *rule, const char *name, const hn_tensor_view *v) {
    int64_t want[2] = {hn_dimension_size(l->shape, rule->n_out), hn_dimension_size(l->shape, rule->n_in)};
    int n_dims = rule->n_in == HN_DIM_NONE ? 1 : 2;
    char has[96], needs[96];
    bool same = v->n_dims == n_dims && v->dims[0] == want[0] && (n_dims == 1 || v->dims[1] == want[1]);
    if (!same)
        return hn_fail(l->err, HN_ERR_INPUT, name, "the file is damaged, or its metadata belongs to another model",
                       "the tensor's shape is %s, the metadata makes it %s", shape_text(v->dims, v->n_dims, has),
                       shape_text(want, n_dims, needs));
    if (v->dtype == HN_DTYPE_NONE || !hn_dtype_of(v->dtype).name)
        return hn_fail(l->err, HN_ERR_UNSUPPORTED, name, NULL, "the tensor's type %s is not a weight format",
                       v->dtype_name);
    size_t row = 0, total = 0;
    if (!hn_dtype_bytes(v->dtype, (uint64_t)(n_dims == 1 ? want[0] : want[1]), &row) ||
        !hn_mul_size(row, n_dims == 1 ? 1 : (size_t)want[0], &total) || total != v->size_bytes)
        return hn_fail(l->err, HN_ERR_INPUT, name, NULL, "the tensor has %zu bytes, its shape %s in %s needs %zu",
                       v->size_bytes, shape_text(want, n_dims, needs), hn_dtype_of(v->dtype).name, total);
    l->shape->n_parameters += want[0] * (n_dims == 1 ? 1 : want[1]);
    l->bytes_of[(unsigned)v->dtype & 255] += (int64_t)v->size_bytes;
    return HN_OK;
}

/* *found false: absent and optional. */
static hn_status find(loader *l, const hn_tensor_rule *rule, int layer, hn_tensor_view *v, bool *found,
                      char name[HN_TENSOR_NAME_MAX]) {
    *found = false;
    if (!(l->source->gguf ? rule->gguf : rule->hf)) return HN_OK;
    hn_tensor_name(l->architecture, rule, l->source->gguf, layer, name);
    *found = l->source->find(l->source->file, name, v);
    if (!*found && !rule->optional)
        return hn_fail(l->err, HN_ERR_INPUT, name, "fetch the file again: it is not whole",
                       "the file has no such tensor");
    return *found ? check_view(l, rule, name, v) : HN_OK;
}

/* Values of F32, F16 or BF16 from any alignment. */
static hn_status to_floats(float *out, const hn_tensor_view *v, size_t n, const char *name, hn_error *err) {
    const unsigned char *bytes = v->data;
    if (v->dtype != HN_DTYPE_F32 && v->dtype != HN_DTYPE_F16 && v->dtype != HN_DTYPE_BF16)
        return hn_fail(err, HN_ERR_UNSUPPORTED, name, NULL, "the tensor's type is %s; F32, F16 or BF16 is needed",
                       v->dtype_name);
    if (v->dtype == HN_DTYPE_F32) {
        memcpy(out, bytes, n * sizeof *out);
        return HN_OK;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
        out[i] = v->dtype == HN_DTYPE_F16 ? hn_f16_to_f32(h) : hn_bf16_to_f32(h);
    }
    return HN_OK;
}

static hn_status load_vector(loader *l, const hn_tensor_rule *rule, const hn_tensor_view *v, const char *name,
                             const float **out) {
    size_t n = (size_t)hn_dimension_size(l->shape, rule->n_out);
    float *values = hn_arena_calloc(l->arena, n, sizeof *values);
    if (!values) return hn_fail_memory(l->err, n * sizeof *values);
    *out = values;
    return to_floats(values, v, n, name, l->err);
}

static hn_status load_matrix(loader *l, const hn_tensor_rule *rule, const hn_tensor_view *v, hn_matrix *m) {
    size_t align = v->dtype == HN_DTYPE_F32 ? 4 : 2;
    const void *data = v->data;
    if ((uintptr_t)data % align) {
        void *copy = hn_arena_alloc(l->arena, v->size_bytes);
        if (!copy) return hn_fail_memory(l->err, v->size_bytes);
        data = memcpy(copy, v->data, v->size_bytes);
    }
    *m = (hn_matrix){.dtype = v->dtype,
                     .n_out = hn_dimension_size(l->shape, rule->n_out),
                     .n_in = hn_dimension_size(l->shape, rule->n_in),
                     .data = data};
    return HN_OK;
}

static hn_status load_one(loader *l, hn_weights *w, const hn_tensor_rule *rule, int layer_index) {
    hn_tensor_view v;
    bool found;
    char name[HN_TENSOR_NAME_MAX] = "";
    HN_TRY(find(l, rule, layer_index, &v, &found, name));
    if (!found) return HN_OK;
    hn_layer *layer = &w->layers[layer_index];
    switch (rule->role) {
    case HN_TENSOR_EMBEDDING: return load_matrix(l, rule, &v, &w->embedding);
    case HN_TENSOR_OUTPUT: return l->shape->tied ? HN_OK : load_matrix(l, rule, &v, &w->output);
    case HN_TENSOR_OUTPUT_NORM: return load_vector(l, rule, &v, name, &w->output_norm);
    case HN_TENSOR_ATTENTION_NORM: return load_vector(l, rule, &v, name, &layer->attention_norm);
    case HN_TENSOR_FFN_NORM: return load_vector(l, rule, &v, name, &layer->ffn_norm);
    case HN_TENSOR_Q: return load_matrix(l, rule, &v, &layer->q);
    case HN_TENSOR_K: return load_matrix(l, rule, &v, &layer->k);
    case HN_TENSOR_V: return load_matrix(l, rule, &v, &layer->v);
    case HN_TENSOR_O: return load_matrix(l, rule, &v, &layer->o);
    case HN_TENSOR_GATE: return load_matrix(l, rule, &v, &layer->gate);
    case HN_TENSOR_UP: return load_matrix(l, rule, &v, &layer->up);
    case HN_TENSOR_DOWN: return load_matrix(l, rule, &v, &layer->down);
    case HN_TENSOR_ROPE_FACTORS:
    case HN_TENSOR_ROPE_LONG:
    case HN_TENSOR_ROPE_SHORT: break; /* read before: they decide the frequencies */
    }
    return HN_OK;
}

static bool str_is(hn_str s, const char *text) { return hn_str_equal(s, hn_str_of(text)); }

/* The part of a layered tensor's name after its prefix; data NULL where the prefix does not fit. */
static hn_str after_prefix(hn_str name, const char *pattern, int n_layers) {
    const char *number = strstr(pattern, "%d");
    size_t before = (size_t)(number - pattern), at = before, value = 0;
    if (name.len < before || memcmp(name.data, pattern, before) != 0) return (hn_str){0};
    while (at < name.len && at < before + 6 && name.data[at] >= '0' && name.data[at] <= '9')
        value = value * 10 + (size_t)(name.data[at++] - '0');
    size_t rest = strlen(number + 2);
    if (at == before || value >= (size_t)n_layers || name.len - at < rest ||
        memcmp(name.data + at, number + 2, rest) != 0)
        return (hn_str){0};
    return (hn_str){name.data + at + rest, name.len - at - rest};
}

static bool is_known(const loader *l, hn_str name) {
    static const char *const harmless[] = {"attn_rot_embd.weight", "self_attn.rotary_emb.inv_freq"};
    hn_str suffix = after_prefix(name, l->source->gguf ? l->architecture->gguf_layer : l->architecture->hf_layer,
                                 l->shape->n_layers);
    for (int i = 0; i < l->architecture->n_tensors; i++) {
        const hn_tensor_rule *rule = &l->architecture->tensors[i];
        const char *text = l->source->gguf ? rule->gguf : rule->hf;
        bool layered = hn_tensor_is_layered(rule->role);
        if (text && ((layered && suffix.data && str_is(suffix, text)) || (!layered && str_is(name, text)))) return true;
    }
    return suffix.data && (str_is(suffix, harmless[0]) || str_is(suffix, harmless[1]));
}

static hn_status refuse_unknown(loader *l) {
    for (size_t i = 0;; i++) {
        hn_str name = l->source->name_at(l->source->file, i);
        if (!name.data) return HN_OK;
        if (is_known(l, name)) continue;
        char shown[HN_TENSOR_NAME_MAX];
        snprintf(shown, sizeof shown, "%.*s", (int)(name.len < sizeof shown ? name.len : sizeof shown - 1), name.data);
        return hn_fail(l->err, HN_ERR_UNSUPPORTED, shown, "a variant of the family that is not supported",
                       "the model has a tensor that the family %s with %d layers does not have", l->architecture->name,
                       l->shape->n_layers);
    }
}

static hn_status load_all(loader *l, hn_weights *w) {
    w->layers = hn_arena_calloc(l->arena, (size_t)l->shape->n_layers, sizeof *w->layers);
    if (!w->layers) return hn_fail_memory(l->err, (size_t)l->shape->n_layers * sizeof *w->layers);
    for (int i = 0; i < l->architecture->n_tensors; i++) {
        const hn_tensor_rule *rule = &l->architecture->tensors[i];
        int times = hn_tensor_is_layered(rule->role) ? l->shape->n_layers : 1;
        for (int layer = 0; layer < times; layer++) HN_TRY(load_one(l, w, rule, layer));
    }
    if (!l->shape->tied && !w->output.data)
        return hn_fail(l->err, HN_ERR_INPUT, "lm_head.weight", NULL,
                       "the file has no output matrix, and the metadata does not say that it is tied");
    if (l->shape->tied) w->output = w->embedding;
    HN_TRY(refuse_unknown(l));
    int most = HN_DTYPE_F32;
    for (int i = 0; i < 256; i++)
        if (l->bytes_of[i] > l->bytes_of[most]) most = i;
    l->shape->main_dtype = (hn_dtype)most;
    return HN_OK;
}

hn_status hn_weight_store_load(const hn_tensor_source *source, const hn_architecture *a, hn_shape *shape,
                               hn_weight_store *store, hn_error *err) {
    *store = (hn_weight_store){.arena = hn_arena_create(0)};
    if (!store->arena) return hn_fail_memory(err, 64 << 10);
    shape->n_parameters = 0;
    loader l = {.source = source, .architecture = a, .shape = shape, .arena = store->arena, .err = err};
    hn_status st = load_all(&l, &store->weights);
    if (st != HN_OK) hn_weight_store_free(store);
    return st;
}

void hn_weight_store_free(hn_weight_store *store) {
    hn_arena_free(store->arena);
    *store = (hn_weight_store){0};
}

hn_status hn_weights_read_vector(const hn_tensor_source *source, const hn_architecture *a, hn_tensor_role role,
                                 const hn_shape *shape, float **values, hn_error *err) {
    hn_shape counted = *shape;
    loader l = {.source = source, .architecture = a, .shape = &counted, .err = err};
    *values = NULL;
    for (int i = 0; i < a->n_tensors; i++) {
        const hn_tensor_rule *rule = &a->tensors[i];
        hn_tensor_view v;
        bool found = false;
        char name[HN_TENSOR_NAME_MAX] = "";
        if (rule->role != role) continue;
        HN_TRY(find(&l, rule, 0, &v, &found, name));
        if (!found) return HN_OK;
        size_t n = (size_t)hn_dimension_size(shape, rule->n_out);
        *values = hn_calloc(n, sizeof **values);
        if (!*values) return hn_fail_memory(err, n * sizeof **values);
        return to_floats(*values, &v, n, name, err);
    }
    return HN_OK;
}
