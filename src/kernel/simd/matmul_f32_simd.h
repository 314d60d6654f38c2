/* Matrix products in f32 with fused multiply-add, written once for all vector widths; see kernel/matmul.h. An
 * instruction set's file defines HN_SIMD(name) and PACK_BF16(panel, w, first), includes its vec_*.h, then this.
 *
 * A panel holds 2 W outputs. Weights of F32 files are kept as (K, 2W) f32. All other formats are kept as bf16, half the
 * memory to read, and widened in registers: (Kp/2, 2W, 2), both weights of a pair of inputs side by side. Rows of x
 * stay f32. An output is one chain over K from first to last in every tile size, so a row's bits do not depend on M. */
#include "base/dtype.h"

#include <string.h>

enum { COLUMNS = 2 * W, TILE_ROWS = VF_REGISTERS == 32 ? 12 : 6 };

typedef uint16_t bf16;

static int64_t padded(int64_t K) { return (K + 31) / 32 * 32; }

/* Adds one input's products to all sums. */
__attribute__((always_inline)) static inline void add_products(vf sum[TILE_ROWS][8], const vf *w, const float *x,
                                                               int64_t x_stride, int rows, int panels) {
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        vf input = vf_set1(x[r * x_stride]);
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++) sum[r][c] = vf_fma(input, w[c], sum[r][c]);
    }
}

/* y of `rows` rows and `panels` panels (constants after inlining); columns: how many of them exist. */
__attribute__((always_inline)) static inline void tile(float *y, int64_t y_stride, const float *x, int64_t x_stride,
                                                       const void *panel, size_t panel_bytes, int64_t K,
                                                       int64_t columns, bool wide, int rows, int panels) {
    vf sum[TILE_ROWS][8], w[8];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++) sum[r][c] = vf_zero();
    for (int64_t k = 0; wide && k < K; k++) {
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++)
            w[c] =
                vf_load((const float *)((const char *)panel + (size_t)(c / 2) * panel_bytes) + k * COLUMNS + c % 2 * W);
        add_products(sum, w, x + k, x_stride, rows, panels);
    }
    for (int64_t k = 0; !wide && k < K; k += 2) {
        const bf16 *pairs = (const bf16 *)panel + k * COLUMNS;
        size_t panel_values = panel_bytes / sizeof(bf16);
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++)
            w[c] = vf_bf16_even(pairs + (size_t)(c / 2) * panel_values + c % 2 * (2 * W));
        add_products(sum, w, x + k, x_stride, rows, panels);
        if (k + 1 == K) break;
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++)
            w[c] = vf_bf16_odd(pairs + (size_t)(c / 2) * panel_values + c % 2 * (2 * W));
        add_products(sum, w, x + k + 1, x_stride, rows, panels);
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
#pragma GCC unroll 8
        for (int c = 0; c < 2 * panels; c++) {
            int64_t left = columns - c * W;
            if (left >= W)
                vf_store(y + r * y_stride + c * W, sum[r][c]);
            else if (left > 0)
                vf_store_n(y + r * y_stride + c * W, sum[r][c], (int)left);
        }
    }
}

#define TILE_FUNCTION(rows, panels)                                                                                    \
    static void tile_##rows##_##panels(float *y, int64_t y_stride, const float *x, int64_t x_stride,                   \
                                       const void *panel, size_t panel_bytes, int64_t K, int64_t columns, bool wide) { \
        if (wide)                                                                                                      \
            tile(y, y_stride, x, x_stride, panel, panel_bytes, K, columns, true, rows, panels);                        \
        else                                                                                                           \
            tile(y, y_stride, x, x_stride, panel, panel_bytes, K, columns, false, rows, panels);                       \
    }
typedef void tile_fn(float *, int64_t, const float *, int64_t, const void *, size_t, int64_t, int64_t, bool);

TILE_FUNCTION(1, 1)
TILE_FUNCTION(2, 1)
TILE_FUNCTION(3, 1)
TILE_FUNCTION(4, 1)
TILE_FUNCTION(5, 1)
TILE_FUNCTION(6, 1)
/* A row alone reads several panels at once: several streams read memory faster, and more sums hide latency. */
#if HN_MANY_REGISTERS
TILE_FUNCTION(7, 1)
TILE_FUNCTION(8, 1)
TILE_FUNCTION(9, 1)
TILE_FUNCTION(10, 1)
TILE_FUNCTION(11, 1)
TILE_FUNCTION(12, 1)
TILE_FUNCTION(1, 4)
TILE_FUNCTION(2, 4)
TILE_FUNCTION(3, 2)
TILE_FUNCTION(4, 2)
TILE_FUNCTION(5, 2)
TILE_FUNCTION(6, 2) enum { SHORT_ROWS = 6 };
static tile_fn *const several_panels[SHORT_ROWS + 1] = {NULL,     tile_1_4, tile_2_4, tile_3_2,
                                                        tile_4_2, tile_5_2, tile_6_2};
static const size_t panels_at_once[SHORT_ROWS + 1] = {0, 4, 4, 2, 2, 2, 2};
static tile_fn *const one_panel[TILE_ROWS + 1] = {NULL,      tile_1_1,  tile_2_1, tile_3_1, tile_4_1,
                                                  tile_5_1,  tile_6_1,  tile_7_1, tile_8_1, tile_9_1,
                                                  tile_10_1, tile_11_1, tile_12_1};
#else
TILE_FUNCTION(1, 4)
TILE_FUNCTION(2, 2) enum { SHORT_ROWS = 2 };
static tile_fn *const several_panels[SHORT_ROWS + 1] = {NULL, tile_1_4, tile_2_2};
static const size_t panels_at_once[SHORT_ROWS + 1] = {0, 4, 2};
static tile_fn *const one_panel[TILE_ROWS + 1] = {NULL, tile_1_1, tile_2_1, tile_3_1, tile_4_1, tile_5_1, tile_6_1};
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
        one_panel[rows](p->y + row * p->y_stride + column, p->y_stride, p->x + row * p->x_stride, p->x_stride, panel, 0,
                        p->w->n_in, p->w->n_out - column, p->w->dtype == HN_DTYPE_F32);
        row += rows;
    }
}

static void multiply(const hn_product *p, size_t panel_from, size_t panel_to) {
    const hn_matrix *w = p->w;
    size_t bytes = panel_bytes(w->dtype, w->n_in), i = panel_from;
    if (w->pack && p->M <= SHORT_ROWS) {
        size_t at_once = panels_at_once[p->M];
        for (; i + at_once <= panel_to; i += at_once) {
            int64_t column = (int64_t)i * COLUMNS;
            several_panels[p->M](p->y + column, p->y_stride, p->x, p->x_stride, (const char *)w->pack + i * bytes,
                                 bytes, w->n_in, w->n_out - column, w->dtype == HN_DTYPE_F32);
        }
    }
    for (; i < panel_to; i++) {
        const void *panel = (const char *)w->pack + i * bytes;
        if (!w->pack) {
            pack_panel(p->scratch, w, (int64_t)i * COLUMNS);
            panel = p->scratch;
        }
        all_rows(p, panel, (int64_t)i * COLUMNS);
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
