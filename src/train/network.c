/* Creating a trainable network from a model: tensors by their Hugging Face names, adapters, activation memory; see network.h. */
#include "train/network_parts.h"

#include "base/alloc.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const linear_names[HN_LINEARS] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                     "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                     "mlp.down_proj"};
enum { MAX_TENSORS_OF_LAYER = 2 + 3 * HN_LINEARS };

void hn_network_run(hn_network *n, hn_pool_fn *fn, void *arg) {
    if (n->pool)
        hn_pool_run(n->pool, fn, arg);
    else
        fn(arg, 0, 1);
}

int hn_sequence_rows(const hn_train_batch *b, int s) {
    return (s + 1 < b->n_sequences ? b->starts[s + 1] : b->n_rows) - b->starts[s];
}

/* ---- tensors ---- */

static hn_status add_tensor(hn_network *n, int64_t rows, int64_t columns, bool learns, hn_tensor **out, hn_error *err) {
    hn_tensor *t = &n->tensors[n->n_tensors];
    size_t count = (size_t)rows * (size_t)columns;
    *t = (hn_tensor){.rows = rows, .columns = columns};
    t->w = hn_arena_alloc(n->arena, count * sizeof(float));
    if (learns) t->dw = hn_arena_alloc(n->arena, count * sizeof(float));
    if (!t->w || (learns && !t->dw)) return hn_fail_memory(err, count * sizeof(float));
    n->n_tensors++;
    *out = t;
    return HN_OK;
}

static hn_status add_matrix(hn_network *n, const hn_matrix *from, const char *name, hn_tensor **out, hn_error *err) {
    HN_TRY(add_tensor(n, from->n_out, from->n_in, n->options.lora_rank == 0, out, err));
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    for (int64_t r = 0; r < from->n_out; r++) hn_matrix_row(n->kernels, (*out)->w + r * from->n_in, from, r);
    return HN_OK;
}

static hn_status add_norm(hn_network *n, const float *from, const char *name, hn_tensor **out, hn_error *err) {
    HN_TRY(add_tensor(n, 1, n->shape.n_embd, n->options.lora_rank == 0, out, err));
    snprintf((*out)->name, sizeof(*out)->name, "%s", name);
    memcpy((*out)->w, from, (size_t)n->shape.n_embd * sizeof(float));
    return HN_OK;
}

static hn_status add_adapter(hn_network *n, int layer, int which, hn_linear *l, hn_rng *rng, hn_error *err) {
    int rank = n->options.lora_rank;
    double bound = 1 / sqrt((double)l->w->columns);
    HN_TRY(add_tensor(n, rank, l->w->columns, true, &l->a, err));
    HN_TRY(add_tensor(n, l->w->rows, rank, true, &l->b, err));
    snprintf(l->a->name, sizeof l->a->name, "model.layers.%d.%s.lora_A.weight", layer, linear_names[which]);
    snprintf(l->b->name, sizeof l->b->name, "model.layers.%d.%s.lora_B.weight", layer, linear_names[which]);
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
        HN_TRY(add_matrix(n, matrices[i], name, &to->linear[i].w, err));
        bool adapts = n->options.lora_rank > 0 && (n->options.lora_targets & (1u << i));
        if (adapts) HN_TRY(add_adapter(n, layer, i, &to->linear[i], rng, err));
    }
    snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", layer);
    HN_TRY(add_norm(n, from->attention_norm, name, &to->attention_norm, err));
    snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", layer);
    return add_norm(n, from->ffn_norm, name, &to->ffn_norm, err);
}

static hn_status add_all(hn_network *n, const hn_weights *w, hn_error *err) {
    hn_rng rng;
    hn_rng_seed(&rng, n->options.seed, 0);
    HN_TRY(add_matrix(n, &w->embedding, "model.embed_tokens.weight", &n->embedding, err));
    for (int l = 0; l < n->shape.n_layers; l++) HN_TRY(add_layer(n, &w->layers[l], l, &rng, err));
    HN_TRY(add_norm(n, w->output_norm, "model.norm.weight", &n->output_norm, err));
    n->output = n->embedding;
    return n->shape.tied ? HN_OK : add_matrix(n, &w->output, "lm_head.weight", &n->output, err);
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
    return HN_OK;
}

static hn_status build(hn_network *n, const hn_model *model, hn_error *err) {
    const hn_shape *s = hn_model_shape(model);
    size_t half = (size_t)s->rope_dims / 2;
    n->shape = *s;
    n->shape.rope_frequencies_short = NULL;
    n->heads = (hn_heads){s->n_heads, s->n_kv_heads, s->head_size, (float)(1 / sqrt((double)s->head_size))};
    n->arena = hn_arena_create(1 << 20);
    n->tensors = hn_calloc((size_t)s->n_layers * MAX_TENSORS_OF_LAYER + 3, sizeof *n->tensors);
    n->layers = hn_calloc((size_t)s->n_layers, sizeof *n->layers);
    n->dnorm = hn_calloc((size_t)s->n_embd, sizeof *n->dnorm);
    n->shape.rope_frequencies = n->arena ? hn_arena_alloc(n->arena, half * sizeof(float)) : NULL;
    if (!n->arena || !n->tensors || !n->layers || !n->dnorm || !n->shape.rope_frequencies)
        return hn_fail_memory(err, 0);
    memcpy(n->shape.rope_frequencies, s->rope_frequencies, half * sizeof(float));
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

size_t hn_network_bytes(const hn_network *n) { return hn_arena_used(n->arena) + n->memory_bytes; }
