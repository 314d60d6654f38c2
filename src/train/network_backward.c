/* The backward pass of a trainable network, the forward pass read from its end; see network.h. The gradient of the rows flows in n->dx. */
#include "train/network_parts.h"

#include <string.h>

/* ---- loss and output matrix ---- */

/* Adds a finished tile's share: dh of its rows, and the output matrix's gradient. */
static hn_status output_tile(hn_network *n, const int *rows, int count, hn_error *err) {
    int64_t C = n->shape.n_embd, V = n->shape.n_vocab;
    memset(n->dgathered, 0, (size_t)(count * C) * sizeof(float));
    HN_TRY(hn_product_input(&n->products, n->dgathered, n->logits, n->output->w, count, V, C, err));
    if (n->output->dw)
        HN_TRY(hn_product_weights(&n->products, n->output->dw, n->logits, n->gathered, count, V, C, err));
    for (int i = 0; i < count; i++)
        memcpy(n->dh + (int64_t)rows[i] * C, n->dgathered + i * C, (size_t)C * sizeof(float));
    return HN_OK;
}

/* dh (T,C) of the final normalised states. Rows without a target get zeros. */
static hn_status loss_backward(hn_network *n, const hn_train_batch *b, hn_error *err) {
    size_t C = (size_t)n->shape.n_embd, V = (size_t)n->shape.n_vocab;
    hn_matrix w = hn_product_matrix(n->output->w, n->output->rows, n->output->columns);
    int rows[HN_LOSS_ROWS], count = 0, supervised = 0;
    for (int t = 0; t < b->n_rows; t++) supervised += b->targets[t] != HN_NO_TARGET;
    memset(n->dh, 0, (size_t)b->n_rows * C * sizeof(float));
    for (int t = 0; t < b->n_rows; t++) {
        if (b->targets[t] != HN_NO_TARGET) {
            memcpy(n->gathered + (size_t)count * C, n->h + (size_t)t * C, C * sizeof(float));
            rows[count++] = t;
        }
        if (count == 0 || (count < HN_LOSS_ROWS && t + 1 < b->n_rows)) continue;
        HN_TRY(hn_product_forward(&n->products, n->logits, n->gathered, &w, count, err));
        for (int i = 0; i < count; i++) {
            float weight = b->weights ? b->weights[rows[i]] : 1 / (float)supervised;
            hn_cross_entropy_backward(n->logits + (size_t)i * V, (int)V, b->targets[rows[i]], weight);
        }
        HN_TRY(output_tile(n, rows, count, err));
        count = 0;
    }
    return HN_OK;
}

/* ---- a layer ---- */

/* dx (T,C) += of y = norm(x); the weight's gradient is summed in f64 and then added. */
static void norm_backward(hn_network *n, float *dx, const float *dy, const float *x, hn_tensor *weight) {
    int C = n->shape.n_embd;
    if (weight->dw) memset(n->dnorm, 0, (size_t)C * sizeof *n->dnorm);
    hn_rmsnorm_backward(dx, weight->dw ? n->dnorm : NULL, dy, x, weight->w, n->batch->n_rows, C, n->shape.norm_eps);
    for (int c = 0; weight->dw && c < C; c++) weight->dw[c] += (float)n->dnorm[c];
}

typedef struct layer_job {
    hn_network *n;
    hn_layer_memory *m;
} layer_job;

static void attend_backward(void *arg, int thread, int n_threads) {
    layer_job *job = arg;
    hn_network *n = job->n;
    const hn_layer_memory *m = job->m;
    for (int kv = thread; kv < n->shape.n_kv_heads; kv += n_threads)
        for (int s = 0; s < n->batch->n_sequences; s++)
            hn_attention_backward(n->dq, n->dk, n->dv, n->da, m->attention, m->lse, m->q, m->k, m->v,
                                  n->batch->starts[s], hn_sequence_rows(n->batch, s), kv, &n->heads);
}

/* n->dx is the gradient of the layer's output and becomes that of x2: the branch's share is added to the straight one. */
static hn_status feed_forward_backward(hn_network *n, hn_network_layer *layer, hn_error *err) {
    const hn_layer_memory *m = &layer->memory;
    size_t T = (size_t)n->batch->n_rows, C = (size_t)n->shape.n_embd, F = (size_t)n->shape.n_ff;
    memset(n->dact, 0, T * F * sizeof(float));
    memset(n->dh, 0, T * C * sizeof(float));
    HN_TRY(hn_linear_backward(n, &layer->linear[6], n->dact, n->dx, m->act, m->low[6], err));
    hn_swiglu_backward(n->dgate, n->dup, n->dact, m->gate, m->up, (int64_t)(T * F));
    HN_TRY(hn_linear_backward(n, &layer->linear[4], n->dh, n->dgate, m->h2, m->low[4], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[5], n->dh, n->dup, m->h2, m->low[5], err));
    norm_backward(n, n->dx, n->dh, m->x2, layer->ffn_norm);
    return HN_OK;
}

static hn_status attention_backward(hn_network *n, hn_network_layer *layer, hn_error *err) {
    const hn_shape *s = &n->shape;
    hn_layer_memory *m = &layer->memory;
    int T = n->batch->n_rows, Q = s->n_heads * s->head_size, KV = s->n_kv_heads * s->head_size;
    size_t q_bytes = (size_t)T * (size_t)Q * sizeof(float), kv_bytes = (size_t)T * (size_t)KV * sizeof(float);
    memset(n->da, 0, q_bytes), memset(n->dq, 0, q_bytes), memset(n->dk, 0, kv_bytes), memset(n->dv, 0, kv_bytes);
    memset(n->dh, 0, (size_t)T * (size_t)s->n_embd * sizeof(float));
    HN_TRY(hn_linear_backward(n, &layer->linear[3], n->da, n->dx, m->attention, m->low[3], err));
    layer_job job = {n, m};
    hn_network_run(n, attend_backward, &job);
    hn_rope_backward(n->dq, Q, n->cos, n->sin, T, s->n_heads, s->head_size, s->rope_interleaved);
    hn_rope_backward(n->dk, KV, n->cos, n->sin, T, s->n_kv_heads, s->head_size, s->rope_interleaved);
    HN_TRY(hn_linear_backward(n, &layer->linear[0], n->dh, n->dq, m->h, m->low[0], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[1], n->dh, n->dk, m->h, m->low[1], err));
    HN_TRY(hn_linear_backward(n, &layer->linear[2], n->dh, n->dv, m->h, m->low[2], err));
    norm_backward(n, n->dx, n->dh, m->x, layer->attention_norm);
    return HN_OK;
}

static void embedding_backward(hn_network *n, const hn_train_batch *b) {
    size_t C = (size_t)n->shape.n_embd;
    if (!n->embedding->dw) return;
    for (int t = 0; t < b->n_rows; t++)
        n->kernels->add(n->embedding->dw + (size_t)b->ids[t] * C, n->dx + (size_t)t * C, C);
}

hn_status hn_network_backward(hn_network *n, const hn_train_batch *b, hn_error *err) {
    if (!n->was_run || n->batch != b)
        return hn_fail(err, HN_ERR_USAGE, "network", NULL, "backward needs the batch of the last forward pass");
    HN_TRY(loss_backward(n, b, err));
    memset(n->dx, 0, (size_t)b->n_rows * (size_t)n->shape.n_embd * sizeof(float));
    norm_backward(n, n->dx, n->dh, n->x, n->output_norm);
    for (int l = n->shape.n_layers - 1; l >= 0; l--) {
        HN_TRY(feed_forward_backward(n, &n->layers[l], err));
        HN_TRY(attention_backward(n, &n->layers[l], err));
    }
    embedding_backward(n, b);
    return HN_OK;
}
