/* LoRA adapters in PEFT's form (adapter_config.json and adapter_model.safetensors in a folder), laid beside a model's matrices; see model.h.
 * The adapter stays apart from the weights: y = W x + scaling B (A x), so quantised weights remain as they are. A DoRA adapter also has a magnitude for
 * each output (Liu et al. 2024), which becomes a factor when it is loaded: magnitude / |row of W + scaling B A|. What would change the result and is
 * not understood here is refused by name. */
#include "base/alloc.h"
#include "base/file.h"
#include "format/json.h"
#include "format/safetensors.h"
#include "model/model_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 1 << 20, RANK_MAX = 4096 };

static const char *const names[HN_LINEARS_OF_LAYER] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                       "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                       "mlp.down_proj"};

typedef struct loader {
    const char *folder;
    char file[HN_PATH_MAX];
    const hn_safetensors *tensors;
    const hn_shape *shape;
    hn_arena *arena;
    double alpha;
    bool rank_stabilised, dora;
    size_t n_used;
    hn_error *err;
} loader;

/* ---- the configuration ---- */

static bool is_set(const json_t *config, const char *key) {
    const json_t *v = json_object_get(config, key);
    return json_is_true(v) || (json_is_object(v) && json_object_size(v) > 0) ||
           (json_is_array(v) && json_array_size(v) > 0);
}

static hn_status check_config(loader *l, const json_t *config, const char *path) {
    static const char *const foreign[] = {"fan_in_fan_out",    "rank_pattern",    "alpha_pattern",
                                          "lora_bias",         "modules_to_save", "layer_replication",
                                          "target_parameters", "megatron_config"};
    const char *type, *bias = json_string_value(json_object_get(config, "bias"));
    HN_TRY(hn_json_get_string(config, path, "peft_type", &type, l->err));
    if (strcmp(type, "LORA") != 0)
        return hn_fail(l->err, HN_ERR_UNSUPPORTED, path, "take a LoRA adapter", "`%.40s` adapters are not understood",
                       type);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (is_set(config, foreign[i]))
            return hn_fail(l->err, HN_ERR_UNSUPPORTED, path, "merge the adapter into its model with PEFT",
                           "the adapter uses `%s`, which is not understood", foreign[i]);
    if (bias && strcmp(bias, "none") != 0)
        return hn_fail(l->err, HN_ERR_UNSUPPORTED, path, "train with bias \"none\"", "the adapter changes biases");
    l->dora = is_set(config, "use_dora");
    l->rank_stabilised = is_set(config, "use_rslora");
    return hn_json_get_number(config, path, "lora_alpha", &l->alpha, l->err);
}

static hn_status read_config(loader *l) {
    char path[HN_PATH_MAX];
    json_t *config;
    HN_TRY(hn_path_join(path, l->folder, "adapter_config.json", l->err));
    if (!hn_file_exists(path))
        return hn_fail(l->err, HN_ERR_NOT_FOUND, path,
                       "name a folder with adapter_config.json and adapter_model.safetensors",
                       "the folder holds no adapter");
    HN_TRY(hn_json_read(path, CONFIG_MAX_BYTES, 0, &config, l->err));
    hn_status st = check_config(l, config, path);
    json_decref(config);
    return st;
}

/* ---- the tensors ---- */

static hn_status find_pair(loader *l, int layer, int which, const hn_safetensor **a, const hn_safetensor **b) {
    char name[160];
    for (int side = 0; side < 2; side++) {
        snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_%c.weight", layer, names[which],
                 "AB"[side]);
        *(side ? b : a) = hn_safetensors_find(l->tensors, name);
    }
    if (!*a != !*b)
        return hn_fail(l->err, HN_ERR_INPUT, l->file, "save the adapter again", "%s is not whole: A or B is missing",
                       name);
    return HN_OK;
}

static hn_status check_shapes(const loader *l, const hn_safetensor *a, const hn_safetensor *b, const hn_matrix *w) {
    bool fine = a->n_dims == 2 && b->n_dims == 2 && a->dims[0] == b->dims[1] && a->dims[0] > 0 &&
                a->dims[0] <= RANK_MAX && a->dims[1] == w->n_in && b->dims[0] == w->n_out;
    if (!fine)
        return hn_fail(l->err, HN_ERR_INPUT, l->file, "take the adapter of this very model",
                       "%s does not fit: the model's matrix is %lld by %lld", a->name, (long long)w->n_out,
                       (long long)w->n_in);
    bool known =
        a->dtype == b->dtype && (a->dtype == HN_DTYPE_F32 || a->dtype == HN_DTYPE_F16 || a->dtype == HN_DTYPE_BF16);
    return known ? HN_OK
                 : hn_fail(l->err, HN_ERR_UNSUPPORTED, l->file, "save it as float32, float16 or bfloat16", "%s is %s",
                           a->name, a->dtype_name);
}

/* Where GGUF llama files keep a head's row i, which Hugging Face's order (halves) has as pairs. */
static int64_t place_of(const loader *l, int which, int64_t row) {
    int64_t HS = l->shape->head_size, half = HS / 2, inside = row % HS;
    if (which > 1 || !l->shape->rope_interleaved) return row;
    return row - inside + (inside < half ? 2 * inside : 2 * (inside - half) + 1);
}

/* Adds up in doubles; a row of zeros stays one. */
static double gain_of(const hn_low_rank *low, float *row, const hn_matrix *w, int64_t n, double magnitude) {
    double sum = 0;
    hn_matrix_row(hn_kernels_available(0), row, w, n);
    for (int k = 0; k < low->rank; k++) {
        float b = low->b[k * w->n_out + n];
        const float *a = low->a + k * w->n_in;
        for (int64_t c = 0; c < w->n_in; c++) row[c] += b * a[c];
    }
    for (int64_t c = 0; c < w->n_in; c++) sum += (double)row[c] * (double)row[c];
    return sum > 0 ? magnitude / sqrt(sum) : 0;
}

/* PEFT has had the magnitudes under this name since its first DoRA, as (N) and, before 0.11, as (1,N). */
static hn_status load_magnitudes(loader *l, int layer, int which, const hn_matrix *w, hn_low_rank *low) {
    char name[160];
    snprintf(name, sizeof name, "base_model.model.model.layers.%d.%s.lora_magnitude_vector", layer, names[which]);
    const hn_safetensor *m = hn_safetensors_find(l->tensors, name);
    bool known = m && (m->dtype == HN_DTYPE_F32 || m->dtype == HN_DTYPE_F16 || m->dtype == HN_DTYPE_BF16),
         fits = known && ((m->n_dims == 1 && m->dims[0] == w->n_out) ||
                          (m->n_dims == 2 && m->dims[0] == 1 && m->dims[1] == w->n_out));
    if (!fits)
        return hn_fail(l->err, HN_ERR_INPUT, l->file, "save the adapter again",
                       "%s is not there, or not %lld numbers, though the adapter uses DoRA", name, (long long)w->n_out);
    size_t N = (size_t)w->n_out, K = (size_t)w->n_in;
    float *gain = hn_arena_alloc(l->arena, N * sizeof *gain), *scratch = hn_alloc((N + K) * sizeof *scratch);
    if (!gain || !scratch) {
        hn_free(scratch);
        return hn_fail_memory(l->err, (N + K) * sizeof *scratch);
    }
    hn_kernels_available(0)->dequantize(scratch + K, m->data, m->dtype, N);
    for (int64_t n = 0; n < w->n_out; n++) {
        int64_t at = place_of(l, which, n);
        gain[at] = (float)gain_of(low, scratch, w, at, (double)scratch[K + (size_t)n]);
    }
    hn_free(scratch);
    low->gain = gain;
    l->n_used++;
    return HN_OK;
}

static hn_status load_pair(loader *l, int layer, int which, const hn_matrix *w, hn_low_rank *out) {
    const hn_safetensor *a, *b;
    HN_TRY(find_pair(l, layer, which, &a, &b));
    if (!a) return HN_OK;
    HN_TRY(check_shapes(l, a, b, w));
    int64_t r = a->dims[0], N = w->n_out, K = w->n_in;
    float *plain = hn_arena_alloc(l->arena, (size_t)(r * K) * sizeof(float)),
          *turned = hn_arena_alloc(l->arena, (size_t)(r * N) * sizeof(float)),
          *rows = hn_alloc((size_t)(N * r) * sizeof(float));
    if (!plain || !turned || !rows) {
        hn_free(rows);
        return hn_fail_memory(l->err, (size_t)(r * (N + K)) * sizeof(float));
    }
    hn_kernels_available(0)->dequantize(plain, a->data, a->dtype, (size_t)(r * K)); /* exact in every table */
    hn_kernels_available(0)->dequantize(rows, b->data, b->dtype, (size_t)(N * r));
    double scaling = l->alpha / (l->rank_stabilised ? sqrt((double)r) : (double)r);
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < r; k++)
            turned[k * N + place_of(l, which, n)] = (float)(scaling * (double)rows[n * r + k]);
    hn_free(rows);
    *out = (hn_low_rank){.rank = (int)r, .a = plain, .b = turned};
    l->n_used += 2;
    return l->dora ? load_magnitudes(l, layer, which, w, out) : HN_OK;
}

static hn_status load_layers(loader *l, const hn_weights *w, hn_low_rank *low) {
    for (int i = 0; i < l->shape->n_layers; i++) {
        const hn_layer *layer = &w->layers[i];
        const hn_matrix *const m[] = {&layer->q,    &layer->k,  &layer->v,   &layer->o,
                                      &layer->gate, &layer->up, &layer->down};
        for (int k = 0; k < HN_LINEARS_OF_LAYER; k++)
            HN_TRY(load_pair(l, i, k, m[k], &low[i * HN_LINEARS_OF_LAYER + k]));
    }
    if (l->n_used == hn_safetensors_count(l->tensors)) return HN_OK;
    return hn_fail(l->err, HN_ERR_UNSUPPORTED, l->file, "take an adapter of the layers' linear parts alone",
                   "%zu of its %zu tensors belong to no matrix of this model",
                   hn_safetensors_count(l->tensors) - l->n_used, hn_safetensors_count(l->tensors));
}

hn_status hn_adapter_load(const char *folder, const hn_shape *shape, const hn_weights *weights, hn_arena *arena,
                          hn_low_rank **out, hn_error *err) {
    loader l = {.folder = folder, .shape = shape, .arena = arena, .err = err};
    hn_safetensors *tensors;
    *out = hn_arena_calloc(arena, (size_t)shape->n_layers * HN_LINEARS_OF_LAYER, sizeof **out);
    if (!*out) return hn_fail_memory(err, 0);
    HN_TRY(read_config(&l));
    HN_TRY(hn_path_join(l.file, folder, "adapter_model.safetensors", err));
    HN_TRY(hn_safetensors_open(l.file, &tensors, err));
    l.tensors = tensors;
    hn_status st = load_layers(&l, weights, *out);
    hn_safetensors_close(tensors);
    return st;
}
