/* A linear layer with a low-rank adapter, forward and backward (Hu et al. 2021), its dropout and DoRA's magnitudes included. The scaled low-rank rows are what is kept: the gradient of B needs
 * just them. Products with the rank as inner or outer size go over the rows once, in f32. */
#include "train/dropout.h"
#include "train/magnitude.h"
#include "train/network_parts.h"

#include <string.h>

static void scale(float *x, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

typedef struct low_job {
    float *y;
    const float *low, *b; /* (T,r) (r,N) */
    int64_t r, N;
} low_job;

static void add_low_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const low_job *j = arg;
    n->ops->rows_add(j->y + from * (size_t)j->N, j->N, j->low + from * (size_t)j->r, j->r, j->b, j->N,
                     (int64_t)(to - from), j->r, j->N);
}

/* B (N,r) as (r,N), in the products' scratch: valid until the next product. */
static hn_status transposed_b(hn_network *n, const hn_linear *l, float **b, hn_error *err) {
    return hn_product_transposed(&n->products, b, l->b->w, l->b->rows, l->b->columns, err);
}

/* y (T,N) += low (T,r) B^T */
static hn_status add_low(hn_network *n, const hn_linear *l, float *y, const float *low, hn_error *err) {
    float *b;
    HN_TRY(transposed_b(n, l, &b, err));
    low_job job = {y, low, b, l->a->rows, l->w->rows};
    hn_network_rows(n, add_low_rows, &job);
    return HN_OK;
}

hn_status hn_linear_low(hn_network *n, const hn_linear *l, const float *x, float *low, hn_error *err) {
    if (!l->a || n->batch->base_only) return HN_OK;
    hn_matrix a = hn_product_matrix(l->a->w, l->a->rows, l->w->columns);
    if (hn_dropout_is_on(n)) hn_dropout_apply(n, l, n->dropped, x), x = n->dropped;
    HN_TRY(hn_product_forward(&n->products, low, x, &a, n->active, err));
    scale(low, l->scaling, (size_t)(n->active * l->a->rows));
    return HN_OK;
}

hn_status hn_linear_forward(hn_network *n, const hn_linear *l, float *y, const float *x, float *low, hn_error *err) {
    int64_t T = n->active, N = l->w->rows, K = l->w->columns;
    hn_matrix w = l->forward.pack ? l->forward : hn_product_matrix(l->w->w, N, K);
    HN_TRY(hn_product_forward(&n->products, y, x, &w, T, err));
    if (!l->a || n->batch->base_only) return HN_OK;
    HN_TRY(hn_linear_low(n, l, x, low, err));
    HN_TRY(add_low(n, l, y, low, err));
    if (l->magnitude) hn_magnitudes_apply(n, l, y);
    return HN_OK;
}

hn_status hn_linear_directions(hn_network *n, const hn_linear *l, float *z, const float *x, const float *low,
                               hn_error *err) {
    hn_matrix w = l->forward.pack ? l->forward : hn_product_matrix(l->w->w, l->w->rows, l->w->columns);
    HN_TRY(hn_product_forward(&n->products, z, x, &w, n->active, err));
    return add_low(n, l, z, low, err);
}

/* dlow (T,r) = scaling dy B, then A's share; B's share reads the kept low rows. */
static hn_status adapter_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                                  const float *low, hn_error *err) {
    int64_t T = n->active, N = l->w->rows, K = l->w->columns, r = l->a->rows;
    float *b;
    HN_TRY(transposed_b(n, l, &b, err));
    hn_matrix wb = hn_product_matrix(b, r, N);
    HN_TRY(hn_product_forward(&n->products, n->low, dy, &wb, T, err));
    scale(n->low, l->scaling, (size_t)(T * r));
    if (l->b->dw) HN_TRY(hn_product_outer(&n->products, l->b->dw, true, low, dy, T, r, N, err));
    bool drops = hn_dropout_is_on(n);
    if (drops) hn_dropout_apply(n, l, n->dropped, x), x = n->dropped;
    if (l->a->dw) HN_TRY(hn_product_outer(&n->products, l->a->dw, false, n->low, x, T, r, K, err));
    if (!dx) return HN_OK;
    low_job job = {drops ? n->dropped : dx, n->low, l->a->w, r, K};
    if (drops) memset(n->dropped, 0, (size_t)(T * K) * sizeof *n->dropped);
    hn_network_rows(n, add_low_rows, &job);
    if (drops) hn_dropout_add(n, l, dx, n->dropped);
    return HN_OK;
}

hn_status hn_linear_backward_rows(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                                  int64_t T, hn_error *err) {
    int64_t N = l->w->rows, K = l->w->columns;
    if (dx && l->backward.pack)
        HN_TRY(hn_product_add(&n->products, dx, dy, &l->backward, T, err));
    else if (dx)
        HN_TRY(hn_product_input(&n->products, dx, dy, l->w->w, T, N, K, err));
    return l->w->dw ? hn_product_weights(&n->products, l->w->dw, dy, x, T, N, K, err) : HN_OK;
}

hn_status hn_linear_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                             const float *low, hn_error *err) {
    if (l->magnitude) HN_TRY(hn_magnitudes_backward(n, l, &dy, x, low, err));
    HN_TRY(hn_linear_backward_rows(n, l, dx, dy, x, n->active, err));
    return l->a ? adapter_backward(n, l, dx, dy, x, low, err) : HN_OK;
}
