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

/* Key or value `p` of what a row of the sequence sees: the prefix's come first. */
static const float *seen(const float *prefix, const float *own, const hn_learn_sequence *s, int p, int kv,
                         const hn_learn_heads *h) {
    bool before = p < s->n_prefix;
    return (before ? prefix : own) + at(before ? p : p - s->n_prefix, kv, h->n_kv_heads, h->head_size);
}

static float *gradient_of(float *prefix, float *own, const hn_learn_sequence *s, int p, int kv,
                          const hn_learn_heads *h) {
    bool before = p < s->n_prefix;
    return (before ? prefix : own) + at(before ? p : p - s->n_prefix, kv, h->n_kv_heads, h->head_size);
}

static void attention_prefix(const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch) {
    (void)s, (void)kv, (void)heads, (void)scratch;
}

static void attention_forward(float *out, float *lse, const hn_learn_sequence *s, int kv, const hn_learn_heads *heads,
                              float *scores) {
    int NH = heads->n_heads, HS = heads->head_size, group = NH / heads->n_kv_heads;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < s->n; t++) {
            float *to = out + at(t, h, NH, HS), top = -INFINITY;
            int n = s->n_prefix + t + 1;
            for (int p = 0; p < n; p++) {
                const float *k = seen(s->prefix_k, s->k, s, p, kv, heads);
                scores[p] = dot(s->q + at(t, h, NH, HS), k, HS) * heads->scale;
                if (scores[p] > top) top = scores[p];
            }
            double total = 0;
            for (int p = 0; p < n; p++) total += scores[p] = expf(scores[p] - top);
            for (int i = 0; i < HS; i++) to[i] = 0;
            for (int p = 0; p < n; p++)
                add_scaled(to, seen(s->prefix_v, s->v, s, p, kv, heads), (float)(scores[p] / total), HS);
            lse[(size_t)t * (size_t)NH + (size_t)h] = (float)(top + log(total));
        }
    }
}

static void attention_backward(const hn_learn_gradients *d, const float *dout, const float *out, const float *lse,
                               const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch) {
    int NH = heads->n_heads, HS = heads->head_size, group = NH / heads->n_kv_heads;
    (void)scratch;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < s->n; t++) {
            size_t row = at(t, h, NH, HS);
            float normaliser = lse[(size_t)t * (size_t)NH + (size_t)h], mean = dot(dout + row, out + row, HS);
            for (int p = 0; p <= s->n_prefix + t; p++) {
                const float *k = seen(s->prefix_k, s->k, s, p, kv, heads);
                float weight = expf(dot(s->q + row, k, HS) * heads->scale - normaliser);
                float back = dot(dout + row, seen(s->prefix_v, s->v, s, p, kv, heads), HS);
                float ds = weight * (back - mean) * heads->scale;
                add_scaled(gradient_of(d->prefix_dv, d->dv, s, p, kv, heads), dout + row, weight, HS);
                add_scaled(d->dq + row, k, ds, HS);
                add_scaled(gradient_of(d->prefix_dk, d->dk, s, p, kv, heads), s->q + row, ds, HS);
            }
        }
    }
}

static size_t attention_scratch(int n, int n_prefix, int HS) {
    (void)HS;
    return (size_t)n + (size_t)n_prefix;
}

const hn_learn_ops hn_learn_ref = {rows_add,          outer_add,          rmsnorm_backward,
                                   swiglu_backward,   softmax_scale,      attention_prefix,
                                   attention_forward, attention_backward, attention_scratch};
