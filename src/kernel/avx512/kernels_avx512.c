/* The tables for AVX-512; see avx512.h. They differ in the arithmetic of products and attention alone. */
#include "kernel/avx512/avx512.h"
#include "kernel/tables.h"

#define ROW_KERNELS                                                                                                    \
    .dequantize = hn_avx512_dequantize, .rmsnorm = hn_avx512_rmsnorm, .rope = hn_avx512_rope,                          \
    .swiglu = hn_avx512_swiglu, .add = hn_avx512_add, .kv_store = hn_avx512_kv_store,                                  \
    .kv_store_tail = hn_avx512_kv_store_tail, .logsumexp = hn_avx512_logsumexp

const hn_kernels hn_kernels_avx512 = {
    .name = "avx512",
    .arithmetic = "f32 products on bf16 weights, f32 sums",
    ROW_KERNELS,
    .attention = hn_avx512_attention,
    .attention_thread_bytes = hn_avx512_attention_thread_bytes,
    .matmul = &hn_avx512_matmul_f32,
};

extern const struct hn_matmul_ops hn_avx512_matmul_vnni; /* quant_int16_vnni.c */

const hn_kernels hn_kernels_avx512vnni = {
    .name = "avx512vnni",
    .arithmetic = "16-bit integer products on quantised weights, f32 products on others, f32 sums",
    ROW_KERNELS,
    .attention = hn_avx512_attention,
    .attention_thread_bytes = hn_avx512_attention_thread_bytes,
    .matmul = &hn_avx512_matmul_vnni,
};

const hn_kernels hn_kernels_avx512bf16 = {
    .name = "avx512bf16",
    .arithmetic = "bf16 products, f32 sums (F32 weights: f32 products)",
    ROW_KERNELS,
    .attention = hn_avx512_attention_bf16,
    .attention_thread_bytes = hn_avx512_attention_bf16_thread_bytes,
    .matmul = &hn_avx512_matmul_bf16,
};
