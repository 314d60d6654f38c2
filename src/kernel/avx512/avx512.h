/* AVX-512 kernels; see kernel/kernel.h for shapes and meanings. matmul_bf16.c and attention_bf16.c need AVX512-BF16 as well.
 *
 *     if (hn_cpu_features() & HN_CPU_AVX512) hn_avx512_dequantize(row, bytes, HN_DTYPE_Q4_1, 576);
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_AVX512_AVX512_H
#define HN_KERNEL_AVX512_AVX512_H

#include "kernel/matmul.h"

void hn_avx512_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n);
void hn_avx512_rmsnorm(float *y, const float *x, const float *weight, int T, int C, float eps);
void hn_avx512_rope(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                    bool interleaved);
void hn_avx512_swiglu(float *y, const float *gate, const float *up, int T, int F, int stride);
void hn_avx512_add(float *y, const float *x, size_t n);
void hn_avx512_kv_store(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                        hn_kv_type type);
void hn_avx512_kv_store_tail(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type);
void hn_avx512_attention(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                         int thread, int n_threads);
size_t hn_avx512_attention_thread_bytes(const hn_attention_shape *shape);
/* With bf16 products where the cache is f16; see attention_bf16.c. */
void hn_avx512_attention_bf16(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                              int thread, int n_threads);
size_t hn_avx512_attention_bf16_thread_bytes(const hn_attention_shape *shape);
double hn_avx512_logsumexp(const float *x, size_t n, float *max);

/* Packs outputs first .. first+31 as bf16 pairs (Kp/2, 32, 2); see matmul_bf16.c. */
void hn_avx512_pack_bf16(void *panel, const hn_matrix *w, int64_t first);
/* The same of inputs from .. from+n-1 alone: a part that ends within a block of the format lies in one block. */
void hn_avx512_pack_bf16_part(void *to, const hn_matrix *w, int64_t first, int64_t from, int64_t n);

extern const hn_matmul_ops hn_avx512_matmul_f32, hn_avx512_matmul_bf16;

#endif
