/* How near the kernels are to the machine's limits, on the shapes of SmolLM2-135M (or of a scaled model).
 *
 *     build/bench_kernels [ISA] [THREADS] [FORMAT]         e.g. avx512 2 Q4_1
 *
 * Prints, per matrix shape and number of rows M, GFLOP/s with the share of the arithmetic peak and GB/s of packed
 * weights with the share of the memory's bandwidth; then attention, row operations and packing. The limits
 * are those that kernel/machine.h measures. Each figure is the best of several rounds; weights rotate through enough
 * copies that they come from memory, not from a cache. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "kernel/kernel.h"
#include "kernel/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { C = 576, KV_SIZE = 192, F = 1536, V = 49152, HS = 64, NH = 9, KV = 3, ROUNDS = 7, COPIES_BYTES = 192 << 20 };

typedef struct bench {
    const hn_kernels *k;
    hn_pool *pool;
    double peak_gflops, stream_gbps;
    bool f32; /* F32 weights: products in f32 everywhere */
} bench;

/* ---- products ---- */

static void fill(float *x, size_t n) {
    uint32_t state = 1;
    for (size_t i = 0; i < n; i++) x[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1.0p-31f;
}

/* Blocks whose scales are ordinary numbers: every byte 0x1A is a small f16, f32 or bf16 as well. */
static unsigned char *weights_of(hn_dtype dtype, size_t N, size_t K, size_t *size_bytes) {
    if (!hn_dtype_bytes(dtype, N * K, size_bytes)) return NULL;
    unsigned char *bytes = hn_alloc(*size_bytes);
    if (bytes) memset(bytes, 0x1A, *size_bytes);
    return bytes;
}

static void bench_shape(const bench *b, const char *name, hn_dtype dtype, int N, int K) {
    static const int Ms[] = {1, 2, 4, 8, 16, 32, 128, 512};
    enum { MOST = 512, COPIES = 400 };
    static hn_matrix w[COPIES];
    hn_error err;
    size_t size_bytes;
    unsigned char *data = weights_of(dtype, (size_t)N, (size_t)K, &size_bytes);
    int n_copies = 0;
    double packed = 0, pack_s = 0;
    while (data && n_copies < COPIES && packed < COPIES_BYTES) {
        hn_matrix *m = &w[n_copies];
        *m = (hn_matrix){.dtype = dtype, .n_out = N, .n_in = K, .data = data};
        double start = hn_clock_seconds();
        if (hn_matrix_prepare(m, b->k, HN_PACK_KEEP, b->pool, &err) != HN_OK) break;
        pack_s += hn_clock_seconds() - start;
        packed += m->pack_bytes ? (double)m->pack_bytes : (double)size_bytes;
        n_copies++;
    }
    double weight_bytes = n_copies ? packed / n_copies : 1;
    float *x = hn_alloc(MOST * (size_t)K * sizeof *x), *y = hn_alloc(MOST * (size_t)N * sizeof *y);
    void *scratch = n_copies ? hn_alloc(hn_matmul_scratch_bytes(b->k, &w[0], MOST, hn_pool_size(b->pool))) : NULL;
    if (x && y && scratch) {
        fill(x, MOST * (size_t)K);
        printf("%-6s N %5d K %4d, packed at %.1f GB/s of pack\n", name, N, K, packed / pack_s * 1e-9);
        for (size_t i = 0; i < sizeof Ms / sizeof *Ms; i++) {
            double best = 1e9, flop = 2.0 * Ms[i] * N * K;
            int n_calls = flop < 2e8 ? n_copies : 1 + (int)(2e9 / flop) < n_copies ? 1 + (int)(2e9 / flop) : n_copies;
            if (N == V && Ms[i] > 32) continue;
            for (int round = 0; round < ROUNDS; round++) {
                double start = hn_clock_seconds();
                for (int c = 0; c < n_calls; c++) hn_matmul(b->k, b->pool, y, 0, x, 0, &w[c], Ms[i], scratch);
                double took = (hn_clock_seconds() - start) / n_calls;
                if (took < best) best = took;
            }
            double gflops = flop / best * 1e-9, gbps = weight_bytes / best * 1e-9;
            printf("  M %3d %9.1f us %7.1f GFLOP/s %3.0f %% of peak  %6.1f GB/s %3.0f %% of bandwidth\n", Ms[i],
                   best * 1e6, gflops, b->peak_gflops > 0 ? 100 * gflops / b->peak_gflops : 0, gbps,
                   100 * gbps / b->stream_gbps);
        }
    }
    for (int c = 0; c < n_copies; c++) hn_matrix_release(&w[c]);
    hn_free(scratch), hn_free(x), hn_free(y), hn_free(data);
}

/* ---- the rest ---- */

static void bench_attention(const bench *b, int n_rows, int first) {
    const hn_attention_shape shape = {
        .n_heads = NH,
        .n_kv_heads = KV,
        .head_size = HS,
        .scale = 0.125f,
        .kv_type = strcmp(b->k->name, "ref") == 0 ? HN_KV_F32 : HN_KV_F16,
        .f32_products = b->f32,
    };
    int n_blocks = (first + n_rows + HN_KV_BLOCK - 1) / HN_KV_BLOCK;
    size_t block = (size_t)HN_KV_BLOCK * KV * HS * 4;
    void **blocks = hn_calloc((size_t)n_blocks * 2, sizeof *blocks);
    float *q = hn_calloc((size_t)n_rows * NH * HS, sizeof *q), *out = hn_calloc((size_t)n_rows * NH * HS, sizeof *out);
    void *scratch = hn_alloc(hn_attention_scratch_bytes(b->k, &shape, hn_pool_size(b->pool)));
    bool ready = blocks && q && out && scratch;
    for (int i = 0; ready && i < 2 * n_blocks; i++) ready = (blocks[i] = hn_calloc(1, block)) != NULL;
    if (ready) {
        hn_attention_run run = {.q = q,
                                .out = out,
                                .n_rows = n_rows,
                                .first = first,
                                .k_blocks = (const void *const *)blocks,
                                .v_blocks = (const void *const *)(blocks + n_blocks)};
        double best = 1e9, pairs = (double)n_rows * first + (double)n_rows * (n_rows + 1) / 2;
        for (int round = 0; round < ROUNDS; round++) {
            double start = hn_clock_seconds();
            hn_attention(b->k, b->pool, &run, 1, &shape, scratch);
            double took = hn_clock_seconds() - start;
            if (took < best) best = took;
        }
        printf("attention rows %4d first %4d %9.1f us %7.1f GFLOP/s\n", n_rows, first, best * 1e6,
               pairs * NH * HS * 4 / best * 1e-9);
    }
    for (int i = 0; blocks && i < 2 * n_blocks; i++) hn_free(blocks[i]);
    hn_free(blocks), hn_free(q), hn_free(out), hn_free(scratch);
}

static void bench_rows(const bench *b) {
    enum { T = 512 };
    float *x = hn_calloc((size_t)T * 2 * F, sizeof *x), *y = hn_calloc((size_t)T * 2 * F, sizeof *y);
    if (x && y) {
        double best[4] = {1e9, 1e9, 1e9, 1e9};
        fill(x, (size_t)T * 2 * F);
        for (int round = 0; round < ROUNDS; round++) {
            double t[5] = {hn_clock_seconds()};
            b->k->rmsnorm(y, x, x, T, C, 1e-5f);
            t[1] = hn_clock_seconds();
            b->k->swiglu(y, x, x + F, T, F, 2 * F);
            t[2] = hn_clock_seconds();
            b->k->rope(y, NH * HS, x, x, T, NH, HS, true);
            t[3] = hn_clock_seconds();
            b->k->logsumexp(x, V, NULL);
            t[4] = hn_clock_seconds();
            for (int i = 0; i < 4; i++)
                if (t[i + 1] - t[i] < best[i]) best[i] = t[i + 1] - t[i];
        }
        printf("one thread, 512 rows: rmsnorm %.0f us, swiglu %.0f us, rope %.0f us; logsumexp of %d %.0f us\n",
               best[0] * 1e6, best[1] * 1e6, best[2] * 1e6, V, best[3] * 1e6);
    }
    hn_free(x), hn_free(y);
}

static hn_dtype dtype_named(const char *name) {
#define DTYPE_MATCH(dtype, number, values, bytes)                                                                      \
    if (strcmp(name, #dtype) == 0) return HN_DTYPE_##dtype;
    HN_DTYPE_LIST(DTYPE_MATCH)
    return HN_DTYPE_Q4_1;
}

int main(int argc, char **argv) {
    hn_error err = {0};
    bench b = {0};
    int64_t n_threads = 0;
    if (argc > 2) (void)hn_parse_int64(argv[2], &n_threads);
    if (hn_kernels_choose(argc > 1 ? argv[1] : NULL, &b.k, &err) != HN_OK ||
        hn_pool_create((int)n_threads, &b.pool, &err) != HN_OK) {
        fprintf(stderr, "%s: %s\n", err.message, err.hint);
        return 2;
    }
    hn_dtype dtype = dtype_named(argc > 3 ? argv[3] : "Q4_1");
    b.f32 = dtype == HN_DTYPE_F32;
    hn_machine machine;
    if (hn_machine_measure(b.k, b.pool, 1.0, &machine, &err) != HN_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 2;
    }
    b.peak_gflops = machine.flops_per_s * 1e-9;
    b.stream_gbps = machine.bytes_per_s * 1e-9;
    printf("%s (%s), %d threads, peak %.0f GFLOP/s, stream %.1f GB/s\n", b.k->name, b.k->arithmetic,
           hn_pool_size(b.pool), b.peak_gflops, b.stream_gbps);
    bench_shape(&b, "k, v", dtype, KV_SIZE, C);
    bench_shape(&b, "q, o", dtype, C, C);
    bench_shape(&b, "gate", dtype, F, C);
    bench_shape(&b, "down", dtype, C, F);
    bench_shape(&b, "output", dtype, V, C);
    static const int runs[][2] = {{1, 100}, {1, 1000}, {1, 8000}, {32, 0}, {512, 0}, {512, 7680}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) bench_attention(&b, runs[i][0], runs[i][1]);
    bench_rows(&b);
    hn_pool_free(b.pool);
    return 0;
}
