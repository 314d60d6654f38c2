/* What the kernel tests share; see kernel_cases.h. */
#include "kernel_cases.h"

#include "support.h"

#include "base/alloc.h"
#include "base/thread.h"

#include <math.h>
#include <string.h>

enum { GUARD = 64 };

guarded guarded_create(size_t n) {
    guarded g = {.n = n, .all = hn_alloc((n + 2 * GUARD) * sizeof(float))};
    assert_non_null(g.all);
    g.data = g.all + GUARD;
    for (size_t i = 0; i < n + 2 * GUARD; i++) g.all[i] = NAN;
    return g;
}

void guarded_check(const guarded *g) {
    for (size_t i = 0; i < GUARD; i++) {
        assert_true(isnan(g->all[i]));
        assert_true(isnan(g->data[g->n + i]));
    }
}

void guarded_free(guarded *g) { hn_free(g->all); }

static uint32_t next(uint32_t *state) { return *state = *state * 1664525u + 1013904223u; }

float random_float(uint32_t *state) { return (float)(int32_t)next(state) * 0x1.0p-31f; }

void random_fill(float *x, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) x[i] = random_float(&seed);
}

/* Where a block's f16 numbers stand; -1: none. */
static void f16_fields(hn_dtype dtype, int at[2]) {
    at[0] = 0, at[1] = -1;
    switch (dtype) {
    case HN_DTYPE_Q4_1:
    case HN_DTYPE_Q5_1:
    case HN_DTYPE_Q4_K:
    case HN_DTYPE_Q5_K: at[1] = 2; break;
    case HN_DTYPE_Q2_K: at[0] = 80, at[1] = 82; break;
    case HN_DTYPE_Q3_K: at[0] = 108; break;
    case HN_DTYPE_Q6_K: at[0] = 208; break;
    case HN_DTYPE_BF16: at[0] = -1; break;
    default: break;
    }
}

void random_blocks(unsigned char *bytes, size_t n_blocks, hn_dtype dtype, uint32_t seed) {
    size_t size = hn_dtype_of(dtype).block_bytes;
    if (dtype == HN_DTYPE_F32) {
        for (size_t i = 0; i < n_blocks; i++) {
            float x = random_float(&seed);
            memcpy(bytes + 4 * i, &x, 4);
        }
        return;
    }
    int at[2];
    f16_fields(dtype, at);
    for (size_t i = 0; i < n_blocks * size; i++) bytes[i] = (unsigned char)(next(&seed) >> 24);
    for (size_t b = 0; b < n_blocks; b++) {
        unsigned char *block = bytes + b * size;
        for (int f = 0; f < 2; f++)
            if (at[f] >= 0) block[at[f] + 1] = (block[at[f] + 1] & 0x8F) | 0x20;
        if (dtype == HN_DTYPE_BF16) block[1] = (block[1] & 0x8F) | 0x30;
    }
}

unsigned char *random_weights(hn_dtype dtype, size_t N, size_t K, uint32_t seed) {
    size_t row_bytes;
    assert_true(hn_dtype_bytes(dtype, K, &row_bytes));
    unsigned char *bytes = hn_alloc(N * row_bytes);
    assert_non_null(bytes);
    random_blocks(bytes, N * row_bytes / hn_dtype_of(dtype).block_bytes, dtype, seed);
    return bytes;
}

bool bits_equal(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }
float as_bf16(float x) { return hn_bf16_to_f32(hn_f32_to_bf16(x)); }

int start_pool(void **state) {
    hn_pool *pool;
    hn_error err;
    if (hn_pool_create(2, &pool, &err) != HN_OK) return -1;
    *state = pool;
    return 0;
}

int stop_pool(void **state) {
    hn_pool_free(*state);
    return 0;
}
