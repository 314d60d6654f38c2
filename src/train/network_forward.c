/* The forward pass of a trainable network; what the backward pass reads stays in each layer's memory. See network.h. */
#include "base/alloc.h"
#include "train/magnitude.h"
#include "train/network_parts.h"
#include "train/row_loss.h"

#include <math.h>
#include <string.h>

/* ---- memory ---- */

/* Cuts pieces off a block; with memory NULL it only counts. Pieces begin at multiples of 64 bytes. */
typedef struct cutter {
    float *memory;
    size_t used; /* floats */
} cutter;

static float *cut(cutter *c, size_t rows, size_t width) {
    float *piece = c->memory ? c->memory + c->used : NULL;
    c->used += (rows * width + 15) / 16 * 16;
    return piece;
}

/* What is put away in bf16, of a layer that shares its places. */
static void cut_kept(cutter *c, const hn_network *n, hn_layer_memory *m, size_t T) {
    size_t widths[HN_KEPT];
    hn_activations_widths(n, widths);
    for (int i = 0; i < HN_KEPT; i++) m->kept[i] = (uint16_t *)(void *)cut(c, T, (widths[i] + 1) / 2);
}

static void cut_layer(cutter *c, hn_network *n, int layer, size_t T) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd, Q = (size_t)(s->n_heads * s->head_size), KV = (size_t)(s->n_kv_heads * s->head_size),
           F = (size_t)s->n_ff;
    hn_layer_memory *m = &n->layers[layer].memory;
    bool again = n->options.checkpoint, shares = layer > 0 && hn_activations_is_shared(n);
    if (shares) *m = n->layers[0].memory; /* layer 0 has cut the shared places */
    if (!shares) {
        m->x2 = cut(c, T, C), m->q = cut(c, T, Q), m->k = cut(c, T, KV), m->v = cut(c, T, KV);
        m->attention = cut(c, T, Q), m->gate = cut(c, T, F), m->up = cut(c, T, F);
    }
    m->x = cut(c, T, C);
    if (n->narrow && !again && layer + 1 < s->n_layers) cut_kept(c, n, m, T);
    if (shares && again) return;
    m->lse = cut(c, T, (size_t)s->n_heads);
    for (int i = 0; i < HN_LINEARS && n->options.lora_rank; i++) m->low[i] = cut(c, T, (size_t)n->options.lora_rank);
}

static void cut_all(cutter *c, hn_network *n, size_t T, size_t P) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd, Q = (size_t)(s->n_heads * s->head_size), KV = (size_t)(s->n_kv_heads * s->head_size),
           F = (size_t)s->n_ff, half = (size_t)s->head_size / 2;
    for (int l = 0; l < s->n_layers; l++) cut_layer(c, n, l, T);
    n->supervised = (int32_t *)(void *)cut(c, T, 1);
    n->x = cut(c, T, C), n->h = cut(c, T, C), n->act = cut(c, T, F), n->tail = cut(c, T, Q);
    n->cos = cut(c, T, half), n->sin = cut(c, T, half), n->unsin = cut(c, T, half);
    n->dx = cut(c, T, C), n->dh = cut(c, T, C), n->da = cut(c, T, Q);
    n->dq = cut(c, T, Q), n->dk = cut(c, T, KV), n->dv = cut(c, T, KV);
    n->dgate = cut(c, T, F), n->dup = cut(c, T, F), n->dact = cut(c, T, F);
    n->low = cut(c, T, (size_t)n->options.lora_rank);
    if (n->options.dropout > 0) n->dropped = cut(c, T, (size_t)hn_network_widest(n));
    if (n->options.dora) n->again = cut(c, T, (size_t)hn_network_widest(n));
    n->prefix_dk = cut(c, HN_PREFIX_SHARES * P, KV), n->prefix_dv = cut(c, HN_PREFIX_SHARES * P, KV);
    n->scratch_floats = (n->ops->attention_scratch((int)T, (int)P, s->head_size) + 15) / 16 * 16;
    n->scratch = cut(c, n->pool ? (size_t)hn_pool_size(n->pool) : 1, n->scratch_floats);
    n->logits = cut(c, HN_LOSS_ROWS, (size_t)s->n_vocab);
}

static hn_status reserve(hn_network *n, int rows, int prefix_rows, hn_error *err) {
    if (rows <= n->rows && prefix_rows <= n->prefix_rows) return HN_OK;
    if (rows < n->rows) rows = n->rows;
    if (prefix_rows < n->prefix_rows) prefix_rows = n->prefix_rows;
    cutter count = {0};
    cut_all(&count, n, (size_t)rows, (size_t)prefix_rows);
    hn_free_aligned(n->memory, n->memory_bytes);
    n->rows = n->prefix_rows = 0;
    n->memory_bytes = count.used * sizeof(float);
    n->memory = hn_alloc_aligned(n->memory_bytes, 64);
    if (!n->memory) {
        size_t wanted = n->memory_bytes;
        n->memory_bytes = 0;
        return hn_fail_memory(err, wanted);
    }
    cutter cutting = {n->memory, 0};
    cut_all(&cutting, n, (size_t)rows, (size_t)prefix_rows);
    n->rows = rows;
    n->prefix_rows = prefix_rows;
    return HN_OK;
}

/* ---- the batch ---- */

static hn_status check_batch(const hn_network *n, const hn_train_batch *b, hn_error *err) {
    int supervised = 0, V = n->shape.n_vocab;
    if (b->n_rows < 1 || b->n_sequences < 1 || b->prefix_rows < 0 || b->starts[0] != b->prefix_rows)
        return hn_fail(err, HN_ERR_INPUT, "batch", NULL,
                       "a batch needs a row at least, and sequences that begin at row 0 or behind the shared prefix");
    if (b->prefix_rows && b->dropout)
        return hn_fail(err, HN_ERR_INPUT, "batch", "write the sequences out in full",
                       "each sequence drops its own numbers, which a shared prefix cannot");
    for (int s = 0; s < b->n_sequences; s++)
        if (hn_sequence_rows(b, s) < 1)
            return hn_fail(err, HN_ERR_INPUT, "batch", NULL, "sequence %d of the batch has no rows", s);
    for (int t = 0; t < b->n_rows; t++) {
        bool wrong = b->ids[t] < 0 || b->ids[t] >= V || b->targets[t] < HN_NO_TARGET || b->targets[t] >= V;
        if (wrong)
            return hn_fail(err, HN_ERR_INPUT, "batch", NULL, "row %d has token %d and target %d; the vocabulary has %d",
                           t, b->ids[t], b->targets[t], V);
        supervised += b->targets[t] != HN_NO_TARGET;
    }
    if (supervised == 0)
        return hn_fail(err, HN_ERR_INPUT, "batch", "check where answers begin: `hone tokens` shows them",
                       "no token of the batch is supervised");
    return hn_row_loss_check(b, V, err);
}

static void list_supervised(hn_network *n, const hn_train_batch *b) {
    n->n_supervised = 0;
    for (int t = 0; t < b->n_rows; t++)
        if (b->targets[t] != HN_NO_TARGET) n->supervised[n->n_supervised++] = t;
}

/* A row's embedding, and the turn of its position. */
static void embed_row(hn_network *n, const hn_train_batch *b, int row, int position) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd, t = (size_t)row;
    int half = s->head_size / 2, rotated = s->rope_dims / 2;
    float *x = n->layers[0].memory.x;
    if (n->embedding->w)
        memcpy(x + t * C, n->embedding->w + (size_t)b->ids[t] * C, C * sizeof(float));
    else
        hn_matrix_row(n->kernels, x + t * C, n->embedding_rows, b->ids[t]);
    for (int k = 0; k < half; k++) { /* as the engine's forward.c */
        float angle = (float)position * (k < rotated ? s->rope_frequencies[k] : 0);
        float magnitude = k < rotated ? s->rope_magnitude : 1;
        n->cos[t * (size_t)half + (size_t)k] = (float)cos((double)angle) * magnitude;
        n->sin[t * (size_t)half + (size_t)k] = (float)sin((double)angle) * magnitude;
        n->unsin[t * (size_t)half + (size_t)k] = -n->sin[t * (size_t)half + (size_t)k];
    }
}

static void embed(hn_network *n, const hn_train_batch *b) {
    for (int i = 0; i < b->prefix_rows; i++) embed_row(n, b, i, i);
    for (int s = 0; s < b->n_sequences; s++)
        for (int i = 0, rows = hn_sequence_rows(b, s); i < rows; i++)
            embed_row(n, b, b->starts[s] + i, b->prefix_rows + i);
}

/* ---- a layer ---- */

typedef struct norm_job {
    float *h;
    const float *x;
    const hn_tensor *weight;
} norm_job;

static void norm_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const norm_job *j = arg;
    size_t at = from * (size_t)n->shape.n_embd;
    n->kernels->rmsnorm(j->h + at, j->x + at, j->weight->w, (int)(to - from), n->shape.n_embd, n->shape.norm_eps);
}

void hn_network_norm(hn_network *n, float *h, const float *x, const hn_tensor *weight) {
    norm_job job = {h, x, weight};
    hn_network_rows(n, norm_rows, &job);
}

typedef struct sum_job {
    float *y;
    const float *x;
} sum_job;

static void add_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const sum_job *j = arg;
    size_t C = (size_t)n->shape.n_embd;
    n->kernels->add(j->y + from * C, j->x + from * C, (to - from) * C);
}

static void rope_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    const hn_shape *s = &n->shape;
    int Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size, T = (int)(to - from);
    const float *cos_from = n->cos + from * (size_t)s->head_size / 2,
                *sin_from = n->sin + from * (size_t)s->head_size / 2;
    n->kernels->rope(m->q + from * (size_t)Q, Q, cos_from, sin_from, T, s->n_heads, s->head_size, s->rope_interleaved);
    n->kernels->rope(m->k + from * (size_t)KV, KV, cos_from, sin_from, T, s->n_kv_heads, s->head_size,
                     s->rope_interleaved);
    if (!n->narrow) return;
    hn_activations_round(m->q + from * (size_t)Q, (size_t)T * (size_t)Q);
    hn_activations_round(m->k + from * (size_t)KV, (size_t)T * (size_t)KV);
    hn_activations_round(m->v + from * (size_t)KV, (size_t)T * (size_t)KV);
}

static void swiglu_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    size_t F = (size_t)n->shape.n_ff, at = from * F;
    n->kernels->swiglu(n->act + at, m->gate + at, m->up + at, (int)(to - from), (int)F, (int)F);
}

typedef struct layer_job {
    hn_network *n;
    hn_layer_memory *m;
} layer_job;

/* A thread takes every n_threads-th part. Its scratch memory is its own, and holds the prefix for one part's sequences. */
static void attend(void *arg, int thread, int n_threads) {
    layer_job *job = arg;
    hn_network *n = job->n;
    hn_layer_memory *m = job->m;
    size_t Q = (size_t)(n->shape.n_heads * n->shape.head_size), NH = (size_t)n->shape.n_heads, first;
    float *scratch = n->scratch + (size_t)thread * n->scratch_floats;
    for (int i = thread, count = hn_attention_parts(n); i < count; i += n_threads) {
        hn_attention_part part = hn_attention_part_at(n, i);
        for (int s = part.from; s < part.to; s++) {
            hn_learn_sequence seq = hn_attention_sequence(n, m, s, &first);
            if (seq.n_prefix && s == part.from) n->ops->attention_prefix(&seq, part.kv, &n->heads, scratch);
            n->ops->attention_forward(m->attention + first * Q, m->lse + first * NH, &seq, part.kv, &n->heads, scratch);
        }
    }
}

/* Queries, keys, values and what attention makes of them, of all rows. */
static hn_status attention_block(hn_network *n, hn_network_layer *layer, hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    hn_network_norm(n, n->h, m->x, layer->attention_norm);
    HN_TRY(hn_linear_forward(n, &layer->linear[0], m->q, n->h, m->low[0], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[1], m->k, n->h, m->low[1], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[2], m->v, n->h, m->low[2], err));
    hn_network_rows(n, rope_rows, m);
    layer_job job = {n, m};
    hn_network_run(n, attend, &job);
    return HN_OK;
}

/* The rest of a layer, row by row, up to its last product: `attention` and `x` (the layer's input) of the active rows. */
static hn_status feed_forward_inside(hn_network *n, hn_network_layer *layer, const float *attention, const float *x,
                                     hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    HN_TRY(hn_linear_forward(n, &layer->linear[3], m->x2, attention, m->low[3], err));
    sum_job straight = {m->x2, x};
    hn_network_rows(n, add_rows, &straight);
    hn_network_norm(n, n->h, m->x2, layer->ffn_norm);
    HN_TRY(hn_linear_forward(n, &layer->linear[4], m->gate, n->h, m->low[4], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[5], m->up, n->h, m->low[5], err));
    return HN_OK;
}

/* The same to its end; `out` (T,C): the next layer's x. */
static hn_status feed_forward_block(hn_network *n, hn_network_layer *layer, float *out, const float *attention,
                                    const float *x, hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    HN_TRY(feed_forward_inside(n, layer, attention, x, err));
    hn_network_rows(n, swiglu_rows, m);
    HN_TRY(hn_linear_forward(n, &layer->linear[6], out, n->act, m->low[6], err));
    sum_job sum = {out, m->x2};
    hn_network_rows(n, add_rows, &sum);
    return HN_OK;
}

/* The last layer behind its attention, of rows with a target alone: n->x and n->h hold these. */
static hn_status last_rows(hn_network *n, hn_error *err) {
    const hn_shape *s = &n->shape;
    hn_network_layer *last = &n->layers[s->n_layers - 1];
    hn_network_gather(n, n->tail, last->memory.attention, (size_t)(s->n_heads * s->head_size));
    hn_network_gather(n, n->dx, last->memory.x, (size_t)s->n_embd); /* free until the backward pass */
    n->active = n->n_supervised;
    HN_TRY(feed_forward_block(n, last, n->x, n->tail, n->dx, err));
    hn_network_norm(n, n->h, n->x, n->output_norm);
    return HN_OK;
}

hn_status hn_network_layer_again(hn_network *n, hn_network_layer *layer, hn_error *err) {
    HN_TRY(attention_block(n, layer, err));
    HN_TRY(feed_forward_inside(n, layer, layer->memory.attention, layer->memory.x, err));
    hn_network_rows(n, swiglu_rows, &layer->memory);
    return hn_linear_low(n, &layer->linear[6], n->act, layer->memory.low[6], err);
}

hn_status hn_network_last_layer(hn_network *n, hn_error *err) {
    HN_TRY(attention_block(n, &n->layers[n->shape.n_layers - 1], err));
    return last_rows(n, err);
}

static hn_status layers_forward(hn_network *n, hn_error *err) {
    int L = n->shape.n_layers;
    n->active = n->batch->n_rows;
    n->held = -1;
    for (int l = 0; l + 1 < L; l++) {
        hn_layer_memory *m = &n->layers[l].memory;
        HN_TRY(attention_block(n, &n->layers[l], err));
        HN_TRY(feed_forward_block(n, &n->layers[l], n->layers[l + 1].memory.x, m->attention, m->x, err));
        hn_activations_put(n, l);
    }
    HN_TRY(hn_network_last_layer(n, err));
    n->held = L - 1;
    return HN_OK;
}

/* ---- losses ---- */

hn_matrix hn_network_output(const hn_network *n) {
    const hn_linear *l = &n->output;
    return l->forward.pack ? l->forward : hn_product_matrix(l->w->w, l->w->rows, l->w->columns);
}

/* All rows go through the last layer's end, then those with a target again, as the backward pass expects them. */
hn_status hn_network_logits(hn_network *n, float *logits, hn_error *err) {
    hn_matrix w = hn_network_output(n);
    hn_network_layer *last = &n->layers[n->shape.n_layers - 1];
    if (!n->was_run) return hn_fail(err, HN_ERR_USAGE, "network", NULL, "there was no forward pass");
    HN_TRY(hn_activations_get(n, n->shape.n_layers - 1, err));
    n->active = n->batch->n_rows;
    HN_TRY(feed_forward_block(n, last, n->x, last->memory.attention, last->memory.x, err));
    hn_network_norm(n, n->h, n->x, n->output_norm);
    HN_TRY(hn_product_forward(&n->products, logits, n->h, &w, n->batch->n_rows, err));
    return last_rows(n, err);
}

static hn_status losses_of(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    size_t C = (size_t)n->shape.n_embd, V = (size_t)n->shape.n_vocab;
    hn_matrix w = hn_network_output(n);
    memset(losses, 0, (size_t)b->n_rows * sizeof *losses);
    for (int from = 0, count; from < n->n_supervised; from += count) {
        count = n->n_supervised - from < HN_LOSS_ROWS ? n->n_supervised - from : HN_LOSS_ROWS;
        HN_TRY(hn_product_forward(&n->products, n->logits, n->h + (size_t)from * C, &w, count, err));
        for (int i = 0; i < count; i++) {
            const float *row = n->logits + (size_t)i * V;
            int t = n->supervised[from + i];
            double lse;
            losses[t] = hn_row_loss(n->kernels, b, t, row, V, &lse);
        }
    }
    return HN_OK;
}

hn_status hn_network_forward(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    n->was_run = false;
    HN_TRY(check_batch(n, b, err));
    HN_TRY(reserve(n, b->n_rows, b->prefix_rows, err));
    n->batch = b;
    list_supervised(n, b);
    HN_TRY(hn_magnitudes_measure(n, err));
    embed(n, b);
    HN_TRY(layers_forward(n, err));
    n->was_run = true;
    return losses ? losses_of(n, b, losses, err) : HN_OK;
}
