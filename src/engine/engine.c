/* Creating an engine: kernels, prepared weights, limits, and the scratch memory of its steps; see engine.h and
 * engine_parts.h. */
#include "base/alloc.h"
#include "base/str.h"
#include "engine/engine_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64, KV_MIN_BLOCKS = 1 };

/* The matrices of one layer in the order of their use. */
enum { LAYER_MATRICES = 7 };
static void layer_matrices(hn_layer *layer, hn_matrix *out[LAYER_MATRICES]) {
    hn_matrix *all[LAYER_MATRICES] = {&layer->q,    &layer->k,  &layer->v,   &layer->o,
                                      &layer->gate, &layer->up, &layer->down};
    memcpy(out, all, sizeof all);
}

/* Copies of the model's matrices, and a list of them in the order of their use: (LAYER_MATRICES * n_layers + 1). */
static hn_status copy_matrices(hn_engine *e, hn_matrix **list, hn_error *err) {
    const hn_weights *from = hn_model_weights(e->model);
    size_t n_layers = (size_t)e->shape->n_layers;
    e->weights = (hn_weights){.embedding = from->embedding, .output_norm = from->output_norm, .output = from->output};
    e->weights.layers = hn_calloc(n_layers, sizeof *e->weights.layers);
    if (!e->weights.layers) return hn_fail_memory(err, n_layers * sizeof *e->weights.layers);
    for (size_t i = 0; i < n_layers; i++) {
        e->weights.layers[i] = from->layers[i];
        layer_matrices(&e->weights.layers[i], list + i * LAYER_MATRICES);
    }
    list[n_layers * LAYER_MATRICES] = &e->weights.output; /* of the embedding only rows are read: it has no pack */
    return HN_OK;
}

static hn_status prepare_weights(hn_engine *e, hn_pack mode, hn_error *err) {
    size_t n = (size_t)e->shape->n_layers * LAYER_MATRICES + 1;
    hn_matrix **list = hn_calloc(n, sizeof *list);
    if (!list) return hn_fail_memory(err, n * sizeof *list);
    hn_status st = copy_matrices(e, list, err);
    if (st == HN_OK) st = hn_matrices_prepare(list, n, e->kernels, mode, e->pool, &e->packs, err);
    for (size_t i = 0; i < n && st == HN_OK; i++) e->pack_bytes += list[i]->pack_bytes;
    hn_free(list);
    return st == HN_OK ? hn_engine_prepare_low_rank(e, err) : st;
}

static void release_weights(hn_engine *e) {
    hn_engine_release_low_rank(e);
    hn_pack_room_free(&e->packs);
    hn_free(e->weights.layers);
}

static size_t quarter_of_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    size_t total;
    if (pages < 1 || page_bytes < 1 || !hn_mul_size((size_t)pages, (size_t)page_bytes, &total)) return (size_t)1 << 30;
    return total / 4;
}

/* A context that was asked for must fit the cache's memory: found out here, not after an hour's work. */
static hn_status check_cache(const hn_engine *e, int context, size_t block_bytes, hn_error *err) {
    size_t n_blocks = ((size_t)context + HN_KV_BLOCK - 1) / HN_KV_BLOCK, fit = e->kv_max_bytes / block_bytes, wanted;
    char hint[160];
    if (fit < KV_MIN_BLOCKS)
        return hn_fail(err, HN_ERR_MEMORY, "KV cache limit", "raise the limit",
                       "%zu bytes do not hold one block of %d tokens (%zu bytes)", e->kv_max_bytes, HN_KV_BLOCK,
                       block_bytes);
    if (n_blocks <= fit || !hn_mul_size(n_blocks, block_bytes, &wanted)) return HN_OK;
    size_t smaller = 2 * HN_KV_BLOCK * hn_kv_row_bytes(HN_KV_Q8_0, e->shape->n_kv_heads, e->shape->head_size) *
                     (size_t)e->shape->n_layers;
    if (e->attention.kv_type == HN_KV_Q8_0)
        snprintf(hint, sizeof hint, "ask for at most %zu tokens, or give the cache more memory", fit * HN_KV_BLOCK);
    else
        snprintf(
            hint, sizeof hint,
            "ask for at most %zu tokens, give the cache more memory, or store it as q8_0 (--kv q8_0): %zu fit then",
            fit * HN_KV_BLOCK, e->kv_max_bytes / smaller * HN_KV_BLOCK);
    return hn_fail(err, HN_ERR_MEMORY, "context", hint,
                   "a context of %d tokens takes %.1f MB of cache (%s), there are %.1f MB: %zu tokens fit", context,
                   (double)wanted / 1e6, hn_kv_type_name(e->attention.kv_type), (double)e->kv_max_bytes / 1e6,
                   fit * HN_KV_BLOCK);
}

static hn_status set_limits(hn_engine *e, const hn_engine_options *o, hn_error *err) {
    const hn_shape *s = e->shape;
    bool is_ref = strcmp(e->kernels->name, "ref") == 0;
    hn_kv_type type = is_ref && o->kv_type == HN_KV_F16 ? HN_KV_F32 : o->kv_type;
    e->attention = (hn_attention_shape){.n_heads = s->n_heads,
                                        .n_kv_heads = s->n_kv_heads,
                                        .head_size = s->head_size,
                                        .scale = 1.0f / sqrtf((float)s->head_size),
                                        .kv_type = type,
                                        .f32_products = s->main_dtype == HN_DTYPE_F32};
    e->context = o->context ? o->context : s->n_context;
    if (e->context < 1 || e->context > s->n_context_max)
        return hn_fail(err, HN_ERR_CONTEXT, "context",
                       "ask for a shorter context, or take a model that was trained for it",
                       "a context of %d tokens is not possible: the model covers %d", e->context, s->n_context_max);
    bool is_short = s->rope_frequencies_short && e->context <= s->n_context_original;
    e->rope_frequencies = is_short ? s->rope_frequencies_short : s->rope_frequencies;
    /* small: both sizes are limited at loading */
    e->kv_layer_bytes = 2 * HN_KV_BLOCK * hn_kv_row_bytes(type, s->n_kv_heads, s->head_size);
    size_t block_bytes = e->kv_layer_bytes * (size_t)s->n_layers;
    e->kv_max_bytes = o->kv_max_bytes ? o->kv_max_bytes : quarter_of_memory();
    HN_TRY(check_cache(e, o->context, block_bytes, err));
    hn_kv_pool_init(&e->kv, block_bytes, e->kv_max_bytes);
    snprintf(e->numeric_path, sizeof e->numeric_path, "k%d/%s/kv-%s/%s%s", HN_KERNEL_VERSION, e->kernels->name,
             hn_kv_type_name(type), hn_dtype_of(s->main_dtype).name, is_short ? "/rope-short" : "");
    return HN_OK;
}

static hn_status create(hn_engine *e, const hn_engine_options *o, hn_error *err) {
    HN_TRY(hn_kernels_choose(o->isa, &e->kernels, err));
    if (o->n_threads < 0)
        return hn_fail(err, HN_ERR_USAGE, "threads", NULL, "%d threads are not possible", o->n_threads);
    HN_TRY(set_limits(e, o, err));
    HN_TRY(hn_pool_create(o->n_threads, &e->pool, err));
    return prepare_weights(e, o->pack, err);
}

hn_status hn_engine_create(const hn_model *model, const hn_engine_options *options, hn_engine **engine, hn_error *err) {
    static const hn_engine_options defaults = {0};
    *engine = NULL;
    if (!hn_model_weights(model))
        return hn_fail(err, HN_ERR_USAGE, hn_model_path(model), "open the model with its weights",
                       "the model was opened for its vocabulary only");
    hn_engine *e = hn_calloc(1, sizeof *e);
    if (!e) return hn_fail_memory(err, sizeof *e);
    e->model = model;
    e->shape = hn_model_shape(model);
    hn_status st = create(e, options ? options : &defaults, err);
    if (st != HN_OK)
        hn_engine_free(e);
    else
        *engine = e;
    return st;
}

void hn_engine_free(hn_engine *e) {
    if (!e) return;
    release_weights(e);
    hn_kv_pool_free(&e->kv);
    if (e->scratch.memory) hn_free_aligned(e->scratch.memory, e->scratch.bytes);
    hn_free(e->entries);
    hn_free(e->doubles);
    hn_free(e->floats);
    hn_free(e->node_slot);
    hn_free(e->searches);
    hn_free(e->kept_memory);
    hn_pool_free(e->pool);
    hn_free(e);
}

/* Adds room for n items of `item_bytes` to a layout; false on overflow. */
static bool add_room(size_t *total, size_t n, size_t item_bytes, size_t *offset) {
    size_t bytes, end;
    if (!hn_mul_size(n, item_bytes, &bytes) || !hn_add_size(bytes, ALIGN - 1, &bytes)) return false;
    *offset = *total;
    if (!hn_add_size(*total, bytes / ALIGN * ALIGN, &end)) return false;
    *total = end;
    return true;
}

static size_t largest_matmul_scratch(hn_engine *e, int rows, int logits_rows) {
    int n_threads = hn_pool_size(e->pool);
    size_t most = hn_matmul_scratch_bytes(e->kernels, &e->weights.output, logits_rows, n_threads);
    for (int i = 0; i < e->shape->n_layers; i++) { /* layers may differ in format */
        hn_matrix *matrices[LAYER_MATRICES];
        layer_matrices(&e->weights.layers[i], matrices);
        for (int m = 0; m < LAYER_MATRICES; m++) {
            size_t bytes = hn_matmul_scratch_bytes(e->kernels, matrices[m], rows, n_threads);
            if (bytes > most) most = bytes;
            const hn_matrix *a = e->low_rank_a ? &e->low_rank_a[i * HN_LINEARS_OF_LAYER + m] : NULL;
            bytes = a && a->n_out ? hn_matmul_scratch_bytes(e->kernels, a, rows, n_threads) : 0;
            if (bytes > most) most = bytes;
        }
    }
    return most;
}

/* Places of the scratch arrays. With memory NULL only the size is counted. */
static bool lay_out(hn_engine *e, hn_scratch *s, char *memory, size_t *total) {
    const hn_shape *shape = e->shape;
    size_t rows = (size_t)s->rows, C = (size_t)shape->n_embd, F = (size_t)shape->n_ff,
           half = (size_t)shape->head_size / 2;
    size_t Q = (size_t)shape->n_heads * (size_t)shape->head_size,
           KV = (size_t)shape->n_kv_heads * (size_t)shape->head_size;
    size_t tail_row = hn_kv_row_bytes(e->attention.kv_type, shape->n_kv_heads, shape->head_size);
    struct {
        void **place;
        size_t n, item_bytes;
    } arrays[] = {
        {(void **)&s->x, rows * C, 4},
        {(void **)&s->h, rows * C, 4},
        {(void **)&s->q, rows * Q, 4},
        {(void **)&s->k, rows * KV, 4},
        {(void **)&s->v, rows * KV, 4},
        {(void **)&s->attention, rows * Q, 4},
        {(void **)&s->gate, rows * F, 4},
        {(void **)&s->up, rows * F, 4},
        {(void **)&s->act, rows * F, 4},
        {(void **)&s->low, rows * (size_t)e->largest_rank, 4},
        {(void **)&s->cos, rows * half, 4},
        {(void **)&s->sin, rows * half, 4},
        {(void **)&s->logits, (size_t)s->logits_rows * hn_logits_stride(shape), 4},
        {(void **)&s->tail_k, s->n_slots ? rows : 0, tail_row},
        {(void **)&s->tail_v, s->n_slots ? rows : 0, tail_row},
        {(void **)&s->k_blocks, s->n_pointers, sizeof(void *)},
        {(void **)&s->v_blocks, s->n_pointers, sizeof(void *)},
        {(void **)&s->slots, s->n_slots, 4},
        {(void **)&s->slot_start, s->n_slots ? 2 * rows : 0, 4},
        {(void **)&s->attention_runs, rows, sizeof *s->attention_runs},
        {&s->matmul, largest_matmul_scratch(e, s->rows, s->logits_rows > s->rows ? s->logits_rows : s->rows), 1},
        {&s->attend, hn_attention_scratch_bytes(e->kernels, &e->attention, hn_pool_size(e->pool)), 1},
    };
    *total = 0;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        size_t offset;
        if (!add_room(total, arrays[i].n, arrays[i].item_bytes, &offset)) return false;
        if (memory) *arrays[i].place = memory + offset;
    }
    return true;
}

static int max_int(int a, int b) { return a > b ? a : b; }
static size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

hn_status hn_scratch_reserve(hn_engine *e, int rows, int logits_rows, size_t n_pointers, size_t n_slots,
                             hn_error *err) {
    const hn_scratch *now = &e->scratch;
    if (now->memory && rows <= now->rows && logits_rows <= now->logits_rows && n_pointers <= now->n_pointers &&
        n_slots <= now->n_slots)
        return HN_OK;
    int round = 1; /* powers of two, so that it seldom grows */
    while (round < rows && round < HN_CHUNK_ROWS) round *= 2;
    hn_scratch wanted = {.rows = max_int(round, now->rows),
                         .logits_rows = max_int(logits_rows, now->logits_rows),
                         .n_pointers = max_size(2 * n_pointers, now->n_pointers),
                         .n_slots = max_size(n_slots, now->n_slots)};
    size_t total;
    if (!lay_out(e, &wanted, NULL, &total)) return hn_fail_memory(err, SIZE_MAX);
    wanted.memory = hn_alloc_aligned(total, ALIGN);
    if (!wanted.memory) return hn_fail_memory(err, total);
    wanted.bytes = total;
    lay_out(e, &wanted, wanted.memory, &total);
    if (now->memory) hn_free_aligned(now->memory, now->bytes);
    e->scratch = wanted;
    return HN_OK;
}

void hn_engine_run(hn_engine *e, hn_pool_fn *fn, void *arg, int n_rows) {
    if (n_rows < 4)
        fn(arg, 0, 1);
    else
        hn_pool_run(e->pool, fn, arg);
}

const hn_model *hn_engine_model(const hn_engine *e) { return e->model; }
int hn_engine_context(const hn_engine *e) { return e->context; }
int hn_engine_threads(const hn_engine *e) { return hn_pool_size(e->pool); }
const char *hn_engine_numeric_path(const hn_engine *e) { return e->numeric_path; }

hn_engine_memory hn_engine_memory_now(const hn_engine *e) {
    return (hn_engine_memory){.pack_bytes = e->pack_bytes,
                              .kv_bytes = hn_kv_pool_used(&e->kv) * e->kv.block_bytes,
                              .kv_bytes_per_token = e->kv.block_bytes / HN_KV_BLOCK,
                              .scratch_bytes = e->scratch.bytes + e->kept_most * hn_search_node_bytes(e)};
}
