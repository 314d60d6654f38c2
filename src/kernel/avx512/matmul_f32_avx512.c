/* f32 products for AVX-512: the shared body at 16 lanes. */
#include "kernel/avx512/avx512.h"

#define HN_SIMD(name) hn_avx512_##name
#define HN_MANY_REGISTERS 1
#define PACK_BF16 hn_avx512_pack_bf16
#include "kernel/avx512/vec_avx512.h"
#include "kernel/simd/matmul_f32_simd.h"
