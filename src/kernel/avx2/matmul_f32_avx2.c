/* f32 products for AVX2: the shared body at 8 lanes. */
#include "kernel/avx2/avx2.h"

#define HN_SIMD(name) hn_avx2_##name
#define HN_MANY_REGISTERS 0
#define PACK_BF16 hn_avx2_pack_bf16
#include "kernel/avx2/vec_avx2.h"
#include "kernel/simd/matmul_f32_simd.h"
