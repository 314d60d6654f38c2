/* The table for AVX2; see avx2.h. */
#include "kernel/avx2/avx2.h"
#include "kernel/tables.h"

const hn_kernels hn_kernels_avx2 = {
    .name = "avx2",
    .arithmetic = "16-bit integer products on quantised weights, f32 products on others, f32 sums",
    .dequantize = hn_avx2_dequantize,
    .rmsnorm = hn_avx2_rmsnorm,
    .rope = hn_avx2_rope,
    .swiglu = hn_avx2_swiglu,
    .add = hn_avx2_add,
    .kv_store = hn_avx2_kv_store,
    .kv_store_tail = hn_avx2_kv_store_tail,
    .attention = hn_avx2_attention,
    .attention_thread_bytes = hn_avx2_attention_thread_bytes,
    .logsumexp = hn_avx2_logsumexp,
    .matmul = &hn_avx2_matmul,
};
