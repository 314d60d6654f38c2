/* AVX2 kernels; see kernel/kernel.h for shapes and meanings.
 *
 *     if (hn_cpu_features() & HN_CPU_AVX2) hn_avx2_dequantize(row, bytes, HN_DTYPE_Q4_1, 576);
 *
 * Threading: pure functions. */
#ifndef HN_KERNEL_AVX2_AVX2_H
#define HN_KERNEL_AVX2_AVX2_H

#include "kernel/matmul.h"

void hn_avx2_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n);
void hn_avx2_rmsnorm(float *y, const float *x, const float *weight, int T, int C, float eps);
void hn_avx2_rope(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                  bool interleaved);
void hn_avx2_swiglu(float *y, const float *gate, const float *up, int T, int F, int stride);
void hn_avx2_add(float *y, const float *x, size_t n);
void hn_avx2_kv_store(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                      hn_kv_type type);
void hn_avx2_kv_store_tail(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type);
void hn_avx2_attention(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                       int thread, int n_threads);
size_t hn_avx2_attention_thread_bytes(const hn_attention_shape *shape);
double hn_avx2_logsumexp(const float *x, size_t n, float *max);

/* Packs outputs first .. first+15 as bf16 pairs (Kp/2, 16, 2); see simd/matmul_f32_simd.h. */
void hn_avx2_pack_bf16(void *panel, const hn_matrix *w, int64_t first);

/* f32 products for plain formats; hn_avx2_matmul adds integer products for quantised ones. */
extern const hn_matmul_ops hn_avx2_matmul_f32, hn_avx2_matmul;

#endif
