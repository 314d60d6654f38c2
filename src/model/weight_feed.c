/* Weights on their way into a GGUF file; see weight_feed.h. */
#include "model/weight_feed.h"

#include "base/file.h"
#include "kernel/kernel.h"
#include "model/adapter.h"
#include "model/architecture.h"
#include "model/gguf_metadata.h"

#include <string.h>

/* ---- rows ---- */

void hn_low_rank_add_row(const hn_low_rank *low, int64_t n_out, int64_t n_in, int64_t row, float *values,
                         float *scratch) {
    memset(scratch, 0, (size_t)n_in * sizeof *scratch);
    for (int k = 0; k < low->rank; k++) {
        float b = low->b[k * n_out + row];
        const float *a = low->a + k * n_in;
        for (int64_t c = 0; c < n_in; c++) scratch[c] += b * a[c];
    }
    for (int64_t c = 0; c < n_in; c++) values[c] += scratch[c];
    for (int64_t c = 0; low->gain && c < n_in; c++) values[c] *= low->gain[row];
}

bool hn_weight_feed_is_plain(const hn_weight_feed_tensor *t) { return !t->added && t->head_size == 0; }

/* The source's row that GGUF has at `row`: its pairs are (i, i + half) there. */
static size_t source_row(const hn_weight_feed_tensor *t, size_t row) {
    size_t HS = (size_t)t->head_size;
    if (HS == 0) return row;
    size_t inside = row % HS;
    return row - inside + inside / 2 + (inside % 2) * (HS / 2);
}

void hn_weight_feed_row(const hn_kernels *kernels, const hn_weight_feed_tensor *t, size_t row, float *values,
                        float *scratch) {
    size_t row_bytes = 0, from = source_row(t, row);
    (void)hn_dtype_bytes(t->dtype, (uint64_t)t->dims[0], &row_bytes); /* checked when the source was read */
    kernels->dequantize(values, (const unsigned char *)t->data + from * row_bytes, t->dtype, (size_t)t->dims[0]);
    if (t->added) hn_low_rank_add_row(t->added, t->dims[1], t->dims[0], (int64_t)from, values, scratch);
}

/* ---- of a GGUF file ---- */

static hn_status list_gguf(hn_weight_feed *feed, hn_error *err) {
    feed->n = hn_gguf_tensor_count(feed->gguf);
    feed->path = hn_gguf_path(feed->gguf);
    feed->size_bytes = hn_gguf_file_bytes(feed->gguf);
    feed->tensors = hn_arena_calloc(feed->arena, feed->n + 1, sizeof *feed->tensors);
    if (!feed->tensors) return hn_fail_memory(err, feed->n * sizeof *feed->tensors);
    for (size_t i = 0; i < feed->n; i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(feed->gguf, i);
        feed->tensors[i] = (hn_weight_feed_tensor){
            .name = t->name, .dtype = t->dtype, .n_dims = t->n_dims, .data = t->data, .size_bytes = t->size_bytes};
        memcpy(feed->tensors[i].dims, t->dims, sizeof t->dims);
    }
    return HN_OK;
}

static hn_status open_feed(hn_weight_feed *feed, hn_error *err) {
    *feed = (hn_weight_feed){.arena = hn_arena_create(0)};
    return feed->arena ? HN_OK : hn_fail_memory(err, 0);
}

hn_status hn_weight_feed_gguf(const hn_gguf *gguf, hn_weight_feed *feed, hn_error *err) {
    HN_TRY(open_feed(feed, err));
    feed->gguf = gguf;
    hn_status st = list_gguf(feed, err);
    if (st != HN_OK) hn_weight_feed_free(feed);
    return st;
}

/* ---- of a model ---- */

static const hn_matrix *linear_of(const hn_layer *l, int which) {
    const hn_matrix *const all[HN_LINEARS_OF_LAYER] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
    return all[which];
}

/* Which linear part of its layer a role is; -1: none. */
static int which_linear(hn_tensor_role role) {
    static const hn_tensor_role roles[HN_LINEARS_OF_LAYER] = {HN_TENSOR_Q,    HN_TENSOR_K,  HN_TENSOR_V,   HN_TENSOR_O,
                                                              HN_TENSOR_GATE, HN_TENSOR_UP, HN_TENSOR_DOWN};
    for (int i = 0; i < HN_LINEARS_OF_LAYER; i++)
        if (roles[i] == role) return i;
    return -1;
}

static hn_status find_added(hn_weight_feed *feed, const hn_model *model, const hn_tensor_rule *rule, int layer,
                            hn_error *err) {
    char name[HN_TENSOR_NAME_MAX];
    const hn_shape *s = hn_model_shape(model);
    const hn_low_rank *low = &hn_model_weights(model)->layers[layer].low_rank[which_linear(rule->role)];
    if (low->rank == 0) return HN_OK;
    hn_tensor_name(hn_architecture_find(s->architecture), rule, true, layer, name);
    for (size_t i = 0; i < feed->n; i++) {
        if (!hn_str_equal(feed->tensors[i].name, hn_str_of(name))) continue;
        feed->tensors[i].added = low;
        feed->n_merged++;
        return HN_OK;
    }
    return hn_fail(err, HN_ERR_INTERNAL, name, NULL, "the model's file has no such tensor");
}

static hn_status add_adapter(hn_weight_feed *feed, const hn_model *model, hn_error *err) {
    const hn_shape *s = hn_model_shape(model);
    const hn_architecture *a = hn_architecture_find(s->architecture);
    if (!hn_model_weights(model)->layers[0].low_rank) return HN_OK;
    for (int l = 0; l < s->n_layers; l++)
        for (int i = 0; i < a->n_tensors; i++)
            if (which_linear(a->tensors[i].role) >= 0) HN_TRY(find_added(feed, model, &a->tensors[i], l, err));
    return HN_OK;
}

static const float *vector_of(const hn_weights *w, hn_tensor_role role, int layer) {
    switch (role) {
    case HN_TENSOR_OUTPUT_NORM: return w->output_norm;
    case HN_TENSOR_ATTENTION_NORM: return w->layers[layer].attention_norm;
    case HN_TENSOR_FFN_NORM: return w->layers[layer].ffn_norm;
    default: return NULL;
    }
}

static const hn_matrix *matrix_of(const hn_weights *w, const hn_shape *s, hn_tensor_role role, int layer) {
    if (role == HN_TENSOR_EMBEDDING) return &w->embedding;
    if (role == HN_TENSOR_OUTPUT) return s->tied ? NULL : &w->output;
    return which_linear(role) >= 0 ? linear_of(&w->layers[layer], which_linear(role)) : NULL;
}

static hn_status add_tensor(hn_weight_feed *feed, const hn_tensor_rule *rule, int layer, hn_error *err) {
    const hn_weights *w = hn_model_weights(feed->folder);
    const hn_shape *s = hn_model_shape(feed->folder);
    const hn_architecture *a = hn_architecture_find(s->architecture);
    const float *vector = vector_of(w, rule->role, layer);
    const hn_matrix *m = matrix_of(w, s, rule->role, layer);
    int which = which_linear(rule->role);
    if (!vector && !m) return HN_OK;
    char *name = hn_arena_alloc(feed->arena, HN_TENSOR_NAME_MAX);
    if (!name) return hn_fail_memory(err, HN_TENSOR_NAME_MAX);
    hn_tensor_name(a, rule, true, layer, name);
    hn_weight_feed_tensor *t = &feed->tensors[feed->n++];
    *t = (hn_weight_feed_tensor){.name = hn_str_of(name),
                                 .dtype = m ? m->dtype : HN_DTYPE_F32,
                                 .n_dims = m ? 2 : 1,
                                 .dims = {hn_dimension_size(s, m ? rule->n_in : rule->n_out), m ? m->n_out : 1, 1, 1},
                                 .data = m ? m->data : vector};
    if (m && which >= 0 && which < 2 && a->gguf_interleaved) t->head_size = s->head_size;
    if (m && which >= 0 && w->layers[layer].low_rank && w->layers[layer].low_rank[which].rank > 0)
        t->added = &w->layers[layer].low_rank[which], feed->n_merged++;
    uint64_t values = (uint64_t)t->dims[0] * (uint64_t)t->dims[1]; /* the shape's limits keep it small */
    return hn_dtype_bytes(t->dtype, values, &t->size_bytes)
               ? HN_OK
               : hn_fail(err, HN_ERR_INTERNAL, name, NULL, "the tensor has no size");
}

/* llama3's scaling is a tensor of GGUF files. */
static hn_status add_rope_factors(hn_weight_feed *feed, hn_error *err) {
    const hn_shape *s = hn_model_shape(feed->folder);
    float *factors = hn_arena_calloc(feed->arena, (size_t)s->rope_dims / 2 + 1, sizeof *factors);
    bool needed;
    if (!factors) return hn_fail_memory(err, (size_t)s->rope_dims);
    HN_TRY(hn_gguf_metadata_rope_factors(feed->folder, factors, &needed, err));
    if (!needed) return HN_OK;
    feed->tensors[feed->n++] = (hn_weight_feed_tensor){.name = hn_str_of("rope_freqs.weight"),
                                                       .dtype = HN_DTYPE_F32,
                                                       .n_dims = 1,
                                                       .dims = {s->rope_dims / 2, 1, 1, 1},
                                                       .data = factors,
                                                       .size_bytes = (size_t)s->rope_dims / 2 * sizeof *factors};
    return HN_OK;
}

static hn_status list_folder(hn_weight_feed *feed, hn_error *err) {
    const hn_shape *s = hn_model_shape(feed->folder);
    const hn_architecture *a = hn_architecture_find(s->architecture);
    size_t most = (size_t)a->n_tensors * (size_t)(s->n_layers + 1) + 1;
    feed->path = hn_model_path(feed->folder);
    feed->size_bytes = hn_model_file_bytes(feed->folder);
    feed->tensors = hn_arena_calloc(feed->arena, most, sizeof *feed->tensors);
    if (!feed->tensors) return hn_fail_memory(err, most * sizeof *feed->tensors);
    for (int l = -1; l < s->n_layers; l++) /* -1: those outside of layers */
        for (int i = 0; i < a->n_tensors; i++)
            if (hn_tensor_is_layered(a->tensors[i].role) == (l >= 0))
                HN_TRY(add_tensor(feed, &a->tensors[i], l < 0 ? 0 : l, err));
    HN_TRY(add_rope_factors(feed, err));
    return hn_gguf_metadata_check(feed->folder, err);
}

static bool is_folder(const char *path) {
    return hn_file_is_dir(path) || hn_ends_with(path, ".safetensors") || hn_ends_with(path, ".json");
}

hn_status hn_weight_feed_model(const hn_model *model, hn_weight_feed *feed, hn_error *err) {
    const char *path = hn_model_path(model);
    if (!hn_model_weights(model)) return hn_fail(err, HN_ERR_INPUT, path, NULL, "the file holds a vocabulary only");
    HN_TRY(open_feed(feed, err));
    hn_status st = HN_OK;
    if (is_folder(path)) {
        feed->folder = model;
        st = list_folder(feed, err);
    } else {
        st = hn_gguf_open(path, &feed->own, err);
        feed->gguf = feed->own;
        if (st == HN_OK) st = list_gguf(feed, err);
        if (st == HN_OK) st = add_adapter(feed, model, err);
    }
    if (st != HN_OK) hn_weight_feed_free(feed);
    return st;
}

void hn_weight_feed_free(hn_weight_feed *feed) {
    hn_gguf_close(feed->own);
    hn_arena_free(feed->arena);
    *feed = (hn_weight_feed){0};
}

/* ---- metadata ---- */

enum { EXCEPT_MAX = 32 };

hn_status hn_weight_feed_metadata(const hn_weight_feed *feed, const char *const *except, hn_gguf_writer *writer,
                                  hn_error *err) {
    static const char *const split[] = {"split.no", "split.count", "split.tensors.count"};
    const char *all[EXCEPT_MAX + 4] = {split[0], split[1], split[2]};
    if (!feed->gguf) return hn_gguf_metadata_write(feed->folder, writer, err);
    for (size_t i = 0; except[i] && i < EXCEPT_MAX; i++) all[3 + i] = except[i];
    return hn_gguf_writer_copy(writer, feed->gguf, all, err);
}
