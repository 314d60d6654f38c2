/* Learning kernels written once for all vector widths; meanings stand in kernel/learn.h. An instruction set's file defines HN_LEARN_TABLE, includes
 * its vec_*.h, then this.
 *
 *     #define HN_LEARN_TABLE hn_learn_avx2
 *     #include "kernel/avx2/vec_avx2.h"
 *     #include "kernel/simd/learn_simd.h"
 *
 * Attention takes ROWS query rows at a time, so that each key, value and gradient row that is loaded serves all of them. Keys and values are
 * transposed once for a sequence: scores then need no sums across lanes. Threading: pure functions. */
#include "kernel/ref/learn_ref.h"
#include "kernel/simd/exp_simd.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { CHUNK = VF_REGISTERS >= 32 ? 4 : 2, TALL = 4, ROWS = 8 }; /* vectors and rows of a block of accumulators */

static inline int lanes_of(int64_t n, int64_t i) { return n - i < W ? (int)(n - i) : W; }

/* ---- products with a small inner size ---- */

/* `rows` (1 .. TALL) rows of y, CHUNK whole vectors each: y += sum over r of a[r] b[r], a's numbers `a_row` apart for the next row of y and `a_step`
 * for the next r. Both products come down to this. */
static inline void block_add(float *y, int64_t y_stride, const float *a, int64_t a_row, int64_t a_step, const float *b,
                             int64_t b_stride, int64_t R) {
    vf sum[TALL][CHUNK];
    for (int t = 0; t < TALL; t++)
        for (int c = 0; c < CHUNK; c++) sum[t][c] = vf_load(y + t * y_stride + c * W);
    for (int64_t r = 0; r < R; r++) {
        vf row[CHUNK];
        for (int c = 0; c < CHUNK; c++) row[c] = vf_load(b + r * b_stride + c * W);
        for (int t = 0; t < TALL; t++) {
            vf factor = vf_set1(a[t * a_row + r * a_step]);
            for (int c = 0; c < CHUNK; c++) sum[t][c] = vf_fma(factor, row[c], sum[t][c]);
        }
    }
    for (int t = 0; t < TALL; t++)
        for (int c = 0; c < CHUNK; c++) vf_store(y + t * y_stride + c * W, sum[t][c]);
}

/* One row, up to a vector. The same chain as in a block. */
static inline void piece_add(float *y, const float *a, int64_t a_step, const float *b, int64_t b_stride, int64_t R,
                             int lanes) {
    vf sum = vf_load_n(y, lanes);
    for (int64_t r = 0; r < R; r++) sum = vf_fma(vf_set1(a[r * a_step]), vf_load_n(b + r * b_stride, lanes), sum);
    vf_store_n(y, sum, lanes);
}

static void strided_add(float *y, int64_t y_stride, const float *a, int64_t a_row, int64_t a_step, const float *b,
                        int64_t b_stride, int64_t T, int64_t R, int64_t N) {
    int64_t whole_n = N / (CHUNK * W) * (CHUNK * W), whole_t = T / TALL * TALL;
    for (int64_t n = 0; n < whole_n; n += CHUNK * W) {
        for (int64_t t = 0; t < whole_t; t += TALL)
            block_add(y + t * y_stride + n, y_stride, a + t * a_row, a_row, a_step, b + n, b_stride, R);
        for (int64_t t = whole_t; t < T; t++)
            for (int c = 0; c < CHUNK; c++)
                piece_add(y + t * y_stride + n + c * W, a + t * a_row, a_step, b + n + c * W, b_stride, R, W);
    }
    for (int64_t n = whole_n; n < N; n += W)
        for (int64_t t = 0; t < T; t++)
            piece_add(y + t * y_stride + n, a + t * a_row, a_step, b + n, b_stride, R, lanes_of(N, n));
}

static void rows_add(float *y, int64_t y_stride, const float *a, int64_t a_stride, const float *b, int64_t b_stride,
                     int64_t T, int64_t R, int64_t N) {
    strided_add(y, y_stride, a, a_stride, 1, b, b_stride, T, R, N);
}

static void outer_add(float *out, int64_t out_stride, const float *a, int64_t a_stride, const float *b,
                      int64_t b_stride, int64_t T, int64_t R, int64_t N) {
    strided_add(out, out_stride, a, 1, a_stride, b, b_stride, R, T, N);
}

/* ---- rows ---- */

static void rmsnorm_backward(float *dx, double *dweight, const float *dy, const float *x, const float *weight, int T,
                             int C, float eps) {
    for (int t = 0; t < T; t++) {
        const float *row = x + (size_t)t * (size_t)C, *up = dy + (size_t)t * (size_t)C;
        float *down = dx + (size_t)t * (size_t)C;
        vf squares = vf_zero(), dots = vf_zero();
        for (int c = 0; c < C; c += W) {
            int n = lanes_of(C, c);
            vf v = vf_load_n(row + c, n);
            squares = vf_fma(v, v, squares);
            dots = vf_fma(vf_mul(vf_load_n(up + c, n), vf_load_n(weight + c, n)), v, dots);
        }
        double s = 1 / sqrt(vf_sum_f64(squares) / C + (double)eps);
        vf scale = vf_set1((float)s), pull = vf_set1((float)(-s * s * s * vf_sum_f64(dots) / C));
        for (int c = 0; c < C; c += W) {
            int n = lanes_of(C, c);
            vf d = vf_fma(vf_mul(scale, vf_load_n(up + c, n)), vf_load_n(weight + c, n), vf_load_n(down + c, n));
            vf_store_n(down + c, vf_fma(pull, vf_load_n(row + c, n), d), n);
        }
        for (int c = 0; dweight && c < C; c++) dweight[c] += (double)up[c] * row[c] * s;
    }
}

static void swiglu_backward(float *dgate, float *dup, const float *dy, const float *gate, const float *up, size_t n) {
    vf one = vf_set1(1.0f);
    for (size_t i = 0; i < n; i += W) {
        int lanes = lanes_of((int64_t)n, (int64_t)i);
        vf g = vf_load_n(gate + i, lanes), u = vf_load_n(up + i, lanes), d = vf_load_n(dy + i, lanes);
        vf sigmoid = vf_div(one, vf_add(one, vf_exp(vf_sub(vf_zero(), g))));
        vf slope = vf_mul(sigmoid, vf_fma(g, vf_sub(one, sigmoid), one));
        vf_store_n(dup + i, vf_mul(d, vf_mul(g, sigmoid)), lanes);
        vf_store_n(dgate + i, vf_mul(vf_mul(d, u), slope), lanes);
    }
}

/* lse as two floats: it is large beside the differences that matter. */
static void softmax_scale(float *x, size_t n, double lse, float weight) {
    float high = (float)lse, low = (float)(lse - (double)high);
    for (size_t i = 0; i < n; i += W) {
        int lanes = lanes_of((int64_t)n, (int64_t)i);
        vf v = vf_sub(vf_sub(vf_load_n(x + i, lanes), vf_set1(high)), vf_set1(low));
        vf_store_n(x + i, vf_mul(vf_set1(weight), vf_exp(v)), lanes);
    }
}

/* ---- attention ---- */

static size_t padded(int n) { return ((size_t)n + W - 1) / W * W; }

/* keys or values of one head, transposed: (HS, pad), zeros behind the last position */
static void transpose(float *to, size_t pad, const float *from, size_t stride, int n, int HS) {
    for (int i = 0; i < HS; i++) {
        float *row = to + (size_t)i * pad;
        for (int s = 0; s < n; s++) row[s] = from[(size_t)s * stride + (size_t)i];
        for (size_t s = (size_t)n; s < pad; s++) row[s] = 0;
    }
}

/* dst (ROWS, width): products of ROWS rows (stride apart; the last repeated where there are fewer) with n columns of xt (HS,pad). */
static void row_products(float *dst, size_t width, size_t pad, const float *rows, size_t stride, int n_rows,
                         const float *xt, int HS, int n) {
    const float *row[ROWS];
    for (int r = 0; r < ROWS; r++) row[r] = rows + (size_t)(r < n_rows ? r : n_rows - 1) * stride;
    for (int s = 0; s < n; s += W) {
        vf sum[ROWS];
        for (int r = 0; r < ROWS; r++) sum[r] = vf_zero();
        for (int i = 0; i < HS; i++) {
            vf x = vf_load(xt + (size_t)i * pad + s);
            for (int r = 0; r < ROWS; r++) sum[r] = vf_fma(vf_set1(row[r][i]), x, sum[r]);
        }
        for (int r = 0; r < ROWS; r++) vf_store(dst + (size_t)r * width + s, sum[r]);
    }
}

/* scores (n of pad) of one row to exp(scale * score - top); lanes past n become 0. Returns their sum. */
static float exp_row(float *scores, int n, float scale, float top) {
    vf sum = vf_zero();
    for (int s = 0; s < n; s += W) {
        vf e = vf_exp(vf_fma(vf_load(scores + s), vf_set1(scale), vf_set1(-top)));
        e = vf_keep_n(e, n - s < W ? n - s : W, vf_zero());
        vf_store(scores + s, e);
        sum = vf_add(sum, e);
    }
    return vf_sum(sum);
}

static float largest(const float *scores, int n) {
    vf top = vf_set1(-INFINITY);
    for (int s = 0; s < n; s += W)
        top = vf_max(top, vf_keep_n(vf_load(scores + s), n - s < W ? n - s : W, vf_set1(-INFINITY)));
    return vf_largest(top);
}

/* Scores of a block of rows: those of the prefix from column 0 on, those of the own rows from `own` on (a multiple of W; what lies between is 0). */
typedef struct attention_memory {
    float *prefix_kt, *prefix_vt; /* (HS,own) each */
    float *kt, *vt, *p, *ds;      /* (HS,pad) (HS,pad) (ROWS,width) (ROWS,width) */
    size_t own, pad, width;
} attention_memory;

static attention_memory memory_of(float *scratch, int n, int n_prefix, int HS) {
    attention_memory m = {.own = padded(n_prefix), .pad = padded(n)};
    m.width = m.own + m.pad;
    m.prefix_kt = scratch;
    m.prefix_vt = m.prefix_kt + m.own * (size_t)HS;
    m.p = m.prefix_vt + m.own * (size_t)HS; /* what depends on n comes last: the prefix stays where it is */
    m.ds = m.p + ROWS * m.width;
    m.kt = m.ds + ROWS * m.width;
    m.vt = m.kt + m.pad * (size_t)HS;
    return m;
}

static size_t attention_scratch(int n, int n_prefix, int HS) {
    size_t width = padded(n) + padded(n_prefix);
    return width * (2 * (size_t)HS + 2 * ROWS);
}

static void scale_row(float *x, float factor, int n) {
    for (int i = 0; i < n; i += W)
        vf_store_n(x + i, vf_mul(vf_load_n(x + i, lanes_of(n, i)), vf_set1(factor)), lanes_of(n, i));
}

/* Sizes of one key head's rows. */
typedef struct head_strides {
    size_t Q, K, key;
    int group;
} head_strides;

static head_strides strides_of(const hn_learn_heads *h, int kv) {
    size_t HS = (size_t)h->head_size;
    return (head_strides){(size_t)h->n_heads * HS, (size_t)h->n_kv_heads * HS, (size_t)kv * HS,
                          h->n_heads / h->n_kv_heads};
}

static void attention_prefix(const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch) {
    head_strides z = strides_of(heads, kv);
    attention_memory m = memory_of(scratch, 0, s->n_prefix, heads->head_size);
    transpose(m.prefix_kt, m.own, s->prefix_k + z.key, z.K, s->n_prefix, heads->head_size);
    transpose(m.prefix_vt, m.own, s->prefix_v + z.key, z.K, s->n_prefix, heads->head_size);
}

/* Products of a block's rows with all that it may see: with the prefix, then with the own rows. */
static void seen_products(float *dst, const attention_memory *m, const float *rows, size_t stride, int n_rows,
                          const float *prefix_t, const float *own_t, int n_prefix, int n_own, int HS) {
    row_products(dst, m->width, m->own, rows, stride, n_rows, prefix_t, HS, n_prefix);
    row_products(dst + m->own, m->width, m->pad, rows, stride, n_rows, own_t, HS, n_own);
}

/* Scores of one row to probabilities, in place; returns ln of their normaliser. */
static float softmax_row(float *row, size_t own, int n_prefix, int n_own, float scale) {
    float before = n_prefix ? largest(row, n_prefix) : -INFINITY, top = largest(row + own, n_own);
    top = scale * (before > top ? before : top);
    float total = (n_prefix ? exp_row(row, n_prefix, scale, top) : 0) + exp_row(row + own, n_own, scale, top);
    if (n_prefix) scale_row(row, 1 / total, n_prefix);
    scale_row(row + own, 1 / total, n_own);
    return (float)((double)top + log((double)total));
}

static void attention_forward(float *out, float *lse, const hn_learn_sequence *s, int kv, const hn_learn_heads *heads,
                              float *scratch) {
    int NH = heads->n_heads, HS = heads->head_size, P = s->n_prefix;
    head_strides z = strides_of(heads, kv);
    attention_memory m = memory_of(scratch, s->n, P, HS);
    transpose(m.kt, m.pad, s->k + z.key, z.K, s->n, HS);
    for (int h = kv * z.group; h < (kv + 1) * z.group; h++) {
        for (int t = 0; t < s->n; t += ROWS) {
            int rows = s->n - t < ROWS ? s->n - t : ROWS, seen = t + rows;
            size_t at = (size_t)t * z.Q + (size_t)h * (size_t)HS;
            seen_products(m.p, &m, s->q + at, z.Q, rows, m.prefix_kt, m.kt, P, seen, HS);
            for (int r = 0; r < rows; r++) {
                float *row = m.p + (size_t)r * m.width;
                lse[(size_t)(t + r) * (size_t)NH + (size_t)h] = softmax_row(row, m.own, P, t + r + 1, heads->scale);
                memset(row + m.own + t + r + 1, 0, (size_t)(seen - t - r - 1) * sizeof(float));
                memset(out + at + (size_t)r * z.Q, 0, (size_t)HS * sizeof(float));
            }
            if (P)
                rows_add(out + at, (int64_t)z.Q, m.p, (int64_t)m.width, s->prefix_v + z.key, (int64_t)z.K, rows, P, HS);
            rows_add(out + at, (int64_t)z.Q, m.p + m.own, (int64_t)m.width, s->v + z.key, (int64_t)z.K, rows, seen, HS);
        }
    }
}

static float row_dot(const float *a, const float *b, int n) {
    vf sum = vf_zero();
    for (int i = 0; i < n; i += W)
        sum = vf_fma(vf_load_n(a + i, lanes_of(n, i)), vf_load_n(b + i, lanes_of(n, i)), sum);
    return vf_sum(sum);
}

/* p (n) and dp (n) of one row: p becomes the probabilities, dp the scores' gradient; zeros up to `seen`. */
static void score_gradients(float *p, float *dp, int n, int seen, float scale, float lse, float mean) {
    exp_row(p, n, scale, lse);
    memset(p + n, 0, (size_t)(seen - n) * sizeof(float));
    for (int s = 0; s < seen; s += W) {
        vf d = vf_mul(vf_sub(vf_load(dp + s), vf_set1(mean)), vf_set1(scale));
        vf_store(dp + s, vf_mul(vf_load(p + s), d));
    }
}

/* Adds a block's share to the gradients of `seen` keys and values, and of its own queries. p and ds begin at the first of these keys. */
static void block_gradients(float *dq, float *dk, float *dv, const float *p, const float *ds, size_t width,
                            const float *q, const float *dout, const float *k, const head_strides *z, int rows,
                            int seen, int HS) {
    int64_t Q = (int64_t)z->Q, K = (int64_t)z->K;
    rows_add(dq, Q, ds, (int64_t)width, k + z->key, K, rows, seen, HS);
    outer_add(dk + z->key, K, ds, (int64_t)width, q, Q, rows, seen, HS);
    outer_add(dv + z->key, K, p, (int64_t)width, dout, Q, rows, seen, HS);
}

static void attention_backward(const hn_learn_gradients *d, const float *dout, const float *out, const float *lse,
                               const hn_learn_sequence *s, int kv, const hn_learn_heads *heads, float *scratch) {
    int NH = heads->n_heads, HS = heads->head_size, P = s->n_prefix;
    head_strides z = strides_of(heads, kv);
    attention_memory m = memory_of(scratch, s->n, P, HS);
    transpose(m.kt, m.pad, s->k + z.key, z.K, s->n, HS);
    transpose(m.vt, m.pad, s->v + z.key, z.K, s->n, HS);
    for (int h = kv * z.group; h < (kv + 1) * z.group; h++) {
        for (int t = 0; t < s->n; t += ROWS) {
            int rows = s->n - t < ROWS ? s->n - t : ROWS, seen = t + rows;
            size_t at = (size_t)t * z.Q + (size_t)h * (size_t)HS;
            seen_products(m.p, &m, s->q + at, z.Q, rows, m.prefix_kt, m.kt, P, seen, HS);
            seen_products(m.ds, &m, dout + at, z.Q, rows, m.prefix_vt, m.vt, P, seen, HS);
            for (int r = 0; r < rows; r++) {
                size_t row = at + (size_t)r * z.Q, column = (size_t)r * m.width;
                float normaliser = lse[(size_t)(t + r) * (size_t)NH + (size_t)h],
                      mean = row_dot(dout + row, out + row, HS);
                if (P) score_gradients(m.p + column, m.ds + column, P, P, heads->scale, normaliser, mean);
                score_gradients(m.p + m.own + column, m.ds + m.own + column, t + r + 1, seen, heads->scale, normaliser,
                                mean);
            }
            if (P)
                block_gradients(d->dq + at, d->prefix_dk, d->prefix_dv, m.p, m.ds, m.width, s->q + at, dout + at,
                                s->prefix_k, &z, rows, P, HS);
            block_gradients(d->dq + at, d->dk, d->dv, m.p + m.own, m.ds + m.own, m.width, s->q + at, dout + at, s->k,
                            &z, rows, seen, HS);
        }
    }
}

const hn_learn_ops HN_LEARN_TABLE = {rows_add,          outer_add,          rmsnorm_backward,
                                     swiglu_backward,   softmax_scale,      attention_prefix,
                                     attention_forward, attention_backward, attention_scratch};
