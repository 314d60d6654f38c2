/* Adapters in another form; see adapter_export.h. */
#include "model/adapter_export.h"

#include "format/gguf_write.h"
#include "model/adapter_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

/* ---- GGUF ---- */

/* What adapter.lora.alpha must be so that alpha / r is the scaling: with rank-stabilised adapters that is not their own alpha. */
static hn_status gguf_alpha(const hn_adapter *a, const char *path, float *alpha, hn_error *err) {
    if (a->rank_stabilised && a->rank == 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, path, "merge the adapter: --to gguf",
                       "a rank-stabilised adapter whose ranks differ cannot be said in one GGUF adapter");
    *alpha = (float)(a->rank_stabilised ? a->alpha * sqrt((double)a->rank) : a->alpha);
    if (*alpha == 0 || !isfinite(*alpha))
        return hn_fail(err, HN_ERR_UNSUPPORTED, path, NULL, "its alpha is %g, which a GGUF adapter cannot have",
                       a->alpha);
    return HN_OK;
}

static hn_status put_metadata(hn_gguf_writer *w, const hn_adapter *a, const hn_shape *shape, const char *name,
                              const char *path, hn_error *err) {
    float alpha = 0;
    if (a->dora)
        return hn_fail(err, HN_ERR_UNSUPPORTED, path, "merge the adapter: --to gguf",
                       "a DoRA adapter cannot be said as a GGUF adapter");
    HN_TRY(gguf_alpha(a, path, &alpha, err));
    HN_TRY(hn_gguf_writer_set_str(w, "general.architecture", shape->architecture, err));
    HN_TRY(hn_gguf_writer_set_str(w, "general.type", "adapter", err));
    HN_TRY(hn_gguf_writer_set_str(w, "adapter.type", "lora", err));
    HN_TRY(hn_gguf_writer_set_str(w, "general.name", name, err));
    if (a->base_name) {
        HN_TRY(hn_gguf_writer_set_u32(w, "general.base_model.count", 1, err));
        HN_TRY(hn_gguf_writer_set_str(w, "general.base_model.0.name", a->base_name, err));
    }
    HN_TRY(hn_gguf_writer_set_f32(w, "adapter.lora.alpha", alpha, err));
    return hn_gguf_writer_set_u32(w, "general.quantization_version", 2, err);
}

static hn_status declare(hn_gguf_writer *w, const hn_adapter *a, const hn_shape *shape, hn_error *err) {
    char name[NAME_BYTES];
    for (int i = 0; i < shape->n_layers * HN_LINEARS_OF_LAYER; i++) {
        int64_t N, K, r = a->parts[i].rank;
        hn_linear_size(shape, i % HN_LINEARS_OF_LAYER, &N, &K);
        for (int side = 0; side < 2 && r > 0; side++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight.lora_%c", i / HN_LINEARS_OF_LAYER,
                     hn_linear_name(i % HN_LINEARS_OF_LAYER, true), "ab"[side]);
            int64_t dims[2] = {side ? r : K, side ? N : r};
            HN_TRY(hn_gguf_writer_declare(w, hn_str_of(name), HN_DTYPE_F32, 2, dims, err));
        }
    }
    return HN_OK;
}

static hn_status put_pair(hn_gguf_writer *w, const hn_adapter_part *p, const hn_shape *shape, int which,
                          hn_error *err) {
    int64_t N, K, r = p->rank;
    hn_linear_size(shape, which, &N, &K);
    HN_TRY(hn_gguf_writer_data(w, p->a, (size_t)(r * K) * sizeof *p->a, err));
    float *turned = hn_alloc((size_t)(r * N) * sizeof *turned);
    if (!turned) return hn_fail_memory(err, (size_t)(r * N) * sizeof *turned);
    for (int64_t n = 0; n < N; n++)
        memcpy(turned + hn_linear_pair_row(shape, which, n) * r, p->b + n * r, (size_t)r * sizeof *turned);
    hn_status st = hn_gguf_writer_data(w, turned, (size_t)(r * N) * sizeof *turned, err);
    hn_free(turned);
    return st;
}

hn_status hn_adapter_export_gguf(const hn_adapter *a, const hn_shape *shape, const char *name, const char *path,
                                 hn_error *err) {
    hn_gguf_writer *w;
    HN_TRY(hn_gguf_writer_create(path, &w, err));
    hn_status st = put_metadata(w, a, shape, name, path, err);
    if (st == HN_OK) st = declare(w, a, shape, err);
    if (st == HN_OK) st = hn_gguf_writer_begin(w, err);
    for (int i = 0; i < shape->n_layers * HN_LINEARS_OF_LAYER && st == HN_OK; i++)
        if (a->parts[i].rank > 0) st = put_pair(w, &a->parts[i], shape, i % HN_LINEARS_OF_LAYER, err);
    if (st == HN_OK) st = hn_gguf_writer_finish(w, err);
    hn_gguf_writer_free(w);
    return st;
}

/* ---- PEFT ---- */

static const char *target_of(int which) { return strchr(hn_linear_name(which, false), '.') + 1; }

static hn_status list_peft(const hn_adapter *a, const hn_shape *shape, hn_arena *arena, hn_adapter_tensor *tensors,
                           size_t *n, const char *targets[HN_LINEARS_OF_LAYER], size_t *n_targets, hn_error *err) {
    bool used[HN_LINEARS_OF_LAYER] = {false};
    for (int i = 0; i < shape->n_layers * HN_LINEARS_OF_LAYER; i++) {
        const hn_adapter_part *p = &a->parts[i];
        int which = i % HN_LINEARS_OF_LAYER;
        int64_t N, K;
        if (p->rank == 0) continue;
        hn_linear_size(shape, which, &N, &K);
        for (int side = 0; side < (p->magnitude ? 3 : 2); side++) {
            static const char *const ends[] = {"lora_A.weight", "lora_B.weight", "lora_magnitude_vector"};
            char *name = hn_arena_alloc(arena, NAME_BYTES);
            if (!name) return hn_fail_memory(err, NAME_BYTES);
            snprintf(name, NAME_BYTES, "model.layers.%d.%s.%s", i / HN_LINEARS_OF_LAYER, hn_linear_name(which, false),
                     ends[side]);
            tensors[(*n)++] = side == 0   ? (hn_adapter_tensor){name, p->rank, K, p->a}
                              : side == 1 ? (hn_adapter_tensor){name, N, p->rank, p->b}
                                          : (hn_adapter_tensor){name, 1, N, p->magnitude};
        }
        if (!used[which]) targets[(*n_targets)++] = target_of(which);
        used[which] = true;
    }
    return HN_OK;
}

hn_status hn_adapter_export_peft(const hn_adapter *a, const hn_shape *shape, const char *base_name, const char *folder,
                                 hn_error *err) {
    const char *targets[HN_LINEARS_OF_LAYER];
    size_t n = 0, n_targets = 0, most = 3 * (size_t)shape->n_layers * HN_LINEARS_OF_LAYER;
    if (a->rank == 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, folder, "merge the adapter: --to safetensors",
                       "the adapter's ranks differ between matrices, which is not written for PEFT here");
    hn_arena *arena = hn_arena_create(0);
    hn_adapter_tensor *tensors = arena ? hn_arena_calloc(arena, most, sizeof *tensors) : NULL;
    hn_status st = tensors ? list_peft(a, shape, arena, tensors, &n, targets, &n_targets, err)
                           : hn_fail_memory(err, most * sizeof *tensors);
    hn_adapter_description what = {.rank = a->rank,
                                   .alpha = (float)a->alpha,
                                   .rank_stabilised = a->rank_stabilised,
                                   .dora = a->dora,
                                   .base_name = base_name,
                                   .targets = targets,
                                   .n_targets = n_targets};
    if (st == HN_OK) st = hn_adapter_write(folder, &what, tensors, n, err);
    hn_arena_free(arena);
    return st;
}
