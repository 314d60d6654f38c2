/* The reference kernels: plain C in f32, one file an operation; what every faster kernel is checked against, and what
 * HONE_ISA=ref computes with. Shapes and meanings stand in kernel/kernel.h.
 *
 *     hn_ref_dequantize(row, bytes, HN_DTYPE_Q4_1, 576);
 *
 * Other tables use the functions here for what is not worth a kernel of its own. Threading: pure functions. */
#ifndef HN_KERNEL_REF_REF_H
#define HN_KERNEL_REF_REF_H

#include "kernel/matmul.h"

void hn_ref_dequantize(float *dst, const void *src, hn_dtype dtype, size_t n);
void hn_ref_rmsnorm(float *y, const float *x, const float *weight, int T, int C, float eps);
void hn_ref_rope(float *x, int stride, const float *cos, const float *sin, int T, int n_heads, int HS,
                 bool interleaved);
void hn_ref_swiglu(float *y, const float *gate, const float *up, int T, int F, int stride);
void hn_ref_add(float *y, const float *x, size_t n);
void hn_ref_kv_store(void *k_block, void *v_block, const float *k, const float *v, int slot, int n_kv_heads, int HS,
                     hn_kv_type type);
void hn_ref_kv_store_tail(void *tail, const float *x, int row, int n_kv_heads, int HS, hn_kv_type type);
void hn_ref_attention(const hn_attention_run *runs, int n_runs, const hn_attention_shape *shape, void *scratch,
                      int thread, int n_threads);
size_t hn_ref_attention_thread_bytes(const hn_attention_shape *shape);
double hn_ref_logsumexp(const float *x, size_t n, float *max);

extern const hn_matmul_ops hn_ref_matmul;

#endif
