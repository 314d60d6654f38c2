/* Dequantisation of the K formats for x86, 16 quants at a time; the blocks are described in ref/dequantize.c. An
 * instruction set's file defines f16_at(bytes), scaled_16(y, quants, scale, minimum) for q scale + minimum and
 * products_16(y, quants, scale), with quants as 16 signed bytes, then includes this.
 *
 *     q4_k(y, block);                                      // y (256)
 *
 * Exact like the reference: scales have at most 18 bits and quants at most 6, so where something is added a product
 * needs no rounding, and one fused operation gives the bits of two. Threading: pure functions. */
#include "kernel/k_scales.h"

#include <immintrin.h>

static __m128i load_16(const unsigned char *p) { return _mm_loadu_si128((const __m128i *)p); }

/* (bytes >> shift) & mask; bits that come in from a neighbour are masked away. */
static __m128i bits_of(__m128i bytes, int shift, char mask) {
    return _mm_and_si128(_mm_srl_epi16(bytes, _mm_cvtsi32_si128(shift)), _mm_set1_epi8(mask));
}

/* `value` in each byte that has bit `bit`. */
static __m128i where_set(__m128i bytes, int bit, char value) {
    __m128i mask = _mm_set1_epi8((char)(1u << bit));
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(bytes, mask), mask), _mm_set1_epi8(value));
}

static void q2_k(float *y, const unsigned char *b) {
    float d = f16_at(b + 80), dmin = f16_at(b + 82);
    for (int group = 0; group < 16; group++) {
        __m128i q = load_16(b + 16 + group / 8 * 32 + group % 2 * 16);
        scaled_16(y + 16 * group, bits_of(q, group / 2 % 4 * 2, 3), d * (float)(b[group] & 15),
                  -(dmin * (float)(b[group] >> 4)));
    }
}

static void q3_k(float *y, const unsigned char *b) {
    float d = f16_at(b + 108);
    for (int group = 0; group < 16; group++) {
        __m128i q = bits_of(load_16(b + 32 + group / 8 * 32 + group % 2 * 16), group / 2 % 4 * 2, 3);
        __m128i high = where_set(load_16(b + group % 2 * 16), group / 2, 4);
        products_16(y + 16 * group, _mm_sub_epi8(_mm_add_epi8(q, high), _mm_set1_epi8(4)),
                    d * (float)hn_k_scale_q3(b + 96, group));
    }
}

/* Q4_K where `high` is NULL, else Q5_K with its high bits there. */
__attribute__((always_inline)) static inline void q45_k(float *y, const unsigned char *b, const unsigned char *qs,
                                                        const unsigned char *high) {
    float d = f16_at(b), dmin = f16_at(b + 2);
    for (int group = 0; group < 8; group++) {
        int scale, minimum;
        hn_k_scale_pair(b + 4, group, &scale, &minimum);
        for (int half = 0; half < 2; half++) {
            __m128i q = bits_of(load_16(qs + group / 2 * 32 + 16 * half), group % 2 * 4, 15);
            if (high) q = _mm_or_si128(q, where_set(load_16(high + 16 * half), group, 16));
            scaled_16(y + 32 * group + 16 * half, q, d * (float)scale, -(dmin * (float)minimum));
        }
    }
}

static void q4_k(float *y, const unsigned char *b) { q45_k(y, b, b + 16, NULL); }
static void q5_k(float *y, const unsigned char *b) { q45_k(y, b, b + 48, b + 16); }

static void q6_k(float *y, const unsigned char *b) {
    float d = f16_at(b + 208);
    for (int group = 0; group < 16; group++) { /* 16 values each */
        int half = group / 8, quarter = group / 2 % 4, part = group % 2 * 16;
        __m128i low = bits_of(load_16(b + 64 * half + quarter % 2 * 32 + part), quarter / 2 * 4, 15);
        __m128i high = bits_of(load_16(b + 128 + 32 * half + part), quarter * 2, 3);
        __m128i q = _mm_or_si128(low, _mm_slli_epi16(high, 4));
        products_16(y + 16 * group, _mm_sub_epi8(q, _mm_set1_epi8(32)), d * (float)(signed char)b[192 + group]);
    }
}
