/* The transformer over one chunk of rows; see engine_parts.h. Every operation works on each row alone, and attention
 * reads keys and values from the cache (a tree's own from the tail), so how rows are put together into chunks never
 * changes a row's bits. */
#include "engine/engine_parts.h"

#include <math.h>
#include <string.h>

static size_t width_q(const hn_engine *e) { return (size_t)e->shape->n_heads * (size_t)e->shape->head_size; }
static size_t width_kv(const hn_engine *e) { return (size_t)e->shape->n_kv_heads * (size_t)e->shape->head_size; }

/* Token embeddings into x, and each row's cosines and sines. */
static void embed_rows(void *arg, int thread, int n_threads) {
    hn_engine *e = arg;
    size_t from, to, C = (size_t)e->shape->n_embd;
    int half = e->shape->head_size / 2, rotated = e->shape->rope_dims / 2;
    hn_share((size_t)e->chunk.n_rows, 1, thread, n_threads, &from, &to);
    for (size_t r = from; r < to; r++) {
        float *cos_row = e->scratch.cos + r * (size_t)half, *sin_row = e->scratch.sin + r * (size_t)half;
        hn_matrix_row(e->kernels, e->scratch.x + r * C, &e->weights.embedding, e->chunk.ids[r]);
        for (int i = 0; i < half; i++) {
            float angle = (float)e->chunk.positions[r] * (i < rotated ? e->rope_frequencies[i] : 0);
            float magnitude = i < rotated ? e->shape->rope_magnitude : 1;
            cos_row[i] = (float)cos((double)angle) * magnitude;
            sin_row[i] = (float)sin((double)angle) * magnitude;
        }
    }
}

typedef struct norm_job {
    hn_engine *e;
    const float *weight;
    bool add_first; /* x += h before */
} norm_job;

/* x (T,C) += h where asked; h = norm of x. */
static void norm_rows(void *arg, int64_t from, int64_t to) {
    norm_job *job = arg;
    hn_engine *e = job->e;
    size_t C = (size_t)e->shape->n_embd, n = (size_t)(to - from);
    float *x = e->scratch.x + (size_t)from * C, *h = e->scratch.h + (size_t)from * C;
    if (job->add_first) e->kernels->add(x, h, n * C);
    if (job->weight) e->kernels->rmsnorm(h, x, job->weight, (int)n, e->shape->n_embd, e->shape->norm_eps);
}

/* x += h, all rows. */
static void add_rows(void *arg, int thread, int n_threads) {
    hn_engine *e = arg;
    size_t from, to;
    hn_share((size_t)e->chunk.n_rows, 1, thread, n_threads, &from, &to);
    if (from < to) norm_rows(&(norm_job){.e = e, .add_first = true}, (int64_t)from, (int64_t)to);
}

typedef struct store_job {
    hn_engine *e;
    int layer;
} store_job;

typedef struct hn_tail {
    unsigned char *k, *v;
} hn_tail;

/* Where a tree run's own keys and values of a layer are, from slot 0 on. */
static hn_tail tail_of(const hn_engine *e, const hn_run *run, int layer) {
    size_t row_bytes = hn_kv_row_bytes(e->attention.kv_type, e->shape->n_kv_heads, e->shape->head_size);
    if (!run->is_kept) {
        size_t at = (size_t)run->row * row_bytes;
        return (hn_tail){e->scratch.tail_k + at, e->scratch.tail_v + at};
    }
    unsigned char *k = e->kept + 2 * (size_t)layer * e->kept_rows * row_bytes;
    return (hn_tail){k, k + e->kept_rows * row_bytes};
}

static void store_row(hn_engine *e, const hn_run *run, size_t row, int layer) {
    const hn_shape *s = e->shape;
    const float *k = e->scratch.k + row * width_kv(e), *v = e->scratch.v + row * width_kv(e);
    if (e->chunk.is_tree) {
        int slot = run->first_slot + (int)row - run->row;
        hn_tail tail = tail_of(e, run, layer);
        e->kernels->kv_store_tail(tail.k, k, slot, s->n_kv_heads, s->head_size, e->attention.kv_type);
        e->kernels->kv_store_tail(tail.v, v, slot, s->n_kv_heads, s->head_size, e->attention.kv_type);
        return;
    }
    int position = e->chunk.positions[row];
    unsigned char *block =
        hn_kv_pool_data(&e->kv, run->sequence->blocks[position / HN_KV_BLOCK]) + (size_t)layer * e->kv_layer_bytes;
    e->kernels->kv_store(block, block + e->kv_layer_bytes / 2, k, v, position % HN_KV_BLOCK, s->n_kv_heads,
                         s->head_size, e->attention.kv_type);
}

/* Rotates q and k and puts k and v into the cache. */
static void rope_and_store_rows(void *arg, int thread, int n_threads) {
    store_job *job = arg;
    hn_engine *e = job->e;
    const hn_shape *s = e->shape;
    hn_scratch *m = &e->scratch;
    size_t from, to, half = (size_t)s->head_size / 2, Q = width_q(e), KV = width_kv(e);
    hn_share((size_t)e->chunk.n_rows, 1, thread, n_threads, &from, &to);
    if (from == to) return;
    int T = (int)(to - from);
    e->kernels->rope(m->q + from * Q, (int)Q, m->cos + from * half, m->sin + from * half, T, s->n_heads, s->head_size,
                     s->rope_interleaved);
    e->kernels->rope(m->k + from * KV, (int)KV, m->cos + from * half, m->sin + from * half, T, s->n_kv_heads,
                     s->head_size, s->rope_interleaved);
    int r = 0;
    for (size_t row = from; row < to; row++) {
        while (row >= (size_t)(e->chunk.runs[r].row + e->chunk.runs[r].n_rows)) r++;
        store_row(e, &e->chunk.runs[r], row, job->layer);
    }
}

/* Positions before the chunk's rows (tree), or up to its last (plain). */
static size_t blocks_of(const hn_run *run, bool is_tree) {
    size_t n = (size_t)(is_tree ? run->first : run->first + run->n_rows);
    return (n + HN_KV_BLOCK - 1) / HN_KV_BLOCK;
}

static void attend(hn_engine *e, int layer) {
    hn_scratch *m = &e->scratch;
    size_t used = 0, Q = width_q(e);
    for (int r = 0; r < e->chunk.n_runs; r++) {
        const hn_run *run = &e->chunk.runs[r];
        size_t n = blocks_of(run, e->chunk.is_tree), row = (size_t)run->row;
        m->attention_runs[r] = (hn_attention_run){
            .q = m->q + row * Q,
            .out = m->attention + row * Q,
            .n_rows = run->n_rows,
            .first = run->first,
            .k_blocks = m->k_blocks + used,
            .v_blocks = m->v_blocks + used,
            .slots = run->slots,
            .slot_start = run->slot_start,
        };
        if (e->chunk.is_tree) {
            hn_tail tail = tail_of(e, run, layer);
            m->attention_runs[r].tail_k = tail.k;
            m->attention_runs[r].tail_v = tail.v;
        }
        for (size_t b = 0; b < n; b++) {
            const unsigned char *block =
                hn_kv_pool_data(&e->kv, run->sequence->blocks[b]) + (size_t)layer * e->kv_layer_bytes;
            m->k_blocks[used] = block;
            m->v_blocks[used++] = block + e->kv_layer_bytes / 2;
        }
    }
    hn_attention(e->kernels, e->pool, m->attention_runs, e->chunk.n_runs, &e->attention, m->attend);
}

static void multiply(hn_engine *e, float *y, const float *x, const hn_matrix *w, const hn_matrix *next) {
    hn_matmul_parts(e->kernels, e->pool, &(hn_matmul_part){y, w}, 1, x, e->chunk.n_rows, next, e->scratch.matmul);
}

/* q, k and v of the normalised rows, after x got the layer before's feed-forward. */
static void multiply_qkv(hn_engine *e, const hn_layer *layer, bool add_first) {
    const hn_matmul_part parts[] = {{e->scratch.q, &layer->q}, {e->scratch.k, &layer->k}, {e->scratch.v, &layer->v}};
    norm_job job = {e, layer->attention_norm, add_first};
    hn_matmul_made(e->kernels, e->pool, parts, 3, e->scratch.h, e->chunk.n_rows, norm_rows, &job, &layer->o,
                   e->scratch.matmul);
}

static void multiply_gate_up(hn_engine *e, const hn_layer *layer) {
    const hn_matmul_part parts[] = {{e->scratch.gate, &layer->gate}, {e->scratch.up, &layer->up}};
    norm_job job = {e, layer->ffn_norm, true};
    hn_matmul_made(e->kernels, e->pool, parts, 2, e->scratch.h, e->chunk.n_rows, norm_rows, &job, &layer->down,
                   e->scratch.matmul);
}

static void swiglu_rows(void *arg, int64_t from, int64_t to) {
    hn_engine *e = arg;
    size_t F = (size_t)e->shape->n_ff, at = (size_t)from * F;
    e->kernels->swiglu(e->scratch.act + at, e->scratch.gate + at, e->scratch.up + at, (int)(to - from), (int)F, (int)F);
}

static void multiply_down(hn_engine *e, const hn_layer *layer, const hn_matrix *next) {
    const hn_matmul_part part = {e->scratch.h, &layer->down};
    hn_matmul_made(e->kernels, e->pool, &part, 1, e->scratch.act, e->chunk.n_rows, swiglu_rows, e, next,
                   e->scratch.matmul);
}

/* In the last layer, rows whose final states nobody wants are done once their keys and values are stored: the others
 * move together. */
static void drop_unwanted_rows(hn_engine *e) {
    size_t C = (size_t)e->shape->n_embd, Q = width_q(e);
    int n_runs = 0, row = 0;
    for (int r = 0; r < e->chunk.n_runs; r++) {
        hn_run run = e->chunk.runs[r];
        size_t from = (size_t)(run.row + run.n_unwanted), to = (size_t)row;
        int keep = run.n_rows - run.n_unwanted;
        if (keep == 0) continue;
        memmove(e->scratch.x + to * C, e->scratch.x + from * C, (size_t)keep * C * sizeof(float));
        memmove(e->scratch.q + to * Q, e->scratch.q + from * Q, (size_t)keep * Q * sizeof(float));
        run.row = row;
        run.n_rows = keep;
        run.first += run.n_unwanted;
        run.n_unwanted = 0;
        e->entry_of_run[n_runs] = e->entry_of_run[r];
        e->chunk.runs[n_runs++] = run;
        row += keep;
    }
    e->chunk.n_runs = n_runs;
    e->chunk.n_rows = row;
}

void hn_forward(hn_engine *e) {
    hn_scratch *m = &e->scratch;
    hn_engine_run(e, embed_rows, e, e->chunk.n_rows);
    for (int l = 0; l < e->shape->n_layers; l++) {
        const hn_layer *layer = &e->weights.layers[l];
        multiply_qkv(e, layer, l > 0);
        hn_engine_add_low_rank(e, l, 0, m->q, layer->q.n_out, m->h);
        hn_engine_add_low_rank(e, l, 1, m->k, layer->k.n_out, m->h);
        hn_engine_add_low_rank(e, l, 2, m->v, layer->v.n_out, m->h);
        hn_engine_run(e, rope_and_store_rows, &(store_job){e, l}, e->chunk.n_rows);
        if (l + 1 == e->shape->n_layers && !e->chunk.is_tree) drop_unwanted_rows(e);
        if (e->chunk.n_rows == 0) return;
        attend(e, l);
        multiply(e, m->h, m->attention, &layer->o, &layer->gate);
        hn_engine_add_low_rank(e, l, 3, m->h, layer->o.n_out, m->attention);
        multiply_gate_up(e, layer);
        hn_engine_add_low_rank(e, l, 4, m->gate, layer->gate.n_out, m->h);
        hn_engine_add_low_rank(e, l, 5, m->up, layer->up.n_out, m->h);
        multiply_down(e, layer, l + 1 < e->shape->n_layers ? &layer[1].q : &e->weights.output);
        hn_engine_add_low_rank(e, l, 6, m->h, layer->down.n_out, m->act);
    }
    hn_engine_run(e, add_rows, e, e->chunk.n_rows);
}
