/* Attention with VDPBF16PS on an f16 cache: queries, keys, weights and values as bf16, sums in f32; see kernel.h for
 * shapes. Other caches, and models whose products are to be f32, go to the f32 attention.
 *
 * Keys and values of a span of SPAN absolute positions are turned into bf16 once for a group of rows that share a kv
 * head: two neighbouring rows of the cache's block (two dimensions of K, two positions of V) woven into pairs, as the
 * instruction takes them. Then tiles of up to TILE queries (a few rows times the heads of the kv head): all scores of
 * the tile in the span; per query the largest, powers and their sum (an online softmax: what was summed before is
 * scaled by 2^(old largest - new)); then the weighted values. Scores are in powers of two: log2(e) is part of the scale
 * that queries are multiplied with. The sum of weights is taken over the weights as bf16, so that they add up to 1.
 *
 * Why a row's bits depend on the row alone: spans, blocks and pairs stand at absolute positions; a score is one chain
 * over the pairs of HS; a value sum is one chain over pairs of positions, ascending, that ends at the row's own
 * position, with a partner past it masked away. Groups and tiles only decide which chains run side by side. What lies in
 * slots past the row's position never reaches a sum.
 *
 * Tree rows: positions below `first` are shared by the group; its path is gathered row by row.
 *
 * Woven spans stay until the call ends, known by their blocks: runs go head by head, so that runs which begin with the
 * same blocks of the cache (cases with a common prompt) and the groups of one run find them. */
#include "kernel/avx512/avx512.h"

#include <float.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

enum {
    BLOCK = HN_KV_BLOCK,
    SPAN = 8 * BLOCK,
    TILE = 12,         /* queries whose scores with one block fit the registers */
    VALUE_ROWS = 6,    /* queries whose sums over VALUE_VECTORS registers fit */
    VALUE_VECTORS = 4, /* of 16 outputs */
    GROUP_TILES = 12,  /* tiles of a group at most */
    GROUP = GROUP_TILES * TILE,
    LANES = 16,
    RAW_QUERIES = 4,  /* so few queries take the cache's numbers as they are */
    FETCH_BLOCKS = 2, /* of keys asked for ahead of their use */
    WOVEN_SPANS = 4,  /* that stay: the first three, and the last met of the others */
    WOVEN_BLOCKS = WOVEN_SPANS * SPAN / BLOCK,
    GROUPS_PER_THREAD = 8, /* smaller groups where there would be fewer, so that threads share evenly */
};

typedef uint16_t bf16;

/* Which head's blocks a thread has woven, by their addresses. */
typedef struct woven {
    int kv_head;
    const void *keys[WOVEN_BLOCKS], *values[WOVEN_BLOCKS];
} woven;

/* One thread's memory and its group. HS2: dimensions rounded up to pairs; HSp: up to whole vectors. */
typedef struct group {
    const hn_attention_run *run;
    const hn_attention_shape *shape;
    int row, n_rows, kv_head, head, n_heads; /* rows of the run; the first query head and how many */
    int HS, HS2, HSp;
    bool raw;         /* nothing is woven beforehand */
    bool has_company; /* a neighbouring run begins with the same block */
    woven *woven;
    bf16 *q;              /* (GROUP, HS2) scaled */
    float *sums, *totals; /* (GROUP, HSp) weighted values; (GROUP, LANES) sums of weights */
    float *largest;       /* (GROUP) */
    bf16 *keys, *values;  /* (WOVEN_SPANS, SPAN/32, HS2/2, 32, 2); (WOVEN_SPANS, SPAN/2, HSp, 2) */
    bf16 *own;            /* one gathered block of keys or values */
    float *own_scores;    /* (TILE, SPAN) of which the first block is used */
    float *scores;        /* (TILE, SPAN) */
    bf16 *weights;        /* (TILE, SPAN) */
} group;

static int at_most(int a, int b) { return a < b ? a : b; }
static int at_least(int a, int b) { return a > b ? a : b; }
static size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Parts are multiples of a cache line. */
static void *take(char **memory, size_t bytes) {
    void *part = *memory;
    *memory += up(bytes, 64);
    return part;
}

/* Lays the parts out from `memory`; the end of the last. */
static char *lay_out(group *g, const hn_attention_shape *shape, char *memory) {
    g->shape = shape;
    g->HS = shape->head_size;
    g->HS2 = (int)up((size_t)g->HS, 2);
    g->HSp = (int)up((size_t)g->HS, LANES);
    size_t HS2 = (size_t)g->HS2, HSp = (size_t)g->HSp;
    g->q = take(&memory, GROUP * HS2 * sizeof(bf16));
    g->sums = take(&memory, GROUP * HSp * sizeof(float));
    g->totals = take(&memory, GROUP * LANES * sizeof(float));
    g->largest = take(&memory, GROUP * sizeof(float));
    g->keys = take(&memory, WOVEN_SPANS * SPAN * HS2 * sizeof(bf16));
    g->values = take(&memory, WOVEN_SPANS * SPAN * HSp * sizeof(bf16));
    g->woven = take(&memory, sizeof *g->woven);
    g->own = take(&memory, BLOCK * HSp * sizeof(bf16));
    g->own_scores = take(&memory, TILE * SPAN * sizeof(float));
    g->scores = take(&memory, TILE * SPAN * sizeof(float));
    g->weights = take(&memory, TILE * SPAN * sizeof(bf16));
    return memory;
}

size_t hn_avx512_attention_bf16_thread_bytes(const hn_attention_shape *shape) {
    group g;
    char *none = NULL;
    size_t plain = hn_avx512_attention_thread_bytes(shape), bytes = (size_t)(lay_out(&g, shape, none) - none);
    return plain > bytes ? plain : bytes;
}

static int n_seen(const hn_attention_run *run, int row) {
    return run->slots ? run->first + run->slot_start[row + 1] - run->slot_start[row] : run->first + row + 1;
}

/* Positions from which on tree rows have their own; past everything for plain runs. */
static int shared_end(const hn_attention_run *run) { return run->slots ? run->first : INT32_MAX; }

/* ---- from f16 to pairs of bf16 ---- */

/* 32 f16, of which `n` exist, as bf16. */
static __m512i round_f16(const uint16_t *from, int n) {
    __mmask32 mask = n >= 32 ? 0xFFFFFFFF : (1u << n) - 1;
    __m512 low = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)mask, from)),
           high = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16)(mask >> 16), from + 16));
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* All 32 exist. */
static inline __m512i round_32(const uint16_t *from) {
    __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from)),
           high = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(from + 16)));
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* The first 16 (at = 0) or the last 16 (at = 16) numbers of x and of y side by side. */
static inline __m512i side_by_side(__m512i x, __m512i y, short at) {
    const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                           37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    return _mm512_permutex2var_epi16(x, _mm512_add_epi16(order, _mm512_set1_epi16(at)), y);
}

/* to (np,2) = the n numbers of `a` and of `b` (NULL: zeros) side by side; zeros from n to np, a multiple of 16. */
static void weave(bf16 *to, const uint16_t *a, const uint16_t *b, int n, int np) {
    int i = 0;
    for (; b && i + 32 <= n; i += 32) {
        __m512i x = round_32(a + i), y = round_32(b + i);
        _mm512_store_si512(to + 2 * i, side_by_side(x, y, 0));
        _mm512_store_si512(to + 2 * i + 32, side_by_side(x, y, 16));
    }
    for (; i < np; i += 32) {
        int left = at_least(at_most(n - i, 32), 0);
        __m512i x = round_f16(a + i, left), y = b ? round_f16(b + i, left) : _mm512_setzero_si512();
        _mm512_store_si512(to + 2 * i, side_by_side(x, y, 0));
        if (i + 16 < np) _mm512_store_si512(to + 2 * i + 32, side_by_side(x, y, 16));
    }
}

static const uint16_t *head_block(const group *g, const void *block) {
    return (const uint16_t *)block + (size_t)g->kv_head * (size_t)g->HS * BLOCK;
}

/* One block of keys (HS,32) as (HS2/2, 32, 2). */
static void weave_keys(const group *g, bf16 *to, const void *block) {
    const uint16_t *from = head_block(g, block);
    for (int i = 0; i < g->HS; i += 2)
        weave(to + i * BLOCK, from + i * BLOCK, i + 1 < g->HS ? from + (i + 1) * BLOCK : NULL, BLOCK, BLOCK);
}

/* One block of values (32,HS) as (16, HSp, 2). */
static void weave_values(const group *g, bf16 *to, const void *block) {
    const uint16_t *from = head_block(g, block);
    for (int i = 0; i < BLOCK; i += 2) weave(to + i * g->HSp, from + i * g->HS, from + (i + 1) * g->HS, g->HS, g->HSp);
}

/* Where position first + d of a tree row's path stands in tail_k and tail_v. */
static size_t tail_at(const group *g, int row, int d) {
    size_t slot = (size_t)g->run->slots[g->run->slot_start[row] + d];
    return (slot * (size_t)g->shape->n_kv_heads + (size_t)g->kv_head) * (size_t)g->HS;
}

/* Keys of up to BLOCK positions of tree row `row`'s path from `position` on; those past `end` hold anything. */
static const bf16 *own_keys(const group *g, int position, int end, int row) {
    const hn_attention_run *run = g->run;
    end = at_most(end, position + BLOCK);
    for (int lane = 0; position < end; position++, lane++) {
        const uint16_t *from = (const uint16_t *)run->tail_k + tail_at(g, row, position - run->first);
        for (int i = 0; i < g->HS; i += 32) {
            _Alignas(64) bf16 some[32];
            int n = at_most(32, g->HS - i);
            _mm512_store_si512(some, round_f16(from + i, n));
            for (int p = 0; p < n; p += 2) memcpy(g->own + (i + p) * BLOCK + 2 * lane, some + p, 2 * sizeof(bf16));
        }
    }
    return g->own;
}

static const uint16_t *own_value(const group *g, int position, int row) {
    const hn_attention_run *run = g->run;
    if (position >= run->first) return (const uint16_t *)run->tail_v + tail_at(g, row, position - run->first);
    return head_block(g, run->v_blocks[position / BLOCK]) + position % BLOCK * g->HS;
}

/* Values of up to BLOCK positions from `start`, an even one, as tree row `row` sees them; an unseen partner is a copy
 * of the last seen. */
static const bf16 *own_values(const group *g, int start, int end, int row) {
    end = at_most(end, start + BLOCK);
    for (int position = start; position < end; position += 2) {
        const uint16_t *first = own_value(g, position, row);
        weave(g->own + (position - start) * g->HSp, first, position + 1 < end ? own_value(g, position + 1, row) : first,
              g->HS, g->HSp);
    }
    return g->own;
}

/* Where the span that begins at position `span` is woven. */
static int woven_at(int span) { return at_most(span / SPAN, WOVEN_SPANS - 1) * SPAN; }

/* Weaves the blocks of positions span .. end-1 that are not there from before. */
static void weave_span(const group *g, int span, int end) {
    woven *there = g->woven;
    if (there->kv_head != g->kv_head) *there = (woven){.kv_head = g->kv_head};
    for (int p = span, at = woven_at(span); p < end; p += BLOCK, at += BLOCK) {
        const void *keys = g->run->k_blocks[p / BLOCK], *values = g->run->v_blocks[p / BLOCK];
        if (there->keys[at / BLOCK] != keys) weave_keys(g, g->keys + at * g->HS2, keys);
        if (there->values[at / BLOCK] != values) weave_values(g, g->values + at * g->HSp, values);
        there->keys[at / BLOCK] = keys;
        there->values[at / BLOCK] = values;
    }
}

/* ---- scores ---- */

static __m512bh pair_at(const bf16 *at) {
    int both;
    memcpy(&both, at, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
}

/* scores (rows, 32 of SPAN) = q (rows, HS2) times one block of keys: (HS2/2, 32, 2) or, `raw`, as the cache has it,
 * (HS, 32) f16 */
__attribute__((always_inline)) static inline void score_rows(float *scores, const bf16 *q, int HS2,
                                                             const uint16_t *keys, bool raw, int rows) {
    __m512 sum[TILE][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
    for (int i = 0; i < HS2; i += 2) {
        __m512bh k0, k1;
        if (raw) {
            __m512i x = round_32(keys + i * BLOCK), y = round_32(keys + i * BLOCK + BLOCK);
            k0 = (__m512bh)side_by_side(x, y, 0), k1 = (__m512bh)side_by_side(x, y, 16);
        } else {
            k0 = (__m512bh)_mm512_load_si512(keys + i * BLOCK);
            k1 = (__m512bh)_mm512_load_si512(keys + i * BLOCK + 32);
        }
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            __m512bh query = pair_at(q + r * HS2 + i);
            sum[r][0] = _mm512_dpbf16_ps(sum[r][0], query, k0);
            sum[r][1] = _mm512_dpbf16_ps(sum[r][1], query, k1);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        _mm512_store_ps(scores + r * SPAN, sum[r][0]);
        _mm512_store_ps(scores + r * SPAN + 16, sum[r][1]);
    }
}

#define SCORE_CASE(n)                                                                                                  \
    case n:                                                                                                            \
        if (raw && n <= RAW_QUERIES)                                                                                   \
            score_rows(scores, q, HS2, keys, true, n);                                                                 \
        else                                                                                                           \
            score_rows(scores, q, HS2, keys, false, n);                                                                \
        break;
static void score_block(float *scores, const bf16 *q, int HS2, const uint16_t *keys, bool raw, int rows) {
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
        SCORE_CASE(12)
    default: break;
    }
}

/* ---- softmax ---- */

/* 2^x for x <= 0: 2^floor(x) times a polynomial of the rest, relative error below 3e-6. -inf gives 0, NaN stays. */
static __m512 power_of_2(__m512 x) {
    __m512 r = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(0x1.b7f730p-7f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.abf868p-5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.ee2450p-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0x1.62d6c6p-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, x);
}

/* Lanes of the 16 from `at` on that are below n. */
static __mmask16 lanes_below(int n, int at) {
    return n - at >= 16 ? 0xFFFF : n <= at ? 0 : (__mmask16)((1u << (n - at)) - 1);
}

/* Scores of query `q` of the tile, whose first stands at `first` of the group, n of them, into weights; zeros up to a
 * whole block. Scales what was summed before. */
static void softmax_query(const group *g, int first, int q, int n) {
    const float *scores = g->scores + q * SPAN;
    bf16 *weights = g->weights + q * SPAN;
    float *sums = g->sums + (first + q) * g->HSp, *totals = g->totals + (first + q) * LANES;
    float *largest = g->largest + first + q;
    __m512 most = _mm512_set1_ps(*largest);
    for (int i = 0; i < n; i += 16)
        most = _mm512_mask_max_ps(most, lanes_below(n, i), _mm512_load_ps(scores + i), most); /* NaN: the second */
    float now = _mm512_reduce_max_ps(most);
    if (now == -INFINITY) now = -FLT_MAX; /* all scores so far are -inf or NaN: keeps inf - inf out */
    __m512 limit = _mm512_set1_ps(now), total = _mm512_load_ps(totals);
    if (*largest != now) {
        __m512 shrink = power_of_2(_mm512_set1_ps(*largest - now));
        for (int i = 0; i < g->HSp; i += 16) _mm512_store_ps(sums + i, _mm512_mul_ps(_mm512_load_ps(sums + i), shrink));
        total = _mm512_mul_ps(total, shrink);
        *largest = now;
    }
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3F803F80);
    for (int i = 0; i < n; i += 32) {
        __m512 low = power_of_2(_mm512_sub_ps(_mm512_load_ps(scores + i), limit)),
               high = power_of_2(_mm512_sub_ps(_mm512_load_ps(scores + i + 16), limit));
        if (i + 32 > n) {
            low = _mm512_maskz_mov_ps(lanes_below(n, i), low);
            high = _mm512_maskz_mov_ps(lanes_below(n, i + 16), high);
        }
        __m512bh both = _mm512_cvtne2ps_pbh(high, low);
        total = _mm512_dpbf16_ps(total, both, ones);
        _mm512_store_si512(weights + i, (__m512i)both);
    }
    _mm512_store_ps(totals, total);
}

/* ---- weighted values ---- */

/* Adds the products of one pair of positions; where `odd`, of the first of them alone. `raw`: two rows of the cache,
 * HSp apart. */
__attribute__((always_inline)) static inline void add_pair(__m512 (*sum)[VALUE_VECTORS], const bf16 *weights,
                                                           const uint16_t *values, int HSp, bool odd, bool raw,
                                                           int rows, int vectors) {
    __m512bh value[VALUE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        const uint16_t *row = values + v / 2 * 32;
        __m512i pairs = raw ? side_by_side(round_32(row), round_32(row + HSp), (short)(v % 2 * 16))
                            : _mm512_load_si512(values + v * 32);
        value[v] = (__m512bh)(odd ? _mm512_and_si512(pairs, _mm512_set1_epi32(0xFFFF)) : pairs);
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        __m512bh weight = pair_at(weights + r * SPAN);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], weight, value[v]);
    }
}

/* sums (rows, `vectors` of 16 at an offset) += weights (rows, n of SPAN) times values (n/2, HSp, 2) or, `raw`, (n, HSp)
 * f16 */
__attribute__((always_inline)) static inline void
value_rows(float *sums, int HSp, const bf16 *weights, const uint16_t *values, bool raw, int n, int rows, int vectors) {
    __m512 sum[VALUE_ROWS][VALUE_VECTORS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sum[r][v] = _mm512_load_ps(sums + r * HSp + v * 16);
    int j = 0;
    for (; j + 1 < n; j += 2) add_pair(sum, weights + j, values + j * HSp, HSp, false, raw, rows, vectors);
    if (j < n) add_pair(sum, weights + j, values + j * HSp, HSp, true, raw, rows, vectors);
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) _mm512_store_ps(sums + r * HSp + v * 16, sum[r][v]);
}

#define VALUE_CASE(fixed)                                                                                              \
    case fixed:                                                                                                        \
        if (raw && fixed <= RAW_QUERIES)                                                                               \
            value_rows(sums, HSp, weights, values, true, n, fixed, vectors);                                           \
        else                                                                                                           \
            value_rows(sums, HSp, weights, values, false, n, fixed, vectors);                                          \
        break;
__attribute__((always_inline)) static inline void value_columns(float *sums, int HSp, const bf16 *weights,
                                                                const uint16_t *values, bool raw, int n, int rows,
                                                                int vectors) {
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

/* All columns of any number of queries. */
static void add_values(float *sums, int HSp, const bf16 *weights, const uint16_t *values, bool raw, int n,
                       int n_queries) {
    for (int q = 0; n > 0 && q < n_queries; q += VALUE_ROWS) {
        int rows = at_most(VALUE_ROWS, n_queries - q), column = 0, step = raw ? 1 : 2;
        float *to = sums + q * HSp;
        for (; column + VALUE_VECTORS * 16 <= HSp; column += VALUE_VECTORS * 16)
            value_columns(to + column, HSp, weights + q * SPAN, values + step * column, raw, n, rows, VALUE_VECTORS);
        for (; column < HSp; column += 16)
            value_columns(to + column, HSp, weights + q * SPAN, values + step * column, false, n, rows, 1);
    }
}

/* ---- tiles and groups ---- */

/* A tile in one span: rows row .. row+n_rows-1, whose queries begin at `first` of the group; the span's positions and
 * the end of those that lie in the group's blocks. */
typedef struct tile {
    int row, n_rows, first, span, end, shared;
} tile;

/* Asks for one head's keys or values of a block; nothing past the row's last block. */
static void fetch_block(const group *g, const void *const *blocks, int position) {
    if (position >= n_seen(g->run, g->row)) return;
    const char *from = (const char *)head_block(g, blocks[position / BLOCK]);
    for (size_t at = 0; at < (size_t)g->HS * BLOCK * sizeof(uint16_t); at += 64) _mm_prefetch(from + at, _MM_HINT_T0);
}

/* A row alone (decoding) reads each block once, here and there in memory: the hardware does not foresee it. */
static bool is_alone(const group *g) { return g->n_rows == 1 && !g->run->slots; }

/* Scores of row `row`'s path, whose queries begin at `query` of the tile. */
static void path_scores(const group *g, const tile *t, int row, int query) {
    int end = at_most(t->end, n_seen(g->run, row));
    for (int p = at_least(t->span, g->run->first); p < end; p += BLOCK) {
        score_block(g->own_scores, g->q + (t->first + query) * g->HS2, g->HS2, own_keys(g, p, end, row), false,
                    g->n_heads);
        for (int h = 0; h < g->n_heads; h++)
            memcpy(g->scores + (query + h) * SPAN + p - t->span, g->own_scores + h * SPAN,
                   (size_t)at_most(end - p, BLOCK) * sizeof(float));
    }
}

static void tile_scores(const group *g, const tile *t) {
    const bf16 *q = g->q + t->first * g->HS2;
    const bf16 *woven_keys = g->keys + woven_at(t->span) * g->HS2;
    for (int p = t->span; p < t->shared; p += BLOCK) {
        if (is_alone(g)) {
            fetch_block(g, g->run->k_blocks, p + FETCH_BLOCKS * BLOCK);
            fetch_block(g, g->run->v_blocks, p);
        }
        const uint16_t *keys =
            g->raw ? head_block(g, g->run->k_blocks[p / BLOCK]) : woven_keys + (p - t->span) * g->HS2;
        score_block(g->scores + p - t->span, q, g->HS2, keys, g->raw, t->n_rows * g->n_heads);
    }
    for (int i = 0; g->run->slots && i < t->n_rows; i++) path_scores(g, t, t->row + i, i * g->n_heads);
}

/* Block by block, straight from the cache: a tile of one row, up to `end`. */
static void tile_values_raw(const group *g, const tile *t, int end) {
    for (int p = t->span; p < end; p += BLOCK)
        add_values(g->sums, g->HSp, g->weights + p - t->span, head_block(g, g->run->v_blocks[p / BLOCK]), true,
                   at_most(end - p, BLOCK), g->n_heads);
}

/* Values of row `row`'s path, and before it the position whose partner is the path's first. */
static void path_values(const group *g, const tile *t, int row, int from, float *to, const bf16 *weights) {
    int end = at_most(t->end, n_seen(g->run, row));
    for (int p = from; p < end; p += BLOCK)
        add_values(to, g->HSp, weights + p - t->span, own_values(g, p, end, row), false, at_most(end - p, BLOCK),
                   g->n_heads);
}

/* What all rows see together, then the rest of each; pairs must stay whole in the first part. */
static void tile_values(const group *g, const tile *t) {
    int all = t->shared - t->span;
    for (int i = 0; i < t->n_rows; i++) all = at_most(all, n_seen(g->run, t->row + i) - t->span);
    bool whole = g->raw && !g->run->slots; /* one plain row: nothing is left */
    if (!whole) all = at_least(all, 0) / 2 * 2;
    float *sums = g->sums + t->first * g->HSp;
    const bf16 *values = g->values + woven_at(t->span) * g->HSp;
    if (g->raw)
        tile_values_raw(g, t, t->span + all);
    else
        add_values(sums, g->HSp, g->weights, values, false, all, t->n_rows * g->n_heads);
    for (int i = 0; i < t->n_rows && !whole; i++) {
        int end = at_most(t->end, n_seen(g->run, t->row + i)), query = i * g->n_heads;
        const bf16 *weights = g->weights + query * SPAN;
        float *to = sums + query * g->HSp;
        if (g->run->slots)
            path_values(g, t, t->row + i, t->span + all, to, weights);
        else
            add_values(to, g->HSp, weights + all, values + all * g->HSp, false, end - t->span - all, g->n_heads);
    }
}

static void load_queries(group *g) {
    size_t row_size = (size_t)(g->shape->n_heads * g->HS), n_queries = (size_t)(g->n_rows * g->n_heads);
    size_t stride = g->run->q_stride ? (size_t)g->run->q_stride : row_size;
    const __m512 scale = _mm512_set1_ps(g->shape->scale * 0x1.715476p+0f); /* log2(e) */
    for (size_t i = 0; i < n_queries; i++) {
        const float *from = g->run->q + ((size_t)g->row + i / (size_t)g->n_heads) * stride +
                            ((size_t)g->head + i % (size_t)g->n_heads) * (size_t)g->HS;
        for (int d = 0; d < g->HS; d += 16) {
            __mmask16 mask = lanes_below(g->HS, d);
            __m512 x = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, from + d), scale);
            _mm256_mask_storeu_epi16(g->q + i * (size_t)g->HS2 + d, lanes_below(g->HS2, d),
                                     (__m256i)_mm512_cvtneps_pbh(x));
        }
        g->largest[i] = -INFINITY;
    }
    memset(g->sums, 0, n_queries * (size_t)g->HSp * sizeof(float));
    memset(g->totals, 0, n_queries * LANES * sizeof(float));
}

static void store_outputs(const group *g) {
    size_t row_size = (size_t)(g->shape->n_heads * g->HS), n_queries = (size_t)(g->n_rows * g->n_heads);
    size_t stride = g->run->out_stride ? (size_t)g->run->out_stride : row_size;
    for (size_t i = 0; i < n_queries; i++) {
        float *out = g->run->out + ((size_t)g->row + i / (size_t)g->n_heads) * stride +
                     ((size_t)g->head + i % (size_t)g->n_heads) * (size_t)g->HS;
        __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(_mm512_load_ps(g->totals + i * LANES)));
        for (int d = 0; d < g->HS; d += 16)
            _mm512_mask_storeu_ps(out + d, lanes_below(g->HS, d),
                                  _mm512_div_ps(_mm512_load_ps(g->sums + i * (size_t)g->HSp + (size_t)d), total));
    }
}

static void attend_group(group *g, int tile_rows) {
    int end = 0;
    load_queries(g);
    g->raw = g->n_rows == 1 && g->n_heads <= RAW_QUERIES && g->HS % (16 * VALUE_VECTORS) == 0 && !g->has_company;
    for (int i = 0; i < g->n_rows; i++) end = at_least(end, n_seen(g->run, g->row + i));
    for (int span = 0; span < end; span += SPAN) {
        int span_end = at_most(end, span + SPAN), shared = at_most(span_end, shared_end(g->run));
        if (!g->raw) weave_span(g, span, shared);
        for (int row = 0; row < g->n_rows; row += tile_rows) {
            tile t = {.row = g->row + row,
                      .n_rows = at_most(tile_rows, g->n_rows - row),
                      .first = row * g->n_heads,
                      .span = span};
            for (int i = 0; i < t.n_rows; i++) t.end = at_least(t.end, n_seen(g->run, t.row + i));
            t.end = at_most(t.end, span_end);
            t.shared = at_most(t.end, shared);
            if (t.end <= span) continue;
            tile_scores(g, &t);
            for (int q = 0; q < t.n_rows * g->n_heads; q++) {
                int n = at_most(n_seen(g->run, t.row + q / g->n_heads), span_end) - span;
                if (n > 0) softmax_query(g, t.first, q, n);
            }
            tile_values(g, &t);
        }
    }
    store_outputs(g);
}

/* Rows of a group: whole tiles, and enough groups for all threads. */
static int group_rows(const hn_attention_run *runs, int n_runs, int n_kv_heads, int tile_rows, int n_threads) {
    int64_t tiles = 0;
    for (int r = 0; r < n_runs; r++) tiles += (runs[r].n_rows + tile_rows - 1) / tile_rows * (int64_t)n_kv_heads;
    int64_t each = tiles / ((int64_t)n_threads * GROUPS_PER_THREAD);
    return tile_rows * (each < 1 ? 1 : each > GROUP_TILES ? GROUP_TILES : (int)each);
}

/* Whether runs r-1 or r+1 begin with the block that run r begins with: then it is worth weaving for one row also. */
static bool has_company(const hn_attention_run *runs, int n_runs, int r) {
    if (!runs[r].slots || runs[r].first == 0) return false;
    return (r > 0 && runs[r - 1].first > 0 && runs[r - 1].k_blocks[0] == runs[r].k_blocks[0]) ||
           (r + 1 < n_runs && runs[r + 1].first > 0 && runs[r + 1].k_blocks[0] == runs[r].k_blocks[0]);
}

/* A thread's way through all groups. */
typedef struct walk {
    group next, waiting; /* a group is computed when the next one's first keys are on their way */
    bool has_waiting;
    int tile_rows, turn, thread, n_threads;
} walk;

/* The next group, if it is this thread's. They are dealt out to and fro, 0 1 1 0 0 1 ..., so that both the early, short
 * rows and the late, long ones are shared evenly. */
static void meet_group(walk *w) {
    const group *g = &w->next;
    int place = w->turn++ % (2 * w->n_threads);
    if ((place < w->n_threads ? place : 2 * w->n_threads - 1 - place) != w->thread) return;
    for (int b = 0; b < FETCH_BLOCKS && is_alone(g); b++) fetch_block(g, g->run->k_blocks, b * BLOCK);
    if (w->has_waiting) attend_group(&w->waiting, w->tile_rows);
    w->waiting = *g;
    w->has_waiting = true;
}

/* All groups of the runs for kv heads from .. to-1. */
static void walk_runs(walk *w, const hn_attention_run *runs, int n_runs, int rows, int from, int to) {
    const hn_attention_shape *shape = w->next.shape;
    int share = shape->n_heads / shape->n_kv_heads, heads = at_most(share, TILE);
    group *g = &w->next;
    for (int r = 0; r < n_runs; r++) {
        g->run = &runs[r];
        g->has_company = has_company(runs, n_runs, r);
        for (g->row = 0; g->row < runs[r].n_rows; g->row += rows) {
            g->n_rows = at_most(rows, runs[r].n_rows - g->row);
            for (g->kv_head = from; g->kv_head < to; g->kv_head++) {
                for (int h = 0; h < share; h += heads) {
                    g->head = g->kv_head * share + h;
                    g->n_heads = at_most(heads, share - h);
                    meet_group(w);
                }
            }
        }
    }
}

/* Head by head where something may be woven; single rows (decoding) read each block's heads in the order of memory. */
void hn_avx512_attention_bf16(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                              int thread, int n_threads) {
    if (shape->kv_type != HN_KV_F16 || shape->f32_products) {
        hn_avx512_attention(runs, n_runs, shape, scratch, thread, n_threads);
        return;
    }
    int share = shape->n_heads / shape->n_kv_heads, heads = at_most(share, TILE);
    walk w = {.tile_rows = TILE / heads, .thread = thread, .n_threads = n_threads};
    int rows = group_rows(runs, n_runs, shape->n_kv_heads, w.tile_rows, n_threads);
    bool weaves = false;
    lay_out(&w.next, shape, scratch);
    *w.next.woven = (woven){.kv_head = -1}; /* what the blocks hold may have changed since the last call */
    for (int r = 0; r < n_runs; r++) weaves = weaves || runs[r].n_rows > 1 || runs[r].slots;
    if (weaves)
        for (int kv = 0; kv < shape->n_kv_heads; kv++) walk_runs(&w, runs, n_runs, rows, kv, kv + 1);
    else
        walk_runs(&w, runs, n_runs, rows, 0, shape->n_kv_heads);
    if (w.has_waiting) attend_group(&w.waiting, w.tile_rows);
}
