/* Creating a trainable network from a model: tensors by their Hugging Face names, adapters, activation memory; see network.h. */
#include "train/magnitude.h"
#include "train/network_parts.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const linear_names[HN_LINEARS] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                     "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                     "mlp.down_proj"};
enum { MAX_TENSORS_OF_LAYER = 2 + 4 * HN_LINEARS };

void hn_network_run(hn_network *n, hn_pool_fn *fn, void *arg) {
    if (n->pool)
        hn_pool_run(n->pool, fn, arg);
    else
        fn(arg, 0, 1);
}

int64_t hn_network_widest(const hn_network *n) {
    int64_t Q = (int64_t)n->shape.n_heads * n->shape.head_size, widest = n->shape.n_ff > Q ? n->shape.n_ff : Q;
    return widest > n->shape.n_embd ? widest : n->shape.n_embd;
}

int hn_sequence_rows(const hn_train_batch *b, int s) {
    return (s + 1 < b->n_sequences ? b->starts[s + 1] : b->n_rows) - b->starts[s];
}

typedef struct rows_job {
    hn_network *n;
    hn_rows_work *fn;
    void *arg;
} rows_job;

static void rows_share(void *arg, int thread, int n_threads) {
    const rows_job *j = arg;
    size_t from, to;
    hn_share((size_t)j->n->active, 4, thread, n_threads, &from, &to);
    if (from < to) j->fn(j->n, j->arg, from, to);
}

void hn_network_rows(hn_network *n, hn_rows_work *fn, void *arg) {
    rows_job job = {n, fn, arg};
    hn_network_run(n, rows_share, &job);
}

/* ---- tensors ---- */

/* `kept`: as f32. */
static hn_status add_tensor(hn_network *n, int64_t rows, int64_t columns, bool kept, bool learns, hn_tensor **out,
                            hn_error *err) {
    hn_tensor *t = &n->tensors[n->n_tensors];
    size_t count = (size_t)rows * (size_t)columns;
    *t = (hn_tensor){.rows = rows, .columns = columns};
    if (kept) t->w = hn_arena_alloc(n->arena, count * sizeof(float));
    if (learns) t->dw = hn_arena_alloc(n->arena, count * sizeof(float));
    if ((kept && !t->w) || (learns && !t->dw)) return hn_fail_memory(err, count * sizeof(float));
    n->n_tensors++;
    *out = t;
    return HN_OK;
}

int64_t hn_network_row_place(const hn_network *n, const hn_linear *l, int64_t row) {
    int64_t HS = n->shape.head_size, half = HS / 2, inside = row % HS;
    if (!n->turned || l->index < 0 || l->index % HN_LINEARS > 1) return row; /* q and k alone */
    return row - inside + (inside < half ? 2 * inside : 2 * (inside - half) + 1);
}

static bool has_packs(const hn_network *n) {
    return n->options.lora_rank > 0 && !n->options.f32 && strstr(n->kernels->name, "bf16") != NULL;
}

static uint16_t to_bf16(float x) { /* to nearest, ties to even, as the kernels round */
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

static hn_status pack(hn_network *n, hn_matrix *out, uint16_t *data, int64_t N, int64_t K, hn_error *err) {
    *out = (hn_matrix){.dtype = HN_DTYPE_BF16, .n_out = N, .n_in = K, .data = data};
    HN_TRY(hn_matrix_prepare(out, n->kernels, HN_PACK_KEEP, n->pool, err));
    out->data = NULL; /* the pack has it all */
    return HN_OK;
}

/* Both packs of a frozen matrix, from its rows. */
static hn_status pack_both(hn_network *n, const hn_matrix *from, hn_linear *l, hn_error *err) {
    size_t N = (size_t)from->n_out, K = (size_t)from->n_in;
    float *row = hn_alloc(K * sizeof *row);
    uint16_t *plain = hn_alloc(N * K * sizeof *plain), *turned = hn_alloc(N * K * sizeof *turned);
    hn_status st = row && plain && turned ? HN_OK : hn_fail_memory(err, N * K * sizeof *plain);
    for (size_t r = 0; st == HN_OK && r < N; r++) {
        hn_matrix_row(n->kernels, row, from, hn_network_row_place(n, l, (int64_t)r));
        for (size_t k = 0; k < K; k++) turned[k * N + r] = plain[r * K + k] = to_bf16(row[k]);
    }
    if (st == HN_OK) st = pack(n, &l->forward, plain, from->n_out, from->n_in, err);
    if (st == HN_OK) st = pack(n, &l->backward, turned, from->n_in, from->n_out, err);
    hn_free(row);
    hn_free(plain);
    hn_free(turned);
    return st;
}

static hn_status add_matrix(hn_network *n, const hn_matrix *from, const char *name, hn_linear *l, hn_error *err) {
    hn_tensor **out = &l->w;
    bool kept = !has_packs(n);
    HN_TRY(add_tensor(n, from->n_out, from->n_in, kept, n->options.lora_rank == 0, out, err));
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    for (int64_t r = 0; kept && r < from->n_out; r++)
        hn_matrix_row(n->kernels, (*out)->w + r * from->n_in, from, hn_network_row_place(n, l, r));
    return HN_OK;
}

static hn_status add_norm(hn_network *n, const float *from, const char *name, hn_tensor **out, hn_error *err) {
    HN_TRY(add_tensor(n, 1, n->shape.n_embd, true, n->options.lora_rank == 0, out, err));
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    memcpy((*out)->w, from, (size_t)n->shape.n_embd * sizeof(float));
    return HN_OK;
}

static hn_status add_adapter(hn_network *n, int layer, int which, hn_linear *l, hn_rng *rng, hn_error *err) {
    int rank = n->options.lora_rank;
    double bound = 1 / sqrt((double)l->w->columns);
    HN_TRY(add_tensor(n, rank, l->w->columns, true, true, &l->a, err));
    HN_TRY(add_tensor(n, l->w->rows, rank, true, true, &l->b, err));
    snprintf(l->a->name, sizeof l->a->name, "model.layers.%d.%s.lora_A.weight", layer, linear_names[which]);
    snprintf(l->b->name, sizeof l->b->name, "model.layers.%d.%s.lora_B.weight", layer, linear_names[which]);
    if (n->options.dora) {
        HN_TRY(add_tensor(n, 1, l->w->rows, true, true, &l->magnitude, err));
        snprintf(l->magnitude->name, sizeof l->magnitude->name, "model.layers.%d.%s.lora_magnitude_vector", layer,
                 linear_names[which]);
    }
    for (int64_t i = 0; i < l->a->rows * l->a->columns; i++)
        l->a->w[i] = (float)((2 * hn_rng_uniform(rng) - 1) * bound);
    double divisor = n->options.rank_stabilised ? sqrt((double)rank) : (double)rank;
    l->scaling = (float)((double)n->options.lora_alpha / divisor);
    return HN_OK;
}

static hn_status add_layer(hn_network *n, const hn_layer *from, int layer, hn_rng *rng, hn_error *err) {
    const hn_matrix *const matrices[HN_LINEARS] = {&from->q,    &from->k,  &from->v,   &from->o,
                                                   &from->gate, &from->up, &from->down};
    hn_network_layer *to = &n->layers[layer];
    char name[112];
    for (int i = 0; i < HN_LINEARS; i++) {
        snprintf(name, sizeof name, "model.layers.%d.%s.weight", layer, linear_names[i]);
        to->linear[i].index = layer * HN_LINEARS + i;
        HN_TRY(add_matrix(n, matrices[i], name, &to->linear[i], err));
        if (has_packs(n)) HN_TRY(pack_both(n, matrices[i], &to->linear[i], err));
        bool adapts = n->options.lora_rank > 0 && (n->options.lora_targets & (1u << i));
        if (adapts) HN_TRY(add_adapter(n, layer, i, &to->linear[i], rng, err));
        if (adapts && n->options.dora) HN_TRY(hn_magnitudes_begin(n, &to->linear[i], matrices[i], err));
    }
    snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", layer);
    HN_TRY(add_norm(n, from->attention_norm, name, &to->attention_norm, err));
    snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", layer);
    return add_norm(n, from->ffn_norm, name, &to->ffn_norm, err);
}

static hn_status add_all(hn_network *n, const hn_weights *w, hn_error *err) {
    hn_rng rng;
    hn_rng_seed(&rng, n->options.seed, 0);
    n->output.index = -1;
    HN_TRY(add_matrix(n, &w->embedding, "model.embed_tokens.weight", &n->output, err));
    n->embedding = n->output.w;
    for (int l = 0; l < n->shape.n_layers; l++) HN_TRY(add_layer(n, &w->layers[l], l, &rng, err));
    HN_TRY(add_norm(n, w->output_norm, "model.norm.weight", &n->output_norm, err));
    n->embedding_rows = &w->embedding;
    if (!n->shape.tied) HN_TRY(add_matrix(n, &w->output, "lm_head.weight", &n->output, err));
    return has_packs(n) ? pack_both(n, &w->output, &n->output, err) : HN_OK;
}

/* ---- creation ---- */

static hn_status check(const hn_model *model, const hn_network_options *o, hn_error *err) {
    const hn_shape *s = hn_model_shape(model);
    if (!hn_model_weights(model))
        return hn_fail(err, HN_ERR_INPUT, hn_model_path(model), "take a file with weights",
                       "it holds a vocabulary only");
    if (strcmp(s->architecture, "llama") != 0)
        return hn_fail(err, HN_ERR_UNSUPPORTED, hn_model_path(model), "take a llama model",
                       "`%s` models do not learn here", s->architecture);
    if (o->lora_rank < 0 || o->lora_rank > s->n_embd)
        return hn_fail(err, HN_ERR_USAGE, "rank", "such as 16", "the rank %d is not within 0 .. %d", o->lora_rank,
                       s->n_embd);
    if (!(o->dropout >= 0 && o->dropout <= 0.99f))
        return hn_fail(err, HN_ERR_USAGE, "dropout", "such as 0.05", "%g is not within 0 .. 0.99", (double)o->dropout);
    if ((o->dropout > 0 || o->dora) && o->lora_rank == 0)
        return hn_fail(err, HN_ERR_USAGE, "rank", "give the adapter a rank", "dropout and DoRA are an adapter's");
    return HN_OK;
}

static hn_status build(hn_network *n, const hn_model *model, hn_error *err) {
    const hn_shape *s = hn_model_shape(model);
    size_t half = (size_t)s->rope_dims / 2;
    n->shape = *s;
    n->shape.rope_frequencies_short = NULL;
    n->turned = s->rope_interleaved;
    n->shape.rope_interleaved = false;
    n->ops = hn_learn_ops_of(n->kernels);
    n->heads = (hn_learn_heads){s->n_heads, s->n_kv_heads, s->head_size, (float)(1 / sqrt((double)s->head_size))};
    n->arena = hn_arena_create(1 << 20);
    n->tensors = hn_calloc((size_t)s->n_layers * MAX_TENSORS_OF_LAYER + 3, sizeof *n->tensors);
    n->layers = hn_calloc((size_t)s->n_layers, sizeof *n->layers);
    n->dnorm = hn_calloc((size_t)s->n_embd, sizeof *n->dnorm);
    n->shape.rope_frequencies = n->arena ? hn_arena_alloc(n->arena, half * sizeof(float)) : NULL;
    if (!n->arena || !n->tensors || !n->layers || !n->dnorm || !n->shape.rope_frequencies)
        return hn_fail_memory(err, 0);
    memcpy(n->shape.rope_frequencies, s->rope_frequencies, half * sizeof(float));
    if (n->options.dora) {
        size_t r = (size_t)n->options.lora_rank;
        n->low_products = hn_arena_alloc(n->arena, r * (size_t)hn_network_widest(n) * sizeof(float));
        n->gram = hn_arena_alloc(n->arena, r * r * sizeof(double));
        if (!n->low_products || !n->gram) return hn_fail_memory(err, r * r * sizeof(double));
    }
    return add_all(n, hn_model_weights(model), err);
}

hn_status hn_network_create(const hn_model *model, const hn_network_options *options, const hn_kernels *kernels,
                            hn_pool *pool, hn_network **out, hn_error *err) {
    *out = NULL;
    HN_TRY(check(model, options, err));
    hn_network *n = hn_calloc(1, sizeof *n);
    if (!n) return hn_fail_memory(err, sizeof *n);
    n->options = *options;
    if (n->options.lora_targets == 0) n->options.lora_targets = HN_LORA_ALL;
    n->kernels = kernels;
    n->pool = pool;
    n->narrow = has_packs(n);
    n->held = -1;
    hn_products_init(&n->products, kernels, pool);
    hn_status st = build(n, model, err);
    if (st == HN_OK)
        *out = n;
    else
        hn_network_free(n);
    return st;
}

void hn_network_free(hn_network *n) {
    if (!n) return;
    for (int l = 0; n->layers && l < n->shape.n_layers; l++)
        for (int i = 0; i < HN_LINEARS; i++) {
            hn_matrix_release(&n->layers[l].linear[i].forward);
            hn_matrix_release(&n->layers[l].linear[i].backward);
        }
    hn_matrix_release(&n->output.forward);
    hn_matrix_release(&n->output.backward);
    hn_products_free(&n->products);
    hn_free_aligned(n->memory, n->memory_bytes);
    hn_free(n->dnorm);
    hn_free(n->layers);
    hn_free(n->tensors);
    hn_arena_free(n->arena);
    hn_free(n);
}

hn_tensor *hn_network_tensors(hn_network *n, size_t *count) {
    *count = n->n_tensors;
    return n->tensors;
}

hn_tensor *hn_network_find(hn_network *n, const char *name) {
    for (size_t i = 0; i < n->n_tensors; i++)
        if (strcmp(n->tensors[i].name, name) == 0) return &n->tensors[i];
    return NULL;
}

void hn_network_clear_gradients(hn_network *n) {
    for (size_t i = 0; i < n->n_tensors; i++) {
        hn_tensor *t = &n->tensors[i];
        if (t->dw) memset(t->dw, 0, (size_t)(t->rows * t->columns) * sizeof(float));
    }
}

size_t hn_network_bytes(const hn_network *n) {
    size_t packs = n->output.forward.pack_bytes + n->output.backward.pack_bytes;
    for (int l = 0; l < n->shape.n_layers; l++)
        for (int i = 0; i < HN_LINEARS; i++)
            packs += n->layers[l].linear[i].forward.pack_bytes + n->layers[l].linear[i].backward.pack_bytes;
    return hn_arena_used(n->arena) + n->memory_bytes + packs;
}
