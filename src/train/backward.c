/* Backward operations in plain C; see backward.h. Inner loops run over contiguous channels, so that the compiler can use vectors. */
#include "train/backward.h"

#include <math.h>
#include <stddef.h>

/* With s = 1 / sqrt(mean(x^2) + eps): y = x s w, so dx = s (dy w) - x s^3 / C sum(dy w x). */
void hn_rmsnorm_backward(float *dx, double *dweight, const float *dy, const float *x, const float *weight, int T, int C,
                         float eps) {
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

void hn_swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        float sigmoid = 1 / (1 + expf(-gate[i])), silu = gate[i] * sigmoid;
        float d = dy[i]; /* the outputs may be dy's memory */
        dup[i] = d * silu;
        dgate[i] = d * up[i] * sigmoid * (1 + gate[i] * (1 - sigmoid));
    }
}

static void rotate_back(float *a, float *b, float c, float s) {
    float x = *a, y = *b;
    *a = x * c + y * s;
    *b = y * c - x * s;
}

void hn_rope_backward(float *dx, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                      bool interleaved) {
    int half = HS / 2;
    for (int t = 0; t < T; t++) {
        const float *c = cos + (size_t)t * (size_t)half, *s = sin + (size_t)t * (size_t)half;
        for (int h = 0; h < n_heads; h++) {
            float *head = dx + (size_t)t * (size_t)stride + (size_t)h * (size_t)HS;
            for (int i = 0; i < half; i++) {
                if (interleaved)
                    rotate_back(head + 2 * i, head + 2 * i + 1, c[i], s[i]);
                else
                    rotate_back(head + i, head + i + half, c[i], s[i]);
            }
        }
    }
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

void hn_attention_forward(float *out, float *lse, const float *q, const float *k, const float *v, int first, int n,
                          int kv, const hn_heads *heads, float *scores) {
    int NH = heads->n_heads, KV = heads->n_kv_heads, HS = heads->head_size, group = NH / KV;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < n; t++) {
            const float *query = q + at(first + t, h, NH, HS);
            float *to = out + at(first + t, h, NH, HS), top = -INFINITY;
            for (int s = 0; s <= t; s++) {
                scores[s] = dot(query, k + at(first + s, kv, KV, HS), HS) * heads->scale;
                if (scores[s] > top) top = scores[s];
            }
            double total = 0;
            for (int s = 0; s <= t; s++) total += scores[s] = expf(scores[s] - top);
            for (int i = 0; i < HS; i++) to[i] = 0;
            for (int s = 0; s <= t; s++) add_scaled(to, v + at(first + s, kv, KV, HS), (float)(scores[s] / total), HS);
            lse[(size_t)(first + t) * (size_t)NH + (size_t)h] = (float)(top + log(total));
        }
    }
}

void hn_attention_backward(float *dq, float *dk, float *dv, const float *dout, const float *out, const float *lse,
                           const float *q, const float *k, const float *v, int first, int n, int kv,
                           const hn_heads *heads) {
    int NH = heads->n_heads, KV = heads->n_kv_heads, HS = heads->head_size, group = NH / KV;
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        for (int t = 0; t < n; t++) {
            size_t row = at(first + t, h, NH, HS);
            float normaliser = lse[(size_t)(first + t) * (size_t)NH + (size_t)h], mean = dot(dout + row, out + row, HS);
            for (int s = 0; s <= t; s++) {
                size_t key = at(first + s, kv, KV, HS);
                float p = expf(dot(q + row, k + key, HS) * heads->scale - normaliser);
                float ds = p * (dot(dout + row, v + key, HS) - mean) * heads->scale;
                add_scaled(dv + key, dout + row, p, HS);
                add_scaled(dq + row, k + key, ds, HS);
                add_scaled(dk + key, q + row, ds, HS);
            }
        }
    }
}

/* ---- loss ---- */

double hn_cross_entropy_backward(float *logits, int V, int32_t target, float weight) {
    float top = logits[0];
    for (int i = 1; i < V; i++) top = logits[i] > top ? logits[i] : top;
    double total = 0, wanted = logits[target];
    for (int i = 0; i < V; i++) total += (double)expf(logits[i] - top);
    double normaliser = (double)top + log(total);
    for (int i = 0; i < V; i++) logits[i] = weight * (float)exp((double)logits[i] - normaliser);
    logits[target] -= weight;
    return normaliser - wanted;
}
