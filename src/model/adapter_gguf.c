/* Adapters as GGUF files, in llama.cpp's convention: general.type "adapter", adapter.type "lora", adapter.lora.alpha, and for each matrix NAME two
 * tensors, NAME.lora_a (r,K) and NAME.lora_b (N,r); see adapter_parts.h.
 * What would surprise: rows of query and key matrices are in the order of GGUF models, and alpha 0 means a scaling of 1. */
#include "base/file.h"
#include "model/adapter_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 160 };

static hn_status not_an_adapter(const char *path, const char *key, const char *wanted, hn_str found, hn_error *err) {
    int n = (int)(found.len < 60 ? found.len : 60);
    for (int i = 0; i < n; i++)
        if (found.data[i] < 32 || found.data[i] > 126) n = i; /* what is shown is printable */
    bool model = strcmp(key, "general.type") == 0;
    return hn_fail(err, model ? HN_ERR_INPUT : HN_ERR_UNSUPPORTED, path,
                   model ? "name a GGUF file that holds a LoRA adapter" : "take a LoRA adapter",
                   found.data ? "its %s is \"%.*s\", not \"%s\"" : "it has no %s%.*s (\"%s\" is needed)", key, n,
                   found.data ? found.data : "", wanted);
}

static hn_status check_text(const hn_gguf *g, const char *key, const char *wanted, hn_error *err) {
    hn_str found = hn_gguf_str(g, key);
    if (found.data && hn_str_equal(found, hn_str_of(wanted))) return HN_OK;
    return not_an_adapter(hn_gguf_path(g), key, wanted, found, err);
}

static hn_status read_metadata(hn_adapter_source *s, const hn_shape *shape, hn_arena *arena, hn_error *err) {
    const hn_gguf *g = s->gguf;
    HN_TRY(check_text(g, "general.type", "adapter", err));
    HN_TRY(check_text(g, "adapter.type", "lora", err));
    hn_str family = hn_gguf_str(g, "general.architecture");
    if (!family.data || !hn_str_equal(family, hn_str_of(shape->architecture)))
        return hn_fail(err, HN_ERR_INPUT, s->file, "take the adapter of this very model",
                       "general.architecture: the adapter is for another family than the model, which is %s",
                       shape->architecture);
    for (size_t i = 0; i < hn_gguf_value_count(g); i++) {
        hn_str key = hn_gguf_value_at(g, i)->key;
        if (key.len >= 13 && memcmp(key.data, "adapter.alora", 13) == 0)
            return hn_fail(err, HN_ERR_UNSUPPORTED, s->file, "take a plain LoRA adapter",
                           "the adapter is switched on by tokens (adapter.alora), which is not understood");
    }
    s->alpha = hn_gguf_f64(g, "adapter.lora.alpha", (double)NAN);
    if (!isfinite(s->alpha))
        return hn_fail(err, HN_ERR_INPUT, s->file, "convert the adapter again",
                       "adapter.lora.alpha is missing or no number");
    hn_str base = hn_gguf_str(g, "general.base_model.0.name");
    if (base.data && !(s->base_name = hn_arena_strndup(arena, base.data, base.len)))
        return hn_fail_memory(err, base.len);
    return HN_OK;
}

/* "blk.3.attn_q.weight.lora_a" */
static void read_name(const char *name, const hn_shape *shape, hn_adapter_view *v) {
    const char *rest;
    v->linear = -1;
    int layer = hn_adapter_layer(name, "blk.", shape->n_layers, &rest);
    for (int i = 0; layer >= 0 && i < HN_LINEARS_OF_LAYER; i++) {
        const char *linear = hn_linear_name(i, true);
        size_t n = strlen(linear);
        if (strncmp(rest, linear, n) != 0) continue;
        bool a = strcmp(rest + n, ".weight.lora_a") == 0, b = strcmp(rest + n, ".weight.lora_b") == 0;
        if (a || b) v->linear = layer * HN_LINEARS_OF_LAYER + i;
        v->side = b;
    }
}

static hn_status list_tensors(hn_adapter_source *s, const hn_shape *shape, hn_arena *arena, hn_error *err) {
    s->n = hn_gguf_tensor_count(s->gguf);
    s->views = hn_arena_calloc(arena, s->n + 1, sizeof *s->views);
    if (!s->views) return hn_fail_memory(err, s->n * sizeof *s->views);
    for (size_t i = 0; i < s->n; i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(s->gguf, i);
        const char *type = hn_dtype_of(t->dtype).name;
        char *name = hn_arena_strndup(arena, t->name.data, t->name.len < NAME_MAX_BYTES ? t->name.len : NAME_MAX_BYTES);
        if (!name) return hn_fail_memory(err, NAME_MAX_BYTES);
        for (char *c = name; *c; c++)
            if (*c < 32 || *c > 126) *c = '?';
        s->views[i] = (hn_adapter_view){.name = name,
                                        .dtype = t->dtype,
                                        .dtype_name = type ? type : "of another type",
                                        .n_dims = t->dims[2] * t->dims[3] == 1 ? 2 : t->n_dims,
                                        .rows = t->dims[1],
                                        .columns = t->dims[0],
                                        .data = t->data};
        read_name(name, shape, &s->views[i]);
    }
    return HN_OK;
}

hn_status hn_adapter_open_gguf(const char *path, const hn_shape *shape, hn_arena *arena, hn_adapter_source *s,
                               hn_error *err) {
    if (snprintf(s->file, sizeof s->file, "%s", path) >= (int)sizeof s->file)
        return hn_fail(err, HN_ERR_LIMIT, path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    HN_TRY(hn_gguf_open(path, &s->gguf, err));
    s->pairs = true;
    hn_status st = read_metadata(s, shape, arena, err);
    if (st == HN_OK) st = list_tensors(s, shape, arena, err);
    if (st != HN_OK) hn_adapter_source_close(s);
    return st;
}
