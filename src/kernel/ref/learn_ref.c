/* Learning kernels in plain C, the oracle; meanings and formulas stand in kernel/learn.h. */
#include "kernel/ref/learn_ref.h"

#include <math.h>
#include <stddef.h>

static void rows_add(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                     int64_t T, int64_t R, int64_t N) {
    for (int64_t t = 0; t < T; t++)
        for (int64_t r = 0; r < R; r++)
            for (int64_t n = 0; n < N; n++) y[t * y_stride + n] += a[t * a_stride + r] * b[r * b_stride + n];
}

static void outer_add(float *out, int64_t out_stride, const float *a, int64_t a_stride, const float *b,
                      int64_t b_stride, int64_t T, int64_t R, int64_t N) {
    for (int64_t t = 0; t < T; t++)
        for (int64_t r = 0; r < R; r++)
            for (int64_t n = 0; n < N; n++) out[r * out_stride + n] += a[t * a_stride + r] * b[t * b_stride + n];
}

static void rmsnorm_backward(float *dx, double *dweight, const float *dy, const float *x, const float *weight, int T,
                             int C, float eps) {
    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * (size_t)C, *up = dy + (size_t)t * (size_t)C;
        float *down = dx + (size_t)t * (size_t)C;
        double squares = 0, dot = 0;
        for (int c = 0; c < C; c++) {
            squares += (double)row[c] * row[c];
            dot += (double)up[c] * weight[c] * row[c];
        }
        double s = 1 / sqrt(squares / C + (double)eps);
        float scale = (float)s, pull = (float)(s * s * s * dot / C);
        for (int c = 0; c < C; c++) down[c] += scale * up[c] * weight[c] - pull * row[c];
        for (int c = 0; dweight && c < C; c++) dweight[c] += (double)up[c] * row[c] * s;
    }
}

static void swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float sigmoid = 1 / (1 + expf(-gate[i])), silu = gate[i] * sigmoid, d = dy[i];
        float g = d * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
        dup[i] = d * silu;
        dgate[i] = g;
    }
}

static void softmax_scale(float *x, size_t n, double lse, float weight) {
    for (size_t i = 0; i < n; i++) x[i] = weight * (float)exp((double)x[i] - lse);
}

/* ---- attention ---- */

static float dot(const float *a, const float *b, int n) {
    float sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_scaled(float *y, const float *x, float factor, int n) {
    for (int i = 0; i < n; i++) y[i] += factor * x[i];
}

static size_t at(int row, int head, int n_heads, int HS) {
    return ((size_t)row * (size_t)n_heads + (size_t)head) * (size_t)HS;
}

static void attention_forward(float *out, float *lse, const float *q, const float *k, const float *v, int n, int kv,
                              const hn_learn_heads *heads, float *scores) {
    int NH = heads->n_heads, KV = heads->n_kv_heads, HS = heads->head_size, group = NH / KV;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < n; t++) {
            float *to = out + at(t, h, NH, HS), top = -INFINITY;
            for (int s = 0; s <= t; s++) {
                scores[s] = dot(q + at(t, h, NH, HS), k + at(s, kv, KV, HS), HS) * heads->scale;
                if (scores[s] > top) top = scores[s];
            }
            double total = 0;
            for (int s = 0; s <= t; s++) total += scores[s] = expf(scores[s] - top);
            for (int i = 0; i < HS; i++) to[i] = 0;
            for (int s = 0; s <= t; s++) add_scaled(to, v + at(s, kv, KV, HS), (float)(scores[s] / total), HS);
            lse[(size_t)t * (size_t)NH + (size_t)h] = (float)(top + log(total));
        }
    }
}

static void attention_backward(float *dq, float *dk, float *dv, const float *dout, const float *out, const float *lse,
                               const float *q, const float *k, const float *v, int n, int kv,
                               const hn_learn_heads *heads, float *scratch) {
    int NH = heads->n_heads, KV = heads->n_kv_heads, HS = heads->head_size, group = NH / KV;
    (void)scratch;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < n; t++) {
            size_t row = at(t, h, NH, HS);
            float normaliser = lse[(size_t)t * (size_t)NH + (size_t)h], mean = dot(dout + row, out + row, HS);
            for (int s = 0; s <= t; s++) {
                size_t key = at(s, kv, KV, HS);
                float p = expf(dot(q + row, k + key, HS) * heads->scale - normaliser);
                float ds = p * (dot(dout + row, v + key, HS) - mean) * heads->scale;
                add_scaled(dv + key, dout + row, p, HS);
                add_scaled(dq + row, k + key, ds, HS);
                add_scaled(dk + key, q + row, ds, HS);
            }
        }
    }
}

static size_t attention_scratch(int n, int HS) {
    (void)HS;
    return (size_t)n;
}

const hn_learn_ops hn_learn_ref = {rows_add,      outer_add,         rmsnorm_backward,   swiglu_backward,
                                   softmax_scale, attention_forward, attention_backward, attention_scratch};
