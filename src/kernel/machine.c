/* The machine's limits; see machine.h. The best of several short rounds counts, since anything else that runs only makes a round slower.
 * Surprise: this is the one kernel file with instruction sets chosen function by function: its loops are too small for files of their own. */
#include "kernel/machine.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "kernel/tables.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

enum { STREAM_BYTES = 128 << 20, LOOPS = 20000, SUMS = 12, MATRIX_OUT = 16384, MATRIX_IN = 1536, THREADS_MAX = 1024 };

typedef struct job {
    const uint64_t *words;
    double flops;          /* of one thread's round */
    uint64_t *thread_sums; /* (THREADS_MAX, 8) one cache line each */
} job;

/* A thread reads both halves of its share side by side: one stream alone gets a fifth less from memory. */
static void read_share(void *arg, int thread, int n_threads) {
    enum { AT_ONCE = 128 };
    job *j = arg;
    size_t from, to;
    uint64_t a[8] = {0};
    hn_share(STREAM_BYTES / sizeof *j->words, 2 * AT_ONCE, thread, n_threads, &from, &to);
    size_t half = (to - from) / 2;
    for (size_t i = from; i < from + half; i += AT_ONCE)
        for (size_t stream = 0; stream < 2; stream++)
            for (size_t at = i + stream * half; at < i + stream * half + AT_ONCE; at += 8)
                for (size_t k = 0; k < 8; k++) a[k] += j->words[at + k];
    j->thread_sums[thread * 8] = a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512bf16"))) static void peak_bf16(void *arg, int thread, int n_threads) {
    (void)n_threads;
    __m512 sum[SUMS];
    __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f803f80);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_ps();
    for (int n = 0; n < LOOPS; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
        __asm__ volatile("" : "+v"(x)); /* or the loop would be worked out before it runs */
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    ((job *)arg)->thread_sums[thread * 8] = (uint64_t)_mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f"))) static void peak_avx512(void *arg, int thread, int n_threads) {
    (void)n_threads;
    __m512 sum[SUMS], x = _mm512_set1_ps(1.0f);
    for (int i = 0; i < SUMS; i++) sum[i] = _mm512_setzero_ps();
    for (int n = 0; n < LOOPS; n++) {
#pragma GCC unroll 12
        for (int i = 0; i < SUMS; i++) sum[i] = _mm512_fmadd_ps(x, x, sum[i]);
        __asm__ volatile("" : "+v"(x));
    }
    for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    ((job *)arg)->thread_sums[thread * 8] = (uint64_t)_mm512_cvtss_f32(sum[0]);
}

/* 16-bit integer products: the fastest of this set's, nearly twice the f32 ones. Written as instructions, since a
 * compiler lets the sums leave the registers. */
#define PRODUCT(sum) "vpmaddwd %%ymm13, %%ymm13, %%ymm12\n\tvpaddd %%ymm12, %%ymm" #sum ", %%ymm" #sum "\n\t"
__attribute__((target("avx2"))) static void peak_avx2(void *arg, int thread, int n_threads) {
    (void)n_threads;
    for (int n = 0; n < LOOPS; n++)
        __asm__ volatile(PRODUCT(0) PRODUCT(1) PRODUCT(2) PRODUCT(3) PRODUCT(4) PRODUCT(5) PRODUCT(6) PRODUCT(7)
                             PRODUCT(8) PRODUCT(9) PRODUCT(10) PRODUCT(11)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13");
    ((job *)arg)->thread_sums[thread * 8] = 0; /* the products of whatever stood there: their time is all the same */
}
#elif defined(__aarch64__)
static void peak_neon(void *arg, int thread, int n_threads) {
    (void)n_threads;
    float32x4_t sum[SUMS], x = vdupq_n_f32(1.0f);
    for (int i = 0; i < SUMS; i++) sum[i] = vdupq_n_f32(0);
    for (int n = 0; n < LOOPS; n++) {
        for (int i = 0; i < SUMS; i++) sum[i] = vfmaq_f32(sum[i], x, x);
        __asm__ volatile("" : "+w"(x));
    }
    for (int i = 1; i < SUMS; i++) sum[0] = vaddq_f32(sum[0], sum[i]);
    ((job *)arg)->thread_sums[thread * 8] = (uint64_t)vgetq_lane_f32(sum[0], 0);
}
#endif

static void peak_plain(void *arg, int thread, int n_threads) {
    (void)n_threads;
    float sum[4] = {0}, x = 1.0f;
    for (int n = 0; n < LOOPS; n++) {
        for (int i = 0; i < 4; i++) sum[i] += x * x;
        __asm__ volatile("" : : "r"(sum) : "memory");
    }
    ((job *)arg)->thread_sums[thread * 8] = (uint64_t)(sum[0] + sum[1] + sum[2] + sum[3]);
}

/* The loop for a table's products, and its operations in one round of one thread. */
static hn_pool_fn *choose_peak(const char *name, double *flops) {
    unsigned features = hn_cpu_features();
    bool any = strcmp(name, "ref") == 0;
    (void)features, (void)any;
#if defined(__x86_64__)
    *flops = (double)LOOPS * SUMS * 64;
    if ((any || strcmp(name, "avx512bf16") == 0) && (features & HN_CPU_AVX512BF16)) return peak_bf16;
    *flops = (double)LOOPS * SUMS * 32;
    if ((any || strncmp(name, "avx512", 6) == 0) && (features & HN_CPU_AVX512)) return peak_avx512;
    *flops = (double)LOOPS * SUMS * 32;
    if (features & HN_CPU_AVX2) return peak_avx2;
#elif defined(__aarch64__)
    *flops = (double)LOOPS * SUMS * 8;
    if (features & HN_CPU_NEON) return peak_neon;
#endif
    *flops = (double)LOOPS * 4 * 2;
    return peak_plain;
}

/* The shortest of the rounds that fit `seconds` (two at least; the first warms up). */
static double best_round(hn_pool *pool, hn_pool_fn *fn, job *j, double seconds) {
    double best = 1e30, until = hn_clock_seconds() + seconds;
    for (int round = 0; round < 2 || hn_clock_seconds() < until; round++) {
        double start = hn_clock_seconds();
        hn_pool_run(pool, fn, j);
        double took = hn_clock_seconds() - start;
        if (round > 0 && took < best) best = took;
    }
    return best > 0 ? best : 1e-9;
}

hn_status hn_machine_measure(const hn_kernels *kernels, hn_pool *pool, double seconds, hn_machine *machine,
                             hn_error *err) {
    uint64_t *words = hn_alloc_aligned(STREAM_BYTES, 64);
    job j = {.words = words, .thread_sums = hn_calloc(THREADS_MAX * 8, sizeof(uint64_t))};
    hn_status st =
        words && j.thread_sums && hn_pool_size(pool) <= THREADS_MAX ? HN_OK : hn_fail_memory(err, STREAM_BYTES);
    if (st == HN_OK) {
        memset(words, 1, STREAM_BYTES); /* pages that were never written would all be one */
        hn_pool_fn *peak = choose_peak(kernels->name, &j.flops);
        machine->bytes_per_s = STREAM_BYTES / best_round(pool, read_share, &j, seconds * 0.7);
        machine->flops_per_s = j.flops * hn_pool_size(pool) / best_round(pool, peak, &j, seconds * 0.3);
    }
    hn_free_aligned(words, STREAM_BYTES);
    hn_free(j.thread_sums);
    return st;
}

typedef struct rate_memory {
    void *bytes, *scratch;
    size_t n_bytes, n_scratch;
    float *x, *y;
} rate_memory;

static hn_status time_products(const hn_kernels *k, hn_pool *pool, hn_matrix *w, rate_memory *m, double seconds,
                               double *bytes_per_s, hn_error *err) {
    m->n_scratch = hn_matmul_scratch_bytes(k, w, 1, hn_pool_size(pool));
    m->scratch = hn_alloc_aligned(m->n_scratch, 64);
    m->x = hn_calloc(MATRIX_IN, sizeof *m->x);
    m->y = hn_calloc(MATRIX_OUT, sizeof *m->y);
    if (!m->scratch || !m->x || !m->y) return hn_fail_memory(err, m->n_scratch);
    double best = 1e30, until = hn_clock_seconds() + seconds;
    for (int round = 0; round < 3 || hn_clock_seconds() < until; round++) {
        double start = hn_clock_seconds();
        hn_matmul(k, pool, m->y, 0, m->x, 0, w, 1, m->scratch);
        double took = hn_clock_seconds() - start;
        if (round > 0 && took < best) best = took;
    }
    *bytes_per_s = (double)m->n_bytes / (best > 0 ? best : 1e-9);
    return HN_OK;
}

hn_status hn_machine_decode_rate(const hn_kernels *kernels, hn_pool *pool, hn_dtype dtype, hn_pack mode, double seconds,
                                 double *bytes_per_s, double *pack_ratio, hn_error *err) {
    rate_memory m = {0};
    hn_matrix w = {.dtype = dtype, .n_out = MATRIX_OUT, .n_in = MATRIX_IN};
    if (!hn_dtype_bytes(dtype, (uint64_t)MATRIX_OUT * MATRIX_IN, &m.n_bytes))
        return hn_fail(err, HN_ERR_UNSUPPORTED, "dtype", NULL, "the number format %d is not known", (int)dtype);
    m.bytes = hn_alloc_aligned(m.n_bytes, 64);
    hn_status st = m.bytes ? HN_OK : hn_fail_memory(err, m.n_bytes);
    if (m.bytes) memset(m.bytes, 0, m.n_bytes); /* written, so that it is memory; the time does not depend on values */
    w.data = m.bytes;
    if (st == HN_OK) st = hn_matrix_prepare(&w, kernels, mode, pool, err);
    if (st == HN_OK) st = time_products(kernels, pool, &w, &m, seconds, bytes_per_s, err);
    *pack_ratio = (double)w.pack_bytes / (double)m.n_bytes;
    hn_matrix_release(&w);
    hn_free_aligned(m.bytes, m.n_bytes);
    hn_free_aligned(m.scratch, m.n_scratch);
    hn_free(m.x);
    hn_free(m.y);
    return st;
}
