/* The backward pass of a trainable network, the forward pass read from its end; see network.h. The gradient of the rows flows in n->dx. */
#include "train/network_parts.h"
#include "train/row_loss.h"

#include <string.h>

/* ---- loss and output matrix ---- */

typedef struct tile_job {
    hn_network *n;
    const hn_train_batch *b;
    int from, count; /* of the supervised rows */
    double *losses;  /* (T) of the batch, or NULL */
} tile_job;

/* Logits become the loss's gradient. */
static void loss_rows(void *arg, int thread, int n_threads) {
    const tile_job *j = arg;
    hn_network *n = j->n;
    size_t from, to, V = (size_t)n->shape.n_vocab;
    hn_share((size_t)j->count, 1, thread, n_threads, &from, &to);
    for (size_t i = from; i < to; i++) {
        int row = n->supervised[(size_t)j->from + i];
        float *logits = n->logits + i * V, weight = j->b->weights ? j->b->weights[row] : 1 / (float)n->n_supervised;
        double lse, loss = hn_row_loss(n->kernels, j->b, row, logits, V, &lse);
        if (j->losses) j->losses[row] = loss;
        hn_row_gradient(n->ops, j->b, row, logits, V, lse, weight);
    }
}

/* dh (T,C) of the final normalised states n->h, and the output matrix's gradient, some rows of logits at a time. */
static hn_status loss_backward(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    size_t C = (size_t)n->shape.n_embd;
    hn_matrix w = hn_network_output(n);
    if (losses) memset(losses, 0, (size_t)b->n_rows * sizeof *losses);
    memset(n->dh, 0, (size_t)n->n_supervised * C * sizeof(float));
    for (int from = 0, count; from < n->n_supervised; from += count) {
        count = n->n_supervised - from < HN_LOSS_ROWS ? n->n_supervised - from : HN_LOSS_ROWS;
        tile_job job = {n, b, from, count, losses};
        const float *h = n->h + (size_t)from * C;
        HN_TRY(hn_product_forward(&n->products, n->logits, h, &w, count, err));
        hn_network_run(n, loss_rows, &job);
        HN_TRY(hn_linear_backward_rows(n, &n->output, n->dh + (size_t)from * C, n->logits, h, count, err));
    }
    return HN_OK;
}

/* ---- a layer ---- */

typedef struct norm_job {
    float *dx;
    const float *dy, *x;
    const hn_tensor *weight;
} norm_job;

static void norm_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const norm_job *j = arg;
    size_t at = from * (size_t)n->shape.n_embd;
    n->ops->rmsnorm_backward(j->dx + at, NULL, j->dy + at, j->x + at, j->weight->w, (int)(to - from), n->shape.n_embd,
                             n->shape.norm_eps);
}

/* dx (T,C) += of y = norm(x). A weight that learns sums over all rows, in f64 and in their order, on one thread. */
static void norm_backward(hn_network *n, float *dx, const float *dy, const float *x, hn_tensor *weight) {
    int C = n->shape.n_embd;
    norm_job job = {dx, dy, x, weight};
    if (!weight->dw) {
        hn_network_rows(n, norm_rows, &job);
        return;
    }
    memset(n->dnorm, 0, (size_t)C * sizeof *n->dnorm);
    n->ops->rmsnorm_backward(dx, n->dnorm, dy, x, weight->w, n->active, C, n->shape.norm_eps);
    for (int c = 0; c < C; c++) weight->dw[c] += (float)n->dnorm[c];
}

/* act is made again for down's gradients, and the gradients of gate and up. */
static void gate_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    size_t F = (size_t)n->shape.n_ff, at = from * F;
    n->ops->swiglu_backward(n->dgate + at, n->dup + at, n->dact + at, m->gate + at, m->up + at, (to - from) * F);
}

static void act_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_layer_memory *m = arg;
    size_t F = (size_t)n->shape.n_ff, at = from * F;
    n->kernels->swiglu(n->act + at, m->gate + at, m->up + at, (int)(to - from), (int)F, (int)F);
}

/* n->dx is the gradient of the layer's output and becomes that of x2: the branch's share is added to the straight one. */
static hn_status feed_forward_backward(hn_network *n, hn_network_layer *layer, hn_error *err) {
    hn_layer_memory *m = &layer->memory;
    size_t T = (size_t)n->active, C = (size_t)n->shape.n_embd, F = (size_t)n->shape.n_ff;
    memset(n->dact, 0, T * F * sizeof(float));
    memset(n->dh, 0, T * C * sizeof(float));
    hn_network_rows(n, act_rows, m);
    HN_TRY(hn_linear_backward(n, &layer->linear[6], n->dact, n->dx, n->act, m->low[6], err));
    hn_network_rows(n, gate_rows, m);
    hn_network_norm(n, n->h, m->x2, layer->ffn_norm);
    HN_TRY(hn_linear_backward(n, &layer->linear[4], n->dh, n->dgate, n->h, m->low[4], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[5], n->dh, n->dup, n->h, m->low[5], err));
    norm_backward(n, n->dx, n->dh, m->x2, layer->ffn_norm);
    return HN_OK;
}

typedef struct layer_job {
    hn_network *n;
    hn_layer_memory *m;
} layer_job;

static void attend_backward(void *arg, int thread, int n_threads) {
    layer_job *job = arg;
    hn_network *n = job->n;
    const hn_layer_memory *m = job->m;
    size_t Q = (size_t)(n->shape.n_heads * n->shape.head_size), KV = (size_t)(n->shape.n_kv_heads * n->shape.head_size);
    size_t share = (size_t)n->batch->prefix_rows * KV, first;
    float *scratch = n->scratch + (size_t)thread * n->scratch_floats;
    for (int i = thread, count = hn_attention_parts(n); i < count; i += n_threads) {
        hn_attention_part part = hn_attention_part_at(n, i);
        for (int s = part.from; s < part.to; s++) {
            hn_learn_sequence seq = hn_attention_sequence(n, m, s, &first);
            hn_learn_gradients d = {n->dq + first * Q, n->dk + first * KV, n->dv + first * KV,
                                    n->prefix_dk + (size_t)part.share * share,
                                    n->prefix_dv + (size_t)part.share * share};
            if (seq.n_prefix && s == part.from) n->ops->attention_prefix(&seq, part.kv, &n->heads, scratch);
            n->ops->attention_backward(&d, n->da + first * Q, m->attention + first * Q,
                                       m->lse + first * (size_t)n->shape.n_heads, &seq, part.kv, &n->heads, scratch);
        }
    }
}

/* What all sequences add to the prefix's keys and values, share by share in their order. */
static void add_prefix_shares(hn_network *n) {
    size_t share = (size_t)n->batch->prefix_rows * (size_t)(n->shape.n_kv_heads * n->shape.head_size);
    for (size_t i = 0; share && i < HN_PREFIX_SHARES; i++) {
        n->kernels->add(n->dk, n->prefix_dk + i * share, share);
        n->kernels->add(n->dv, n->prefix_dv + i * share, share);
    }
}

static void unrope_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const hn_shape *s = &n->shape;
    int Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size, T = (int)(to - from);
    size_t at = from * (size_t)s->head_size / 2;
    (void)arg;
    n->kernels->rope(n->dq + from * (size_t)Q, Q, n->cos + at, n->unsin + at, T, s->n_heads, s->head_size,
                     s->rope_interleaved);
    n->kernels->rope(n->dk + from * (size_t)KV, KV, n->cos + at, n->unsin + at, T, s->n_kv_heads, s->head_size,
                     s->rope_interleaved);
}

/* The gradient of attention's output of all rows into n->da. In the last layer rows without a target have none, and n->dx goes back to all rows. */
static hn_status attention_output_backward(hn_network *n, hn_network_layer *layer, hn_error *err) {
    size_t T = (size_t)n->batch->n_rows, Q = (size_t)(n->shape.n_heads * n->shape.head_size),
           C = (size_t)n->shape.n_embd, active = (size_t)n->active;
    hn_layer_memory *m = &layer->memory;
    if (layer != &n->layers[n->shape.n_layers - 1]) {
        memset(n->da, 0, T * Q * sizeof(float));
        return hn_linear_backward(n, &layer->linear[3], n->da, n->dx, m->attention, m->low[3], err);
    }
    memset(n->dq, 0, active * Q * sizeof(float));
    HN_TRY(hn_linear_backward(n, &layer->linear[3], n->dq, n->dx, n->tail, m->low[3], err));
    hn_network_scatter(n, n->da, n->dq, Q);
    memcpy(n->dh, n->dx, active * C * sizeof(float));
    hn_network_scatter(n, n->dx, n->dh, C);
    n->active = n->batch->n_rows;
    return HN_OK;
}

static hn_status attention_backward(hn_network *n, hn_network_layer *layer, hn_error *err) {
    const hn_shape *s = &n->shape;
    hn_layer_memory *m = &layer->memory;
    size_t T = (size_t)n->batch->n_rows, KV = (size_t)(s->n_kv_heads * s->head_size),
           share_bytes = HN_PREFIX_SHARES * (size_t)n->batch->prefix_rows * KV * sizeof(float);
    HN_TRY(attention_output_backward(n, layer, err));
    memset(n->dq, 0, T * (size_t)(s->n_heads * s->head_size) * sizeof(float));
    memset(n->dk, 0, T * KV * sizeof(float)), memset(n->dv, 0, T * KV * sizeof(float));
    memset(n->prefix_dk, 0, share_bytes), memset(n->prefix_dv, 0, share_bytes);
    memset(n->dh, 0, T * (size_t)s->n_embd * sizeof(float));
    layer_job job = {n, m};
    hn_network_run(n, attend_backward, &job);
    add_prefix_shares(n);
    hn_network_rows(n, unrope_rows, NULL);
    hn_network_norm(n, n->h, m->x, layer->attention_norm);
    HN_TRY(hn_linear_backward(n, &layer->linear[0], n->dh, n->dq, n->h, m->low[0], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[1], n->dh, n->dk, n->h, m->low[1], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[2], n->dh, n->dv, n->h, m->low[2], err));
    norm_backward(n, n->dx, n->dh, m->x, layer->attention_norm);
    return HN_OK;
}

static void embedding_backward(hn_network *n, const hn_train_batch *b) {
    size_t C = (size_t)n->shape.n_embd;
    if (!n->embedding->dw) return;
    for (int t = 0; t < b->n_rows; t++)
        n->kernels->add(n->embedding->dw + (size_t)b->ids[t] * C, n->dx + (size_t)t * C, C);
}

hn_status hn_network_backward(hn_network *n, const hn_train_batch *b, double *losses, hn_error *err) {
    if (!n->was_run || n->batch != b || b->base_only)
        return hn_fail(err, HN_ERR_USAGE, "network", NULL,
                       "backward needs the batch of the last forward pass, its adapter included");
    HN_TRY(hn_activations_get(n, n->shape.n_layers - 1, err));
    n->active = n->n_supervised;
    hn_network_norm(n, n->h, n->x, n->output_norm);
    HN_TRY(loss_backward(n, b, losses, err));
    memset(n->dx, 0, (size_t)n->active * (size_t)n->shape.n_embd * sizeof(float));
    norm_backward(n, n->dx, n->dh, n->x, n->output_norm);
    for (int l = n->shape.n_layers - 1; l >= 0; l--) {
        HN_TRY(hn_activations_get(n, l, err));
        HN_TRY(feed_forward_backward(n, &n->layers[l], err));
        HN_TRY(attention_backward(n, &n->layers[l], err));
    }
    embedding_backward(n, b);
    return HN_OK;
}
