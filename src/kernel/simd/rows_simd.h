/* Row operations written once for all vector widths: rmsnorm, RoPE, SwiGLU, addition, logsumexp, writing K and V.
 * An instruction set's file defines HN_SIMD(name), includes its vec_*.h, then this. Meanings stand in kernel/kernel.h.
 *
 *     #define HN_SIMD(name) hn_avx2_##name
 *     #include "kernel/avx2/vec_avx2.h"
 *     #include "kernel/simd/rows_simd.h"
 *
 * Every sum goes through a fixed set of lanes that are added in a fixed order at the end. Threading: pure functions. */
#include "kernel/kv_q8.h"
#include "kernel/simd/exp_simd.h"

#include "base/dtype.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static inline int lanes_left(size_t n, size_t i) { return n - i < W ? (int)(n - i) : W; }

void HN_SIMD(rmsnorm)(float *y, const float *x, const float *weight, int T, int C, float eps) {
    size_t n = (size_t)C, whole = n / (4 * W) * (4 * W);
    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * n;
        float *out = y + (size_t)t * n;
        vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
        for (size_t i = 0; i < whole; i += 4 * W) {
            for (int l = 0; l < 4; l++) {
                vf v = vf_load(row + i + (size_t)(l * W));
                sum[l] = vf_fma(v, v, sum[l]);
            }
        }
        for (size_t i = whole; i < n; i += W) {
            vf v = vf_load_n(row + i, lanes_left(n, i));
            sum[0] = vf_fma(v, v, sum[0]);
        }
        float total = vf_sum(vf_add(vf_add(sum[0], sum[1]), vf_add(sum[2], sum[3])));
        vf scale = vf_set1(1.0f / sqrtf(total / (float)C + eps));
        size_t i = 0;
        for (; i + W <= n; i += W) vf_store(out + i, vf_mul(vf_mul(vf_load(row + i), scale), vf_load(weight + i)));
        if (i < n) {
            int left = lanes_left(n, i);
            vf_store_n(out + i, vf_mul(vf_mul(vf_load_n(row + i, left), scale), vf_load_n(weight + i, left)), left);
        }
    }
}

static inline vf silu_times(vf gate, vf up) {
    vf minus = vf_sub(vf_zero(), gate);
    return vf_mul(vf_div(gate, vf_add(vf_set1(1.0f), vf_exp(minus))), up);
}

void HN_SIMD(swiglu)(float *y, const float *gate, const float *up, int T, int F, int stride) {
    size_t n = (size_t)F;
    for (int t = 0; t < T; t++) {
        const float *g = gate + (size_t)t * (size_t)stride, *u = up + (size_t)t * (size_t)stride;
        float *out = y + (size_t)t * n;
        size_t i = 0;
        for (; i + W <= n; i += W) vf_store(out + i, silu_times(vf_load(g + i), vf_load(u + i)));
        if (i < n) {
            int left = lanes_left(n, i);
            vf_store_n(out + i, silu_times(vf_load_n(g + i, left), vf_load_n(u + i, left)), left);
        }
    }
}

void HN_SIMD(add)(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + W <= n; i += W) vf_store(y + i, vf_add(vf_load(y + i), vf_load(x + i)));
    for (; i < n; i++) y[i] += x[i];
}

/* Pairs (i, i + half): both halves are read and written as vectors. */
static void rope_head_halves(float *head, const float *c, const float *s, size_t half) {
    for (size_t i = 0; i < half; i += W) {
        int left = lanes_left(half, i);
        vf a = vf_load_n(head + i, left), b = vf_load_n(head + i + half, left), co = vf_load_n(c + i, left),
           si = vf_load_n(s + i, left);
        vf_store_n(head + i, vf_sub(vf_mul(a, co), vf_mul(b, si)), left);
        vf_store_n(head + i + half, vf_fma(a, si, vf_mul(b, co)), left);
    }
}

/* Pairs (2i, 2i+1): plain C that compilers vectorise well. */
static void rope_head_pairs(float *head, const float *c, const float *s, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float a = head[2 * i], b = head[2 * i + 1];
        head[2 * i] = a * c[i] - b * s[i];
        head[2 * i + 1] = a * s[i] + b * c[i];
    }
}

void HN_SIMD(rope)(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                   bool interleaved) {
    size_t half = (size_t)HS / 2;
    for (int t = 0; t < T; t++) {
        for (int h = 0; h < n_heads; h++) {
            float *head = x + (size_t)t * (size_t)stride + (size_t)h * (size_t)HS;
            if (interleaved)
                rope_head_pairs(head, cos + (size_t)t * half, sin + (size_t)t * half, half);
            else
                rope_head_halves(head, cos + (size_t)t * half, sin + (size_t)t * half, half);
        }
    }
}

double HN_SIMD(logsumexp)(const float *x, size_t n, float *max) {
    vf most = vf_set1(-INFINITY);
    for (size_t i = 0; i < n; i += W) {
        int left = lanes_left(n, i);
        most = vf_max(vf_keep_n(left == W ? vf_load(x + i) : vf_load_n(x + i, left), left, most), most);
    }
    float largest = vf_largest(most);
    if (max) *max = largest;
    if (largest == -INFINITY) return -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < n; i += W) {
        int left = lanes_left(n, i);
        vf v = left == W ? vf_load(x + i) : vf_load_n(x + i, left);
        sum += vf_sum_f64(vf_keep_n(vf_exp(vf_sub(v, vf_set1(largest))), left, vf_zero()));
    }
    return (double)largest + log(sum);
}

static void store_row(void *to, const float *x, size_t n, hn_kv_type type) {
    size_t i = 0;
    if (type == HN_KV_F32)
        memcpy(to, x, n * sizeof *x);
    else {
        uint16_t *out = to;
        for (; i + W <= n; i += W) vf_store_f16(out + i, vf_load(x + i));
        for (; i < n; i++) out[i] = hn_f32_to_f16(x[i]);
    }
}

void HN_SIMD(kv_store)(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                       hn_kv_type type) {
    size_t n = (size_t)HS, at = (size_t)slot;
    if (type == HN_KV_Q8_0) {
        hn_kv_q8_store(k_block, v_block, k, v, slot, n_kv_heads, HS);
        return;
    }
    for (size_t h = 0; h < (size_t)n_kv_heads; h++) {
        if (type == HN_KV_F32) {
            for (size_t i = 0; i < n; i++) ((float *)k_block)[(h * n + i) * HN_KV_BLOCK + at] = k[h * n + i];
            store_row((float *)v_block + (h * HN_KV_BLOCK + at) * n, v + h * n, n, type);
            continue;
        }
        for (size_t from = 0; from < n; from += 64) { /* converted as vectors, then scattered */
            uint16_t keys[64];
            size_t some = n - from < 64 ? n - from : 64;
            store_row(keys, k + h * n + from, some, type);
            for (size_t i = 0; i < some; i++) ((uint16_t *)k_block)[(h * n + from + i) * HN_KV_BLOCK + at] = keys[i];
        }
        store_row((uint16_t *)v_block + (h * HN_KV_BLOCK + at) * n, v + h * n, n, type);
    }
}

void HN_SIMD(kv_store_tail)(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type) {
    size_t n = (size_t)n_kv_heads * (size_t)HS;
    if (type == HN_KV_Q8_0)
        hn_kv_q8_store_tail(tail, x, row, n_kv_heads, HS);
    else
        store_row((char *)tail + (size_t)row * n * (type == HN_KV_F32 ? 4 : 2), x, n, type);
}
