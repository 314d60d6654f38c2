/* What a LoRA adapter adds to the products of a step: y (T,N) += (x A^T) B^T (then, of DoRA, each output times its gain), in f32 whatever the weights' format is. Each row by itself and each
 * output one chain of additions, so that batching changes no bits. */
#include "base/alloc.h"
#include "engine/engine_parts.h"
#include "kernel/learn.h"

#include <string.h>

hn_status hn_engine_prepare_low_rank(hn_engine *e, hn_error *err) {
    size_t n = (size_t)e->shape->n_layers * HN_LINEARS_OF_LAYER;
    const hn_low_rank *low = e->weights.layers[0].low_rank;
    if (!low) return HN_OK;
    e->low_rank_a = hn_calloc(n, sizeof *e->low_rank_a);
    if (!e->low_rank_a) return hn_fail_memory(err, n * sizeof *e->low_rank_a);
    for (int l = 0; l < e->shape->n_layers; l++) {
        const hn_layer *w = &e->weights.layers[l];
        const int64_t inputs[HN_LINEARS_OF_LAYER] = {w->q.n_in,    w->k.n_in,  w->v.n_in,   w->o.n_in,
                                                     w->gate.n_in, w->up.n_in, w->down.n_in};
        for (int i = 0; i < HN_LINEARS_OF_LAYER; i++) {
            hn_matrix *a = &e->low_rank_a[(size_t)l * HN_LINEARS_OF_LAYER + (size_t)i];
            if (w->low_rank[i].rank == 0) continue;
            if (w->low_rank[i].rank > e->largest_rank) e->largest_rank = w->low_rank[i].rank;
            *a = (hn_matrix){
                .dtype = HN_DTYPE_F32, .n_out = w->low_rank[i].rank, .n_in = inputs[i], .data = w->low_rank[i].a};
            HN_TRY(hn_matrix_prepare(a, e->kernels, HN_PACK_KEEP, e->pool, err));
            e->pack_bytes += a->pack_bytes;
        }
    }
    return HN_OK;
}

void hn_engine_release_low_rank(hn_engine *e) {
    for (size_t i = 0; e->low_rank_a && i < (size_t)e->shape->n_layers * HN_LINEARS_OF_LAYER; i++)
        hn_matrix_release(&e->low_rank_a[i]);
    hn_free(e->low_rank_a);
    e->low_rank_a = NULL;
}

typedef struct low_job {
    hn_engine *e;
    const hn_low_rank *low;
    float *y;
    int64_t N;
} low_job;

static void add_rows(void *arg, int thread, int n_threads) {
    const low_job *j = arg;
    size_t from, to, r = (size_t)j->low->rank;
    hn_share((size_t)j->e->chunk.n_rows, 4, thread, n_threads, &from, &to);
    if (from == to) return;
    hn_learn_ops_of(j->e->kernels)
        ->rows_add(j->y + from * (size_t)j->N, j->N, j->e->scratch.low + from * r, (int64_t)r, j->low->b, j->N,
                   (int64_t)(to - from), (int64_t)r, j->N);
    for (size_t t = from; j->low->gain && t < to; t++)
        for (int64_t n = 0; n < j->N; n++) j->y[t * (size_t)j->N + (size_t)n] *= j->low->gain[n];
}

void hn_engine_add_low_rank(hn_engine *e, int layer, int linear, float *y, int64_t N, const float *x) {
    if (!e->low_rank_a) return;
    const hn_low_rank *low = &e->weights.layers[layer].low_rank[linear];
    const hn_matrix *a = &e->low_rank_a[(size_t)layer * HN_LINEARS_OF_LAYER + (size_t)linear];
    if (low->rank == 0) return;
    hn_matmul(e->kernels, e->pool, e->scratch.low, low->rank, x, a->n_in, a, e->chunk.n_rows, e->scratch.matmul);
    low_job job = {e, low, y, N};
    hn_engine_run(e, add_rows, &job, e->chunk.n_rows);
}
