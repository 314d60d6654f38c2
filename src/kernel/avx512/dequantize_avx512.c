/* Dequantisation with AVX-512; f32, a copy, is the reference's. Exact like the reference: a scale has 11 bits and a quant at most 8, so scale * quant needs no rounding and one fused
 * multiply-add gives the bits of a product and a sum. */
#include "kernel/avx512/avx512.h"

#include "kernel/ref/ref.h"

#include <immintrin.h>
#include <string.h>

typedef unsigned char byte;

static float f16_at(const byte *p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

/* 16 quants in signed bytes: y (16) = q scale + minimum, and q scale */
static void scaled_16(float *y, __m128i q, float scale, float minimum) {
    __m512 x = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
    _mm512_storeu_ps(y, _mm512_fmadd_ps(x, _mm512_set1_ps(scale), _mm512_set1_ps(minimum)));
}

static void products_16(float *y, __m128i q, float scale) {
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), _mm512_set1_ps(scale)));
}

#include "kernel/simd/k_quants_x86.h"

/* 16 bytes, each with two quants of four bits, into the values of the low and the high nibbles. */
static void nibbles(__m512i *low, __m512i *high, const byte *qs) {
    __m512i q = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)qs));
    *low = _mm512_and_si512(q, _mm512_set1_epi32(15));
    *high = _mm512_srli_epi32(q, 4);
}

static void store_scaled(float *y, __m512i low, __m512i high, float d, float m) {
    __m512 scale = _mm512_set1_ps(d), minimum = _mm512_set1_ps(m);
    _mm512_storeu_ps(y, _mm512_fmadd_ps(_mm512_cvtepi32_ps(low), scale, minimum));
    _mm512_storeu_ps(y + 16, _mm512_fmadd_ps(_mm512_cvtepi32_ps(high), scale, minimum));
}

/* Without a minimum it must be a product: a fused addition of 0 would turn -0 into 0. */
static void store_products(float *y, __m512i low, __m512i high, float d) {
    __m512 scale = _mm512_set1_ps(d);
    _mm512_storeu_ps(y, _mm512_mul_ps(_mm512_cvtepi32_ps(low), scale));
    _mm512_storeu_ps(y + 16, _mm512_mul_ps(_mm512_cvtepi32_ps(high), scale));
}

static void q4_0(float *y, const byte *b) {
    __m512i low, high, eight = _mm512_set1_epi32(8);
    nibbles(&low, &high, b + 2);
    store_products(y, _mm512_sub_epi32(low, eight), _mm512_sub_epi32(high, eight), f16_at(b));
}

static void q4_1(float *y, const byte *b) {
    __m512i low, high;
    nibbles(&low, &high, b + 4);
    store_scaled(y, low, high, f16_at(b), f16_at(b + 2));
}

/* Adds bit 4 of each quant from the 32 bits at `bits`. */
static void fifth_bits(__m512i *low, __m512i *high, const byte *bits) {
    uint32_t set;
    memcpy(&set, bits, sizeof set);
    __m512i sixteen = _mm512_set1_epi32(16);
    *low = _mm512_mask_add_epi32(*low, (__mmask16)set, *low, sixteen);
    *high = _mm512_mask_add_epi32(*high, (__mmask16)(set >> 16), *high, sixteen);
}

static void q5_0(float *y, const byte *b) {
    __m512i low, high, sixteen = _mm512_set1_epi32(16);
    nibbles(&low, &high, b + 6);
    fifth_bits(&low, &high, b + 2);
    store_products(y, _mm512_sub_epi32(low, sixteen), _mm512_sub_epi32(high, sixteen), f16_at(b));
}

static void q5_1(float *y, const byte *b) {
    __m512i low, high;
    nibbles(&low, &high, b + 8);
    fifth_bits(&low, &high, b + 4);
    store_scaled(y, low, high, f16_at(b), f16_at(b + 2));
}

static void q8_0(float *y, const byte *b) {
    store_products(y, _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(b + 2))),
                   _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(b + 18))), f16_at(b));
}

static void plain_f16(float *dst, const uint16_t *src, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(dst + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(src + i))));
    if (i == n) return;
    __mmask16 rest = (__mmask16)((1u << (n - i)) - 1);
    _mm512_mask_storeu_ps(dst + i, rest, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(rest, src + i)));
}

static __m512 widen_bf16(__m256i bits) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

static void plain_bf16(float *dst, const uint16_t *src, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) _mm512_storeu_ps(dst + i, widen_bf16(_mm256_loadu_si256((const __m256i *)(src + i))));
    if (i == n) return;
    __mmask16 rest = (__mmask16)((1u << (n - i)) - 1);
    _mm512_mask_storeu_ps(dst + i, rest, widen_bf16(_mm256_maskz_loadu_epi16(rest, src + i)));
}

#define FOR_BLOCKS(block, bytes)                                                                                       \
    for (size_t i = 0; i < n / 32; i++) block(dst + 32 * i, (const byte *)src + (bytes)*i)
#define FOR_K_BLOCKS(block, bytes)                                                                                     \
    for (size_t i = 0; i < n / 256; i++) block(dst + 256 * i, (const byte *)src + (bytes)*i)

void hn_avx512_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n) {
    switch (dtype) {
    case HN_DTYPE_F16: plain_f16(dst, src, n); break;
    case HN_DTYPE_BF16: plain_bf16(dst, src, n); break;
    case HN_DTYPE_Q4_0: FOR_BLOCKS(q4_0, 18); break;
    case HN_DTYPE_Q4_1: FOR_BLOCKS(q4_1, 20); break;
    case HN_DTYPE_Q5_0: FOR_BLOCKS(q5_0, 22); break;
    case HN_DTYPE_Q5_1: FOR_BLOCKS(q5_1, 24); break;
    case HN_DTYPE_Q8_0: FOR_BLOCKS(q8_0, 34); break;
    case HN_DTYPE_Q2_K: FOR_K_BLOCKS(q2_k, 84); break;
    case HN_DTYPE_Q3_K: FOR_K_BLOCKS(q3_k, 110); break;
    case HN_DTYPE_Q4_K: FOR_K_BLOCKS(q4_k, 144); break;
    case HN_DTYPE_Q5_K: FOR_K_BLOCKS(q5_k, 176); break;
    case HN_DTYPE_Q6_K: FOR_K_BLOCKS(q6_k, 210); break;
    default: hn_ref_dequantize(dst, src, dtype, n);
    }
}
