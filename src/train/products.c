/* Forward and backward products; see products.h. */
#include "train/products.h"

#include "base/alloc.h"

#include <string.h>

void hn_products_init(hn_products *p, const hn_kernels *kernels, hn_pool *pool) {
    *p = (hn_products){.kernels = kernels, .ops = hn_learn_ops_of(kernels), .pool = pool};
}

void hn_products_free(hn_products *p) {
    hn_free_aligned(p->kernel.memory, p->kernel.bytes);
    hn_free_aligned(p->right.memory, p->right.bytes);
    hn_free_aligned(p->small.memory, p->small.bytes);
    hn_free_aligned(p->out.memory, p->out.bytes);
    *p = (hn_products){0};
}

static hn_status reserve(void **memory, size_t *bytes, size_t need, hn_error *err) {
    if (need <= *bytes) return HN_OK;
    hn_free_aligned(*memory, *bytes);
    *bytes = 0;
    *memory = hn_alloc_aligned(need, 64);
    if (!*memory) return hn_fail_memory(err, need);
    *bytes = need;
    return HN_OK;
}

static hn_status floats(void **memory, size_t *bytes, int64_t rows, int64_t columns, hn_error *err) {
    size_t n;
    if (!hn_mul_size((size_t)rows, (size_t)columns, &n) || !hn_mul_size(n, sizeof(float), &n))
        return hn_fail_memory(err, SIZE_MAX);
    return reserve(memory, bytes, n, err);
}

hn_matrix hn_product_matrix(const float *data, int64_t N, int64_t K) {
    return (hn_matrix){.dtype = HN_DTYPE_F32, .n_out = N, .n_in = K, .data = data};
}

hn_status hn_product_forward(hn_products *p, float *y, const float *x, const hn_matrix *w, int64_t T, hn_error *err) {
    hn_matrix ready = *w;
    if (!w->pack) HN_TRY(hn_matrix_prepare(&ready, p->kernels, HN_PACK_LOW, p->pool, err));
    int n_threads = p->pool ? hn_pool_size(p->pool) : 1;
    size_t bytes = hn_matmul_scratch_bytes(p->kernels, &ready, T, n_threads);
    HN_TRY(reserve(&p->kernel.memory, &p->kernel.bytes, bytes, err));
    hn_matmul(p->kernels, p->pool, y, ready.n_out, x, ready.n_in, &ready, T, p->kernel.memory);
    return HN_OK;
}

/* ---- transposing and adding ---- */

enum { TILE = 16 };

typedef struct transposition {
    float *to; /* (columns, rows) */
    const float *from;
    size_t rows, columns;
} transposition;

static void transpose_rows(void *arg, int thread, int n_threads) {
    const transposition *t = arg;
    size_t first, last;
    hn_share(t->columns, TILE, thread, n_threads, &first, &last);
    for (size_t c0 = first; c0 < last; c0 += TILE)
        for (size_t r0 = 0; r0 < t->rows; r0 += TILE)
            for (size_t c = c0; c < c0 + TILE && c < last; c++)
                for (size_t r = r0; r < r0 + TILE && r < t->rows; r++)
                    t->to[c * t->rows + r] = t->from[r * t->columns + c];
}

typedef struct addition {
    const hn_kernels *kernels;
    float *to;
    const float *from;
    size_t n;
} addition;

static void add_part(void *arg, int thread, int n_threads) {
    const addition *a = arg;
    size_t first, last;
    hn_share(a->n, 64, thread, n_threads, &first, &last);
    if (first < last) a->kernels->add(a->to + first, a->from + first, last - first);
}

static void run(hn_products *p, hn_pool_fn *fn, void *arg) {
    if (p->pool)
        hn_pool_run(p->pool, fn, arg);
    else
        fn(arg, 0, 1);
}

static void transpose(hn_products *p, float *to, const float *from, int64_t rows, int64_t columns) {
    transposition t = {to, from, (size_t)rows, (size_t)columns};
    run(p, transpose_rows, &t);
}

hn_status hn_product_add(hn_products *p, float *y, const float *x, const hn_matrix *w, int64_t T, hn_error *err) {
    HN_TRY(floats(&p->out.memory, &p->out.bytes, T, w->n_out, err));
    HN_TRY(hn_product_forward(p, p->out.memory, x, w, T, err));
    addition a = {p->kernels, y, p->out.memory, (size_t)(T * w->n_out)};
    run(p, add_part, &a);
    return HN_OK;
}

hn_status hn_product_input(hn_products *p, float *dx, const float *dy, const float *w, int64_t T, int64_t N, int64_t K,
                           hn_error *err) {
    HN_TRY(floats(&p->right.memory, &p->right.bytes, N, K, err));
    transpose(p, p->right.memory, w, N, K);
    hn_matrix turned = hn_product_matrix(p->right.memory, K, N);
    return hn_product_add(p, dx, dy, &turned, T, err);
}

/* ---- outer products ---- */

typedef struct outer_job {
    const hn_products *p;
    float *out;
    const float *a, *b;
    int64_t T, R, N;
} outer_job;

/* Threads divide the columns where these are many, else the rows. */
static void outer_part(void *arg, int thread, int n_threads) {
    const outer_job *j = arg;
    size_t from, to;
    if (j->N >= j->R) {
        hn_share((size_t)j->N, 64, thread, n_threads, &from, &to);
        if (from < to)
            j->p->ops->outer_add(j->out + from, j->N, j->a, j->R, j->b + from, j->N, j->T, j->R, (int64_t)(to - from));
        return;
    }
    hn_share((size_t)j->R, 4, thread, n_threads, &from, &to);
    if (from < to)
        j->p->ops->outer_add(j->out + from * (size_t)j->N, j->N, j->a + from, j->R, j->b, j->N, j->T,
                             (int64_t)(to - from), j->N);
}

hn_status hn_product_outer(hn_products *p, float *out, bool turned, const float *a, const float *b, int64_t T,
                           int64_t R, int64_t N, hn_error *err) {
    outer_job job = {p, out, a, b, T, R, N};
    if (!turned) {
        run(p, outer_part, &job);
        return HN_OK;
    }
    HN_TRY(floats(&p->out.memory, &p->out.bytes, R, N, err));
    HN_TRY(floats(&p->small.memory, &p->small.bytes, N, R, err));
    job.out = p->out.memory;
    memset(job.out, 0, (size_t)(R * N) * sizeof(float));
    run(p, outer_part, &job);
    transpose(p, p->small.memory, job.out, R, N);
    p->kernels->add(out, p->small.memory, (size_t)(R * N));
    return HN_OK;
}

hn_status hn_product_transposed(hn_products *p, float **out, const float *from, int64_t rows, int64_t columns,
                                hn_error *err) {
    HN_TRY(floats(&p->small.memory, &p->small.bytes, rows, columns, err));
    *out = p->small.memory;
    transpose(p, *out, from, rows, columns);
    return HN_OK;
}

hn_status hn_product_weights(hn_products *p, float *dw, const float *dy, const float *x, int64_t T, int64_t N,
                             int64_t K, hn_error *err) {
    return hn_product_outer(p, dw, false, dy, x, T, N, K, err);
}
