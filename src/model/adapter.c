/* LoRA adapters: the tensors of either form put beside the model's matrices; see adapter.h and model.h.
 * The adapter stays apart from the weights: y = W x + scaling B (A x), so quantised weights remain as they are. A DoRA adapter also has a magnitude for
 * each output (Liu et al. 2024), which becomes a factor when it is loaded: magnitude / |row of W + scaling B A|. What would change the result and is
 * not understood here is refused by name. */
#include "model/adapter.h"

#include "base/file.h"
#include "model/adapter_parts.h"
#include "model/architecture.h"
#include "model/model_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RANK_MAX = 4096, SIDES = 3 };

typedef struct loader {
    const hn_adapter_source *source;
    const hn_shape *shape;
    hn_arena *arena;
    const hn_adapter_view **sides; /* (n_layers, HN_LINEARS_OF_LAYER, SIDES): A, B, magnitudes */
    hn_adapter *out;
    hn_error *err;
} loader;

/* ---- the linear parts of a layer ---- */

void hn_linear_size(const hn_shape *shape, int which, int64_t *n_out, int64_t *n_in) {
    static const hn_dimension out[] = {HN_DIM_HEADS, HN_DIM_KV_HEADS, HN_DIM_KV_HEADS, HN_DIM_EMBD,
                                       HN_DIM_FF,    HN_DIM_FF,       HN_DIM_EMBD},
                              in[] = {HN_DIM_EMBD, HN_DIM_EMBD, HN_DIM_EMBD, HN_DIM_HEADS,
                                      HN_DIM_EMBD, HN_DIM_EMBD, HN_DIM_FF};
    *n_out = hn_dimension_size(shape, out[which]);
    *n_in = hn_dimension_size(shape, in[which]);
}

const char *hn_linear_name(int which, bool gguf) {
    static const char *const names[HN_LINEARS_OF_LAYER][2] = {
        {"self_attn.q_proj", "attn_q"},      {"self_attn.k_proj", "attn_k"}, {"self_attn.v_proj", "attn_v"},
        {"self_attn.o_proj", "attn_output"}, {"mlp.gate_proj", "ffn_gate"},  {"mlp.up_proj", "ffn_up"},
        {"mlp.down_proj", "ffn_down"}};
    return names[which][gguf];
}

int64_t hn_linear_pair_row(const hn_shape *shape, int which, int64_t row) {
    const hn_architecture *a = hn_architecture_find(shape->architecture);
    int64_t HS = shape->head_size, half = HS / 2, inside = row % HS;
    if (which > 1 || !a || !a->gguf_interleaved) return row;
    return row - inside + (inside < half ? 2 * inside : 2 * (inside - half) + 1);
}

int hn_adapter_layer(const char *name, const char *prefix, int n_layers, const char **rest) {
    size_t n = strlen(prefix);
    int layer = 0, digits = 0;
    if (strncmp(name, prefix, n) != 0) return -1;
    for (name += n; *name >= '0' && *name <= '9' && digits < 6; name++, digits++) layer = layer * 10 + (*name - '0');
    if (digits == 0 || *name != '.' || layer >= n_layers) return -1;
    *rest = name + 1;
    return layer;
}

void hn_adapter_source_close(hn_adapter_source *s) {
    hn_safetensors_close(s->safetensors);
    hn_gguf_close(s->gguf);
    s->safetensors = NULL;
    s->gguf = NULL;
}

bool hn_adapter_is_file(const char *path) { return hn_file_exists(path) && !hn_file_is_dir(path); }

/* ---- the tensors ---- */

static hn_status check_type(const loader *l, const hn_adapter_view *v) {
    static const hn_dtype known[] = {HN_DTYPE_F32, HN_DTYPE_F16, HN_DTYPE_BF16, HN_DTYPE_Q8_0};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (v->dtype == known[i]) return HN_OK;
    return hn_fail(l->err, HN_ERR_UNSUPPORTED, l->source->file, "save it as float32, float16 or bfloat16", "%s is %s",
                   v->name, v->dtype_name);
}

static hn_status check_pair(const loader *l, int linear, const hn_adapter_view *a, const hn_adapter_view *b) {
    int64_t N, K;
    hn_linear_size(l->shape, linear % HN_LINEARS_OF_LAYER, &N, &K);
    if (!a || !b)
        return hn_fail(l->err, HN_ERR_INPUT, l->source->file, "save the adapter again",
                       "%s is not whole: A or B is missing", a ? a->name : b->name);
    bool fine = a->n_dims == 2 && b->n_dims == 2 && a->rows == b->columns && a->rows > 0 && a->rows <= RANK_MAX &&
                a->columns == K && b->rows == N;
    if (!fine)
        return hn_fail(l->err, HN_ERR_INPUT, l->source->file, "take the adapter of this very model",
                       "%s does not fit: the adapter is for a matrix of %lld by %lld, the model's is %lld by %lld",
                       a->name, (long long)b->rows, (long long)a->columns, (long long)N, (long long)K);
    HN_TRY(check_type(l, a));
    return check_type(l, b);
}

/* PEFT has had the magnitudes since its first DoRA, as (N) and, before 0.11, as (1,N). */
static hn_status load_magnitudes(loader *l, int linear, const char *beside) {
    const hn_adapter_view *m = l->sides[SIDES * linear + 2];
    int64_t N, K;
    hn_linear_size(l->shape, linear % HN_LINEARS_OF_LAYER, &N, &K);
    bool fits = m && ((m->n_dims == 1 && m->rows == N) || (m->n_dims == 2 && m->rows == 1 && m->columns == N));
    if (!fits)
        return hn_fail(
            l->err, HN_ERR_INPUT, l->source->file, "save the adapter again",
            "the lora_magnitude_vector beside %s is not there, or not %lld numbers, though the adapter uses DoRA",
            beside, (long long)N);
    HN_TRY(check_type(l, m));
    float *magnitude = hn_arena_alloc(l->arena, (size_t)N * sizeof *magnitude);
    if (!magnitude) return hn_fail_memory(l->err, (size_t)N * sizeof *magnitude);
    hn_kernels_available(0)->dequantize(magnitude, m->data, m->dtype, (size_t)N);
    l->out->parts[linear].magnitude = magnitude;
    return HN_OK;
}

static hn_status load_part(loader *l, int linear) {
    const hn_adapter_view *a = l->sides[SIDES * linear], *b = l->sides[SIDES * linear + 1];
    int which = linear % HN_LINEARS_OF_LAYER;
    if (!a && !b) return HN_OK;
    HN_TRY(check_pair(l, linear, a, b));
    if (l->source->dora) HN_TRY(load_magnitudes(l, linear, a->name));
    size_t r = (size_t)a->rows, N = (size_t)b->rows, K = (size_t)a->columns, n_a, n_b;
    if (!hn_mul_size(r, K, &n_a) || !hn_mul_size(r, N, &n_b) || n_a + n_b > SIZE_MAX / 8)
        return hn_fail(l->err, HN_ERR_LIMIT, l->source->file, NULL, "%s is too large", a->name);
    float *plain = hn_arena_alloc(l->arena, n_a * sizeof *plain), *rows = hn_arena_alloc(l->arena, n_b * sizeof *rows);
    float *turned = l->source->pairs ? hn_arena_alloc(l->arena, n_b * sizeof *turned) : rows;
    if (!plain || !rows || !turned) return hn_fail_memory(l->err, (n_a + n_b) * sizeof *plain);
    hn_kernels_available(0)->dequantize(plain, a->data, a->dtype, n_a); /* exact in every table */
    hn_kernels_available(0)->dequantize(rows, b->data, b->dtype, n_b);
    for (size_t n = 0; n < N && turned != rows; n++)
        memcpy(turned + n * r, rows + (size_t)hn_linear_pair_row(l->shape, which, (int64_t)n) * r, r * sizeof *rows);
    double scaling = l->source->alpha / (l->source->rank_stabilised ? sqrt((double)r) : (double)r);
    if (l->source->gguf && l->source->alpha == 0) scaling = 1; /* as llama.cpp reads it */
    l->out->parts[linear].rank = (int)r;
    l->out->parts[linear].a = plain;
    l->out->parts[linear].b = turned;
    l->out->parts[linear].scaling = scaling;
    l->out->rank = l->out->n_parts == 0 || l->out->rank == (int)r ? (int)r : 0;
    l->out->n_parts++;
    return HN_OK;
}

/* *stranger: the first that belongs to no linear part. */
static void place_views(loader *l, const hn_adapter_view **stranger) {
    const hn_adapter_source *s = l->source;
    *stranger = NULL;
    for (size_t i = 0; i < s->n; i++) {
        const hn_adapter_view *v = &s->views[i];
        if (v->linear >= 0 && (v->side < 2 || s->dora))
            l->sides[SIDES * v->linear + v->side] = v;
        else if (!*stranger)
            *stranger = v;
    }
}

static hn_status load_parts(loader *l) {
    const hn_adapter_view *stranger;
    int n = l->shape->n_layers * HN_LINEARS_OF_LAYER;
    l->out->parts = hn_arena_calloc(l->arena, (size_t)n, sizeof *l->out->parts);
    l->sides = hn_arena_calloc(l->arena, SIDES * (size_t)n, sizeof *l->sides);
    if (!l->out->parts || !l->sides) return hn_fail_memory(l->err, (size_t)n * sizeof *l->out->parts);
    place_views(l, &stranger);
    for (int i = 0; i < n; i++) HN_TRY(load_part(l, i));
    if (stranger)
        return hn_fail(l->err, HN_ERR_UNSUPPORTED, l->source->file,
                       "take an adapter of this model, of the layers' linear parts alone",
                       "its tensor %.120s belongs to no linear part of this model of %d layers", stranger->name,
                       l->shape->n_layers);
    if (l->out->n_parts) return HN_OK;
    return hn_fail(l->err, HN_ERR_INPUT, l->source->file, NULL, "the adapter holds no tensors");
}

hn_status hn_adapter_read(const char *path, const hn_shape *shape, hn_arena *arena, hn_adapter *out, hn_error *err) {
    hn_adapter_source s = {0};
    *out = (hn_adapter){0};
    HN_TRY(hn_adapter_is_file(path) ? hn_adapter_open_gguf(path, shape, arena, &s, err)
                                    : hn_adapter_open_peft(path, shape, arena, &s, err));
    loader l = {.source = &s, .shape = shape, .arena = arena, .out = out, .err = err};
    hn_status st = load_parts(&l);
    out->alpha = s.alpha;
    out->rank_stabilised = s.rank_stabilised;
    out->dora = s.dora;
    out->base_name = s.base_name;
    hn_adapter_source_close(&s);
    return st;
}

/* ---- beside the model ---- */

static hn_status turn_part(const hn_shape *shape, int which, const hn_adapter_part *p, hn_arena *arena,
                           hn_low_rank *out, hn_error *err) {
    int64_t N, K, r = p->rank;
    if (r == 0) return HN_OK;
    hn_linear_size(shape, which, &N, &K);
    float *a = hn_arena_alloc(arena, (size_t)(r * K) * sizeof *a),
          *b = hn_arena_alloc(arena, (size_t)(r * N) * sizeof *b);
    if (!a || !b) return hn_fail_memory(err, (size_t)(r * (N + K)) * sizeof *a);
    memcpy(a, p->a, (size_t)(r * K) * sizeof *a);
    for (int64_t n = 0; n < N; n++) {
        int64_t row = shape->rope_interleaved ? hn_linear_pair_row(shape, which, n) : n;
        for (int64_t k = 0; k < r; k++) b[k * N + row] = (float)(p->scaling * (double)p->b[n * r + k]);
    }
    *out = (hn_low_rank){.rank = (int)r, .a = a, .b = b};
    return HN_OK;
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

static hn_status make_gains(const hn_shape *shape, int which, const hn_matrix *w, const float *magnitude,
                            hn_arena *arena, hn_low_rank *low, hn_error *err) {
    size_t N = (size_t)w->n_out, K = (size_t)w->n_in;
    float *gain = hn_arena_alloc(arena, N * sizeof *gain), *row = hn_alloc(K * sizeof *row);
    if (!gain || !row) {
        hn_free(row);
        return hn_fail_memory(err, (N + K) * sizeof *row);
    }
    for (int64_t n = 0; n < w->n_out; n++) {
        int64_t at = shape->rope_interleaved ? hn_linear_pair_row(shape, which, n) : n;
        gain[at] = (float)gain_of(low, row, w, at, (double)magnitude[n]);
    }
    hn_free(row);
    low->gain = gain;
    return HN_OK;
}

static hn_status load_beside(const hn_adapter *a, const hn_shape *shape, const hn_weights *weights, hn_arena *arena,
                             hn_low_rank *out, hn_error *err) {
    for (int i = 0; i < shape->n_layers * HN_LINEARS_OF_LAYER; i++) {
        const hn_layer *l = &weights->layers[i / HN_LINEARS_OF_LAYER];
        const hn_matrix *const m[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
        int which = i % HN_LINEARS_OF_LAYER;
        HN_TRY(turn_part(shape, which, &a->parts[i], arena, &out[i], err));
        if (a->parts[i].rank > 0 && a->parts[i].magnitude)
            HN_TRY(make_gains(shape, which, m[which], a->parts[i].magnitude, arena, &out[i], err));
    }
    return HN_OK;
}

hn_status hn_adapter_load(const char *path, const hn_shape *shape, const hn_weights *weights, hn_arena *arena,
                          hn_low_rank **out, hn_error *err) {
    size_t n = (size_t)shape->n_layers * HN_LINEARS_OF_LAYER;
    hn_adapter a;
    hn_arena *raw = hn_arena_create(0);
    *out = hn_arena_calloc(arena, n, sizeof **out);
    hn_status st = raw && *out ? hn_adapter_read(path, shape, raw, &a, err) : hn_fail_memory(err, n * sizeof **out);
    if (st == HN_OK) st = load_beside(&a, shape, weights, arena, *out, err);
    hn_arena_free(raw);
    return st;
}
