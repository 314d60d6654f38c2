/* DoRA's magnitudes; see magnitude.h. */
#include "train/magnitude.h"

#include <math.h>
#include <string.h>

/* As network.c rounds the weights that it packs: the lengths are those of the products' own weights. */
static double used_weight(float x, bool packed) {
    uint32_t bits;
    if (!packed) return (double)x;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

hn_status hn_magnitudes_begin(hn_network *n, hn_linear *l, const hn_matrix *w, hn_error *err) {
    size_t N = (size_t)w->n_out, K = (size_t)w->n_in;
    l->squares = hn_arena_alloc(n->arena, N * sizeof *l->squares);
    l->length = hn_arena_alloc(n->arena, N * sizeof *l->length);
    l->gain = hn_arena_alloc(n->arena, N * sizeof *l->gain);
    float *row = hn_alloc(K * sizeof *row);
    if (!l->squares || !l->length || !l->gain || !row) {
        hn_free(row);
        return hn_fail_memory(err, N * sizeof *l->squares);
    }
    for (size_t r = 0; r < N; r++) {
        double sum = 0;
        hn_matrix_row(n->kernels, row, w, hn_network_row_place(n, l, (int64_t)r));
        for (size_t k = 0; k < K; k++) {
            double v = used_weight(row[k], l->forward.pack != NULL);
            sum += v * v;
        }
        l->squares[r] = sum;
        l->magnitude->w[r] = l->length[r] = (float)sqrt(sum);
        l->gain[r] = sum > 0;
    }
    hn_free(row);
    return HN_OK;
}

/* ---- lengths ---- */

typedef struct length_job {
    const hn_linear *l;
    const float *products; /* (r,N) A W^T */
    const double *gram;    /* (r,r) A A^T */
} length_job;

static void measure_rows(void *arg, int thread, int n_threads) {
    const length_job *j = arg;
    const hn_linear *l = j->l;
    size_t from, to, N = (size_t)l->b->rows, r = (size_t)l->b->columns;
    double s = (double)l->scaling;
    hn_share(N, 16, thread, n_threads, &from, &to);
    for (size_t o = from; o < to; o++) {
        const float *b = l->b->w + o * r;
        double mixed = 0, own = 0;
        for (size_t i = 0; i < r; i++) {
            double with = 0;
            for (size_t k = 0; k < r; k++) with += j->gram[i * r + k] * (double)b[k];
            own += with * (double)b[i];
            mixed += (double)j->products[i * N + o] * (double)b[i];
        }
        double square = l->squares[o] + 2 * s * mixed + s * s * own;
        l->length[o] = square > 0 ? (float)sqrt(square) : 0;
        l->gain[o] = l->length[o] > 0 ? l->magnitude->w[o] / l->length[o] : 0;
    }
}

static void fill_gram(double *gram, const hn_tensor *a) {
    size_t r = (size_t)a->rows, K = (size_t)a->columns;
    for (size_t i = 0; i < r; i++)
        for (size_t k = 0; k <= i; k++) {
            double sum = 0;
            for (size_t c = 0; c < K; c++) sum += (double)a->w[i * K + c] * (double)a->w[k * K + c];
            gram[i * r + k] = gram[k * r + i] = sum;
        }
}

hn_status hn_magnitudes_measure(hn_network *n, hn_error *err) {
    if (!n->options.dora || n->batch->base_only) return HN_OK;
    for (int i = 0; i < n->shape.n_layers * HN_LINEARS; i++) {
        const hn_linear *l = &n->layers[i / HN_LINEARS].linear[i % HN_LINEARS];
        if (!l->magnitude) continue;
        hn_matrix w = l->forward.pack ? l->forward : hn_product_matrix(l->w->w, l->w->rows, l->w->columns);
        HN_TRY(hn_product_forward(&n->products, n->low_products, l->a->w, &w, l->a->rows, err));
        fill_gram(n->gram, l->a);
        length_job job = {l, n->low_products, n->gram};
        hn_network_run(n, measure_rows, &job);
    }
    return HN_OK;
}

/* ---- forward and backward ---- */

typedef struct gain_job {
    const hn_linear *l;
    float *y;
    const float *from;
} gain_job;

static void gain_rows(hn_network *n, void *arg, size_t from, size_t to) {
    const gain_job *j = arg;
    size_t N = (size_t)j->l->w->rows;
    (void)n;
    for (size_t t = from; t < to; t++)
        for (size_t o = 0; o < N; o++) j->y[t * N + o] = j->from[t * N + o] * j->l->gain[o];
}

void hn_magnitudes_apply(hn_network *n, const hn_linear *l, float *y) {
    gain_job job = {l, y, y};
    hn_network_rows(n, gain_rows, &job);
}

typedef struct sum_job {
    const hn_linear *l;
    const float *dy, *z;
    int rows;
} sum_job;

/* dm (N) += sum over the rows of dy z / |V|: threads divide the outputs. */
static void sum_outputs(void *arg, int thread, int n_threads) {
    const sum_job *j = arg;
    size_t from, to, N = (size_t)j->l->w->rows;
    hn_share(N, 16, thread, n_threads, &from, &to);
    for (size_t o = from; o < to; o++) {
        double sum = 0;
        for (size_t t = 0; t < (size_t)j->rows; t++) sum += (double)j->dy[t * N + o] * (double)j->z[t * N + o];
        if (j->l->length[o] > 0) j->l->magnitude->dw[o] += (float)(sum / (double)j->l->length[o]);
    }
}

hn_status hn_magnitudes_backward(hn_network *n, const hn_linear *l, const float **dy, const float *x, const float *low,
                                 hn_error *err) {
    HN_TRY(hn_linear_directions(n, l, n->again, x, low, err));
    sum_job sum = {l, *dy, n->again, n->active};
    hn_network_run(n, sum_outputs, &sum);
    gain_job job = {l, n->again, *dy};
    hn_network_rows(n, gain_rows, &job);
    *dy = n->again;
    return HN_OK;
}
