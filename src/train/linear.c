/* A linear layer with a low-rank adapter, forward and backward (Hu et al. 2021). The scaled low-rank rows are what is kept: the weights' gradient
 * of B needs just them. */
#include "train/network_parts.h"

#include <string.h>

static void add(hn_network *n, float *to, const float *from, size_t count) { n->kernels->add(to, from, count); }

static void scale(float *x, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] *= factor;
}

hn_status hn_linear_forward(hn_network *n, const hn_linear *l, float *y, const float *x, float *low, hn_error *err) {
    int64_t T = n->batch->n_rows, N = l->w->rows, K = l->w->columns;
    hn_matrix w = hn_product_matrix(l->w->w, N, K);
    HN_TRY(hn_product_forward(&n->products, y, x, &w, T, err));
    if (!l->a) return HN_OK;
    int64_t r = l->a->rows;
    hn_matrix a = hn_product_matrix(l->a->w, r, K), b = hn_product_matrix(l->b->w, N, r);
    HN_TRY(hn_product_forward(&n->products, low, x, &a, T, err));
    scale(low, l->scaling, (size_t)(T * r));
    HN_TRY(hn_product_forward(&n->products, n->wide, low, &b, T, err));
    add(n, y, n->wide, (size_t)(T * N));
    return HN_OK;
}

/* dlow (T,r) = scaling dy B, then A's share; B's share reads the kept low rows. */
static hn_status adapter_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                                  const float *low, hn_error *err) {
    int64_t T = n->batch->n_rows, N = l->w->rows, K = l->w->columns, r = l->a->rows;
    memset(n->low, 0, (size_t)(T * r) * sizeof(float));
    HN_TRY(hn_product_input(&n->products, n->low, dy, l->b->w, T, N, r, err));
    scale(n->low, l->scaling, (size_t)(T * r));
    if (l->b->dw) HN_TRY(hn_product_weights(&n->products, l->b->dw, dy, low, T, N, r, err));
    if (l->a->dw) HN_TRY(hn_product_weights(&n->products, l->a->dw, n->low, x, T, r, K, err));
    return dx ? hn_product_input(&n->products, dx, n->low, l->a->w, T, r, K, err) : HN_OK;
}

hn_status hn_linear_backward(hn_network *n, const hn_linear *l, float *dx, const float *dy, const float *x,
                             const float *low, hn_error *err) {
    int64_t T = n->batch->n_rows, N = l->w->rows, K = l->w->columns;
    if (dx) HN_TRY(hn_product_input(&n->products, dx, dy, l->w->w, T, N, K, err));
    if (l->w->dw) HN_TRY(hn_product_weights(&n->products, l->w->dw, dy, x, T, N, K, err));
    return l->a ? adapter_backward(n, l, dx, dy, x, low, err) : HN_OK;
}
