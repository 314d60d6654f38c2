/* Products of quantised weights with rows of 16-bit integers; see kernel/matmul.h. All other formats go through the f32
 * products of matmul_f32_avx2.c.
 *
 * VPMADDWD multiplies 16 pairs of 16-bit integers and adds neighbours: twice as many products in an instruction as an
 * f32 multiply-add, and exact. Weights keep the file's quants (so they are not rounded at all, where a bf16 pack would
 * round them) and are read in 4.5 to 9 bits. A row of x becomes integers of 16 bits, with one f32 scale for each 32
 * inputs: an error of at most 2^-16 of the largest of the 32, where bf16 has 2^-9 of each.
 *
 * For a block of 32 inputs the sum of the integers' products is exact in 32 bits, in any order:
 *
 *     y += (float)sum * (scale of the weights * scale of x) + minimum * (sum of x)
 *
 * and these are one chain over the blocks from the first to the last, in every tile size below: a row has the same bits
 * alone (decode) and among 512 (prefill).
 *
 * Few rows read the quants as they are; for many, a panel is first widened to 16 bits (`wide` below), which then stays
 * in the cache for all rows.
 *
 * Included by one file for each instruction set, which defines HN_INT16_OPS (the table's name) and HN_INT16_VNNI where VPDPWSSD is there:
 * the same exact sums in one instruction instead of three. */
#ifndef HN_KERNEL_QUANT_INT16_X86_H
#define HN_KERNEL_QUANT_INT16_X86_H

#include "kernel/avx2/quant_int16.h"

#include "kernel/avx2/avx2.h"
#include "kernel/avx2/quant_panel.h"

#include <immintrin.h>
#include <string.h>

#ifdef HN_INT16_VNNI
extern const hn_matmul_ops HN_INT16_OPS;
#endif

enum {
    COLUMNS = HN_AVX2_COLUMNS,
    BLOCK = 32,
    PAIRS = 16, /* pairs of inputs in a block */
    TILE_ROWS = 6,
    WIDE_QUANTS_BYTES = 1024,
    WIDE_BLOCK_BYTES = WIDE_QUANTS_BYTES + 128, /* (16 pairs, 16 outputs, 2) int16, 16 scales and 16 minima in f32 */
    AHEAD_BYTES = 4096,                         /* how far before its use memory is asked for */
};

/* ---- rows of x ---- */

/* A row: K integers, then a scale and the sum of x for each block. */
static size_t row_bytes(int64_t K) { return ((size_t)K * 2 + (size_t)(K / BLOCK) * 8 + 127) / 64 * 64; }
static const float *row_scales(const void *row, int64_t K) { return (const float *)((const int16_t *)row + K); }

static float largest_size(const __m256 x[4]) {
    const __m256i mask = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i most = _mm256_setzero_si256(); /* as integers, sizes have the order of the floats, and NaN is the largest */
    for (int i = 0; i < 4; i++) most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x[i]), mask));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

static int add_words(__m256i a, __m256i b) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i s = _mm256_add_epi32(_mm256_madd_epi16(a, ones), _mm256_madd_epi16(b, ones));
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4E));
    t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xB1));
    return _mm_cvtsi128_si32(t);
}

static __m256i to_words(__m256 a, __m256 b, __m256 factor) {
    __m256i both =
        _mm256_packs_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(a, factor)), _mm256_cvtps_epi32(_mm256_mul_ps(b, factor)));
    return _mm256_permute4x64_epi64(both, 0xD8);
}

/* One block of 32. Infinities and NaN give a scale that makes every product NaN; what is too small to invert is 0. */
static void convert_block(int16_t *to, float *scale, float *sum, const float *from) {
    __m256 x[4];
    for (int i = 0; i < 4; i++) x[i] = _mm256_loadu_ps(from + 8 * i);
    float most = largest_size(x);
    if (!(most >= 0x1p-100f && most <= 0x1.fffffep+127f)) {
        memset(to, 0, BLOCK * sizeof *to);
        *scale = *sum = most < 1 ? 0 : (most - most) * 0; /* inf - inf and NaN are NaN */
        return;
    }
    __m256 factor = _mm256_set1_ps(32767.0f / most);
    __m256i a = to_words(x[0], x[1], factor), b = to_words(x[2], x[3], factor);
    _mm256_storeu_si256((__m256i *)to, a);
    _mm256_storeu_si256((__m256i *)(to + 16), b);
    *scale = most / 32767.0f;
    *sum = *scale * (float)add_words(a, b);
}

static void convert(void *input, const float *x, int64_t x_stride, hn_dtype dtype, int64_t K, int64_t from,
                    int64_t to) {
    (void)dtype;
    for (int64_t m = from; m < to; m++) {
        int16_t *row = (int16_t *)((char *)input + (size_t)m * row_bytes(K));
        float *scales = (float *)(row + K);
        for (int64_t b = 0; b < K / BLOCK; b++)
            convert_block(row + b * BLOCK, scales + 2 * b, scales + 2 * b + 1, x + m * x_stride + b * BLOCK);
    }
}

/* ---- weights in registers ---- */

/* Scales and minima of a block's two halves of 8 outputs. */
typedef struct factors {
    __m256 scale[2], minimum[2];
} factors;

__attribute__((always_inline)) static inline factors factors_of(const byte *block, panel_kind kind) {
    factors f;
    const byte *scales = block + quant_bytes(kind);
    for (int h = 0; h < 2; h++) {
        f.scale[h] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(scales + 16 * h)));
        f.minimum[h] = _mm256_setzero_ps();
        if (kind.minimum == MINIMUM_STORED)
            f.minimum[h] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(scales + 32 + 16 * h)));
        if (kind.minimum == MINIMUM_EIGHT) f.minimum[h] = _mm256_mul_ps(f.scale[h], _mm256_set1_ps(-8));
    }
    return f;
}

/* Pair 4z + j of 8 outputs from a register of nibbles. */
__attribute__((always_inline)) static inline __m256i nibble(__m256i quants, int j) {
    return _mm256_and_si256(j ? _mm256_srli_epi16(quants, 4 * j) : quants, _mm256_set1_epi16(15));
}

__attribute__((always_inline)) static inline __m256i bytes_of(const byte *block, int pair, int half) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(block + 32 * pair + 16 * half)));
}

/* Asks for the memory that will be read some blocks from now: also across the end of a panel, where the next begins. */
__attribute__((always_inline)) static inline void fetch_ahead(const byte *block, size_t size) {
    for (size_t line = 0; line < size; line += 64)
        _mm_prefetch((const char *)(block + AHEAD_BYTES + line), _MM_HINT_T0);
}

static void widen_panel(byte *wide, const byte *panel, int64_t n_blocks, hn_dtype dtype) {
    panel_kind kind = kind_of(dtype);
    for (int64_t b = 0; b < n_blocks; b++, wide += WIDE_BLOCK_BYTES, panel += block_bytes(kind)) {
        factors f = factors_of(panel, kind);
        fetch_ahead(panel, block_bytes(kind));
        for (int h = 0; h < 2; h++) {
            __m256i *to = (__m256i *)wide + h;
            for (int z = 0; z < 4; z++) {
                __m256i quants = _mm256_setzero_si256();
                if (kind.four_bits) quants = _mm256_loadu_si256((const __m256i *)(panel + h * Q4_HALF_BYTES + 32 * z));
                for (int j = 0; j < 4; j++)
                    _mm256_store_si256(to + 2 * (4 * z + j),
                                       kind.four_bits ? nibble(quants, j) : bytes_of(panel, 4 * z + j, h));
            }
            _mm256_store_ps((float *)(wide + WIDE_QUANTS_BYTES + 32 * h), f.scale[h]);
            _mm256_store_ps((float *)(wide + WIDE_QUANTS_BYTES + 64 + 32 * h), f.minimum[h]);
        }
    }
}

/* ---- products ---- */

/* What a tile works on: rows of x and the place of their outputs. */
typedef struct tile_place {
    float *y;
    int64_t y_stride;
    const char *x; /* converted rows */
    size_t x_bytes;
    int64_t K, columns; /* columns: how many of the 16 outputs exist */
} tile_place;

/* Adds a block's exact sums to the rows' outputs. */
__attribute__((always_inline)) static inline __m256 add_block(__m256 y, __m256i sum, __m256 scale, __m256 minimum,
                                                              const float *x_scale, bool has_minimum) {
    y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scale, _mm256_broadcast_ss(x_scale)), y);
    return has_minimum ? _mm256_fmadd_ps(minimum, _mm256_broadcast_ss(x_scale + 1), y) : y;
}

/* The innermost steps are written as instructions: a compiler hoists the multiplications out of order until the sums no
 * longer fit the 16 registers. x: two integers, the pair of inputs that w holds the weights of. */
typedef int __attribute__((may_alias)) pair_of_inputs;

#ifdef HN_INT16_VNNI
__attribute__((always_inline)) static inline void add_one(__m256i *sum, __m256i w, const char *x) {
    __asm__("vpdpwssd %[x]%{1to8%}, %[w], %[sum]" : [sum] "+v"(*sum) : [w] "v"(w), [x] "m"(*(const pair_of_inputs *)x));
}

__attribute__((always_inline)) static inline void add_two(__m256i sum[2], __m256i w0, __m256i w1, const char *x) {
    add_one(&sum[0], w0, x);
    add_one(&sum[1], w1, x);
}
#else
__attribute__((always_inline)) static inline void add_one(__m256i *sum, __m256i w, const char *x) {
    __m256i t;
    __asm__("vpbroadcastd %[x], %[t]\n\t"
            "vpmaddwd %[w], %[t], %[t]\n\t"
            "vpaddd %[t], %[sum], %[sum]"
            : [sum] "+x"(*sum), [t] "=&x"(t)
            : [w] "x"(w), [x] "m"(*(const pair_of_inputs *)x));
}

__attribute__((always_inline)) static inline void add_two(__m256i sum[2], __m256i w0, __m256i w1, const char *x) {
    __m256i t, u;
    __asm__("vpbroadcastd %[x], %[t]\n\t"
            "vpmaddwd %[w0], %[t], %[u]\n\t"
            "vpmaddwd %[w1], %[t], %[t]\n\t"
            "vpaddd %[u], %[sum0], %[sum0]\n\t"
            "vpaddd %[t], %[sum1], %[sum1]"
            : [sum0] "+x"(sum[0]), [sum1] "+x"(sum[1]), [t] "=&x"(t), [u] "=&x"(u)
            : [w0] "x"(w0), [w1] "x"(w1), [x] "m"(*(const pair_of_inputs *)x));
}
#endif

__attribute__((always_inline)) static inline void add_pair(__m256i (*sum)[2], __m256i w0, __m256i w1, const char *x,
                                                           size_t x_bytes, int rows) {
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) add_two(sum[r], w0, w1, x + (size_t)r * x_bytes);
}

__attribute__((always_inline)) static inline void add_half_pair(__m256i (*sum)[2], int half, __m256i w, const char *x,
                                                                size_t x_bytes, int rows) {
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) add_one(&sum[r][half], w, x + (size_t)r * x_bytes);
}

__attribute__((always_inline)) static inline void write_rows(const tile_place *t, __m256 (*y)[2], int rows) {
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        for (int h = 0; h < 2; h++) {
            int64_t left = t->columns - 8 * h;
            float *to = t->y + r * t->y_stride + 8 * h;
            if (left >= 8)
                _mm256_storeu_ps(to, y[r][h]);
            else if (left > 0)
                _mm256_maskstore_ps(
                    to, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
                    y[r][h]);
        }
    }
}

#define CLEAR(sum, rows)                                                                                               \
    for (int r = 0; r < (rows); r++) (sum)[r][0] = (sum)[r][1] = _mm256_setzero_si256()

/* `rows` rows (a constant after inlining, as are the flags) by one widened panel. */
__attribute__((always_inline)) static inline void wide_tile(const tile_place *t, const byte *panel, bool has_minimum,
                                                            int rows) {
    __m256 y[TILE_ROWS][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) y[r][0] = y[r][1] = _mm256_setzero_ps();
    const float *x_scales = row_scales(t->x, t->K);
    const char *x = t->x;
    for (int64_t b = 0; b < t->K / BLOCK; b++, panel += WIDE_BLOCK_BYTES, x_scales += 2) {
        __m256i sum[TILE_ROWS][2];
#pragma GCC unroll 6
        CLEAR(sum, rows);
#pragma GCC unroll 2
        for (int p = 0; p < PAIRS; p++, x += 4) {
            const __m256i *w = (const __m256i *)panel + 2 * p;
            add_pair(sum, _mm256_load_si256(w), _mm256_load_si256(w + 1), x, t->x_bytes, rows);
        }
        const float *f = (const float *)(panel + WIDE_QUANTS_BYTES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const float *scale = (const float *)((const char *)x_scales + (size_t)r * t->x_bytes);
            y[r][0] = add_block(y[r][0], sum[r][0], _mm256_load_ps(f), _mm256_load_ps(f + 16), scale, has_minimum);
            y[r][1] = add_block(y[r][1], sum[r][1], _mm256_load_ps(f + 8), _mm256_load_ps(f + 24), scale, has_minimum);
        }
    }
    write_rows(t, y, rows);
}

/* The same straight from the quants. */
__attribute__((always_inline)) static inline void quant_tile(const tile_place *t, const byte *panel, panel_kind kind,
                                                             int rows) {
    __m256 y[TILE_ROWS][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) y[r][0] = y[r][1] = _mm256_setzero_ps();
    const float *x_scales = row_scales(t->x, t->K);
    const char *x = t->x;
    for (int64_t b = 0; b < t->K / BLOCK; b++, panel += block_bytes(kind), x_scales += 2, x += 2 * BLOCK) {
        __m256i sum[TILE_ROWS][2];
        fetch_ahead(panel, block_bytes(kind));
#pragma GCC unroll 6
        CLEAR(sum, rows);
        if (kind.four_bits) {
#pragma GCC unroll 2
            for (int h = 0; h < 2; h++) {
                for (int z = 0; z < 4; z++) {
                    __m256i quants = _mm256_loadu_si256((const __m256i *)(panel + h * Q4_HALF_BYTES + 32 * z));
#pragma GCC unroll 4
                    for (int j = 0; j < 4; j++)
                        add_half_pair(sum, h, nibble(quants, j), x + 4 * (4 * z + j), t->x_bytes, rows);
                }
            }
        } else {
            for (int p = 0; p < PAIRS; p++)
                add_pair(sum, bytes_of(panel, p, 0), bytes_of(panel, p, 1), x + 4 * p, t->x_bytes, rows);
        }
        factors f = factors_of(panel, kind);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            const float *scale = (const float *)((const char *)x_scales + (size_t)r * t->x_bytes);
            for (int h = 0; h < 2; h++)
                y[r][h] = add_block(y[r][h], sum[r][h], f.scale[h], f.minimum[h], scale, kind.minimum != MINIMUM_NONE);
        }
    }
    write_rows(t, y, rows);
}

#define ROWS_SWITCH(call)                                                                                              \
    switch (rows) {                                                                                                    \
    case 1: call(1); break;                                                                                            \
    case 2: call(2); break;                                                                                            \
    case 3: call(3); break;                                                                                            \
    case 4: call(4); break;                                                                                            \
    case 5: call(5); break;                                                                                            \
    case 6: call(6); break;                                                                                            \
    default: break;                                                                                                    \
    }

#define WIDE_FUNCTION(name, has_minimum)                                                                               \
    static void name(const tile_place *t, const byte *panel, int rows) { ROWS_SWITCH(name##_call) }
#define wide_plain_call(n) wide_tile(t, panel, false, n)
#define wide_minimum_call(n) wide_tile(t, panel, true, n)
WIDE_FUNCTION(wide_plain, false)
WIDE_FUNCTION(wide_minimum, true)

#define QUANT_FUNCTION(name)                                                                                           \
    static void name(const tile_place *t, const byte *panel, int rows) { ROWS_SWITCH(name##_call) }
#define q4_stored_call(n) quant_tile(t, panel, (panel_kind){true, MINIMUM_STORED}, n)
#define q4_eight_call(n) quant_tile(t, panel, (panel_kind){true, MINIMUM_EIGHT}, n)
#define q8_stored_call(n) quant_tile(t, panel, (panel_kind){false, MINIMUM_STORED}, n)
#define q8_none_call(n) quant_tile(t, panel, (panel_kind){false, MINIMUM_NONE}, n)
QUANT_FUNCTION(q4_stored)
QUANT_FUNCTION(q4_eight)
QUANT_FUNCTION(q8_stored)
QUANT_FUNCTION(q8_none)

typedef void tile_fn(const tile_place *, const byte *, int rows);

static tile_fn *quant_function(panel_kind kind) {
    if (kind.four_bits) return kind.minimum == MINIMUM_EIGHT ? q4_eight : q4_stored;
    return kind.minimum == MINIMUM_STORED ? q8_stored : q8_none;
}

/* All rows against one panel, in tiles of nearly equal height. */
static void all_rows(const hn_product *p, tile_fn *fn, const byte *panel, int64_t column) {
    int64_t n_tiles = (p->M + TILE_ROWS - 1) / TILE_ROWS, row = 0;
    tile_place t = {
        .y_stride = p->y_stride, .x_bytes = row_bytes(p->w->n_in), .K = p->w->n_in, .columns = p->w->n_out - column};
    for (int64_t i = 0; i < n_tiles; i++) {
        int64_t rows = (p->M - row + n_tiles - i - 1) / (n_tiles - i);
        t.y = p->y + row * p->y_stride + column;
        t.x = (const char *)p->input + (size_t)row * t.x_bytes;
        fn(&t, panel, (int)rows);
        row += rows;
    }
}

static size_t wide_panel_bytes(int64_t K) { return (size_t)(K / BLOCK) * WIDE_BLOCK_BYTES; }

static void multiply_quants(const hn_product *p, size_t panel_from, size_t panel_to) {
    const hn_matrix *w = p->w;
    panel_kind kind = kind_of(w->dtype);
    size_t bytes = hn_avx2_quant_panel_bytes(w->dtype, w->n_in);
    byte *packed = (byte *)p->scratch + wide_panel_bytes(w->n_in);
    for (size_t i = panel_from; i < panel_to; i++) {
        int64_t column = (int64_t)i * COLUMNS;
        if (!w->pack) hn_avx2_quant_pack(packed, w, column);
        const byte *panel = w->pack ? (const byte *)w->pack + i * bytes : packed;
        if (p->M <= TILE_ROWS) {
            all_rows(p, quant_function(kind), panel, column);
            continue;
        }
        widen_panel(p->scratch, panel, w->n_in / BLOCK, w->dtype);
        all_rows(p, kind.minimum == MINIMUM_NONE ? wide_plain : wide_minimum, p->scratch, column);
    }
}

/* ---- the table's entries: quantised formats here, all others in f32 ---- */

static size_t panel_bytes(hn_dtype dtype, int64_t K) {
    return hn_avx2_quant_has(dtype) ? hn_avx2_quant_panel_bytes(dtype, K) : hn_avx2_matmul_f32.panel_bytes(dtype, K);
}

static void pack_panel(void *panel, const hn_matrix *w, int64_t first) {
    if (hn_avx2_quant_has(w->dtype))
        hn_avx2_quant_pack(panel, w, first);
    else
        hn_avx2_matmul_f32.pack_panel(panel, w, first);
}

static size_t input_bytes(hn_dtype dtype, int64_t K, int64_t M) {
    return hn_avx2_quant_has(dtype) ? (size_t)M * row_bytes(K) : hn_avx2_matmul_f32.input_bytes(dtype, K, M);
}

static size_t thread_bytes(hn_dtype dtype, int64_t K, hn_pack mode) {
    if (!hn_avx2_quant_has(dtype)) return hn_avx2_matmul_f32.thread_bytes(dtype, K, mode);
    return wide_panel_bytes(K) + (mode == HN_PACK_LOW ? hn_avx2_quant_panel_bytes(dtype, K) : 0);
}

static void multiply(const hn_product *p, size_t panel_from, size_t panel_to) {
    if (hn_avx2_quant_has(p->w->dtype))
        multiply_quants(p, panel_from, panel_to);
    else
        hn_avx2_matmul_f32.multiply(p, panel_from, panel_to);
}

const hn_matmul_ops HN_INT16_OPS = {
    .panel_columns = COLUMNS,
    .panel_bytes = panel_bytes,
    .pack_panel = pack_panel,
    .input_bytes = input_bytes,
    .convert = convert,
    .thread_bytes = thread_bytes,
    .multiply = multiply,
};

#endif
