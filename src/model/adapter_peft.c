/* Adapters as PEFT saves them: adapter_config.json and adapter_model.safetensors in a folder; see adapter_parts.h. */
#include "base/file.h"
#include "format/json.h"
#include "model/adapter_parts.h"

#include <stdio.h>
#include <string.h>

enum { CONFIG_MAX_BYTES = 1 << 20 };

/* ---- the configuration ---- */

static bool is_set(const json_t *config, const char *key) {
    const json_t *v = json_object_get(config, key);
    return json_is_true(v) || (json_is_object(v) && json_object_size(v) > 0) ||
           (json_is_array(v) && json_array_size(v) > 0);
}

static hn_status check_config(hn_adapter_source *s, const json_t *config, const char *path, hn_arena *arena,
                              hn_error *err) {
    static const char *const foreign[] = {"fan_in_fan_out",    "rank_pattern",    "alpha_pattern",
                                          "lora_bias",         "modules_to_save", "layer_replication",
                                          "target_parameters", "megatron_config"};
    const char *type, *bias = json_string_value(json_object_get(config, "bias")),
                      *base = json_string_value(json_object_get(config, "base_model_name_or_path"));
    HN_TRY(hn_json_get_string(config, path, "peft_type", &type, err));
    if (strcmp(type, "LORA") != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, path, "take a LoRA adapter", "`%.40s` adapters are not understood",
                       type);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (is_set(config, foreign[i]))
            return hn_fail(err, HN_ERR_UNSUPPORTED, path, "merge the adapter into its model with PEFT",
                           "the adapter uses `%s`, which is not understood", foreign[i]);
    if (bias && strcmp(bias, "none") != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, path, "train with bias \"none\"", "the adapter changes biases");
    s->dora = is_set(config, "use_dora");
    s->rank_stabilised = is_set(config, "use_rslora");
    if (base && !(s->base_name = hn_arena_strdup(arena, base))) return hn_fail_memory(err, strlen(base));
    return hn_json_get_number(config, path, "lora_alpha", &s->alpha, err);
}

static hn_status read_config(hn_adapter_source *s, const char *folder, hn_arena *arena, hn_error *err) {
    char path[HN_PATH_MAX];
    json_t *config;
    HN_TRY(hn_path_join(path, folder, "adapter_config.json", err));
    if (!hn_file_exists(path))
        return hn_fail(err, HN_ERR_NOT_FOUND, path,
                       "name a folder with adapter_config.json and adapter_model.safetensors, or a GGUF adapter",
                       "there is no adapter");
    HN_TRY(hn_json_read(path, CONFIG_MAX_BYTES, 0, &config, err));
    hn_status st = check_config(s, config, path, arena, err);
    json_decref(config);
    return st;
}

/* ---- the tensors ---- */

/* "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight" */
static void read_name(const char *name, const hn_shape *shape, hn_adapter_view *v) {
    const char *rest;
    v->linear = -1;
    int layer = hn_adapter_layer(name, "base_model.model.model.layers.", shape->n_layers, &rest);
    for (int i = 0; layer >= 0 && i < HN_LINEARS_OF_LAYER; i++) {
        const char *linear = hn_linear_name(i, false);
        size_t n = strlen(linear);
        if (strncmp(rest, linear, n) != 0) continue;
        static const char *const ends[] = {".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"};
        for (int side = 0; side < 3; side++) {
            if (strcmp(rest + n, ends[side]) != 0) continue;
            v->linear = layer * HN_LINEARS_OF_LAYER + i;
            v->side = side;
        }
    }
}

static hn_status list_tensors(hn_adapter_source *s, const hn_shape *shape, hn_arena *arena, hn_error *err) {
    s->n = hn_safetensors_count(s->safetensors);
    s->views = hn_arena_calloc(arena, s->n + 1, sizeof *s->views);
    if (!s->views) return hn_fail_memory(err, s->n * sizeof *s->views);
    for (size_t i = 0; i < s->n; i++) {
        const hn_safetensor *t = hn_safetensors_at(s->safetensors, i);
        s->views[i] = (hn_adapter_view){.name = t->name,
                                        .dtype = t->dtype,
                                        .dtype_name = t->dtype_name,
                                        .n_dims = t->n_dims,
                                        .rows = t->n_dims > 0 ? t->dims[0] : 0,
                                        .columns = t->n_dims > 1 ? t->dims[1] : 0,
                                        .data = t->data};
        read_name(t->name, shape, &s->views[i]);
    }
    return HN_OK;
}

hn_status hn_adapter_open_peft(const char *folder, const hn_shape *shape, hn_arena *arena, hn_adapter_source *s,
                               hn_error *err) {
    HN_TRY(read_config(s, folder, arena, err));
    HN_TRY(hn_path_join(s->file, folder, "adapter_model.safetensors", err));
    HN_TRY(hn_safetensors_open(s->file, &s->safetensors, err));
    hn_status st = list_tensors(s, shape, arena, err);
    if (st != HN_OK) hn_adapter_source_close(s);
    return st;
}
