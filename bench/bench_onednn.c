/* Our matrix products beside oneDNN's (libdnnl, C API 2.x), on the shapes of SmolLM2-135M and the same numbers.
 *
 *     cmake --preset release -DHONE_ONEDNN=ON && cmake --build build --target bench_onednn && build/bench_onednn [THREADS]
 *
 * For each shape, number of rows M and arithmetic (bf16 and f32 products, f32 sums) it prints GFLOP/s of both and how
 * many times faster ours is. oneDNN runs in two ways, from our own threads, each with a slice of the outputs and OpenMP
 * switched off, and with its own OpenMP threads; the faster one counts. Ours takes f32 rows and rounds them itself; oneDNN
 * is given rounded rows, and weights packed as it wants them. Weights stand in enough copies that they come from memory.
 * Outputs are compared; a difference beyond rounding ends the program with status 1. Surprise: the two pools' threads
 * spin, so each side's rounds begin after a pause. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/str.h"
#include "kernel/kernel.h"

#include <dnnl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COPIES_BYTES = 96 << 20, COPIES_MAX = 256, SLICES_MAX = 64, MOST = 512 };
#define ROUND_SECONDS 0.06

static const struct {
    const char *name;
    int N, K;
} shapes[] = {{"q, attention output", 576, 576},
              {"k, v", 192, 576},
              {"q+k+v", 960, 576},
              {"gate, up", 1536, 576},
              {"gate+up", 3072, 576},
              {"down", 576, 1536},
              {"logits", 49152, 576}};
static const int Ms[] = {1, 8, 32, 128, 512};

/* What a step of work failed at; benchmarks may end the program. */
static void need(bool good, const char *what) {
    if (good) return;
    fprintf(stderr, "bench_onednn: %s\n", what);
    exit(2);
}
static void dnnl(dnnl_status_t status, const char *what) { need(status == dnnl_success, what); }

static void pause_ms(long ms) { nanosleep(&(struct timespec){0, ms * 1000000}, NULL); }

/* ---- oneDNN ---- */

typedef struct slice {
    dnnl_primitive_t product;
    dnnl_memory_t src, dst, scratch;
    dnnl_memory_t weights[COPIES_MAX];
} slice;

typedef struct peer {
    dnnl_engine_t engine;
    dnnl_stream_t streams[SLICES_MAX];
    slice slices[SLICES_MAX];
    int n_slices, n_copies, copy;
    bool openmp; /* oneDNN's own threads; else ours */
} peer;

static dnnl_memory_desc_t matrix_desc(int rows, int columns, int64_t stride, dnnl_data_type_t type, bool transposed) {
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims = {rows, columns}, strides = {stride, 1};
    if (transposed) strides[0] = 1, strides[1] = stride;
    dnnl(dnnl_memory_desc_init_by_strides(&desc, 2, dims, type, strides), "a memory description");
    return desc;
}

static dnnl_memory_t memory_of(peer *p, const dnnl_memory_desc_t *desc, void *data) {
    dnnl_memory_t memory;
    dnnl(dnnl_memory_create(&memory, desc, p->engine, data), "memory");
    return memory;
}

/* Weights (N,K) row-major into the layout that the product wants. */
static dnnl_memory_t pack(peer *p, const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *wanted, void *data) {
    dnnl_memory_t from = memory_of(p, plain, data), to = memory_of(p, wanted, DNNL_MEMORY_ALLOCATE);
    dnnl_primitive_desc_t desc;
    dnnl_primitive_t reorder;
    dnnl(dnnl_reorder_primitive_desc_create(&desc, plain, p->engine, wanted, p->engine, NULL), "a reorder");
    dnnl(dnnl_primitive_create(&reorder, desc), "a reorder");
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl(dnnl_primitive_execute(reorder, p->streams[0], 2, args), "a reorder");
    dnnl(dnnl_stream_wait(p->streams[0]), "a reorder");
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(desc);
    dnnl_memory_destroy(from);
    return to;
}

/* Outputs from .. from+n-1 of y (M,N) = x (M,K) W^T. */
static void make_slice(peer *p, slice *s, float *y, void *x, void *w, bool bf16, int M, int N, int K, int from, int n) {
    dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_memory_desc_t src = matrix_desc(M, K, K, type, false), dst = matrix_desc(M, n, N, dnnl_f32, false),
                       plain = matrix_desc(K, n, K, type, true), any;
    dnnl_dims_t dims = {K, n};
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t made;
    dnnl(dnnl_memory_desc_init_by_tag(&any, 2, dims, type, dnnl_format_tag_any), "a memory description");
    dnnl(dnnl_matmul_desc_init(&desc, &src, &any, NULL, &dst), "a product");
    dnnl(dnnl_primitive_desc_create(&made, &desc, NULL, p->engine, NULL), "a product of this type on this CPU");
    dnnl(dnnl_primitive_create(&s->product, made), "a product");
    const dnnl_memory_desc_t *wanted = dnnl_primitive_desc_query_md(made, dnnl_query_weights_md, 0);
    s->src = memory_of(p, &src, x);
    s->dst = memory_of(p, &dst, y + from);
    char *rows = (char *)w + (size_t)from * (size_t)K * (bf16 ? 2 : 4);
    for (int i = 0; i < p->n_copies; i++) s->weights[i] = pack(p, &plain, wanted, rows);
    dnnl_primitive_desc_destroy(made);
}

static void free_slice(const peer *p, slice *s) {
    for (int i = 0; i < p->n_copies; i++) dnnl_memory_destroy(s->weights[i]);
    dnnl_memory_destroy(s->src);
    dnnl_memory_destroy(s->dst);
    dnnl_primitive_destroy(s->product);
}

static void run_slice(void *arg, int thread, int n_threads) {
    peer *p = arg;
    slice *s = &p->slices[thread];
    if (thread >= p->n_slices) return;
    if (!p->openmp) omp_set_num_threads(1);
    (void)n_threads;
    dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, s->src}, {DNNL_ARG_WEIGHTS, s->weights[p->copy]}, {DNNL_ARG_DST, s->dst}};
    dnnl(dnnl_primitive_execute(s->product, p->streams[thread], 3, args), "running a product");
    dnnl(dnnl_stream_wait(p->streams[thread]), "running a product");
}

/* ---- both sides ---- */

typedef struct bench {
    const hn_kernels *k;
    hn_pool *pool;
    int n_threads, M, N, K, n_copies;
    bool bf16;
    float *x, *y, *y_peer;
    uint16_t *x_bf16;
    void *w, *scratch;
    hn_matrix own[COPIES_MAX];
    peer peer;
} bench;

static void call_own(bench *b, int copy) {
    hn_matmul(b->k, b->pool, b->y, 0, b->x, 0, &b->own[copy], b->M, b->scratch);
}

static void call_peer(bench *b, int copy) {
    b->peer.copy = copy;
    if (!b->peer.openmp)
        hn_pool_run(b->pool, run_slice, &b->peer);
    else {
        omp_set_num_threads(b->n_threads);
        run_slice(&b->peer, 0, 1);
    }
}

/* The best of rounds of a few calls each. */
static double best_seconds(bench *b, void (*call)(bench *, int)) {
    int n_calls = 2.0 * b->M * b->N * b->K > 2e8 ? 2 : 8, copy = 0;
    double best = 1e30, until;
    pause_ms(15);
    call(b, 0);
    until = hn_clock_seconds() + ROUND_SECONDS;
    for (int round = 0; round < 3 || hn_clock_seconds() < until; round++) {
        double start = hn_clock_seconds();
        for (int i = 0; i < n_calls; i++, copy = (copy + 1) % b->n_copies) call(b, copy);
        double took = (hn_clock_seconds() - start) / n_calls;
        if (took < best) best = took;
    }
    return best;
}

/* Both add in f32, in another order: far below the size of the terms. */
static void check_outputs(const bench *b) {
    double worst = 0, size = 0;
    size_t n = (size_t)b->M * (size_t)b->N;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)b->y[i] - (double)b->y_peer[i]));
        size = fmax(size, fabs((double)b->y_peer[i]));
    }
    if (worst <= 2e-5 * size && size > 0) return;
    fprintf(stderr, "bench_onednn: M %d N %d K %d: outputs differ by %g of %g\n", b->M, b->N, b->K, worst, size);
    exit(1);
}

static double time_peer(bench *b, bool openmp) {
    peer *p = &b->peer;
    p->openmp = openmp;
    p->n_slices = openmp ? 1 : b->n_threads;
    p->n_copies = b->n_copies;
    omp_set_num_threads(openmp ? b->n_threads : 1);
    for (int i = 0; i < p->n_slices; i++) {
        size_t from, to;
        hn_share((size_t)b->N, 32, i, p->n_slices, &from, &to);
        make_slice(p, &p->slices[i], b->y_peer, b->bf16 ? (void *)b->x_bf16 : (void *)b->x, b->w, b->bf16, b->M, b->N,
                   b->K, (int)from, (int)(to - from));
    }
    memset(b->y_peer, 0, (size_t)b->M * (size_t)b->N * sizeof *b->y_peer);
    double seconds = best_seconds(b, call_peer);
    check_outputs(b);
    for (int i = 0; i < p->n_slices; i++) free_slice(p, &p->slices[i]);
    return seconds;
}

static void fill(float *x, size_t n, uint32_t state) {
    for (size_t i = 0; i < n; i++) x[i] = (float)(int32_t)(state = state * 1664525u + 1013904223u) * 0x1.0p-31f;
}

static void prepare(bench *b, int N, int K, bool bf16) {
    hn_error err;
    size_t n = (size_t)N * (size_t)K, number = bf16 ? 2 : 4, copies = COPIES_BYTES / (n * number) + 1;
    float *plain = hn_calloc(n, sizeof *plain);
    b->N = N, b->K = K, b->bf16 = bf16;
    b->n_copies = copies > COPIES_MAX ? COPIES_MAX : (int)copies;
    b->x = hn_calloc(MOST * (size_t)K, sizeof *b->x);
    b->x_bf16 = hn_calloc(MOST * (size_t)K, sizeof *b->x_bf16);
    b->y = hn_calloc(MOST * (size_t)N, sizeof *b->y);
    b->y_peer = hn_calloc(MOST * (size_t)N, sizeof *b->y_peer);
    b->w = hn_alloc(n * number);
    need(plain && b->x && b->x_bf16 && b->y && b->y_peer && b->w, "out of memory");
    fill(plain, n, 1), fill(b->x, MOST * (size_t)K, 2);
    for (size_t i = 0; i < MOST * (size_t)K; i++) b->x_bf16[i] = hn_f32_to_bf16(b->x[i]);
    for (size_t i = 0; i < n; i++) {
        if (bf16)
            ((uint16_t *)b->w)[i] = hn_f32_to_bf16(plain[i]);
        else
            ((float *)b->w)[i] = plain[i];
    }
    hn_free(plain);
    for (int i = 0; i < b->n_copies; i++) {
        b->own[i] = (hn_matrix){.dtype = bf16 ? HN_DTYPE_BF16 : HN_DTYPE_F32, .n_out = N, .n_in = K, .data = b->w};
        need(hn_matrix_prepare(&b->own[i], b->k, HN_PACK_KEEP, b->pool, &err) == HN_OK, "packing failed");
    }
    b->scratch = hn_alloc(hn_matmul_scratch_bytes(b->k, &b->own[0], MOST, b->n_threads));
    need(b->scratch != NULL, "out of memory");
}

static void release(bench *b) {
    for (int i = 0; i < b->n_copies; i++) hn_matrix_release(&b->own[i]);
    hn_free(b->x), hn_free(b->x_bf16), hn_free(b->y), hn_free(b->y_peer), hn_free(b->w), hn_free(b->scratch);
}

static void compare_shape(bench *b, const char *name, int N, int K, bool bf16, int *n_behind) {
    prepare(b, N, K, bf16);
    for (size_t i = 0; i < sizeof Ms / sizeof *Ms; i++) {
        b->M = Ms[i];
        if (N > 8192 && b->M > 32) continue; /* logits are computed for few rows at a time */
        double own = best_seconds(b, call_own), ours_threads = time_peer(b, false), openmp = time_peer(b, true);
        double again = best_seconds(b, call_own), other = ours_threads < openmp ? ours_threads : openmp;
        if (again < own) own = again;
        double flop = 2.0 * b->M * N * K;
        bool behind = other < 0.9 * own;
        *n_behind += behind;
        printf("%-20s %5d x %4d %-4s M %3d %8.1f %8.1f %8.1f %6.2f%s\n", name, N, K, bf16 ? "bf16" : "f32", b->M,
               flop / own * 1e-9, flop / ours_threads * 1e-9, flop / openmp * 1e-9, other / own,
               behind ? "  behind" : "");
        fflush(stdout);
    }
    release(b);
}

int main(int argc, char **argv) {
    hn_error err = {0};
    static bench b;
    int64_t n_threads = 0;
    int n_behind = 0;
    if (argc > 1) need(hn_parse_int64(argv[1], &n_threads), "the argument is a number of threads");
    need(hn_kernels_choose(NULL, &b.k, &err) == HN_OK && hn_pool_create((int)n_threads, &b.pool, &err) == HN_OK,
         err.message);
    b.n_threads = hn_pool_size(b.pool);
    need(b.n_threads <= SLICES_MAX, "64 threads at most");
    dnnl(dnnl_engine_create(&b.peer.engine, dnnl_cpu, 0), "an engine");
    for (int i = 0; i < b.n_threads; i++)
        dnnl(dnnl_stream_create(&b.peer.streams[i], b.peer.engine, dnnl_stream_default_flags), "a stream");
    const dnnl_version_t *version = dnnl_version();
    printf("%s beside oneDNN %d.%d.%d, %d threads; GFLOP/s\n%-55s %8s %8s %8s %6s\n", b.k->name, version->major,
           version->minor, version->patch, b.n_threads, "", "ours", "oneDNN", "OpenMP", "ratio");
    for (int bf16 = strcmp(b.k->name, "avx512bf16") == 0; bf16 >= 0; bf16--)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            compare_shape(&b, shapes[i].name, shapes[i].N, shapes[i].K, bf16, &n_behind);
    printf("%d behind by more than 10 %%\n", n_behind);
    for (int i = 0; i < b.n_threads; i++) dnnl_stream_destroy(b.peer.streams[i]);
    dnnl_engine_destroy(b.peer.engine);
    hn_pool_free(b.pool);
    return 0;
}
