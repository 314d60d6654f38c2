/* Kernels: the arithmetic of a transformer, one table of functions per instruction set behind a run-time choice.
 *
 * Each operation has its own file in ref/ (plain C in f32, the oracle), then avx2/, avx512/, neon/. The rule that every
 * kernel keeps: **a row's bits depend on that row alone**, never on how many rows are in the call, how they are cut
 * into chunks, or how many threads run. Prompt and generated rows go through the same arithmetic.
 *
 *     const hn_kernels *k;
 *     HN_TRY(hn_kernels_choose(NULL, &k, &err));           // HONE_ISA, else the best that this CPU has
 *     HN_TRY(hn_matrix_prepare(&w, k, HN_PACK_KEEP, pool, &err));
 *     hn_matmul(k, pool, y, x, &w, n_rows, scratch);       // y (M,N) = x (M,K) W^T, W (N,K)
 *
 * The numeric path of a kernel table is its `name` plus HN_KERNEL_VERSION; the version is raised by any change that
 * moves bits. Ownership: a table is constant and lives forever; a matrix owns its pack. Threading: tables and prepared
 * matrices are read-only and may be shared. */
#ifndef HN_KERNEL_KERNEL_H
#define HN_KERNEL_KERNEL_H

#include "base/dtype.h"
#include "base/status.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdint.h>

enum { HN_KERNEL_VERSION = 3 };
enum { HN_KV_BLOCK = 32 }; /* positions in one block of the KV cache; block b holds positions 32b .. 32b+31 */

/* How the KV cache stores numbers. Attention always reads what is stored, also for rows of the same step. Q8_0: 8-bit
 * integers with an f16 scale for each 32 of a position's head (see kernel/kv_q8.h). */
typedef enum hn_kv_type { HN_KV_F16 = 0, HN_KV_F32 = 1, HN_KV_Q8_0 = 2 } hn_kv_type;
/* "f16", "f32", "q8_0" */
const char *hn_kv_type_name(hn_kv_type type);
/* The type of that name; false: there is none. */
bool hn_kv_type_named(const char *name, hn_kv_type *type);
/* Bytes of one position's keys (or values) of one layer; a block has HN_KV_BLOCK of these. */
size_t hn_kv_row_bytes(hn_kv_type type, int n_kv_heads, int HS);

/* HN_PACK_KEEP keeps a multiplied-ready copy of the weights; HN_PACK_LOW keeps only the file's bytes and unpacks panels
 * into scratch memory as it goes. Both give the same bits. */
typedef enum hn_pack { HN_PACK_KEEP = 0, HN_PACK_LOW = 1 } hn_pack;

/* A weight matrix (N outputs, K inputs), row-major as in the file, and its pack. Fill the first four, zero the rest. */
typedef struct hn_matrix {
    hn_dtype dtype;
    int64_t n_out, n_in; /* N, K */
    const void *data;    /* not owned; N rows of hn_dtype_bytes(dtype, K) bytes */
    void *pack;          /* owned, or in a room; NULL where mode is HN_PACK_LOW or the table needs none */
    size_t pack_bytes;
    hn_pack mode;
    bool short_pack;   /* the pack is in the table's short form; see matmul.h */
    bool in_room;      /* the pack's memory is an hn_pack_room's */
    size_t room_bytes; /* where it is not: what the pack's memory takes */
} hn_matrix;

/* Memory for the packs of many matrices, in the order of their use: huge pages hold small matrices too. */
typedef struct hn_pack_room {
    unsigned char *memory;
    size_t bytes, used;
} hn_pack_room;

/* One run of rows for attention: consecutive positions of one sequence, or (tree.slots != NULL) the nodes of a label
 * tree. K blocks are stored transposed: k_blocks[b] is (KV, HS, 32), v_blocks[b] is (KV, 32, HS), both of `kv_type` (q8_0:
 * each head's scales stand behind its quants).
 * Row t of a plain run stands at position first + t and sees positions 0 .. first + t. Tree: row t stands at position
 * first + depth_t where depth_t = slot_start[t+1] - slot_start[t] - 1; it sees positions 0 .. first-1 from the blocks,
 * then its path: position first + d is row slots[slot_start[t] + d] of tail_k and tail_v, each (n_slots, KV, HS) of
 * kv_type (the last of its path is itself). A path and a plain chain with the same tokens give the same bits. */
typedef struct hn_attention_run {
    const float *q;           /* (T, NH, HS), after RoPE; row stride NH*HS unless q_stride is set */
    float *out;               /* (T, NH, HS) */
    int q_stride, out_stride; /* floats between rows; 0: NH*HS */
    int n_rows, first;
    const void *const *k_blocks;
    const void *const *v_blocks;
    const int32_t *slots, *slot_start; /* NULL for a plain run */
    const void *tail_k, *tail_v;
} hn_attention_run;

typedef struct hn_attention_shape {
    int n_heads, n_kv_heads, head_size; /* NH, KV, HS */
    float scale;                        /* 1/sqrt(HS) as a rule */
    hn_kv_type kv_type;
    bool f32_products; /* f32 products also where the table has faster ones; for models whose weights are f32 */
} hn_attention_shape;

typedef struct hn_kernels {
    const char *name;       /* "ref", "avx2", "avx512" (f32 products), "avx512bf16" (bf16 products), "neon" */
    const char *arithmetic; /* for people: "bf16 products, f32 sums" */
    /* dst (n) = n values of `dtype` as f32; n whole blocks. Exact. */
    void (*dequantize)(float *dst, const void *src, hn_dtype dtype, size_t n);
    /* y (T,C) = x / sqrt(mean(x^2) + eps) * weight (C) */
    void (*rmsnorm)(float *y, const float *x, const float *weight, int T, int C, float eps);
    /* Rotates, in place, `n_heads` heads of HS values in each of T rows (stride floats apart). Row t uses cos/sin (T,
     * HS/2). Pairs are (2i, 2i+1) where interleaved (GGUF llama), else (i, i+HS/2) (Hugging Face). */
    void (*rope)(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                 bool interleaved);
    /* y (T,F) = silu(gate (T,F)) * up (T,F); rows `stride` floats apart in gate and up, F apart in y */
    void (*swiglu)(float *y, const float *gate, const float *up, int T, int F, int stride);
    /* y (n) += x (n) */
    void (*add)(float *y, const float *x, size_t n);
    /* Writes one position's keys and values into its block: k, v (KV, HS) f32 at `slot` (0..31) of k_block (KV, HS,
     * 32), v_block (KV, 32, HS). */
    void (*kv_store)(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                     hn_kv_type type);
    /* Writes one row of a tree's keys or values: (KV, HS) as stored numbers. */
    void (*kv_store_tail)(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type);
    /* The work of `thread` of `n_threads` on the runs; scratch is hn_attention_scratch_bytes for each thread. */
    void (*attention)(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                      int thread, int n_threads);
    size_t (*attention_thread_bytes)(const hn_attention_shape *shape); /* scratch of one thread */
    /* ln(sum(exp(x))) over n logits, in f32 with sums in f64 and in a fixed order; *max (may be NULL) gets the largest.
     * */
    double (*logsumexp)(const float *x, size_t n, float *max);
    /* Matrix product: see matmul.c. Opaque here. */
    const struct hn_matmul_ops *matmul;
} hn_kernels;

/* `isa`: NULL (HONE_ISA, else the best), "ref", "avx2", "avx512", "neon"; "avx512" takes bf16 products where the CPU
 * has them, "avx512f32" never does; "avx512vnni" multiplies quantised weights as AVX2 does, and has to be named. HN_ERR_UNSUPPORTED where the CPU cannot run it, naming what it has. */
hn_status hn_kernels_choose(const char *isa, const hn_kernels **kernels, hn_error *err) HN_MUST_CHECK;
/* The i-th table that this CPU can run (0 is "ref"); NULL past the last. For tests. */
const hn_kernels *hn_kernels_available(int i);

/* Checks the matrix's shape and, where the mode and the table ask for it, packs its weights. `pool` may be NULL. */
hn_status hn_matrix_prepare(hn_matrix *w, const hn_kernels *k, hn_pack mode, hn_pool *pool,
                            hn_error *err) HN_MUST_CHECK;
void hn_matrix_release(hn_matrix *w);
/* The same for n matrices that are multiplied one after another, in that order; their packs lie in `room`, which has to
 * outlive them. On failure hn_pack_room_free takes back what there is. */
hn_status hn_matrices_prepare(hn_matrix *const *w, size_t n, const hn_kernels *k, hn_pack mode, hn_pool *pool,
                              hn_pack_room *room, hn_error *err) HN_MUST_CHECK;
void hn_pack_room_free(hn_pack_room *room);
/* y (M,N) = x (M,K) W^T. y_stride, x_stride: floats between rows (0: N, K). Runs on the pool (NULL: this thread alone).
 * `scratch` holds at least hn_matmul_scratch_bytes, at any alignment; no allocation happens inside. */
void hn_matmul(const hn_kernels *k, hn_pool *pool, float *y, int64_t y_stride, const float *x, int64_t x_stride,
               const hn_matrix *w, int64_t M, void *scratch);
/* Several products of the same rows in one go, y of each (M,N) without gaps: fewer meetings of the threads, and rows
 * converted once. All matrices have the same K. `next` (may be NULL) is the first matrix that will be multiplied after
 * these: with few rows its memory is asked for ahead. The bits are those of hn_matmul; scratch as for the matrix that
 * needs most. */
typedef struct hn_matmul_part {
    float *y;
    const hn_matrix *w;
} hn_matmul_part;
void hn_matmul_parts(const hn_kernels *k, hn_pool *pool, const hn_matmul_part *parts, int n_parts, const float *x,
                     int64_t M, const hn_matrix *next, void *scratch);
/* The same where x is made on the way: make(arg, from, to) writes rows from .. to-1 of x. Each row is made once, on some
 * thread and in any cut, just before it is converted, so that it comes from a cache. */
typedef void hn_rows_fn(void *arg, int64_t from, int64_t to);
void hn_matmul_made(const hn_kernels *k, hn_pool *pool, const hn_matmul_part *parts, int n_parts, const float *x,
                    int64_t M, hn_rows_fn *make, void *arg, const hn_matrix *next, void *scratch);
size_t hn_matmul_scratch_bytes(const hn_kernels *k, const hn_matrix *w, int64_t max_M, int n_threads);
size_t hn_attention_scratch_bytes(const hn_kernels *k, const hn_attention_shape *shape, int n_threads);
/* Runs k->attention on the pool. */
void hn_attention(const hn_kernels *k, hn_pool *pool, const hn_attention_run *runs, int n_runs,
                  const hn_attention_shape *shape, void *scratch);
/* Row `id` of an embedding matrix as f32: (C). */
void hn_matrix_row(const hn_kernels *k, float *dst, const hn_matrix *w, int64_t id);

#endif
