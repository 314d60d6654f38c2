/* Matrix products with VDPBF16PS: bf16 weights and rows, f32 sums; see kernel/matmul.h. Weights of F32 files go through
 * the f32 products of matmul_f32_avx512.c instead.
 *
 * A panel holds 32 outputs as (Kp/2, 32, 2) bf16: for each pair of inputs, both weights of 32 outputs, two registers.
 * One instruction adds both products of a pair to 16 outputs. So an output is one chain over the pairs of K from the
 * first to the last, in every kernel size below: a row has the same bits alone (decode) and among 512 (prefill). K is
 * padded with zeros to Kp, a multiple of 32.
 *
 * Rows are converted once per product to bf16, row-major. Tiles are up to 12 rows x 1 panel (24 sums in
 * registers). Panels that are kept in less memory (quant_bf16.c, short_bf16.c) are multiplied in registers by few rows;
 * for more they are unpacked some inputs at a time, which stay in the first cache until all rows have met them: sums
 * wait in y meanwhile, and go on as the same chains. */
#include "kernel/avx512/avx512.h"
#include "kernel/avx512/quant_bf16.h"
#include "kernel/avx512/short_bf16.h"

#include <immintrin.h>
#include <string.h>

enum {
    COLUMNS = 32,
    TILE_ROWS = 12,
    ROW_PADDING = 32,   /* keeps rows of 2,048 values off the same cache sets */
    AHEAD_BYTES = 4096, /* how far before its use memory is asked for; past a panel the next one begins */
    PART_INPUTS = 256,  /* of a panel that are unpacked at a time: 16 KiB */
    PART_ROWS = 64, /* with more rows the sums in y cost more than the second cache does, measured on Q4_1 and Q8_0 */
};

typedef uint16_t bf16;

static int64_t padded(int64_t K) { return (K + 31) / 32 * 32; }
static size_t bf16_panel_bytes(int64_t K) { return (size_t)padded(K) * COLUMNS * sizeof(bf16); }
static int64_t input_stride(int64_t K) { return padded(K) + ROW_PADDING; }

/* Inputs of one panel, all or a part. Asks for the memory at `ahead` and on, `ahead_step` bytes for each pair. */
typedef struct part {
    const bf16 *weights; /* (n_inputs/2, 32, 2) */
    int64_t n_inputs;
    bool goes_on; /* sums begin with what is in y */
    const char *ahead;
    int ahead_step;
    __mmask16 masks[2]; /* outputs that exist, of each 16 */
} part;

/* y of `rows` rows (a constant after inlining) and one panel's part. */
__attribute__((always_inline)) static inline void tile(float *y, int64_t y_stride, const bf16 *x, int64_t x_stride,
                                                       const part *p, int rows) {
    __m512 sum[TILE_ROWS][2];
    const bf16 *weights = p->weights;
    const char *ahead = p->ahead;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    if (p->goes_on) {
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            sum[r][0] = _mm512_maskz_loadu_ps(p->masks[0], y + r * y_stride);
            sum[r][1] = _mm512_maskz_loadu_ps(p->masks[1], y + r * y_stride + 16);
        }
    }
    for (int64_t k = 0; k < p->n_inputs; k += 2, weights += 2 * COLUMNS, ahead += p->ahead_step) {
        _mm_prefetch(ahead, _MM_HINT_T0);
        _mm_prefetch(ahead + 64, _MM_HINT_T0);
        __m512bh w0 = (__m512bh)_mm512_load_si512(weights), w1 = (__m512bh)_mm512_load_si512(weights + 32);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            int pair;
            memcpy(&pair, x + r * x_stride + k, sizeof pair);
            __m512bh both = (__m512bh)_mm512_set1_epi32(pair);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], both, w0);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], both, w1);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        _mm512_mask_storeu_ps(y + r * y_stride, p->masks[0], sum[r][0]);
        _mm512_mask_storeu_ps(y + r * y_stride + 16, p->masks[1], sum[r][1]);
    }
}

#define TILE_FUNCTION(rows)                                                                                            \
    static void tile_##rows(float *y, int64_t y_stride, const bf16 *x, int64_t x_stride, const part *p) {              \
        tile(y, y_stride, x, x_stride, p, rows);                                                                       \
    }
TILE_FUNCTION(1)
TILE_FUNCTION(2)
TILE_FUNCTION(3)
TILE_FUNCTION(4)
TILE_FUNCTION(5)
TILE_FUNCTION(6)
TILE_FUNCTION(7)
TILE_FUNCTION(8)
TILE_FUNCTION(9)
TILE_FUNCTION(10)
TILE_FUNCTION(11)
TILE_FUNCTION(12)

typedef void tile_fn(float *, int64_t, const bf16 *, int64_t, const part *);
static tile_fn *const tiles[TILE_ROWS + 1] = {NULL,   tile_1, tile_2, tile_3,  tile_4,  tile_5, tile_6,
                                              tile_7, tile_8, tile_9, tile_10, tile_11, tile_12};

static void masks_of(__mmask16 *masks, int n, int64_t columns_left) {
    for (int i = 0; i < n; i++) {
        int64_t left = columns_left - 16 * i;
        masks[i] = left >= 16 ? 0xFFFF : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
    }
}

/* All rows against inputs from `first_input` on of one panel, in tiles of nearly equal height. Memory is asked for in
 * the first tile alone where the weights are a copy in `scratch`. */
static void all_rows(const hn_product *p, part inputs, int64_t first_input, int64_t first_column) {
    int64_t x_stride = input_stride(p->w->n_in), n_tiles = (p->M + TILE_ROWS - 1) / TILE_ROWS, row = 0;
    masks_of(inputs.masks, 2, p->w->n_out - first_column);
    for (int64_t i = 0; i < n_tiles; i++) {
        int64_t rows = (p->M - row + n_tiles - i - 1) / (n_tiles - i);
        tiles[rows](p->y + row * p->y_stride + first_column, p->y_stride,
                    (const bf16 *)p->input + row * x_stride + first_input, x_stride, &inputs);
        if (inputs.weights == p->scratch) inputs.ahead_step = 0;
        row += rows;
    }
}

/* The quantised panel `i`: from the pack, or made from the file's bytes behind this thread's bf16 panel. */
static const void *quant_panel(const hn_product *p, size_t i) {
    const hn_matrix *w = p->w;
    if (w->pack) return (const char *)w->pack + i * hn_avx512_quant_panel_bytes(w->dtype, w->n_in);
    void *panel = (char *)p->scratch + bf16_panel_bytes(w->n_in);
    hn_avx512_quant_pack(panel, w, (int64_t)i * COLUMNS);
    return panel;
}

static const void *short_panel(const hn_product *p, size_t i) {
    return (const char *)p->w->pack + i * hn_avx512_short_panel_bytes(p->w->n_in);
}

/* The bf16 panel `i`: from the pack, or made from the file's bytes in this thread's scratch. */
static void rows_by_plain(const hn_product *p, size_t i) {
    const hn_matrix *w = p->w;
    const bf16 *panel = p->scratch;
    if (w->pack)
        panel = (const bf16 *)((const char *)w->pack + i * bf16_panel_bytes(w->n_in));
    else
        hn_avx512_pack_bf16(p->scratch, w, (int64_t)i * COLUMNS);
    part all = {.weights = panel,
                .n_inputs = padded(w->n_in),
                .ahead = (const char *)panel + AHEAD_BYTES,
                .ahead_step = 2 * COLUMNS * (int)sizeof(bf16)};
    all_rows(p, all, 0, (int64_t)i * COLUMNS);
}

/* The quantised or short panel `i`, unpacked part by part. */
static void rows_by_parts(const hn_product *p, size_t i) {
    const hn_matrix *w = p->w;
    int64_t Kp = padded(w->n_in), column = (int64_t)i * COLUMNS;
    int64_t n_parts = p->M <= PART_ROWS ? (Kp + PART_INPUTS - 1) / PART_INPUTS : 1;
    int64_t most =
        padded((Kp + n_parts - 1) / n_parts); /* of one size: a short last part would cost as many sums in y */
    if (w->short_pack) most = PART_INPUTS;    /* whole blocks of the pack */
    const void *at = w->short_pack ? short_panel(p, i) : quant_panel(p, i);
    for (int64_t k = 0; k < Kp; k += most) {
        int64_t n = Kp - k < most ? Kp - k : most;
        at = w->short_pack ? hn_avx512_short_unpack(p->scratch, at, w, column, k, n)
                           : hn_avx512_quant_unpack(p->scratch, at, w->dtype, n);
        part some = {.weights = p->scratch, .n_inputs = n, .goes_on = k > 0, .ahead = at, .ahead_step = 128};
        all_rows(p, some, k, column);
    }
}

/* Few rows against quantised panels. */
static void rows_by_quants(const hn_product *p, size_t panel_from, size_t panel_to) {
    const hn_matrix *w = p->w;
    hn_quant_product q = {.x = p->input, .y_stride = p->y_stride, .x_stride = input_stride(w->n_in), .K = w->n_in};
    for (size_t i = panel_from; i < panel_to; i++) {
        q.y = p->y + i * COLUMNS;
        q.panel = quant_panel(p, i);
        q.columns = w->n_out - (int64_t)i * COLUMNS;
        hn_avx512_quant_multiply(&q, w->dtype, (int)p->M);
    }
}

/* Few rows against short panels. */
static void rows_by_short(const hn_product *p, size_t panel_from, size_t panel_to) {
    hn_short_product s = {.x = p->input, .y_stride = p->y_stride, .x_stride = input_stride(p->w->n_in), .w = p->w};
    for (size_t i = panel_from; i < panel_to; i++) {
        s.y = p->y + i * COLUMNS;
        s.panel = short_panel(p, i);
        s.first = (int64_t)i * COLUMNS;
        hn_avx512_short_multiply(&s, (int)p->M);
    }
}

static void multiply(const hn_product *p, size_t panel_from, size_t panel_to) {
    if (p->M <= HN_SHORT_ROWS && p->w->short_pack) {
        rows_by_short(p, panel_from, panel_to);
        return;
    }
    if (p->M <= HN_QUANT_ROWS && hn_avx512_quant_has(p->w->dtype)) {
        rows_by_quants(p, panel_from, panel_to);
        return;
    }
    for (size_t i = panel_from; i < panel_to; i++) {
        if (p->w->short_pack || hn_avx512_quant_has(p->w->dtype))
            rows_by_parts(p, i);
        else
            rows_by_plain(p, i);
    }
}

static void convert(void *input, const float *x, int64_t x_stride, hn_dtype dtype, int64_t K, int64_t from,
                    int64_t to) {
    (void)dtype;
    int64_t Kp = padded(K);
    for (int64_t m = from; m < to; m++) {
        const float *row = x + m * x_stride;
        bf16 *out = (bf16 *)input + m * input_stride(K);
        for (int64_t k = 0; k < Kp; k += 32) {
            __m512 low, high;
            if (k + 32 <= K)
                low = _mm512_loadu_ps(row + k), high = _mm512_loadu_ps(row + k + 16);
            else {
                __mmask16 masks[2];
                masks_of(masks, 2, K - k);
                low = _mm512_maskz_loadu_ps(masks[0], row + k), high = _mm512_maskz_loadu_ps(masks[1], row + k + 16);
            }
            _mm512_storeu_si512(out + k, (__m512i)_mm512_cvtne2ps_pbh(high, low));
        }
    }
}

static size_t panel_bytes(hn_dtype dtype, int64_t K) {
    if (dtype == HN_DTYPE_F32) return hn_avx512_matmul_f32.panel_bytes(dtype, K);
    return hn_avx512_quant_has(dtype) ? hn_avx512_quant_panel_bytes(dtype, K) : bf16_panel_bytes(K);
}

static size_t short_panel_bytes(hn_dtype dtype, int64_t K) {
    return dtype == HN_DTYPE_F32 || hn_avx512_quant_has(dtype) ? 0 : hn_avx512_short_panel_bytes(K);
}

static size_t input_bytes(hn_dtype dtype, int64_t K, int64_t M) {
    if (dtype == HN_DTYPE_F32) return hn_avx512_matmul_f32.input_bytes(dtype, K, M);
    return (size_t)M * (size_t)input_stride(K) * sizeof(bf16);
}

static size_t thread_bytes(hn_dtype dtype, int64_t K, hn_pack mode) {
    if (dtype == HN_DTYPE_F32) return hn_avx512_matmul_f32.thread_bytes(dtype, K, mode);
    if (hn_avx512_quant_has(dtype)) return bf16_panel_bytes(K) + hn_avx512_quant_panel_bytes(dtype, K);
    (void)mode;
    return bf16_panel_bytes(K); /* panels are unpacked here, from the short form or the file's bytes */
}

static void pack_panel(void *panel, const hn_matrix *w, int64_t first) {
    if (w->dtype == HN_DTYPE_F32)
        hn_avx512_matmul_f32.pack_panel(panel, w, first);
    else if (hn_avx512_quant_has(w->dtype))
        hn_avx512_quant_pack(panel, w, first);
    else
        hn_avx512_pack_bf16(panel, w, first);
}

static void multiply_any(const hn_product *p, size_t panel_from, size_t panel_to) {
    if (p->w->dtype == HN_DTYPE_F32)
        hn_avx512_matmul_f32.multiply(p, panel_from, panel_to);
    else
        multiply(p, panel_from, panel_to);
}

const hn_matmul_ops hn_avx512_matmul_bf16 = {
    .panel_columns = COLUMNS,
    .panel_bytes = panel_bytes,
    .pack_panel = pack_panel,
    .short_panel_bytes = short_panel_bytes,
    .short_blocks = hn_avx512_short_blocks,
    .pack_short_panel = hn_avx512_short_pack,
    .input_bytes = input_bytes,
    .convert = convert,
    .thread_bytes = thread_bytes,
    .multiply = multiply_any,
};
