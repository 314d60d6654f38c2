/* The three matrix products of a linear layer, forward and backward, on the engine's kernels.
 *
 *     y  (T,N) = x (T,K) W^T           forward
 *     dx (T,K) += dy (T,N) W           what the layer's input gets
 *     dW (N,K) += dy^T x               what the weights get
 *
 * The backward products are brought to the kernels' form (rows times rows) by transposing one side. As everywhere, threads divide outputs, never a
 * sum, so results have the same bits for any number of threads.
 *
 *     hn_products p;
 *     hn_products_init(&p, kernels, pool);
 *     HN_TRY(hn_product_forward(&p, y, x, &w, T, &err));
 *     hn_products_free(&p);
 *
 * Ownership: scratch memory grows as needed and belongs to the struct. Threading: one thread, which runs the pool. */
#ifndef HN_TRAIN_PRODUCTS_H
#define HN_TRAIN_PRODUCTS_H

#include "kernel/learn.h"

typedef struct hn_products {
    const hn_kernels *kernels;
    const hn_learn_ops *ops;
    hn_pool *pool; /* may be NULL */
    struct {
        void *memory;
        size_t bytes;
    } kernel, right, small,
        out; /* the kernels' own, a transposed side, a small transposed one, a product before it is added */
} hn_products;

void hn_products_init(hn_products *p, const hn_kernels *kernels, hn_pool *pool);
void hn_products_free(hn_products *p);

/* w: (N,K) of any format. HN_ERR_MEMORY, HN_ERR_INPUT for a shape that the kernels refuse. */
hn_status hn_product_forward(hn_products *p, float *y, const float *x, const hn_matrix *w, int64_t T,
                             hn_error *err) HN_MUST_CHECK;
/* y (T,N) += x (T,K) W^T */
hn_status hn_product_add(hn_products *p, float *y, const float *x, const hn_matrix *w, int64_t T,
                         hn_error *err) HN_MUST_CHECK;
/* w (N,K) f32. */
hn_status hn_product_input(hn_products *p, float *dx, const float *dy, const float *w, int64_t T, int64_t N, int64_t K,
                           hn_error *err) HN_MUST_CHECK;
hn_status hn_product_weights(hn_products *p, float *dw, const float *dy, const float *x, int64_t T, int64_t N,
                             int64_t K, hn_error *err) HN_MUST_CHECK;
/* out (R,N), or where `turned` out (N,R), += a^T (R,T) b (T,N); for small R. */
hn_status hn_product_outer(hn_products *p, float *out, bool turned, const float *a, const float *b, int64_t T,
                           int64_t R, int64_t N, hn_error *err) HN_MUST_CHECK;
/* A small matrix (rows, columns), transposed into scratch that the next call of this function overwrites. */
hn_status hn_product_transposed(hn_products *p, float **out, const float *from, int64_t rows, int64_t columns,
                                hn_error *err) HN_MUST_CHECK;
/* A (N,K) f32 matrix over `data`, ready for hn_product_forward. */
hn_matrix hn_product_matrix(const float *data, int64_t N, int64_t K);

#endif
