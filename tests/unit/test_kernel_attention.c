/* Attention of every table: close to a plain softmax in f64 over the stored keys and values; the bits of a row depend
 * neither on the chunk that it is in, nor on other runs, nor on threads; a path in a tree gives the bits of a plain
 * chain. */
#include "kernel/kernel.h"

#include "base/alloc.h"
#include "kernel_cases.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum {
    POSITIONS = 269, /* more than one span of the fast kernels */
    BLOCKS = (POSITIONS + HN_KV_BLOCK - 1) / HN_KV_BLOCK
};

static const hn_attention_shape shapes[] = {
    {9, 3, 64, 0.125f, HN_KV_F16, false},  {9, 3, 64, 0.125f, HN_KV_F32, false},  {4, 2, 16, 0.25f, HN_KV_F32, false},
    {4, 4, 24, 0.2f, HN_KV_F16, false},    {5, 1, 80, 0.11f, HN_KV_F16, false},   {8, 2, 128, 0.09f, HN_KV_F16, false},
    {3, 3, 30, 0.18f, HN_KV_F32, false},   {14, 2, 64, 0.125f, HN_KV_F16, false}, {1, 1, 2, 0.7f, HN_KV_F32, false},
    {9, 3, 64, 0.125f, HN_KV_Q8_0, false}, {4, 4, 24, 0.2f, HN_KV_Q8_0, false},   {5, 1, 80, 0.11f, HN_KV_Q8_0, false},
    {3, 3, 30, 0.18f, HN_KV_Q8_0, false},  {8, 2, 128, 0.09f, HN_KV_Q8_0, false}, {1, 1, 2, 0.7f, HN_KV_Q8_0, false},
    {9, 3, 64, 0.125f, HN_KV_F16, true},   {15, 1, 31, 0.2f, HN_KV_F16, false},   {2, 1, 1, 0.9f, HN_KV_F16, false},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* One sequence: queries, keys and values of all positions, and its blocks. Slots never written hold NaN. */
typedef struct sequence {
    hn_attention_shape s;
    float *q, *k, *v;            /* (POSITIONS, NH, HS), (POSITIONS, KV, HS) */
    double *k_stored, *v_stored; /* as the cache keeps them */
    void *k_blocks[BLOCKS], *v_blocks[BLOCKS];
} sequence;

static size_t q_row(const hn_attention_shape *s) { return (size_t)(s->n_heads * s->head_size); }
static size_t kv_row(const hn_attention_shape *s) { return (size_t)(s->n_kv_heads * s->head_size); }
static size_t kv_row_bytes(const hn_attention_shape *s) {
    return hn_kv_row_bytes(s->kv_type, s->n_kv_heads, s->head_size);
}

/* x (n) times the Hadamard matrix of size n, by definition. */
static void hadamard(double *x, int n) {
    double y[128] = {0};
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) y[i] += __builtin_parity((unsigned)(i & j)) ? -x[j] : x[j];
    memcpy(x, y, (size_t)n * sizeof *x);
}

/* n values in groups of 32 as 8-bit integers and back. */
static void round_groups(double *x, int n) {
    for (int from = 0; from < n; from += 32) {
        int end = from + 32 < n ? from + 32 : n;
        double most = 0;
        for (int j = from; j < end; j++) most = fmax(most, fabs(x[j]));
        float scale = hn_f16_to_f32(hn_f32_to_f16((float)most / 127));
        for (int j = from; j < end; j++)
            x[j] = scale > 0 ? fmax(-127, fmin(127, (double)rintf((float)x[j] * (1 / scale)))) * (double)scale : 0;
    }
}

/* A position's head (HS) as the cache keeps it. */
static void stored_head(double *to, const float *head, const hn_attention_shape *s) {
    int HS = s->head_size, size = HS & -HS;
    for (int i = 0; i < HS; i++)
        to[i] = s->kv_type == HN_KV_F16 ? (double)hn_f16_to_f32(hn_f32_to_f16(head[i])) : (double)head[i];
    if (s->kv_type != HN_KV_Q8_0) return;
    for (int i = 0; i < HS; i += size) hadamard(to + i, size);
    for (int i = 0; i < HS; i++) to[i] = (double)(float)to[i];
    round_groups(to, HS);
    for (int i = 0; i < HS; i += size) hadamard(to + i, size);
    for (int i = 0; i < HS; i++) to[i] /= size;
}

static sequence sequence_create(const hn_kernels *k, const hn_attention_shape *shape, int n_stored) {
    sequence q = {.s = *shape};
    size_t nq = POSITIONS * q_row(shape), nk = POSITIONS * kv_row(shape), block = HN_KV_BLOCK * kv_row_bytes(shape);
    q.q = hn_alloc(nq * sizeof(float)), q.k = hn_alloc(nk * sizeof(float)), q.v = hn_alloc(nk * sizeof(float));
    random_fill(q.q, nq, 21), random_fill(q.k, nk, 22), random_fill(q.v, nk, 23);
    for (size_t i = 0; i < nq; i++) q.q[i] *= 6;                      /* sharp enough that the running maximum moves */
    for (size_t i = 0; i < nk && shape->kv_type == HN_KV_Q8_0; i++) { /* so that turning is exact in f32 */
        q.k[i] = rintf(q.k[i] * 4096) / 4096;
        q.v[i] = rintf(q.v[i] * 4096) / 4096;
    }
    q.k_stored = hn_alloc(nk * sizeof(double)), q.v_stored = hn_alloc(nk * sizeof(double));
    for (size_t i = 0; i < nk; i += (size_t)shape->head_size) {
        stored_head(q.k_stored + i, q.k + i, shape);
        stored_head(q.v_stored + i, q.v + i, shape);
    }
    for (int b = 0; b < BLOCKS; b++) {
        q.k_blocks[b] = hn_alloc(block), q.v_blocks[b] = hn_alloc(block);
        memset(q.k_blocks[b], 0xFF, block), memset(q.v_blocks[b], 0xFF, block);
    }
    for (int p = 0; p < n_stored; p++)
        k->kv_store(q.k_blocks[p / HN_KV_BLOCK], q.v_blocks[p / HN_KV_BLOCK], q.k + (size_t)p * kv_row(shape),
                    q.v + (size_t)p * kv_row(shape), p % HN_KV_BLOCK, shape->n_kv_heads, shape->head_size,
                    shape->kv_type);
    return q;
}

static void sequence_free(sequence *q) {
    for (int b = 0; b < BLOCKS; b++) hn_free(q->k_blocks[b]), hn_free(q->v_blocks[b]);
    hn_free(q->q), hn_free(q->k), hn_free(q->v), hn_free(q->k_stored), hn_free(q->v_stored);
}

static hn_attention_run run_of(const sequence *q, float *out, int first, int n_rows) {
    return (hn_attention_run){.q = q->q + (size_t)first * q_row(&q->s),
                              .out = out,
                              .n_rows = n_rows,
                              .first = first,
                              .k_blocks = (const void *const *)q->k_blocks,
                              .v_blocks = (const void *const *)q->v_blocks};
}

static void attend(const hn_kernels *k, hn_pool *pool, const hn_attention_run *runs, int n_runs,
                   const hn_attention_shape *s) {
    size_t scratch_bytes = hn_attention_scratch_bytes(k, s, pool ? hn_pool_size(pool) : 1);
    void *scratch = hn_alloc(scratch_bytes);
    memset(scratch, 0xFF, scratch_bytes);
    hn_attention(k, pool, runs, n_runs, s, scratch);
    hn_free(scratch);
}

/* Whether the table works with bf16 products: then q, k and v are rounded to it, and weights too, which the oracle
 * leaves out. */
static bool is_bf16(const hn_kernels *k, const hn_attention_shape *s) {
    return strcmp(k->name, "avx512bf16") == 0 && s->kv_type == HN_KV_F16 && !s->f32_products;
}

static double rounded(double x, bool bf16) { return bf16 ? (double)as_bf16((float)x) : x; }

/* out (HS) of one head of the row at `position`, by definition. */
static void softmax_f64(double *out, const sequence *q, int position, int head, bool bf16) {
    const hn_attention_shape *s = &q->s;
    size_t HS = (size_t)s->head_size, kv = (size_t)(head / (s->n_heads / s->n_kv_heads)) * HS;
    const float *query = q->q + (size_t)position * q_row(s) + (size_t)head * HS;
    double score[POSITIONS], largest = -INFINITY, sum = 0;
    const float log2_e = 0x1.715476p+0f;
    for (int p = 0; p <= position; p++) {
        score[p] = 0;
        for (size_t i = 0; i < HS; i++) {
            double scaled = (double)query[i] * (double)s->scale;
            if (bf16) scaled = (double)as_bf16(query[i] * (s->scale * log2_e)) / 1.4426950408889634;
            score[p] += scaled * rounded(q->k_stored[(size_t)p * kv_row(s) + kv + i], bf16);
        }
        largest = fmax(largest, score[p]);
    }
    for (size_t i = 0; i < HS; i++) out[i] = 0;
    for (int p = 0; p <= position; p++) {
        double weight = exp(score[p] - largest);
        sum += weight;
        for (size_t i = 0; i < HS; i++) out[i] += weight * rounded(q->v_stored[(size_t)p * kv_row(s) + kv + i], bf16);
    }
    for (size_t i = 0; i < HS; i++) out[i] /= sum;
}

static void check_against_f64(const sequence *q, const float *out, bool bf16) {
    double expected[128], tolerance = bf16 ? 0x1p-8 : 4e-6;
    for (int p = 0; p < POSITIONS; p++) {
        for (int h = 0; h < q->s.n_heads; h++) {
            softmax_f64(expected, q, p, h, bf16);
            for (int i = 0; i < q->s.head_size; i++) {
                double value = out[(size_t)p * q_row(&q->s) + (size_t)(h * q->s.head_size + i)];
                if (!(fabs(value - expected[i]) < tolerance))
                    fail_msg("position %d head %d dim %d: %g is not %g", p, h, i, value, expected[i]);
            }
        }
    }
}

/* Cuts the sequence into chunks of `size` rows; each chunk's keys are stored only when it runs, as an engine does. */
static void check_chunks(const hn_kernels *k, hn_pool *pool, const hn_attention_shape *s, const float *whole,
                         int size) {
    sequence q = sequence_create(k, s, 0);
    guarded out = guarded_create(POSITIONS * q_row(s));
    for (int from = 0; from < POSITIONS; from += size) {
        int n = POSITIONS - from < size ? POSITIONS - from : size;
        for (int p = from; p < from + n; p++)
            k->kv_store(q.k_blocks[p / HN_KV_BLOCK], q.v_blocks[p / HN_KV_BLOCK], q.k + (size_t)p * kv_row(s),
                        q.v + (size_t)p * kv_row(s), p % HN_KV_BLOCK, s->n_kv_heads, s->head_size, s->kv_type);
        hn_attention_run run = run_of(&q, out.data + (size_t)from * q_row(s), from, n);
        attend(k, pool, &run, 1, s);
    }
    guarded_check(&out);
    assert_true(bits_equal(out.data, whole, out.n));
    guarded_free(&out);
    sequence_free(&q);
}

static void rows_match_f64_and_do_not_depend_on_chunks(void **state) {
    static const int sizes[] = {1, 2, 50, 7, 32, 3, 33, 200}; /* other shapes: 1 and 3 */
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < N_SHAPES; i++) {
            sequence q = sequence_create(k, &shapes[i], POSITIONS);
            guarded whole = guarded_create(POSITIONS * q_row(&shapes[i]));
            hn_attention_run run = run_of(&q, whole.data, 0, POSITIONS);
            attend(k, NULL, &run, 1, &shapes[i]);
            guarded_check(&whole);
            check_against_f64(&q, whole.data, is_bf16(k, &shapes[i]));
            for (size_t c = 0; c < sizeof sizes / sizeof *sizes; c += i < 1 ? 1 : 5)
                check_chunks(k, c % 2 ? *state : NULL, &shapes[i], whole.data, sizes[c]);
            guarded_free(&whole);
            sequence_free(&q);
        }
    }
}

/* Rows before `from` have the same bits when keys and values from there on are infinite or not numbers at all. */
static void check_later_positions(const hn_kernels *k, const hn_attention_shape *s, int from) {
    sequence q = sequence_create(k, s, POSITIONS);
    size_t n = POSITIONS * q_row(s), before = (size_t)from * q_row(s);
    guarded clean = guarded_create(n), spoilt = guarded_create(n);
    hn_attention_run run = run_of(&q, clean.data, 0, POSITIONS);
    attend(k, NULL, &run, 1, s);
    for (int p = from; p < POSITIONS; p++) {
        for (size_t i = 0; i < kv_row(s); i++)
            q.k[(size_t)p * kv_row(s) + i] = q.v[(size_t)p * kv_row(s) + i] = p % 2 ? INFINITY : NAN;
        k->kv_store(q.k_blocks[p / HN_KV_BLOCK], q.v_blocks[p / HN_KV_BLOCK], q.k + (size_t)p * kv_row(s),
                    q.v + (size_t)p * kv_row(s), p % HN_KV_BLOCK, s->n_kv_heads, s->head_size, s->kv_type);
    }
    run.out = spoilt.data;
    attend(k, NULL, &run, 1, s);
    assert_true(bits_equal(clean.data, spoilt.data, before));
    guarded_free(&clean), guarded_free(&spoilt);
    sequence_free(&q);
}

static void what_stands_later_changes_nothing(void **state) {
    (void)state;
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++)
        for (int i = 0; i < N_SHAPES; i++)
            if (shapes[i].kv_type != HN_KV_Q8_0) /* its scales are for numbers */
                for (int from = 61; from < POSITIONS; from += 67) check_later_positions(k, &shapes[i], from);
}

static void several_runs_in_one_call_with_strides(void **state) {
    const hn_attention_shape *s = &shapes[0];
    enum { STRIDE_GAP = 7 };
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        sequence q = sequence_create(k, s, POSITIONS);
        size_t row = q_row(s), stride = row + STRIDE_GAP;
        guarded plain = guarded_create(POSITIONS * row), wide_q = guarded_create(POSITIONS * stride),
                wide = guarded_create(POSITIONS * stride);
        hn_attention_run run = run_of(&q, plain.data, 0, POSITIONS), cut[4];
        attend(k, NULL, &run, 1, s);
        for (int p = 0; p < POSITIONS; p++)
            memcpy(wide_q.data + (size_t)p * stride, q.q + (size_t)p * row, row * sizeof(float));
        static const int starts[] = {0, 1, 40, 260, POSITIONS};
        for (int i = 0; i < 4; i++) {
            int first = starts[3 - i], n = starts[4 - i] - first;
            cut[i] = run_of(&q, wide.data + (size_t)first * stride, first, n);
            cut[i].q = wide_q.data + (size_t)first * stride;
            cut[i].q_stride = cut[i].out_stride = (int)stride;
        }
        attend(k, *state, cut, 4, s);
        guarded_check(&wide);
        for (int p = 0; p < POSITIONS; p++) {
            assert_true(bits_equal(wide.data + (size_t)p * stride, plain.data + (size_t)p * row, row));
            for (int g = 0; g < STRIDE_GAP; g++) assert_true(isnan(wide.data[(size_t)p * stride + row + (size_t)g]));
        }
        guarded_free(&plain), guarded_free(&wide_q), guarded_free(&wide);
        sequence_free(&q);
    }
}

/* A tree whose every node is the same chain seen through different slots: node d of path p has the keys and queries of
 * position first + d, stored in a scattered slot. Its rows must have the chain's bits. */
static void check_tree(const hn_kernels *k, hn_pool *pool, const hn_attention_shape *s, int first) {
    enum { DEPTH = 40, PATHS = 3, ROWS = DEPTH * PATHS };
    sequence chain = sequence_create(k, s, POSITIONS), prefix = sequence_create(k, s, first);
    size_t row = q_row(s), tail_bytes = ROWS * kv_row_bytes(s);
    guarded expected = guarded_create(DEPTH * row), q = guarded_create(ROWS * row), out = guarded_create(ROWS * row);
    hn_attention_run plain = run_of(&chain, expected.data, first, DEPTH);
    attend(k, NULL, &plain, 1, s);
    void *tail_k = hn_alloc(tail_bytes), *tail_v = hn_alloc(tail_bytes);
    int32_t slots[ROWS * DEPTH], slot_start[ROWS + 1] = {0};
    int n_slots = 0;
    for (int r = 0; r < ROWS; r++) { /* row r is depth r / PATHS of path r % PATHS and stands in slot r */
        int depth = r / PATHS, position = first + depth;
        memcpy(q.data + (size_t)r * row, chain.q + (size_t)position * row, row * sizeof(float));
        k->kv_store_tail(tail_k, chain.k + (size_t)position * kv_row(s), r, s->n_kv_heads, s->head_size, s->kv_type);
        k->kv_store_tail(tail_v, chain.v + (size_t)position * kv_row(s), r, s->n_kv_heads, s->head_size, s->kv_type);
        for (int d = 0; d <= depth; d++) slots[n_slots++] = d * PATHS + r % PATHS;
        slot_start[r + 1] = n_slots;
    }
    hn_attention_run tree = run_of(&prefix, out.data, first, ROWS);
    tree.q = q.data, tree.slots = slots, tree.slot_start = slot_start, tree.tail_k = tail_k, tree.tail_v = tail_v;
    attend(k, pool, &tree, 1, s);
    guarded_check(&out);
    for (int r = 0; r < ROWS; r++)
        assert_true(bits_equal(out.data + (size_t)r * row, expected.data + (size_t)(r / PATHS) * row, row));
    hn_free(tail_k), hn_free(tail_v);
    guarded_free(&expected), guarded_free(&q), guarded_free(&out);
    sequence_free(&chain), sequence_free(&prefix);
}

static void a_tree_has_the_bits_of_its_chains(void **state) {
    static const int firsts[] = {0, 1, 31, 50, 32, 64, 225}; /* other shapes: every third */
    const hn_kernels *k;
    for (int t = 0; (k = hn_kernels_available(t)); t++)
        for (int i = 0; i < N_SHAPES; i++)
            for (size_t f = 0; f < sizeof firsts / sizeof *firsts; f += i < 1 ? 1 : 3)
                check_tree(k, f % 2 ? *state : NULL, &shapes[i], firsts[f]);
}

static void stores_are_exact_and_stay_in_their_slot(void **state) {
    (void)state;
    const hn_kernels *k, *ref = hn_kernels_available(0);
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        for (int i = 0; i < N_SHAPES; i++) {
            const hn_attention_shape *s = &shapes[i];
            size_t n = HN_KV_BLOCK * kv_row_bytes(s), tail = 3 * kv_row_bytes(s);
            unsigned char *a = hn_alloc(2 * n + tail), *b = hn_alloc(2 * n + tail);
            memset(a, 0xAA, 2 * n + tail), memset(b, 0xAA, 2 * n + tail);
            float *x = hn_alloc(2 * kv_row(s) * sizeof(float));
            random_fill(x, 2 * kv_row(s), 31);
            x[0] = 1e-7f, x[1] = 65504.0f;
            for (int slot = 3; slot < HN_KV_BLOCK; slot += 9) {
                k->kv_store(a, a + n, x, x + kv_row(s), slot, s->n_kv_heads, s->head_size, s->kv_type);
                ref->kv_store(b, b + n, x, x + kv_row(s), slot, s->n_kv_heads, s->head_size, s->kv_type);
            }
            k->kv_store_tail(a + 2 * n, x, 1, s->n_kv_heads, s->head_size, s->kv_type);
            ref->kv_store_tail(b + 2 * n, x, 1, s->n_kv_heads, s->head_size, s->kv_type);
            assert_memory_equal(a, b, 2 * n + tail);
            hn_free(a), hn_free(b), hn_free(x);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_match_f64_and_do_not_depend_on_chunks),
        cmocka_unit_test(what_stands_later_changes_nothing),
        cmocka_unit_test(several_runs_in_one_call_with_strides),
        cmocka_unit_test(a_tree_has_the_bits_of_its_chains),
        cmocka_unit_test(stores_are_exact_and_stay_in_their_slot),
    };
    return cmocka_run_group_tests(tests, start_pool, stop_pool);
}
