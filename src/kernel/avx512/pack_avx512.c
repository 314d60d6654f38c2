/* Packing weights as bf16 pairs for the products of avx512/; the layout is described in matmul_bf16.c.
 *
 * 16 outputs are dequantised some inputs at a time into f32, rounded to bf16 (to nearest even, NaN stays NaN) and
 * turned over as 16 x 16 pairs. Only plain AVX-512 is used, so that both the f32 and the bf16 products can read the
 * pack. */
#include "kernel/avx512/avx512.h"
#include "kernel/avx512/transpose_avx512.h"

#include <immintrin.h>
#include <string.h>

enum { COLUMNS = 32 };

typedef uint16_t bf16;

static int64_t padded(int64_t K) { return (K + 31) / 32 * 32; }

/* 16 floats as the upper halves of 16 dwords; the lower halves hold rubbish. */
static __m512i rounded(__m512 x) {
    __m512i bits = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    return _mm512_mask_or_epi32(up, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits, _mm512_set1_epi32(0x400000));
}

/* 32 floats as 32 bf16 in order. */
static __m512i round_to_bf16(const float *x) {
    __m256i low = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(_mm512_load_ps(x)), 16));
    __m256i high = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(_mm512_load_ps(x + 16)), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

enum { CHUNK = 256 }; /* inputs dequantised at a time: one block of the largest formats */

/* Outputs first .. first+15 of inputs from .. from+n-1 (n <= CHUNK), as pairs into every second register of the panel.
 * */
static void pack_chunk(bf16 *panel, const hn_matrix *w, int64_t first, int64_t from, int64_t n) {
    _Alignas(64) float values[16][CHUNK];
    hn_dtype_info info = hn_dtype_of(w->dtype);
    size_t row_bytes = (size_t)w->n_in / info.block_values * info.block_bytes;
    size_t offset = (size_t)from / info.block_values * info.block_bytes;
    for (int i = 0; i < 16; i++) {
        int64_t rest = padded(n) - n;
        bool exists = first + i < w->n_out;
        if (exists)
            hn_avx512_dequantize(values[i], (const char *)w->data + (size_t)(first + i) * row_bytes + offset, w->dtype,
                                 (size_t)n);
        if (!exists)
            memset(values[i], 0, (size_t)padded(n) * sizeof(float));
        else if (rest)
            memset(values[i] + n, 0, (size_t)rest * sizeof(float));
    }
    for (int64_t k = 0; k < n; k += 32) {
        __m512i r[16];
        for (int i = 0; i < 16; i++) r[i] = round_to_bf16(values[i] + k);
        hn_avx512_transpose(r);
        for (int i = 0; i < 16; i++) _mm512_store_si512(panel + (k / 2 + i) * 2 * COLUMNS, r[i]);
    }
}

void hn_avx512_pack_bf16_part(void *to, const hn_matrix *w, int64_t first, int64_t from, int64_t n) {
    int64_t block = (int64_t)hn_dtype_of(w->dtype).block_values, end = from + n < w->n_in ? from + n : w->n_in;
    if (from % block == 0 && end % block == 0) {
        for (int half = 0; half < 2; half++) pack_chunk((bf16 *)to + 32 * half, w, first + 16 * half, from, end - from);
        return;
    }
    /* Part of a large block: the whole of it, then what was asked for. */
    _Alignas(64) bf16 whole[CHUNK * COLUMNS];
    int64_t start = from / block * block;
    for (int half = 0; half < 2; half++) pack_chunk(whole + 32 * half, w, first + 16 * half, start, block);
    memcpy(to, whole + (from - start) * COLUMNS, (size_t)n * COLUMNS * sizeof(bf16));
}

void hn_avx512_pack_bf16(void *panel, const hn_matrix *w, int64_t first) {
    for (int64_t k = 0; k < w->n_in; k += CHUNK) {
        int64_t n = w->n_in - k < CHUNK ? w->n_in - k : CHUNK;
        hn_avx512_pack_bf16_part((bf16 *)panel + k * COLUMNS, w, first, k, n);
    }
}
