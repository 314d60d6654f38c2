/* Packs in a short form give the bits of the plain ones: weights that the form holds, a few that it must list, blocks
 * that it cannot hold, and whole matrices that it must refuse. The oracle is the same table without packs. */
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/rng.h"
#include "kernel/kernel.h"
#include "kernel_cases.h"
#include "support.h"

#include <math.h>
#include <string.h>

enum { N = 77, ROWS = 21 };

typedef enum weights { PLAIN, SOME_ODD, ONE_BLOCK_ODD, WITH_ZEROS, NOT_FINITE, ANY_BITS, N_WEIGHTS } weights;

static uint16_t weight_of(weights kind, int n, int k, hn_rng *rng) {
    uint32_t some = (uint32_t)(hn_rng_uniform(rng) * 65536.0), e = 110 + some % 13;
    uint16_t usual = (uint16_t)((some & 0x807F) | e << 7);
    bool seldom = hn_rng_uniform(rng) < 0.002;
    switch (kind) {
    case SOME_ODD: return seldom ? (uint16_t)((some & 0x807F) | (60 + some % 180) << 7) : usual;
    case ONE_BLOCK_ODD: return n < 32 && k < 64 ? (uint16_t)some : usual;
    case WITH_ZEROS: return seldom ? 0x8000 & some : some % 50 == 0 ? (uint16_t)(some & 0x807F) : usual;
    case NOT_FINITE: return seldom ? (uint16_t)((some & 0x8003) | 0x7F80) : usual;
    case ANY_BITS: return (uint16_t)(some & 0xBFFF); /* no infinities */
    default: return usual;
    }
}

static uint16_t *make_weights(weights kind, int K) {
    uint16_t *data = hn_alloc((size_t)N * (size_t)K * sizeof *data);
    assert_non_null(data);
    hn_rng rng;
    hn_rng_seed(&rng, 5 + (uint64_t)kind, 1);
    for (int n = 0; n < N; n++)
        for (int k = 0; k < K; k++) data[n * K + k] = weight_of(kind, n, k, &rng);
    return data;
}

static guarded multiply(const hn_kernels *k, hn_pool *pool, const hn_matrix *w, const float *x, int64_t M) {
    guarded y = guarded_create((size_t)(M * w->n_out));
    size_t bytes = hn_matmul_scratch_bytes(k, w, M, hn_pool_size(pool));
    void *scratch = hn_alloc(bytes);
    assert_non_null(scratch);
    memset(scratch, 0xFF, bytes);
    hn_matmul(k, pool, y.data, 0, x, 0, w, M, scratch);
    hn_free(scratch);
    guarded_check(&y);
    return y;
}

/* Equal bits; any NaN equals any other. */
static bool same(const guarded *a, const guarded *b) {
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(a->data + i, b->data + i, sizeof(float)) != 0 && !(isnan(a->data[i]) && isnan(b->data[i])))
            return false;
    return true;
}

static void check(const hn_kernels *k, hn_pool *pool, weights kind, int K) {
    hn_error err = {0};
    uint16_t *data = make_weights(kind, K);
    hn_matrix keep = {.dtype = HN_DTYPE_BF16, .n_out = N, .n_in = K, .data = data}, low = keep;
    hn_test_ok(hn_matrix_prepare(&keep, k, HN_PACK_KEEP, pool, &err), &err);
    hn_test_ok(hn_matrix_prepare(&low, k, HN_PACK_LOW, pool, &err), &err);
    bool has_short = strcmp(k->name, "avx512bf16") == 0;
    if (kind == PLAIN) assert_int_equal(keep.short_pack, has_short);
    if (kind == ANY_BITS) assert_false(keep.short_pack);
    if (keep.short_pack) assert_true(keep.pack_bytes < (size_t)(96 * ((K + 31) / 32 * 32) * 2));
    guarded x = guarded_create((size_t)(ROWS * K));
    random_fill(x.data, x.n, 3);
    for (int M = 1; M <= ROWS; M++) {
        guarded a = multiply(k, pool, &keep, x.data, M), b = multiply(k, pool, &low, x.data, M);
        if (!same(&a, &b)) fail_msg("%s: weights %d, K %d, %d rows differ", k->name, (int)kind, K, M);
        guarded_free(&a), guarded_free(&b);
    }
    guarded_free(&x);
    hn_matrix_release(&keep);
    hn_matrix_release(&low);
    hn_free(data);
}

static void short_packs_have_the_bits_of_the_weights(void **state) {
    static const int sizes[] = {1, 31, 64, 96, 300, 576};
    const hn_kernels *k;
    for (int t = 1; (k = hn_kernels_available(t)); t++)
        for (int kind = 0; kind < N_WEIGHTS; kind++)
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check(k, *state, (weights)kind, sizes[i]);
}

/* 200 panels of which one block in 1,800 does not suit: the short form stays, and that block is read from the file. */
static void a_block_that_does_not_suit(void **state) {
    enum { OUT = 6400, K = 576 };
    hn_error err = {0};
    const hn_kernels *k;
    uint16_t *data = hn_alloc((size_t)OUT * K * sizeof *data);
    assert_non_null(data);
    hn_rng rng;
    hn_rng_seed(&rng, 9, 1);
    for (int n = 0; n < OUT; n++)
        for (int i = 0; i < K; i++) data[n * K + i] = weight_of(ONE_BLOCK_ODD, n, i, &rng) & 0xBFFF;
    for (int t = 0; (k = hn_kernels_available(t)); t++) {
        if (strcmp(k->name, "avx512bf16") != 0) continue;
        hn_matrix keep = {.dtype = HN_DTYPE_BF16, .n_out = OUT, .n_in = K, .data = data}, low = keep;
        hn_test_ok(hn_matrix_prepare(&keep, k, HN_PACK_KEEP, *state, &err), &err);
        hn_test_ok(hn_matrix_prepare(&low, k, HN_PACK_LOW, *state, &err), &err);
        assert_true(keep.short_pack);
        guarded x = guarded_create(9 * K);
        random_fill(x.data, x.n, 3);
        for (int M = 1; M <= 9; M += 4) {
            guarded a = multiply(k, *state, &keep, x.data, M), b = multiply(k, *state, &low, x.data, M);
            assert_true(same(&a, &b));
            guarded_free(&a), guarded_free(&b);
        }
        guarded_free(&x);
        hn_matrix_release(&keep);
        hn_matrix_release(&low);
    }
    hn_free(data);
}

static void no_memory_is_a_status(void **state) {
    hn_error err = {0};
    const hn_kernels *k;
    uint16_t *data = make_weights(ANY_BITS, 96);
    for (int t = 1; (k = hn_kernels_available(t)); t++) {
        hn_status st = HN_ERR_MEMORY;
        for (size_t at = 1; st != HN_OK && at < 10; at++) {
            hn_matrix w = {.dtype = HN_DTYPE_BF16, .n_out = N, .n_in = 96, .data = data};
            hn_alloc_fail_at(at, true);
            st = hn_matrix_prepare(&w, k, HN_PACK_KEEP, *state, &err);
            hn_alloc_fail_at(0, false);
            assert_true(st == HN_OK || st == HN_ERR_MEMORY);
            hn_matrix_release(&w);
        }
        assert_int_equal(st, HN_OK);
    }
    hn_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_packs_have_the_bits_of_the_weights),
        cmocka_unit_test(a_block_that_does_not_suit),
        cmocka_unit_test(no_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, start_pool, stop_pool);
}
