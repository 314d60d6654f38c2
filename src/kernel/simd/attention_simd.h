/* Attention straight from the cache's blocks, written once for all vector widths; see kernel.h for shapes. An
 * instruction set's file defines HN_SIMD(name), includes its vec_*.h, then this.
 *
 * A tile is a few consecutive rows times the query heads that share one kv head: together at most TILE queries, which
 * share every load of K and V. For each span of SPAN absolute positions: all scores of the tile, then per query the
 * largest score, exp and sums (an online softmax: what was summed before is scaled by exp(old largest - new)), then the
 * weighted values.
 *
 * Why a row's bits depend on the row alone: spans and blocks stand at absolute positions; a score is one chain over HS;
 * sums over positions are one chain per lane (position mod W) or per output, in ascending order, and stop at the row's
 * own position. The tile only decides which chains run side by side. Slots past the row's position may hold anything:
 * their scores stay in their own lanes and are replaced, their values are not read.
 *
 * Tree rows: blocks wholly below `first` are shared by the tile; the rest is gathered row by row into f32 blocks. Where
 * HS is not a multiple of W, values are gathered too, padded with zeros, so that the loops below know whole vectors
 * only. Blocks of 8-bit integers are widened into f32 ones for the tile, exactly. */
#include "kernel/kv_q8.h"
#include "kernel/simd/exp_simd.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    BLOCK = HN_KV_BLOCK,
    SPAN = 8 * BLOCK,
    TILE = 12,                                                           /* queries */
    KEY_VECTORS = BLOCK / W,                                             /* scores of one query and block */
    KEY_ROWS = VF_REGISTERS == 32 ? 24 / KEY_VECTORS : 12 / KEY_VECTORS, /* queries whose scores fit the registers */
    VALUE_VECTORS = VF_REGISTERS == 32 ? 4 : 2, /* outputs and queries whose sums fit the registers */
    VALUE_ROWS = VF_REGISTERS == 32 ? 6 : 4,
};

/* A tile's memory: f32, each part a multiple of 64 bytes. HSp: HS rounded up to whole vectors. */
typedef struct tile {
    const hn_attention_run *run;
    const hn_attention_shape *shape;
    int row, n_rows, kv_head, head, n_heads; /* rows of the run; the first query head and how many */
    int HS, HSp;
    float *q, *scores, *sums, *weights; /* (TILE,HS) scaled; (TILE,SPAN); (TILE,HSp); (TILE,W) sums of exp by lane */
    float *largest;                     /* (TILE) */
    float *gathered;                    /* one block of keys (HS,32) or values (32,HSp) */
    float *own;                         /* (HSp) one position of a tree row's own */
} tile;

static int padded_size(int HS) { return (HS + W - 1) / W * W; }

size_t HN_SIMD(attention_thread_bytes)(const hn_attention_shape *shape) {
    size_t HS = (size_t)shape->head_size, HSp = (size_t)padded_size(shape->head_size);
    return (TILE * (HS + SPAN + HSp + W + 1) + BLOCK * HSp + HSp + 7 * 16) * sizeof(float);
}

static float *take(float **memory, size_t n) {
    float *part = *memory;
    *memory += (n + 15) / 16 * 16;
    return part;
}

static int n_seen(const hn_attention_run *run, int row) {
    return run->slots ? run->first + run->slot_start[row + 1] - run->slot_start[row] : run->first + row + 1;
}

static int at_most(int a, int b) { return a < b ? a : b; }
static int at_least(int a, int b) { return a > b ? a : b; }

/* ---- scores ---- */

/* scores (rows, 32 of SPAN) = q (rows,HS) times one block of keys (HS,32) */
__attribute__((always_inline)) static inline void score_rows(float *scores, const float *q, int HS, const void *keys,
                                                             bool f16, int rows) {
    vf sum[KEY_ROWS][KEY_VECTORS];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < KEY_VECTORS; v++) sum[r][v] = vf_zero();
    for (int i = 0; i < HS; i++) {
        vf key[KEY_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < KEY_VECTORS; v++)
            key[v] = f16 ? vf_load_f16((const uint16_t *)keys + i * BLOCK + v * W)
                         : vf_load((const float *)keys + i * BLOCK + v * W);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            vf query = vf_set1(q[r * HS + i]);
#pragma GCC unroll 8
            for (int v = 0; v < KEY_VECTORS; v++) sum[r][v] = vf_fma(query, key[v], sum[r][v]);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < KEY_VECTORS; v++) vf_store(scores + r * SPAN + v * W, sum[r][v]);
}

static void score_block(float *scores, const float *q, int HS, const void *keys, bool f16, int rows) {
    for (; rows >= KEY_ROWS; rows -= KEY_ROWS, scores += KEY_ROWS * SPAN, q += KEY_ROWS * HS) {
        if (f16)
            score_rows(scores, q, HS, keys, true, KEY_ROWS);
        else
            score_rows(scores, q, HS, keys, false, KEY_ROWS);
    }
#define SCORE_CASE(n)                                                                                                  \
    case n:                                                                                                            \
        if (n < KEY_ROWS && f16)                                                                                       \
            score_rows(scores, q, HS, keys, true, n);                                                                  \
        else if (n < KEY_ROWS)                                                                                         \
            score_rows(scores, q, HS, keys, false, n);                                                                 \
        break;
    switch (rows) {
        SCORE_CASE(1)
        SCORE_CASE(2)
        SCORE_CASE(3)
        SCORE_CASE(4)
        SCORE_CASE(5)
        SCORE_CASE(6)
        SCORE_CASE(7)
        SCORE_CASE(8)
        SCORE_CASE(9)
        SCORE_CASE(10)
        SCORE_CASE(11)
    default: break;
    }
}

/* ---- weighted values ---- */

/* sums (rows, VALUE_VECTORS at an offset) += weights (rows, n of SPAN) times values (n rows of `stride`) */
__attribute__((always_inline)) static inline void value_rows(float *sums, int HSp, const float *weights,
                                                             const void *values, int stride, bool f16, int n, int rows,
                                                             int vectors) {
    vf sum[VALUE_ROWS][VALUE_VECTORS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = vf_load(sums + r * HSp + v * W);
    for (int j = 0; j < n; j++) {
        vf value[VALUE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            value[v] = f16 ? vf_load_f16((const uint16_t *)values + j * stride + v * W)
                           : vf_load((const float *)values + j * stride + v * W);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            vf weight = vf_set1(weights[r * SPAN + j]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sum[r][v] = vf_fma(weight, value[v], sum[r][v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) vf_store(sums + r * HSp + v * W, sum[r][v]);
}

#define VALUE_CASE(n_fixed)                                                                                            \
    case n_fixed:                                                                                                      \
        if (n_fixed > VALUE_ROWS) break;                                                                               \
        if (f16)                                                                                                       \
            value_rows(sums, HSp, weights, values, HSp, true, n, n_fixed, vectors);                                    \
        else                                                                                                           \
            value_rows(sums, HSp, weights, values, HSp, false, n, n_fixed, vectors);                                   \
        break;

__attribute__((always_inline)) static inline void
value_columns(float *sums, int HSp, const float *weights, const void *values, bool f16, int n, int rows, int vectors) {
    switch (rows) {
        VALUE_CASE(1)
        VALUE_CASE(2)
        VALUE_CASE(3)
        VALUE_CASE(4)
        VALUE_CASE(5)
        VALUE_CASE(6)
    default: break;
    }
}

/* All columns of up to VALUE_ROWS queries, n positions of one block; values (32,HSp). */
static void value_group(float *sums, int HSp, const float *weights, const void *values, bool f16, int n, int rows) {
    int column = 0;
    for (; column + VALUE_VECTORS * W <= HSp; column += VALUE_VECTORS * W) {
        const void *at =
            f16 ? (const void *)((const uint16_t *)values + column) : (const void *)((const float *)values + column);
        value_columns(sums + column, HSp, weights, at, f16, n, rows, VALUE_VECTORS);
    }
    for (; column < HSp; column += W) {
        const void *at =
            f16 ? (const void *)((const uint16_t *)values + column) : (const void *)((const float *)values + column);
        value_columns(sums + column, HSp, weights, at, f16, n, rows, 1);
    }
}

/* One block of values, of which query r of the group (row r / n_heads of the tile) sees limit[r] positions: first what
 * all see, together; then each on its own. */
static void value_block(const tile *t, int first_query, int n_queries, const void *values, bool f16, int span,
                        int block_offset) {
    for (int q = first_query; q < first_query + n_queries; q += VALUE_ROWS) {
        int rows = at_most(VALUE_ROWS, first_query + n_queries - q), limit[VALUE_ROWS], all = BLOCK;
        for (int r = 0; r < rows; r++) {
            int seen = n_seen(t->run, t->row + (q + r) / t->n_heads) - span - block_offset;
            limit[r] = at_most(at_least(seen, 0), BLOCK);
            all = at_most(all, limit[r]);
        }
        float *sums = t->sums + q * t->HSp;
        const float *weights = t->scores + q * SPAN + block_offset;
        if (all > 0) value_group(sums, t->HSp, weights, values, f16, all, rows);
        size_t skipped = (size_t)all * (size_t)t->HSp * (f16 ? 2 : 4);
        for (int r = 0; r < rows; r++)
            if (limit[r] > all)
                value_group(sums + r * t->HSp, t->HSp, weights + r * SPAN + all, (const char *)values + skipped, f16,
                            limit[r] - all, 1);
    }
}

/* ---- blocks ---- */

static size_t head_bytes(const tile *t) { return hn_kv_head_bytes(t->shape->kv_type, t->HS); }

static const char *head_block(const tile *t, const void *block) {
    return (const char *)block + (size_t)t->kv_head * BLOCK * head_bytes(t);
}

/* n numbers of one position, or of all keys of a block: f32 or f16. */
static void widen(float *to, const void *from, size_t at, int n, hn_kv_type type) {
    int i = 0;
    if (type == HN_KV_F32) {
        memcpy(to, (const float *)from + at, (size_t)n * sizeof *to);
        return;
    }
    for (; i + W <= n; i += W) vf_store(to + i, vf_load_f16((const uint16_t *)from + at + (size_t)i));
    for (; i < n; i++) to[i] = hn_f16_to_f32(((const uint16_t *)from)[at + (size_t)i]);
}

/* One position's head of quants and their scales. */
static void widen_quants(float *to, const int8_t *quants, const char *scales, int HS) {
    for (int from = 0; from < HS; from += HN_KV_GROUP, scales += 2) {
        int end = at_most(from + HN_KV_GROUP, HS), i = from;
        uint16_t bits;
        memcpy(&bits, scales, sizeof bits);
        float scale = hn_f16_to_f32(bits);
        for (; i + W <= end; i += W) vf_store(to + i, vf_mul(vf_load_i8(quants + i), vf_set1(scale)));
        for (; i < end; i++) to[i] = (float)quants[i] * scale;
    }
}

/* A block's keys (HS,32). */
static void widen_keys(float *to, const tile *t, int b) {
    const char *keys = head_block(t, t->run->k_blocks[b]);
    if (t->shape->kv_type != HN_KV_Q8_0) {
        widen(to, keys, 0, t->HS * BLOCK, t->shape->kv_type);
        return;
    }
    const uint16_t *scales = (const uint16_t *)(keys + t->HS * BLOCK);
    for (int i = 0; i < t->HS; i++)
        for (int v = 0; v < BLOCK; v += W)
            vf_store(to + i * BLOCK + v, vf_mul(vf_load_i8((const int8_t *)keys + i * BLOCK + v),
                                                vf_load_f16(scales + i / HN_KV_GROUP * BLOCK + v)));
}

/* One position's values (HS) in a block. */
static void widen_value(float *to, const tile *t, int b, int slot) {
    const char *values = head_block(t, t->run->v_blocks[b]);
    if (t->shape->kv_type == HN_KV_Q8_0)
        widen_quants(to, (const int8_t *)values + slot * t->HS, values + t->HS * BLOCK + 2 * slot * hn_kv_groups(t->HS),
                     t->HS);
    else
        widen(to, values, (size_t)(slot * t->HS), t->HS, t->shape->kv_type);
}

/* Keys or values (HS) at position first + d of a tree row's path. */
static void widen_own(float *to, const tile *t, const void *tail, int row, int d) {
    size_t slot = (size_t)t->run->slots[t->run->slot_start[row] + d];
    const char *head = (const char *)tail + (slot * (size_t)t->shape->n_kv_heads + (size_t)t->kv_head) * head_bytes(t);
    if (t->shape->kv_type == HN_KV_Q8_0)
        widen_quants(to, (const int8_t *)head, head + t->HS, t->HS);
    else
        widen(to, head, 0, t->HS, t->shape->kv_type);
}

/* The keys (HS,32) of block b as tree row `row` sees them; their own are widened into a row of `own` (HS) first. */
static const float *gather_keys(const tile *t, int b, int row) {
    const hn_attention_run *run = t->run;
    int start = b * BLOCK, end = at_most(start + BLOCK, n_seen(run, row));
    float *to = t->gathered;
    if (start < run->first)
        widen_keys(to, t, b);
    else
        memset(to, 0, (size_t)t->HS * BLOCK * sizeof *to);
    for (int position = at_least(start, run->first); position < end; position++) {
        widen_own(t->own, t, run->tail_k, row, position - run->first);
        for (int i = 0; i < t->HS; i++) to[i * BLOCK + position - start] = t->own[i];
    }
    return to;
}

/* The values (32,HSp) of block b that row `row` sees; `row` < 0: that any row of a plain run sees, `end` positions in
 * all. */
static const float *gather_values(const tile *t, int b, int row, int end) {
    const hn_attention_run *run = t->run;
    int start = b * BLOCK;
    for (int position = start; position < at_most(start + BLOCK, end); position++) {
        float *to = t->gathered + (position - start) * t->HSp;
        if (row >= 0 && position >= run->first)
            widen_own(to, t, run->tail_v, row, position - run->first);
        else
            widen_value(to, t, b, position - start);
        for (int i = t->HS; i < t->HSp; i++) to[i] = 0;
    }
    return t->gathered;
}

/* Positions from which on tree rows have their own blocks; past everything for plain runs. */
static int shared_end(const hn_attention_run *run) { return run->slots ? run->first / BLOCK * BLOCK : INT32_MAX; }

static void span_scores(const tile *t, int span, int end) {
    bool f16 = t->shape->kv_type == HN_KV_F16;
    int shared = at_most(end, shared_end(t->run)), n_queries = t->n_rows * t->n_heads;
    for (int p = span; p < shared; p += BLOCK) {
        const void *keys = head_block(t, t->run->k_blocks[p / BLOCK]);
        if (t->shape->kv_type == HN_KV_Q8_0) {
            widen_keys(t->gathered, t, p / BLOCK);
            keys = t->gathered;
        }
        score_block(t->scores + p - span, t->q, t->HS, keys, f16, n_queries);
    }
    if (!t->run->slots) return;
    for (int i = 0; i < t->n_rows; i++) {
        int row_end = at_most(end, n_seen(t->run, t->row + i)), first = i * t->n_heads;
        for (int p = at_least(span, shared_end(t->run)); p < row_end; p += BLOCK)
            score_block(t->scores + first * SPAN + p - span, t->q + first * t->HS, t->HS,
                        gather_keys(t, p / BLOCK, t->row + i), false, t->n_heads);
    }
}

static void span_values(const tile *t, int span, int end) {
    bool f16 = t->shape->kv_type == HN_KV_F16, direct = t->HS == t->HSp && t->shape->kv_type != HN_KV_Q8_0;
    int shared = at_most(end, shared_end(t->run)), n_queries = t->n_rows * t->n_heads;
    for (int p = span; p < shared; p += BLOCK) {
        const void *values =
            direct ? (const void *)head_block(t, t->run->v_blocks[p / BLOCK]) : gather_values(t, p / BLOCK, -1, end);
        value_block(t, 0, n_queries, values, f16 && direct, span, p - span);
    }
    if (!t->run->slots) return;
    for (int i = 0; i < t->n_rows; i++) {
        int row_end = at_most(end, n_seen(t->run, t->row + i));
        for (int p = at_least(span, shared_end(t->run)); p < row_end; p += BLOCK)
            value_block(t, i * t->n_heads, t->n_heads, gather_values(t, p / BLOCK, t->row + i, row_end), false, span,
                        p - span);
    }
}

/* Scores of query q, n of them, into exp(score - largest); scales what was summed before. */
static void softmax_query(const tile *t, int q, int n) {
    float *scores = t->scores + q * SPAN;
    vf most = vf_set1(t->largest[q]);
    int i = 0;
    for (; i + W <= n; i += W) most = vf_max(vf_load(scores + i), most);
    if (i < n) most = vf_max(vf_keep_n(vf_load(scores + i), n - i, most), most);
    float largest = vf_largest(most);
    if (largest == -INFINITY) largest = -FLT_MAX; /* all scores so far are -inf or NaN: keeps inf - inf out */
    vf limit = vf_set1(largest);
    vf shrink = vf_exp(vf_sub(vf_set1(t->largest[q]), limit));
    t->largest[q] = largest;
    vf sum = vf_mul(vf_load(t->weights + q * W), shrink);
    for (i = 0; i + W <= n; i += W) {
        vf p = vf_exp(vf_sub(vf_load(scores + i), limit));
        sum = vf_add(sum, p);
        vf_store(scores + i, p);
    }
    if (i < n) {
        vf p = vf_keep_n(vf_exp(vf_sub(vf_load(scores + i), limit)), n - i, vf_zero());
        sum = vf_add(sum, p);
        vf_store(scores + i, p);
    }
    vf_store(t->weights + q * W, sum);
    float *sums = t->sums + q * t->HSp;
    for (i = 0; i < t->HSp; i += W) vf_store(sums + i, vf_mul(vf_load(sums + i), shrink));
}

static void attend_tile(tile *t) {
    const hn_attention_shape *s = t->shape;
    int n_queries = t->n_rows * t->n_heads, end = 0, row_size = s->n_heads * t->HS;
    size_t q_stride = (size_t)(t->run->q_stride ? t->run->q_stride : row_size);
    size_t out_stride = (size_t)(t->run->out_stride ? t->run->out_stride : row_size);
    for (int q = 0; q < n_queries; q++) {
        const float *from =
            t->run->q + (size_t)(t->row + q / t->n_heads) * q_stride + (size_t)((t->head + q % t->n_heads) * t->HS);
        for (int i = 0; i < t->HS; i++) t->q[q * t->HS + i] = from[i] * s->scale;
        if (s->kv_type == HN_KV_Q8_0) hn_kv_turn_query(t->q + q * t->HS, t->HS);
        memset(t->sums + q * t->HSp, 0, (size_t)t->HSp * sizeof(float));
        memset(t->weights + q * W, 0, W * sizeof(float));
        t->largest[q] = -INFINITY;
    }
    for (int i = 0; i < t->n_rows; i++) end = at_least(end, n_seen(t->run, t->row + i));
    for (int span = 0; span < end; span += SPAN) {
        int span_end = at_most(end, span + SPAN);
        span_scores(t, span, span_end);
        for (int q = 0; q < n_queries; q++) {
            int n = at_most(n_seen(t->run, t->row + q / t->n_heads), span_end) - span;
            if (n > 0) softmax_query(t, q, n);
        }
        span_values(t, span, span_end);
    }
    for (int q = 0; q < n_queries; q++) {
        float *out =
            t->run->out + (size_t)(t->row + q / t->n_heads) * out_stride + (size_t)((t->head + q % t->n_heads) * t->HS);
        vf total = vf_set1(vf_sum(vf_load(t->weights + q * W)));
        for (int i = 0; i < t->HS; i += W) {
            vf x = vf_div(vf_load(t->sums + q * t->HSp + i), total);
            if (t->HS - i >= W)
                vf_store(out + i, x);
            else
                vf_store_n(out + i, x, t->HS - i);
        }
        if (s->kv_type == HN_KV_Q8_0) hn_kv_turn_back(out, t->HS);
    }
}

/* Tiles are dealt out in turn, so that both the early, short rows and the late, long ones are shared evenly. */
void HN_SIMD(attention)(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                        int thread, int n_threads) {
    int group = shape->n_heads / shape->n_kv_heads, heads_at_once = at_most(group, TILE),
        rows_at_once = TILE / heads_at_once;
    tile t = {.shape = shape, .HS = shape->head_size, .HSp = padded_size(shape->head_size)};
    float *memory = scratch;
    t.q = take(&memory, (size_t)(TILE * t.HS));
    t.scores = take(&memory, TILE * SPAN);
    t.sums = take(&memory, (size_t)(TILE * t.HSp));
    t.weights = take(&memory, TILE * W);
    t.largest = take(&memory, TILE);
    t.gathered = take(&memory, (size_t)(BLOCK * t.HSp));
    t.own = take(&memory, (size_t)t.HSp);
    int turn = 0;
    for (int r = 0; r < n_runs; r++) {
        t.run = &runs[r];
        for (t.row = 0; t.row < runs[r].n_rows; t.row += rows_at_once) {
            t.n_rows = at_most(rows_at_once, runs[r].n_rows - t.row);
            for (t.kv_head = 0; t.kv_head < shape->n_kv_heads; t.kv_head++) {
                for (int h = 0; h < group; h += heads_at_once) {
                    t.head = t.kv_head * group + h;
                    t.n_heads = at_most(heads_at_once, group - h);
                    if (turn++ % n_threads == thread) attend_tile(&t);
                }
            }
        }
    }
}
