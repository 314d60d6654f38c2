/* Panels that keep 4- and 8-bit weights as small as the file has them (Q4_1, Q8_0), for the bf16 products of
 * matmul_bf16.c.
 *
 * Decoding reads every weight once per token, so it is bound by memory: here a weight is 5 or 8.5 bits instead of 16.
 * The quants become bf16 in registers, exactly the numbers that a bf16 pack would hold (dequantised in f32, rounded to
 * nearest even), and enter the same chains of additions: a row has the same bits whichever way it goes.
 *
 * VCVTNE2PS2BF16 joins two registers of f32 end to end, and VDPBF16PS adds neighbours: so register "low" holds both
 * inputs of a pair for outputs 0..7 of 16, one beside the other, and register "high" those of outputs 8..15. A panel
 * block, 32 outputs by 32 inputs, is two halves of 16 outputs, then their scales:
 *
 *     Q4_1  half: 4 registers of 16 dwords; dword l of register z has eight quants of four bits, of which numbers 2p
 *           and 2p+1 are input 8z + 2p + l%2 of outputs l/2 and 8 + l/2. Then, in f16, the scales of all 32 outputs and
 *           their minima. 640 bytes.
 *     Q8_0  half: for each of 16 pairs of inputs, 16 outputs with 2 bytes each. Then, in f16, the scales of all 32
 *           outputs. 1,088 bytes. */
#include "kernel/avx512/quant_bf16.h"
#include "kernel/avx512/transpose_avx512.h"

#include <immintrin.h>
#include <string.h>

enum {
    HALF = 16,
    PAIRS = 16, /* pairs of inputs in a block */
    Q4_HALF_BYTES = 256,
    Q4_BLOCK_BYTES = 2 * Q4_HALF_BYTES + 128,
    Q8_HALF_BYTES = 512,
    Q8_BLOCK_BYTES = 2 * Q8_HALF_BYTES + 64,
    Q4_FILE_BYTES = 20,
    Q8_FILE_BYTES = 34,
};

typedef unsigned char byte;

bool hn_avx512_quant_has(hn_dtype dtype) { return dtype == HN_DTYPE_Q4_1 || dtype == HN_DTYPE_Q8_0; }

static size_t block_bytes(hn_dtype dtype) { return dtype == HN_DTYPE_Q4_1 ? Q4_BLOCK_BYTES : Q8_BLOCK_BYTES; }

size_t hn_avx512_quant_panel_bytes(hn_dtype dtype, int64_t K) { return (size_t)(K / 32) * block_bytes(dtype); }

/* ---- packing ---- */

/* Outputs r and r + 8 of a half: bytes with the first's quant below the second's, even inputs of each eight before odd
 * ones. */
static void pack_q4_rows(byte *half, int r, const byte *first, const byte *second) {
    const __m128i order = _mm_setr_epi8(0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15), low4 = _mm_set1_epi8(15);
    __m128i a = _mm_loadu_si128((const __m128i *)(first + 4)), b = _mm_loadu_si128((const __m128i *)(second + 4));
    __m128i low = _mm_or_si128(_mm_and_si128(a, low4), _mm_slli_epi16(_mm_and_si128(b, low4), 4));
    __m128i high = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(a, 4), low4), _mm_andnot_si128(low4, b));
    low = _mm_shuffle_epi8(low, order);
    high = _mm_shuffle_epi8(high, order);
    _mm_storel_epi64((__m128i *)(half + 8 * r), low);
    _mm_storel_epi64((__m128i *)(half + 64 + 8 * r), _mm_unpackhi_epi64(low, low));
    _mm_storel_epi64((__m128i *)(half + 128 + 8 * r), high);
    _mm_storel_epi64((__m128i *)(half + 192 + 8 * r), _mm_unpackhi_epi64(high, high));
}

/* Where output `n`'s block `b` is in the file; past the last output a block of zeros. */
static const byte *file_block(const hn_matrix *w, int64_t n, int64_t b, size_t size) {
    static const byte zeros[Q8_FILE_BYTES];
    if (n >= w->n_out) return zeros;
    return (const byte *)w->data + ((size_t)n * (size_t)(w->n_in / 32) + (size_t)b) * size;
}

static void pack_q4_block(byte *block, const hn_matrix *w, int64_t first, int64_t b) {
    for (int r = 0; r < 32; r++) {
        const byte *from = file_block(w, first + r, b, Q4_FILE_BYTES);
        if (r % 16 < 8)
            pack_q4_rows(block + r / 16 * Q4_HALF_BYTES, r % 16, from, file_block(w, first + r + 8, b, Q4_FILE_BYTES));
        memcpy(block + 2 * Q4_HALF_BYTES + 2 * r, from, 2);
        memcpy(block + 2 * Q4_HALF_BYTES + 64 + 2 * r, from + 2, 2);
    }
}

/* Words (pairs of inputs) of 16 rows turned over: a row's word p becomes word r of pair p. */
static void pack_q8_block(byte *block, const hn_matrix *w, int64_t first, int64_t b) {
    for (int half = 0; half < 2; half++) {
        __m512i words[16];
        for (int r = 0; r < HALF; r++) {
            const byte *from = file_block(w, first + HALF * half + r, b, Q8_FILE_BYTES);
            words[r] = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(from + 2)));
            memcpy(block + 2 * Q8_HALF_BYTES + 2 * (HALF * half + r), from, 2);
        }
        hn_avx512_transpose(words);
        for (int pair = 0; pair < PAIRS; pair++)
            _mm256_store_si256((__m256i *)(block + half * Q8_HALF_BYTES + 32 * pair),
                               _mm512_cvtepi32_epi16(words[pair]));
    }
}

/* A panel's rows lie one after another in the file but are read side by side, which the hardware does not foresee: so
 * the next panel's bytes are asked for, in their order, while this one is packed. */
void hn_avx512_quant_pack(void *panel, const hn_matrix *w, int64_t first) {
    size_t file_bytes = w->dtype == HN_DTYPE_Q4_1 ? Q4_FILE_BYTES : Q8_FILE_BYTES;
    size_t row = (size_t)(w->n_in / 32) * file_bytes;
    const byte *ahead = (const byte *)w->data + (size_t)first * row;
    bool has_next = first + 64 <= w->n_out;
    if (has_next) ahead += 32 * row;
    for (int64_t b = 0; b < w->n_in / 32; b++, ahead += 32 * file_bytes) {
        byte *block = (byte *)panel + (size_t)b * block_bytes(w->dtype);
        for (size_t line = 0; has_next && line < 32 * file_bytes; line += 64)
            _mm_prefetch((const char *)ahead + line, _MM_HINT_T0);
        if (w->dtype == HN_DTYPE_Q4_1)
            pack_q4_block(block, w, first, b);
        else
            pack_q8_block(block, w, first, b);
    }
}

/* ---- in registers ---- */

/* Scales and minima of one half's 16 outputs, each twice: what belongs to "low" and "high". */
typedef struct factors {
    __m512 scale_low, scale_high, minimum_low, minimum_high;
} factors;

__attribute__((always_inline)) static inline void twice(__m512 *low, __m512 *high, const byte *f16) {
    const __m512i order_low = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    const __m512i order_high = _mm512_setr_epi32(8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 15, 15);
    __m512 all = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)f16));
    *low = _mm512_permutexvar_ps(order_low, all);
    *high = _mm512_permutexvar_ps(order_high, all);
}

__attribute__((always_inline)) static inline factors factors_of(const byte *block, int half, bool q4) {
    factors f;
    const byte *scales = block + (q4 ? 2 * Q4_HALF_BYTES : 2 * Q8_HALF_BYTES) + 32 * half;
    twice(&f.scale_low, &f.scale_high, scales);
    if (q4)
        twice(&f.minimum_low, &f.minimum_high, scales + 64);
    else
        f.minimum_low = f.minimum_high = _mm512_setzero_ps();
    return f;
}

/* 0 .. 15 as floats: a permutation looks at the lowest four bits of each dword alone, so it takes a quant out and
 * converts it. */
__attribute__((always_inline)) static inline __m512 sixteen(void) {
    return _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* The weights of pair p of 16 inputs' worth in one half, as VDPBF16PS takes them. */
__attribute__((always_inline)) static inline __m512bh q4_pair(__m512i quants, int p, const factors *f, __m512 values) {
    __m512 low = _mm512_permutexvar_ps(_mm512_srli_epi32(quants, (unsigned)(8 * p)), values);
    __m512 high = _mm512_permutexvar_ps(_mm512_srli_epi32(quants, (unsigned)(8 * p + 4)), values);
    low = _mm512_fmadd_ps(low, f->scale_low, f->minimum_low);
    high = _mm512_fmadd_ps(high, f->scale_high, f->minimum_high);
    return _mm512_cvtne2ps_pbh(high, low);
}

__attribute__((always_inline)) static inline __m512bh q8_pair(const byte *bytes, const factors *f) {
    __m512 low = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)bytes)));
    __m512 high = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128((const __m128i *)bytes + 1)));
    return _mm512_cvtne2ps_pbh(_mm512_mul_ps(high, f->scale_high), _mm512_mul_ps(low, f->scale_low));
}

/* Weights of all pairs of a half block; calls use(pair, weights) through a macro, since C has no closures. */
#define FOR_PAIRS(block, half, q4, use)                                                                                \
    do {                                                                                                               \
        const factors f = factors_of(block, half, q4);                                                                 \
        if (q4) {                                                                                                      \
            const __m512 values = sixteen();                                                                           \
            for (int z = 0; z < 4; z++) {                                                                              \
                const __m512i quants = _mm512_load_si512((block) + (half)*Q4_HALF_BYTES + 64 * z);                     \
                use(4 * z, q4_pair(quants, 0, &f, values));                                                            \
                use(4 * z + 1, q4_pair(quants, 1, &f, values));                                                        \
                use(4 * z + 2, q4_pair(quants, 2, &f, values));                                                        \
                use(4 * z + 3, q4_pair(quants, 3, &f, values));                                                        \
            }                                                                                                          \
        } else {                                                                                                       \
            for (int p = 0; p < PAIRS; p++) use(p, q8_pair((block) + (half)*Q8_HALF_BYTES + 32 * p, &f));              \
        }                                                                                                              \
    } while (0)

__attribute__((always_inline)) static inline void unpack_block(uint16_t *to, const byte *block, bool q4) {
#define STORE_PAIR(pair, weights) _mm512_store_si512(to + (pair)*64 + 32 * half, (__m512i)(weights))
    for (int half = 0; half < 2; half++) FOR_PAIRS(block, half, q4, STORE_PAIR);
#undef STORE_PAIR
}

/* Asks for the memory that will be read some blocks from now: also across the end of a panel, where the next one
 * begins. */
__attribute__((always_inline)) static inline void fetch_ahead(const byte *block, size_t size) {
    enum { AHEAD = 8 }; /* blocks */
    for (size_t line = 0; line < size; line += 64)
        _mm_prefetch((const char *)(block + AHEAD * size + line), _MM_HINT_T0);
}

const void *hn_avx512_quant_unpack(uint16_t *to, const void *at, hn_dtype dtype, int64_t n) {
    const byte *block = at;
    bool q4 = dtype == HN_DTYPE_Q4_1;
    for (int64_t b = 0; b < n / 32; b++, to += 32 * 32, block += block_bytes(dtype)) {
        if (q4) {
            fetch_ahead(block, Q4_BLOCK_BYTES);
            unpack_block(to, block, true);
        } else {
            fetch_ahead(block, Q8_BLOCK_BYTES);
            unpack_block(to, block, false);
        }
    }
    return block;
}

/* `rows` rows (a constant after inlining) times one panel. A half's chain within a block is long, but the next half's
 * does not wait for it, so even a row alone keeps the units busy. */
__attribute__((always_inline)) static inline void products(__m512 (*sum)[2], const uint16_t *x, int64_t x_stride,
                                                           const byte *block, int64_t n_blocks, bool q4, int rows) {
    const size_t size = q4 ? Q4_BLOCK_BYTES : Q8_BLOCK_BYTES;
    for (int64_t b = 0; b < n_blocks; b++, x += 32, block += size) {
        fetch_ahead(block, size);
#define ADD_PAIR(pair, weights)                                                                                        \
    do {                                                                                                               \
        const __m512bh pair_weights = weights;                                                                         \
        _Pragma("GCC unroll 8") for (int r = 0; r < rows; r++) {                                                       \
            int both;                                                                                                  \
            memcpy(&both, x + r * x_stride + 2 * (pair), sizeof both);                                                 \
            sum[r][half] = _mm512_dpbf16_ps(sum[r][half], (__m512bh)_mm512_set1_epi32(both), pair_weights);            \
        }                                                                                                              \
    } while (0)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) FOR_PAIRS(block, half, q4, ADD_PAIR);
#undef ADD_PAIR
    }
}

__attribute__((always_inline)) static inline void rows_by_panel(const hn_quant_product *p, bool q4, int rows) {
    __m512 sum[HN_QUANT_ROWS][2];
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    products(sum, p->x, p->x_stride, p->panel, p->K / 32, q4, rows);
    for (int half = 0; half < 2; half++) {
        int64_t left = p->columns - HALF * half;
        __mmask16 mask = left >= HALF ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
        for (int r = 0; r < rows; r++) _mm512_mask_storeu_ps(p->y + r * p->y_stride + HALF * half, mask, sum[r][half]);
    }
}

#define ROWS_CASE(q4, rows)                                                                                            \
    case rows:                                                                                                         \
        rows_by_panel(p, q4, rows);                                                                                    \
        break;
#define MULTIPLY_FUNCTION(name, q4)                                                                                    \
    static void name(const hn_quant_product *p, int rows) {                                                            \
        switch (rows) {                                                                                                \
            ROWS_CASE(q4, 1)                                                                                           \
            ROWS_CASE(q4, 2)                                                                                           \
            ROWS_CASE(q4, 3)                                                                                           \
            ROWS_CASE(q4, 4)                                                                                           \
            ROWS_CASE(q4, 5)                                                                                           \
            ROWS_CASE(q4, 6)                                                                                           \
            ROWS_CASE(q4, 7)                                                                                           \
            ROWS_CASE(q4, 8)                                                                                           \
        default: break;                                                                                                \
        }                                                                                                              \
    }
MULTIPLY_FUNCTION(multiply_q4, true)
MULTIPLY_FUNCTION(multiply_q8, false)

void hn_avx512_quant_multiply(const hn_quant_product *p, hn_dtype dtype, int rows) {
    if (dtype == HN_DTYPE_Q4_1)
        multiply_q4(p, rows);
    else
        multiply_q8(p, rows);
}
