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

static void cut_layer(cutter *c, hn_network *n, hn_layer_memory *m, size_t T) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd, Q = (size_t)(s->n_heads * s->head_size), KV = (size_t)(s->n_kv_heads * s->head_size),
           F = (size_t)s->n_ff;
    m->x = cut(c, T, C), m->x2 = cut(c, T, C);
    m->q = cut(c, T, Q), m->k = cut(c, T, KV), m->v = cut(c, T, KV), m->attention = cut(c, T, Q);
    m->lse = cut(c, T, (size_t)s->n_heads);
    m->gate = cut(c, T, F), m->up = cut(c, T, F);
    for (int i = 0; i < HN_LINEARS && n->options.lora_rank; i++) m->low[i] = cut(c, T, (size_t)n->options.lora_rank);
}

static void cut_all(cutter *c, hn_network *n, size_t T) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd, Q = (size_t)(s->n_heads * s->head_size), KV = (size_t)(s->n_kv_heads * s->head_size),
           F = (size_t)s->n_ff, half = (size_t)s->head_size / 2;
    for (int l = 0; l < s->n_layers; l++) cut_layer(c, n, &n->layers[l].memory, T);
    n->x = cut(c, T, C), n->h = cut(c, T, C), n->act = cut(c, T, F);
    n->cos = cut(c, T, half), n->sin = cut(c, T, half), n->unsin = cut(c, T, half);
    n->dx = cut(c, T, C), n->dh = cut(c, T, C), n->da = cut(c, T, Q);
    n->dq = cut(c, T, Q), n->dk = cut(c, T, KV), n->dv = cut(c, T, KV);
    n->dgate = cut(c, T, F), n->dup = cut(c, T, F), n->dact = cut(c, T, F);
    n->low = cut(c, T, (size_t)n->options.lora_rank);
    if (n->options.dropout > 0) n->dropped = cut(c, T, (size_t)hn_network_widest(n));
    if (n->options.dora) n->again = cut(c, T, (size_t)hn_network_widest(n));
    n->scratch_floats = (n->ops->attention_scratch((int)T, s->head_size) + 15) / 16 * 16;
    n->scratch = cut(c, (size_t)s->n_kv_heads, n->scratch_floats);
    n->logits = cut(c, HN_LOSS_ROWS, (size_t)s->n_vocab);
    n->gathered = cut(c, HN_LOSS_ROWS, C), n->dgathered = cut(c, HN_LOSS_ROWS, C);
}

static hn_status reserve(hn_network *n, int rows, hn_error *err) {
    if (rows <= n->rows) return HN_OK;
    cutter count = {0};
    cut_all(&count, n, (size_t)rows);
    hn_free_aligned(n->memory, n->memory_bytes);
    n->rows = 0;
    n->memory_bytes = count.used * sizeof(float);
    n->memory = hn_alloc_aligned(n->memory_bytes, 64);
    if (!n->memory) {
        size_t wanted = n->memory_bytes;
        n->memory_bytes = 0;
        return hn_fail_memory(err, wanted);
    }
    cutter cutting = {n->memory, 0};
    cut_all(&cutting, n, (size_t)rows);
    n->rows = rows;
    return HN_OK;
}

/* ---- the batch ---- */

static hn_status check_batch(const hn_network *n, const hn_train_batch *b, hn_error *err) {
    int supervised = 0, V = n->shape.n_vocab;
    if (b->n_rows < 1 || b->n_sequences < 1 || b->starts[0] != 0)
        return hn_fail(err, HN_ERR_INPUT, "batch", NULL,
                       "a batch needs a row at least, and sequences that begin at row 0");
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

static void embed(hn_network *n, const hn_train_batch *b) {
    const hn_shape *s = &n->shape;
    size_t C = (size_t)s->n_embd;
    int half = s->head_size / 2, rotated = s->rope_dims / 2;
    float *x = n->layers[0].memory.x;
    for (int seq = 0; seq < b->n_sequences; seq++)
        for (int i = 0, rows = hn_sequence_rows(b, seq); i < rows; i++) {
            size_t t = (size_t)(b->starts[seq] + i);
            if (n->embedding->w)
                memcpy(x + t * C, n->embedding->w + (size_t)b->ids[t] * C, C * sizeof(float));
            else
                hn_matrix_row(n->kernels, x + t * C, n->embedding_rows, b->ids[t]);
            for (int k = 0; k < half; k++) { /* as the engine's forward.c */
                float angle = (float)i * (k < rotated ? s->rope_frequencies[k] : 0);
                float magnitude = k < rotated ? s->rope_magnitude : 1;
                n->cos[t * (size_t)half + (size_t)k] = (float)cos((double)angle) * magnitude;
                n->sin[t * (size_t)half + (size_t)k] = (float)sin((double)angle) * magnitude;
                n->unsin[t * (size_t)half + (size_t)k] = -n->sin[t * (size_t)half + (size_t)k];
            }
        }
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

/* (sequence, key head) pairs are shared out in turn. Scratch is the share's own. */
static void attend(void *arg, int thread, int n_threads) {
    layer_job *job = arg;
    hn_network *n = job->n;
    hn_layer_memory *m = job->m;
    size_t Q = (size_t)(n->shape.n_heads * n->shape.head_size), KV = (size_t)(n->shape.n_kv_heads * n->shape.head_size);
    for (int kv = thread; kv < n->shape.n_kv_heads; kv += n_threads)
        for (int s = 0; s < n->batch->n_sequences; s++) {
            size_t first = (size_t)n->batch->starts[s];
            n->ops->attention_forward(m->attention + first * Q, m->lse + first * (size_t)n->shape.n_heads,
                                      m->q + first * Q, m->k + first * KV, m->v + first * KV,
                                      hn_sequence_rows(n->batch, s), kv, &n->heads,
                                      n->scratch + (size_t)kv * n->scratch_floats);
        }
}

static hn_status attention_block(hn_network *n, hn_network_layer *layer, hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    hn_network_norm(n, n->h, m->x, layer->attention_norm);
    HN_TRY(hn_linear_forward(n, &layer->linear[0], m->q, n->h, m->low[0], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[1], m->k, n->h, m->low[1], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[2], m->v, n->h, m->low[2], err));
    hn_network_rows(n, rope_rows, m);
    layer_job job = {n, m};
    hn_network_run(n, attend, &job);
    HN_TRY(hn_linear_forward(n, &layer->linear[3], m->x2, m->attention, m->low[3], err));
    sum_job sum = {m->x2, m->x};
    hn_network_rows(n, add_rows, &sum);
    return HN_OK;
}

/* `out` (T,C): the next layer's x. */
static hn_status feed_forward_block(hn_network *n, hn_network_layer *layer, float *out, hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    hn_network_norm(n, n->h, m->x2, layer->ffn_norm);
    HN_TRY(hn_linear_forward(n, &layer->linear[4], m->gate, n->h, m->low[4], err));
    HN_TRY(hn_linear_forward(n, &layer->linear[5], m->up, n->h, m->low[5], err));
    hn_network_rows(n, swiglu_rows, m);
    HN_TRY(hn_linear_forward(n, &layer->linear[6], out, n->act, m->low[6], err));
    sum_job sum = {out, m->x2};
    hn_network_rows(n, add_rows, &sum);
    return HN_OK;
}

static hn_status layers_forward(hn_network *n, hn_error *err) {
    const hn_shape *s = &n->shape;
    for (int l = 0; l < s->n_layers; l++) {
        HN_TRY(attention_block(n, &n->layers[l], err));
        float *out = l + 1 < s->n_layers ? n->layers[l + 1].memory.x : n->x;
        HN_TRY(feed_forward_block(n, &n->layers[l], out, err));
    }
    hn_network_norm(n, n->h, n->x, n->output_norm);
    return HN_OK;
}

/* ---- losses ---- */

hn_matrix hn_network_output(const hn_network *n) {
    const hn_linear *l = &n->output;
    return l->forward.pack ? l->forward : hn_product_matrix(l->w->w, l->w->rows, l->w->columns);
}

hn_status hn_network_logits(hn_network *n, float *logits, hn_error *err) {
    hn_matrix w = hn_network_output(n);
    if (!n->was_run) return hn_fail(err, HN_ERR_USAGE, "network", NULL, "there was no forward pass");
    hn_network_norm(n, n->h, n->x, n->output_norm); /* a backward pass may have used its memory */
    return hn_product_forward(&n->products, logits, n->h, &w, n->batch->n_rows, err);
}

static hn_status losses_of(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    size_t C = (size_t)n->shape.n_embd, V = (size_t)n->shape.n_vocab;
    hn_matrix w = hn_network_output(n);
    int rows[HN_LOSS_ROWS], count = 0;
    memset(losses, 0, (size_t)b->n_rows * sizeof *losses);
    for (int t = 0; t < b->n_rows; t++) {
        if (b->targets[t] != HN_NO_TARGET) {
            memcpy(n->gathered + (size_t)count * C, n->h + (size_t)t * C, C * sizeof(float));
            rows[count++] = t;
        }
        if (count < HN_LOSS_ROWS && t + 1 < b->n_rows) continue;
        HN_TRY(hn_product_forward(&n->products, n->logits, n->gathered, &w, count ? count : 1, err));
        for (int i = 0; i < count; i++) {
            const float *row = n->logits + (size_t)i * V;
            double lse;
            losses[rows[i]] = hn_row_loss(n->kernels, b, rows[i], row, V, &lse);
        }
        count = 0;
    }
    return HN_OK;
}

hn_status hn_network_forward(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    n->was_run = false;
    HN_TRY(check_batch(n, b, err));
    HN_TRY(reserve(n, b->n_rows, err));
    n->batch = b;
    HN_TRY(hn_magnitudes_measure(n, err));
    embed(n, b);
    HN_TRY(layers_forward(n, err));
    n->was_run = true;
    return losses ? losses_of(n, b, losses, err) : HN_OK;
}
