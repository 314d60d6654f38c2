/* Matrix products in f32 with fused multiply-add, written once for all vector widths; see kernel/matmul.h. An
 * instruction set's file defines HN_SIMD(name) and PACK_BF16(panel, w, first), includes its vec_*.h, then this.
 *
 * A panel holds 2 W outputs. Weights of F32 files are kept as (K, 2W) f32. All other formats are kept as bf16, half the
 * memory to read, and widened in registers: (Kp/2, 2W, 2), both weights of a pair of inputs side by side. Rows of x
 * stay f32. An output is one chain over K from first to last in every tile size, so a row's bits do not depend on M. */
#include "base/dtype.h"

#include <string.h>

/* AHEAD_BYTES: how far before its use memory is asked for; past a panel the next one begins. */
enum { AHEAD_BYTES = 4096, COLUMNS = 2 * W, TILE_ROWS = VF_REGISTERS == 32 ? 12 : 6 };

typedef uint16_t bf16;

static int64_t padded(int64_t K) { return (K + 31) / 32 * 32; }

/* Adds one input's products to all sums. */
__attribute__((always_inline)) static inline void add_products(vf (*sum)[2], vf w0, vf w1, const float *x,
                                                               int64_t x_stride, int rows) {
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        vf input = vf_set1(x[r * x_stride]);
        sum[r][0] = vf_fma(input, w0, sum[r][0]);
        sum[r][1] = vf_fma(input, w1, sum[r][1]);
    }
}

/* y of `rows` rows and one panel, f32 or bf16 (constants after inlining); `columns` of its outputs exist. */
__attribute__((always_inline)) static inline void tile(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                                       const void *panel, int64_t K, int64_t columns, bool f32,
                                                       int rows) {
    vf sum[TILE_ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = vf_zero();
    for (int64_t k = 0; f32 && k < K; k++) {
        const float *w = (const float *)panel + k * COLUMNS;
        __builtin_prefetch((const char *)w + AHEAD_BYTES);
        __builtin_prefetch((const char *)(w + W) + AHEAD_BYTES);
        add_products(sum, vf_load(w), vf_load(w + W), x + k, x_stride, rows);
    }
    for (int64_t k = 0; !f32 && k < K; k += 2) {
        const bf16 *w = (const bf16 *)panel + k * COLUMNS;
        __builtin_prefetch((const char *)w + AHEAD_BYTES);
        __builtin_prefetch((const char *)(w + 2 * W) + AHEAD_BYTES);
        add_products(sum, vf_bf16_even(w), vf_bf16_even(w + 2 * W), x + k, x_stride, rows);
        /* Load again rather than keep both halves in registers, of which AVX2 has too few: hide where w came from. */
        __asm__("" : "+r"(w));
        if (k + 1 < K) add_products(sum, vf_bf16_odd(w), vf_bf16_odd(w + 2 * W), x + k + 1, x_stride, rows);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < 2; c++) {
            int64_t left = columns - c * W;
            if (left >= W)
                vf_store(y + r * y_stride + c * W, sum[r][c]);
            else if (left > 0)
                vf_store_n(y + r * y_stride + c * W, sum[r][c], (int)left);
        }
    }
}

#define TILE_FUNCTION(rows)                                                                                            \
    static void tile_##rows(float *y, int64_t y_stride, const float *x, int64_t x_stride, const void *panel,           \
                            int64_t K, int64_t columns, bool f32) {                                                    \
        if (f32)                                                                                                       \
            tile(y, y_stride, x, x_stride, panel, K, columns, true, rows);                                             \
        else                                                                                                           \
            tile(y, y_stride, x, x_stride, panel, K, columns, false, rows);                                            \
    }
TILE_FUNCTION(1)
TILE_FUNCTION(2)
TILE_FUNCTION(3)
TILE_FUNCTION(4)
TILE_FUNCTION(5)
TILE_FUNCTION(6)
typedef void tile_fn(float *, int64_t, const float *, int64_t, const void *, int64_t, int64_t, bool);
#if HN_MANY_REGISTERS
TILE_FUNCTION(7)
TILE_FUNCTION(8)
TILE_FUNCTION(9)
TILE_FUNCTION(10)
TILE_FUNCTION(11)
TILE_FUNCTION(12)
static tile_fn *const tiles[TILE_ROWS + 1] = {NULL,   tile_1, tile_2, tile_3,  tile_4,  tile_5, tile_6,
                                              tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};
#else
static tile_fn *const tiles[TILE_ROWS + 1] = {NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};
#endif

static size_t panel_bytes(hn_dtype dtype, int64_t K) {
    if (dtype == HN_DTYPE_F32) return (size_t)padded(K) * COLUMNS * sizeof(float);
    return (size_t)padded(K) * COLUMNS * sizeof(bf16);
}

/* A few inputs at a time, so that what is written stays in the cache until all its columns are there. */
static void pack_f32(float *panel, const hn_matrix *w, int64_t first) {
    enum { INPUTS = 16 };
    for (int64_t from = 0; from < w->n_in; from += INPUTS) {
        int64_t n = w->n_in - from < INPUTS ? w->n_in - from : INPUTS;
        float *to = panel + from * COLUMNS;
        for (int64_t c = 0; c < COLUMNS; c++) {
            if (first + c < w->n_out) {
                const float *weights = (const float *)w->data + (first + c) * w->n_in + from;
                for (int64_t k = 0; k < n; k++) to[k * COLUMNS + c] = weights[k];
            } else
                for (int64_t k = 0; k < n; k++) to[k * COLUMNS + c] = 0;
        }
    }
}

static void pack_panel(void *panel, const hn_matrix *w, int64_t first) {
    if (w->dtype == HN_DTYPE_F32)
        pack_f32(panel, w, first);
    else
        PACK_BF16(panel, w, first);
}

static size_t input_bytes(hn_dtype dtype, int64_t K, int64_t M) {
    (void)dtype, (void)K, (void)M;
    return 0;
}

static size_t thread_bytes(hn_dtype dtype, int64_t K, hn_pack mode) {
    return mode == HN_PACK_LOW ? panel_bytes(dtype, K) : 0;
}

/* All rows against one panel, in tiles of nearly equal height. */
static void all_rows(const hn_product *p, const void *panel, int64_t column) {
    int64_t n_tiles = (p->M + TILE_ROWS - 1) / TILE_ROWS, row = 0;
    for (int64_t i = 0; i < n_tiles; i++) {
        int64_t rows = (p->M - row + n_tiles - i - 1) / (n_tiles - i);
        tiles[rows](p->y + row * p->y_stride + column, p->y_stride, p->x + row * p->x_stride, p->x_stride, panel,
                    p->w->n_in, p->w->n_out - column, p->w->dtype == HN_DTYPE_F32);
        row += rows;
    }
}

static void multiply(const hn_product *p, size_t panel_from, size_t panel_to) {
    const hn_matrix *w = p->w;
    size_t bytes = panel_bytes(w->dtype, w->n_in);
    for (size_t i = panel_from; i < panel_to; i++) {
        if (w->pack)
            all_rows(p, (const char *)w->pack + i * bytes, (int64_t)i * COLUMNS);
        else {
            pack_panel(p->scratch, w, (int64_t)i * COLUMNS);
            all_rows(p, p->scratch, (int64_t)i * COLUMNS);
        }
    }
}

const hn_matmul_ops HN_SIMD(matmul_f32) = {
    .panel_columns = COLUMNS,
    .panel_bytes = panel_bytes,
    .pack_panel = pack_panel,
    .input_bytes = input_bytes,
    .thread_bytes = thread_bytes,
    .multiply = multiply,
};
