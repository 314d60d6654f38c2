/* The table for arm64; see neon.h. */
#include "kernel/neon/neon.h"
#include "kernel/tables.h"

const hn_kernels hn_kernels_neon = {
    .name = "neon",
    .arithmetic = "f32 products on bf16 weights, f32 sums",
    .dequantize = hn_neon_dequantize,
    .rmsnorm = hn_neon_rmsnorm,
    .rope = hn_neon_rope,
    .swiglu = hn_neon_swiglu,
    .add = hn_neon_add,
    .kv_store = hn_neon_kv_store,
    .kv_store_tail = hn_neon_kv_store_tail,
    .attention = hn_neon_attention,
    .attention_thread_bytes = hn_neon_attention_thread_bytes,
    .logsumexp = hn_neon_logsumexp,
    .matmul = &hn_neon_matmul_f32,
};
