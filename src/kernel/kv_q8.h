/* Inside the kernels: keys and values of the cache as 8-bit integers (HN_KV_Q8_0), and where a head's numbers stand in
 * every type of cache.
 *
 * One position's head of HS values is cut into groups of 32 (the last may be shorter), each with one f16 scale: 17 bytes
 * where f16 takes 32. A group belongs to one position, so what is stored there never depends on a neighbour. A head's
 * part of a block, after the quants of its 32 positions, has their scales:
 *
 *     K  (HS, 32) int8, then (groups, 32) f16           V  (32, HS) int8, then (32, groups) f16
 *     a tree's row  (HS) int8, then (groups) f16
 *
 * A quant times its scale needs no rounding in f32: 7 and 11 bits.
 *
 * What is quantised is the head turned by a Hadamard matrix (see hn_kv_turn): keys and values have a few dimensions far
 * larger than the rest, which alone would set the scale of all. Turned, each number is a sum of all with signs, and of
 * like size. The product of two turned vectors is that of the vectors (times the size of the matrix), so queries are
 * turned too, and the sums of values turned back, once per row.
 *
 *     hn_kv_q8_quantise(quants, 1, scales, 1, x, HS);
 *     char *head = block + h * 32 * hn_kv_head_bytes(HN_KV_Q8_0, HS);
 *
 * Every instruction set compiles these functions for itself, with the same bits. Threading: pure functions. */
#ifndef HN_KERNEL_KV_Q8_H
#define HN_KERNEL_KV_Q8_H

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

enum { HN_KV_GROUP = 32, HN_KV_HEAD_MAX = 1024 /* what models may have; see model/shape.c */ };

static inline int hn_kv_groups(int HS) { return (HS + HN_KV_GROUP - 1) / HN_KV_GROUP; }

/* Bytes of one position's head. */
static inline size_t hn_kv_head_bytes(hn_kv_type type, int HS) {
    switch (type) {
    case HN_KV_F32: return (size_t)HS * 4;
    case HN_KV_Q8_0: return (size_t)HS + (size_t)hn_kv_groups(HS) * 2;
    case HN_KV_F16: break;
    }
    return (size_t)HS * 2;
}

/* Numbers that are turned together: the largest power of two that divides HS. */
static inline int hn_kv_turned(int HS) { return HS & -HS; }

/* Turns x (HS) in place: each part of hn_kv_turned(HS) numbers times the Hadamard matrix of that size (entries 1 and
 * -1), by sums and differences. Turning twice multiplies by the size. */
static inline void hn_kv_turn(float *x, int HS) {
    int size = hn_kv_turned(HS);
    for (int half = 1; half < size; half *= 2)
        for (int from = 0; from < HS; from += 2 * half)
            for (int i = from; i < from + half; i++) {
                float a = x[i], b = x[i + half];
                x[i] = a + b;
                x[i + half] = a - b;
            }
}

/* A query (HS) for a cache that holds turned keys; a sum of turned values (HS) as that of the values. */
static inline void hn_kv_turn_query(float *q, int HS) {
    float factor = 1.0f / (float)hn_kv_turned(HS); /* a power of two: exact */
    hn_kv_turn(q, HS);
    for (int i = 0; i < HS; i++) q[i] *= factor;
}
static inline void hn_kv_turn_back(float *out, int HS) { hn_kv_turn_query(out, HS); }

/* One group of n values; its scale as stored. NaN and infinities make the scale NaN or infinite, and zeros of the
 * quants: read again, they are NaN. */
static inline uint16_t hn_kv_q8_group(int8_t *quants, const float *x, int n) {
    uint32_t bits = 0; /* as integers, sizes have the order of the floats, and NaN is the largest */
    for (int i = 0; i < n; i++) {
        uint32_t size;
        memcpy(&size, &x[i], sizeof size);
        size &= 0x7FFFFFFFu;
        bits = size > bits ? size : bits;
    }
    float most;
    memcpy(&most, &bits, sizeof most);
    uint16_t stored = hn_f32_to_f16(most / 127);
    float scale = hn_f16_to_f32(stored), factor = scale > 0 && scale <= 65504 ? 1 / scale : 0;
    for (int i = 0; i < n; i++) {
        float q = factor > 0 ? rintf(x[i] * factor) : 0; /* a scale that was rounded down may give 128 */
        quants[i] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
    return stored;
}

/* The head x (HS), turned: quant i goes to quants[i * stride], the scale of group g to scales[g * scale_stride] (f16, at
 * any alignment). HS is at most HN_KV_HEAD_MAX. */
static inline void hn_kv_q8_quantise(void *quants, size_t stride, void *scales, size_t scale_stride, const float *x,
                                     int HS) {
    float turned[HN_KV_HEAD_MAX];
    memcpy(turned, x, (size_t)HS * sizeof *x);
    hn_kv_turn(turned, HS);
    for (int g = 0; g * HN_KV_GROUP < HS; g++) {
        int8_t some[HN_KV_GROUP];
        int from = g * HN_KV_GROUP, n = HS - from < HN_KV_GROUP ? HS - from : HN_KV_GROUP;
        uint16_t scale = hn_kv_q8_group(some, turned + from, n);
        memcpy((char *)scales + (size_t)g * scale_stride * 2, &scale, sizeof scale);
        for (int i = 0; i < n; i++) ((int8_t *)quants)[(size_t)(from + i) * stride] = some[i];
    }
}

/* One position's keys and values into slot `slot` of their heads in a block. */
static inline void hn_kv_q8_store(void *k_block, void *v_block, const float *k, const float *v, int slot,
                                  int n_kv_heads, int HS) {
    size_t n = (size_t)HS, block = HN_KV_BLOCK, head = block * hn_kv_head_bytes(HN_KV_Q8_0, HS), at = (size_t)slot;
    for (size_t h = 0; h < (size_t)n_kv_heads; h++) {
        char *keys = (char *)k_block + h * head, *values = (char *)v_block + h * head;
        hn_kv_q8_quantise(keys + at, block, keys + n * block + 2 * at, block, k + h * n, HS);
        hn_kv_q8_quantise(values + at * n, 1, values + n * block + 2 * at * (size_t)hn_kv_groups(HS), 1, v + h * n, HS);
    }
}

static inline void hn_kv_q8_store_tail(void *tail, const float *x, int row, int n_kv_heads, int HS) {
    size_t bytes = hn_kv_head_bytes(HN_KV_Q8_0, HS);
    char *to = (char *)tail + (size_t)row * (size_t)n_kv_heads * bytes;
    for (int h = 0; h < n_kv_heads; h++, to += bytes, x += HS) hn_kv_q8_quantise(to, 1, to + HS, 1, x, HS);
}

#endif
