/* The table of the reference kernels; see ref.h. */
#include "kernel/ref/ref.h"
#include "kernel/tables.h"

const hn_kernels hn_kernels_ref = {
    .name = "ref",
    .arithmetic = "f32 products on dequantised weights, f32 sums",
    .dequantize = hn_ref_dequantize,
    .rmsnorm = hn_ref_rmsnorm,
    .rope = hn_ref_rope,
    .swiglu = hn_ref_swiglu,
    .add = hn_ref_add,
    .kv_store = hn_ref_kv_store,
    .kv_store_tail = hn_ref_kv_store_tail,
    .attention = hn_ref_attention,
    .attention_thread_bytes = hn_ref_attention_thread_bytes,
    .logsumexp = hn_ref_logsumexp,
    .matmul = &hn_ref_matmul,
};
