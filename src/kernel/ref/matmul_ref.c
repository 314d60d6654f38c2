/* The reference matrix product: f32 on dequantised weights, straight from the file's bytes; see kernel/matmul.h.
 *
 * Each output is a sum over K in LANES interleaved partial sums that are then added pairwise: an order that a compiler
 * can vectorise without permission to reassociate, and that is the same for every number of rows. Four rows share the
 * weights. */
#include "kernel/ref/ref.h"

enum { LANES = 8, ROWS = 4 };

static float add_lanes(const float *lane) {
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

static float dot(const float *x, const float *w, int64_t K) {
    float lane[LANES] = {0};
    int64_t whole = K / LANES * LANES;
    for (int64_t k = 0; k < whole; k += LANES)
        for (int l = 0; l < LANES; l++) lane[l] += x[k + l] * w[k + l];
    for (int64_t k = whole; k < K; k++) lane[k - whole] += x[k] * w[k];
    return add_lanes(lane);
}

static void dot_rows(float *y, int64_t y_stride, const float *x, int64_t x_stride, const float *w, int64_t K) {
    float lane[ROWS][LANES] = {{0}};
    int64_t whole = K / LANES * LANES;
    const float *x1 = x + x_stride, *x2 = x + 2 * x_stride, *x3 = x + 3 * x_stride;
    for (int64_t k = 0; k < whole; k += LANES) {
        for (int l = 0; l < LANES; l++) lane[0][l] += x[k + l] * w[k + l];
        for (int l = 0; l < LANES; l++) lane[1][l] += x1[k + l] * w[k + l];
        for (int l = 0; l < LANES; l++) lane[2][l] += x2[k + l] * w[k + l];
        for (int l = 0; l < LANES; l++) lane[3][l] += x3[k + l] * w[k + l];
    }
    for (int r = 0; r < ROWS; r++) {
        for (int64_t k = whole; k < K; k++) lane[r][k - whole] += x[r * x_stride + k] * w[k];
        y[r * y_stride] = add_lanes(lane[r]);
    }
}

static void multiply(const hn_product *p, size_t panel_from, size_t panel_to) {
    const hn_matrix *w = p->w;
    float *weights = p->scratch;
    size_t row_bytes;
    if (!hn_dtype_bytes(w->dtype, (uint64_t)w->n_in, &row_bytes)) return; /* checked when it was prepared */
    for (size_t n = panel_from; n < panel_to; n++) {
        hn_ref_dequantize(weights, (const char *)w->data + n * row_bytes, w->dtype, (size_t)w->n_in);
        float *y = p->y + n;
        int64_t m = 0;
        for (; m + ROWS <= p->M; m += ROWS)
            dot_rows(y + m * p->y_stride, p->y_stride, p->x + m * p->x_stride, p->x_stride, weights, w->n_in);
        for (; m < p->M; m++) y[m * p->y_stride] = dot(p->x + m * p->x_stride, weights, w->n_in);
    }
}

static size_t panel_bytes(hn_dtype dtype, int64_t K) {
    (void)dtype, (void)K;
    return 0;
}

static size_t input_bytes(hn_dtype dtype, int64_t K, int64_t M) {
    (void)dtype, (void)K, (void)M;
    return 0;
}

static size_t thread_bytes(hn_dtype dtype, int64_t K, hn_pack mode) {
    (void)dtype, (void)mode;
    return (size_t)K * sizeof(float);
}

const hn_matmul_ops hn_ref_matmul = {
    .panel_columns = 1,
    .panel_bytes = panel_bytes,
    .input_bytes = input_bytes,
    .thread_bytes = thread_bytes,
    .multiply = multiply,
};
