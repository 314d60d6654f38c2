/* Saving a LoRA adapter in PEFT's form; see adapter_write.h. The configuration has every key that PEFT 0.21 writes, each at its default but for
 * those that say what this adapter is: a reader that knows more keys fills in its own defaults. */
#include "model/adapter_write.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "format/json.h"
#include "format/safetensors_write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEFT_VERSION "0.21.0" /* whose keys these are */

/* ---- the configuration ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* PEFT keeps a set; sorted, so that the same adapter gives the same file. */
static json_t *target_list(const hn_adapter_description *what) {
    const char **sorted = hn_calloc(what->n_targets, sizeof *sorted);
    json_t *list = sorted ? json_array() : NULL;
    for (size_t i = 0; list && i < what->n_targets; i++) sorted[i] = what->targets[i];
    if (list) qsort(sorted, what->n_targets, sizeof *sorted, by_text);
    for (size_t i = 0; list && i < what->n_targets; i++) {
        if (i && strcmp(sorted[i], sorted[i - 1]) == 0) continue;
        if (json_array_append_new(list, json_string(sorted[i])) == 0) continue;
        json_decref(list);
        list = NULL;
    }
    hn_free(sorted);
    return list;
}

static json_t *number(double value) {
    return value == floor(value) && fabs(value) < 1e9 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *make_config(const hn_adapter_description *what) {
    json_t *targets = target_list(what);
    if (!targets) return NULL;
    return json_pack(
        "{s:n,s:{},s:n,s:n,s:s?,s:s,s:n,s:b,s:n,s:n,s:b,s:b,s:b,s:n,s:n,s:n,s:n,s:{},s:o,s:b,s:f,s:n,s:n,s:s,s:n,"
        "s:n,s:s,s:s,s:i,s:i,s:{},s:n,s:o,s:n,s:s,s:n,s:n,s:b,s:b,s:b,s:n}",
        "alora_invocation_tokens", "alpha_pattern", "arrow_config", "auto_mapping", "base_model_name_or_path",
        what->base_name, "bias", "none", "corda_config", "ensure_weight_tying", 0, "eva_config", "exclude_modules",
        "fan_in_fan_out", 0, "inference_mode", 1, "init_lora_weights", 1, "kasa_config", "layer_replication",
        "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha", number((double)what->alpha), "lora_bias",
        0, "lora_dropout", what->dropout, "lora_ga_config", "megatron_config", "megatron_core", "megatron.core",
        "modules_to_save", "monteclora_config", "peft_type", "LORA", "peft_version", PEFT_VERSION, "qalora_group_size",
        16, "r", what->rank, "rank_pattern", "revision", "target_modules", targets, "target_parameters", "task_type",
        "CAUSAL_LM", "trainable_token_indices", "use_bdlora", "use_dora", (int)what->dora, "use_qalora", 0,
        "use_rslora", (int)what->rank_stabilised, "velora_config");
}

static hn_status write_config(const char *folder, const hn_adapter_description *what, hn_error *err) {
    static const hn_json_style style = {.indent = 2, .sort_keys = true};
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, folder, "adapter_config.json", err));
    json_t *config = make_config(what);
    if (!config) return hn_fail(err, HN_ERR_MEMORY, path, NULL, "a name is not UTF-8, or memory is used up");
    hn_status st = hn_json_save(path, config, &style, err);
    json_decref(config);
    return st;
}

/* ---- the tensors ---- */

static bool is_magnitude(const hn_adapter_tensor *t) {
    return t->name && hn_ends_with(t->name, ".lora_magnitude_vector");
}

static hn_status check_tensor(const hn_adapter_description *what, const hn_adapter_tensor *t, hn_error *err) {
    bool a = t->name && hn_ends_with(t->name, ".lora_A.weight"), b = t->name && hn_ends_with(t->name, ".lora_B.weight");
    bool m = is_magnitude(t) && what->dora && t->rows == 1, fits = t->w && t->rows > 0 && t->columns > 0;
    fits = fits && ((a && t->rows == what->rank) || (b && t->columns == what->rank) || m);
    if (fits) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, t->name, NULL,
                   "%lld by %lld is neither A (%d by K) nor B (N by %d) of an adapter of rank %d", (long long)t->rows,
                   (long long)t->columns, what->rank, what->rank, what->rank);
}

static hn_status write_tensors(const char *folder, const hn_adapter_description *what, const hn_adapter_tensor *tensors,
                               size_t n, hn_arena *arena, hn_error *err) {
    static const char *const metadata[] = {"format", "pt", NULL};
    static const char prefix[] = "base_model.model.";
    char path[HN_PATH_MAX];
    hn_safetensors_out *out = hn_arena_calloc(arena, n, sizeof *out);
    if (!out) return hn_fail_memory(err, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const hn_adapter_tensor *t = &tensors[i];
        HN_TRY(check_tensor(what, t, err));
        size_t length = sizeof prefix + strlen(t->name);
        char *name = hn_arena_alloc(arena, length);
        if (!name) return hn_fail_memory(err, length);
        snprintf(name, length, "%s%s", prefix, t->name);
        out[i] = (hn_safetensors_out){name, HN_DTYPE_F32, 2, {t->rows, t->columns}, t->w};
        if (is_magnitude(t)) out[i].n_dims = 1, out[i].dims[0] = t->columns;
    }
    HN_TRY(hn_path_join(path, folder, "adapter_model.safetensors", err));
    return hn_safetensors_write(path, out, n, metadata, NULL, NULL, err);
}

hn_status hn_adapter_write(const char *folder, const hn_adapter_description *what, const hn_adapter_tensor *tensors,
                           size_t n, hn_error *err) {
    if (what->rank < 1 || !isfinite(what->alpha) || what->n_targets == 0 || n == 0)
        return hn_fail(err, HN_ERR_USAGE, folder, NULL,
                       "an adapter needs a rank, an alpha, targets and tensors: it has %d, %g, %zu and %zu", what->rank,
                       (double)what->alpha, what->n_targets, n);
    HN_TRY(hn_dir_create(folder, err));
    hn_arena *arena = hn_arena_create(0);
    if (!arena) return hn_fail_memory(err, 0);
    hn_status st = write_tensors(folder, what, tensors, n, arena, err);
    hn_arena_free(arena);
    if (st == HN_OK) st = write_config(folder, what, err);
    return st;
}
