/* Dequantisation and packing with AVX2; f32, a copy, is the reference's. Exact for the reasons given in
 * avx512/dequantize_avx512.c and simd/k_quants_x86.h. */
#include "kernel/avx2/avx2.h"

#include "kernel/ref/ref.h"

#include <immintrin.h>
#include <string.h>

typedef unsigned char byte;

static float f16_at(const byte *p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return _cvtsh_ss(bits);
}

/* 16 quants in bytes; y (16) = q d + m, as one product and one sum that needs no rounding before it. */
static void scaled_16(float *y, __m128i q, float d, float m) {
    __m256 scale = _mm256_set1_ps(d), minimum = _mm256_set1_ps(m);
    __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(q)),
           b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(q, 8)));
    _mm256_storeu_ps(y, _mm256_fmadd_ps(a, scale, minimum));
    _mm256_storeu_ps(y + 8, _mm256_fmadd_ps(b, scale, minimum));
}

/* 16 quants in signed bytes; y (16) = q d */
static void products_16(float *y, __m128i q, float d) {
    __m256 scale = _mm256_set1_ps(d);
    _mm256_storeu_ps(y, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q)), scale));
    _mm256_storeu_ps(y + 8, _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(q, 8))), scale));
}

#include "kernel/simd/k_quants_x86.h"

static void nibbles(__m128i *low, __m128i *high, const byte *qs) {
    __m128i q = _mm_loadu_si128((const __m128i *)qs), mask = _mm_set1_epi8(15);
    *low = _mm_and_si128(q, mask);
    *high = _mm_and_si128(_mm_srli_epi16(q, 4), mask);
}

/* 16 where bit i of `bits` is set, in byte i. */
static __m128i sixteen_where(uint32_t bits) {
    __m128i spread =
        _mm_shuffle_epi8(_mm_cvtsi32_si128((int)bits), _mm_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
    __m128i bit = _mm_set1_epi64x((long long)0x8040201008040201ull);
    return _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(spread, bit), bit), _mm_set1_epi8(16));
}

static void fifth_bits(__m128i *low, __m128i *high, const byte *at) {
    uint32_t bits;
    memcpy(&bits, at, sizeof bits);
    *low = _mm_or_si128(*low, sixteen_where(bits & 0xFFFF));
    *high = _mm_or_si128(*high, sixteen_where(bits >> 16));
}

static void q4_0(float *y, const byte *b) {
    __m128i low, high, eight = _mm_set1_epi8(8);
    nibbles(&low, &high, b + 2);
    products_16(y, _mm_sub_epi8(low, eight), f16_at(b));
    products_16(y + 16, _mm_sub_epi8(high, eight), f16_at(b));
}

static void q4_1(float *y, const byte *b) {
    __m128i low, high;
    nibbles(&low, &high, b + 4);
    scaled_16(y, low, f16_at(b), f16_at(b + 2));
    scaled_16(y + 16, high, f16_at(b), f16_at(b + 2));
}

static void q5_0(float *y, const byte *b) {
    __m128i low, high, sixteen = _mm_set1_epi8(16);
    nibbles(&low, &high, b + 6);
    fifth_bits(&low, &high, b + 2);
    products_16(y, _mm_sub_epi8(low, sixteen), f16_at(b));
    products_16(y + 16, _mm_sub_epi8(high, sixteen), f16_at(b));
}

static void q5_1(float *y, const byte *b) {
    __m128i low, high;
    nibbles(&low, &high, b + 8);
    fifth_bits(&low, &high, b + 4);
    scaled_16(y, low, f16_at(b), f16_at(b + 2));
    scaled_16(y + 16, high, f16_at(b), f16_at(b + 2));
}

static void q8_0(float *y, const byte *b) {
    products_16(y, _mm_loadu_si128((const __m128i *)(b + 2)), f16_at(b));
    products_16(y + 16, _mm_loadu_si128((const __m128i *)(b + 18)), f16_at(b));
}

static void plain_f16(float *dst, const uint16_t *src, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(src + i))));
    for (; i < n; i++) dst[i] = _cvtsh_ss(src[i]);
}

static void plain_bf16(float *dst, const uint16_t *src, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(src + i)));
        _mm256_storeu_ps(dst + i, _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16)));
    }
    for (; i < n; i++) dst[i] = hn_bf16_to_f32(src[i]);
}

#define FOR_BLOCKS(block, bytes)                                                                                       \
    for (size_t i = 0; i < n / 32; i++) block(dst + 32 * i, (const byte *)src + (bytes)*i)
#define FOR_K_BLOCKS(block, bytes)                                                                                     \
    for (size_t i = 0; i < n / 256; i++) block(dst + 256 * i, (const byte *)src + (bytes)*i)

void hn_avx2_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n) {
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

/* 8 floats as the upper halves of 8 dwords, rounded to nearest even; NaN stays NaN. */
static __m256i rounded(__m256 x) {
    __m256i bits = _mm256_castps_si256(x), odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i up = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    return _mm256_blendv_epi8(up, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}

/* 16 floats as 8 pairs of bf16: dword i holds values 2i and 2i+1. */
static __m256i round_pairs(const float *x) {
    __m256i low = _mm256_srli_epi32(rounded(_mm256_loadu_ps(x)), 16),
            high = _mm256_srli_epi32(rounded(_mm256_loadu_ps(x + 8)), 16);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xD8);
}

/* 8 rows of 8 dwords turned over. */
static void transpose(__m256i r[8]) {
    __m256i t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
    memcpy(r, t, sizeof t);
}

enum { COLUMNS = 16, CHUNK = 256 };

/* Outputs first .. first+7 of inputs from .. from+n-1 (n <= CHUNK), into every second register of the panel. */
static void pack_chunk(uint16_t *panel, const hn_matrix *w, int64_t first, int64_t from, int64_t n) {
    float values[8][CHUNK];
    hn_dtype_info info = hn_dtype_of(w->dtype);
    size_t row_bytes = (size_t)w->n_in / info.block_values * info.block_bytes;
    size_t offset = (size_t)from / info.block_values * info.block_bytes;
    int64_t padded = (n + 31) / 32 * 32;
    for (int i = 0; i < 8; i++) {
        int64_t filled = first + i < w->n_out ? n : 0;
        if (filled)
            hn_avx2_dequantize(values[i], (const char *)w->data + (size_t)(first + i) * row_bytes + offset, w->dtype,
                               (size_t)n);
        memset(values[i] + filled, 0, (size_t)(padded - filled) * sizeof(float));
    }
    for (int64_t k = 0; k < padded; k += 16) {
        __m256i r[8];
        for (int i = 0; i < 8; i++) r[i] = round_pairs(values[i] + k);
        transpose(r);
        for (int i = 0; i < 8; i++) _mm256_storeu_si256((__m256i *)(panel + (k / 2 + i) * 2 * COLUMNS), r[i]);
    }
}

void hn_avx2_pack_bf16(void *panel, const hn_matrix *w, int64_t first) {
    for (int64_t k = 0; k < w->n_in; k += CHUNK) {
        int64_t n = w->n_in - k < CHUNK ? w->n_in - k : CHUNK;
        for (int half = 0; half < 2; half++)
            pack_chunk((uint16_t *)panel + k * COLUMNS + 16 * half, w, first + 8 * half, k, n);
    }
}
